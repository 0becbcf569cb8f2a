package desktop

import "time"

const (
	maxViewers = 8               // at a time; the agent takes as many
	guessTime  = 2 * time.Second // after a wrong password
)
