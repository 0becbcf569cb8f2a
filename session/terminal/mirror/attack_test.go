package mirror

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// attack is what a hostile device sends to keep whoever draws it busy.
type attack struct {
	name, first, again string
}

func attacks() []attack {
	const alternate, bottom, coloured = "\x1b[?1049h", "\x1b[9999;9999H", "\x1b[48;2;9;8;7m"
	all := []attack{
		{"newlines at the bottom of the alternate screen", alternate + bottom, "\n"},
		{"coloured newlines at the bottom of the alternate screen", alternate + coloured + bottom, "\n"},
		{"newlines at the bottom", bottom, "\n"},
		{"coloured newlines at the bottom", coloured + bottom, "\n"},
		{"newlines in a scroll region", "\x1b[2;9998r" + coloured + bottom, "\n"},
		{"full lines at the bottom", bottom, "0123456789"},
		{"coloured text at the bottom", bottom, "\x1b[3%dmcolour\x1b[4%dm\r\n"},
		{"newlines within a sequence", alternate + coloured + bottom, "\x1b[\n\n\n\nm"},
		{"raw index", alternate + coloured + bottom, "\x84"},
		{"reverse index", alternate + coloured, "\x1bM"},
		{"scroll by 2^31", coloured, "\x1b[2147483647S"},
		{"scroll down by 2^31", coloured, "\x1b[2147483647T"},
		{"scroll by one", coloured, "\x1b[S"},
		{"insert lines", coloured, "\x1b[L"},
		{"insert all lines", coloured, "\x1b[9999L"},
		{"delete lines", coloured, "\x1b[M"},
		{"insert and delete lines", coloured, "\x1b[999L\x1b[999M"},
		{"insert characters", coloured + "\x1b[H", "\x1b[@"},
		{"delete characters", coloured + "\x1b[2K\x1b[H", "\x1b[P"},
		{"insert mode", coloured + "\x1b[4h\x1b[2K", "\rx"},
		{"repeat 2^31", "x", "\x1b[2147483647b"},
		{"repeat a line", "x", "\x1b[80b"},
		{"erase the screen", coloured, "\x1b[2J"},
		{"erase and write", coloured, "\x1b[2Jx"},
		{"erase below", coloured, "\x1b[J"},
		{"erase above", coloured + bottom, "\x1b[1J"},
		{"erase lines", coloured, "\x1b[2K"},
		{"erase by 2^31", coloured, "\x1b[2147483647X"},
		{"far to the right", "", "\x1b[2K\x1b[999Gx"},
		{"the other screen and back", coloured, alternate + "\x1b[?1049l"},
		{"many other screens in one", coloured, "\x1b[?1049;1047;47;1049;1047;47h\x1b[?47;1047;1049l"},
		{"resets", coloured, "\x1bc"},
		{"soft resets", coloured, "\x1b[!p"},
		{"wide characters", bottom, "日本"},
		{"combining characters", "x", "\u0301\u036b"},
		{"joined characters", "x", "👨\u200d"},
		{"joiners alone", "x", "\u200d"},
		{"broken letters", "x", "\xf0\x9f"},
		{"commands to nobody", "\x1b]2;", "x"},
		{"short titles", "", "\x1b]2;t\x07"},
		{"strings that never end", "", "\x1bP1$r"},
		{"short strings", "", "\x1bPq\x1b\\"},
		{"links", "", "\x1b]8;;http://x/\x07x"},
		{"colours asked for", "", "\x1b]11;?\x07"},
		{"colours set", "", "\x1b]4;1;rgb:ff/ff/ff\x07"},
		{"queries", "", "\x1b[c"},
		{"where is the cursor", "", "\x1b[6n"},
		{"modes asked for", "", "\x1b[?25$p"},
		{"new modes", "", "\x1b[?%dh"},
		{"many modes", "", "\x1b[?1;2;3;4;5;6;7;8;9;1;2;3;4;5;6;7;8;9h"},
		{"many colours", "", "\x1b[38;5;1;48;5;2;38;2;1;2;3;48;2;1;2;3;58;2;1;2;3m"},
		{"cursor saved", "", "\x1b7\x1b8"},
		{"margins", "", "\x1b[2;5r"},
		{"tab stops", "", "\x1bH\x1b[C"},
		{"tabs", "\x1b[3g", "\t\r"},
		{"tabs by 2^31", "\x1b[3g", "\x1b[2147483647I\x1b[2147483647Z"},
		{"a sequence without an end", "\x1b[", "1;"},
		{"nothing", "", "\x00"},
		{"escapes", "", "\x1b"},
		{"everything", coloured, string(soup(rand.New(rand.NewPCG(7, 7)), 4<<10))},
	}
	return all
}

// bytes are 64 KiB of it.
func (a attack) bytes() []byte { return a.some(64 << 10) }

