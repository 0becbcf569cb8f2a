package screen

import (
	"image"
	"sync"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/palette"
)

// Keeper keeps what the screen is about to show. What it returns an error for is shown to
// nobody, and the screen is over.
type Keeper interface {
	Keep(c Change) error
}

// Change is what is about to be shown. Pix is valid until Keep returns.
type Change struct {
	Size    image.Point
	Resized bool              // all that was kept before is of another size
	Was     *palette.Sheet    // what was kept before; nil if Resized
	Now     *palette.Sheet    // what will be shown, in stills of a tile
	Pix     []uint32          // the same: 0x00RRGGBB, row by row, all of it
	Tiles   []image.Point     // those that changed, in tiles from the left top
	Boxes   []image.Rectangle // for each tile, in pixels of it: what is outside is as it was
	Cursor  *Cursor           // the new one; nil as before
	Hidden  bool              // masks hide some or all of it
}

// Cursor is the picture of the pointer. Pix is 0xAARRGGBB, row by row; a cursor of no size
// shows nothing.
type Cursor struct {
	Size, Hot image.Point
	Pix       []uint32
}

// move is a part of the screen that went elsewhere.
type move struct {
	to   image.Rectangle
	from image.Point
}

// Screen is a console. New makes one; it has no size until Resize.
type Screen struct {
	masks  Masks
	keeper Keeper

	// the back: what the device drew, and Show has not shown; of one goroutine
	back    []uint32
	drawn   cells
	hidden  []image.Rectangle
	moved   *move // the one that came before all else since Show
	resized bool
	shape   *Cursor
	palette palette.Palette

	mu    sync.RWMutex // guards what follows
	front *palette.Sheet
	shown Cursor
	over  error
	views map[*View]struct{}
}

// Housed is a Keeper that is asked for room before the screen takes another size, in pixels.
// What it returns an error for is not taken.
type Housed interface {
	Room(pixels int) error
}

// New is a screen of a console. Everything that it shows is kept first.
func New(m Masks, k Keeper) *Screen {
	return &Screen{masks: m, keeper: k, front: newSheet(image.Point{}), views: map[*View]struct{}{}}
}

// Fits reports whether a console of this size can be shown, in words.
func Fits(w, h int) error {
	if w < 1 || h < 1 || w > MaxSide || h > MaxSide || w*h > MaxPixels {
		return session.Errorf(session.Refused, "A console of %d x %d pixels cannot be shown.", w, h).
			WithNext("Set the console to 3840 x 2400 or less.")
	}
	return nil
}

// Resize gives the back a new size. It is black until it is drawn.
func (s *Screen) Resize(w, h int) error {
	if err := Fits(w, h); err != nil {
		return err
	}
	if s.back != nil && image.Pt(w, h) == s.drawn.size {
		return nil
	}
	if k, ok := s.keeper.(Housed); ok {
		if err := k.Room(w * h); err != nil {
			return err
		}
	}
	s.drawn = newCells(image.Pt(w, h))
	s.back = make([]uint32, w*h)
	s.moved, s.resized = nil, true
	s.hidden = s.masks.of(s.drawn.size)
	s.drawn.mark(s.Bounds())
	s.hide(s.Bounds())
	return nil
}

// Bounds are those of the back.
func (s *Screen) Bounds() image.Rectangle { return image.Rectangle{Max: s.drawn.size} }

// Draw puts a picture, row by row with stride pixels a row, on the back. What is outside is
// left out.
func (s *Screen) Draw(r image.Rectangle, pix []uint32, stride int) {
	in := r.Intersect(s.Bounds())
	for y := in.Min.Y; y < in.Max.Y; y++ {
		at := (y-r.Min.Y)*stride + in.Min.X - r.Min.X
		copy(s.row(y)[in.Min.X:in.Max.X], pix[at:at+in.Dx()])
	}
	s.touch(in)
}

// Fill paints one colour.
func (s *Screen) Fill(r image.Rectangle, colour uint32) {
	in := r.Intersect(s.Bounds())
	for y := in.Min.Y; y < in.Max.Y; y++ {
		row := s.row(y)[in.Min.X:in.Max.X]
		for x := range row {
			row[x] = colour & 0xffffff
		}
	}
	s.touch(in)
}

// Copy puts what stands at from into to. Nothing happens where either is not wholly on
// the screen.
func (s *Screen) Copy(to image.Rectangle, from image.Point) {
	if src := (image.Rectangle{Min: from, Max: from.Add(to.Size())}); to.Empty() || !to.In(s.Bounds()) || !src.In(s.Bounds()) {
		return
	}
	if s.drawn.empty() && s.moved == nil && !s.resized {
		s.moved = &move{to, from}
	}
	shift(s.back, s.drawn.size.X, to, from)
	s.touch(to)
}

// shift copies a rectangle inside one picture; the two may overlap.
func shift(pix []uint32, width int, to image.Rectangle, from image.Point) {
	for n := range to.Dy() {
		if to.Min.Y > from.Y {
			n = to.Dy() - 1 - n
		}
		dst, src := (to.Min.Y+n)*width+to.Min.X, (from.Y+n)*width+from.X
		copy(pix[dst:dst+to.Dx()], pix[src:src+to.Dx()])
	}
}

