package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// In the nights on which clocks are changed, a time that is skipped or shown twice is
// not guessed at; the next moment of a time of day is the next one, also then.
func TestTimesOfTheNightOfTheClockChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	utc := func(text string) time.Time {
		at, err := time.Parse("2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	before := utc("2026-10-24 20:00")
	for _, test := range []struct {
		text  string
		after time.Time
		want  string // in UTC, or what is said
	}{
		{"2026-10-25 01:59", before, "2026-10-24 23:59"},
		{"2026-10-25 02:00", before, "Write it as 2026-10-25T02:00:00+02:00 or 2026-10-25T02:00:00+01:00."},
		{"2026-10-25T02:59", before, "the clocks show 2026-10-25T02:59 twice on that day in Europe/Berlin"},
		{"2026-10-25 03:00", before, "2026-10-25 02:00"},
		{"2026-10-25T02:30:00+01:00", before, "2026-10-25 01:30"},
		{"02:30", before, "2026-10-25 00:30"},
		{"02:30", utc("2026-10-25 00:30"), "2026-10-25 01:30"},
		{"02:30", utc("2026-10-25 01:30"), "2026-10-26 01:30"},
		{"12:00", utc("2026-10-24 10:00"), "2026-10-25 11:00"},
		{"2027-03-28 01:59", before, "2027-03-28 00:59"},
		{"2027-03-28 02:00", before, "the clocks skip"},
		{"2027-03-28 02:59", before, "the clocks skip"},
		{"2027-03-28 03:00", before, "2027-03-28 01:00"},
		{"02:30", utc("2027-03-27 20:00"), "2027-03-29 00:30"},
		{"03:30", utc("2027-03-27 20:00"), "2027-03-28 01:30"},
		{"25:00", before, "is not a time"},
	} {
		got, err := moment("from", test.text, berlin, test.after)
		said := got.UTC().Format("2006-01-02 15:04")
		var e *session.Error
		if errors.As(err, &e) {
			said = e.Message + ". " + e.Next
		}
		if !strings.Contains(said, test.want) {
			t.Errorf("%q after %v: %s, want %s", test.text, test.after, said, test.want)
		}
	}
}