func (a attack) some(n int) []byte {
	b := bytes.NewBufferString(a.first)
	for i := 0; b.Len() < n; i++ {
		if n := strings.Count(a.again, "%d"); n > 0 && strings.Count(a.again, "%") == n {
			fmt.Fprintf(b, a.again, slices.Repeat([]any{i % 8000}, n)...)
		} else {
			b.WriteString(a.again)
		}
	}
	return b.Bytes()
}

// spent is the processor's time that this process has had.
func spent(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// 64 KiB of the worst that a device can send cost 50 ms of a processor, whatever its
// terminal's size.
func TestNoOutputCostsMoreThanItsLength(t *testing.T) {
	bound, sizes := 2*time.Second, [][2]int{{1000, 131}} // of a processor; also beside the race detector
	if os.Getenv("SALLYPORT_PROVE") != "" {
		bound, sizes = 50*time.Millisecond, append(sizes, [][2]int{{80, 24}, {200, 60}, {131, 1000}, {1, 1000}, {2, 1000}}...)
	}
	var worst time.Duration
	var where string
	for _, a := range attacks() {
		for _, size := range sizes {
			m, all := New(size[0], size[1]), a.bytes()
			begun := spent(t)
			for b := range slices.Chunk(all, 512) {
				m.Write(b)
			}
			took := spent(t) - begun
			if took > worst {
				worst, where = took, fmt.Sprintf("%s, %v", a.name, size)
			}
			if most := burst + earned*len(all); m.done > most || took > bound {
				t.Errorf("%s, %v: %d cells of %d, %v", a.name, size, m.done, most, took)
			}
		}
	}
	t.Logf("ATTACK | a device's 64 KiB that keep whoever draws a terminal busy (%d kinds) | %v of a processor | %v (%s) | holds", len(attacks()), bound, worst.Round(time.Millisecond), where)
}

// What is left out is said, whoever looks; what comes once enough was earned is shown,
// and keys go on to send what the device asked for.
func TestALostPictureSaysSoAndGoesOn(t *testing.T) {
	for _, screen := range []string{"", "\x1b[?1049h"} {
		m := New(80, 24)
		m.Write([]byte(screen + "\x1b[?2004h\x1b[?1hhere stood something\x1b[24;1H" + strings.Repeat("\rx\x1b[80b", 1<<13)))
		for range 2 {
			_, _, data := m.Snapshot()
			for _, want := range []string{lost, "\x1b[?2004h", "\x1b[?1h"} {
				if !m.behind || bytes.Contains(data, []byte("stood something")) || !bytes.Contains(data, []byte(want)) {
					t.Fatalf("behind %v, a snapshot without %q: %q", m.behind, want, data)
				}
			}
			m.Resize(90, 30)
		}
		m.Write([]byte(strings.Repeat(".\b", burst/earned) + "\r\n\x1b[9;1Hand now this"))
		_, _, data := m.Snapshot()
		if m.behind || !bytes.Contains(data, []byte("and now this")) || !bytes.Contains(data, []byte("\x1b[?2004h")) || m.screen != len(screen)/8 {
			t.Fatalf("behind %v: %q", m.behind, data)
		}
		same(t, "goes on", m, copied(m))
	}
}

// What is shown does not depend on the pieces in which it came: a replay draws what the
// agent drew.
func TestPiecesMakeNoDifference(t *testing.T) {
	for _, a := range attacks() {
		all := a.some(4 << 10)
		whole, cut := New(300, 40), New(300, 40)
		whole.credit, cut.credit = 0, 0
		whole.Write(all)
		for b := range slices.Chunk(all, 61) {
			cut.Write(b)
		}
		_, _, x := whole.Snapshot()
		_, _, y := cut.Snapshot()
		if !bytes.Equal(x, y) || whole.budget != cut.budget {
			t.Errorf("%s: %+v, in pieces %+v", a.name, whole.budget, cut.budget)
		}
	}
}

// Floods that people make are drawn.
func TestAColouredFloodIsDrawn(t *testing.T) {
	m := New(200, 60)
	m.Write([]byte(strings.Repeat("\x1b[1;32mok\x1b[0m \x1b[44m a line as a build writes it \x1b[K\x1b[m\r\n", 20000)))
	if m.behind {
		t.Error("left out")
	}
}

func FuzzWork(f *testing.F) {
	for _, a := range attacks() {
		f.Add(a.first, a.again, uint16(80), uint16(24))
	}
	f.Fuzz(func(t *testing.T, first, again string, cols, rows uint16) {
		m := New(int(cols%1000), int(rows%131))
		all := attack{first: first, again: again + " "}.some(8 << 10)
		m.Write(all)
		if m.done > burst+earned*len(all) {
			t.Errorf("%d cells for %d bytes", m.done, len(all))
		}
		if _, _, data := m.Snapshot(); len(data) == 0 {
			t.Error("no snapshot")
		}
	})
}
