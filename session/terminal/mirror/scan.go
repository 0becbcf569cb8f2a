package mirror

import "bytes"

// scanner holds back a sequence that has begun and not ended, so that a snapshot is
// never taken in the middle of one: what is held back goes with the snapshot, and the
// terminal that gets it reads on where this one would have.
type scanner struct {
	state state
	held  []byte
	long  bool // the sequence became too long to hold; the emulator has its beginning
	left  int  // bytes of a character still to come
	sets  [2]byte
	shift bool // the second character set is in use
}

type state byte

const (
	ground state = iota
	escape
	escapeMore // intermediates of an escape sequence
	control    // CSI
	text       // OSC, DCS, SOS, PM, APC: up to BEL or ST
	textEscape
	letter // in a UTF-8 character
)

const heldMost = 4 << 10

// whole takes bytes and returns those of complete sequences, with what was held.
func (s *scanner) whole(p []byte) []byte {
	data := p
	if len(s.held) > 0 {
		data = append(s.held, p...)
	}
	begun := 0 // of the sequence under way
	offset := len(data) - len(p)
	for i, c := range p {
		if s.state == ground {
			begun = offset + i
			s.long = false
		}
		s.step(c, data[begun:offset+i+1])
	}
	if s.state == ground || s.long {
		s.held = nil
		return data
	}
	if len(data)-begun > heldMost {
		s.held, s.long = nil, true
		return data
	}
	s.held = bytes.Clone(data[begun:])
	return data[:begun]
}

// atRest reports whether the emulator stands between two sequences.
func (s *scanner) atRest() bool { return !s.long }

// rest is what is held back.
func (s *scanner) rest() []byte { return s.held }

// step takes one byte; sequence is the one under way, up to it.
func (s *scanner) step(c byte, sequence []byte) {
	if s.state == letter {
		if s.left--; c&0xc0 != 0x80 {
			s.state = ground // broken: c begins something of its own
		} else if s.left == 0 {
			s.state = ground
			return
		} else {
			return
		}
	}
	if s.state != ground && s.state != text && s.state != textEscape && (c == 0x18 || c == 0x1a) {
		s.state = ground
		return
	}
	switch s.state {
	case ground:
		s.begin(c)
	case escape, escapeMore:
		s.escaped(c, sequence)
	case control:
		if c == 0x1b {
			s.state = escape
		} else if c >= 0x40 && c <= 0x7e {
			s.state = ground
		}
	case text:
		switch c {
		case 0x07, 0x18, 0x1a:
			s.state = ground
		case 0x1b:
			s.state = textEscape
		}
	case textEscape:
		if s.state = ground; c != '\\' {
			s.escaped(c, sequence)
		}
	}
}

// begin takes a byte outside of any sequence.
func (s *scanner) begin(c byte) {
	switch {
	case c == 0x1b:
		s.state = escape
	case c == 0x0e || c == 0x0f:
		s.shift = c == 0x0e
	case c >= 0xc2 && c < 0xe0:
		s.state, s.left = letter, 1
	case c >= 0xe0 && c < 0xf0:
		s.state, s.left = letter, 2
	case c >= 0xf0 && c < 0xf5:
		s.state, s.left = letter, 3
	}
}

// escaped takes a byte after ESC.
func (s *scanner) escaped(c byte, sequence []byte) {
	first := s.state != escapeMore
	switch {
	case c == 0x1b:
		s.state = escape
	case first && c == '[':
		s.state = control
	case first && (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_'):
		s.state = text
	case c >= 0x20 && c <= 0x2f:
		s.state = escapeMore
	case c < 0x20:
	default:
		s.state = ground
		s.chosen(c, sequence)
	}
}

// chosen follows which character sets are in use: line drawing above all.
func (s *scanner) chosen(final byte, sequence []byte) {
	if final == 'c' && len(sequence) == 2 {
		s.sets, s.shift = [2]byte{}, false
	}
	if len(sequence) != 3 || sequence[1] != '(' && sequence[1] != ')' {
		return
	}
	if final == '0' || final == 'A' {
		s.sets[sequence[1]-'('] = final
	} else {
		s.sets[sequence[1]-'('] = 0
	}
}

// drawCharsets chooses them again.
func (s *scanner) drawCharsets(b *bytes.Buffer) {
	for i, set := range s.sets {
		if set != 0 {
			b.Write([]byte{0x1b, "()"[i], set})
		}
	}
	if s.shift {
		b.WriteByte(0x0e)
	}
}
