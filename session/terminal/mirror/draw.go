package mirror

import (
	"bytes"
	"fmt"
	"slices"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

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
			lines = append(lines, make([]line, rows-s.rows-moved)...)
		}
		past := s.past * (1 - n)
		lines = slices.Clone(lines[max(0, len(lines)-rows-past):])
		for i := range lines {
			lines[i].resize(s.cols, cols)
		}
		s.lines[n] = lines
		pos.X, pos.Y = min(pos.X, cols-1), pos.Y+moved
		if at := s.saves[n]; at != nil {
			s.saves[n] = &uv.Position{X: min(at.X, cols-1), Y: max(0, min(at.Y+moved, rows-1))}
		}
	}
	s.cols, s.rows = cols, rows
}

// resize gives a line other columns: new ones are blank and without a colour.
func (l *line) resize(from, to int) {
	if l.rest != nil && to > from {
		l.grow(from)
		l.rest = nil
	}
	l.cut(to)
}

// materialised is what it costs to give everything another size.
func (s *standing) materialised() (n int) {
	for _, lines := range s.lines {
		for i := range lines {
			n++
			if lines[i].rest != nil {
				n += s.cols
			}
		}
	}
	return n
}

// draw makes the bytes of a snapshot, without what has not been shown yet.
func (s *standing) draw() []byte {
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	for i, line := range s.lines[0] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		s.drawLine(&b, line)
	}
	if s.screen == 1 {
		b.WriteString("\x1b[r")
		cup(&b, s.pos[0].X, s.pos[0].Y)
		b.WriteString(styled(s.pens[0]))
		if s.modes[ansi.ModeAltScreenSaveCursor] {
			b.WriteString("\x1b[?1049h")
		} else {
			b.WriteString("\x1b[?1047h")
		}
		b.WriteString("\x1b[m\x1b[H")
		for y, line := range s.lines[1] {
			cup(&b, 0, y)
			s.drawLine(&b, line)
		}
	}
	s.drawState(&b)
	return b.Bytes()
}

// drawLine writes a line from its first column on.
func (s *standing) drawLine(b *bytes.Buffer, l line) {
	if l.rest != nil {
		l.cells = slices.Clone(l.cells)
		l.grow(s.cols)
	}
	drawCells(b, l.cells)
}

// drawCells writes cells from the cursor on. Where terminals differ about the width of a
// character, the next one is put in its place.
func drawCells(b *bytes.Buffer, cells []cell) {
	end := len(cells)
	for end > 0 && cells[end-1] == (cell{" ", nil, 1}) {
		end--
	}
	var pen *uv.Style
	astray := false
	for x, c := range cells[:end] {
		if c.width == 0 { // the rest of a wide character
			continue
		}
		if astray && x > 0 {
			fmt.Fprintf(b, "\x1b[%dG", x+1)
		}
		if c.style != pen && (c.style == nil || pen == nil || !c.style.Equal(pen)) {
			b.WriteString("\x1b[m" + styled(c.style))
			pen = c.style
		}
		b.WriteString(c.text)
		astray = c.width != 1 || len(c.text) != 1
	}
	if pen != nil {
		b.WriteString("\x1b[m")
	}
}

// styled chooses a style after a reset.
func styled(style *uv.Style) string {
	if style == nil {
		return ""
	}
	return style.String()
}

// drawState sets what decides how the next bytes are shown and what keys send.
func (s *standing) drawState(b *bytes.Buffer) {
	pos := s.pos[s.screen]
	if at := s.saves[s.screen]; at != nil {
		cup(b, at.X, at.Y)
		b.WriteString(styled(s.saved[s.screen]) + "\x1b7\x1b[m")
	}
	region := s.margins[s.screen]
	if region != (margin{}) && region != (margin{1, s.rows}) {
		fmt.Fprintf(b, "\x1b[%d;%dr", region.top, region.bottom)
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
	s.charsets.draw(b)
	b.WriteString(styled(s.pens[s.screen]))
}

// drawEdge writes the last character of a line once more, so that the next one begins a line.
func (s *standing) drawEdge(b *bytes.Buffer, y int) {
	l, x := *s.line(s.pos[s.screen].Y), s.cols-1
	if l.grow(s.cols); x > 0 && l.cells[x].width == 0 { // the rest of a wide character
		x--
	}
	cup(b, x, y)
	if c := l.cells[x]; c == (cell{" ", nil, 1}) { // a line's empty end is not drawn
		b.WriteByte(' ')
	} else {
		drawCells(b, []cell{c})
	}
}

func cup(b *bytes.Buffer, x, y int) { fmt.Fprintf(b, "\x1b[%d;%dH", y+1, x+1) }
