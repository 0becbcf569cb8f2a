package player

import "time"

const (
	segmentsAtOnce = 16 // that are read before it is asked whether to go on
	maxBack        = 64 // segments before a moment in which a begin is looked for: the recorder is never further behind
	headerTime     = 5 * time.Second
	maxHeader      = 32 << 10
	thumbSide      = 240 // of a thumbnail, in pixels
)
