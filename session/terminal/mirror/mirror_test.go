package mirror

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cells are those of the screen that shows.
func cells(m *Mirror) []uv.Line {
	lines := make([]uv.Line, m.rows)
	for y := range lines {
		lines[y] = shown(*m.line(y), m.cols)
	}
	return lines
}

func shown(l line, cols int) uv.Line {
	out := make(uv.Line, cols)
	l.cells = slices.Clone(l.cells)
	l.grow(cols)
	for x, c := range l.cells {
		out[x] = uv.Cell{Content: c.text, Width: c.width}
		if c.style != nil {
			out[x].Style = *c.style
		}
	}
	return out
}

// past is the text of what scrolled away.
func past(m *Mirror) (all []string) {
	for _, l := range m.lines[0][:len(m.lines[0])-m.rows] {
		all = append(all, shown(l, len(l.cells)).Render())
	}
	return all
}

// picture is what a mirror shows, as text that two can be compared by.
func picture(m *Mirror) string {
	var b strings.Builder
	for y, line := range cells(m) {
		for x, c := range line {
			if c.Content != " " || !c.Style.IsZero() {
				style := c.Style.String()
				fmt.Fprintf(&b, "%d,%d %q %d %q\n", x, y, c.Content, c.Width, style)
			}
		}
	}
	pos := *m.at()
	fmt.Fprintf(&b, "cursor %d,%d alternate %v size %dx%d\n", pos.X, pos.Y, m.screen == 1, m.cols, m.rows)
	for _, mode := range kept() {
		initially := mode == ansi.ModeAutoWrap || mode == ansi.ModeTextCursorEnable
		if set, said := m.modes[mode]; said && set != initially {
			fmt.Fprintf(&b, "mode %d %v\n", mode.Mode(), set)
		}
	}
	return b.String()
}

// same compares two mirrors, and goes on to the main screen behind an alternate one.
func same(t *testing.T, name string, a, b *Mirror) {
	t.Helper()
	for {
		if x, y := picture(a), picture(b); x != y {
			t.Fatalf("%s: only one shows\n%s\nonly the other\n%s", name, without(x, y), without(y, x))
		}
		if a.screen == 0 {
			return
		}
		a.Write([]byte("\x1b[?1049l\x1b[?1047l"))
		b.Write([]byte("\x1b[?1049l\x1b[?1047l"))
	}
}

// copied is a fresh mirror that was shown a snapshot.
func copied(m *Mirror) *Mirror {
	cols, rows, data := m.Snapshot()
	c := New(cols, rows)
	c.Write(data)
	return c
}

// streams are what programs send.
func streams() map[string]string {
	vim := "$ vim notes\r\n\x1b[?1049h\x1b[22;0;0t\x1b[>4;2m\x1b[?1h\x1b=\x1b[?2004h\x1b[?1004h\x1b[1;24r\x1b[?12h\x1b[?12l\x1b[22;2t\x1b[27m\x1b[23m\x1b[29m\x1b[m\x1b[H\x1b[2J\x1b[?25l" +
		"\x1b[24;1H\"notes\" 3 lines\x1b[1;1H\x1b[93m  1 \x1b[mfirst\r\n\x1b[93m  2 \x1b[m\x1b[38;5;81msecond\x1b[m\r\n\x1b[94m~\x1b[3;22H\r\n~\x1b[m\x1b[24;63H1,1\x1b[11CAll\x1b[1;5H\x1b[?25h\x1b[2 q"
	htop := "\x1b[?1049h\x1b[22;0;0t\x1b[1;24r\x1b(B\x1b[m\x1b[4l\x1b[?7h\x1b[?1h\x1b=\x1b[?25l\x1b[39;49m\x1b[?1000h\x1b[?1006h\x1b[H\x1b[2J" +
		"\x1b[2;3H\x1b[36m0\x1b[39m\x1b[1m[\x1b[32m|||\x1b[31m|\x1b[90m   12.5%\x1b[39m]\x1b(B\x1b[m\x1b[6;1H\x1b[30m\x1b[42m  PID USER      PRI\x1b[K\x1b[30m\x1b[46m 4711 root\x1b[K\x1b[39;49m"
	return map[string]string{
		"nothing":          "",
		"prompt":           "svc@recon:~$ ls -l\r\ntotal 3\r\n\x1b[01;34mlogs\x1b[0m  \x1b[01;32mrun.sh\x1b[0m\r\nsvc@recon:~$ ",
		"scrolled":         strings.Repeat("line of a long listing\r\n", 100) + "$ ",
		"vim":              vim,
		"vim left":         vim + "\x1b[?2004l\x1b[?1l\x1b>\x1b[?1004l\x1b[?1049l$ ",
		"htop":             htop,
		"wide":             "日本語 テスト\r\n한국어\r\n\x1b[7m混ぜる abc 混\x1b[m 🙂👨‍👩‍👧 e\u0301x ä\u0308 end",
		"combining":        "a\u0301\u0302\r\nनमस्ते\r\nZ\u0351\u036b\u0343",
		"line drawing":     "\x1b(0lqqqk\x1b(B\r\n\x1b(0x   x",
		"shifted":          "\x1b)0\x0elqqk",
		"colours":          "\x1b[38;2;10;200;30;48;5;236;1;3;4mrich\x1b[4:3mcurly\x1b[58;5;9mred line\x1b[0m\x1b[41m\x1b[K",
		"margins":          "\x1b[5;10r\x1b[5;1H" + strings.Repeat("x\r\n", 20),
		"origin":           "\x1b[5;10r\x1b[?6h\x1b[2;3Hhere",
		"full line":        strings.Repeat("x", 80) + "\r\n" + strings.Repeat("y", 79),
		"about to wrap":    "\x1b[7;3H\x1b[1;31m" + strings.Repeat("x", 78) + "\x1b[44m",
		"wide at the end":  strings.Repeat("x", 78) + "日",
		"wrap waits below": "\x1b[?1049h\x1b[24;1H" + strings.Repeat("x", 80),
		"cursor saved":     "\x1b[3;9H\x1b[32m\x1b7\x1b[m\x1b[9;1Hhere",
		"wrap off":         "\x1b[?7l" + strings.Repeat("z", 100),
		"hidden":           "\x1b[?25l\x1b[?2004h\x1b[6 qbar",
		"cut":              "before \x1b[38;5;",
		"cut title":        "before \x1b]2;a ti",
		"cut letter":       "before \xe6\x97",
		"queries":          "\x1b[c\x1b[6n\x1b]11;?\x07\x1b[?2026$pdone",
		"reset":            vim + "\x1bcplain",
	}
}

