package simulator

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed gauges.txt events.txt patients.txt
var tables embed.FS

// book is what a scanner measures and what happens to it.
type book struct {
	gauges    []gauge
	templates []template
	patients  []patient
}

// patient is one of the console's list. None of them lives.
type patient struct{ name, id, born, sex, exam string }

// readBook reads the tables that this package embeds. free is how many GB are free on the
// disk of raw data.
func readBook(free float64) (b book, err error) {
	err = eachRow("gauges.txt", func(f []string) error {
		g := gauge{table: f[0], modality: f[1], name: f[2], unit: f[3]}
		_, err := fmt.Sscan(strings.Join(f[4:], " "), &g.lo, &g.hi, &g.digits, &g.warnLow, &g.warnTop)
		if strings.HasPrefix(g.name, "Free, ") {
			g.lo, g.hi = free+g.lo, free+g.hi
		}
		b.gauges = append(b.gauges, g)
		return err
	})
	if err != nil {
		return b, err
	}
	err = eachRow("patients.txt", func(f []string) error {
		b.patients = append(b.patients, patient{f[0], f[1], f[2], f[3], f[4]})
		return nil
	})
	if err != nil {
		return b, err
	}
	return b, eachRow("events.txt", func(f []string) error {
		t := template{modality: f[0], severity: f[1], source: f[2], code: f[3], format: f[7]}
		_, err := fmt.Sscan(strings.Join(f[4:7], " "), &t.first, &t.spread, &t.wantsSecondInt)
		b.templates = append(b.templates, t)
		return err
	})
}

// eachRow hands over the fields of each line that is no remark.
func eachRow(name string, take func(fields []string) error) error {
	text, err := tables.ReadFile(name)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if err := take(strings.Split(strings.TrimSuffix(line, "\n"), "|")); err != nil {
			return fmt.Errorf("%s: %q: %w", name, line, err)
		}
	}
	return nil
}