// SetCursor gives the pointer another picture. One that is too large shows nothing.
func (s *Screen) SetCursor(c Cursor) {
	if c.Size.X < 1 || c.Size.Y < 1 || c.Size.X > MaxCursor || c.Size.Y > MaxCursor || len(c.Pix) != c.Size.X*c.Size.Y {
		c = Cursor{}
	}
	c.Hot.X, c.Hot.Y = max(0, min(c.Hot.X, c.Size.X-1)), max(0, min(c.Hot.Y, c.Size.Y-1))
	s.shape = &c
}

func (s *Screen) row(y int) []uint32 { return s.back[y*s.drawn.size.X : (y+1)*s.drawn.size.X] }

// touch marks what was drawn, and paints over what is hidden of it.
func (s *Screen) touch(r image.Rectangle) {
	s.drawn.mark(r)
	s.hide(r)
}

func (s *Screen) hide(r image.Rectangle) {
	for _, h := range s.hidden {
		h = h.Intersect(r)
		for y := h.Min.Y; y < h.Max.Y; y++ {
			row := s.row(y)[h.Min.X:h.Max.X]
			for x := range row {
				row[x] = maskColour
			}
		}
	}
}

// Show keeps what was drawn since the last Show, and then shows it. Nothing is kept where
// nothing changed.
func (s *Screen) Show() error {
	changed := s.changed()
	if changed.empty() && s.shape == nil && !s.resized {
		s.drawn.clear()
		s.moved = nil
		return s.err()
	}
	err := s.err()
	var next *palette.Sheet
	if err == nil {
		c := Change{Size: s.drawn.size, Resized: s.resized, Was: s.front, Pix: s.back, Cursor: s.shape, Hidden: len(s.hidden) > 0}
		c.Tiles, c.Boxes = changed.tiles()
		next = s.next(c.Tiles)
		c.Now = next
		if s.resized {
			c.Was = nil
		}
		err = s.keeper.Keep(c)
	}
	if err != nil {
		s.Close(err)
		return err
	}
	s.turn(next, changed)
	s.drawn.clear()
	s.moved, s.resized, s.shape = nil, false, nil
	return nil
}

// changed are the cells that were drawn and are not what the front shows.
func (s *Screen) changed() cells {
	changed := newCells(s.drawn.size)
	changed.join(s.drawn)
	if s.resized {
		return changed
	}
	// The front changes in Show alone, which is of this goroutine: it is read without a lock.
	changed.each(func(r image.Rectangle) bool {
		still := s.front.Still(r.Min.Div(Tile))
		x, y := r.Min.X%Tile, r.Min.Y%Tile
		for n := range r.Dy() {
			if !still.Same(x, y+n, s.row(r.Min.Y + n)[r.Min.X:r.Max.X]) {
				return true
			}
		}
		return false
	})
	return changed
}

// next is what the front will be: each tile that changed is looked at once, for the recorder
// and all who look.
func (s *Screen) next(tiles []image.Point) *palette.Sheet {
	next := newSheet(s.drawn.size)
	if !s.resized {
		copy(next.Stills, s.front.Stills)
	}
	for _, at := range tiles {
		next.Stills[at.Y*next.Across()+at.X] = s.palette.Still(s.back, s.drawn.size.X, tileAt(at, s.drawn.size))
	}
	return next
}

func newSheet(size image.Point) *palette.Sheet {
	sheet := &palette.Sheet{Size: size, Side: Tile}
	sheet.Stills = make([]*palette.Still, sheet.Across()*((size.Y+Tile-1)/Tile))
	return sheet
}

func tileAt(at, size image.Point) image.Rectangle {
	corner := at.Mul(Tile)
	return image.Rectangle{Min: corner, Max: corner.Add(image.Pt(Tile, Tile))}.Intersect(image.Rectangle{Max: size})
}

// turn makes next the front, and tells every view.
func (s *Screen) turn(next *palette.Sheet, changed cells) {
	rest := changed
	if s.moved != nil {
		rest = s.beside(changed, *s.moved)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.front = next
	if s.shape != nil {
		s.shown = *s.shape
	}
	for v := range s.views {
		v.learn(s, changed, rest)
	}
}

// beside are the cells that are not right yet for who moves a part of the front.
func (s *Screen) beside(changed cells, m move) cells {
	rest := newCells(s.drawn.size)
	rest.join(changed)
	rest.mark(m.to)
	rest.each(func(r image.Rectangle) bool {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			left, right := r.Min.X, r.Min.X // of what moved here
			if y >= m.to.Min.Y && y < m.to.Max.Y {
				left, right = min(max(m.to.Min.X, r.Min.X), r.Max.X), max(min(m.to.Max.X, r.Max.X), r.Min.X)
			}
			row, by := s.row(y), m.from.Sub(m.to.Min)
			if !s.front.Same(r.Min.X, y, row[r.Min.X:left]) || !s.front.Same(left+by.X, y+by.Y, row[left:right]) ||
				!s.front.Same(right, y, row[right:r.Max.X]) {
				return true
			}
		}
		return false
	})
	return rest
}

// Close ends the screen: every view learns why.
func (s *Screen) Close(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		s.over = why
	}
	for v := range s.views {
		v.ring()
	}
}

func (s *Screen) err() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.over
}
