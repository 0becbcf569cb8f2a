package frames

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"image"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/palette"
)

// Cursor is the pointer's picture. Pix is 0xAARRGGBB, row by row.
type Cursor struct {
	Size, Hot image.Point
	Pix       []uint32
}

// Screen is what a recording's screen shows. Pix is 0x00RRGGBB, row by row.
type Screen struct {
	Size   image.Point
	Hidden bool // masks hide some or all of it
	Pix    []uint32
	Cursor Cursor
}

// Fits reports whether a screen can have this size.
func Fits(size image.Point) bool {
	return size.X >= 1 && size.Y >= 1 && size.X <= MaxSide && size.Y <= MaxSide && size.X*size.Y <= MaxPixels
}

// SizeData is the data of an event that gives the screen a size. It is black then.
func SizeData(size image.Point, hidden bool) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(size.X))
	b = binary.BigEndian.AppendUint16(b, uint16(size.Y))
	if hidden {
		return append(b, 1)
	}
	return append(b, 0)
}

// CursorData is the data of an event that changes the cursor. One that is too large to be
// kept shows nothing.
func CursorData(c Cursor) []byte {
	if c.Size.X < 1 || c.Size.Y < 1 || c.Size.X > MaxCursor || c.Size.Y > MaxCursor || len(c.Pix) != c.Size.X*c.Size.Y || !c.Hot.In(image.Rectangle{Max: c.Size}) {
		c = Cursor{}
	}
	var b []byte
	for _, n := range []int{c.Hot.X, c.Hot.Y, c.Size.X, c.Size.Y} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	for _, p := range c.Pix {
		b = binary.BigEndian.AppendUint32(b, p)
	}
	return b
}

// Encoder makes the data of events from a screen's pixels.
type Encoder struct {
	palette palette.Palette
	pix     []uint32
	data    []byte
	seen    map[uint64]int // the number of a tile by the hash of its bytes
	at      [][2]int       // where tiles stand in the data, and where they end
	seed    maphash.Seed
}

// NewEncoder makes one.
func NewEncoder() *Encoder { return &Encoder{seen: map[uint64]int{}, seed: maphash.MakeSeed()} }

// Tiles calls each with the data of one event after another, which hold these tiles of a
// screen, given in the order of their places. Of a tile of which little changed since the
// screen was was, that is said alone; was is nil where nothing of it holds. The data is valid
// until each returns.
func (e *Encoder) Tiles(size image.Point, was, pix []uint32, tiles []image.Point, each func([]byte) error) error {
	return e.all(tiles, each, func(b []byte, _ int, at image.Point) []byte { return e.tile(b, size, was, pix, at) })
}

// Sheets is Tiles for a screen of stills, which were looked at already. Outside of its box,
// which is counted in pixels of the tile, each tile is as it was.
func (e *Encoder) Sheets(was, now *palette.Sheet, tiles []image.Point, boxes []image.Rectangle, each func([]byte) error) error {
	return e.all(tiles, each, func(b []byte, n int, at image.Point) []byte {
		start, still := len(b), now.Still(at)
		whole := still.Size
		if box := boxes[n]; was != nil && small(box, whole) {
			if box = e.changed(was.Still(at), still, box); small(box, whole) {
				b = append(b, formBox, byte(box.Min.X), byte(box.Min.Y), byte(box.Dx()), byte(box.Dy()))
				e.pix = now.Pixels(e.pix[:0], box.Add(at.Mul(Tile)))
				b = put(b, &e.palette, e.pix, box.Dx())
				e.at = append(e.at, [2]int{start, len(b)})
				return b
			}
		}
		return e.once(e.still(b, still), start, whole)
	})
}

// small reports whether a box is said with fewer bytes than the tile that it is in.
func small(box image.Rectangle, tile image.Point) bool {
	return !box.Empty() && box.Dx()*box.Dy() < tile.X*tile.Y*3/4
}

// changed is the smallest box in another outside of which two stills are the same.
func (e *Encoder) changed(was, now *palette.Still, in image.Rectangle) image.Rectangle {
	var rows [2][Tile * Tile]uint32
	size := in.Size()
	for y := range size.Y {
		was.Row(rows[0][y*size.X:(y+1)*size.X], in.Min.X, in.Min.Y+y)
		now.Row(rows[1][y*size.X:(y+1)*size.X], in.Min.X, in.Min.Y+y)
	}
	return changed(size, rows[0][:], rows[1][:], image.Rectangle{Max: size}).Add(in.Min)
}

