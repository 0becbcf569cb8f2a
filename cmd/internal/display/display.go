// Package display puts text in front of people: tables, times, JSON, and above
// all nothing that a stranger could use to drive a terminal. Every string that
// came from a broker, an identity provider or a scanner goes through Clean (words)
// or a Filter (a replayed terminal) on its way out. It knows no nouns of the house.
package display

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/session/wording"
)

// JSON writes v indented, ending in a newline. Control and bidirectional
// characters that JSON would allow in clear are written as escapes.
func JSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	_, err := w.Write(wording.Escape(b.Bytes()))
	return err
}

// Table writes rows under a header, columns two spaces apart, the last one ragged.
// All cells are cleaned; an empty cell shows as "-".
func Table(w io.Writer, header []string, rows [][]string) error {
	all := make([][]string, 0, len(rows)+1)
	all = append(all, header)
	all = append(all, rows...)
	widths := make([]int, len(header))
	for i, row := range all {
		clean := make([]string, len(header))
		for j := range header {
			if j < len(row) {
				clean[j] = wording.Clean(row[j])
			}
			if clean[j] == "" {
				clean[j] = "-"
			}
			widths[j] = max(widths[j], utf8.RuneCountInString(clean[j]))
		}
		all[i] = clean
	}
	var b strings.Builder
	for _, row := range all {
		var line strings.Builder
		for j, cell := range row {
			line.WriteString(cell)
			if j < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Facts writes "name  value" lines, names aligned. Values are cleaned; a pair
// without a value is left out.
func Facts(w io.Writer, pairs [][2]string) error {
	width := 0
	for _, p := range pairs {
		if p[1] != "" {
			width = max(width, utf8.RuneCountInString(p[0]))
		}
	}
	var b strings.Builder
	for _, p := range pairs {
		if p[1] == "" {
			continue
		}
		fmt.Fprintf(&b, "%-*s  %s\n", width, p[0], wording.Clean(p[1]))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Clock shows a time as people say it: "12:46 (in 22 min)", with the day when it
// is not today's. Times are shown in now's zone.
func Clock(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(now.Location())
	shown := t.Format("15:04")
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		shown = t.Format("2 Jan 15:04")
		if t.Year() != now.Year() {
			shown = t.Format("2 Jan 2006 15:04")
		}
	}
	if t.Format("MST") != now.Format("MST") { // over a night on which the clocks are changed
		shown += t.Format(" MST")
	}
	d := t.Sub(now)
	switch {
	case d > 36*time.Hour, d < -36*time.Hour:
		return shown
	case d >= 0:
		return shown + " (in " + Span(d) + ")"
	default:
		return shown + " (" + Span(-d) + " ago)"
	}
}

// Span shows a duration in at most two units: "20 s", "22 min", "1 h 30 min".
func Span(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour && d%time.Minute != 0 && d < 10*time.Minute:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour && int(d.Minutes())%60 != 0:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	}
}

// Size shows a number of bytes.
func Size(n int64) string {
	const units = "kMGTP"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1000, 0
	for f >= 999.95 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	return fmt.Sprintf("%.1f %cB", f, units[i])
}
