package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// target is one function that go test can fuzz.
type target struct {
	dir  string // of its package, from the top
	name string
}

func (t target) String() string { return t.dir + " " + t.name }

// effort is what went into a target.
type effort struct {
	target target
	took   time.Duration
	execs  int
	err    error // what it found, or why it does not count
}

var (
	declared = regexp.MustCompile(`(?m)^func (Fuzz[A-Z][A-Za-z0-9_]*)\(`)
	progress = regexp.MustCompile(`elapsed: (\S+), execs: (\d+) `)
)

// find lists every target of the tree whose package or name contains a word.
func find(tree fs.FS, word string) (all []target, err error) {
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || len(d.Name()) > 1 && d.Name()[0] == '.'):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		for _, found := range declared.FindAllSubmatch(text, -1) {
			if t := (target{path.Dir(name), string(found[1])}); strings.Contains(t.String(), word) {
				all = append(all, t)
			}
		}
		return err
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("no fuzz target has %q in its name or package", word)
	}
	return all, err
}

// fuzzAll fuzzes one target after another and keeps the hours.
func fuzzAll(ctx context.Context, all []target, each time.Duration) error {
	var failed []error
	for n, t := range all {
		fmt.Printf("%d of %d: %v\n", n+1, len(all), t)
		e := fuzz(ctx, t, each)
		fmt.Printf("    %d executions in %v\n", e.execs, e.took.Round(time.Second))
		if err := note(ctx, e); err != nil {
			return err
		}
		if e.err != nil {
			fmt.Println("    " + e.err.Error())
			failed = append(failed, fmt.Errorf("%v: %w", t, e.err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(failed...)
}

// fuzz gives a target its time, and more while it has made too few executions.
func fuzz(ctx context.Context, t target, each time.Duration) effort {
	e := effort{target: t}
	for round := 0; (round < rounds || e.took < patience) && e.execs < fewest && e.err == nil && ctx.Err() == nil; round++ {
		took, execs, err := once(ctx, t, each)
		e.took, e.execs, e.err = e.took+took, e.execs+execs, err
	}
	if e.err == nil && e.execs < fewest {
		e.err = fmt.Errorf("made fewer than %d executions: make one cheaper, or bound what a seed may cost", fewest)
	}
	return e
}

// once runs go test. What is interesting is kept as it is: making it smaller takes a slow
// target the whole of its time.
func once(ctx context.Context, t target, each time.Duration) (took time.Duration, execs int, err error) {
	c := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$",
		"-fuzztime", each.String(), "-fuzzminimizetime", "1x", "./"+t.dir)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	var said strings.Builder
	c.Stdout, c.Stderr = &said, &said
	if err = c.Run(); err != nil && !timedOut(said.String()) {
		err = fmt.Errorf("%w\n%s", err, said.String())
	} else {
		err = nil
	}
	took, execs = reached(strings.NewReader(said.String()))
	return took, execs, err
}

// timedOut reports whether go test says no more than that its own time is over, which it does
// now and then when that comes upon it at work: an input that fails is always named.
func timedOut(said string) bool {
	return strings.Contains(said, "\n    context deadline exceeded\n") && !strings.Contains(said, "Failing input") && !strings.Contains(said, "panic:")
}

// reached is what go test's last line of progress says: how long it fuzzed, without the time
// to build, and how often.
func reached(r io.Reader) (took time.Duration, execs int) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if found := progress.FindStringSubmatch(lines.Text()); found != nil {
			took, _ = time.ParseDuration(found[1])
			execs, _ = strconv.Atoi(found[2])
		}
	}
	return took, execs
}