// still appends a tile that is a still.
func (e *Encoder) still(b []byte, s *palette.Still) []byte {
	n := len(s.Colours)
	if n == 0 || n > mostColours {
		b = append(b, formPixels)
		for y := range s.Size.Y {
			var row [Tile]uint32
			s.Row(row[:s.Size.X], 0, y)
			for _, c := range row[:s.Size.X] {
				b = colour(b, c)
			}
		}
		return b
	}
	b = append(b, byte(n))
	for _, c := range s.Colours {
		b = colour(b, c)
	}
	if n == 1 {
		return b
	}
	return s.Indexes(b, bits(n))
}

// all lays tiles out in events.
func (e *Encoder) all(tiles []image.Point, each func([]byte) error, tile func(b []byte, n int, at image.Point) []byte) error {
	b := e.data[:0]
	defer func() { e.data = b }()
	e.begin()
	for n, at := range tiles {
		if len(b)+2+mostTile > session.MaxEventData {
			if err := each(b); err != nil {
				return err
			}
			b = b[:0]
			e.begin()
		}
		b = tile(append(b, byte(at.X), byte(at.Y)), n, at)
	}
	if len(b) == 0 {
		return nil
	}
	return each(b)
}

func (e *Encoder) begin() {
	clear(e.seen)
	e.at = e.at[:0]
}

// tile appends a tile, what changed of it, or that it is as one before it.
func (e *Encoder) tile(b []byte, size image.Point, was, pix []uint32, at image.Point) []byte {
	r, start := tileAt(size, at), len(b)
	if was != nil {
		if box := changed(size, was, pix, r); small(box, r.Size()) {
			in := box.Sub(r.Min)
			b = append(b, formBox, byte(in.Min.X), byte(in.Min.Y), byte(in.Dx()), byte(in.Dy()))
			e.pix = pixels(e.pix, size, pix, box)
			b = put(b, &e.palette, e.pix, box.Dx())
			e.at = append(e.at, [2]int{start, len(b)})
			return b
		}
	}
	e.pix = pixels(e.pix, size, pix, r)
	return e.once(put(b, &e.palette, e.pix, r.Dx()), start, r.Size())
}

// once says of a tile whose bytes begin at start that it is as one before it, where it is.
// Two tiles of other sizes may have the same bytes, and are told apart by who reads: so only
// whole tiles are ever "as another".
func (e *Encoder) once(b []byte, start int, size image.Point) []byte {
	if size == image.Pt(Tile, Tile) && len(b)-start > 3 {
		key := maphash.Bytes(e.seed, b[start:])
		if n, ok := e.seen[key]; ok && bytes.Equal(b[e.at[n][0]:e.at[n][1]], b[start:]) {
			b = append(b[:start], formSame, byte(n>>8), byte(n))
		} else if len(e.at) <= 0xffff {
			e.seen[key] = len(e.at)
		}
	}
	e.at = append(e.at, [2]int{start, len(b)})
	return b
}

// Screen appends a screen.
func (e *Encoder) Screen(b []byte, s *Screen) []byte {
	b = append(b, SizeData(s.Size, s.Hidden)...)
	b = append(b, CursorData(s.Cursor)...)
	e.begin()
	g := grid(s.Size)
	for y := range g.Y {
		for x := range g.X {
			b = e.tile(b, s.Size, nil, s.Pix, image.Pt(x, y))
		}
	}
	return b
}

// ParseScreen reads a screen, all of b.
func ParseScreen(b []byte) (*Screen, error) {
	s := &Screen{}
	if len(b) < 5 {
		return nil, errTile
	}
	if err := s.Resize(b[:5]); err != nil {
		return nil, err
	}
	b, err := s.cursor(b[5:])
	if err != nil {
		return nil, err
	}
	g := grid(s.Size)
	var places []image.Point
	for y := range g.Y {
		for x := range g.X {
			at := image.Pt(x, y)
			if b, err = s.place(b, at, places); err != nil {
				return nil, err
			}
			places = append(places, at)
		}
	}
	if len(b) > 0 {
		return nil, errTile
	}
	return s, nil
}

