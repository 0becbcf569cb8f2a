// Package stories walks whole stories through Sallyport, end to end: the three real
// binaries, real OpenSSH clients and servers, real sign-ins, broker and agent as
// processes that are stopped and killed. It holds tests only; the scripts in testdata
// are meant to be read.
package stories
