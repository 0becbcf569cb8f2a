package display

import (
	"io"
	"unicode/utf8"

	"github.com/sallyport/sallyport/session/wording"
)

// Filter lets a recorded terminal be shown on a real one. Text, colours and
// cursor movement pass. Whatever would make the viewer's terminal answer, report,
// remember, print, copy, rename itself or change what its keys send is dropped and
// counted: OSC, DCS, APC, PM, SOS strings, device queries, window operations,
// mouse and paste modes, 8-bit controls. A Filter holds at most 64 bytes of an
// unfinished sequence; it is not safe for concurrent use.
type Filter struct {
	w       io.Writer
	state   filterState
	seq     []byte // the escape sequence or rune being read
	out     []byte
	Dropped int // sequences that were not passed on
}

// Undo undoes whatever a Filter lets pass: synchronized output, the alternate screen,
// reverse video, origin, no wrap, a hidden or another cursor, inserting, line feeds that
// return, tab stops, colours, character sets, the scroll region. It ends on a fresh line
// at the bottom, below what was shown.
const Undo = "\x1b[?2026l\x1b[?1049l\x1b[?1047l\x1b[?47l\x1b[?5l\x1b[?6l\x1b[?7h\x1b[?12l\x1b[?25h" +
	"\x1b[4l\x1b[20l\x1b[0 q\x1b[?5W\x1b[0m\x1b(B\x1b)B\x0f\x1b[r\x1b[999;1H\x1b7\n"

type filterState int

const (
	ground    filterState = iota
	escaped               // after ESC
	charset               // after ESC and an intermediate
	control               // inside CSI
	overlong              // inside a CSI that is too long to be honest
	stringed              // inside OSC, DCS, APC, PM, SOS
	stringEsc             // inside one of those, after ESC
)

const (
	esc     = 0x1b
	restart = "\x1b[0m\x1b(B\x1b)B\x0f\x1b[4l\x1b[?5l\x1b[?6l\x1b[?7h\x1b[?25h\x1b[?1047l\x1b[r\x1b[H\x1b[2J" // what a reset shows
)

// NewFilter passes safe output on to w.
func NewFilter(w io.Writer) *Filter { return &Filter{w: w} }

