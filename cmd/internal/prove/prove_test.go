package main

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// A row whose tests are gone proves nothing, and nobody would see it.
func TestEveryAttackHasItsTests(t *testing.T) {
	top := os.DirFS("../../..")
	for _, a := range attacks() {
		files, err := fs.Glob(top, a.pkg+"/*_test.go")
		if err != nil || len(files) == 0 {
			t.Errorf("%s: no tests in %s", a.what, a.pkg)
		}
		var text strings.Builder
		for _, f := range files {
			b, err := fs.ReadFile(top, f)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(b)
		}
		for _, name := range strings.Split(a.tests, "|") {
			pattern := strings.TrimSuffix(strings.TrimPrefix(name, "^"), "$")
			if end := strings.HasSuffix(name, "$"); end {
				pattern += `\(`
			}
			if pattern = regexp.MustCompile(`^/.*`).ReplaceAllString(pattern, ""); name == "." {
				pattern = "Test"
			}
			if !regexp.MustCompile(`(?m)^func ` + pattern).MatchString(text.String()) {
				t.Errorf("%s: no test %s in %s", a.what, name, a.pkg)
			}
		}
	}
}

func TestFindsEveryTarget(t *testing.T) {
	tree := fstest.MapFS{
		"a/x_test.go":              {Data: []byte("package a\nfunc FuzzOne(f *testing.F) {}\n// func FuzzNot(\nfunc FuzzTwo(f *testing.F) {}\n")},
		"a/x.go":                   {Data: []byte("package a\nfunc FuzzNo(f *testing.F) {}\n")},
		"a/testdata/y_test.go":     {Data: []byte("func FuzzNo(f *testing.F) {}\n")},
		"b/node_modules/z_test.go": {Data: []byte("func FuzzNo(f *testing.F) {}\n")},
		"b/c/z_test.go":            {Data: []byte("func FuzzThree(f *testing.F) {}\n")},
	}
	for word, want := range map[string]string{"": "a FuzzOne, a FuzzTwo, b/c FuzzThree", "Two": "a FuzzTwo", "b/": "b/c FuzzThree"} {
		all, err := find(tree, word)
		var got []string
		for _, x := range all {
			got = append(got, x.String())
		}
		if err != nil || strings.Join(got, ", ") != want {
			t.Errorf("%q finds %v, %v", word, got, err)
		}
	}
	if all, err := find(tree, "nothing"); err == nil {
		t.Errorf("found %v", all)
	}
	real, err := find(os.DirFS("../../.."), "")
	if err != nil || len(real) < 50 {
		t.Errorf("the tree has %d targets, %v", len(real), err)
	}
	for _, x := range real {
		if _, err := os.Stat(path.Join("../../..", x.dir)); err != nil {
			t.Error(err)
		}
	}
}

func TestExecutionsAreCounted(t *testing.T) {
	said := `fuzz: elapsed: 0s, gathering baseline coverage: 0/192 completed
fuzz: elapsed: 3s, execs: 325017 (108336/sec), new interesting: 11 (total: 202)
fuzz: elapsed: 5s, execs: 400012 (108336/sec), new interesting: 11 (total: 202)
PASS
`
	if took, n := reached(strings.NewReader(said)); n != 400012 || took != 5*time.Second {
		t.Errorf("%d in %v", n, took)
	}
	if took, n := reached(strings.NewReader("PASS\n")); n != 0 || took != 0 {
		t.Errorf("%d in %v", n, took)
	}
}

// go test's own deadline is no find; whatever names an input is.
func TestTimeThatIsOverIsNoFind(t *testing.T) {
	over := "fuzz: elapsed: 2s, execs: 5248 (2478/sec), new interesting: 9 (total: 66)\n--- FAIL: FuzzOne (2.14s)\n    context deadline exceeded\nFAIL\nexit status 1\n"
	if !timedOut(over) {
		t.Error("the end of the time is a find")
	}
	for _, found := range []string{"FAIL\n", "--- FAIL: FuzzOne\n    x_test.go:3: context deadline exceeded\n    \n    Failing input written to testdata/fuzz/FuzzOne/1\n",
		over + "    Failing input written to testdata/fuzz/FuzzOne/1\n", over + "panic: x\n"} {
		if timedOut(found) {
			t.Errorf("%q is none", found)
		}
	}
}

func TestTheLedgerCountsFromTheLastChange(t *testing.T) {
	all, err := parseLedger("2026-01-01T00:00:00Z\ta\tFuzzOne\t600\t1000\theld\n2026-01-03T00:00:00Z\ta\tFuzzOne\t60\t50\theld\n2026-01-03T00:00:00Z\ta\tFuzzOne\t7\t1\tfailed\n")
	if err != nil {
		t.Fatal(err)
	}
	got := sum(all, func(string) time.Time { return time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) })
	if want := (total{660 * time.Second, 60 * time.Second, 50}); got[target{"a", "FuzzOne"}] != want {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"x\n", "yesterday\ta\tb\t1\t1\theld\n", "2026-01-01T00:00:00Z\ta\tb\tlong\t1\theld\n", "2026-01-01T00:00:00Z\ta\tb\t1\tmany\theld\n"} {
		if all, err := parseLedger(bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, all)
		}
	}
}

// What go test prints becomes rows; what failed, or never ran, does not hold.
func TestTheTableSaysWhatHappened(t *testing.T) {
	a := attack{what: "a thing", bound: "a bound"}
	passed := `{"Action":"run","Test":"TestX"}
{"Action":"pass","Test":"TestX/part","Elapsed":1}
{"Action":"pass","Test":"TestX","Elapsed":2.5}
{"Action":"pass","Elapsed":3}
`
	for name, c := range map[string]struct {
		said string
		err  error
		want row
	}{
		"passed": {passed, nil, row{"a thing", "a bound", "1 tests in 2.5s", holds}},
		"spoke": {`{"Action":"output","Test":"TestX","Output":"    x_test.go:1: ATTACK | flood | <= 2 s | 0.7 s | holds\n"}` + "\n" + passed, nil,
			row{"flood", "<= 2 s", "0.7 s", holds}},
		"said so itself": {`{"Action":"output","Test":"TestX","Output":"ATTACK | flood | <= 2 s | 7 s | too slow\n"}` + "\n" + passed, nil,
			row{"flood", "<= 2 s", "7 s", "too slow"}},
		"failed":      {`{"Action":"fail","Test":"TestX","Elapsed":2.5}` + "\n", errors.New("exit 1"), row{"a thing", "a bound", "1 of 1 tests failed", fails}},
		"never built": {"# broken\n", errors.New("exit 1"), row{"a thing", "a bound", "no test ran", fails}},
		"none":        {`{"Action":"pass","Elapsed":0}` + "\n", nil, row{"a thing", "a bound", "no test ran", fails}},
	} {
		if got := judge(a, listen(strings.NewReader(c.said)), c.err); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
