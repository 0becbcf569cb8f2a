// Package palette finds the few colours of a picture: screens are told and kept as a list of
// them, and which of it each pixel has.
package palette

// Most is how many colours a palette can have.
const Most = 256

const (
	slots = 1 << 10 // more than twice Most, so that looking one up seldom takes two steps
	shift = 32 - 10
)

// Palette is of the picture that Of was last called with. The zero value is ready; it is of
// one goroutine.
type Palette struct {
	Colours []uint32 // in the order in which they come

	at    []uint8       // which colour each pixel has
	round uint32        // slots of earlier rounds are empty
	slots [slots]uint64 // round, colour, and the colour's number in the lowest byte
}

// Of collects the colours and returns how many there are; 0 if more than most, and then the
// palette says nothing. Colours are of 24 bits.
func (p *Palette) Of(pix []uint32, most int) int {
	p.Colours = p.Colours[:0]
	if p.round++; p.round == 0 {
		p.slots, p.round = [slots]uint64{}, 1
	}
	if cap(p.at) < len(pix) {
		p.at = make([]uint8, len(pix))
	}
	p.at = p.at[:len(pix)]
	most = min(most, Most)
	base, at := uint64(p.round)<<24, p.at
	for i, c := range pix {
		key := base | uint64(c&0xffffff)
		slot := p.slots[hash(c)]
		if slot>>8 != key { // seldom: the loop has no other branch that depends on the picture
			if slot = p.find(key, most); slot == 0 {
				return 0
			}
		}
		at[i] = uint8(slot)
	}
	return len(p.Colours)
}

func hash(c uint32) uint32 { return c << 8 * 0x9e3779b1 >> shift }

// find is the slot of a colour, which is added where it is new; 0 if there are too many.
func (p *Palette) find(key uint64, most int) uint64 {
	c := uint32(key) & 0xffffff
	for at := hash(c); ; at = (at + 1) % slots {
		switch slot := p.slots[at]; {
		case slot>>8 == key:
			return slot
		case slot>>32 == uint64(p.round):
			continue
		case len(p.Colours) >= most:
			return 0
		}
		p.slots[at] = key<<8 | uint64(len(p.Colours))
		p.Colours = append(p.Colours, c)
		return p.slots[at]
	}
}

// Indexes appends which colour each pixel has, in 1, 2, 4 or 8 bits, the first pixel in the
// highest; each row, of so many pixels, begins a byte.
func (p *Palette) Indexes(b []byte, wide, bits int) []byte {
	if bits == 8 {
		return append(b, p.at...)
	}
	for rows := p.at; len(rows) > 0; rows = rows[wide:] {
		acc, have := uint(0), 0
		for _, n := range rows[:wide] {
			acc = acc<<bits | uint(n)
			if have += bits; have == 8 {
				b, acc, have = append(b, byte(acc)), 0, 0
			}
		}
		if have > 0 {
			b = append(b, byte(acc<<(8-have)))
		}
	}
	return b
}
