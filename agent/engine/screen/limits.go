package screen

import (
	"time"

	"github.com/sallyport/sallyport/session/screen"
)

// PixelCost is what a pixel of the dearest picture takes of the agent's memory, in bytes: what
// is drawn, what is shown, what is about to be, and what tells the recording of it.
const PixelCost = 15

// Bounds of one console.
const (
	maxViewers = 8 // at a time, of the engineer
	maxSays    = 8 // remarks on a connection that who comes later is told

	// Pixels of a protocol's consoles; of all protocols, the agent's memory is the bound.
	maxSessionPixels = screen.MaxPixels
	maxVendorPixels  = 24 << 20
	maxAllPixels     = 40 << 20

	graceTime    = 60 * time.Second       // its viewers may all be away this long
	stallTime    = 10 * time.Second       // a viewer may take nothing this long
	sayEvery     = 2 * time.Second        // between two times that the same is said
	farewellTime = 600 * time.Millisecond // last words to viewers
)
