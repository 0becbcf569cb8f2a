package lamp

import "time"

// Bounds of a lamp.
const (
	lightTime  = 2 * time.Second // in which it must light
	againEvery = 5 * time.Second // it is set again
	blinkEvery = time.Second / 2 // it changes, while an alarm rings
)
