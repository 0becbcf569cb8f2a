package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// The ledger has a line for every effort: when it ended, package, target, seconds,
// executions, and "held" or "failed".

// note adds an effort to the ledger.
func note(ctx context.Context, e effort) error {
	verdict := "held"
	if e.err != nil {
		verdict = "failed"
	}
	if ctx.Err() != nil {
		return nil // cut short: what it says of the target is nothing
	}
	f, err := os.OpenFile(ledgerFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the ledger of fuzzing: %w", err)
	}
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\t%d\t%d\t%s\n", time.Now().UTC().Format(time.RFC3339),
		e.target.dir, e.target.name, int(e.took.Seconds()), e.execs, verdict)
	if again := f.Close(); err == nil {
		err = again
	}
	return err
}

// entry is a line of the ledger.
type entry struct {
	at      time.Time
	target  target
	seconds int
	execs   int
	held    bool
}

func parseLedger(text string) (all []entry, err error) {
	for n, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if line == "" {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 6 {
			return nil, fmt.Errorf("line %d of the ledger has %d columns and not 6", n+1, len(f))
		}
		at, err := time.Parse(time.RFC3339, f[0])
		if err != nil {
			return nil, fmt.Errorf("line %d of the ledger: %w", n+1, err)
		}
		seconds, err := strconv.Atoi(f[3])
		if err != nil {
			return nil, fmt.Errorf("line %d of the ledger: %w", n+1, err)
		}
		execs, err := strconv.Atoi(f[4])
		if err != nil {
			return nil, fmt.Errorf("line %d of the ledger: %w", n+1, err)
		}
		all = append(all, entry{at, target{f[1], f[2]}, seconds, execs, f[5] == "held"})
	}
	return all, nil
}

// total is what one target got.
type total struct {
	ever, since time.Duration // since its package last changed
	execs       int           // since then
}

// sum adds up the efforts that held; changed tells when a package last changed.
func sum(all []entry, changed func(dir string) time.Time) map[target]total {
	out := map[target]total{}
	for _, e := range all {
		if !e.held {
			continue
		}
		t := out[e.target]
		took := time.Duration(e.seconds) * time.Second
		t.ever += took
		if e.at.After(changed(e.target.dir)) {
			t.since += took
			t.execs += e.execs
		}
		out[e.target] = t
	}
	return out
}

// hours prints the ledger's sums, also of targets that never ran.
func hours(ctx context.Context) error {
	targets, err := find(os.DirFS("."), "")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(ledgerFile)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("read the ledger of fuzzing: %w", err)
	}
	all, err := parseLedger(string(text))
	if err != nil {
		return err
	}
	sums := sum(all, func(dir string) time.Time { return changed(ctx, dir) })
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PACKAGE\tTARGET\tSINCE IT CHANGED\tEXECUTIONS\tEVER")
	var since, ever time.Duration
	for _, t := range targets {
		s := sums[t]
		since, ever = since+s.since, ever+s.ever
		fmt.Fprintf(w, "%s\t%s\t%v\t%d\t%v\n", t.dir, t.name, s.since, s.execs, s.ever)
	}
	fmt.Fprintf(w, "together\t\t%v\t\t%v\n", since, ever)
	return w.Flush()
}

// changed is when a package last changed, by the repository's history: never, if it says nothing.
func changed(ctx context.Context, dir string) time.Time {
	out, err := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct", "--", ":(glob)"+dir+"/*").Output()
	if err != nil {
		return time.Time{}
	}
	at, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(at, 0)
}
