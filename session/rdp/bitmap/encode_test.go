package bitmap

import (
	"encoding/binary"
	"math/rand/v2"
)

// packer writes interleaved run lengths as a server does, choosing at random among all
// orders that make the next pixels.
type packer struct {
	pix    []uint32 // values in the order of the stream
	width  int
	depth  int
	at     int
	fore   uint32
	insert bool
	out    []byte
	rand   *rand.Rand
}

func pack(pix []uint32, width, depth int, r *rand.Rand) []byte {
	p := &packer{pix: pix, width: width, depth: depth, fore: 1<<depth - 1, rand: r}
	for p.at < len(pix) {
		if p.at == width {
			p.insert = false
		}
		p.next()
	}
	return p.out
}

// end is how far an order may go: those of the first row end with it.
func (p *packer) end() int {
	if p.at < p.width {
		return p.width
	}
	return len(p.pix)
}

func (p *packer) above(at int) uint32 {
	if at < p.width {
		return 0
	}
	return p.pix[at-p.width]
}

func (p *packer) run(is func(at int) bool) (n int) {
	for p.at+n < p.end() && is(p.at+n) && n < 70000 {
		n++
	}
	return n
}

func (p *packer) next() {
	back := p.run(func(at int) bool { return p.pix[at] == p.above(at) })
	fore := p.run(func(at int) bool { return p.pix[at] == p.above(at)^p.fore })
	colour := p.run(func(at int) bool { return p.pix[at] == p.pix[p.at] })
	mask := p.run(func(at int) bool { return p.pix[at] == p.above(at) || p.pix[at] == p.above(at)^p.fore })
	white := uint32(1)<<p.depth - 1
	choices := []func(){
		func() { p.literal() },
		func() { p.order(colourRun, 32, colour, p.pix[p.at]) },
		func() { p.set() },
	}
	add := func(may bool, f func()) {
		if may {
			choices = append(choices, f, f)
		}
	}
	add(back > 0 && !p.insert, func() { p.order(backgroundRun, 32, back); p.insert = true })
	add(fore > 0, func() { p.order(foregroundRun, 32, fore) })
	add(mask > 0, func() { p.masked(maskedImage, mask) })
	add(p.pix[p.at] == white, func() { p.out = append(p.out, whitePixel); p.did(1) })
	add(p.pix[p.at] == 0, func() { p.out = append(p.out, blackPixel); p.did(1) })
	add(p.insert && p.pix[p.at] == p.above(p.at)^p.fore, func() {
		p.at++
		n := p.run(func(at int) bool { return p.pix[at] == p.above(at) })
		p.at--
		p.order(backgroundRun, 32, n+1)
		p.insert = true
	})
	for _, m := range []struct{ code, bits byte }{{firstMask, 3}, {secondMask, 5}} {
		fits := p.at+8 <= p.end()
		for i := 0; fits && i < 8; i++ {
			want := p.above(p.at + i)
			if m.bits>>i&1 == 1 {
				want ^= p.fore
			}
			fits = p.pix[p.at+i] == want
		}
		add(fits, func() { p.out = append(p.out, m.code); p.did(8) })
	}
	pairs := 0
	for p.at+2*pairs+1 < p.end() && p.pix[p.at+2*pairs] == p.pix[p.at] && p.pix[p.at+2*pairs+1] == p.pix[p.at+1] {
		pairs++
	}
	add(pairs > 0, func() { p.at += p.order(ditheredRun, 16, pairs, p.pix[p.at], p.pix[p.at+1]) })
	choices[p.rand.IntN(len(choices))]()
}

func (p *packer) did(n int) { p.at, p.insert = p.at+n, false }

func (p *packer) value(v uint32) {
	p.out = append(p.out, binary.LittleEndian.AppendUint32(nil, v)[:(p.depth+7)/8]...)
}

// order writes a run in the short or in the longest form.
func (p *packer) order(code byte, more, n int, values ...uint32) int {
	short := 31
	if more == 16 {
		short = 15
	}
	if n = min(n, 65535); p.rand.IntN(3) == 0 {
		n = 1 + p.rand.IntN(n)
	}
	head := code << 5
	if code > 7 {
		head = code << 4
	}
	mega := map[byte]byte{0: 0xf0, 1: 0xf1, 3: 0xf3, 4: 0xf4, setForegroundRun: 0xf6, ditheredRun: 0xf8}[code]
	switch {
	case n <= short && p.rand.IntN(8) > 0:
		p.out = append(p.out, head|byte(n))
	case n >= more && n < more+256 && p.rand.IntN(8) > 0:
		p.out = append(p.out, head, byte(n-more))
	default:
		p.out = binary.LittleEndian.AppendUint16(append(p.out, mega), uint16(n))
	}
	for _, v := range values {
		p.value(v)
	}
	p.did(n)
	return n
}

