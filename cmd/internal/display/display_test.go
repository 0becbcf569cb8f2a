package display

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/session/wording"
)

// hostileBytes reports what must never reach a terminal in one line of text.
func hostileBytes(s string) bool {
	if !utf8.ValidString(s) {
		return true
	}
	for _, r := range s {
		if r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return true
		}
	}
	return false
}

func TestCleanLeavesWordsAlone(t *testing.T) {
	for in, want := range map[string]string{
		"Jana Brandt":         "Jana Brandt",
		"Müller 東京 \uFFFD":    "Müller 東京 \uFFFD",
		"two\nlines\tand\r":   "two lines and ",
		"\x1b]0;x\x07ok":      "\uFFFD]0;x\uFFFDok",
		"bad\xff\xfe\x9butf8": "bad\uFFFDutf8",
		"\u202egnp.exe":       "\uFFFDgnp.exe",
	} {
		if got := wording.Clean(in); got != want {
			t.Errorf("wording.Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[31m", "\u009b31m", "a\u202eb", "\xff", "\U000e0041"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := wording.Clean(s)
		if hostileBytes(got) || strings.Contains(got, "\n") {
			t.Fatalf("wording.Clean(%q) = %q", s, got)
		}
		if wording.Clean(got) != got {
			t.Fatalf("cleaning twice changes %q", got)
		}
		var b bytes.Buffer
		if err := JSON(&b, s); err != nil || hostileBytes(b.String()) {
			t.Fatalf("JSON of %q is %q, %v", s, b.String(), err)
		}
		var back string
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || utf8.ValidString(s) && back != s {
			t.Fatalf("JSON of %q comes back as %q, %v", s, back, err)
		}
	})
}

// hostileSequences are what terminals have been tricked with.
var hostileSequences = []string{
	"\x1b]0;title\x07", "\x1b]2;t\x1b\\", "\x1b]52;c;ZXZpbA==\x07", "\x1b]8;;http://evil\x07", "\x1b]7;file://x\x07", "\x1b]9;note\x07", "\x1b]777;notify;a;b\x07", "\x1b]1337;File=:AAAA\x07",
	"\x1bP$qm\x1b\\", "\x1bPq#0;2;0;0;0\x1b\\", "\x1b_payload\x1b\\", "\x1b^private\x1b\\", "\x1bXsos\x1b\\", "\x1bktitle\x1b\\",
	"\x1b[c", "\x1b[>c", "\x1b[=c", "\x1b[5n", "\x1b[6n", "\x1b[?6n", "\x1b[21t", "\x1b[18t", "\x1b[14t", "\x1b[20t", "\x1b[x", "\x1b[1;1;1;1;1;1*y", "\x1b[?1$p", "\x1b[>q", "\x1bZ",
	"\x1b[?1000h", "\x1b[?1003h", "\x1b[?1006h", "\x1b[?1004h", "\x1b[?2004h", "\x1b[200~", "\x1b[201~", "\x1b[5i", "\x1b[4i", "\x1b[>4;2m", "\x1b[>1u", "\x1b[?u",
	"\x1b[2147483648b", "\x1b[99999C", "\u009b6n", "\u009d52;c;x\u009c", "\u0090$qm\u009c", "\x9b6n", "\x05", "\x1b[12;\x1b[6n", "\x1b[?1049;1000h", "\x1b]52;c;\x1b[6n",
}

func TestReplayDropsWhatDrivesATerminal(t *testing.T) {
	for _, s := range hostileSequences {
		for _, split := range []bool{false, true} {
			var b bytes.Buffer
			f := NewFilter(&b)
			in := []byte("before " + s + "\x1b\\\x18 after")
			step := len(in)
			if split {
				step = 1
			}
			for i := 0; i < len(in); i += step {
				if _, err := f.Write(in[i:min(i+step, len(in))]); err != nil {
					t.Fatal(err)
				}
			}
			got := b.String()
			if strings.ContainsRune(got, 0x1b) || hostileBytes(got) {
				t.Errorf("%q became %q", s, got)
			}
			if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Errorf("%q swallowed text: %q", s, got)
			}
			if f.Dropped == 0 && s != "\x9b6n" {
				t.Errorf("%q was dropped silently", s)
			}
		}
	}
}

