package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// row is a line of what prove prints.
type row struct {
	what, bound, measured, verdict string
}

const (
	holds = "holds"
	fails = "DOES NOT HOLD"
)

// withstand tries every attack, fuzzes the parsers in what is left of the time, and prints
// the table.
func withstand(ctx context.Context, limit time.Duration) error {
	began := time.Now()
	var rows []row
	for _, a := range attacks() {
		fmt.Printf("%v  %s\n", time.Since(began).Round(time.Second), a.what)
		rows = append(rows, try(ctx, a)...)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if left := limit - time.Since(began); limit > 0 {
		targets, err := find(os.DirFS("."), "")
		if err != nil {
			return err
		}
		rows = append(rows, parsers(ctx, targets, max(left/time.Duration(len(targets)), shortestFuzz)))
	}
	printTable(os.Stdout, rows)
	for _, r := range rows {
		if r.verdict != holds {
			return errors.New("not everything holds")
		}
	}
	return nil
}

// try runs the tests of one attack as a release must pass them.
func try(ctx context.Context, a attack) []row {
	c := exec.CommandContext(ctx, "go", "test", "-json", "-count=1", "-timeout", longestAttack.String(), "-run", a.tests, "./"+a.pkg)
	c.Env = append(os.Environ(), "SALLYPORT_PROVE=1")
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return []row{{a.what, a.bound, err.Error(), fails}}
	}
	ran := listen(out)
	return judge(a, ran, c.Wait())
}

// tests is what the tests of an attack said.
type tests struct {
	passed, failed int
	took           time.Duration
	rows           []row
	said           []string // by the ones that failed, or all when nothing ran
}

// listen reads what go test -json prints.
func listen(r io.Reader) (t tests) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	said := map[string][]string{}
	for lines.Scan() {
		var e struct {
			Action, Test, Output string
			Elapsed              float64
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			t.said = append(t.said, lines.Text()) // the compiler's words
			continue
		}
		top := e.Test != "" && !strings.Contains(e.Test, "/")
		switch e.Action {
		case "output":
			said[e.Test] = append(said[e.Test], strings.TrimRight(e.Output, "\n"))
			if r, ok := spoken(e.Output); ok {
				t.rows = append(t.rows, r)
			}
		case "build-output":
			t.said = append(t.said, strings.TrimRight(e.Output, "\n"))
		case "pass":
			if top {
				t.passed++
				t.took += time.Duration(e.Elapsed * float64(time.Second))
			}
		case "fail":
			t.said = append(t.said, said[e.Test]...)
			if top {
				t.failed++
			}
		}
	}
	return t
}

// spoken is the row that a test printed itself.
func spoken(line string) (row, bool) {
	_, line, ok := strings.Cut(line, "ATTACK | ")
	f := strings.Split(strings.TrimSpace(line), " | ")
	if !ok || len(f) != 4 {
		return row{}, false
	}
	return row{f[0], f[1], f[2], f[3]}, true
}

// judge says what an attack came to. No test is no proof.
func judge(a attack, t tests, err error) []row {
	if err == nil && t.passed > 0 && t.failed == 0 {
		if len(t.rows) > 0 {
			return t.rows
		}
		return []row{{a.what, a.bound, fmt.Sprintf("%d tests in %v", t.passed, t.took.Round(100*time.Millisecond)), holds}}
	}
	for _, line := range t.said {
		fmt.Println("    " + line)
	}
	measured := fmt.Sprintf("%d of %d tests failed", t.failed, t.passed+t.failed)
	if t.passed+t.failed == 0 {
		measured = "no test ran"
	}
	return []row{{a.what, a.bound, measured, fails}}
}

// parsers fuzzes all that reads what comes from outside.
func parsers(ctx context.Context, all []target, each time.Duration) row {
	r := row{what: "hostile bytes at every parser", bound: fmt.Sprintf("no crash in >= %d executions of each", fewest), verdict: holds}
	execs, held := 0, 0
	for _, t := range all {
		fmt.Printf("fuzz %v for %v\n", t, each.Round(time.Second))
		e := fuzz(ctx, t, each)
		execs += e.execs
		err := note(ctx, e)
		if err == nil {
			err = e.err
		}
		if err == nil {
			held++
			continue
		}
		fmt.Println("    " + err.Error())
		r.verdict = fails
	}
	r.measured = fmt.Sprintf("%d of %d parsers, %d executions", held, len(all), execs)
	return r
}

// printTable prints the rows so that they fit a terminal: verdict and attack, and below them
// what was measured, and the bound.
func printTable(w io.Writer, rows []row) {
	const line = "%-13s  %s\n%-13s  %s; bound: %s\n"
	fmt.Fprintf(w, "\n"+line, "VERDICT", "ATTACK", "", "MEASURED", "BOUND")
	for _, r := range rows {
		fmt.Fprintf(w, line, r.verdict, r.what, "", r.measured, r.bound)
	}
}
