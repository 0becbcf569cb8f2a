package bitmap

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"
)

// drawing is a picture as consoles show it: areas, text-like marks, and noise; values in the
// order of the stream.
func drawing(w, h, depth int, r *rand.Rand) []uint32 {
	white := uint32(1)<<min(depth, 24) - 1
	pix := make([]uint32, w*h)
	for range 12 {
		x, y, v := r.IntN(w), r.IntN(h), r.Uint32()&white
		kind := r.IntN(4)
		for j := y; j < min(h, y+1+r.IntN(h)); j++ {
			for i := x; i < min(w, x+1+w/3); i++ {
				switch kind {
				case 0:
					pix[j*w+i] = v
				case 1:
					pix[j*w+i] = r.Uint32() & white
				case 2:
					pix[j*w+i] = v * uint32((i+j)%2)
				case 3:
					pix[j*w+i] ^= white * uint32(r.IntN(2))
				}
			}
		}
	}
	return pix
}

// Whatever a picture is of, and whichever orders it is sent in, it is decoded as it is.
func TestPicturesComeAsTheyAre(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var d Decoder
	for i := range d.Palette {
		d.Palette[i] = r.Uint32() & 0xffffff
	}
	for n := range 120 {
		w, h := 1+r.IntN(90), 1+r.IntN(60)
		for _, depth := range []int{8, 15, 16, 24, 32} {
			pix := drawing(w, h, depth, r)
			var b []byte
			if depth == 32 {
				b = planes(pix, w, []byte{0, planesRLE, planesOpaque, planesRLE | planesOpaque}[n%4], r)
			} else {
				b = pack(pix, w, depth, r)
			}
			got, err := d.Decode(w, h, depth, true, b)
			if err != nil {
				t.Fatalf("%d x %d at %d: %v", w, h, depth, err)
			}
			turn(pix, w)
			d.colour(pix, depth)
			same(t, fmt.Sprint(w, " x ", h, " at ", depth), got, pix)
		}
	}
}

func TestRowsAsTheyAre(t *testing.T) {
	d := Decoder{Palette: [256]uint32{1: 0xabcdef}}
	for depth, c := range map[int]struct {
		src  []byte
		want []uint32
	}{
		8:  {[]byte{1, 0, 0, 0, 0, 1, 0, 0}, []uint32{0, 0xabcdef, 0xabcdef, 0}},
		15: {[]byte{0xff, 0x7f, 0, 0, 0, 0x7c, 0x1f, 0}, []uint32{0xff0000, 0x0000ff, 0xffffff, 0}},
		16: {[]byte{0xff, 0xff, 0xe0, 7, 0, 0xf8, 0x1f, 0}, []uint32{0xff0000, 0x0000ff, 0xffffff, 0x00ff00}},
		24: {[]byte{1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0}, []uint32{0x090807, 0x0c0b0a, 0x030201, 0x060504}},
		32: {[]byte{1, 2, 3, 9, 4, 5, 6, 9, 7, 8, 9, 9, 10, 11, 12, 9}, []uint32{0x090807, 0x0c0b0a, 0x030201, 0x060504}},
	} {
		got, err := d.Decode(2, 2, depth, false, c.src)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%d bits: %06x, %v", depth, got, err)
		}
		line := len(c.src) / 2
		if _, err := d.Decode(2, 2, depth, false, c.src[:line]); !errors.Is(err, ErrPicture) {
			t.Errorf("%d bits, one row short: %v", depth, err)
		}
	}
}

func TestWhatIsNoPictureIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		w, h, depth int
		packed      bool
		src         []byte
	}{
		"no width":                     {0, 1, 24, true, nil},
		"a negative height":            {1, -1, 24, true, nil},
		"too large":                    {9000, 9000, 24, true, nil},
		"larger than a number":         {1 << 40, 1 << 40, 24, true, nil},
		"4 bits":                       {1, 1, 4, true, []byte{0}},
		"a run beyond the end":         {4, 1, 24, true, []byte{0x05}},
		"a dithered run beyond":        {4, 1, 8, true, []byte{0xe3, 1, 2}},
		"an unknown order":             {4, 1, 8, true, []byte{0xa1}},
		"an unknown long order":        {4, 1, 8, true, []byte{0xf5, 1, 0}},
		"an unknown last order":        {4, 1, 8, true, []byte{0xff}},
		"a length that is missing":     {4, 1, 8, true, []byte{0x00}},
		"half a length":                {4, 1, 8, true, []byte{0xf0, 1}},
		"a colour that is missing":     {4, 1, 24, true, []byte{0x64, 1, 2}},
		"a foreground that is missing": {4, 1, 16, true, []byte{0xc4, 1}},
		"pixels that are missing":      {4, 1, 24, true, []byte{0x84, 1, 2, 3}},
		"a mask that is missing":       {16, 1, 24, true, []byte{0x42, 1}},
		"planes: nothing":              {4, 1, 32, true, nil},
		"planes: one too few":          {2, 1, 32, true, []byte{0x20, 1, 1, 1, 1}},
		"planes: half a row":           {4, 1, 32, true, []byte{0x30, 0x20, 1, 1}},
		"planes: beyond a row":         {4, 1, 32, true, []byte{0x30, 0x50, 1, 1, 1, 1, 1}},
		"planes: a run beyond a row":   {4, 1, 32, true, []byte{0x30, 0x15, 1}},
		"planes: a long run beyond":    {4, 1, 32, true, []byte{0x30, 0x02}},
		"planes: a run of nothing":     {4, 1, 32, true, []byte{0x30, 0, 0, 0, 0, 0}},
		"planes: half of red":          {4, 4, 32, true, []byte{0x28, 1, 1, 1, 1}},
	} {
		if _, err := new(Decoder).Decode(c.w, c.h, c.depth, c.packed, c.src); !errors.Is(err, ErrPicture) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for i, depth := range []int{8, 15, 16, 24} {
		pix := drawing(20, 10, depth, r)
		f.Add(uint8(20), uint8(10), uint8(i), true, pack(pix, 20, depth, r))
	}
	for _, head := range []byte{0, planesRLE, planesOpaque, planesRLE | planesOpaque, planesRLE | planesOpaque | halfChroma | 3} {
		f.Add(uint8(20), uint8(10), uint8(4), true, planes(drawing(20, 10, 24, r), 20, head, r))
	}
	// the tiles in which Windows sends, and pictures of other makers': rows that are odd, too
	f.Add(uint8(64), uint8(64), uint8(2), true, pack(drawing(64, 64, 16, r), 64, 16, r))
	for _, size := range [][2]int{{64, 64}, {64, 24}, {64, 35}} {
		for _, head := range []byte{planesRLE, planesRLE | planesOpaque, planesRLE | planesOpaque | 1, planesRLE | planesOpaque | halfChroma | 1, planesOpaque | halfChroma | 1} {
			f.Add(uint8(size[0]), uint8(size[1]), uint8(4), true, planes(drawing(size[0], size[1], 24, r), size[0], head, r))
		}
	}
	f.Add(uint8(2), uint8(2), uint8(3), false, make([]byte, 16))
	f.Fuzz(func(t *testing.T, w, h, depth uint8, packed bool, src []byte) {
		var d Decoder
		pix, err := d.Decode(int(w), int(h), []int{8, 15, 16, 24, 32}[depth%5], packed, src)
		if err == nil && len(pix) != int(w)*int(h) {
			t.Errorf("%d pixels of %d x %d", len(pix), w, h)
		}
	})
}

// console is what a desktop with windows, text and an image looks like.
func console(w, h, depth int) []uint32 {
	r := rand.New(rand.NewPCG(5, 6))
	pix := make([]uint32, w*h)
	for i := range pix {
		switch x, y := i%w, i/w; {
		case x > w/2 && y > h/2: // an image of grey
			pix[i] = 0x010101 * uint32((x+y)/8&0xff^r.IntN(2))
		case y%16 < 10 && x%9 < 7 && x%400 < 300 && y > 40 && (x/9*7+y/16*5)%11>>(uint(x%9)/3+uint(y%16)/5)&1 == 1: // text
			pix[i] = 0
		default:
			pix[i] = 0xd0d4d8
		}
		pix[i] &= 1<<min(depth, 24) - 1
	}
	return pix
}

func BenchmarkDecode(b *testing.B) {
	for _, depth := range []int{8, 16, 24, 32} {
		b.Run(fmt.Sprint(depth), func(b *testing.B) {
			const w, h = 1024, 64
			var src [][]byte
			all := console(w, 12*h, depth)
			for y := 0; y < 12; y++ {
				pix := all[y*w*h : (y+1)*w*h]
				if depth == 32 {
					src = append(src, planes(pix, w, planesRLE|planesOpaque, nil))
				} else {
					src = append(src, greedy(pix, w, depth))
				}
			}
			var d Decoder
			b.SetBytes(12 * w * h)
			before := worked(b)
			for b.Loop() {
				for _, s := range src {
					if _, err := d.Decode(w, h, depth, true, s); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N)*12*w*h/(worked(b)-before).Seconds()/1e6, "Mpx/s")
		})
	}
}

// worked is what the process had of a processor: a busy machine changes it little.
func worked(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano())
}

// greedy packs as servers do: the longest run first, pixels as they are between.
func greedy(pix []uint32, width, depth int) []byte {
	p := &packer{pix: pix, width: width, depth: depth, fore: 1<<depth - 1, rand: rand.New(rand.NewPCG(9, 9))}
	for p.at < len(pix) {
		if p.at == width {
			p.insert = false
		}
		from := p.at
		worth := func() bool {
			same, like := 0, 0
			for same < 4 && p.at+same < p.end() && p.pix[p.at+same] == p.above(p.at+same) {
				same++
			}
			for like < 5 && p.at+like < p.end() && p.pix[p.at+like] == p.pix[p.at] {
				like++
			}
			return same >= 4 || like >= 5
		}
		for p.at < p.end() && p.at-from < 200 && !worth() {
			p.at++
		}
		if n := p.at - from; n > 0 {
			p.out = binary16(append(p.out, 0xf4), n)
			for _, v := range p.pix[from:p.at] {
				p.value(v)
			}
			p.insert = false
			continue
		}
		back := p.run(func(at int) bool { return p.pix[at] == p.above(at) })
		if back >= 4 && !p.insert {
			p.out = binary16(append(p.out, 0xf0), min(back, 65535))
			p.did(min(back, 65535))
			p.insert = true
			continue
		}
		like := p.run(func(at int) bool { return p.pix[at] == p.pix[p.at] })
		p.out = binary16(append(p.out, 0xf3), min(like, 65535))
		p.value(p.pix[p.at])
		p.did(min(like, 65535))
	}
	return p.out
}

func binary16(b []byte, n int) []byte { return append(b, byte(n), byte(n>>8)) }
