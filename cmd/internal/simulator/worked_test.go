package simulator

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the worked session anew")

// A worked session at the simulator's shell, from which tests of terminals and of the web
// application make recordings: service commands, and what full-screen programs draw. It is
// made anew here each time, so nothing of it comes from anybody's machine.
func TestWorkedSession(t *testing.T) {
	r := launch(t)
	for name, draws := range map[string]func(*canvasText){"pager": pager, "editor": editor, "monitor": monitor, "panes": panes} {
		c := &canvasText{r: rand.New(rand.NewPCG(11, uint64(len(name))))}
		draws(c)
		if err := os.WriteFile(filepath.Join(r.dir, "state", "home", name), c.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k := r.terminal()
	w := &worked{r: rand.New(rand.NewPCG(1, 9)), k: k}
	w.out(prompt)
	for _, line := range []string{"help", "ls", "swversion", "evlog -n 150", "tubestat", "cat pager", "coolstat", "cat editor", "dettemp", "cat monitor"} {
		w.types(line)
	}
	for _, size := range [][2]int{{100, 30}, {60, 20}, {80, 24}} {
		w.line("r", size) // the shell itself is not told: when it draws its line anew is no certain moment
		w.types("cat panes")
	}
	for _, line := range []string{"evlog -n 40", "dbstat", "cat monitor", "clear", "swversion"} {
		w.types(line)
	}
	const file = "../../../session/terminal/mirror/testdata/session.jsonl"
	if *update {
		if err := os.WriteFile(file, w.lines.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || !bytes.Equal(want, w.lines.Bytes()) {
		t.Errorf("the tests of terminals work in another session (%v): run go test ./cmd/internal/simulator -run TestWorkedSession -update, then go test ./session/terminal/mirror -update", err)
	}
}

// worked is what came out of a shell, in pieces of any length, one a line.
type worked struct {
	r     *rand.Rand
	k     *keyboard
	lines bytes.Buffer
}

func (w *worked) types(line string) {
	w.k.t.Helper()
	w.k.types(line + "\r")
	w.out(w.k.expect(prompt) + prompt)
}

func (w *worked) out(s string) {
	for len(s) > 0 {
		n := min(len(s), 50+w.r.IntN(800))
		latin := make([]rune, n) // a byte a character
		for i := range n {
			latin[i] = rune(s[i])
		}
		w.line("o", string(latin))
		s = s[n:]
	}
}

func (w *worked) line(kind string, data any) {
	b, err := json.Marshal([]any{kind, data})
	if err != nil {
		w.k.t.Fatal(err)
	}
	w.lines.Write(append(b, '\n'))
}

// canvasText is what a program writes to a terminal of 80 by 24, or any other.
type canvasText struct {
	bytes.Buffer
	r      *rand.Rand
	narrow bool // nothing takes two columns: of one that is half written over terminals leave this or that
}

func (c *canvasText) print(format string, a ...any) { fmt.Fprintf(c, format, a...) }

func (c *canvasText) words(n int) string {
	all := strings.Fields("detector block gain drift chiller flow tube arc helium level rotor warm-up calibration normal within limits température größe 温度 线圈 ✓")
	if c.narrow {
		all = slices.DeleteFunc(all, func(w string) bool { return w == "温度" || w == "线圈" })
	}
	var out []string
	for range n {
		out = append(out, all[c.r.IntN(len(all))])
	}
	return strings.Join(out, " ")
}

func (c *canvasText) colour() string {
	switch c.r.IntN(4) {
	case 0:
		return fmt.Sprintf("\x1b[%d;%dm", c.r.IntN(2), 31+c.r.IntN(6))
	case 1:
		return fmt.Sprintf("\x1b[38;5;%dm", c.r.IntN(256))
	case 2:
		return fmt.Sprintf("\x1b[48;2;%d;%d;%dm", c.r.IntN(256), c.r.IntN(256), c.r.IntN(256))
	}
	return "\x1b[7m"
}

// pager looks through a text, line by line forth and back.
func pager(c *canvasText) {
	c.print("\x1b[?1049h\x1b[?1h\x1b=\x1b[H\x1b[2J")
	for n := range 23 {
		c.print("%4d  %s%s\x1b[0m\r\n", n, c.colour(), c.words(5))
	}
	for n := range 160 {
		if c.r.IntN(3) == 0 {
			c.print("\x1b[H\x1bM%4d  %s\x1b[24;1H\x1b[K\x1b[7m:%d\x1b[27m", n, c.words(6), n)
		} else {
			c.print("\r\x1b[K%4d  %s%s\x1b[0m\r\n\x1b[7m:%d\x1b[27m", n, c.colour(), c.words(6), n)
		}
	}
	c.print("\r\x1b[K\x1b[?1l\x1b>\x1b[?1049l")
}

// editor writes into a text with a line below that says where.
func editor(c *canvasText) {
	c.narrow = true
	c.print("\x1b[?1049h\x1b[1;24r\x1b[H\x1b[2J")
	for n := range 22 {
		c.print("\x1b[%d;1H\x1b[94m~\x1b[0m %s", n+1, c.words(4))
	}
	for n := range 300 {
		row, col := 1+c.r.IntN(22), 1+c.r.IntN(60)
		c.print("\x1b[?25l\x1b[%d;%dH", row, col)
		switch c.r.IntN(7) {
		case 0:
			c.print("\x1b[L%s%s\x1b[0m", c.colour(), c.words(3))
		case 1:
			c.print("\x1b[M")
		case 2:
			c.print("\x1b[%d@%s", 1+c.r.IntN(5), "abc")
		case 3:
			c.print("\x1b[%dP", 1+c.r.IntN(8))
		case 4:
			c.print("\x1b[%dX", 1+c.r.IntN(9))
		case 5:
			top := 1 + c.r.IntN(10)
			c.print("\x1b[%d;%dr\x1b[%d;1H\n\x1b[%d;1H\x1bM\x1b[1;24r", top, top+8, top+8, top)
		default:
			c.print("%s%s\x1b[0m\x1b[K", c.colour(), c.words(2))
		}
		c.print("\x1b[24;1H\x1b[1m-- INSERT --\x1b[0m\x1b[24;63H%d,%d\x1b[K\x1b[%d;%dH\x1b[?25h", n, col, row, col)
	}
	c.print("\x1b[24;1H\x1b[K\x1b[?1049l")
}

// monitor tells values again and again, on the screen that is there.
func monitor(c *canvasText) {
	c.print("\x1b[H\x1b[2J")
	for n := range 24 {
		c.print("\x1b[H\x1b[1mRECON 7.4\x1b(B\x1b[m  up %d:%02d, load %.2f\x1b[K\r\n\x1b[K\r\n\x1b[7m  BLOCK  TEMP  GAIN  STATE\x1b[0m\x1b[K\r\n", n/60, n%60, c.r.Float64())
		for block := range 16 {
			c.print("%s%7d %5.1f %5.2f  %s\x1b[0m\x1b[K\r\n", c.colour(), block, 25+10*c.r.Float64(), c.r.Float64(), c.words(2))
		}
		c.print("\x1b[J")
	}
}

// panes are two texts beside each other, each of which scrolls, with a line between.
func panes(c *canvasText) {
	c.narrow = true
	c.print("\x1b[?1049h\x1b[H\x1b[2J\x1b(0")
	for row := range 19 {
		c.print("\x1b[%d;30Hx", row+1)
	}
	c.print("\x1b(B")
	for n := range 60 {
		c.print("\x1b7\x1b[%d;1H%s%-28.28s\x1b[0m\x1b8", 1+n%18, c.colour(), "left "+strings.Repeat("=", c.r.IntN(20)))
		c.print("\x1b[%d;32H%s\x1b[K", 1+c.r.IntN(18), c.words(2))
	}
	c.print("\x1b[2;18r\x1b[18;1H\r\n\r\n\r\n\x1b[r\x1b[20;1H\x1b[30;42m[cap] 0:shell* \x1b[0m\x1b[K\x1b[?1049l")
}
