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
		shown, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		switch all := moments(shown, zone); len(all) {
		case 0:
			return time.Time{}, usage("--%s: the clocks skip %.20s on that day in %s", flag, text, zone).WithNext("Choose another time, or write it as 2026-11-24T18:30:00+01:00.")
		case 1:
			return all[0], nil
		default:
			return time.Time{}, usage("--%s: the clocks show %.20s twice on that day in %s", flag, text, zone).
				WithNext("Write it as " + all[0].Format(time.RFC3339) + " or " + all[1].Format(time.RFC3339) + ".")
		}
	}
	if clock, err := time.Parse("15:04", text); err == nil {
		day := after.In(zone)
		for n := range 3 { // one day may skip it
			for _, t := range moments(time.Date(day.Year(), day.Month(), day.Day()+n, clock.Hour(), clock.Minute(), 0, 0, time.UTC), zone) {
				if t.After(after) {
					return t, nil
				}
			}
		}
	}
	return time.Time{}, usage("--%s: %.40q is not a time", flag, text).
		WithNext("Write \"2026-11-24 18:30\" or \"18:30\" in the site's time zone (" + zone.String() + "), or 2026-11-24T18:30:00+01:00.")
}

// moments are those at which the clocks of a zone show a day and a time, here written
// as if of UTC: none if they are set forward over it, two if they are set back.
func moments(shown time.Time, zone *time.Location) []time.Time {
	const day = 24 * time.Hour
	var all []time.Time
	for _, near := range []time.Time{shown.Add(-day), shown.Add(day)} {
		_, offset := near.In(zone).Zone()
		t := shown.Add(-time.Duration(offset) * time.Second).In(zone)
		if t.Format(time.DateTime) == shown.Format(time.DateTime) && (len(all) == 0 || !t.Equal(all[0])) {
			all = append(all, t)
		}
	}
	return all
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