func TestReplayKeepsThePicture(t *testing.T) {
	for _, s := range []string{"\x1b[31;1mred\x1b[0m", "\x1b[38;2;1;2;3m", "\x1b[2J\x1b[H", "\x1b[10;20H", "\x1b[?25l", "\x1b[?1049h", "\x1b(0qqq\x1b(B", "\x1b[1;24r", "\x1b7\x1b8", "a\r\n\tb\b", "grün 東", "\x1b[K", "\x1bM", "\x1b[4 q"} {
		var b bytes.Buffer
		f := NewFilter(&b)
		if _, err := f.Write([]byte(s)); err != nil || b.String() != s || f.Dropped != 0 {
			t.Errorf("%q became %q, %d dropped, %v", s, b.String(), f.Dropped, err)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range hostileSequences {
		f.Add([]byte(s), uint8(1))
	}
	f.Add([]byte("\x1b[31mred\x1b[0m"), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, at uint8) {
		var whole, parts bytes.Buffer
		a, b := NewFilter(&whole), NewFilter(&parts)
		_, _ = a.Write(in)
		cut := min(int(at), len(in))
		_, _ = b.Write(in[:cut])
		_, _ = b.Write(in[cut:])
		if whole.String() != parts.String() || a.Dropped != b.Dropped {
			t.Fatalf("splitting changes the result: %q and %q", whole.String(), parts.String())
		}
		var again bytes.Buffer
		c := NewFilter(&again)
		_, _ = c.Write(whole.Bytes())
		if again.String() != whole.String() || c.Dropped != 0 {
			t.Fatalf("what was passed is not clean: %q", whole.String())
		}
		for _, bad := range []string{"\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x1b[c", "\x1b[6n", "\x1b[21t", "\x05"} {
			if strings.Contains(whole.String(), bad) {
				t.Fatalf("%q came through in %q", bad, whole.String())
			}
		}
	})
}

func TestTablesLineUp(t *testing.T) {
	var b bytes.Buffer
	if err := Table(&b, []string{"A", "LONG", "LAST"}, [][]string{{"ü", "", "x\x1b[2J"}, {"longer", "y"}}); err != nil {
		t.Fatal(err)
	}
	want := "A       LONG  LAST\nü       -     x\uFFFD[2J\nlonger  y     -\n"
	if b.String() != want {
		t.Fatalf("got\n%swant\n%s", b.String(), want)
	}
}

// In the night on which the clocks are set back, 02:30 comes twice.
func TestClockInTheNightOfTheClockChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 10, 25, 0, 10, 0, 0, time.UTC).In(berlin) // 02:10 CEST
	for want, left := range map[string]time.Duration{
		"02:30 (in 20 min)":                 20 * time.Minute,
		"02:30 CET (in 1 h 20 min)":         80 * time.Minute,
		"03:10 CET (in 2 h)":                2 * time.Hour,
		"24 Oct 23:10 (3 h ago)":            -3 * time.Hour,
		"26 Oct 01:09 CET (in 23 h 59 min)": 24*time.Hour - time.Minute,
		"28 Mar 2027 03:30":                 time.Date(2027, 3, 28, 1, 30, 0, 0, time.UTC).Sub(now),
		"28 Mar 2027 01:30 CET":             time.Date(2027, 3, 28, 0, 30, 0, 0, time.UTC).Sub(now),
	} {
		if got := Clock(now.Add(left).UTC(), now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestClockSpeaks(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 24, 0, 0, time.UTC)
	for want, at := range map[string]time.Time{
		"12:46 (in 22 min)":              now.Add(22 * time.Minute),
		"12:23 (1 min ago)":              now.Add(-time.Minute),
		"24 Nov 01:24 (in 13 h)":         now.Add(13 * time.Hour),
		"13:54 (in 1 h 30 min)":          now.Add(90 * time.Minute),
		"26 Nov 12:24":                   now.Add(72 * time.Hour),
		"1 Jan 2025 00:00":               time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
		"12:24 (in 20 s)":                now.Add(20 * time.Second),
		"":                               {},
		"12:26 (in 2 min 30 s)":          now.Add(150 * time.Second),
		"22 Nov 23:24 (13 h ago)":        now.Add(-13 * time.Hour),
		"12:33 (in 9 min 59 s)":          now.Add(599 * time.Second),
		"12:34 (in 10 min)":              now.Add(601 * time.Second),
		"23 Nov 2027 12:24":              now.AddDate(1, 0, 0),
		"13:24 (in 1 h)":                 now.Add(time.Hour),
		"12:24 (in 0 s)":                 now,
		"23:59 (in 11 h 35 min)":         now.Add(11*time.Hour + 35*time.Minute),
		"24 Nov 12:24 (in 24 h)":         now.Add(24 * time.Hour),
		"24 Nov 13:25 (in 25 h 1 min)":   now.Add(25*time.Hour + time.Minute),
		"22 Nov 12:23 (24 h 1 min ago)":  now.Add(-24*time.Hour - time.Minute),
		"12:14 (10 min ago)":             now.Add(-10 * time.Minute),
		"12:19 (4 min 30 s ago)":         now.Add(-270 * time.Second),
		"11:24 (1 h ago)":                now.Add(-time.Hour),
		"24 Nov 00:00 (in 11 h 36 min)":  time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC),
		"23 Nov 2025 12:24":              now.AddDate(-1, 0, 0),
		"25 Nov 00:23 (in 35 h 59 min)":  now.Add(36*time.Hour - time.Minute),
		"22 Nov 00:25 (35 h 59 min ago)": now.Add(-36*time.Hour + time.Minute),
	} {
		if got := Clock(at, now); got != want {
			t.Errorf("Clock(%v) = %q, want %q", at, got, want)
		}
	}
}
