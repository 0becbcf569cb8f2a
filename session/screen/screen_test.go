package screen

import (
	"errors"
	"image"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// album keeps what a recording would: tiles, size by size.
type album struct {
	size  image.Point
	pix   []uint32
	kept  int
	fails error
}

func (a *album) Keep(c Change) error {
	if a.fails != nil {
		return a.fails
	}
	a.kept++
	if c.Resized {
		a.size, a.pix = c.Size, make([]uint32, c.Size.X*c.Size.Y)
	}
	for _, t := range c.Tiles {
		r := image.Rect(t.X*Tile, t.Y*Tile, (t.X+1)*Tile, (t.Y+1)*Tile).Intersect(image.Rectangle{Max: c.Size})
		for y := r.Min.Y; y < r.Max.Y; y++ {
			copy(a.pix[y*c.Size.X+r.Min.X:y*c.Size.X+r.Max.X], c.Pix[y*c.Size.X+r.Min.X:y*c.Size.X+r.Max.X])
		}
	}
	return nil
}

// watcher is somebody who draws what a view tells.
type watcher struct {
	view *View
	size image.Point
	pix  []uint32
}

func (w *watcher) take(t require, r image.Rectangle) {
	u, err := w.view.Take(r)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if u.Resized {
		w.size, w.pix = u.Size, make([]uint32, u.Size.X*u.Size.Y)
	}
	if u.Moved {
		shift(w.pix, w.size.X, u.To, u.From)
	}
	for _, r := range u.Parts {
		pix := u.Shown.Pixels(nil, r)
		for y := r.Min.Y; y < r.Max.Y; y++ {
			copy(w.pix[y*w.size.X+r.Min.X:y*w.size.X+r.Max.X], pix[(y-r.Min.Y)*r.Dx():])
		}
	}
}

type require interface{ Fatalf(string, ...any) }

// Whatever a device draws, whoever looks sees it, at whatever pace, and so does the
// recording; and nobody ever sees what is hidden.
func TestEverybodySeesWhatWasDrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		big := image.Pt(rapid.IntRange(1, 200).Draw(t, "w"), rapid.IntRange(1, 150).Draw(t, "h"))
		masks := Masks{}
		if rapid.Bool().Draw(t, "masked") {
			box := rectangle(t, big)
			masks.Rules = []Mask{{Screen: big, Boxes: []image.Rectangle{box}}}
		}
		kept := &album{}
		s := New(masks, kept)
		model := &watcher{}
		var all []*watcher
		if err := s.Resize(big.X, big.Y); err != nil {
			t.Fatalf("%v", err)
		}
		model.size, model.pix = big, make([]uint32, big.X*big.Y)
		model.hide(masks)
		t.Repeat(map[string]func(*rapid.T){
			"draw": func(t *rapid.T) {
				r := rectangle(t, model.size)
				pix := make([]uint32, r.Dx()*r.Dy())
				for i := range pix {
					pix[i] = uint32(rapid.IntRange(1, 3).Draw(t, "colour"))
				}
				s.Draw(r, pix, r.Dx())
				for y := r.Min.Y; y < r.Max.Y; y++ {
					copy(model.pix[y*model.size.X+r.Min.X:y*model.size.X+r.Max.X], pix[(y-r.Min.Y)*r.Dx():])
				}
				model.hide(masks)
			},
			"fill": func(t *rapid.T) {
				r, colour := rectangle(t, model.size), uint32(rapid.IntRange(1, 3).Draw(t, "colour"))
				s.Fill(r, colour|0xff000000)
				for y := r.Min.Y; y < r.Max.Y; y++ {
					for x := r.Min.X; x < r.Max.X; x++ {
						model.pix[y*model.size.X+x] = colour
					}
				}
				model.hide(masks)
			},
			"copy": func(t *rapid.T) {
				r := rectangle(t, model.size)
				from := image.Pt(rapid.IntRange(0, model.size.X-r.Dx()).Draw(t, "x"), rapid.IntRange(0, model.size.Y-r.Dy()).Draw(t, "y"))
				s.Copy(r, from)
				was := slices.Clone(model.pix)
				for y := range r.Dy() {
					for x := range r.Dx() {
						model.pix[(r.Min.Y+y)*model.size.X+r.Min.X+x] = was[(from.Y+y)*model.size.X+from.X+x]
					}
				}
				model.hide(masks)
			},
			"resize": func(t *rapid.T) {
				size := big
				if rapid.Bool().Draw(t, "other") {
					size = image.Pt(rapid.IntRange(1, 100).Draw(t, "w"), rapid.IntRange(1, 100).Draw(t, "h"))
				}
				if err := s.Resize(size.X, size.Y); err != nil {
					t.Fatalf("%v", err)
				}
				if size != model.size {
					model.size, model.pix = size, make([]uint32, size.X*size.Y)
					model.hide(masks)
				}
			},
			"show": func(t *rapid.T) {
				if err := s.Show(); err != nil {
					t.Fatalf("%v", err)
				}
				if kept.size != model.size || !slices.Equal(kept.pix, model.pix) {
					t.Fatalf("the recording shows something else")
				}
			},
			"join": func(t *rapid.T) {
				if v, err := s.Join(); err == nil {
					v.Copies(rapid.Bool().Draw(t, "copies"))
					all = append(all, &watcher{view: v})
				}
			},
			"take": func(t *rapid.T) {
				if len(all) > 0 {
					w := all[rapid.IntRange(0, len(all)-1).Draw(t, "who")]
					part := image.Rectangle{Max: image.Pt(MaxSide, MaxSide)}
					if rapid.Bool().Draw(t, "part") {
						part = rectangle(t, model.size)
					}
					w.take(t, part)
				}
			},
			"": func(*rapid.T) {},
		})
		if err := s.Show(); err != nil {
			t.Fatalf("%v", err)
		}
		for _, w := range all {
			w.take(t, image.Rectangle{Max: image.Pt(MaxSide, MaxSide)})
			if w.size != model.size || !slices.Equal(w.pix, model.pix) {
				t.Fatalf("somebody sees something else")
			}
		}
	})
}

