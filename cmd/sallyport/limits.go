package main

import "time"

const (
	maxAssets      = 10_000           // of the largest catalogue that is shown
	completionTime = 2 * time.Second  // for the shell's completion: somebody pressed Tab
	followEvery    = time.Second      // between two questions whether there is more
	signInTime     = 5 * time.Minute  // for a person at the browser
	accessEvery    = 15 * time.Second // between two questions whether a session is there still
	innerTime      = 15 * time.Second // for the agent to show its key
	maxStood       = 20               // recordings of a session of which show tells how the scanner stood
	maxTyped       = 4 << 10          // bytes that are read of who types the operator's code
	renewBefore    = 2 * time.Minute  // the end of the leave to watch, it is asked for again
	decideTime     = 30 * time.Minute // for an approver at the approval page

	// window is how long a request stays good: an approver may be slow, and nobody
	// loses session time to that.
	window = 4 * time.Hour
)

// How a console's video is made.
const (
	videoRate  = 10                     // pictures a second
	videoPause = 500 * time.Millisecond // longer ones are cut short
)
