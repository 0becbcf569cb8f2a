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
		s.step(c)
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

// rest is what is held back.
func (s *scanner) rest() []byte { return s.held }

// step takes one byte.
func (s *scanner) step(c byte) {
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
		s.escaped(c)
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
			s.escaped(c)
		}
	}
}

// begin takes a byte outside of any sequence.
func (s *scanner) begin(c byte) {
	switch {
	case c == 0x1b:
		s.state = escape
	case c >= 0xc2 && c < 0xe0:
		s.state, s.left = letter, 1
	case c >= 0xe0 && c < 0xf0:
		s.state, s.left = letter, 2
	case c >= 0xf0 && c < 0xf5:
		s.state, s.left = letter, 3
	}
}

// escaped takes a byte after ESC.
func (s *scanner) escaped(c byte) {
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
	}
}