// A snapshot shows what the original shows, in whatever pieces it came, and what comes
// next looks the same on both.
func TestSnapshotShowsTheSame(t *testing.T) {
	next := "m next\a\\\x1b[m日 \r\nand \x1b[1mmore\x1b8saved"
	for name, stream := range streams() {
		for _, size := range [][2]int{{80, 24}, {20, 5}} {
			for _, step := range []int{1, 7, 1 << 20} {
				a := New(size[0], size[1])
				for s := []byte(stream); len(s) > 0; s = s[min(step, len(s)):] {
					a.Write(s[:min(step, len(s))])
				}
				b := copied(a)
				where := fmt.Sprintf("%s, %v, %d", name, size, step)
				c, d := copied(b), copied(a)
				same(t, where+": a copy of the copy", b, c)
				a.Write([]byte(next))
				d.Write([]byte(next))
				same(t, where+": what comes next", a, d)
			}
		}
	}
}

// The original itself is left as it was by a snapshot.
func TestSnapshotChangesNothing(t *testing.T) {
	for name, stream := range streams() {
		a, b := New(80, 24), New(80, 24)
		a.Write([]byte(stream))
		b.Write([]byte(stream))
		_, _, first := a.Snapshot()
		_, _, second := a.Snapshot()
		if !bytes.Equal(first, second) {
			t.Errorf("%s: two snapshots differ:\n%q\n%q", name, first, second)
		}
		if !strings.Contains("wide combining", name) { // a mark that waits for its letter is put to it
			same(t, name, a, b)
		}
	}
}

// What scrolled away comes back, some of it.
func TestScrollback(t *testing.T) {
	m := New(80, 24)
	for i := range 1000 {
		m.Write(fmt.Appendf(nil, "line %d\r\n", i))
	}
	c := copied(m)
	if all := past(c); len(all) != scrollback || all[scrollback-1] != "line 976" {
		t.Errorf("%d lines, %q", len(all), all)
	}
}

// A long listing shows the same at its end, whether all of it was looked at or not.
func TestLongListing(t *testing.T) {
	var text bytes.Buffer
	for i := range 900 {
		fmt.Fprintf(&text, "%d %s\r\n", i, strings.Repeat("x", i%130))
	}
	for name, whole := range map[string]string{
		"text": text.String() + "$ ", "no end of line": text.String()[:text.Len()-2],
		"begun in colour": "\x1b[31m" + text.String(), "colour within": text.String() + "\x1b[1m" + text.String() + "\x1b[m",
		"line feeds only": strings.ReplaceAll(text.String(), "\r", ""), "margins": "\x1b[3;9r" + text.String(), "alternate": "\x1b[?1049h" + text.String(),
	} {
		a, b := New(80, 24), New(80, 24)
		first := "\x1b[5;5Hstart"
		a.Write([]byte(first))
		b.Write([]byte(first))
		for s := []byte(whole); len(s) > 0; s = s[min(100, len(s)):] {
			a.Write(s[:min(100, len(s))])
		}
		b.Write([]byte(whole))
		if !slices.Equal(past(a), past(b)) {
			t.Errorf("%s: the past differs", name)
		}
		same(t, name, a, b)
	}
}

