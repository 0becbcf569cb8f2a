// Package house holds the tests that keep the house standing: who may import
// whom, what a package may contain, how large things may grow, and whether the
// papers (README, workflows, units) say what is true. It contains no product code
// and is imported by nothing.
//
// The tests read source files with go/parser and never run the go command: what
// `go list` prints is not part of a test's cache key, so a test that asks it keeps
// passing after the breakage. Each rule is itself proven by small broken trees.
package house
