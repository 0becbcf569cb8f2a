package rfb

import (
	"time"

	"github.com/sallyport/sallyport/session/palette"
)

const (
	// MaxEncodings is how many encodings a viewer may name.
	MaxEncodings = 1024
	// MaxCut bounds a clipboard message, both ways, as it stands on the wire.
	MaxCut = 1 << 20
	// MaxName bounds a desktop's name.
	MaxName = 256
	// MaxFence is the protocol's own bound of a fence's payload.
	MaxFence = 64

	// greeting bounds the handshake, from the first byte to ClientInit.
	greeting = 30 * time.Second
	// patience bounds one write to a viewer that takes nothing.
	patience = 60 * time.Second

	// tightSide is the widest rectangle that Tight may have (rfbproto, Tight Encoding).
	tightSide = 2048
	// mostColours of a rectangle are indexed; more are sent as they are. A picture of a
	// scanner is grey, and has no more.
	mostColours = palette.Most
	// sentBytes of an update are written at once, and no more of it waits for who is slow.
	sentBytes = 256 << 10
	// strip is how many pixels are encoded as one rectangle at most.
	strip = 256 << 10
)
