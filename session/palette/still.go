package palette

import (
	"image"
	"slices"
)

// Still is a picture that never changes: whoever looks at a screen, and the recorder, share
// the stills that it consists of. At most 65,536 pixels.
type Still struct {
	Size    image.Point
	Colours []uint32 // in the order in which they come; none: too many, and pix tells

	at  []uint8  // the number of each pixel's colour; nil where there is one
	pix []uint32 // each pixel's colour; nil where there are few
}

// Still makes one of what stands in r of a picture whose rows have stride pixels.
func (p *Palette) Still(pix []uint32, stride int, r image.Rectangle) *Still {
	s := &Still{Size: r.Size()}
	p.begin(r.Dx() * r.Dy())
	n := p.rows(pix, stride, r)
	switch {
	case n == 0:
		s.pix = make([]uint32, 0, r.Dx()*r.Dy())
		for y := r.Min.Y; y < r.Max.Y; y++ {
			s.pix = append(s.pix, pix[y*stride+r.Min.X:y*stride+r.Max.X]...)
		}
		return s
	case n > 1:
		s.at = slices.Clone(p.at)
	}
	s.Colours = slices.Clone(p.Colours)
	return s
}

// rows looks the colours of r up. A row like the one above it, which is what most of a console
// consists of, is compared and no more.
func (p *Palette) rows(pix []uint32, stride int, r image.Rectangle) int {
	wide := r.Dx()
	var above []uint32
	for y := range r.Dy() {
		from := (r.Min.Y+y)*stride + r.Min.X
		row, at := pix[from:from+wide], p.at[y*wide:(y+1)*wide]
		if y > 0 && equal(row, above) {
			copy(at, p.at[(y-1)*wide:])
		} else if !p.number(at, row, Most) {
			return 0
		}
		above = row
	}
	return len(p.Colours)
}

// equal compares the rows of most stills at once.
func equal(a, b []uint32) bool {
	const most = 64
	if len(a) == most && len(b) == most {
		return *(*[most]uint32)(a) == *(*[most]uint32)(b)
	}
	return slices.Equal(a, b)
}

// Same reports whether some pixels of a row, from x on, are these.
func (s *Still) Same(x, y int, row []uint32) bool {
	from := y*s.Size.X + x
	switch {
	case s.pix != nil:
		return slices.Equal(s.pix[from:from+len(row)], row)
	case s.at == nil:
		for _, c := range row {
			if c != s.Colours[0] {
				return false
			}
		}
		return true
	}
	for i, n := range s.at[from : from+len(row)] {
		if s.Colours[n] != row[i] {
			return false
		}
	}
	return true
}

// Row puts some pixels of a row, from x on, into dst.
func (s *Still) Row(dst []uint32, x, y int) {
	from := y*s.Size.X + x
	switch {
	case s.pix != nil:
		copy(dst, s.pix[from:])
	case s.at == nil:
		for i := range dst {
			dst[i] = s.Colours[0]
		}
	default:
		for i, n := range s.at[from : from+len(dst)] {
			dst[i] = s.Colours[n]
		}
	}
}

// Indexes appends which colour each pixel has, as Palette's do. There are at least two.
func (s *Still) Indexes(b []byte, bits int) []byte { return indexes(b, s.at, s.Size.X, bits) }

// Sheet is a picture of stills, each of which has a side of Side pixels but where the picture
// ends. It never changes.
type Sheet struct {
	Size   image.Point
	Side   int
	Stills []*Still // row by row
}

// Black is a sheet of nothing.
func Black(size image.Point, side int) *Sheet {
	s, stills := &Sheet{Size: size, Side: side}, map[image.Point]*Still{}
	for y := 0; y < size.Y; y += side {
		for x := 0; x < size.X; x += side {
			of := image.Pt(min(side, size.X-x), min(side, size.Y-y))
			if stills[of] == nil {
				stills[of] = &Still{Size: of, Colours: []uint32{0}}
			}
			s.Stills = append(s.Stills, stills[of])
		}
	}
	return s
}

