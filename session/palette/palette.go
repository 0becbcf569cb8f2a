// Package palette finds the few colours of a picture: screens are told and kept as a list of
// them, and which of it each pixel has.
package palette

import "encoding/binary"

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
	p.begin(len(pix))
	if !p.number(p.at, pix, min(most, Most)) {
		return 0
	}
	return len(p.Colours)
}

// begin forgets the last picture; the next one has so many pixels.
func (p *Palette) begin(pixels int) {
	p.Colours = p.Colours[:0]
	if p.round++; p.round == 0 {
		p.slots, p.round = [slots]uint64{}, 1
	}
	if cap(p.at) < pixels {
		p.at = make([]uint8, pixels)
	}
	p.at = p.at[:pixels]
}

// number looks the colours of some pixels up.
func (p *Palette) number(at []uint8, pix []uint32, most int) bool {
	base := uint64(p.round) << 24
	at = at[:len(pix)]
	for i, c := range pix {
		key := base | uint64(c&0xffffff)
		slot := p.slots[hash(c)]
		if slot>>8 != key { // seldom: the loop has no other branch that depends on the picture
			if slot = p.find(key, most); slot == 0 {
				return false
			}
		}
		at[i] = uint8(slot)
	}
	return true
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
func (p *Palette) Indexes(b []byte, wide, bits int) []byte { return indexes(b, p.at, wide, bits) }

func indexes(b []byte, at []uint8, wide, bits int) []byte {
	if bits == 8 {
		return append(b, at...)
	}
	for rows := at; len(rows) > 0; rows = rows[wide:] {
		row := rows[:wide]
		for ; len(row) >= 8; row = row[8:] {
			b = eight(b, binary.LittleEndian.Uint64(row), bits)
		}
		if len(row) > 0 { // padded to whole bytes
			var rest [8]byte
			copy(rest[:], row)
			whole := len(b) + (len(row)*bits+7)/8
			b = eight(b, binary.LittleEndian.Uint64(rest[:]), bits)[:whole]
		}
	}
	return b
}

// eight appends eight numbers, the first in the lowest byte of x, in 1, 2 or 4 bits each. They
// are moved together all at once.
func eight(b []byte, x uint64, bits int) []byte {
	switch bits {
	case 1: // each to the place that is its own in the highest byte
		return append(b, byte(x*0x8040201008040201>>56))
	case 2:
		x = (x<<2 | x>>8) & 0x00ff00ff00ff00ff  // two in every second byte
		x = (x<<4 | x>>16) & 0x000000ff000000ff // four in every fourth
		return append(b, byte(x), byte(x>>32))
	}
	x = (x<<4 | x>>8) & 0x00ff00ff00ff00ff
	return append(b, byte(x), byte(x>>16), byte(x>>32), byte(x>>48))
}
