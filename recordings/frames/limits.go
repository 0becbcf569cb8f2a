package frames

import "github.com/sallyport/sallyport/session"

const (
	// Tile is the side of a tile in pixels.
	Tile = 64

	// MaxSide and MaxPixels bound a screen.
	MaxSide   = 8192
	MaxPixels = 3840 * 2400

	// MaxCursor bounds the sides of a cursor.
	MaxCursor = session.LargestCursor

	// MaxScreen bounds a screen in a snapshot, unpacked.
	MaxScreen = 5 + 8 + 4*MaxCursor*MaxCursor + 3*MaxPixels + 4*(MaxSide/Tile)*(MaxSide/Tile)

	mostColours = 64
	mostTile    = 1 + 3*Tile*Tile // bytes
	window      = 8 << 20         // of a packed screen
)
