package agent

import "time"

const (
	maxSocket          = 94       // bytes of its path: sun_path has 108, and the console makes it under a longer name
	maxCheckpointsFile = 1 << 20  // bytes: the checkpoints of session.MaxNodes nodes, twice with evidence
	maxNodesFile       = 64 << 10 // bytes: session.MaxNodes names and keys

	sealAgain = 10 * time.Second // after a disk would not take a recording's seal

	// recentEnough is how long after its end a session is reported again at a
	// reconnection, in case the broker lost what it heard.
	recentEnough = 7 * 24 * time.Hour
)

// maxHeld is what all sessions hold of what is large, in bytes. It leaves a part of the
// unit's GOMEMLIMIT to everything else: configuration, identity providers, what is recorded
// and drawn, and whatever freezes, kills and seals, which asks nobody for room.
const maxHeld = 1200 << 20

const keepTimeEvery = 30 * time.Second // the highest time that was seen goes to the disk

const askTime = 10 * time.Second // for all identity providers of a new configuration to answer

const (
	standingsGap   = time.Second // between two reports of how scanners stand
	standingsEvery = time.Minute // they are told again: sources speak again, too
)

const pageAgain = 2 * time.Second // after a page with new settings could not open

const maxLooked = 100_000 // names in the state directory that check looks at

const (
	maxPast      = 50  // sessions of today on the agent's page
	maxShifts    = 12  // ends of shifts of a scanner
	pageWidth    = 960 // pixels of a picture there
	pictureEvery = 5   // seconds
)

const listenTime = 3 * time.Second // in which the doctor hears the sources of scanners' states, where no agent does
