package screen

import (
	"time"

	"github.com/sallyport/sallyport/session/screen"
)

// Bounds of one console.
const (
	maxViewers = 8 // at a time, of the engineer
	maxSays    = 8 // remarks on a connection that who comes later is told

	// Pixels of a protocol's consoles; of all protocols, the agent's memory is the bound.
	maxSessionPixels = screen.MaxPixels
	maxVendorPixels  = 24 << 20
	maxAllPixels     = 40 << 20
	pixelCost        = 15 // bytes of the dearest picture: what is drawn, what is shown, what is about to be, and what tells the recording of it

	graceTime    = 60 * time.Second       // its viewers may all be away this long
	stallTime    = 10 * time.Second       // a viewer may take nothing this long
	sayEvery     = 2 * time.Second        // between two times that the same is said
	farewellTime = 600 * time.Millisecond // last words to viewers
)
