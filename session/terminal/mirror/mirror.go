// Package mirror keeps what a terminal shows, so that whoever comes back to a running
// shell sees it. It reads what a device sends - hostile bytes, in bulk - and knows
// nothing of sessions, channels or recordings. What it keeps is a picture for people
// and no evidence: the recording has the bytes.
//
// What a device makes it do is counted, in cells that are touched, and paid from what
// its bytes earn: no output costs more than its length allows. What cannot be paid for
// is left out, the picture is lost, which it says, and begins again blank once enough
// was earned. The count knows no clock: the same bytes make the same picture.
//
// It shows what the page's terminal, xterm.js, shows of what ordinary programs send: a
// recording that is played shows one thing, whether its bytes are played or a picture
// of them is drawn.
package mirror

import (
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/ansi/parser"
)

// lost is what a blank mirror says; it stands in the terminal, so it is short.
const lost = "[What stood here cannot be shown again. The session goes on and is recorded.]"

// Mirror is the picture of one terminal. Not safe for concurrent use.
type Mirror struct {
	standing
	parser *ansi.Parser
	scan   scanner
	tabs   []bool
	last   string // that was shown: for REP
	budget
}

// New makes a mirror of a blank terminal.
func New(cols, rows int) *Mirror { return blank(cols, rows, scrollback) }

// NewScreen makes one that keeps nothing of the past.
func NewScreen(cols, rows int) *Mirror { return blank(cols, rows, 0) }

// Cost is how many bytes a mirror of New takes at the most, whatever the device sends, and
// ScreenCost one of NewScreen.
func Cost(cols, rows int) int { return ScreenCost(cols, rows) + scrollback*max(1, cols)*cellCost }

// ScreenCost is of both screens.
func ScreenCost(cols, rows int) int { return 2 * max(1, cols) * max(1, rows) * cellCost }

func blank(cols, rows, past int) *Mirror {
	m := &Mirror{parser: ansi.NewParser(), budget: budget{credit: burst}}
	m.parser.SetDataSize(1) // what strings say is not shown
	m.parser.SetHandler(ansi.Handler{Print: m.print, Execute: m.execute, HandleCsi: m.control, HandleEsc: m.escape})
	m.past = past
	m.begin(max(1, cols), max(1, rows))
	return m
}

// begin makes it blank.
func (m *Mirror) begin(cols, rows int) {
	m.standing = standing{cols: cols, rows: rows, past: m.past, modes: map[ansi.Mode]bool{}}
	m.lines[0] = make([]line, rows)
	m.last = ""
	m.defaultTabs()
}

func (m *Mirror) defaultTabs() {
	m.tabs = make([]bool, m.cols)
	for x := 0; x < m.cols; x += 8 {
		m.tabs[x] = true
	}
}

// Write shows bytes of the device. It never fails: a mirror that breaks goes on blank.
func (m *Mirror) Write(p []byte) {
	data := m.scan.whole(p)
	m.guard(func() {
		for _, c := range data {
			m.earn()
			if c >= ' ' && c < 0x7f && m.parser.State() == parser.GroundState {
				m.put(letters[c:c+1], 1)
			} else {
				m.parser.Advance(c)
			}
		}
	})
}

// Resize gives the terminal another size.
func (m *Mirror) Resize(cols, rows int) {
	cols, rows = max(1, cols), max(1, rows)
	if cols == m.cols && rows == m.rows {
		return
	}
	m.guard(func() {
		if !m.behind && m.pay(m.materialised()) {
			m.standing.resize(cols, rows)
		} else {
			m.cols, m.rows, m.margins = cols, rows, [2]margin{}
			m.lose()
		}
		m.defaultTabs()
	})
}

// Snapshot returns the bytes that make a terminal of this size, just reset, show what
// this one shows: both screens, some of the past, the cursor, and the modes that
// decide what keys and pastes send.
func (m *Mirror) Snapshot() (cols, rows int, data []byte) {
	m.guard(func() {
		s := m.standing
		if m.behind {
			s.lose()
		}
		data = s.draw()
	})
	return m.cols, m.rows, append(data, m.scan.rest()...)
}

// Lost is a snapshot of a terminal whose picture nobody has: it says so.
func Lost(cols, rows int) []byte {
	m := NewScreen(min(cols, 4*len(lost)), min(rows, 2))
	m.lose()
	return m.draw()
}

// guard survives a panic of the emulation.
func (m *Mirror) guard(do func()) {
	defer func() {
		if p := recover(); p != nil {
			m.scan = scanner{}
			m.parser.Reset()
			m.begin(m.cols, m.rows)
			m.lose()
		}
	}()
	do()
}
