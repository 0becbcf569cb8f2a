package display

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// vectors are ways to drive a terminal: single controls in 7 and 8 bits, every final
// of a control sequence, strings with every terminator, and reordering marks.
func vectors() []string {
	var all []string
	for c := range 0x20 {
		if c != '\n' && c != '\t' && c != '\r' {
			all = append(all, string(rune(c)))
		}
	}
	for c := rune(0x7f); c <= 0x9f; c++ {
		all = append(all, string(c), string([]byte{byte(c)}))
	}
	for final := byte(0x40); final <= 0x7e; final++ {
		all = append(all, fmt.Sprintf("\x1b[?1;2%c", final), fmt.Sprintf("\u009b6%c", final))
	}
	for _, intro := range []string{"]", "P", "_", "^", "X"} {
		for _, end := range []string{"\x07", "\x1b\\", "\u009c", "\x18", ""} {
			all = append(all, "\x1b"+intro+"52;c;ZXZpbA=="+end)
		}
	}
	for _, r := range "\u00ad\u200b\u200d\u2060\ue000\U000f0000\u3164\u061c\u200e\u202a\u202e\u2066\u2069\u2028\u2029\ufeff\U000e0041" {
		all = append(all, string(r))
	}
	return all
}

// None of more than two hundred gets through a list, a fact, JSON or a transcript,
// whole or byte by byte.
func TestNoVectorGetsThrough(t *testing.T) {
	all := vectors()
	if len(all) < 200 {
		t.Fatalf("only %d vectors", len(all))
	}
	for _, v := range all {
		var b bytes.Buffer
		text := terminal.NewText()
		text.Take(session.Event{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm","cols":80,"rows":24}`)})
		for i := range len(v) {
			text.Take(session.Event{Kind: session.Output, Stream: 1, Data: []byte{v[i]}})
		}
		text.Flush()
		for _, l := range text.Lines() {
			b.WriteString(l.Text + "\n")
		}
		for _, err := range []error{
			Table(&b, []string{"A", "B"}, [][]string{{v, "x" + v}}), Facts(&b, [][2]string{{"name", v}}), JSON(&b, map[string]string{"k": v}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		b.WriteString(wording.Clean(v))
		if i := strings.IndexFunc(b.String(), func(r rune) bool { return wording.Hostile(r) && !strings.ContainsRune("\n\t\r", r) }); i >= 0 {
			t.Errorf("%q comes out in %q", v, b.String())
		}
	}
}
