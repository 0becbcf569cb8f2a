package cast_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/session"
)

// tape is a recording in memory.
type tape []session.Event

func (t *tape) Header() recordings.Header {
	return recordings.Header{Asset: "NGH-PETCT1", Service: "recon-ssh", Started: time.Unix(1_790_000_000, 0).UTC()}
}

func (t *tape) Next() (session.Event, error) {
	if len(*t) == 0 {
		return session.Event{}, io.EOF
	}
	e := (*t)[0]
	*t = (*t)[1:]
	return e, nil
}

func opened(stream uint32, c string) session.Event {
	return session.Event{Kind: session.ChannelOpened, Stream: stream, Data: []byte(c)}
}

func out(at int64, stream uint32, data string) session.Event {
	return session.Event{At: at, Kind: session.Output, Stream: stream, Data: []byte(data)}
}

const shell = `{"type":"shell","term":"xterm-256color","cols":120,"rows":40}`

// write writes a cast and takes it apart again as strictly as a player.
func write(t *testing.T, o cast.Options, events ...session.Event) (head map[string]any, lines []string, all string) {
	t.Helper()
	var b bytes.Buffer
	source := tape(events)
	if err := cast.Write(&b, &source, o); err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(&b)
	if !scan.Scan() {
		t.Fatal("nothing was written")
	}
	if err := json.Unmarshal(scan.Bytes(), &head); err != nil {
		t.Fatal(err)
	}
	for scan.Scan() {
		var row []any
		if err := json.Unmarshal(scan.Bytes(), &row); err != nil || len(row) != 3 {
			t.Fatalf("line %q: %v", scan.Text(), err)
		}
		lines = append(lines, scan.Text())
		if row[1] == "o" {
			all += row[2].(string)
		}
	}
	return head, lines, all
}

func TestAShellBecomesACast(t *testing.T) {
	head, lines, all := write(t, cast.Options{},
		session.Event{Kind: session.Marker, Data: []byte(`{"text":"before"}`)},
		opened(3, `{"type":"files-out"}`), out(1, 3, "not a terminal"),
		opened(1, shell), out(1_500_000, 1, "recon> "), out(1_600_000, 2, "another channel"),
		session.Event{At: 2_000_001, Kind: session.Resize, Stream: 1, Data: []byte(`{"cols":90,"rows":30}`)},
		session.Event{At: 2_000_002, Kind: session.Input, Stream: 1},
		session.Event{At: 3_000_000, Kind: session.Marker, Data: []byte(`{"text":"5 minutes left"}`)},
		session.Event{At: 3_661_000_000, Kind: session.ErrorOutput, Stream: 1, Data: []byte("\x1b[1mbye\x1b[0m\r\n\"<>&\u2028")})
	if head["version"] != 2.0 || head["width"] != 120.0 || head["height"] != 40.0 || head["title"] != "NGH-PETCT1/recon-ssh" ||
		head["timestamp"] != 1_790_000_000.0 || fmt.Sprint(head["env"]) != "map[TERM:xterm-256color]" {
		t.Fatalf("head %v", head)
	}
	if all != "recon> \x1b[1mbye\x1b[0m\r\n\"<>&\u2028" {
		t.Fatalf("output %q", all)
	}
	want := []string{`[1.500000, "o", "recon> "]`, `[2.000001, "r", "90x30"]`, `[3.000000, "m", "5 minutes left"]`}
	for i, w := range want {
		if lines[i] != w {
			t.Errorf("line %d is %s, not %s", i, lines[i], w)
		}
	}
	if !strings.HasPrefix(lines[3], "[3661.000000,") {
		t.Errorf("an hour later: %s", lines[3])
	}
}

func TestTypedInputIsWrittenOnlyWhenAsked(t *testing.T) {
	events := []session.Event{opened(1, shell), {At: 5, Kind: session.Input, Stream: 1, Data: []byte("hunter2\r")}}
	_, lines, _ := write(t, cast.Options{}, events...)
	if len(lines) != 0 {
		t.Fatalf("not asked for: %v", lines)
	}
	_, lines, _ = write(t, cast.Options{Input: true}, events...)
	if len(lines) != 1 || lines[0] != `[0.000005, "i", "hunter2\r"]` {
		t.Fatalf("asked for: %v", lines)
	}
}

// However the device cuts its output, the viewer reads the same characters.
func TestSplitCharactersAreCarried(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		whole := rapid.StringOf(rapid.SampledFrom([]rune("aé€😀\n漢\x00"))).Draw(rt, "text")
		events := []session.Event{opened(1, shell)}
		for rest := []byte(whole); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "cut")
			events = append(events, out(0, 1, string(rest[:n])))
			rest = rest[n:]
		}
		if _, _, all := write(t, cast.Options{}, events...); all != whole {
			rt.Fatalf("%q became %q", whole, all)
		}
	})
}

