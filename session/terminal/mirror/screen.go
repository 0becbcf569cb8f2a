package mirror

import (
	"slices"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// cell is a column of a line.
type cell struct {
	text  string
	style *uv.Style // nil: none
	width int       // 2: it takes the next column, too, where the width is 0
}

// line is a line of a screen. Behind its last cell it goes on blank.
type line struct {
	cells []cell
	rest  *uv.Style // of that; nil: none
}

// standing is all that a terminal shows, and what decides how it goes on.
type standing struct {
	cols, rows int
	past       int            // lines before the main screen that are kept
	lines      [2][]line      // of each screen; the main one's with those of the past before
	pos        [2]uv.Position // where each one's cursor is
	pens       [2]*uv.Style   // as cells share them, and never changed
	saved      [2]*uv.Style
	saves      [2]*uv.Position // where the cursor was saved; nil: nowhere
	margins    [2]margin
	screen     int                // which one shows
	wraps      bool               // the next character begins a line
	modes      map[ansi.Mode]bool // as the device set them; the rest stands as after a reset
	cursor     int                // its style as DECSCUSR numbers it; 0: the terminal's own
	charsets
}

// margin is a scroll region, first and last line from 1; zero: the whole screen.
type margin struct{ top, bottom int }

// region are the first and the last line that scroll.
func (s *standing) region() (top, bottom int) {
	if r := s.margins[s.screen]; r != (margin{}) {
		return r.top - 1, r.bottom - 1
	}
	return 0, s.rows - 1
}

func (s *standing) line(y int) *line {
	lines := s.lines[s.screen]
	return &lines[len(lines)-s.rows+y]
}

func (s *standing) at() *uv.Position { return &s.pos[s.screen] }

// on reports whether a mode is set.
func (s *standing) on(mode ansi.Mode) bool {
	set, said := s.modes[mode]
	return set || !said && (mode == ansi.ModeAutoWrap || mode == ansi.ModeTextCursorEnable)
}

// lose makes a blank picture that says so. Modes stay, and so does where things scroll.
func (s *standing) lose() {
	s.lines = [2][]line{make([]line, s.rows), make([]line, s.rows)}
	for x := range min(len(lost), s.cols) {
		s.line(0).cells = append(s.line(0).cells, cell{text: lost[x : x+1], width: 1})
	}
	s.pos = [2]uv.Position{}
	s.at().Y, s.wraps = min(1, s.rows-1), false
}

// put shows a character.
func (m *Mirror) put(text string, width int) {
	at, wraps := m.at(), m.on(ansi.ModeAutoWrap)
	width = min(width, m.cols)
	switch {
	case m.wraps && wraps:
		at.X = 0
		m.index()
	case at.X+width > m.cols && !wraps:
		return
	case at.X+width > m.cols:
		m.set(" ", 1)
		at.X = 0
		m.index()
	}
	if m.on(ansi.ANSIMode(4)) {
		m.insert(width)
	}
	if m.last = text; len(text) == 1 {
		text = m.letter(text)
	}
	m.set(text, width)
	if at.X += width; at.X >= m.cols {
		at.X, m.wraps = m.cols-1, wraps
	}
}

// set puts a character where the cursor is.
func (m *Mirror) set(text string, width int) {
	x, l := m.at().X, m.line(m.at().Y)
	if !m.grow(l, x+width) {
		return
	}
	l.split(x)
	l.split(x + width)
	l.cells[x] = cell{text, m.pens[m.screen], width}
	if width > 1 {
		l.cells[x+1] = cell{}
	}
}

// mark adds a mark without a width of its own to the last character.
func (m *Mirror) mark(text string) {
	cells, x := m.line(m.at().Y).cells, m.at().X
	if !m.wraps {
		x--
	}
	if x > 0 && x < len(cells) && cells[x].width == 0 {
		x--
	}
	if x >= 0 && x < len(cells) && len(cells[x].text)+len(text) <= cellBytes {
		cells[x].text += text
	}
}

// grow gives a line at least n cells; false: they cannot be paid.
func (m *Mirror) grow(l *line, n int) bool {
	missing := n - len(l.cells)
	if missing > 1 && !m.pay(missing) {
		return false
	}
	l.grow(n)
	return true
}

func (l *line) grow(n int) {
	for len(l.cells) < n {
		l.cells = append(l.cells, cell{" ", l.rest, 1})
	}
}

// split makes two blanks of a wide character whose second half is at x.
func (l *line) split(x int) {
	if x > 0 && x < len(l.cells) && l.cells[x].width == 0 {
		l.cells[x-1].text, l.cells[x-1].width = " ", 1
		l.cells[x] = l.cells[x-1]
	}
}

// cut takes away what is beyond the last column.
func (l *line) cut(cols int) {
	if len(l.cells) > cols {
		l.split(cols)
		l.cells = l.cells[:cols]
	}
}

// colour is the style of what the pen makes blank.
func (m *Mirror) colour() *uv.Style {
	if pen := m.pens[m.screen]; pen != nil && pen.Bg != nil {
		return &uv.Style{Bg: pen.Bg}
	}
	return nil
}

// index moves the cursor down, and scrolls at the last line.
func (m *Mirror) index() {
	at := m.at()
	m.wraps = false
	switch _, bottom := m.region(); {
	case at.Y == bottom:
		m.scroll()
	case at.Y < m.rows-1:
		at.Y++
	}
}

// scroll moves the region up by a line, which the main screen keeps.
func (m *Mirror) scroll() {
	top, bottom := m.region()
	if top > 0 || m.screen == 1 {
		m.up(top, 1)
		return
	}
	if !m.pay(1 + m.rows - bottom) {
		return
	}
	lines, room := m.lines[0], []cell(nil)
	if len(lines) >= m.rows+m.past {
		room = lines[0].cells[:0]
		lines = lines[1:]
	}
	m.lines[0] = slices.Insert(lines, len(lines)-m.rows+bottom+1, line{room, m.colour()})
}

// up takes n lines out of those that scroll, from one on; blank ones come in below.
func (m *Mirror) up(from, n int) {
	lines, n, ok := m.moving(from, n)
	if !ok {
		return
	}
	slices.Reverse(lines[:n])
	slices.Reverse(lines[n:])
	slices.Reverse(lines)
	m.blank(lines[len(lines)-n:])
}

// down puts n blank lines in.
func (m *Mirror) down(from, n int) {
	lines, n, ok := m.moving(from, n)
	if !ok {
		return
	}
	slices.Reverse(lines)
	slices.Reverse(lines[:n])
	slices.Reverse(lines[n:])
	m.blank(lines[:n])
}

// moving are the lines that scroll from one on, and how many of them can; false: none,
// or it cannot be paid.
func (m *Mirror) moving(from, n int) ([]line, int, bool) {
	top, bottom := m.region()
	if from < top || from > bottom {
		return nil, 0, false
	}
	height := bottom - from + 1
	if !m.pay(3 * height) {
		return nil, 0, false
	}
	all := m.lines[m.screen]
	return all[len(all)-m.rows+from:][:height], min(n, height), true
}

// blank makes lines blank.
func (m *Mirror) blank(lines []line) {
	rest := m.colour()
	for i := range lines {
		lines[i].cells, lines[i].rest = lines[i].cells[:0], rest
	}
}

// eraseLines clears lines.
func (m *Mirror) eraseLines(from, to int) {
	if from < to && m.pay(to-from) {
		all := m.lines[m.screen]
		m.blank(all[len(all)-m.rows:][from:to])
	}
}

// erase clears a part of the cursor's line.
func (m *Mirror) erase(from, to int) {
	l := m.line(m.at().Y)
	rest := m.colour()
	if to >= m.cols {
		if m.grow(l, from) {
			l.split(from)
			l.cells, l.rest = l.cells[:from], rest
		}
		return
	}
	if !m.pay(to-from) || !m.grow(l, to) {
		return
	}
	l.split(from)
	l.split(to)
	for x := from; x < to; x++ {
		l.cells[x] = cell{" ", rest, 1}
	}
}

// insert moves what is from the cursor on to the right.
func (m *Mirror) insert(n int) {
	x, l := m.at().X, m.line(m.at().Y)
	n = min(n, m.cols-x)
	if !m.pay(m.cols) {
		return
	}
	rest := m.colour()
	l.grow(x + 1)
	l.split(x)
	l.cells = append(l.cells, make([]cell, n)...)
	copy(l.cells[x+n:], l.cells[x:])
	for i := x; i < x+n; i++ {
		l.cells[i] = cell{" ", rest, 1}
	}
	l.cut(m.cols)
}

// remove takes characters out from the cursor on.
func (m *Mirror) remove(n int) {
	x, l := m.at().X, m.line(m.at().Y)
	n = min(n, m.cols-x)
	rest := m.colour()
	if !m.pay(m.cols) {
		return
	}
	if l.rest != rest {
		l.grow(m.cols)
	}
	if x < len(l.cells) {
		l.split(x)
		l.split(x + n)
		l.cells = slices.Delete(l.cells, x, min(x+n, len(l.cells)))
	}
	l.rest = rest
}