// soup is a stream of sequences that mean something, and of bytes that do not.
func soup(r *rand.Rand, n int) []byte {
	var b bytes.Buffer
	words := []string{"hello ", "日本", "\r\n", "\x1b[H", "\x1b[2J", "\x1b[K", "\x1b[?1049h", "\x1b[?1049l", "\x1b[?1047h", "\x1bM", "\x1bD", "\t",
		"\x1b[L", "\x1b[3M", "\x1b[P", "\x1b[4@", "\x1b[2S", "\x1b[T", "\x1b7", "\x1b8", "\x1b[?25l", "\x1b[?2004h", "\x1b(0", "\x1b(B", "\b", "\x1b[X", "\x1b[3b",
		"\x1b]0;title\x07", "\x1bP1$r0m\x1b\\", "\x1b[999;999H", "e\u0301", "\x1b[0;0r", "\x1b[2;999r", "\x1b[?69h\x1b[3;9s", "\x1b[!p", "\x1b[1;31m", "\x1b[m"}
	for b.Len() < n {
		switch r.IntN(8) {
		case 0:
			fmt.Fprintf(&b, "\x1b[%d;%dH", r.IntN(40), r.IntN(120))
		case 1:
			fmt.Fprintf(&b, "\x1b[%d;%dr", r.IntN(30), r.IntN(30))
		case 2:
			fmt.Fprintf(&b, "\x1b[%dm", r.IntN(110))
		case 3:
			b.WriteByte(byte(r.IntN(256)))
		case 4:
			fmt.Fprintf(&b, "\x1b[%s%d%c", []string{"", "?", ">"}[r.IntN(3)], r.IntN(3000), 'A'+rune(r.IntN(58)))
		default:
			b.WriteString(words[r.IntN(len(words))])
		}
	}
	return b.Bytes()
}

// Whatever comes, a copy of a snapshot shows what the next snapshot shows, and nothing
// panics outside.
func TestSoup(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		m := New(1+r.IntN(100), 1+r.IntN(40))
		m.Write(soup(r, 2000))
		if r.IntN(2) == 0 {
			m.Resize(1+r.IntN(100), 1+r.IntN(40))
		}
		m.Snapshot()
		m.Write(soup(r, 100))
		cols, rows, data := m.Snapshot()
		if cols != m.cols || rows != m.rows || len(data) == 0 {
			t.Error("no snapshot")
		}
		c := New(cols, rows)
		c.Write(data)
	}
}

// A mirror that breaks goes on blank, and says so.
func TestBroken(t *testing.T) {
	m := New(80, 24)
	m.Write([]byte("here"))
	m.lines[0] = nil
	m.Write([]byte("after"))
	_, _, data := m.Snapshot()
	if !bytes.Contains(data, []byte("cannot be shown again")) {
		t.Errorf("%q", data)
	}
	m.Write([]byte("later"))
	if _, _, data := m.Snapshot(); !bytes.Contains(data, []byte("later")) {
		t.Errorf("%q", data)
	}
}

// The alternate screen's past does not grow for as long as a program runs.
func TestAlternatePastIsBounded(t *testing.T) {
	m := New(80, 24)
	m.Write([]byte("shell\r\n\x1b[?1049h"))
	for range 60 {
		m.Write([]byte(strings.Repeat("a line of some length\r\n", 30) + "\x1b[99S\x1b[2J"))
	}
	if len(m.lines[1]) != m.rows {
		t.Errorf("%d lines", len(m.lines[1]))
	}
	m.Write([]byte("\x1b[?1049l"))
	if _, _, data := m.Snapshot(); !bytes.Contains(data, []byte("shell")) {
		t.Errorf("the main screen is lost: %q", data)
	}
}

func FuzzMirror(f *testing.F) {
	for _, s := range streams() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		m := New(40, 10)
		m.Write(p)
		m.Resize(20, 30)
		m.Write(p)
		if _, _, data := m.Snapshot(); len(data) == 0 {
			t.Error("no snapshot")
		}
	})
}
