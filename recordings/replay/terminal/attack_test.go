package terminal

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// read is a transcript of one terminal that was sent this, and what it cost in work.
func read(cols, rows int, output string) (lines []Line, done int) {
	t := NewText()
	t.Take(session.Event{Kind: session.ChannelOpened, Stream: 1, Data: fmt.Appendf(nil, `{"type":"shell","term":"xterm","cols":%d,"rows":%d}`, cols, rows)})
	for at := int64(0); len(output) > 0; at++ {
		n := min(len(output), 4<<10)
		t.Take(session.Event{Kind: session.Output, Stream: 1, At: at, Data: []byte(output[:n])})
		output = output[n:]
	}
	done = t.open[source{1, session.Output}].done
	t.Flush()
	return t.Lines(), done
}

func spent(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func attacks() map[string]string {
	const alternate, bottom = "\x1b[?1049h", "\x1b[9999;9999H"
	return map[string]string{
		"newlines at the bottom": bottom + strings.Repeat("\n", 64<<10), "newlines on the alternate screen": alternate + bottom + strings.Repeat("\n", 64<<10),
		"scroll by 2^31": strings.Repeat("\x1b[2147483647S", 5000), "scroll": strings.Repeat("\x1b[S", 21000), "scroll down": strings.Repeat("\x1b[999T", 9000),
		"insert lines": strings.Repeat("\x1b[999L", 9000), "delete lines": strings.Repeat("\x1b[999M", 9000), "reverse": strings.Repeat("\x1bM", 32<<10),
		"erase": strings.Repeat("\x1b[2J", 16<<10), "erase and write": strings.Repeat("\x1b[2Jx", 13000), "erase below": strings.Repeat("\x1b[J", 21000),
		"erase after much": strings.Repeat("x", 60000) + strings.Repeat("\x1b[J\x1b[H", 9000), "other screens": strings.Repeat("x\x1b[?1049h\x1b[?1049l", 3800),
		"many other screens": strings.Repeat("\x1b[?1049;47;1047h\x1b[?47;1049l", 2300), "resets": strings.Repeat("\x1bc", 32<<10), "resets and text": strings.Repeat("\x1bcx", 22000),
		"repeat": "x" + strings.Repeat("\x1b[2147483647b", 5000), "insert": strings.Repeat("\x1b[@", 21000), "delete": strings.Repeat("x\x1b[H\x1b[P", 9000),
		"cursor": strings.Repeat("\x1b8", 32<<10), "narrow wraps": bottom + strings.Repeat("日", 21000), "far to the right": strings.Repeat("\x1b[2K\x1b[999Gx", 5500),
	}
}

// A transcript of 64 KiB of the worst that a device can send costs 50 ms of a processor.
func TestNoTranscriptCostsMoreThanItsLength(t *testing.T) {
	bound, sizes := 2*time.Second, [][2]int{{1000, 131}} // of a processor; also beside the race detector
	if os.Getenv("SALLYPORT_PROVE") != "" {
		bound, sizes = 50*time.Millisecond, append(sizes, [2]int{80, 24}, [2]int{131, 1000}, [2]int{1, 1000})
	}
	var worst time.Duration
	var where string
	for name, output := range attacks() {
		for _, size := range sizes {
			begun := spent(t)
			_, done := read(size[0], size[1], output)
			took := spent(t) - begun
			if took > worst {
				worst, where = took, name
			}
			if most := mostSaved + workFor*len(output); done > most || took > bound {
				t.Errorf("%s, %v: %d of %d, %v", name, size, done, most, took)
			}
		}
	}
	t.Logf("ATTACK | a device's 64 KiB that keep whoever reads a transcript busy (%d kinds) | %v of a processor | %v (%s) | holds", len(attacks()), bound, worst.Round(time.Millisecond), where)
}

// A terminal that has lost its screen says so, once, and is read on line by line.
func TestALostScreenIsReadLineByLine(t *testing.T) {
	lines, _ := read(1000, 131, strings.Repeat("x\x1b[2J", 9000)+"\r\nand what follows\r\n")
	cuts, last := 0, lines[len(lines)-1]
	for _, l := range lines {
		if l.Cut {
			cuts++
		}
	}
	if cuts != 1 || last.Text != "and what follows" {
		t.Errorf("%d cuts, at last %+v", cuts, last)
	}
}

func FuzzTranscriptWork(f *testing.F) {
	for _, output := range attacks() {
		f.Add(output[:100], uint16(80), uint16(24))
	}
	f.Fuzz(func(t *testing.T, text string, cols, rows uint16) {
		output := strings.Repeat(text+" ", 1+(4<<10)/(len(text)+1))
		if _, done := read(1+int(cols%1000), 1+int(rows%131), output); done > mostSaved+workFor*len(output) {
			t.Errorf("%d for %d bytes", done, len(output))
		}
	})
}
