package terminal

import (
	"unicode/utf8"

	"github.com/sallyport/sallyport/session/wording"
)

// sequences takes a terminal's stream apart into text, controls and sequences, also where
// they are split over chunks. What is neither known nor text does nothing.
type sequences struct {
	carry   []byte // of a character that is not whole yet
	state   int
	private rune // of a control sequence: its first character where that is no digit
	between bool // it has an intermediate character, and is none that is known
	params  []int
	charset int // which one is being chosen
}

const (
	inText    = iota
	inEscape  // after ESC
	inCharset // after ESC and an intermediate
	inControl // inside CSI
	inString  // inside OSC, DCS, APC, PM, SOS
	inEnding  // inside one of those, after ESC
)

// take hands the parts of a chunk to who writes it. A byte that can never become a character is U+FFFD.
func (s *sequences) take(b []byte, do *writing) {
	all := append(s.carry, b...)
	for len(all) > 0 {
		if !utf8.FullRune(all) {
			break
		}
		r, n := utf8.DecodeRune(all)
		s.step(r, do)
		all = all[n:]
	}
	s.carry = append([]byte(nil), all...)
}

// param is a number of a control sequence; none, and 0 where least is 1, are least.
func (s *sequences) param(i, least int) int {
	if i >= len(s.params) {
		return least
	}
	return max(s.params[i], least)
}

func (s *sequences) step(r rune, do *writing) {
	switch s.state {
	case inEscape:
		s.escaped(r, do)
	case inCharset:
		if r < 0x20 || r > 0x2f {
			s.state = inText
			do.designate(s.charset, r)
		}
	case inControl:
		s.inControl(r, do)
	case inString, inEnding:
		s.inString(r, do)
	default:
		s.plain(r, do)
	}
}

func (s *sequences) plain(r rune, do *writing) {
	switch {
	case r == 0x1b:
		s.state = inEscape
	case r == 0x9b:
		s.begin()
	case r == 0x90, r == 0x98, r == 0x9d, r == 0x9e, r == 0x9f:
		s.state = inString
	case r < 0x20:
		do.control(r)
	case !wording.Hostile(r):
		do.text(r)
	}
}

func (s *sequences) begin() {
	s.state, s.private, s.between, s.params = inControl, 0, false, s.params[:0]
}

func (s *sequences) inControl(r rune, do *writing) {
	switch {
	case r == 0x1b:
		s.state = inEscape
	case r == 0x18, r == 0x1a, r > 0x7f:
		s.state = inText
	case r == '\n': // as every reader takes it who looks for lines
		s.state = inText
		do.control(r)
	case r < 0x20:
		do.control(r)
	case r >= 0x40 && r <= 0x7e:
		s.state = inText
		if !s.between {
			do.sequence(s, r)
		}
	case r >= '0' && r <= '9':
		if len(s.params) == 0 {
			s.params = append(s.params, 0)
		}
		last := &s.params[len(s.params)-1]
		*last = min(*last*10+int(r-'0'), maxParam)
	case r == ';', r == ':':
		if len(s.params) == 0 {
			s.params = append(s.params, 0)
		}
		if len(s.params) < maxParams {
			s.params = append(s.params, 0)
		}
	case r >= '<' && r <= '?':
		s.private = r
	default:
		s.between = true
	}
}

func (s *sequences) escaped(r rune, do *writing) {
	switch {
	case r == '[':
		s.begin()
	case r == ']', r == 'P', r == '_', r == '^', r == 'X':
		s.state = inString
	case r >= 0x20 && r <= 0x2f:
		s.state, s.charset = inCharset, int(r)
	case r != 0x1b:
		s.state = inText
		do.escape(r)
	}
}

func (s *sequences) inString(r rune, do *writing) {
	switch {
	case r == 0x07, r == 0x18, r == 0x1a, r == 0x9c:
		s.state = inText
	case r == 0x1b:
		s.state = inEnding
	case s.state == inEnding && r == '\\':
		s.state = inText
	case s.state == inEnding: // the string was cut short by another sequence
		s.escaped(r, do)
	}
}
