package frames

import (
	"image"
	"slices"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/palette"
)

const (
	formPixels = 0
	formOne    = 1
	formBox    = 254
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

// pixels are those of a part of a screen, row by row.
func pixels(out []uint32, size image.Point, pix []uint32, r image.Rectangle) []uint32 {
	out = out[:0]
	for y := r.Min.Y; y < r.Max.Y; y++ {
		out = append(out, pix[y*size.X+r.Min.X:y*size.X+r.Max.X]...)
	}
	return out
}

// changed is the smallest box in r outside of which two screens are the same; it is empty
// where they are the same in all of r. Rows are looked through from both ends, and what is
// known to be inside the box is not looked at.
func changed(size image.Point, was, pix []uint32, r image.Rectangle) image.Rectangle {
	rows := func(y, from, to int) (a, b []uint32) {
		at := y*size.X + r.Min.X
		return was[at+from : at+to], pix[at+from : at+to]
	}
	same := func(y int) bool {
		a, b := rows(y, 0, r.Dx())
		if len(a) == Tile { // compared at once
			return *(*[Tile]uint32)(a) == *(*[Tile]uint32)(b)
		}
		return slices.Equal(a, b)
	}
	top, bottom := r.Min.Y, r.Max.Y
	for top < bottom && same(top) {
		top++
	}
	if top == bottom {
		return image.Rectangle{}
	}
	for same(bottom - 1) {
		bottom--
	}
	left, right := r.Dx(), 0
	for y := top; y < bottom && (left > 0 || right < r.Dx()); y++ {
		if a, b := rows(y, 0, left); !slices.Equal(a, b) {
			left = differ(a, b)
		}
		a, b := rows(y, right, r.Dx())
		for n := len(a); n > 0; n-- {
			if a[n-1] != b[n-1] {
				right += n
				break
			}
		}
	}
	return image.Rect(r.Min.X+left, top, r.Min.X+right, bottom)
}

// differ is the first place where two rows that are not the same differ.
func differ(a, b []uint32) int {
	at := 0
	for a[at] == b[at] {
		at++
	}
	return at
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
func put(b []byte, p *palette.Palette, pix []uint32, wide int) []byte {
	n := p.Of(pix, mostColours)
	if n == 0 {
		b = append(b, formPixels)
		for _, c := range pix {
			b = colour(b, c)
		}
		return b
	}
	b = append(b, byte(n))
	for _, c := range p.Colours {
		b = colour(b, c)
	}
	if n == 1 {
		return b
	}
	return p.Indexes(b, wide, bits(n))
}

func colour(b []byte, c uint32) []byte { return append(b, byte(c>>16), byte(c>>8), byte(c)) }

// take reads a tile, or a part of one, and returns what follows it.
func take(b []byte, s *Screen, r image.Rectangle) (rest []byte, err error) {
	if len(b) == 0 || b[0] > mostColours {
		return nil, errTile
	}
	n, b := int(b[0]), b[1:]
	if n == formPixels {
		wide := 3 * r.Dx()
		if len(b) < wide*r.Dy() {
			return nil, errTile
		}
		for y := range r.Dy() {
			for x := range s.row(r, y) {
				p := b[3*x : 3*x+3 : 3*x+3]
				s.row(r, y)[x] = uint32(p[0])<<16 | uint32(p[1])<<8 | uint32(p[2])
			}
			b = b[wide:]
		}
		return b, nil
	}
	if len(b) < 3*n {
		return nil, errTile
	}
	var colours [256]uint32
	for i := range n {
		colours[i] = uint32(b[3*i])<<16 | uint32(b[3*i+1])<<8 | uint32(b[3*i+2])
	}
	b = b[3*n:]
	if n == formOne {
		for y := range r.Dy() {
			row := s.row(r, y)
			for x := range row {
				row[x] = colours[0]
			}
		}
		return b, nil
	}
	each := bits(n)
	wide := (r.Dx()*each + 7) / 8
	if len(b) < wide*r.Dy() {
		return nil, errTile
	}
	largest := 0
	for y := range r.Dy() {
		largest = max(largest, indexed(s.row(r, y), b[:wide], each, &colours))
		b = b[wide:]
	}
	if largest >= n {
		return nil, errTile
	}
	return b, nil
}

// indexed looks the colours of a row up, and returns the largest index.
func indexed(row []uint32, b []byte, each int, colours *[256]uint32) (largest int) {
	if each == 8 {
		for x, at := range b[:len(row)] {
			row[x], largest = colours[at], max(largest, int(at))
		}
		return largest
	}
	mask := byte(1<<each - 1)
	if each == 4 { // the most of a console's tiles: two of a byte at once
		most := byte(0)
		for ; len(row) >= 2; row, b = row[2:], b[1:] {
			left, right := b[0]>>4, b[0]&15
			row[0], row[1], most = colours[left], colours[right], max(most, left, right)
		}
		largest = int(most)
	}
	shift := 8
	for x := range row {
		shift -= each
		at := b[0] >> shift & mask
		if shift == 0 {
			b, shift = b[1:], 8
		}
		row[x], largest = colours[at], max(largest, int(at))
	}
	return largest
}
