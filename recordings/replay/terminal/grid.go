package terminal

import (
	"slices"
	"strings"
)

// grid is the text of a terminal: characters in rows, without colours. It is made to be
// read and not to be looked at: what moves no text is left out of it. No sequence costs
// more than a look at every row.
type grid struct {
	cols, rows  int
	page              // the one that shows
	main        *page // while the alternate one shows
	top, bottom int   // rows that scroll
	wrap        bool  // the next character begins a row
	unwrapped   bool  // and none does so by itself
	drawn       [2]bool
	shift       int
	last        rune
	gone        func(row []rune, told string) // a row scrolls away
}

// page is one of a terminal's two screens. A row ends with its last character; told is
// what was last said of it.
type page struct {
	lines [][]rune
	told  []string
	x, y  int
	saved [2]int
}

func blank(rows int) page { return page{lines: make([][]rune, rows), told: make([]string, rows)} }

func newGrid(cols, rows int) *grid {
	g := &grid{cols: cols, rows: rows, page: blank(rows), gone: func([]rune, string) {}}
	g.bottom = rows - 1
	return g
}

// text is what stands in a row.
func (g *grid) text(y int) string { return rowText(g.lines[y]) }

func rowText(row []rune) string {
	var b strings.Builder
	for _, r := range row {
		if r != 0 { // the rest of a wide character
			b.WriteRune(r)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// tell notes that everything was said.
func (g *grid) tell() {
	for y := range g.lines {
		g.told[y] = g.text(y)
	}
}

// put shows a character.
func (g *grid) put(r rune) {
	if g.drawn[g.shift] {
		r = lineDrawing(r)
	}
	width := 1
	if wide(r) {
		width = 2
	}
	if (g.wrap || g.x+width > g.cols) && !g.unwrapped {
		g.x = 0
		g.feed()
	}
	g.last, g.wrap = r, false
	row := g.padded(g.x + width)
	row[g.x] = r
	if width == 2 && g.x+1 < len(row) {
		row[g.x+1] = 0
	}
	if g.x += width; g.x >= g.cols {
		g.x, g.wrap = g.cols-1, true
	}
}

// padded is the cursor's row with at least so many characters, as far as it goes.
func (g *grid) padded(n int) []rune {
	row := g.lines[g.y]
	for len(row) < min(n, g.cols) {
		row = append(row, ' ')
	}
	g.lines[g.y] = row
	return row
}

// feed moves down a row, and scrolls at the last one.
func (g *grid) feed() {
	g.wrap = false
	switch {
	case g.y == g.bottom:
		g.up(1)
	case g.y < g.rows-1:
		g.y++
	}
}

func (g *grid) back() {
	g.wrap = false
	switch {
	case g.y == g.top:
		g.shiftDown(g.top, 1)
	case g.y > 0:
		g.y--
	}
}

// up scrolls.
func (g *grid) up(n int) {
	for range min(n, g.bottom-g.top+1) {
		g.gone(g.lines[g.top], g.told[g.top])
		g.shiftUp(g.top, 1)
	}
}

// shiftUp takes rows out of those that scroll, and blank ones come in below.
func (g *grid) shiftUp(from, n int) {
	for range min(n, g.bottom-from+1) {
		row := g.lines[from][:0]
		copy(g.lines[from:g.bottom], g.lines[from+1:g.bottom+1])
		copy(g.told[from:g.bottom], g.told[from+1:g.bottom+1])
		g.lines[g.bottom], g.told[g.bottom] = row, ""
	}
}

func (g *grid) shiftDown(from, n int) {
	for range min(n, g.bottom-from+1) {
		row := g.lines[g.bottom][:0]
		copy(g.lines[from+1:g.bottom+1], g.lines[from:g.bottom])
		copy(g.told[from+1:g.bottom+1], g.told[from:g.bottom])
		g.lines[from], g.told[from] = row, ""
	}
}

// move puts the cursor somewhere.
func (g *grid) move(x, y int) {
	g.x, g.y, g.wrap = min(max(x, 0), g.cols-1), min(max(y, 0), g.rows-1), false
}

// wipe makes a part of the cursor's row blank.
func (g *grid) wipe(from, to int) {
	row := g.lines[g.y]
	if from = min(from, len(row)); to >= len(row) {
		g.lines[g.y] = row[:from]
		return
	}
	for x := from; x < to; x++ {
		row[x] = ' '
	}
}

func (g *grid) insert(n int) {
	row := g.padded(g.x)
	n = min(n, g.cols-g.x)
	row = slices.Insert(row, g.x, []rune(strings.Repeat(" ", n))...)
	g.lines[g.y] = row[:min(len(row), g.cols)]
}

func (g *grid) remove(n int) {
	row := g.lines[g.y]
	if from := min(g.x, len(row)); from < len(row) {
		g.lines[g.y] = slices.Delete(row, from, min(from+n, len(row)))
	}
}

// erase makes rows blank, but not the cursor's.
func (g *grid) erase(from, to int) {
	for y := from; y < to; y++ {
		g.lines[y] = g.lines[y][:0]
	}
}

// stands reports whether anything stands from the cursor on, or anywhere.
func (g *grid) stands(anywhere bool) bool {
	for y, row := range g.lines {
		if y == g.y && !anywhere {
			row = row[min(g.x, len(row)):]
		}
		if (anywhere || y >= g.y) && rowText(row) != "" {
			return true
		}
	}
	return false
}

// alternate shows the other screen, or this one again.
func (g *grid) alternate(on bool) {
	if on == (g.main != nil) {
		return
	}
	if !on {
		g.page, g.main = *g.main, nil
		g.move(g.x, g.y)
		return
	}
	main, x, y := g.page, g.x, g.y
	g.main, g.page = &main, blank(g.rows)
	g.x, g.y = x, y
}

// resize gives it another size, as terminals do that wrap nothing anew.
func (g *grid) resize(cols, rows int) {
	g.page.resize(cols, rows, g.gone)
	if g.main != nil {
		g.main.resize(cols, rows, func([]rune, string) {})
	}
	g.cols, g.rows, g.top, g.bottom, g.wrap = cols, rows, 0, rows-1, false
}

func (p *page) resize(cols, rows int, gone func(row []rune, told string)) {
	for len(p.lines) > rows {
		if p.y < len(p.lines)-1 {
			p.lines, p.told = p.lines[:len(p.lines)-1], p.told[:len(p.told)-1]
			continue
		}
		gone(p.lines[0], p.told[0])
		p.lines, p.told, p.y = p.lines[1:], p.told[1:], p.y-1
	}
	for len(p.lines) < rows {
		p.lines, p.told = append(p.lines, nil), append(p.told, "")
	}
	for y, row := range p.lines {
		p.lines[y] = row[:min(len(row), cols)]
	}
	p.x, p.y = min(p.x, cols-1), min(max(p.y, 0), rows-1)
}

// wide reports whether a character takes two columns.
func wide(r rune) bool {
	return r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf && r != 0x303f || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
		r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1f64f ||
		r >= 0x1f680 && r <= 0x1f6ff || r >= 0x1f900 && r <= 0x1f9ff || r >= 0x20000 && r <= 0x3fffd)
}

// lineDrawing is a character of the set in which terminals draw frames.
func lineDrawing(r rune) rune {
	const set = "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·"
	if r < '`' || r > '~' {
		return r
	}
	return []rune(set)[r-'`']
}