// Across is how many stills stand beside each other.
func (s *Sheet) Across() int { return (s.Size.X + s.Side - 1) / s.Side }

// Still is the one in a place, which is counted in stills.
func (s *Sheet) Still(at image.Point) *Still { return s.Stills[at.Y*s.Across()+at.X] }

// Same reports whether some pixels of a row, from x on, are these.
func (s *Sheet) Same(x, y int, row []uint32) bool {
	for len(row) > 0 {
		n := min(len(row), s.Side-x%s.Side)
		if !s.Still(image.Pt(x, y).Div(s.Side)).Same(x%s.Side, y%s.Side, row[:n]) {
			return false
		}
		x, row = x+n, row[n:]
	}
	return true
}

// Pixels appends those of a part, row by row.
func (s *Sheet) Pixels(out []uint32, r image.Rectangle) []uint32 {
	start := len(out)
	out = slices.Grow(out, r.Dx()*r.Dy())[:start+r.Dx()*r.Dy()]
	s.each(r, func(still *Still, in image.Rectangle, to int) {
		for y := in.Min.Y; y < in.Max.Y; y++ {
			at := start + to + (y-in.Min.Y)*r.Dx()
			still.Row(out[at:at+in.Dx()], in.Min.X, y)
		}
	})
	return out
}

// each calls f with the stills of a part, with what of each is in it, and with where that
// stands in the part's pixels.
func (s *Sheet) each(r image.Rectangle, f func(still *Still, in image.Rectangle, to int)) {
	for y := r.Min.Y / s.Side; y*s.Side < r.Max.Y; y++ {
		for x := r.Min.X / s.Side; x*s.Side < r.Max.X; x++ {
			corner := image.Pt(x, y).Mul(s.Side)
			in := image.Rectangle{Min: corner, Max: corner.Add(image.Pt(s.Side, s.Side))}.Intersect(r)
			f(s.Still(image.Pt(x, y)), in.Sub(corner), (in.Min.Y-r.Min.Y)*r.Dx()+in.Min.X-r.Min.X)
		}
	}
}

// Part is Of for a part of a sheet: colours are looked up once a still, not once a pixel.
func (p *Palette) Part(s *Sheet, r image.Rectangle, most int) int {
	p.begin(r.Dx() * r.Dy())
	ok := true
	s.each(r, func(still *Still, in image.Rectangle, to int) {
		ok = ok && p.join(still, in, to, r.Dx(), min(most, Most))
	})
	if !ok {
		return 0
	}
	return len(p.Colours)
}

// join numbers a part of a still among the colours of a larger picture.
func (p *Palette) join(s *Still, in image.Rectangle, to, stride, most int) bool {
	if s.pix != nil {
		for y := in.Min.Y; y < in.Max.Y; y++ {
			from := y * s.Size.X
			if !p.number(p.at[to:to+in.Dx()], s.pix[from+in.Min.X:from+in.Max.X], most) {
				return false
			}
			to += stride
		}
		return true
	}
	if s.at == nil {
		n, ok := p.one(s.Colours[0], most)
		for y := 0; y < in.Dy() && ok; y++ {
			row := p.at[to : to+in.Dx()]
			for x := range row {
				row[x] = n
			}
			to += stride
		}
		return ok
	}
	var numbers [Most]uint16 // one more than the number; 0: not seen yet
	for y := in.Min.Y; y < in.Max.Y; y++ {
		row := s.at[y*s.Size.X+in.Min.X : y*s.Size.X+in.Max.X]
		out := p.at[to : to+len(row)]
		for x, c := range row {
			n := numbers[c]
			if n == 0 {
				at, ok := p.one(s.Colours[c], most)
				if !ok {
					return false
				}
				n = uint16(at) + 1
				numbers[c] = n
			}
			out[x] = uint8(n - 1)
		}
		to += stride
	}
	return true
}

// one is the number of a colour.
func (p *Palette) one(c uint32, most int) (uint8, bool) {
	slot := p.find(uint64(p.round)<<24|uint64(c&0xffffff), most)
	return uint8(slot), slot != 0
}
