package screen

import "github.com/sallyport/sallyport/session"

const (
	// MaxSide and MaxPixels bound a console. 3840 x 2400 is the largest that is served:
	// front and back of it take 74 MB at most, 46 MB where few colours are.
	MaxSide   = session.LargestConsoleSide
	MaxPixels = session.LargestConsole

	// MaxCursor bounds the sides of a cursor's picture.
	MaxCursor = session.LargestCursor

	// MaxViews bounds who looks at one screen.
	MaxViews = 32

	// MaxText bounds a clipboard's text, in bytes.
	MaxText = 256 << 10

	// maxHeld bounds the keys that one engineer holds down; more are not pressed.
	maxHeld = 64

	// cell is the side of the squares in which changes are counted.
	cell = 16

	// Tile is the side of the squares in which recordings keep a screen.
	Tile = session.ConsoleTile
)
