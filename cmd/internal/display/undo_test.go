package display

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session/terminal/mirror"
)

// shownAfter is what a terminal shows of a line with a tab in it, after all that.
func shownAfter(text string) string {
	m := mirror.New(40, 6)
	m.Write([]byte(text + "\x1b[H\x1b[2J\tone\r\nlqk\r\n"))
	_, _, data := m.Snapshot()
	return string(data)
}

// Whatever passes a Filter is undone: what a person's terminal shows and sends afterwards
// is what it would without.
func TestWhatPassesIsUndone(t *testing.T) {
	plain := shownAfter(Undo)
	passing := []string{"\x1bc", "\x1b(0", "\x1b)0\x0e", "\x1bH", "\x1b[5C\x1bH", "\x1b#8", "\x1b[3g", "\x1b7", "\x1b[!p", "\x1b[5 q", "\x1b[1;31;44m", "\x1b[2;3r", "\x1b[2;3r\x1b[?6h",
		"\x1b[4h", "\x1b[20h", "\x1b[20;4h", "\x1b[?1049h\x1b[?25l", "\x1b[?1049h\x1b[2;3r", "\x1b[3J"}
	for m := range 3000 {
		passing = append(passing, fmt.Sprintf("\x1b[?%dh", m), fmt.Sprintf("\x1b[?%dl", m), fmt.Sprintf("\x1b[%dh", m))
	}
	for _, s := range passing {
		var b bytes.Buffer
		if _, err := NewFilter(&b).Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
		if got := shownAfter(b.String() + Undo); got != plain {
			t.Errorf("%q is not undone: %q, not %q", s, got, plain)
		}
	}
	for m := range 10_000 { // of modes that a mirror does not know, too
		undone := strings.Contains(Undo, fmt.Sprintf("\x1b[?%dl", m)) || strings.Contains(Undo, fmt.Sprintf("\x1b[?%dh", m))
		if okModes([]int{m}) && !undone && m != 1048 { // which only moves the cursor
			t.Errorf("?%d passes and is not undone", m)
		}
		for _, final := range "hl" {
			s := fmt.Sprintf("%d%c", m, final)
			if okControl([]byte(s)) && !strings.Contains(Undo, fmt.Sprintf("\x1b[%dl", m)) {
				t.Errorf("CSI %s passes and is not undone", s)
			}
		}
	}
	if okControl([]byte("20h")) || okControl([]byte("3J")) {
		t.Error("what the Enter key sends, or what had scrolled away, is changed")
	}
}
