package simulator

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"time"
)

// draw is a fixed random number for a name of things: the same seed and asset give the
// same scanner.
func (s *Scanner) draw(parts ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, s.cfg.Seed, s.cfg.Asset.Name)
	for _, p := range parts {
		fmt.Fprintf(h, "/%v", p)
	}
	x := h.Sum64() // finished by splitmix64: FNV alone is too regular in its high bits
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// part is draw as a fraction in [0, 1).
func (s *Scanner) part(parts ...any) float64 { return float64(s.draw(parts...)>>11) / (1 << 53) }

// wander is a value that moves between lo and hi: two slow waves and a little noise that
// changes every ten seconds.
func (s *Scanner) wander(name string, lo, hi float64, t time.Time) float64 {
	sec := float64(t.UnixMilli()) / 1000
	wave := func(kind string, shortest, spread float64) float64 {
		period := shortest + spread*s.part(name, kind, "period")
		return math.Sin(2 * math.Pi * (sec/period + s.part(name, kind, "phase")))
	}
	noise := 2*s.part(name, "noise", t.Unix()/10) - 1
	x := 0.55*wave("slow", 3*3600, 6*3600) + 0.35*wave("fast", 11*60, 36*60) + 0.1*noise
	return lo + (hi-lo)*(0.5+0.5*x)
}

// counter is a number that only grows: from base at the start of 2026.
func (s *Scanner) counter(base int64, perDay float64, t time.Time) int64 {
	days := t.Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).Hours() / 24
	return base + int64(max(0, days)*perDay)
}

// gauge is one measured quantity with its usual range and its limits; zero limits are
// none. gauges.txt has them.
type gauge struct {
	table, modality  string
	name, unit       string
	lo, hi           float64
	digits           int
	warnLow, warnTop float64
}

// row is one line of a table that is shown: a value, its limit and its state.
type row struct{ name, value, unit, limit, state string }

func (s *Scanner) read(g gauge, t time.Time) row {
	scale := math.Pow10(g.digits)
	v := math.Round(s.wander(g.name, g.lo, g.hi, t)*scale)/scale + 0 // no negative zero
	r := row{name: g.name, value: fmt.Sprintf("%.*f", g.digits, v), unit: g.unit, state: "OK", limit: "-"}
	num := func(x float64) string { return fmt.Sprintf("%.*f", g.digits, x) }
	switch {
	case g.warnLow != 0 && g.warnTop != 0:
		r.limit = num(g.warnLow) + " .. " + num(g.warnTop)
	case g.warnLow != 0:
		r.limit = ">= " + num(g.warnLow)
	case g.warnTop != 0:
		r.limit = "<= " + num(g.warnTop)
	}
	if g.warnLow != 0 && v < g.warnLow || g.warnTop != 0 && v > g.warnTop {
		r.state = "WARN"
	}
	return r
}

// table prints a headed table with aligned columns.
func (c *call) table(title string, rows []row) {
	c.heading(title)
	c.printf("%-34s %12s %-6s %-16s %s\n", "QUANTITY", "VALUE", "UNIT", "LIMIT", "STATE")
	warn := 0
	for _, r := range rows {
		c.printf("%-34s %12s %-6s %-16s %s\n", r.name, r.value, r.unit, r.limit, r.state)
		if r.state != "OK" {
			warn++
		}
	}
	if warn == 0 {
		c.printf("%d values, all within limits\n", len(rows))
	} else {
		c.printf("%d values, %d outside limits\n", len(rows), warn)
	}
}

func (c *call) heading(title string) {
	c.printf("%s  %s  %s  %s\n", title, c.s.cfg.Asset.Name, ascii(c.s.cfg.Asset.Label),
		c.s.cfg.Now().UTC().Format("2006-01-02 15:04:05 UTC"))
}

// is reports whether the asset has a modality: "PT/CT" is PT and CT, and "" is every one.
func (s *Scanner) is(modality string) bool {
	if modality == "" {
		return true
	}
	for m := range strings.SplitSeq(s.cfg.Asset.Modality, "/") {
		if strings.EqualFold(strings.TrimSpace(m), modality) {
			return true
		}
	}
	return false
}

// rows reads the gauges of a table that the asset has.
func (s *Scanner) rows(table string, t time.Time) []row {
	var out []row
	for _, g := range s.book.gauges {
		if g.table == table && s.is(g.modality) {
			out = append(out, s.read(g, t))
		}
	}
	return out
}

// mode is what the modality is doing, in the words of the house.
type mode struct {
	name  string
	since time.Time
	table string
	next  time.Time
}

// modality follows a day's list: a patient every half hour between 07:00 and 18:00 UTC,
// with gaps, and an idle machine otherwise.
func (s *Scanner) modality(t time.Time) mode {
	t = t.UTC()
	start := t.Truncate(30 * time.Minute)
	m := mode{name: "clinical_idle", since: start, table: "home, unloaded", next: s.nextExam(start)}
	if !s.booked(start) {
		for i := 0; i < 48 && !s.booked(m.since.Add(-30*time.Minute)); i++ {
			m.since = m.since.Add(-30 * time.Minute)
		}
		return m
	}
	switch minute := t.Sub(start).Minutes(); {
	case minute < 4:
		m.name, m.table = "patient_on_table", "loaded, out of bore"
	case minute < 16:
		m.name, m.table, m.since = "scanning", "loaded, in bore", start.Add(4*time.Minute)
	case minute < 20:
		m.name, m.table, m.since = "patient_on_table", "loaded, out of bore", start.Add(16*time.Minute)
	default:
		m.since = start.Add(20 * time.Minute)
	}
	return m
}

func (s *Scanner) booked(slot time.Time) bool {
	return slot.Hour() >= 7 && slot.Hour() < 18 && s.draw("booked", slot.Unix())%4 != 0
}

func (s *Scanner) nextExam(slot time.Time) time.Time {
	for range 96 {
		if slot = slot.Add(30 * time.Minute); s.booked(slot) {
			break
		}
	}
	return slot
}

// ascii keeps printable ASCII without the characters that quoting or markup would
// change; the rest becomes a full stop.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || strings.ContainsRune("\"'`\\<>", r) {
			return '.'
		}
		return r
	}, s)
}