func (w *watcher) hide(m Masks) {
	for _, r := range m.of(w.size) {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				w.pix[y*w.size.X+x] = maskColour
			}
		}
	}
}

func rectangle(t *rapid.T, within image.Point) image.Rectangle {
	x, y := rapid.IntRange(0, within.X-1).Draw(t, "left"), rapid.IntRange(0, within.Y-1).Draw(t, "top")
	return image.Rect(x, y, rapid.IntRange(x+1, within.X).Draw(t, "right"), rapid.IntRange(y+1, within.Y).Draw(t, "bottom"))
}

func TestWhatIsNotKeptIsNotShown(t *testing.T) {
	kept := &album{}
	s := New(Masks{}, kept)
	if err := errors.Join(s.Resize(10, 10), s.Show()); err != nil {
		t.Fatal(err)
	}
	w := &watcher{}
	w.view, _ = s.Join()
	w.take(t, s.Bounds())
	kept.fails = errors.New("disk full")
	s.Fill(s.Bounds(), 7)
	if err := s.Show(); !errors.Is(err, kept.fails) {
		t.Fatalf("%v", err)
	}
	<-w.view.Changed()
	if u, err := w.view.Take(s.Bounds()); !errors.Is(err, kept.fails) || !u.Empty() {
		t.Fatalf("%+v, %v", u, err)
	}
}

// A device that draws the same again costs no recording and no viewer anything.
func TestTheSameAgainIsNoChange(t *testing.T) {
	kept := &album{}
	s := New(Masks{}, kept)
	if err := errors.Join(s.Resize(100, 100), s.Show()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.Fill(s.Bounds(), 5)
		if err := s.Show(); err != nil {
			t.Fatal(err)
		}
	}
	if kept.kept != 2 {
		t.Errorf("kept %d times", kept.kept)
	}
}

