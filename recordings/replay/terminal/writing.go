package terminal

import (
	"strings"
	"unicode/utf8"
)

// writing is what one direction of a channel writes: line by line, and where its terminal
// is drawn on, screen by screen.
type writing struct {
	stream  uint32
	bytes   sequences
	grid    *grid // nil: what it writes is read line by line alone
	raw     bool  // to no terminal
	say     func(Line)
	line    strings.Builder
	began   int64 // of the line
	now     int64
	drawing bool  // the main screen is drawn on, until it rests
	came    int64 // bytes
	told    int64 // bytes of screens
	said    bool  // that something was left out
	credit  int   // work that may still be done
	done    int   // and was
}

// earn takes what came.
func (w *writing) earn(n int) {
	w.came += int64(n)
	w.credit = min(w.credit+workFor*n, mostSaved)
}

// pay reports whether so much work may be done on the screen. A terminal that wants more
// than its bytes earned has no screen any more: it is read line by line.
func (w *writing) pay(work int) bool {
	if w.credit -= work; w.credit >= 0 {
		w.done += work
		return true
	}
	w.faster()
	w.end()
	w.grid, w.drawing = nil, false
	return false
}

// faster says that a screen is not shown.
func (w *writing) faster() {
	if !w.said {
		w.said = true
		w.say(Line{At: w.now, Stream: w.stream, Screen: true, Cut: true, Text: "[This screen is drawn over faster than it is shown here. The recording has all of it.]"})
	}
}

// draws reports whether what comes is drawn, and not written line by line.
func (w *writing) draws() bool { return w.grid != nil && (w.drawing || w.grid.main != nil) }

// begin begins to draw on the main screen; what stands on it was said.
func (w *writing) begin() {
	if w.grid == nil || w.draws() {
		return
	}
	w.end()
	w.grid.tell()
	w.drawing = true
}

// rests puts down what stands, once nothing more has come for a while. What follows on the
// main screen is a line again, which begins with what stands before the cursor.
func (w *writing) rests() {
	if !w.draws() {
		return
	}
	if w.grid.main != nil {
		w.show(-1)
		return
	}
	w.resume()
	if row := w.grid.y; strings.TrimRight(w.line.String(), " ") == w.grid.text(row) {
		w.show(row)
	} else {
		w.show(-1)
	}
	w.drawing = false
}

// resume takes what stands before the cursor for the beginning of a line.
func (w *writing) resume() {
	row := w.grid.lines[w.grid.y]
	w.line.Reset()
	w.began = w.now
	w.line.WriteString(rowText(row[:min(w.grid.x, len(row))]))
	if w.line.Len() > 0 && w.grid.x > len([]rune(w.line.String())) {
		w.line.WriteByte(' ')
	}
}

// show says what stands on the screen and was not said: all of it where most of it is new,
// but for one row.
func (w *writing) show(but int) {
	g := w.grid
	var texts []string
	changed, standing := 0, 0
	for y := range g.lines {
		texts = append(texts, g.text(y))
		if texts[y] != "" {
			standing++
			if texts[y] != g.told[y] {
				changed++
			}
		}
	}
	for y, text := range texts {
		if y != but && text != "" && (text != g.told[y] || 2*changed >= standing && changed > 0) {
			w.screen(text)
		}
		g.told[y] = text
	}
}

// screen says a row of a screen. One that is drawn over faster than a person could read,
// with little that makes much, is not shown for ever.
func (w *writing) screen(text string) {
	if w.told += int64(len(text)); w.told > drawnBytes+drawnFor*w.came {
		w.faster()
		return
	}
	w.say(Line{At: w.now, Stream: w.stream, Screen: true, Text: cutTo(text, maxLine)})
}

// scrolled says a row that leaves the screen without having rested on it.
func (w *writing) scrolled(row []rune, told string) {
	if !w.draws() {
		return
	}
	if text := rowText(row); text != "" && text != told {
		w.screen(text)
	}
}

// end puts a line down. Empty ones are left out.
func (w *writing) end() {
	text := strings.TrimRight(strings.ReplaceAll(w.line.String(), "\t", "    "), " ")
	w.line.Reset()
	if text != "" {
		w.say(Line{At: w.began, Stream: w.stream, Text: text})
	}
}

func (w *writing) text(r rune) {
	if g := w.grid; g != nil && (!g.wrap && g.x+2 <= g.cols || w.pay(g.rows+g.cols)) {
		g.put(r)
	}
	if !w.draws() {
		w.write(r)
	}
}

// write adds a character to the line.
func (w *writing) write(r rune) {
	if w.line.Len()+utf8.RuneLen(r) > maxLine {
		w.end()
	}
	if w.line.Len() == 0 {
		w.began = w.now
	}
	w.line.WriteRune(r)
}

func (w *writing) control(r rune) {
	switch r {
	case '\n', '\v', '\f':
		if !w.draws() && r == '\n' {
			w.end()
		}
		if g := w.grid; g != nil && (g.y != g.bottom || w.pay(g.rows+g.cols)) {
			g.feed()
		}
		return
	case '\t':
		if !w.draws() {
			w.write('\t')
		}
	}
	g := w.grid
	if g == nil {
		return
	}
	switch r {
	case '\r':
		g.move(0, g.y)
	case '\b':
		g.move(g.x-1, g.y)
	case '\t':
		g.move(g.x/8*8+8, g.y)
	case 0x0e, 0x0f:
		g.shift = int(0x0f - r)
	}
}

func (w *writing) designate(charset int, r rune) {
	if i := charset - '('; w.grid != nil && (i == 0 || i == 1) {
		w.grid.drawn[i] = r == '0'
	}
}

func (w *writing) escape(r rune) {
	g := w.grid
	if g == nil || !w.pay(w.costs(r)) {
		return
	}
	switch r {
	case '7':
		g.saved = [2]int{g.x, g.y}
	case '8':
		w.begin()
		g.move(g.saved[0], g.saved[1])
	case 'D':
		w.begin()
		g.feed()
	case 'E':
		w.begin()
		g.move(0, g.y)
		g.feed()
	case 'M':
		w.begin()
		g.back()
	case 'c':
		w.begin()
		w.show(-1)
		g.erase(0, g.rows)
		g.drawn, g.shift, g.top, g.bottom, g.unwrapped = [2]bool{}, 0, 0, g.rows-1, false
		g.move(0, 0)
	}
}

// costs is what an escape sequence does at most.
func (w *writing) costs(r rune) int {
	g := w.grid
	switch {
	case r == '7':
		return 0
	case r == 'c', within(r, "8DEM") && !w.draws():
		return 2 * g.rows * g.cols
	}
	return g.rows + g.cols
}

func cutTo(text string, most int) string {
	for len(text) > most {
		_, n := utf8.DecodeLastRuneInString(text[:most])
		return text[:most-n]
	}
	return text
}
