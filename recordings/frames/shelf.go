package frames

import (
	"bytes"
	"hash/maphash"
	"image"

	"github.com/sallyport/sallyport/session/palette"
)

// shelf is a screen as it was said: of each tile the bytes that tell it. Nothing is drawn but
// a tile of which many boxes changed, so that following a recording costs little more than
// reading it, and a screen of few colours takes few bytes.
type shelf struct {
	shape   Screen // size, cursor, and no pixels
	places  []said // row by row
	scratch Screen // one tile
	palette palette.Palette
	seed    maphash.Seed
}

// said is what was said of one tile.
type said struct {
	whole []byte // a form of 0 to 253, and what it says; empty: black
	boxes []byte // what changed since, in the form of boxes
}

// mostBoxes bytes of a tile are kept before it is drawn and said anew.
const mostBoxes = 2 << 10

func newShelf() shelf { return shelf{seed: maphash.MakeSeed()} }

// resize takes the data of an event that gives a size.
func (s *shelf) resize(b []byte) error {
	size, hidden, err := parseSize(b)
	if err != nil {
		return err
	}
	g := grid(size)
	s.shape.Size, s.shape.Hidden, s.places = size, hidden, make([]said, g.X*g.Y)
	return nil
}

// tiles takes the data of an event of tiles. An index that names no colour is found by who
// draws the tile, here or elsewhere.
func (s *shelf) tiles(b []byte) error {
	g, last := grid(s.shape.Size), -1
	var before []int // places, by their numbers
	for len(b) > 0 {
		if len(b) < 3 || int(b[0]) >= g.X || int(b[1]) >= g.Y {
			return errTile
		}
		at := image.Pt(int(b[0]), int(b[1]))
		n := at.Y*g.X + at.X
		if n <= last {
			return errTile
		}
		rest, err := s.place(b[2:], at, before)
		if err != nil {
			return err
		}
		b, last, before = rest, n, append(before, n)
	}
	return nil
}

// place reads what is said of one tile.
func (s *shelf) place(b []byte, at image.Point, before []int) (rest []byte, err error) {
	g, r := grid(s.shape.Size), tileAt(s.shape.Size, at)
	p := &s.places[at.Y*g.X+at.X]
	switch b[0] {
	case formSame:
		if len(b) < 3 || int(b[1])<<8|int(b[2]) >= len(before) {
			return nil, errTile
		}
		n := before[int(b[1])<<8|int(b[2])]
		if tileAt(s.shape.Size, image.Pt(n%g.X, n/g.X)).Size() != r.Size() {
			return nil, errTile
		}
		from := s.places[n]
		p.whole, p.boxes = append(p.whole[:0], from.whole...), append(p.boxes[:0], from.boxes...)
		return b[3:], nil
	case formBox:
		if len(b) < 6 {
			return nil, errTile
		}
		box := image.Rect(int(b[1]), int(b[2]), int(b[1])+int(b[3]), int(b[2])+int(b[4]))
		if box.Empty() || !box.In(image.Rectangle{Max: r.Size()}) {
			return nil, errTile
		}
		n, err := length(b[5:], box.Size())
		if err != nil {
			return nil, err
		}
		p.boxes = append(p.boxes, b[:5+n]...)
		if len(p.boxes) > mostBoxes {
			err = s.settle(p, r.Size())
		}
		return b[5+n:], err
	}
	n, err := length(b, r.Size())
	if err != nil {
		return nil, err
	}
	p.whole, p.boxes = append(p.whole[:0], b[:n]...), p.boxes[:0]
	return b[n:], nil
}

// length is how many bytes tell a tile of this size that is told by itself.
func length(b []byte, size image.Point) (n int, err error) {
	switch {
	case len(b) == 0 || b[0] > mostColours:
		return 0, errTile
	case b[0] == formPixels:
		n = 1 + 3*size.X*size.Y
	case b[0] == formOne:
		n = 1 + 3
	default:
		n = 1 + 3*int(b[0]) + (size.X*bits(int(b[0]))+7)/8*size.Y
	}
	if n > len(b) {
		return 0, errTile
	}
	return n, nil
}

// settle draws a tile and says it anew, without boxes.
func (s *shelf) settle(p *said, size image.Point) error {
	if len(p.boxes) == 0 {
		return nil
	}
	if s.scratch.Size != size {
		s.scratch.Size, s.scratch.Pix = size, make([]uint32, size.X*size.Y)
	}
	clear(s.scratch.Pix)
	if len(p.whole) > 0 {
		if _, err := s.scratch.place(p.whole, image.Point{}, nil); err != nil {
			return err
		}
	}
	for b := p.boxes; len(b) > 0; {
		var err error
		if b, err = s.scratch.place(b, image.Point{}, nil); err != nil {
			return err
		}
	}
	p.whole, p.boxes = put(p.whole[:0], &s.palette, s.scratch.Pix, size.X), p.boxes[:0]
	return nil
}

// screen is all of it, as a snapshot has it.
func (s *shelf) screen() ([]byte, error) {
	total := 0
	for i := range s.places {
		total += len(s.places[i].whole) + len(s.places[i].boxes) + 4
	}
	b := append(make([]byte, 0, total+1024), SizeData(s.shape.Size, s.shape.Hidden)...)
	b = append(b, CursorData(s.shape.Cursor)...)
	g, seen := grid(s.shape.Size), map[uint64]int{}
	for i := range s.places {
		p, size := &s.places[i], tileAt(s.shape.Size, image.Pt(i%g.X, i/g.X)).Size()
		if err := s.settle(p, size); err != nil {
			return nil, err
		}
		if len(p.whole) == 0 {
			b = append(b, formOne, 0, 0, 0)
			continue
		}
		if size == image.Pt(Tile, Tile) && len(p.whole) > 1+3 {
			key := maphash.Bytes(s.seed, p.whole)
			if n, ok := seen[key]; ok && bytes.Equal(s.places[n].whole, p.whole) {
				b = append(b, formSame, byte(n>>8), byte(n))
				continue
			}
			seen[key] = i
		}
		b = append(b, p.whole...)
	}
	return b, nil
}