func TestUnknownSizesAreHidden(t *testing.T) {
	rule := []Mask{{Screen: image.Pt(64, 64), Boxes: []image.Rectangle{image.Rect(0, 0, 64, 8)}}}
	for name, c := range map[string]struct {
		masks  Masks
		size   image.Point
		hidden int
	}{
		"no rule":        {Masks{}, image.Pt(32, 32), 0},
		"known":          {Masks{Rules: rule}, image.Pt(64, 64), 64 * 8},
		"unknown":        {Masks{Rules: rule}, image.Pt(32, 32), 32 * 32},
		"unknown, shown": {Masks{Rules: rule, Unknown: Show}, image.Pt(32, 32), 0},
		"hide without":   {Masks{Unknown: Hide}, image.Pt(32, 32), 32 * 32},
	} {
		s := New(c.masks, &album{})
		if err := s.Resize(c.size.X, c.size.Y); err != nil {
			t.Fatal(err)
		}
		s.Fill(s.Bounds(), 1)
		if got := len(slices.DeleteFunc(slices.Clone(s.back), func(p uint32) bool { return p != maskColour })); got != c.hidden {
			t.Errorf("%s: %d pixels are hidden", name, got)
		}
	}
}

func TestWrongMasksAreRefused(t *testing.T) {
	for name, m := range map[string]Masks{
		"no size":    {Rules: []Mask{{}}},
		"too large":  {Rules: []Mask{{Screen: image.Pt(9000, 10)}}},
		"twice":      {Rules: []Mask{{Screen: image.Pt(9, 9)}, {Screen: image.Pt(9, 9)}}},
		"outside":    {Rules: []Mask{{Screen: image.Pt(9, 9), Boxes: []image.Rectangle{image.Rect(5, 5, 10, 9)}}}},
		"empty box":  {Rules: []Mask{{Screen: image.Pt(9, 9), Boxes: []image.Rectangle{{}}}}},
		"other word": {Unknown: "maybe"},
	} {
		if m.Check() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if err := (Masks{Rules: []Mask{{Screen: image.Pt(9, 9), Boxes: []image.Rectangle{image.Rect(0, 0, 9, 9)}}}, Unknown: Show}).Check(); err != nil {
		t.Error(err)
	}
}

func TestHeldKeysAreLetGo(t *testing.T) {
	var h Held
	shift, a := Key{Sym: 0xffe1, Code: 0x2a, Down: true}, Key{Sym: 'A', Code: 0x1e, Down: true}
	if !h.Press(shift) || !h.Press(a) || !h.Press(a) || h.Press(Key{Sym: 'x'}) {
		t.Error("presses are misjudged")
	}
	h.Point(Pointer{At: image.Pt(3, 4), Buttons: 5})
	keys, pointer := h.Release()
	shift.Down, a.Down = false, false
	if !slices.Equal(keys, []Key{a, shift}) || pointer == nil || *pointer != (Pointer{At: image.Pt(3, 4)}) {
		t.Errorf("%v, %v", keys, pointer)
	}
	if keys, pointer = h.Release(); keys != nil || pointer != nil {
		t.Errorf("again %v, %v", keys, pointer)
	}
	for n := range maxHeld {
		h.Press(Key{Sym: uint32(n + 1), Down: true})
	}
	if h.Press(Key{Sym: 1000, Down: true}) {
		t.Error("a key too many passes")
	}
}

func BenchmarkShow(b *testing.B) {
	s := New(Masks{}, &album{})
	_ = s.Resize(1920, 1080)
	_ = s.Show()
	for n := range b.N {
		s.Fill(s.Bounds(), uint32(n))
		if err := s.Show(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1920*1080/1e6/b.Elapsed().Seconds(), "Mpx/s")
}
