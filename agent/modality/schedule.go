package modality

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Schedule is a hospital's hours with patients, week by week: "Mon-Fri 07:00-18:30". In
// them a scanner counts as one with a patient on the table, outside of them as idle.
type Schedule struct {
	zone  *time.Location
	hours []hours
	now   func() time.Time
}

// hours are days of the week and minutes of each of them.
type hours struct {
	days     [7]bool
	from, to int
}

// weekday is the number of a day by its short name.
func weekday(name string) int {
	return slices.Index([]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}, name)
}

// NewSchedule reads the hours with patients.
func NewSchedule(clinical []string, zone *time.Location, now func() time.Time) (*Schedule, error) {
	s := &Schedule{zone: zone, now: now}
	if len(clinical) == 0 || len(clinical) > maxHours {
		return nil, session.Errorf(session.Invalid, "between 1 and %d hours with patients can be given", maxHours)
	}
	for _, text := range clinical {
		h, ok := parseHours(text)
		if !ok {
			return nil, session.Errorf(session.Invalid, `%.40q are no hours: they look like "Mon-Fri 07:00-18:30"`, text)
		}
		s.hours = append(s.hours, h)
	}
	return s, nil
}

func parseHours(text string) (h hours, ok bool) {
	days, times, ok := strings.Cut(text, " ")
	first, last, span := strings.Cut(days, "-")
	if !span {
		last = first
	}
	i, j := weekday(first), weekday(last)
	if !ok || i < 0 || j < 0 {
		return h, false
	}
	for d := i; ; d = (d + 1) % 7 {
		h.days[d] = true
		if d == j {
			break
		}
	}
	var a, b, c, d int
	if _, err := fmt.Sscanf(times, "%d:%d-%d:%d", &a, &b, &c, &d); err != nil || fmt.Sprintf("%02d:%02d-%02d:%02d", a, b, c, d) != times {
		return h, false
	}
	h.from, h.to = a*60+b, c*60+d
	return h, b < 60 && d < 60 && h.from < h.to && h.to <= 24*60
}

// At is what the schedule says of a moment.
func (s *Schedule) At(t time.Time) (session.ModalityState, string) {
	local := t.In(s.zone)
	minute := local.Hour()*60 + local.Minute()
	for _, h := range s.hours {
		if h.days[local.Weekday()] && h.from <= minute && minute < h.to {
			return session.PatientOnTable, fmt.Sprintf("patients are seen until %02d:%02d", h.to/60, h.to%60)
		}
	}
	return session.ModalityIdle, "outside of the hours with patients"
}

// Run tells what the schedule says.
func (s *Schedule) Run(ctx context.Context, tell func(session.ModalityState, string)) error {
	tick := time.NewTicker(scheduleEvery)
	defer tick.Stop()
	for {
		tell(s.At(s.now()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
