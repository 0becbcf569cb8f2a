package frames

import (
	"encoding/binary"
	"image"

	"github.com/sallyport/sallyport/session"
)

const (
	formPixels = 0
	formOne    = 1
	formSame   = 255
)

// errTile is what every tile is that cannot be.
var errTile = session.Errorf(session.Invalid, "a tile of the screen is malformed")

// tileAt are the pixels of a tile's place on a screen of this size.
func tileAt(size, at image.Point) image.Rectangle {
	r := image.Rectangle{Min: at.Mul(Tile), Max: at.Add(image.Pt(1, 1)).Mul(Tile)}
	return r.Intersect(image.Rectangle{Max: size})
}

// grid is how many tiles a screen of this size has, across and down.
func grid(size image.Point) image.Point {
	return image.Pt((size.X+Tile-1)/Tile, (size.Y+Tile-1)/Tile)
}

// pixels are a tile's, row by row, from a screen's 0x00RRGGBB.
func pixels(out []uint32, size image.Point, pix []uint32, at image.Point) []uint32 {
	r := tileAt(size, at)
	out = out[:0]
	for y := r.Min.Y; y < r.Max.Y; y++ {
		out = append(out, pix[y*size.X+r.Min.X:y*size.X+r.Max.X]...)
	}
	return out
}

// palette collects the colours of a tile.
type palette struct {
	colours []uint32
	index   map[uint32]uint8
}

// of is how many colours there are; 0 if more than mostColours.
func (p *palette) of(pix []uint32) int {
	if p.index == nil {
		p.index = make(map[uint32]uint8, mostColours)
	}
	clear(p.index)
	p.colours = p.colours[:0]
	last := ^uint32(0)
	for _, c := range pix {
		if c == last {
			continue
		}
		last = c
		if _, known := p.index[c]; known {
			continue
		}
		if len(p.colours) == mostColours {
			return 0
		}
		p.index[c] = uint8(len(p.colours))
		p.colours = append(p.colours, c)
	}
	return len(p.colours)
}

// bits are those of an index into so many colours.
func bits(colours int) int {
	switch {
	case colours <= 2:
		return 1
	case colours <= 4:
		return 2
	case colours <= 16:
		return 4
	}
	return 8
}

// put appends a tile of these pixels.
func (p *palette) put(b []byte, pix []uint32, wide int) []byte {
	n := p.of(pix)
	if n == 0 {
		b = append(b, formPixels)
		for _, c := range pix {
			b = colour(b, c)
		}
		return b
	}
	b = append(b, byte(n))
	for _, c := range p.colours {
		b = colour(b, c)
	}
	if n == 1 {
		return b
	}
	each := bits(n)
	last, at := p.colours[0], uint8(0)
	for ; len(pix) > 0; pix = pix[wide:] {
		acc, have := uint16(0), 0
		for _, c := range pix[:wide] {
			if c != last {
				last, at = c, p.index[c]
			}
			acc = acc<<each | uint16(at)
			if have += each; have == 8 {
				b, acc, have = append(b, byte(acc)), 0, 0
			}
		}
		if have > 0 {
			b = append(b, byte(acc<<(8-have)))
		}
	}
	return b
}

func colour(b []byte, c uint32) []byte { return append(b, byte(c>>16), byte(c>>8), byte(c)) }

// take reads a tile into pix and returns what follows it; same is the number of the tile that
// it is as, or -1.
func take(b []byte, pix []uint32, wide int) (rest []byte, same int, err error) {
	if len(b) == 0 {
		return nil, -1, errTile
	}
	form, b := b[0], b[1:]
	switch {
	case form == formPixels:
		if len(b) < 3*len(pix) {
			return nil, -1, errTile
		}
		for i := range pix {
			pix[i] = uint32(b[3*i])<<16 | uint32(b[3*i+1])<<8 | uint32(b[3*i+2])
		}
		return b[3*len(pix):], -1, nil
	case form == formSame:
		if len(b) < 2 {
			return nil, -1, errTile
		}
		return b[2:], int(binary.BigEndian.Uint16(b)), nil
	case form > mostColours:
		return nil, -1, errTile
	}
	n := int(form)
	if len(b) < 3*n {
		return nil, -1, errTile
	}
	var colours [mostColours]uint32
	for i := range n {
		colours[i] = uint32(b[3*i])<<16 | uint32(b[3*i+1])<<8 | uint32(b[3*i+2])
	}
	b = b[3*n:]
	if n == formOne {
		for i := range pix {
			pix[i] = colours[0]
		}
		return b, -1, nil
	}
	each := bits(n)
	row := (wide*each + 7) / 8
	high := len(pix) / wide
	if len(b) < row*high {
		return nil, -1, errTile
	}
	for i := range pix {
		x, y := i%wide, i/wide
		at := b[y*row+x*each/8] >> (8 - each - x*each%8) & byte(1<<each-1)
		if int(at) >= n {
			return nil, -1, errTile
		}
		pix[i] = colours[at]
	}
	return b[row*high:], -1, nil
}
