package main

import (
	"time"

	"github.com/sallyport/sallyport/session/grant"
)

// zoneOf is the time zone of a scanner's site. One that this machine does not know
// is UTC, and shows as such.
func zoneOf(zone string) *time.Location {
	if loc, err := time.LoadLocation(zone); err == nil {
		return loc
	}
	return time.UTC
}

// moment reads what a person typed: RFC 3339, a day and a time at the site, or a
// time alone, which is the next one after a given moment.
func moment(flag, text string, zone *time.Location, after time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.Truncate(time.Second), nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04"} {
		t, err := time.ParseInLocation(layout, text, zone)
		if err != nil {
			continue
		}
		if t.Format(layout) != text {
			return t, usage("--%s: the clocks skip %.20s on that day in %s", flag, text, zone).WithNext("Choose another time, or write it as 2026-11-24T18:30:00+01:00.")
		}
		return t, nil
	}
	if clock, err := time.Parse("15:04", text); err == nil {
		day := after.In(zone)
		for n := range 2 {
			t := time.Date(day.Year(), day.Month(), day.Day()+n, clock.Hour(), clock.Minute(), 0, 0, zone)
			if t.After(after) {
				return t, nil
			}
		}
	}
	return time.Time{}, usage("--%s: %.40q is not a time", flag, text).
		WithNext("Write \"2026-11-24 18:30\" or \"18:30\" in the site's time zone (" + zone.String() + "), or 2026-11-24T18:30:00+01:00.")
}

// ends reads --from and --until. What is not given is zero.
func ends(from, until, zone string, now time.Time) (begin, end time.Time, err error) {
	loc := zoneOf(zone)
	begin = now
	if from != "" {
		if begin, err = moment("from", from, loc, now); err != nil {
			return begin, end, err
		}
		if begin.Before(now) {
			begin = now
		}
	}
	if until != "" {
		if end, err = moment("until", until, loc, begin); err != nil {
			return begin, end, err
		}
		if !end.After(begin) {
			return begin, end, usage("The window ends before it begins, or is over").WithNext("Write --from and --until in the site's time zone (" + loc.String() + ").")
		}
	}
	return begin, end, nil
}

// frame makes the window of a request and the session in it. What is unsaid is as much
// as is usual and offered: four hours from now for an hour's session.
func frame(w newRequest, o grant.Offer, zone string, now time.Time) (begin, end time.Time, longest time.Duration, err error) {
	longest = w.longest
	if longest == 0 {
		longest = min(time.Hour, o.Longest)
	}
	if longest < time.Second || longest%time.Second != 0 {
		return begin, end, longest, usage("A session lasts whole seconds, at least one").WithNext("Write --for 30m, for example.")
	}
	if begin, end, err = ends(w.from, w.until, zone, now); err != nil {
		return begin, end, longest, err
	}
	if end.IsZero() {
		end = begin.Add(min(max(window, longest), o.Window))
	}
	switch wide := end.Sub(begin).Truncate(time.Second); {
	case wide < longest && w.longest != 0 && longest <= o.Longest:
		return begin, end, longest, usage("The window is shorter than the session").WithNext("Ask with --for " + short(wide) + " or less.")
	case wide < longest && w.longest == 0:
		longest = wide
	}
	return begin, end, longest, nil
}

// both is t as the reader's clock says it, with the site's beside it where it differs.
func (p *program) both(t time.Time, zone string) string {
	here := p.local(t)
	if zone == "" || t.IsZero() {
		return here
	}
	there, mine := t.In(zoneOf(zone)), t.In(p.zone())
	if there.Format("2 15:04") == mine.Format("2 15:04") {
		return here
	}
	layout := "15:04 MST"
	if there.Format(time.DateOnly) != mine.Format(time.DateOnly) {
		layout = "2 Jan 15:04 MST"
	}
	return here + ", " + there.Format(layout) + " at the site"
}
