package mirror

import (
	"bytes"
	"slices"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// letters are the characters of one byte.
const letters = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f" +
	" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// charsets are the character sets in use: line drawing above all.
type charsets struct {
	sets  [2]byte // '0', 'A', or zero for ASCII
	shift int     // which one is in use
}

// letter is what a character of one byte shows.
func (c charsets) letter(text string) string {
	const drawn = "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·"
	switch set := c.sets[c.shift]; {
	case set == '0' && text[0] >= '`':
		return string([]rune(drawn)[text[0]-'`'])
	case set == 'A' && text == "#":
		return "£"
	}
	return text
}

// draw chooses them again.
func (c charsets) draw(b *bytes.Buffer) {
	for i, set := range c.sets {
		if set != 0 {
			b.Write([]byte{0x1b, "()"[i], set})
		}
	}
	if c.shift == 1 {
		b.WriteByte(0x0e)
	}
}

// print shows a character that is not ASCII, or that the parser had to look at.
func (m *Mirror) print(r rune) {
	if r < 0x7f {
		m.put(string(r), 1)
		return
	}
	if r < 0xa0 {
		return
	}
	text := string(r)
	if width := ansi.StringWidthWc(text); width > 0 {
		m.put(text, min(width, 2))
	} else {
		m.mark(text)
	}
}

// execute does what a control character does.
func (m *Mirror) execute(c byte) {
	m.caughtUp()
	at := m.at()
	switch c {
	case '\b':
		m.moveBy(-1, 0)
	case '\t':
		m.tab(1)
	case '\n', '\v', '\f', 0x84:
		m.index()
		if c < 0x80 && m.on(ansi.ANSIMode(20)) {
			at.X = 0
		}
	case '\r':
		at.X, m.wraps = 0, false
	case 0x0e, 0x0f:
		m.shift = int(0x0f - c)
	case 0x85:
		at.X = 0
		m.index()
	case 0x88:
		m.tabs[at.X] = true
	case 0x8d:
		m.reverse()
	}
}

// caughtUp begins blank again where something was left out and enough was earned since.
func (m *Mirror) caughtUp() {
	if m.behind && m.credit >= burst/2 && m.pay(4*m.rows+m.cols) {
		m.lose()
		m.behind = false
	}
}

func (m *Mirror) escape(cmd ansi.Cmd) {
	m.caughtUp()
	if i := cmd.Intermediate(); i != 0 {
		if set := cmd.Final(); i == '(' || i == ')' {
			m.sets[i-'('] = 0
			if set == '0' || set == 'A' {
				m.sets[i-'('] = set
			}
		}
		return
	}
	switch cmd.Final() {
	case '7':
		m.save()
	case '8':
		m.recall()
	case 'D', 'E', 'H', 'M':
		m.execute(cmd.Final() + 0x40)
	case '=', '>':
		m.modes[ansi.ModeNumericKeypad] = cmd.Final() == '='
	case 'c':
		if m.pay(8*m.rows + m.cols) {
			m.begin(m.cols, m.rows)
		}
	}
}

func (m *Mirror) save() {
	at := *m.at()
	m.saved[m.screen], m.saves[m.screen] = m.pens[m.screen], &at
}

func (m *Mirror) recall() {
	*m.at(), m.wraps = uv.Position{}, false
	if to := m.saves[m.screen]; to != nil {
		*m.at() = *to
	}
	m.pens[m.screen] = m.saved[m.screen]
}

func (m *Mirror) reverse() {
	at := m.at()
	m.wraps = false
	if top, _ := m.region(); at.Y == top {
		m.down(top, 1)
	} else if at.Y > 0 {
		at.Y--
	}
}

// tab moves to a tab stop further on, or back.
func (m *Mirror) tab(n int) {
	at, step := m.at(), 1
	if n < 0 {
		step = -1
	}
	for ; n != 0; n -= step {
		x := at.X + step
		for x > 0 && x < m.cols-1 && !m.tabs[x] {
			x += step
		}
		if x = min(max(x, 0), m.cols-1); x == at.X || !m.pay((x-at.X)*step/8) {
			return
		}
		at.X = x
	}
}

// moveBy moves the cursor, within what scrolls if it is there.
func (m *Mirror) moveBy(dx, dy int) {
	at := m.at()
	top, bottom := m.region()
	if at.Y < top {
		top = 0
	}
	if at.Y > bottom {
		bottom = m.rows - 1
	}
	if dy < 0 {
		at.Y = max(at.Y+dy, min(top, at.Y))
	} else {
		at.Y = min(at.Y+dy, max(bottom, at.Y))
	}
	at.X, m.wraps = min(max(at.X+dx, 0), m.cols-1), false
}

// moveTo moves the cursor to a place of the screen, or of what scrolls.
func (m *Mirror) moveTo(x, y int) {
	top, bottom := 0, m.rows-1
	if m.on(ansi.ModeOrigin) {
		top, bottom = m.region()
	}
	m.wraps = false
	*m.at() = uv.Position{X: min(max(x, 0), m.cols-1), Y: min(max(top+y, top), bottom)}
}

// row is the cursor's, as moveTo counts them.
func (m *Mirror) row() int {
	if m.on(ansi.ModeOrigin) {
		top, _ := m.region()
		return m.at().Y - top
	}
	return m.at().Y
}

// most is more than any terminal has of anything.
const most = 1 << 14

// control does what a control sequence does.
func (m *Mirror) control(cmd ansi.Cmd, params ansi.Params) {
	m.caughtUp()
	first, _, _ := params.Param(0, 0)
	n := min(max(first, 1), most)
	switch cmd := (sequence{cmd.Prefix(), cmd.Intermediate(), cmd.Final()}); {
	case cmd == sequence{0, ' ', 'q'}:
		if first <= 6 {
			m.cursor = first
		}
	case cmd == sequence{0, '!', 'p'}:
		m.soften()
	case cmd == sequence{'?', 0, 'W'} && first == 5:
		if m.pay(m.cols) {
			m.defaultTabs()
		}
	case cmd.intermediate == 0 && (cmd.final == 'h' || cmd.final == 'l'):
		for i := range params {
			n, _, _ := params.Param(i, 0)
			m.mode(cmd.prefix, n, cmd.final == 'h')
		}
	case cmd.intermediate != 0 || cmd.prefix != 0 && (cmd.prefix != '?' || cmd.final != 'J' && cmd.final != 'K'):
	case cmd.final == 'm':
		m.pen(params)
	case slices.Contains([]byte("ABCDEFGHIZ`adef"), cmd.final):
		second, _, _ := params.Param(1, 1)
		m.move(cmd.final, n, min(max(second, 1), most))
	case cmd.final == 'r':
		last, _, _ := params.Param(1, 0)
		m.scrolls(n, last)
	default:
		m.change(cmd.final, n, first)
	}
}

// pen chooses how what follows is shown.
func (m *Mirror) pen(params ansi.Params) {
	var pen uv.Style
	if now := m.pens[m.screen]; now != nil {
		pen = *now
	}
	uv.ReadStyle(params, &pen)
	m.pens[m.screen] = nil
	if !pen.IsZero() {
		m.pens[m.screen] = &pen
	}
}

type sequence struct{ prefix, intermediate, final byte }

func (m *Mirror) move(final byte, n, second int) {
	at := m.at()
	switch final {
	case 'A':
		m.moveBy(0, -n)
	case 'B':
		m.moveBy(0, n)
	case 'C', 'a':
		m.moveBy(n, 0)
	case 'D':
		m.moveBy(-n, 0)
	case 'E':
		m.moveBy(-most, n)
	case 'F':
		m.moveBy(-most, -n)
	case 'G', '`':
		m.moveTo(n-1, m.row())
	case 'H', 'f':
		m.moveTo(second-1, n-1)
	case 'I':
		m.tab(n)
	case 'Z':
		m.tab(-n)
	case 'd':
		m.moveTo(at.X, n-1)
	case 'e':
		m.moveTo(at.X, m.row()+n)
	}
}

// scrolls says which lines scroll.
func (m *Mirror) scrolls(top, bottom int) {
	if bottom < 1 || bottom > m.rows {
		bottom = m.rows
	}
	if top < bottom {
		m.margins[m.screen] = margin{top, bottom}
		m.moveTo(0, 0)
	}
}

// change changes what stands.
func (m *Mirror) change(final byte, n, first int) {
	at := m.at()
	switch final {
	case 'J':
		m.clear(first)
	case 'K':
		switch {
		case first == 0 && !m.wraps:
			m.erase(at.X, m.cols)
		case first == 1:
			m.erase(0, at.X+1)
		case first == 2:
			m.eraseLines(at.Y, at.Y+1)
		}
	case 'X':
		m.wraps = false
		m.erase(at.X, min(at.X+n, m.cols))
	case '@':
		m.wraps = false
		m.insert(n)
	case 'P':
		m.wraps = false
		m.remove(n)
	case 'L', 'M':
		m.wraps = false
		if top, bottom := m.region(); at.Y >= top && at.Y <= bottom {
			at.X = 0
		}
		if final == 'L' {
			m.down(at.Y, n)
		} else {
			m.up(at.Y, n)
		}
	case 'S':
		top, _ := m.region()
		m.up(top, n)
	case 'T':
		top, _ := m.region()
		m.down(top, n)
	case 'b':
		m.repeat(n)
	case 'g':
		if first == 3 {
			m.tabs = make([]bool, m.cols)
		} else if first == 0 {
			m.tabs[at.X] = false
		}
	case 's':
		m.save()
	case 'u':
		m.recall()
	}
}

// repeat shows the last character again, at most a line of it.
func (m *Mirror) repeat(n int) {
	text := m.last
	if n = min(n, m.cols); len(text) != 1 || !m.pay(16*n) {
		return
	}
	for range n {
		m.put(text, 1)
	}
}

func (m *Mirror) clear(how int) {
	at := m.at()
	switch how {
	case 0:
		if !m.wraps {
			m.erase(at.X, m.cols)
		}
		m.eraseLines(at.Y+1, m.rows)
	case 1:
		m.eraseLines(0, at.Y)
		m.erase(0, at.X+1)
	case 2:
		m.eraseLines(0, m.rows)
	case 3:
		if past := len(m.lines[0]) - m.rows; past > 0 {
			m.lines[0] = slices.Clone(m.lines[0][past:])
		}
	}
}

// kept are the modes that a snapshot sets again.
func kept() []ansi.Mode {
	return []ansi.Mode{
		ansi.ModeCursorKeys, ansi.ModeAutoWrap, ansi.DECMode(12), ansi.DECMode(45), ansi.ModeNumericKeypad,
		ansi.ModeMouseX10, ansi.ModeMouseNormal, ansi.ModeMouseButtonEvent, ansi.ModeMouseAnyEvent, ansi.ModeFocusEvent,
		ansi.DECMode(1005), ansi.ModeMouseExtSgr, ansi.DECMode(1007), ansi.DECMode(1015), ansi.DECMode(1016),
		ansi.ModeBracketedPaste, ansi.ANSIMode(4), ansi.ANSIMode(20), ansi.ModeTextCursorEnable,
	}
}

// mode sets or resets one.
func (m *Mirror) mode(prefix byte, n int, on bool) {
	var mode ansi.Mode = ansi.ANSIMode(n)
	switch prefix {
	case 0:
	case '?':
		mode = ansi.DECMode(n)
	default:
		return
	}
	switch mode {
	case ansi.DECMode(47), ansi.ModeAltScreen, ansi.ModeAltScreenSaveCursor:
		m.alternate(on, n == 1049)
	case ansi.ModeSaveCursor:
		if on {
			m.save()
		} else {
			m.recall()
		}
	case ansi.ModeOrigin:
		m.modes[mode] = on
		m.moveTo(0, 0)
	default:
		if slices.Contains(kept(), mode) {
			m.modes[mode] = on
		}
	}
}

// alternate shows the other screen, blank, or the main one again.
func (m *Mirror) alternate(on, save bool) {
	if on && save {
		m.save()
	}
	if on == (m.screen == 1) {
		return
	}
	m.wraps = false
	if !on {
		m.screen, m.lines[1] = 0, nil
		return
	}
	if !m.pay(4 * m.rows) {
		return
	}
	m.screen, m.modes[ansi.ModeAltScreenSaveCursor] = 1, save
	m.lines[1] = make([]line, m.rows)
	m.pos[1], m.pens[1], m.margins[1] = m.pos[0], m.pens[0], margin{}
}

// soften is a soft reset.
func (m *Mirror) soften() {
	m.margins[m.screen], m.pens[m.screen], m.saves[m.screen], m.saved[m.screen] = margin{}, nil, nil, nil
	m.charsets = charsets{}
	for _, mode := range []ansi.Mode{ansi.ModeTextCursorEnable, ansi.ModeOrigin, ansi.ModeCursorKeys, ansi.ANSIMode(4)} {
		delete(m.modes, mode)
	}
}