func (p *packer) literal() {
	at := p.at
	p.order(colourImage, 32, 1+p.rand.IntN(min(300, p.end()-p.at)))
	for _, v := range p.pix[at:p.at] {
		p.value(v)
	}
}

// set makes what the next pixel needs the foreground.
func (p *packer) set() {
	p.fore = p.pix[p.at] ^ p.above(p.at)
	if p.rand.IntN(2) == 0 {
		n := p.run(func(at int) bool { return p.pix[at] == p.above(at)^p.fore })
		p.order(setForegroundRun, 16, n, p.fore)
		return
	}
	p.masked(setMaskedImage, p.run(func(at int) bool { return p.pix[at] == p.above(at) || p.pix[at] == p.above(at)^p.fore }))
}

func (p *packer) masked(code byte, n int) {
	n = min(n, 65535)
	head, short, mega := code<<5, 31, byte(0xf2)
	if code == setMaskedImage {
		head, short, mega = code<<4, 15, 0xf7
	}
	switch {
	case n%8 == 0 && n/8 <= short:
		p.out = append(p.out, head|byte(n/8))
	case n <= 256 && p.rand.IntN(4) > 0:
		p.out = append(p.out, head, byte(n-1))
	default:
		p.out = binary.LittleEndian.AppendUint16(append(p.out, mega), uint16(n))
	}
	if code == setMaskedImage {
		p.value(p.fore)
	}
	for i := 0; i < n; i += 8 {
		var bits byte
		for k := 0; k < 8 && i+k < n; k++ {
			if p.pix[p.at+i+k] != p.above(p.at+i+k) {
				bits |= 1 << k
			}
		}
		p.out = append(p.out, bits)
	}
	p.did(n)
}

// planes writes a planar picture of pixels in the order of the stream.
func planes(pix []uint32, w int, head byte, r *rand.Rand) []byte {
	out := []byte{head}
	shifts := []int{16, 8, 0}
	if head&planesOpaque == 0 {
		shifts = []int{24, 16, 8, 0}
	}
	for _, s := range shifts {
		p := make([]byte, len(pix))
		for i, v := range pix {
			p[i] = byte(v >> s)
		}
		if head&planesRLE == 0 {
			out = append(out, p...)
			continue
		}
		for y := 0; y < len(p); y += w {
			line := p[y : y+w]
			if y > 0 {
				line = make([]byte, w)
				for x := range line {
					d := int8(p[y+x] - p[y+x-w])
					if line[x] = byte(d) << 1; d < 0 {
						line[x] = ^line[x]
					}
				}
			}
			out = append(out, runsOf(line, r)...)
		}
	}
	return append(out, 0)
}

func runsOf(line []byte, r *rand.Rand) (out []byte) {
	last := byte(0)
	for x := 0; x < len(line); {
		n := 0
		if r == nil { // as servers do: until four are alike
			for n < min(15, len(line)-x) && !(x+n+3 < len(line) && x+n > 0 && line[x+n] == line[x+n-1] && line[x+n+1] == line[x+n] && line[x+n+2] == line[x+n]) && (n > 0 || line[x] != last) {
				n++
			}
		} else {
			n = r.IntN(min(16, len(line)-x+1))
		}
		if n > 0 {
			last = line[x+n-1]
		}
		run := 0
		for x+n+run < len(line) && line[x+n+run] == last && run < 47 {
			run++
		}
		switch {
		case n == 0 && run >= 16:
			out = append(out, byte(run%16)<<4|byte(run/16))
		case run >= 3:
			run = min(run, 15)
			out = append(append(out, byte(n)<<4|byte(run)), line[x:x+n]...)
		case n > 0:
			run = 0
			out = append(append(out, byte(n)<<4), line[x:x+n]...)
		case r == nil:
			last = line[x]
			n, run = 1, 0
			out = append(out, 1<<4, last)
		default:
			continue
		}
		x += n + run
	}
	return out
}