// Write filters p. It reports len(p) unless the writer below fails.
func (f *Filter) Write(p []byte) (int, error) {
	f.out = f.out[:0]
	for _, c := range p {
		f.step(c)
	}
	if len(f.out) > 0 {
		if _, err := f.w.Write(f.out); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (f *Filter) step(c byte) {
	switch f.state {
	case ground:
		f.text(c)
	case escaped:
		f.afterEscape(c)
	case charset:
		f.seq = append(f.seq, c)
		f.end(len(f.seq) == 3 && okIntermediate(f.seq[1], c))
	case control, overlong:
		f.inControl(c)
	case stringed:
		switch c {
		case 0x07, 0x18, 0x1a: // BEL ends it; CAN and SUB abort it
			f.state = ground
		case esc:
			f.state = stringEsc
		}
	case stringEsc:
		f.state = ground
		if c != '\\' { // not the terminator: ESC cancels the string and begins anew
			f.begin()
			f.step(c)
		}
	}
}

// text handles bytes outside sequences: runes are put together, C0 sorted.
func (f *Filter) text(c byte) {
	if len(f.seq) > 0 || c >= 0x80 {
		f.rune(c)
		return
	}
	switch {
	case c == esc:
		f.begin()
	case c == '\n', c == '\t', c == '\r', c == '\b', c == 0x0b, c == 0x0c, c == 0x0e, c == 0x0f:
		f.out = append(f.out, c)
	case c == 0x07, c == 0: // a bell in a replay is noise, a NUL is padding
	case c < 0x20, c == 0x7f:
		f.Dropped++
	default:
		f.out = append(f.out, c)
	}
}

func (f *Filter) rune(c byte) {
	if len(f.seq) > 0 && c&0xC0 != 0x80 { // the rune before was cut short
		f.seq = f.seq[:0]
		f.out = utf8.AppendRune(f.out, utf8.RuneError)
		f.text(c)
		return
	}
	f.seq = append(f.seq, c)
	if !utf8.FullRune(f.seq) {
		return
	}
	r, _ := utf8.DecodeRune(f.seq)
	f.seq = f.seq[:0]
	if r != utf8.RuneError && wording.Hostile(r) {
		f.Dropped++
		return
	}
	f.out = utf8.AppendRune(f.out, r)
}

func (f *Filter) begin() {
	f.seq = append(f.seq[:0], esc)
	f.state = escaped
}

// end finishes the sequence in f.seq.
func (f *Filter) end(pass bool) {
	if pass {
		f.out = append(f.out, f.seq...)
	} else {
		f.Dropped++
	}
	f.seq = f.seq[:0]
	f.state = ground
}

func (f *Filter) afterEscape(c byte) {
	f.seq = append(f.seq, c)
	switch c {
	case '[':
		f.state = control
	case ']', 'P', 'X', '^', '_', 'k': // k is the title of screen and tmux
		f.Dropped++
		f.seq = f.seq[:0]
		f.state = stringed
	case '(', ')', '*', '+', '#', ' ', '%', '-', '.', '/', '!', '"', '$', '&', '\'', ',':
		f.state = charset
	case '7', '8', 'D', 'E', 'M', 'H':
		f.end(true)
	case 'c': // a reset takes what scrolled away and the viewer's own modes with it
		f.out = append(f.out, restart...)
		f.end(false)
	case esc:
		f.Dropped++
		f.begin()
	default:
		f.end(false)
	}
}

func okIntermediate(kind, c byte) bool {
	switch kind {
	case '(', ')':
		return c == '0' || c == 'A' || c == 'B'
	case '#':
		return c == '8'
	}
	return false
}

func (f *Filter) inControl(c byte) {
	switch {
	case c == esc:
		f.Dropped++
		f.begin()
		return
	case c == 0x18, c == 0x1a, c >= 0x80:
		f.end(false)
		return
	case c < 0x20, c == 0x7f: // terminals act on these in mid-sequence; we do not
		return
	}
	f.seq = append(f.seq, c)
	if len(f.seq) > maxSequence {
		f.state = overlong
		f.seq = f.seq[:0]
	}
	if c >= 0x40 {
		f.end(f.state == control && okControl(f.seq[2:]))
	}
}

// okControl decides about a CSI sequence, given without its introducer.
func okControl(s []byte) bool {
	final := s[len(s)-1]
	params, private, number, digits := s[:len(s)-1], byte(0), []int{0}, 0
	if len(params) > 0 && params[0] >= '<' && params[0] <= '?' {
		private, params = params[0], params[1:]
	}
	intermediate := byte(0)
	for _, c := range params {
		switch {
		case intermediate != 0:
			return false
		case c >= '0' && c <= '9':
			if digits++; digits > 4 { // no honest screen has five digits; REP 2^31 is a bomb
				return false
			}
			number[len(number)-1] = number[len(number)-1]*10 + int(c-'0')
		case c == ';', c == ':':
			number, digits = append(number, 0), 0
		case c >= 0x20 && c < 0x30:
			intermediate = c
		default:
			return false
		}
	}
	switch {
	case intermediate == ' ':
		return private == 0 && final == 'q' // cursor shape
	case intermediate == '!':
		return private == 0 && final == 'p' // soft reset
	case intermediate != 0:
		return false
	case private == '?':
		return (final == 'h' || final == 'l') && okModes(number) || final == 'J' || final == 'K'
	case private != 0:
		return false
	}
	switch final {
	case 'J':
		return number[0] != 3 // what the viewer's terminal has scrolled away is the viewer's
	case 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'K', 'L', 'M', 'P', 'S', 'T', 'X', 'Z',
		'@', '`', 'a', 'b', 'd', 'e', 'f', 'g', 'm', 'r', 's', 'u':
		return true
	case 'h', 'l':
		// 20 changes what the Enter key sends.
		return len(number) == 1 && (number[0] == 4 || number[0] == 20 && final == 'l')
	}
	return false
}

// okModes passes the private modes that only change the picture.
func okModes(modes []int) bool {
	for _, m := range modes {
		switch m {
		case 5, 6, 7, 12, 25, 47, 1047, 1048, 1049, 2026:
		default:
			return false
		}
	}
	return true
}
