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
	s.mu.Lock()
	defer s.mu.Unlock()
	j := append(s.state.journal, event{s.cfg.Now(), severity, source, code, ascii(text)})
	s.state.journal = j[max(0, len(j)-maxJournal):]
}

// template makes an event's text from a random number.
type template struct {
	modality       string // "": every one
	severity       string
	source, code   string
	format         string
	first, spread  float64 // the number in the format
	wantsSecondInt int     // > 0: a second number in [1, this]
}

func templates() []template {
	return []template{
		{"", "I", "SRV", "SRV_004", "Heartbeat ok, %.0f processes", 112, 14, 0},
		{"", "I", "NET", "DCM_101", "Association from NGH_RIS accepted, %.0f ms", 18, 60, 0},
		{"", "I", "DB", "DB_010", "Raw data cleaned up in %.0f s", 41, 80, 0},
		{"", "I", "ACQ", "ACQ_201", "Patient registered DOE^JANE PID T-000123, protocol %.0f", 2, 9, 0},
		{"", "I", "ACQ", "ACQ_210", "Series %.0f completed, %d images", 2, 5, 640},
		{"", "I", "NET", "DCM_110", "Storage commit ok NGH_PACS:104, %.0f instances", 80, 500, 0},
		{"", "W", "NET", "DCM_118", "Storage commit timeout NGH_PACS:104 after %.0f s", 30, 30, 0},
		{"", "W", "DB", "DB_071", "Raw data partition %.0f %%", 88, 7, 0},
		{"", "W", "UPS", "UPS_006", "Input voltage dip, on battery for %.0f s", 1, 5, 0},
		{"", "E", "DB", "DB_092", "Recon queue stalled, raw data partition %.0f %%", 95, 3, 0},
		{"CT", "I", "XRAY_GEN", "CT_WARM_002", "Tube warm-up finished, anode heat %.0f %%", 18, 12, 0},
		{"CT", "W", "DMS", "CT_DMS_055", "Temperature gradient %.1f C over 3.0", 3.1, 1.2, 0},
		{"CT", "E", "XRAY_GEN", "CT_ARC_417", "Tube arc detected, kV drop %.0f, scan aborted (patient scan %d/5)", 22, 30, 5},
		{"PT", "I", "DET", "PDT_001", "Block normalisation checked, chi2 %.2f", 0.92, 0.25, 0},
		{"PT", "W", "COOL", "CT_FLOW_022", "Coolant flow %.1f L/min below 10.0", 8.7, 1.2, 0},
		{"PT", "E", "DET", "PDT_033", "Block 57 temperature %.1f C", 28.3, 1.4, 0},
		{"MR", "I", "MAG", "MR_HE_001", "Helium level %.1f %%", 82, 9, 0},
		{"MR", "W", "MAG", "MR_PRS_014", "Vessel pressure %.2f psia above 15.90", 15.91, 0.2, 0},
		{"MR", "W", "GRAD", "MR_GPA_031", "Amplifier temperature %.1f C, duty reduced", 46, 8, 0},
		{"MR", "E", "RF", "MR_RF_209", "Reflected power %.0f %%, sequence stopped (slice %d/24)", 12, 9, 24},
	}
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
	fits := slices.DeleteFunc(templates(), func(t template) bool {
		return t.severity != severity || t.modality != "" && !s.is(t.modality)
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
	s.mu.Lock()
	for _, e := range s.state.journal {
		if wanted(e) && !e.at.Before(from) {
			out = append(out, e)
		}
	}
	s.mu.Unlock()
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
