package palette

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// The colours come in the order in which they are met, and every pixel is found again.
func TestEveryPixelIsFoundAgain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var p Palette
	p.round = ^uint32(0) - 50 // it runs over on the way
	for range 300 {
		wide, high, most := 1+r.IntN(70), 1+r.IntN(9), 1+r.IntN(Most)
		pix := make([]uint32, wide*high)
		few := 1 + r.IntN(300)
		for i := range pix {
			pix[i] = uint32(r.IntN(few)) * 2654435761 & 0xffffff
		}
		var want []uint32
		for _, c := range pix {
			if !slices.Contains(want, c) {
				want = append(want, c)
			}
		}
		n := p.Of(pix, most)
		if len(want) > most {
			if n != 0 {
				t.Fatalf("%d colours of at most %d", n, most)
			}
			continue
		}
		if n != len(want) || !slices.Equal(p.Colours, want) {
			t.Fatalf("%d colours, not %d, or in another order", n, len(want))
		}
		for _, bits := range []int{1, 2, 4, 8} {
			if n > 1<<bits {
				continue
			}
			b := p.Indexes([]byte{7}, wide, bits)
			row := (wide*bits + 7) / 8
			if b[0] != 7 || len(b) != 1+row*high {
				t.Fatalf("%d bytes for %d rows of %d", len(b), high, wide)
			}
			for i, c := range pix {
				x, y := i%wide, i/wide
				at := b[1+y*row+x*bits/8] >> (8 - bits - x*bits%8) & (1<<bits - 1)
				if want[at] != c {
					t.Fatalf("pixel %d of %v is %06x", i, pix, want[at])
				}
			}
		}
	}
	if p.Of(nil, 5) != 0 || p.Of([]uint32{3}, 5) != 1 {
		t.Error("a picture of nothing, or of one pixel")
	}
}

// BenchmarkOf is a picture of so few colours that an index takes 1, 2, 4 or 8 bits.
func BenchmarkOf(b *testing.B) {
	for bits, few := range map[int]int{1: 2, 2: 4, 4: 13, 8: 50} {
		b.Run(fmt.Sprintf("%d bits", bits), func(b *testing.B) {
			pix := make([]uint32, 64<<10)
			for i := range pix {
				pix[i] = uint32(i/3%few) * 0x10203
			}
			var p Palette
			var out []byte
			b.SetBytes(int64(4 * len(pix)))
			for b.Loop() {
				p.Of(pix, 64)
				out = p.Indexes(out[:0], 256, bits)
			}
		})
	}
}
