package recordings

import (
	"time"

	"github.com/sallyport/sallyport/session"
)

// Limits of the format. A reader refuses what exceeds them before allocating. Writer,
// spool, link, broker, vault, replay and verifier all go by MaxSegments: at 4 MiB each
// that is 4 TB, at one in ten seconds a third of a year.
const (
	MaxSegments     = 1_000_000                // six digits of a part's name
	MaxSegmentPlain = 8 << 20                  // plain bytes of one segment
	MaxSegmentBytes = MaxSegmentPlain + 64<<10 // stored bytes of one segment
	MaxDocument     = 64 << 10                 // JSON of header or seal
	MaxPart         = MaxSegmentBytes + 1<<10  // any part
	MaxCompanion    = 32 << 20                 // papers, receipts

	// A segment has room for its events, of at most bulkBytes, its heads, and this: a console
	// of 1920 x 1080 that is drawn as a GUI packs to less than 100 KiB, with several pictures
	// of a scanner to less than 2 MiB. A photograph that fills it is larger, and has none.
	maxSnapshot  = 3 << 20 // one stream's
	maxSnapshots = 3 << 20 // all of a segment
	maxFrameData = session.MaxEventData + sealOverhead
	inputKeySize = 32        // bytes, of AES-256
	sealOverhead = 16        // bytes that a sealed event is longer
	zstdWindow   = 512 << 10 // of the writer
)

// How the writer works, where Options do not say otherwise.
const (
	segmentBytes = 1 << 20          // plain bytes after which a segment ends …
	bulkBytes    = 4 << 20          // … or these, while it filled within bulkTime
	bulkTime     = time.Second      //
	segmentTime  = 10 * time.Second // after which it ends whatever it holds
	headEvery    = time.Second

	// A group of writes is synced when this much time passed since its first. A power cut
	// may lose what was not yet synced; a killed process loses nothing. A strict durability,
	// where input waits for its sync, needs no change of the format, only a wait in Record.
	syncEvery = 50 * time.Millisecond

	// Segments that ended and are not closed yet. Beyond either bound Record waits for
	// the disk: the session slows, and nothing is skipped.
	maxUnclosedBytes = 32 << 20
	maxUnclosed      = 64

	// Bytes of segments that are not drawn yet. A recorder that is further behind draws
	// the terminals that are open no more; nothing else notices.
	maxUndrawn = 64 << 20

	// A console's screen is drawn again once this many times its bytes were recorded since it
	// was, so that drawing costs little where little happens, and after so many segments at
	// the latest, which is what a player reads at the most to begin.
	consoleEvery    = 4
	consoleSegments = 120

	probeBytes = 16 << 10 // of a segment that are packed, at three places, to see whether it shrinks
)
