package engine

import (
	"testing"
	"time"
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
