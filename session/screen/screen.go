package screen

import (
	"image"
	"slices"
	"sync"

	"github.com/sallyport/sallyport/session"
)

// Keeper keeps what the screen is about to show. What it returns an error for is shown to
// nobody, and the screen is over.
type Keeper interface {
	Keep(c Change) error
}

// Change is what is about to be shown. Was and Pix are valid until Keep returns.
type Change struct {
	Size    image.Point
	Resized bool          // all that was kept before is of another size
	Was     []uint32      // what was kept before, as Pix; nil if Resized
	Pix     []uint32      // 0x00RRGGBB, row by row, all of it
	Tiles   []image.Point // those that changed, in tiles from the left top
	Cursor  *Cursor       // the new one; nil as before
	Hidden  bool          // masks hide some or all of it
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

	mu    sync.RWMutex // guards what follows
	size  image.Point
	front []uint32
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
	return &Screen{masks: m, keeper: k, views: map[*View]struct{}{}}
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
	if err == nil {
		c := Change{Size: s.drawn.size, Resized: s.resized, Was: s.front, Pix: s.back, Tiles: changed.tiles(), Cursor: s.shape, Hidden: len(s.hidden) > 0}
		if s.resized {
			c.Was = nil
		}
		err = s.keeper.Keep(c)
	}
	if err != nil {
		s.Close(err)
		return err
	}
	s.turn(changed)
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
	changed.each(s.differs)
	return changed
}

// differs compares back and front.
func (s *Screen) differs(r image.Rectangle) bool {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		at := y * s.drawn.size.X
		a, b := s.back[at+r.Min.X:at+r.Max.X], s.front[at+r.Min.X:at+r.Max.X]
		if len(a) == cell { // compared at once
			if *(*[cell]uint32)(a) != *(*[cell]uint32)(b) {
				return true
			}
		} else if !slices.Equal(a, b) {
			return true
		}
	}
	return false
}

// turn makes the front what the back is, and tells every view.
func (s *Screen) turn(changed cells) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resized {
		s.size = s.drawn.size
		s.front = make([]uint32, len(s.back))
	}
	rest := changed
	if s.moved != nil {
		shift(s.front, s.size.X, s.moved.to, s.moved.from)
		rest = newCells(s.size)
		rest.join(changed)
		rest.mark(s.moved.to)
		rest.each(s.differs)
	}
	for _, r := range rest.rects() { // long rows are copied faster than cells
		for y := r.Min.Y; y < r.Max.Y; y++ {
			at := y * s.size.X
			copy(s.front[at+r.Min.X:at+r.Max.X], s.back[at+r.Min.X:at+r.Max.X])
		}
	}
	if s.shape != nil {
		s.shown = *s.shape
	}
	for v := range s.views {
		v.learn(s, changed, rest)
	}
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
