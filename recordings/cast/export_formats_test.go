package cast_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

func exported(t testing.TB, o cast.Options, events ...session.Event) string {
	t.Helper()
	var b bytes.Buffer
	source := tape(events)
	if err := cast.Write(&b, &source, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// v3 has intervals instead of times, markers, resizes and the exit status.
func TestV3(t *testing.T) {
	got := exported(t, cast.Options{Format: cast.V3},
		opened(1, shell), out(500_000, 1, "tube \xe2"), out(750_001, 1, "\x82\xac ok"),
		session.Event{At: 800_001, Kind: session.Resize, Stream: 1, Data: []byte(`{"cols":100,"rows":30}`)},
		session.Event{At: 900_001, Kind: session.Marker, Data: []byte(`{"text":"frozen"}`)},
		session.Event{At: 2_900_001, Kind: session.Exit, Stream: 1, Data: []byte(`{"status":3}`)})
	want := `{"version":3,"term":{"cols":120,"rows":40,"type":"xterm-256color"},"timestamp":1790000000,"title":"NGH-PETCT1/recon-ssh"}
[0.500000, "o", "tube "]
[0.250001, "o", "€ ok"]
[0.050000, "r", "100x30"]
[0.100000, "m", "frozen"]
[2.000000, "x", "3"]
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// However the bytes are cut, v3 shows them all, in whole characters, and its
// intervals add up to the last event's time.
func TestV3LosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		events := []session.Event{opened(1, shell)}
		at := int64(0)
		for rest := []byte(text); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			at += rapid.Int64Range(0, 1e9).Draw(t, "gap")
			events, rest = append(events, out(at, 1, string(rest[:n]))), rest[n:]
		}
		var b bytes.Buffer
		source := tape(events)
		if err := cast.Write(&b, &source, cast.Options{Format: cast.V3}); err != nil {
			t.Fatal(err)
		}
		shown, sum := "", 0.0
		for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n")[1:] {
			var row []any
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			sum += row[0].(float64)
			shown += row[2].(string)
		}
		if shown != text {
			t.Fatalf("%q became %q", text, shown)
		}
		if text != "" && utf8.ValidString(text) && math.Abs(sum-float64(at)/1e6) > 1 {
			t.Fatalf("the intervals add up to %v, not %v", sum, float64(at)/1e6)
		}
	})
}

// What was typed is in no format unless it was asked for.
func TestTypedInputTakesAWish(t *testing.T) {
	events := []session.Event{opened(1, shell), {At: 1, Kind: session.Input, Stream: 1, Data: []byte("hunter2\r")}, out(2, 1, "ok\r\n")}
	for _, f := range cast.Formats() {
		if got := exported(t, cast.Options{Format: f}, events...); strings.Contains(got, "hunter2") || strings.Contains(got, "aHVudGVyMg") {
			t.Errorf("%s shows it without being asked: %s", f, got)
		}
		if got := exported(t, cast.Options{Format: f, Input: true}, events...); !strings.Contains(got, "hunter2") {
			t.Errorf("%s does not show it: %s", f, got)
		}
	}
}

func TestTranscript(t *testing.T) {
	got := exported(t, cast.Options{Format: cast.Text}, opened(1, shell),
		out(1_500_000, 1, "\x1b[31mred"), out(2_000_000, 1, " tube\x1b[0m\r\nnext"),
		session.Event{At: 3_000_000, Kind: session.Marker, Data: []byte(`{"text":"warned \u001b[2J"}`)},
		session.Event{At: 3_723_004_000, Kind: session.Exit, Stream: 1, Data: []byte(`{"status":3}`)})
	want := ` NGH-PETCT1/recon-ssh 2026-09-21 14:13:20 UTC
[0:00:00.000] [channel opened {"type":"shell","term":"xterm-256color","cols":120,"rows":40}]
[0:00:01.500] red tube
[0:00:02.000] next
[0:00:03.000] [warned ` + "\uFFFD" + `[2J]
[1:02:03.004] [exit {"status":3}]
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// One JSON object per line, with the exact bytes.
func TestJSONLines(t *testing.T) {
	got := exported(t, cast.Options{Format: cast.JSON}, opened(1, shell), out(5, 1, "a\xff\u202eb"))
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%q", got)
	}
	var e cast.Event
	if err := json.Unmarshal([]byte(lines[1]), &e); err != nil {
		t.Fatal(err)
	}
	if e.At != 5 || e.Kind != "output" || string(e.Data) != "a\xff\u202eb" || e.Text != "a\uFFFD\u202eb" || strings.Contains(got, "\u202e") {
		t.Errorf("%+v from %q", e, got)
	}
}

// vectors are what can make a terminal act: every introducer in 7 and 8 bits with
// every final and terminator, single controls, reordering marks, and cut sequences.
func vectors() []string {
	var all []string
	for c := range 0x20 {
		if c != '\n' && c != '\t' {
			all = append(all, string(rune(c)))
		}
	}
	for c := rune(0x7f); c <= 0x9f; c++ {
		all = append(all, string(c), string([]byte{byte(c)}))
	}
	for _, r := range "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufeff\U000e0041\U000e007f" {
		all = append(all, string(r))
	}
	for final := byte(0x40); final <= 0x7e; final++ {
		all = append(all, fmt.Sprintf("\x1b[?1;2%c", final), fmt.Sprintf("\u009b6%c", final))
	}
	for _, intro := range []string{"]", "P", "_", "^", "X", "k"} {
		for _, end := range []string{"\x07", "\x1b\\", "\u009c", "\x18", ""} {
			all = append(all, "\x1b"+intro+"52;c;ZXZpbA=="+end)
		}
	}
	for _, c := range "cDEHMNOZ78=><#()*+-./%&|}~no" {
		all = append(all, "\x1b"+string(c)+"8")
	}
	return append(all, "\x1b\x1b[2J", "\x1b[2\x1b]0;x\x07J", "\x1b]0;\x1b[6n\x07", "\x1b[>c", "\x1b[21t", "\x1bP$qm\x1b\\", "\x1bP+q544e\x1b\\", "\x1b[5i")
}

// More than two hundred ways to drive a terminal, whole and cut into single bytes,
// reach nobody through a transcript, a list of events or a marker.
func TestNoEscapeReachesATerminal(t *testing.T) {
	all := vectors()
	if len(all) < 200 {
		t.Fatalf("only %d vectors", len(all))
	}
	for _, v := range all {
		note, err := json.Marshal(session.Note{Text: v + "note"})
		if err != nil {
			t.Fatal(err)
		}
		events := []session.Event{opened(1, `{"type":"exec","command":"x"}`), out(1, 1, v+"shown\n"), {Kind: session.Marker, Data: note},
			{Kind: session.Signal, Stream: 1, Data: []byte(v)}, opened(2, shell)}
		for i := range len(v) {
			events = append(events, out(2, 2, v[i:i+1]))
		}
		for _, f := range []cast.Format{cast.Text, cast.JSON} {
			for _, r := range exported(t, cast.Options{Format: f, Input: true}, events...) {
				if r != '\n' && r != '\t' && wording.Hostile(r) {
					t.Errorf("%q through %s: %q comes out", v, f, r)
				}
			}
		}
	}
}

func FuzzTranscript(f *testing.F) {
	for _, v := range vectors() {
		f.Add([]byte(v), 1)
	}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n = min(max(n, 0), len(b))
		got := exported(t, cast.Options{Format: cast.Text}, opened(1, shell), out(1, 1, string(b[:n])), out(2, 1, string(b[n:])))
		for _, r := range got {
			if r != '\n' && r != '\t' && wording.Hostile(r) {
				t.Errorf("%q comes out", r)
			}
		}
	})
}