// Resize takes the data of an event that gives a size.
func (s *Screen) Resize(b []byte) error {
	size, hidden, err := parseSize(b)
	if err != nil {
		return err
	}
	s.Size, s.Hidden, s.Pix = size, hidden, make([]uint32, size.X*size.Y)
	return nil
}

func parseSize(b []byte) (size image.Point, hidden bool, err error) {
	if len(b) != 5 || b[4] > 1 {
		return size, false, session.Errorf(session.Invalid, "the size of a screen is malformed")
	}
	size = image.Pt(int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:])))
	if !Fits(size) {
		return size, false, session.Errorf(session.Invalid, "a screen of %d x %d cannot be", size.X, size.Y)
	}
	return size, b[4] == 1, nil
}

// Shape takes the data of an event that changes the cursor.
func (s *Screen) Shape(b []byte) error {
	rest, err := s.cursor(b)
	if err == nil && len(rest) > 0 {
		err = errTile
	}
	return err
}

func (s *Screen) cursor(b []byte) ([]byte, error) {
	if len(b) < 8 {
		return nil, errTile
	}
	n := func(i int) int { return int(binary.BigEndian.Uint16(b[2*i:])) }
	c := Cursor{Hot: image.Pt(n(0), n(1)), Size: image.Pt(n(2), n(3))}
	none := c.Size == image.Point{} && c.Hot == image.Point{}
	if !none && (!c.Hot.In(image.Rectangle{Max: c.Size}) || c.Size.X > MaxCursor || c.Size.Y > MaxCursor) || len(b) < 8+4*c.Size.X*c.Size.Y {
		return nil, errTile
	}
	b = b[8:]
	c.Pix = make([]uint32, c.Size.X*c.Size.Y)
	for i := range c.Pix {
		c.Pix[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	s.Cursor = c
	return b[4*len(c.Pix):], nil
}

// Draw takes the data of an event of tiles, and returns where they are. After an error some
// of them may be drawn.
func (s *Screen) Draw(b []byte) (places []image.Point, err error) {
	g := grid(s.Size)
	for len(b) > 0 {
		if len(b) < 2 || int(b[0]) >= g.X || int(b[1]) >= g.Y {
			return places, errTile
		}
		at := image.Pt(int(b[0]), int(b[1]))
		if n := len(places); n > 0 && at.Y*g.X+at.X <= places[n-1].Y*g.X+places[n-1].X {
			return places, errTile
		}
		if b, err = s.place(b[2:], at, places); err != nil {
			return places, err
		}
		places = append(places, at)
	}
	return places, nil
}

// place reads a tile into its place. before are those that were read, by their numbers.
func (s *Screen) place(b []byte, at image.Point, before []image.Point) ([]byte, error) {
	r := tileAt(s.Size, at)
	if len(b) > 0 && b[0] == formSame {
		return s.same(b[1:], r, before)
	}
	if len(b) > 5 && b[0] == formBox {
		corner := r.Min.Add(image.Pt(int(b[1]), int(b[2])))
		box := image.Rectangle{Min: corner, Max: corner.Add(image.Pt(int(b[3]), int(b[4])))}
		if box.Empty() || !box.In(r) {
			return nil, errTile
		}
		r, b = box, b[5:]
	}
	return take(b, s, r)
}

// same makes a tile as one before it is.
func (s *Screen) same(b []byte, r image.Rectangle, before []image.Point) ([]byte, error) {
	if len(b) < 2 || int(binary.BigEndian.Uint16(b)) >= len(before) {
		return nil, errTile
	}
	from := tileAt(s.Size, before[binary.BigEndian.Uint16(b)])
	if from.Size() != r.Size() {
		return nil, errTile
	}
	for y := range r.Dy() {
		copy(s.row(r, y), s.row(from, y))
	}
	return b[2:], nil
}

// row is one of a rectangle's.
func (s *Screen) row(r image.Rectangle, y int) []uint32 {
	at := (r.Min.Y + y) * s.Size.X
	return s.Pix[at+r.Min.X : at+r.Max.X]
}
