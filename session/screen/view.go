package screen

import (
	"image"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/palette"
)

// View is one who looks. It is of one goroutine; it learns of changes by Changed.
type View struct {
	screen *Screen
	rung   chan struct{}

	// guarded by the screen's mu
	stale   cells
	moved   *move // before all that is stale
	resized bool
	cursor  bool
	copies  bool
}

// Update is what a view did not know. Its parts are to be applied in this order.
type Update struct {
	Size    image.Point
	Resized bool
	Cursor  *Cursor
	Moved   bool // From stands at To now
	To      image.Rectangle
	From    image.Point
	Shown   *palette.Sheet    // all that is shown
	Parts   []image.Rectangle // of it, that are news
}

// Empty reports whether there is nothing to tell.
func (u Update) Empty() bool {
	return !u.Resized && u.Cursor == nil && !u.Moved && len(u.Parts) == 0
}

// Join begins to look: everything is news. Leave ends it.
func (s *Screen) Join() (*View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.views) >= MaxViews {
		return nil, session.Errorf(session.Refused, "%d people look at this screen already.", MaxViews).WithNext("Wait until one of them leaves.")
	}
	v := &View{screen: s, rung: make(chan struct{}, 1), resized: true, cursor: true}
	v.stale = newCells(s.front.Size)
	v.stale.mark(image.Rectangle{Max: s.front.Size})
	s.views[v] = struct{}{}
	v.ring()
	return v, nil
}

// Size is the screen's, now.
func (v *View) Size() image.Point {
	v.screen.mu.RLock()
	defer v.screen.mu.RUnlock()
	return v.screen.front.Size
}

// Copies says whether the view can take it that a part moved; at first it cannot.
func (v *View) Copies(can bool) {
	v.screen.mu.Lock()
	defer v.screen.mu.Unlock()
	if v.copies = can; !can && v.moved != nil {
		v.stale.mark(v.moved.to)
		v.moved = nil
	}
}

// Leave stops looking.
func (v *View) Leave() {
	v.screen.mu.Lock()
	defer v.screen.mu.Unlock()
	delete(v.screen.views, v)
}

// Changed receives when there may be something to take, or the screen is over.
func (v *View) Changed() <-chan struct{} { return v.rung }

func (v *View) ring() {
	select {
	case v.rung <- struct{}{}:
	default:
	}
}

// learn takes note of a change. rest is what changed beside the part that moved.
func (v *View) learn(s *Screen, changed, rest cells) {
	switch {
	case s.resized:
		v.resized, v.moved = true, nil
		v.stale = newCells(s.front.Size)
		v.stale.mark(image.Rectangle{Max: s.front.Size})
	case s.moved != nil && v.copies && v.moved == nil && !v.resized && v.stale.empty():
		v.moved = s.moved
		v.stale.join(rest)
	default:
		v.stale.join(changed)
	}
	v.cursor = v.cursor || s.shape != nil
	v.ring()
}

// Repeat makes everything in r news again.
func (v *View) Repeat(r image.Rectangle) {
	v.screen.mu.Lock()
	defer v.screen.mu.Unlock()
	v.stale.mark(r)
	v.ring()
}

// Newest is what is shown now, for the part of an update that is not told yet: who is slow to
// take it keeps no picture that is over. nil where the size is not this one any more. What is
// told twice for it is right both times; but whoever was told some of a move already cannot be
// told to make it.
func (v *View) Newest(size image.Point) *palette.Sheet {
	v.screen.mu.Lock()
	defer v.screen.mu.Unlock()
	if v.moved != nil {
		v.stale.mark(v.moved.to)
		v.moved = nil
	}
	if v.screen.front.Size != size {
		return nil
	}
	return v.screen.front
}

// Take returns what of r the view does not know yet, and counts it as known. Size and cursor
// come whatever r is. Nothing is copied: what is shown never changes.
func (v *View) Take(r image.Rectangle) (Update, error) {
	s := v.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return Update{}, s.over
	}
	u := Update{Size: s.front.Size, Resized: v.resized, Shown: s.front}
	if v.cursor {
		shown := s.shown
		u.Cursor = &shown
	}
	if v.resized {
		r = image.Rectangle{Max: u.Size}
	}
	v.resized, v.cursor = false, false
	if v.moved != nil {
		u.Moved, u.To, u.From = true, v.moved.to, v.moved.from
		v.moved = nil
	}
	taken := newCells(u.Size)
	v.stale.each(func(c image.Rectangle) bool {
		if !c.Overlaps(r) {
			return true
		}
		taken.mark(c)
		return false
	})
	u.Parts = taken.rects()
	return u, nil
}
