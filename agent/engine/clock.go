package engine

import "time"

// clock reads the three clocks by which a session can end.
type clock struct{ wall func() time.Time }

// reading is one look at all three.
type reading struct {
	wall time.Time     // may be set by anyone
	mono time.Time     // stands still while the machine sleeps
	boot time.Duration // since boot, sleep included
}

func (c clock) read() reading {
	return reading{wall: c.wall().Round(0), mono: time.Now(), boot: sinceBoot()}
}

// countdown is the way to one deadline. The earliest of the three clocks ends it, so
// no clock that is set back and no sleep prolongs a session.
type countdown struct {
	deadline time.Time
	start    reading
}

// left is how much time the strictest clock leaves.
func (c countdown) left(now reading) time.Duration {
	total := c.deadline.Sub(c.start.wall)
	return min(
		c.deadline.Sub(now.wall),
		total-now.mono.Sub(c.start.mono),
		total-(now.boot-c.start.boot),
	)
}
