//go:build bench

package bench

import (
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var (
	size   = flag.Int("mib", 256, "MiB of a bulk transfer")
	rounds = flag.Int("rounds", 10, "pairs of a bulk transfer")
	opens  = flag.Int("opens", 15, "pairs of an opening")
	keys   = flag.Int("keys", 400, "pairs of a keystroke")
	agents = flag.Int("agents", 1000, "idle agents")
	only   = flag.String("only", "", "comma-separated parts: ssh, recorder, idle, grant, audit, screens")
	bulks  = flag.String("bulks", "", "comma-separated transfers: cat down, cat up, sftp get, sftp put")
	prof   = flag.String("profile", "", "directory for processor profiles")
)

func TestMain(m *testing.M) {
	if os.Getenv(crowdSocket) != "" {
		os.Exit(crowd())
	}
	os.Exit(m.Run())
}

// row is one line of the table.
type row struct {
	what, ours, theirs, ratio, target, verdict string
}

type table struct{ rows []row }

// versus adds a ratio with its target; atMost says which side of it is good. The
// spread is the middle half of the pairs' ratios: what the machine's noise makes of it.
func (tb *table) versus(what, unit string, ours, theirs []float64, target float64, atMost bool) {
	o, th := median(ours), median(theirs)
	pairs := make([]float64, min(len(ours), len(theirs)))
	for i := range pairs {
		pairs[i] = ours[i] / theirs[i]
	}
	ratio := median(pairs)
	slices.Sort(pairs)
	limit, good := fmt.Sprintf("≥ %.2f", target), ratio >= target
	if atMost {
		limit, good = fmt.Sprintf("≤ %.2f", target), ratio <= target
	}
	verdict := "met"
	switch {
	case target == 0:
		limit, verdict = "", ""
	case !good:
		verdict = "MISSED"
	}
	tb.rows = append(tb.rows, row{what, figure(o, unit), figure(th, unit),
		fmt.Sprintf("%.2f (%.2f-%.2f)", ratio, pairs[len(pairs)/4], pairs[len(pairs)*3/4]), limit, verdict})
	fmt.Println("measured:", tb.rows[len(tb.rows)-1])
}

// absolute adds a figure with an upper limit; 0 for none.
func (tb *table) absolute(what string, value, limit float64, unit string) {
	target, verdict := fmt.Sprintf("≤ %g %s", limit, unit), "met"
	switch {
	case limit == 0:
		target, verdict = "", ""
	case value > limit:
		verdict = "MISSED"
	}
	tb.rows = append(tb.rows, row{what, figure(value, unit), "", "", target, verdict})
}

// atLeast adds a figure with a lower limit.
func (tb *table) atLeast(what string, value, limit float64, unit string) {
	verdict := "met"
	if value < limit {
		verdict = "MISSED"
	}
	tb.rows = append(tb.rows, row{what, figure(value, unit), "", "", fmt.Sprintf("≥ %g %s", limit, unit), verdict})
	fmt.Println("measured:", tb.rows[len(tb.rows)-1])
}

// figure writes three digits, and no exponent.
func figure(v float64, unit string) string {
	if v >= 100 {
		return strings.TrimSpace(fmt.Sprintf("%.0f %s", v, unit))
	}
	return strings.TrimSpace(fmt.Sprintf("%.3g %s", v, unit))
}

func (tb *table) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tSALLYPORT\tAGAINST\tRATIO (MIDDLE HALF)\tTARGET\t")
	for _, r := range tb.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.what, r.ours, r.theirs, r.ratio, r.target, r.verdict)
	}
	_ = w.Flush()
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// wanted reports whether a list that a flag gave names something; an empty one names all.
func wanted(list, what string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), what)
}

// TestTable measures everything and prints the table. It fails when something cannot
// be measured, not when a target is missed: a busy machine is no bug.
func TestTable(t *testing.T) {
	ssh, _ := exec.Command("ssh", "-V").CombinedOutput()
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("%s, %d processors, %s, %s; load before: %s\n", time.Now().UTC().Format(time.DateTime), runtime.NumCPU(), runtime.Version(), strings.TrimSpace(string(ssh)), load)
	fmt.Printf("bulk %d MiB × %d, openings × %d, keystrokes × %d, all in turns; no randomness but the keys'; every path aes128-gcm.\n", *size, *rounds, *opens, *keys)
	tb := &table{}
	for _, part := range []struct {
		name string
		run  func(*testing.T, *table)
	}{
		{"ssh", compareSSH}, {"recorder", compareRecorder}, {"idle", idleAgents}, {"grant", grantVerification}, {"audit", auditLog},
		{"screens", screens},
	} {
		if wanted(*only, part.name) {
			part.run(t, tb)
		}
	}
	load, _ = os.ReadFile("/proc/loadavg")
	fmt.Printf("load after: %s\n", load)
	tb.print()
}
