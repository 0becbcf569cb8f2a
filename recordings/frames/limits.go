package frames

import "github.com/sallyport/sallyport/session"

const (
	// Tile is the side of a tile in pixels.
	Tile = session.ConsoleTile

	// MaxSide and MaxPixels bound a screen.
	MaxSide   = session.LargestConsoleSide
	MaxPixels = session.LargestConsole

	// MaxCursor bounds the sides of a cursor.
	MaxCursor = session.LargestCursor

	// MaxScreen bounds a screen in a snapshot, unpacked.
	MaxScreen = 5 + 8 + 4*MaxCursor*MaxCursor + 3*MaxPixels + 4*(MaxSide/Tile)*(MaxSide/Tile)

	mostColours = 253             // what is above says something else
	mostTile    = 1 + 3*Tile*Tile // bytes
	window      = 8 << 20         // of a packed screen
)
