package mirror

import (
	"bytes"
	"fmt"
	"slices"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// draw makes the bytes of a snapshot, without what has not been shown yet. It may
// leave the emulator on the other screen; drawn says so.
func (m *Mirror) draw() []byte {
	m.drawn = false
	before := m.tracked
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	cells, pos := m.lines(), m.vt.CursorPosition()
	if !m.vt.IsAltScreen() {
		m.drawMain(&b)
		edge := m.edge(cells, pos)
		before.drawn = m.drawn
		m.tracked = before
		m.drawState(&b, 0, pos, edge)
		return b.Bytes()
	} else {
		edge := m.edge(cells, pos)
		modes := map[ansi.Mode]bool{}
		for k, v := range m.modes {
			modes[k] = v
		}
		before.modes = modes
		_, _ = m.vt.Write([]byte("\x1b[?1047l"))
		m.drawMain(&b)
		b.WriteString("\x1b[r")
		cup(&b, m.vt.CursorPosition().X, m.vt.CursorPosition().Y)
		b.WriteString(before.pens[0].String())
		if modes[ansi.ModeAltScreenSaveCursor] {
			b.WriteString("\x1b[?1049h")
		} else {
			b.WriteString("\x1b[?1047h")
		}
		b.WriteString("\x1b[m\x1b[H")
		for y, line := range cells {
			cup(&b, 0, y)
			drawLine(&b, line)
		}
		m.tracked = before
		m.drawn = true
		m.drawState(&b, 1, pos, edge)
		return b.Bytes()
	}
}

// edge is the character in the last column after which the next one will wrap; nil when
// the cursor stands there without that. The emulator tells only by wrapping.
func (m *Mirror) edge(cells []uv.Line, pos uv.Position) *edge {
	if pos.X < m.cols-1 || m.cols < 3 || pos.Y >= len(cells) {
		return nil
	}
	if pos.X == m.cols-1 {
		_, _ = m.vt.Write([]byte("x"))
		m.drawn = true
		if m.vt.CursorPosition().X != 1 {
			return nil
		}
	}
	e := &edge{x: m.cols - 1, cell: cells[pos.Y][m.cols-1]}
	if e.cell.IsZero() { // the rest of a wide character
		e.x, e.cell = m.cols-2, cells[pos.Y][m.cols-2]
	}
	return e
}

type edge struct {
	x    int
	cell uv.Cell
}

// drawMain writes the main screen, from the oldest line that is kept.
func (m *Mirror) drawMain(b *bytes.Buffer) {
	var all []uv.Line
	if past := m.vt.Scrollback(); past != nil {
		all = slices.Clone(past.Lines())
	}
	for i, line := range append(all, m.lines()...) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		drawLine(b, line)
	}
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
func (m *Mirror) drawState(b *bytes.Buffer, screen int, pos uv.Position, wraps *edge) {
	if at := m.saves[screen]; at != nil {
		cup(b, at.X, at.Y)
		b.WriteString(m.saved[screen].String() + "\x1b7\x1b[m")
	}
	region := m.margins[screen]
	if region != (margin{}) && region != (margin{1, m.rows}) {
		b.WriteString(region.String())
	}
	top := 0
	if m.modes[ansi.ModeOrigin] {
		b.WriteString("\x1b[?6h")
		top = max(0, region.top-1)
	}
	cup(b, pos.X, max(0, pos.Y-top))
	if wraps != nil {
		cup(b, wraps.x, max(0, pos.Y-top))
		drawLine(b, uv.Line{wraps.cell})
		if wraps.cell.Equal(&uv.EmptyCell) { // a line's empty end is not drawn
			b.WriteByte(' ')
		}
	}
	for _, mode := range kept() {
		set, said := m.modes[mode]
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
	if m.cursor > 0 {
		fmt.Fprintf(b, "\x1b[%d q", m.cursor)
	}
	m.scan.drawCharsets(b)
	if pen := m.pens[screen]; !pen.IsZero() {
		b.WriteString(pen.String())
	}
}

func cup(b *bytes.Buffer, x, y int) { fmt.Fprintf(b, "\x1b[%d;%dH", y+1, x+1) }