func TestWhatIsNoTextIsReplacedAndNothingIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		events := []session.Event{opened(1, shell)}
		var raw []byte
		for _, b := range rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 9)).Draw(rt, "chunks") {
			events, raw = append(events, out(0, 1, string(b))), append(raw, b...)
		}
		_, _, all := write(t, cast.Options{}, events...)
		if !utf8.ValidString(all) {
			rt.Fatalf("%q is not UTF-8", all)
		}
		ascii := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r < 0x80 {
					return r
				}
				return -1
			}, s)
		}
		if ascii(all) != ascii(string(raw)) {
			rt.Fatalf("%q became %q", raw, all)
		}
	})
	if _, _, all := write(t, cast.Options{}, opened(1, shell), out(1, 1, "ok \xe2\x82")); all != "ok \uFFFD\uFFFD" {
		t.Fatalf("a character cut off by the end: %q", all)
	}
}

func TestACommandWithoutTerminalGetsCarriageReturns(t *testing.T) {
	head, _, all := write(t, cast.Options{}, opened(1, `{"type":"exec","command":"swversion"}`), out(1, 1, "a\nb\r"), out(2, 1, "\nc\n"))
	if all != "a\r\nb\r\nc\r\n" || head["title"] != "NGH-PETCT1/recon-ssh: swversion" || head["width"] != 80.0 {
		t.Fatalf("%q, %v", all, head)
	}
	_, _, all = write(t, cast.Options{Stream: 2}, opened(1, shell), out(1, 1, "one"), opened(2, shell), out(2, 2, "two"))
	if all != "two" {
		t.Fatalf("channel 2 shows %q", all)
	}
}

func TestRefusals(t *testing.T) {
	none := tape{opened(1, `{"type":"files-in"}`)}
	if err := cast.Write(io.Discard, &none, cast.Options{}); session.KindOf(err) != session.Refused {
		t.Errorf("no terminal: %v", err)
	}
	one := tape{opened(1, shell)}
	if err := cast.Write(io.Discard, &one, cast.Options{Format: "gif"}); session.KindOf(err) != session.Invalid {
		t.Errorf("unknown format: %v", err)
	}
	for _, bad := range []session.Event{opened(1, "{"), {Kind: session.Resize, Stream: 1, Data: []byte("90x30")}, {Kind: session.Marker, Data: []byte("hi")}} {
		broken := tape{opened(1, shell), bad}
		if bad.Kind == session.ChannelOpened {
			broken = broken[1:]
		}
		if err := cast.Write(io.Discard, &broken, cast.Options{}); err == nil {
			t.Errorf("%c %q was taken", bad.Kind, bad.Data)
		}
	}
}

// The real player of Debian 12 must show what the device sent, byte for byte.
func TestDebiansAsciinemaShowsIt(t *testing.T) {
	player, err := exec.LookPath("asciinema")
	if err != nil {
		t.Fatalf("asciinema is not installed (apt-get install asciinema): %v", err)
	}
	var b bytes.Buffer
	source := tape{
		opened(1, shell), out(100_000, 1, "recon> evlog\r\n\xe2"), out(200_000, 1, "\x82\xac 12 \xf0\x9f"), out(300_000, 1, "\x98\x80\r\n"),
		{At: 350_000, Kind: session.Resize, Stream: 1, Data: []byte(`{"cols":100,"rows":30}`)},
		{At: 360_000, Kind: session.Marker, Data: []byte(`{"text":"1 minute left"}`)},
		{At: 370_000, Kind: session.Input, Stream: 1, Data: []byte("x")},
		out(400_000, 1, "\x1b[31mred\x1b[0m bad \xff byte, \xe9\xe8\xfc three\r\n"),
	}
	if err := cast.Write(&b, &source, cast.Options{Input: true}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "session.cast")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(player, "cat", file)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+t.TempDir())
	terminal := openTerminal(t) // it wants a controlling terminal, for its keys
	cmd.Stdin, cmd.SysProcAttr = terminal, &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	shown, err := cmd.Output()
	if err != nil {
		t.Fatalf("asciinema cat: %v: %s", err, stderr.String())
	}
	if want := "recon> evlog\r\n€ 12 😀\r\n\x1b[31mred\x1b[0m bad \uFFFD byte, \uFFFD\uFFFD\uFFFD three\r\n"; string(shown) != want {
		t.Fatalf("asciinema shows %q, not %q", shown, want)
	}
}

// openTerminal is the far end of a fresh pseudo-terminal.
func openTerminal(t *testing.T) *os.File {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if err := unix.IoctlSetPointerInt(int(near.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(near.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	far, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return far
}
