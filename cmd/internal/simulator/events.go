package simulator

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// event is one line of the service log.
type event struct {
	at       time.Time
	severity string // E, W, I
	source   string
	code     string
	text     string
}

func (e event) String() string {
	return fmt.Sprintf("%s %s %s %s %s", e.at.UTC().Format("2006-01-02 15:04:05.000"), e.severity, e.source, e.code, e.text)
}

// record adds what people did to the log.
func (s *Scanner) record(severity, source, code, text string) {
	s.change(func(st *state) {
		j := append(st.journal, event{s.cfg.Now(), severity, source, code, ascii(text)})
		st.journal = j[max(0, len(j)-maxJournal):]
	})
}

// template makes an event's text from a random number; events.txt has them.
type template struct {
	modality       string // "": every one
	severity       string
	source, code   string
	first, spread  float64 // the number in the text
	wantsSecondInt int     // > 0: a second number in [1, this]
	format         string
}

// happened is the machine's own event of a slot, if there was one.
func (s *Scanner) happened(slot int64) (event, bool) {
	if s.part("event", slot) > 0.6 {
		return event{}, false
	}
	severity := "I"
	switch x := s.part("severity", slot); {
	case x > 0.9:
		severity = "E"
	case x > 0.66:
		severity = "W"
	}
	fits := slices.DeleteFunc(slices.Clone(s.book.templates), func(t template) bool {
		return t.severity != severity || !s.is(t.modality)
	})
	t := fits[s.draw("template", slot)%uint64(len(fits))]
	args := []any{t.first + t.spread*s.part("number", slot)}
	if t.wantsSecondInt > 0 {
		args = append(args, 1+s.draw("second", slot)%uint64(t.wantsSecondInt))
	}
	at := time.UnixMilli(slot*eventSlot.Milliseconds() + int64(s.draw("at", slot)%uint64(eventSlot.Milliseconds())))
	text := strings.ReplaceAll(fmt.Sprintf(t.format, args...), "NGH_", s.site()+"_")
	return event{at, t.severity, t.source, t.code, text}, true
}

// events lists the log from since until now, oldest first, of the given severities, and
// only the last n.
func (s *Scanner) events(now time.Time, since time.Duration, severities string, n int) []event {
	wanted := func(e event) bool { return strings.Contains(severities, e.severity) }
	from := now.Add(-since)
	var out []event
	s.change(func(st *state) {
		out = slices.DeleteFunc(slices.Clone(st.journal), func(e event) bool { return !wanted(e) || e.at.Before(from) })
	})
	for slot, found := now.UnixMilli()/eventSlot.Milliseconds(), 0; found < n; slot-- {
		if time.UnixMilli((slot + 1) * eventSlot.Milliseconds()).Before(from) {
			break
		}
		if e, ok := s.happened(slot); ok && wanted(e) && !e.at.Before(from) && !e.at.After(now) {
			out = append(out, e)
			found++
		}
	}
	slices.SortStableFunc(out, func(a, b event) int { return a.at.Compare(b.at) })
	return out[max(0, len(out)-n):]
}

// evlog prints the end of the log.
func evlog(_ context.Context, c *call) int {
	flags := flag.NewFlagSet("evlog", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	n := flags.Int("n", 50, "")
	sev := flags.String("sev", "EWI", "")
	since := flags.String("since", "24h", "")
	err := flags.Parse(c.args)
	span, spanErr := parseSpan(*since)
	severities := strings.ToUpper(*sev)
	if errors.Join(err, spanErr) != nil || flags.NArg() > 0 || *n < 1 || *n > maxEvents || strings.Trim(severities, "EWI,") != "" {
		return c.fail(statusUsage, "use evlog [-n 50] [-sev E] [-since 24h]; severities are E, W and I, spans end in m, h or d")
	}
	lines := c.s.events(c.s.cfg.Now(), span, severities, *n)
	for _, e := range lines {
		c.printf("%s\n", e)
	}
	if len(lines) == 0 {
		c.printf("no such events\n")
	}
	return 0
}

// parseSpan reads 90m, 24h or 7d.
func parseSpan(s string) (time.Duration, error) {
	factor := time.Duration(1)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		s, factor = days+"h", 24
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, err
	}
	if d <= 0 || d > maxSince/factor {
		return 0, errors.New("out of range")
	}
	return d * factor, nil
}
