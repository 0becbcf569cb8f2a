// Package mirror keeps what a terminal shows, so that whoever comes back to a running
// shell sees it. It reads what a device sends - hostile bytes, in bulk - and knows
// nothing of sessions, channels or recordings. What it keeps is a picture for people
// and no evidence: the recording has the bytes.
//
// The emulation is charmbracelet/x/vt, which no other package sees. Three habits of it
// are dealt with here: it answers queries into a pipe that must be drained, and the
// answers are thrown away, because the engineer's own terminal gives them; it keeps
// ten thousand lines of the alternate screen's past, so the emulator is made anew
// before they are many; and it may panic over what nobody has sent it yet, so a mirror
// that broke goes on blank and says so.
package mirror

import (
	"fmt"
	"io"
	"sync"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
)

const (
	scrollback = 200     // lines of the past that a snapshot brings back
	piece      = 1 << 10 // bytes between two looks at how much has scrolled away
	scrolled   = 500     // lines of the alternate screen's past, then it is made anew
)

// broken is what a blank mirror says; it stands in the terminal, so it is short.
const broken = "[What stood here cannot be shown again. The session goes on and is recorded.]\r\n"

// Mirror is the picture of one terminal. Not safe for concurrent use.
type Mirror struct {
	cols, rows int
	vt         *vt.Emulator
	drained    sync.WaitGroup
	scan       scanner
	tracked
}

// New makes a mirror of a blank terminal. Close it.
func New(cols, rows int) *Mirror {
	m := &Mirror{}
	m.begin(max(1, cols), max(1, rows))
	return m
}

// begin puts a blank emulator in place.
func (m *Mirror) begin(cols, rows int) {
	m.cols, m.rows = cols, rows
	m.tracked = newTracked()
	e := vt.NewEmulator(cols, rows)
	e.SetScrollbackSize(scrollback)
	m.vt = e
	m.follow(e)
	m.drained.Go(func() { _, _ = io.Copy(io.Discard, e) })
}

// Close ends what the mirror started.
func (m *Mirror) Close() {
	m.release()
	m.drained.Wait()
}

// release lets the emulator in place go. Its own Close would race with the reader of
// its pipe, so the pipe is closed by its writing end.
func (m *Mirror) release() {
	if w, ok := m.vt.InputPipe().(io.Closer); ok {
		_ = w.Close()
	}
}

// Write shows bytes of the device. It never fails: a mirror that breaks goes on blank.
func (m *Mirror) Write(p []byte) {
	for data := m.unread(m.scan.whole(p)); len(data) > 0; {
		n := entering(data[:min(len(data), piece)])
		m.guard(func() { m.feed(data[:n]) })
		data = data[n:]
	}
}

// unread leaves out of plain text what will have scrolled beyond everything that is
// kept by its end. A listing without end would wait for the emulation otherwise.
func (m *Mirror) unread(data []byte) []byte {
	lines := m.rows + scrollback
	if len(data) < lines || m.vt.IsAltScreen() || m.margins[0] != (margin{}) || m.scan.long || m.modes[ansi.ANSIMode(20)] {
		return data
	}
	for i := len(data) - 1; i > 0; i-- {
		switch c := data[i]; {
		case c == '\n':
			if lines--; lines < 0 && data[i-1] == '\r' && plain(data[:i]) {
				return data[i+1:]
			}
		case c != '\r' && c != '\t' && (c < ' ' || c >= 0x7f):
			return data
		}
	}
	return data
}

// plain reports whether bytes move nothing but the cursor and lines of text.
func plain(data []byte) bool {
	for _, c := range data {
		if c != '\r' && c != '\n' && c != '\t' && (c < ' ' || c >= 0x7f) {
			return false
		}
	}
	return true
}

// feed shows one piece.
func (m *Mirror) feed(p []byte) {
	alternate, pos := m.vt.IsAltScreen(), m.vt.CursorPosition()
	m.print(p)
	if !alternate && m.vt.IsAltScreen() {
		m.moveTo(pos)
	}
	if !alternate && !m.vt.IsAltScreen() {
		m.past = 0
		return
	}
	m.past += len(p) / m.cols
	for _, b := range p {
		if b >= '\n' && b <= '\f' {
			m.past++
		}
	}
	if m.past > scrolled && m.scan.atRest() {
		m.renew()
	}
}

// Resize gives the terminal another size.
func (m *Mirror) Resize(cols, rows int) {
	cols, rows = max(1, cols), max(1, rows)
	if cols == m.cols && rows == m.rows {
		return
	}
	m.guard(func() {
		if !m.scan.atRest() {
			m.cols, m.rows, m.margins = cols, rows, [2]margin{}
			m.vt.Resize(cols, rows)
			return
		}
		s := m.stands()
		s.resize(cols, rows)
		m.restore(s)
	})
}

// Snapshot returns the bytes that make a terminal of this size, just reset, show what
// this one shows: both screens, some of the past, the cursor, and the modes that
// decide what keys and pastes send.
func (m *Mirror) Snapshot() (cols, rows int, data []byte) {
	m.guard(func() {
		s := m.stands()
		data = s.draw(m.scan.drawCharsets)
		if s.screen == 1 {
			m.restore(s) // looking at the other screen cost this one
		}
	})
	return m.cols, m.rows, append(data, m.scan.rest()...)
}

// renew makes the emulator anew as it stands, without its past.
func (m *Mirror) renew() { m.restore(m.stands()) }

