// Package frames is how a console's screen stands in a recording: decoded pixels, in tiles of
// 64 x 64, so that no player needs the protocol that drew them.
//
// Numbers are big endian; a place is counted in tiles from the left top, row by row.
//
//	size     2 width, 2 height, 1 flags: bit 0 = masks hide some or all of it
//	tiles    one after another, in the order of their places: 1 column, 1 row, tile
//	cursor   2 hot x, 2 hot y, 2 width, 2 height, 4 a pixel: alpha, red, green, blue
//	screen   size, cursor, then all tiles, without their places
//
//	tile     1 form, and what it says:
//	         0    3 bytes a pixel: red, green, blue
//	         1    one colour, 3 bytes
//	         n    2 to 253: n colours, then an index a pixel, of 1, 2, 4 or 8 bits, the first
//	              in the highest; each row begins a byte
//	         254  1 x, 1 y, 1 width, 1 height in pixels, then a form of 0 to 253 and what it
//	              says of a tile of that size: this box in the tile changed, and nothing else
//	         255  2 bytes: the tile is as the one of this number was, counted from 0 in the
//	              same event or screen
//
// A tile at the right or the bottom is as large as the screen leaves it. All tiles of one
// event are of one moment; an event holds what fits, and the next goes on.
//
// What an engineer does at a console stands in input events of its stream, sealed like all
// that is typed:
//
//	key      'K', 4 keysym, 4 XT scancode (0 = unknown), 1 down
//	pointer  'P', 2 x, 2 y, 2 buttons, in pixels
//	text     'C' and UTF-8 that was pasted; a long one goes on in events with 'c'
//
// Text that was copied out of the device stands in output events, in the same way.
//
// A snapshot's screen is packed (zstd), and may not be larger than MaxScreen.
package frames
