package mirror

import (
	"bytes"
	"reflect"
	"slices"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// Where the emulation and the page's terminal differ about what ordinary programs send,
// it is made to do as that one: a recording that is played shows one thing, whether its
// bytes are played or a picture of them is drawn.

// print shows bytes. A wide character that does not fit into its line begins the next
// one; the emulator would cut it in two.
func (m *Mirror) print(p []byte) {
	if !slices.ContainsFunc(p, func(c byte) bool { return c >= 0xe1 }) { // none is wide below U+1000
		_, _ = m.vt.Write(p)
		return
	}
	begun := 0
	var state byte
	for i := 0; i < len(p); {
		_, width, n, next := ansi.DecodeSequence(p[i:], state, nil)
		if width == 2 && state == ansi.NormalState {
			_, _ = m.vt.Write(p[begun:i])
			m.wide(p[i : i+n])
			begun = i + n
		}
		state = next
		i += max(1, n)
	}
	_, _ = m.vt.Write(p[begun:])
}

// wide shows one wide character.
func (m *Mirror) wide(c []byte) {
	at := m.vt.CursorPosition()
	on, said := m.modes[ansi.ModeAutoWrap]
	goesOn := !said || on
	switch {
	case m.wraps() || at.X < m.cols-2 || m.cols < 2:
		_, _ = m.vt.Write(c)
	case at.X == m.cols-2:
		_, _ = m.vt.Write(c)
		if cell := m.vt.CellAt(at.X, at.Y); goesOn && cell != nil { // the line is full
			full := *cell
			_, _ = m.vt.Write([]byte(" "))
			m.vt.SetCell(at.X, at.Y, &full)
		}
	case goesOn:
		_, _ = m.vt.Write(append([]byte(" "), c...))
	}
}

// entering is how many bytes to show at once, so that a sequence that shows the alternate
// screen stands alone. The cursor stays where it was then, and the emulator would put it
// into the corner: less begins to write there.
func entering(p []byte) int {
	n := len(p)
	for _, sequence := range []string{"\x1b[?1049h", "\x1b[?1047h", "\x1b[?47h"} {
		if i := bytes.Index(p[:n], []byte(sequence)); i > 0 {
			n = i
		} else if i == 0 {
			return len(sequence)
		}
	}
	return n
}

// moveTo puts the cursor somewhere on the screen.
func (m *Mirror) moveTo(pos uv.Position) {
	var b bytes.Buffer
	cup(&b, pos.X, pos.Y)
	_, _ = m.vt.Write(b.Bytes())
}

// wraps reports whether the next character begins a line: the cursor stands in the last
// column either way, and only the emulator knows.
func (m *Mirror) wraps() bool { return reflect.ValueOf(m.vt).Elem().FieldByName("atPhantom").Bool() }

// erase does ECH when it goes beyond the line: the emulator would not stop there.
func (m *Mirror) erase(params ansi.Params) bool {
	n, _, _ := params.Param(0, 1)
	if n <= m.cols {
		return false
	}
	pos := m.vt.CursorPosition()
	m.blank(pos.X, pos.Y)
	return true
}

// full clears nothing of a full line behind whose end the cursor waits: the emulator
// would clear the last character, and top ends its lines so.
func (m *Mirror) full(params ansi.Params) bool {
	n, _, _ := params.Param(0, 0)
	return n == 0 && m.wraps()
}

// clear is full for what is below, too. All of the screen is cleared without keeping it:
// what was cleared would come back from the past when the screen grows.
func (m *Mirror) clear(params ansi.Params) bool {
	n, _, _ := params.Param(0, 0)
	from := 0
	switch {
	case n == 0 && m.wraps():
		from = m.vt.CursorPosition().Y + 1
	case n != 2:
		return false
	}
	for y := from; y < m.rows; y++ {
		m.blank(0, y)
	}
	return true
}

// blank clears a line from a column on.
func (m *Mirror) blank(x, y int) {
	blank := uv.EmptyCell
	blank.Style.Bg = m.pens[m.screen()].Bg
	for ; x < m.cols; x++ {
		m.vt.SetCell(x, y, &blank)
	}
}
