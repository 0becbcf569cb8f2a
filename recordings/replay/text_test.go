package replay_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// textOf is the transcript of a recording, in one pass, up to where it can be read.
func textOf(t testing.TB, src interface{ Next() (session.Event, error) }) (all []terminal.Line) {
	t.Helper()
	text := terminal.NewText()
	for {
		e, err := src.Next()
		var d *recordings.Damage
		if errors.Is(err, io.EOF) || errors.As(err, &d) {
			text.Flush()
			return append(all, text.Lines()...)
		}
		if err != nil {
			t.Fatal(err)
		}
		text.Take(e)
		all = append(all, text.Lines()...)
	}
}

// program is a real program on a real terminal of 80 by 24, driven by keys: what it writes
// between two of them comes at one moment.
type program struct {
	t    *testing.T
	near *os.File
	at   int64
	tape []session.Event
}

func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	n, err := unix.IoctlGetInt(int(near.Fd()), unix.TIOCGPTN)
	if err := errors.Join(err, unix.IoctlSetPointerInt(int(near.Fd()), unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(int(near.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})); err != nil {
		t.Fatal(err)
	}
	far, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	cmd := exec.Command(name, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "LC_ALL=C.UTF-8", "HOME=" + cmd.Dir, "LESS=", "LINES=24", "COLUMNS=80"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = far, far, far, &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	for name, content := range map[string]string{
		"service.conf": "[receiver]\nlisten = 0.0.0.0:104\naet = PETCT1\n",
		"events.log":   numbered(1, 200),
	} {
		if err := os.WriteFile(filepath.Join(cmd.Dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s is not installed (make peers): %v", name, err)
	}
	late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }) // what it waits for never comes
	t.Cleanup(func() { late.Stop(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p := &program{t: t, near: near}
	p.tape = []session.Event{{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm-256color","cols":80,"rows":24}`)}}
	return p
}

func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "%03d gain drift of a block\n", i)
	}
	return b.String()
}

// keys types something two seconds later and takes what is written until it holds some
// words; none: until the program is over.
func (p *program) keys(keys, until string) {
	p.t.Helper()
	p.at += 2e6
	if _, err := p.near.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
	came, buf := "", make([]byte, 4096)
	for until == "" || !strings.Contains(came, until) {
		n, err := p.near.Read(buf)
		if n > 0 {
			p.tape = append(p.tape, session.Event{At: p.at, Kind: session.Output, Stream: 1, Data: slices.Clone(buf[:n])})
			came += string(buf[:n])
		}
		if err != nil {
			if until != "" {
				p.t.Fatalf("it is over before %q: %q", until, came)
			}
			return
		}
	}
}

func (p *program) Next() (session.Event, error) {
	if len(p.tape) == 0 {
		return session.Event{}, io.EOF
	}
	e := p.tape[0]
	p.tape = p.tape[1:]
	return e, nil
}

// lines are the texts of a transcript; those of screens are marked.
func lines(all []terminal.Line) (texts []string) {
	for _, l := range all {
		if l.Screen {
			texts = append(texts, "| "+l.Text)
		} else {
			texts = append(texts, l.Text)
		}
	}
	return texts
}

// like reports whether a line holds all pieces of a pattern, in order.
func like(l, pattern string) bool {
	pieces := strings.Split(pattern, "*")
	for i, p := range pieces {
		at := strings.Index(l, p)
		if at < 0 || i == 0 && at > 0 || len(pieces) == 1 && len(l) != len(p) {
			return false
		}
		l = l[at+len(p):]
	}
	return true
}

// inOrder wants lines to be there one after the other.
func inOrder(t *testing.T, all []string, want ...string) {
	t.Helper()
	rest := all
	for _, w := range want {
		i := slices.IndexFunc(rest, func(l string) bool { return like(l, w) })
		if i < 0 {
			t.Errorf("%q is missing, or out of order, in:\n%s", w, strings.Join(all, "\n"))
			return
		}
		rest = rest[i+1:]
	}
}

func TestScreensOfAnEditor(t *testing.T) {
	p := start(t, "sh", "-c", "echo before; vi -u NONE -i NONE -n service.conf; echo after")
	p.keys("", "PETCT1")
	p.keys("Gotimeout = 30\x1b:echo 600*70\r", "42000")
	p.keys("\x0c", "timeout = 30")
	p.keys(":q!\r", "")
	got := lines(textOf(t, p))
	inOrder(t, got, "before", "| [receiver]", "| listen = 0.0.0.0:104", "| aet = PETCT1", "| timeout = 30", "after")
	for _, l := range got {
		if len([]rune(l)) > 82 || strings.Contains(l, "[receiver]") && strings.Contains(l, "listen") {
			t.Errorf("no row: %q", l)
		}
	}
}

func TestScreensOfAPager(t *testing.T) {
	p := start(t, "sh", "-c", "less events.log; seq 3")
	p.keys("", "events.log")
	p.keys(" ", "046 gain")
	p.keys("/150 gain\r", "172 gain")
	p.keys("q", "")
	got := lines(textOf(t, p))
	var want []string
	for _, stretch := range [][2]int{{1, 46}, {150, 172}} {
		for i := stretch[0]; i <= stretch[1]; i++ {
			want = append(want, fmt.Sprintf("| %03d gain drift of a block", i))
		}
	}
	inOrder(t, got, append(want, "1", "2", "3")...)
	if i := slices.Index(got, "| 100 gain drift of a block"); i >= 0 {
		t.Error("it has what was never shown")
	}
	if len(got) > len(want)+20 {
		t.Errorf("%d lines of %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
}

func TestScreensOfAMonitor(t *testing.T) {
	p := start(t, "sh", "-c", "echo before; top -d 1 -n 2; echo after")
	begun := time.Now()
	buf := make([]byte, 4096)
	for {
		n, err := p.near.Read(buf)
		if n > 0 {
			p.tape = append(p.tape, session.Event{At: time.Since(begun).Microseconds(), Kind: session.Output, Stream: 1, Data: slices.Clone(buf[:n])})
		}
		if err != nil {
			break
		}
	}
	inOrder(t, lines(textOf(t, p)), "before", "| top - *", "| Tasks: *", "| %Cpu(s):*", "| MiB Mem *", "|*PID USER *", "| top - *", "*after")
}

// scenes are segments of which each begins with what stood.
type scenes []recordings.Scene

func (s scenes) Scene(n uint32) (recordings.Scene, error) {
	if int(n) >= len(s) {
		return recordings.Scene{}, io.EOF
	}
	return s[n], nil
}

// filmed is a terminal that prints so many lines, some bytes at a time, cut into segments.
func filmed(count, each int, complete bool) scenes {
	var all scenes
	written := ""
	out := func(text string) session.Event {
		written += text
		return session.Event{At: int64(len(written)), Kind: session.Output, Stream: 1, Data: []byte(text)}
	}
	rest := ""
	for i := range count {
		rest += fmt.Sprintf("line %05d\r\n", i)
	}
	for n := uint32(0); rest != ""; n++ {
		s := recordings.Scene{Standing: recordings.Standing{Segment: n, Complete: n == 0 || complete}, From: int64(len(written))}
		if n == 0 {
			s.Events = append(s.Events, session.Event{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm","cols":80,"rows":24}`)})
		} else if complete {
			stood := strings.Split(written, "\r\n")
			draw := "\x1b[H" + strings.Join(stood[max(0, len(stood)-24):], "\r\n")
			s.Snapshots = []session.Snapshot{{Stream: 1, Kind: session.TerminalSnapshot, Data: session.Screen{Cols: 80, Rows: 24, Draw: []byte(draw)}.Bytes()}}
		}
		piece := rest[:min(each, len(rest))]
		rest = rest[len(piece):]
		for ; piece != ""; piece = piece[min(5, len(piece)):] {
			s.Events = append(s.Events, out(piece[:min(5, len(piece))]))
		}
		s.To = int64(len(written))
		all = append(all, s)
	}
	return all
}

// Stretch by stretch a transcript is the same as in one pass, whatever is cut where.
func TestStretchesAreTheWhole(t *testing.T) {
	const count = 3000
	film := filmed(count, 97, true)
	var got []string
	stretches := 0
	for from := uint32(0); ; stretches++ {
		x, err := replay.ReadText(film, replay.Stretch{From: from, Segments: uint32(len(film)), Over: true})
		if err != nil || x.Next <= from {
			t.Fatalf("from %d: %+v, %v", from, x.Next, err)
		}
		got = append(got, lines(x.Lines)...)
		if from = x.Next; x.Whole {
			break
		}
	}
	if stretches < 4 || len(got) != count {
		t.Fatalf("%d lines in %d stretches", len(got), stretches)
	}
	for i, l := range got {
		if l != fmt.Sprintf("line %05d", i) {
			t.Fatalf("line %d is %q", i, l)
		}
	}
}

// Where nothing is known of what stood, lines may be cut, and nothing is lost; a stretch
// still ends.
func TestStretchesWithoutPictures(t *testing.T) {
	film := filmed(3000, 97, false)
	text := ""
	for from, n := uint32(0), 0; ; n++ {
		x, err := replay.ReadText(film, replay.Stretch{From: from, Segments: uint32(len(film)), Over: true})
		if err != nil || n > 10 {
			t.Fatal(n, err)
		}
		text += strings.Join(lines(x.Lines), "")
		if from = x.Next; x.Whole {
			break
		}
	}
	if strings.Count(text, "line ") != 3000 {
		t.Errorf("%d lines", strings.Count(text, "line "))
	}
}

// Binary bulk to no terminal is left out and said once; text is all there.
func TestBulkThatIsNoText(t *testing.T) {
	p := &program{t: t, tape: []session.Event{{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"exec","command":"tar c /"}`)}}}
	for range 50 {
		p.tape = append(p.tape, session.Event{Kind: session.Output, Stream: 1, Data: []byte("etc/passwd\x00\x00\x00\x01")})
	}
	p.tape = append(p.tape, session.Event{Kind: session.ErrorOutput, Stream: 1, Data: []byte("tar: Removing leading `/'\n")})
	got := textOf(t, p)
	if len(got) != 2 || !got[0].Cut || got[1].Text != "tar: Removing leading `/'" {
		t.Errorf("%+v", got)
	}
}

// Eight hours of a monitor, and a screen that is drawn over and over to make much of
// little, are read in time and room.
func TestLongAndHostileScreens(t *testing.T) {
	text := terminal.NewText()
	text.Take(session.Event{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm","cols":1000,"rows":120}`)})
	size, came := 0, 0
	row := strings.Repeat("x", 999)
	fill := "\x1b[H" + strings.Repeat(row+"\r\n", 119) + row
	text.Take(session.Event{Kind: session.Output, Stream: 1, Data: []byte(fill)})
	for i := range 300 {
		data := fmt.Sprintf("\x1b[%d;1H%c\x1b[1;1H\x1b[120;1000H\x1b[J\x1bc\x1b[?1049h\x1b[?1049l", 1+i%120, 'a'+i%26)
		came += len(data)
		text.Take(session.Event{At: int64(i), Kind: session.Output, Stream: 1, Data: []byte(data)})
		for _, l := range text.Lines() {
			size += len(l.Text)
		}
	}
	if size > 16*(came+len(fill))+512<<10 {
		t.Errorf("%d bytes of transcript of %d", size, came)
	}
}
