package palette

import (
	"image"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// sheet makes one of a picture.
func sheet(pix []uint32, size image.Point, side int) *Sheet {
	s, p := &Sheet{Size: size, Side: side}, Palette{}
	for y := 0; y < size.Y; y += side {
		for x := 0; x < size.X; x += side {
			s.Stills = append(s.Stills, p.Still(pix, size.X, image.Rect(x, y, min(x+side, size.X), min(y+side, size.Y))))
		}
	}
	return s
}

// A sheet shows what it was made of, all of it and every part, whatever its stills hold; and
// the colours of a part are those that its pixels have, and no others.
func TestASheetShowsWhatItWasMadeOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		size, side := image.Pt(1+r.IntN(90), 1+r.IntN(90)), 16+r.IntN(48)
		pix := make([]uint32, size.X*size.Y)
		for i := range pix { // bands of one, few and many colours
			pix[i] = uint32(r.IntN([]int{1, 2, 40, 1 << 24}[(i/size.X/11)%4])) * 2654435761 & 0xffffff
		}
		s := sheet(pix, size, side)
		x, y := r.IntN(size.X), r.IntN(size.Y)
		part := image.Rect(x, y, x+1+r.IntN(size.X-x), y+1+r.IntN(size.Y-y))
		var want []uint32
		for y := part.Min.Y; y < part.Max.Y; y++ {
			want = append(want, pix[y*size.X+part.Min.X:y*size.X+part.Max.X]...)
		}
		if got := s.Pixels([]uint32{7}, part); !slices.Equal(got[1:], want) || got[0] != 7 {
			t.Fatalf("%v is shown otherwise", part)
		}
		row := want[:part.Dx()]
		if !s.Same(part.Min.X, part.Min.Y, row) {
			t.Fatalf("the first row of %v is another", part)
		}
		row[r.IntN(len(row))] ^= 1
		if s.Same(part.Min.X, part.Min.Y, row) {
			t.Fatalf("another row of %v is the same", part)
		}
		want = s.Pixels(want[:0], part)
		var of, p Palette
		most := []int{2, 16, Most}[r.IntN(3)]
		n := of.Of(want, most)
		if got := p.Part(s, part, most); got != n {
			t.Fatalf("%d colours, not %d", got, n)
		}
		for i := range want {
			if n > 0 && p.Colours[p.at[i]] != want[i] {
				t.Fatalf("pixel %d has another colour", i)
			}
		}
	})
}

// BenchmarkPart is the palette of a part of a screen whose stills were looked at.
func BenchmarkPart(b *testing.B) {
	size := image.Pt(1920, 1080)
	pix := make([]uint32, size.X*size.Y)
	for i := range pix {
		pix[i] = uint32(i/3%13) * 0x10203
	}
	s, p := sheet(pix, size, 64), Palette{}
	b.SetBytes(int64(len(pix)))
	for b.Loop() {
		for y := 0; y < size.Y; y += 34 {
			p.Part(s, image.Rect(0, y, size.X, min(y+34, size.Y)), Most)
		}
	}
}

// BenchmarkStill is a whole screen that is looked at.
func BenchmarkStill(b *testing.B) {
	size := image.Pt(1920, 1080)
	pix := make([]uint32, size.X*size.Y)
	for i := range pix {
		pix[i] = uint32(i/3%13) * 0x10203
	}
	b.SetBytes(int64(len(pix)))
	for b.Loop() {
		sheet(pix, size, 64)
	}
}
