// Package bench measures Sallyport against OpenSSH side by side and prints a table:
// make bench. It has tests only, behind the build tag "bench", because figures taken
// among other tests are worth nothing. What counts is the ratio of medians of
// samples taken in turns; absolute figures only order the paths.
package bench