// restore puts a new emulator in place in which this stands.
func (m *Mirror) restore(s standing) {
	m.release()
	m.begin(s.cols, s.rows)
	_, _ = m.vt.Write(s.draw(m.scan.drawCharsets))
	m.past = 0
}

// guard survives a panic of the emulation.
func (m *Mirror) guard(do func()) {
	defer func() {
		if p := recover(); p != nil {
			m.release()
			m.scan = scanner{}
			m.begin(m.cols, m.rows)
			_, _ = m.vt.Write([]byte(broken))
		}
	}()
	do()
}

// tracked is the state of the emulator that it does not show, from what passes.
type tracked struct {
	modes   map[ansi.Mode]bool // as the device set them; the rest stands as after a reset
	pens    [2]uv.Style        // of each screen
	saved   [2]uv.Style
	saves   [2]*uv.Position // where the cursor was saved; nil: nowhere
	margins [2]margin
	cursor  int // its style as DECSCUSR numbers it; 0: the terminal's own
	past    int // lines that the alternate screen has scrolled away, at most
}

// margin is a scroll region, first and last line from 1; zero: the whole screen.
type margin struct{ top, bottom int }

func newTracked() tracked { return tracked{modes: map[ansi.Mode]bool{}} }

// kept are the modes that a snapshot sets again.
func kept() []ansi.Mode {
	return []ansi.Mode{
		ansi.ModeCursorKeys, ansi.ModeAutoWrap, ansi.DECMode(12), ansi.DECMode(45), ansi.ModeNumericKeypad,
		ansi.ModeMouseX10, ansi.ModeMouseNormal, ansi.ModeMouseButtonEvent, ansi.ModeMouseAnyEvent, ansi.ModeFocusEvent,
		ansi.DECMode(1005), ansi.ModeMouseExtSgr, ansi.DECMode(1007), ansi.DECMode(1015), ansi.DECMode(1016),
		ansi.ModeBracketedPaste, ansi.ANSIMode(4), ansi.ANSIMode(20), ansi.ModeTextCursorEnable,
	}
}

// screen is the number of the one that shows.
func (m *Mirror) screen() int {
	if m.vt.IsAltScreen() {
		return 1
	}
	return 0
}

// follow watches what the emulator keeps to itself. Handlers answer no, so that the
// emulator's own come after.
func (m *Mirror) follow(e *vt.Emulator) {
	e.SetCallbacks(vt.Callbacks{
		EnableMode:  func(mode ansi.Mode) { m.modes[mode] = true },
		DisableMode: func(mode ansi.Mode) { m.modes[mode] = false },
	})
	e.RegisterCsiHandler('m', func(params ansi.Params) bool {
		uv.ReadStyle(params, &m.pens[m.screen()])
		return false
	})
	e.RegisterCsiHandler('r', func(params ansi.Params) bool {
		top, _, _ := params.Param(0, 1)
		bottom, _, _ := params.Param(1, m.rows)
		if top, bottom = max(1, top), min(bottom, m.rows); bottom < 1 {
			bottom = m.rows
		}
		if top < bottom {
			m.margins[m.screen()] = margin{top, bottom}
		}
		// A last line beyond the screen would take the emulator beyond its buffer.
		last, _, _ := params.Param(1, m.rows)
		return last > m.rows
	})
	e.RegisterCsiHandler(ansi.Command(0, ' ', 'q'), func(params ansi.Params) bool {
		m.cursor, _, _ = params.Param(0, 0)
		return m.cursor > 6
	})
	e.RegisterEscHandler('7', m.saving)
	e.RegisterCsiHandler('s', func(ansi.Params) bool { return m.saving() })
	e.RegisterCsiHandler(ansi.Command('?', 0, 'h'), func(params ansi.Params) bool {
		for i := range params {
			if mode, _, _ := params.Param(i, 0); mode == 1048 || mode == 1049 {
				m.saving()
			}
		}
		return false
	})
	e.RegisterEscHandler('8', func() bool { m.pens[m.screen()] = m.saved[m.screen()]; return false })
	e.RegisterEscHandler('c', func() bool {
		past := m.past
		m.tracked = newTracked()
		m.past = past
		return false
	})
	for _, final := range []byte{'b', 'I', 'Z'} { // done one by one, however many
		e.RegisterCsiHandler(int(final), func(params ansi.Params) bool {
			n, _, _ := params.Param(0, 1)
			return n > m.cols
		})
	}
	e.RegisterCsiHandler('X', m.erase)
	e.RegisterCsiHandler('J', m.clear)
	e.RegisterCsiHandler('K', m.full)
	for _, final := range []byte{'S', 'M'} {
		e.RegisterCsiHandler(int(final), m.scrolls)
	}
}

// saving notes that the cursor is being saved.
func (m *Mirror) saving() bool {
	at := m.vt.CursorPosition()
	m.saved[m.screen()], m.saves[m.screen()] = m.pens[m.screen()], &at
	return false
}

// scrolls counts what a sequence moves into the alternate screen's past, and swallows
// it when there is too much already: nobody scrolls so far between two looks.
func (m *Mirror) scrolls(params ansi.Params) bool {
	if !m.vt.IsAltScreen() {
		return false
	}
	n, _, _ := params.Param(0, 1)
	m.past += min(max(n, 0), m.rows)
	return m.past > 4*scrolled
}

func (m margin) String() string { return fmt.Sprintf("\x1b[%d;%dr", m.top, m.bottom) }
