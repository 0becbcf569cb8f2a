package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// The earliest of three clocks counts, so none that is set back or stands still
// prolongs a session, and one that is set forward ends it.
func TestCountdown(t *testing.T) {
	start := reading{wall: time.Unix(1000, 0), mono: time.Unix(5, 0), boot: 7 * time.Second}
	c := countdown{deadline: time.Unix(1100, 0), start: start}
	at := func(wall, mono, boot int) reading {
		return reading{start.wall.Add(time.Duration(wall) * time.Second), start.mono.Add(time.Duration(mono) * time.Second), start.boot + time.Duration(boot)*time.Second}
	}
	for _, test := range []struct {
		now  reading
		left time.Duration
	}{
		{at(0, 0, 0), 100 * time.Second}, {at(10, 10, 10), 90 * time.Second},
		{at(-3600, 100, 100), 0}, {at(100, 0, 0), 0}, {at(3600, 1, 1), -3500 * time.Second},
		{at(0, 0, 99), time.Second}, {at(-86400, 40, 101), -time.Second}, {at(50, 60, 40), 40 * time.Second},
	} {
		if got := c.left(test.now); got != test.left {
			t.Errorf("%+v: %v left, want %v", test.now, got, test.left)
		}
	}
}

// A session over the night on which the clocks are changed is as long as any other, and
// so is what the warnings say is left.
func TestCountdownOverTheClockChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []time.Time{
		time.Date(2026, 10, 25, 1, 30, 0, 0, berlin), // 02:00 to 03:00 comes twice
		time.Date(2027, 3, 28, 1, 30, 0, 0, berlin),  // and never
	} {
		deadline := session.Deadline(from, 2*time.Hour, from.Add(8*time.Hour))
		c := countdown{deadline: deadline, start: reading{wall: from}}
		st := liveState{coming: warnings()}
		var said []string
		for gone := time.Duration(0); gone <= 2*time.Hour; gone += time.Minute {
			left := c.left(reading{wall: from.Add(gone).In(berlin), mono: time.Time{}.Add(gone), boot: gone})
			if left != 2*time.Hour-gone {
				t.Errorf("%v after %v: %v left", gone, from, left)
			}
			for _, d := range st.due(left) {
				said = append(said, from.Add(gone).UTC().Format("15:04 ")+warning(d))
			}
		}
		end := deadline.UTC()
		want := []string{end.Add(-15*time.Minute).Format("15:04 ") + "This session ends in 15 minutes.",
			end.Add(-5*time.Minute).Format("15:04 ") + "This session ends in 5 minutes.", end.Add(-time.Minute).Format("15:04 ") + "This session ends in 1 minute."}
		if !slices.Equal(said, want) {
			t.Errorf("from %v: %q, want %q", from, said, want)
		}
	}
}
