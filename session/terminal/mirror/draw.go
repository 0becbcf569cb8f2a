package mirror

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// standing is all that a terminal shows, and what decides how it goes on.
type standing struct {
	cols, rows int
	lines      [2][]uv.Line   // of each screen; the main one's with those of the past before
	pos        [2]uv.Position // where each one's cursor is
	screen     int            // which one shows
	wraps      bool           // the next character begins a line
	tracked
}

// stands looks at all of the terminal. It may leave the emulator on the other screen.
func (m *Mirror) stands() standing {
	s := standing{cols: m.cols, rows: m.rows, screen: m.screen(), wraps: m.wraps(), tracked: m.tracked}
	s.modes = maps.Clone(m.modes)
	s.pos[s.screen] = m.vt.CursorPosition()
	if s.screen == 1 {
		s.lines[1] = m.lines()
		_, _ = m.vt.Write([]byte("\x1b[?1047l"))
		s.pos[0] = m.vt.CursorPosition()
	}
	if past := m.vt.Scrollback(); past != nil {
		s.lines[0] = slices.Clone(past.Lines())
	}
	s.lines[0] = append(s.lines[0], m.lines()...)
	m.tracked = s.tracked
	return s
}

// resize does what the page's terminal does when it gets another size and wraps nothing
// anew: a line is cut or goes on blank, the cursor's line stays in sight, and lines of
// the past come back where the cursor stands in the last one.
func (s *standing) resize(cols, rows int) {
	if s.wraps && cols > s.cols {
		s.pos[s.screen].X++
	}
	s.wraps = false
	s.margins = [2]margin{}
	for n := range s.lines[:s.screen+1] {
		lines, pos := s.lines[n], &s.pos[n]
		below := s.rows - 1 - pos.Y
		moved := 0
		if rows < s.rows {
			dropped := min(s.rows-rows, below)
			lines = lines[:len(lines)-dropped]
			moved = rows - s.rows + dropped
		} else {
			if below == 0 {
				moved = min(rows-s.rows, len(lines)-s.rows)
			}
			for range rows - s.rows - moved {
				lines = append(lines, uv.NewLine(cols))
			}
		}
		if n == 1 {
			lines = lines[len(lines)-rows:]
		}
		for i := range lines {
			lines[i] = cut(lines[i], cols)
		}
		s.lines[n] = lines
		pos.X, pos.Y = min(pos.X, cols-1), pos.Y+moved
		if at := s.saves[n]; at != nil {
			s.saves[n] = &uv.Position{X: min(at.X, cols-1), Y: max(0, min(at.Y+moved, rows-1))}
		}
	}
	s.cols, s.rows = cols, rows
}

// cut takes away what is beyond the last column.
func cut(line uv.Line, cols int) uv.Line {
	if len(line) <= cols {
		return line
	}
	line = line[:cols]
	if line[cols-1].Width > 1 {
		line[cols-1] = uv.EmptyCell
	}
	return line
}

// draw makes the bytes of a snapshot, without what has not been shown yet.
func (s *standing) draw(charsets func(*bytes.Buffer)) []byte {
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	for i, line := range s.lines[0] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		drawLine(&b, line)
	}
	if s.screen == 1 {
		b.WriteString("\x1b[r")
		cup(&b, s.pos[0].X, s.pos[0].Y)
		b.WriteString(s.pens[0].String())
		if s.modes[ansi.ModeAltScreenSaveCursor] {
			b.WriteString("\x1b[?1049h")
		} else {
			b.WriteString("\x1b[?1047h")
		}
		b.WriteString("\x1b[m\x1b[H")
		for y, line := range s.lines[1] {
			cup(&b, 0, y)
			drawLine(&b, line)
		}
	}
	s.drawState(&b, charsets)
	return b.Bytes()
}

// lines are the cells of the screen that shows.
func (m *Mirror) lines() []uv.Line {
	lines := make([]uv.Line, m.rows)
	for y := range lines {
		lines[y] = uv.NewLine(m.cols)
		for x := range m.cols {
			if c := m.vt.CellAt(x, y); c != nil {
				lines[y][x] = *c
			}
		}
	}
	return lines
}

// drawLine writes a line from its first column on. Where terminals differ about the
// width of a character, the next one is put in its place.
func drawLine(b *bytes.Buffer, line uv.Line) {
	end := len(line)
	for end > 0 && (line[end-1].Equal(&uv.EmptyCell)) {
		end--
	}
	var pen uv.Style
	astray := false
	for x := 0; x < end; x++ {
		c := &line[x]
		if c.IsZero() { // the rest of a wide character
			continue
		}
		if astray && x > 0 {
			fmt.Fprintf(b, "\x1b[%dG", x+1)
		}
		if !c.Style.Equal(&pen) {
			b.WriteString("\x1b[m")
			if !c.Style.IsZero() {
				b.WriteString(c.Style.String())
			}
			pen = c.Style
		}
		text := c.Content
		if text == "" {
			text = " "
		}
		b.WriteString(text)
		astray = c.Width != 1 || len(text) != 1
	}
	if !pen.IsZero() {
		b.WriteString("\x1b[m")
	}
}

// drawState sets what decides how the next bytes are shown and what keys send.
func (s *standing) drawState(b *bytes.Buffer, charsets func(*bytes.Buffer)) {
	pos := s.pos[s.screen]
	if at := s.saves[s.screen]; at != nil {
		cup(b, at.X, at.Y)
		b.WriteString(s.saved[s.screen].String() + "\x1b7\x1b[m")
	}
	region := s.margins[s.screen]
	if region != (margin{}) && region != (margin{1, s.rows}) {
		b.WriteString(region.String())
	}
	top := 0
	if s.modes[ansi.ModeOrigin] {
		b.WriteString("\x1b[?6h")
		top = max(0, region.top-1)
	}
	cup(b, pos.X, max(0, pos.Y-top))
	if s.wraps {
		s.drawEdge(b, max(0, pos.Y-top))
	}
	for _, mode := range kept() {
		set, said := s.modes[mode]
		initially := mode == ansi.ModeAutoWrap || mode == ansi.ModeTextCursorEnable
		if !said || set == initially {
			continue
		}
		private, final := "?", 'l'
		if _, isAnsi := mode.(ansi.ANSIMode); isAnsi {
			private = ""
		}
		if set {
			final = 'h'
		}
		fmt.Fprintf(b, "\x1b[%s%d%c", private, mode.Mode(), final)
	}
	if s.cursor > 0 {
		fmt.Fprintf(b, "\x1b[%d q", s.cursor)
	}
	charsets(b)
	if pen := s.pens[s.screen]; !pen.IsZero() {
		b.WriteString(pen.String())
	}
}

// drawEdge writes the last character of a line once more, so that the next one begins a line.
func (s *standing) drawEdge(b *bytes.Buffer, y int) {
	lines := s.lines[s.screen]
	line := lines[len(lines)-s.rows+s.pos[s.screen].Y]
	x := s.cols - 1
	if x > 0 && line[x].IsZero() { // the rest of a wide character
		x--
	}
	cup(b, x, y)
	drawLine(b, uv.Line{line[x]})
	if line[x].Equal(&uv.EmptyCell) { // a line's empty end is not drawn
		b.WriteByte(' ')
	}
}

func cup(b *bytes.Buffer, x, y int) { fmt.Fprintf(b, "\x1b[%d;%dH", y+1, x+1) }
