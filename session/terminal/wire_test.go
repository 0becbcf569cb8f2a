package terminal

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOldSCP(t *testing.T) {
	for command, want := range map[string]bool{
		"scp -t /tmp": true, "scp -f x": true, "/usr/bin/scp -v -r -p -t -- .": true, "scp -rt x": true, "scp -pf -- x": true,
		"scp": false, "": false, "scp x y": false, "scp -r x -t": false, "scp -- -t": false, "id": false, "myscp -t x": false,
		"sh -c 'scp -t x'": false,
	} {
		if got := oldSCP(command); got != want {
			t.Errorf("%q: %v", command, got)
		}
	}
}

func TestParseExit(t *testing.T) {
	signal := ssh.Marshal(struct {
		Name string
		Core bool
		Text string
		Lang string
	}{"KILL", true, "\x1b]0;x\x07", "en"})
	x, err := parseExit("exit-signal", signal)
	if err != nil || x.Signal != "KILL" {
		t.Errorf("%v, %v", x, err)
	}
	kind, payload := exitRequest(x)
	if kind != "exit-signal" || strings.Contains(string(payload), "\x1b") {
		t.Errorf("the device's text is passed on: %q", payload)
	}
	for _, bad := range [][]byte{nil, {1}, {0, 0, 0, 0, 0}, signal[:len(signal)-1], append(signal, 0)} {
		if _, err := parseExit("exit-signal", bad); err == nil {
			t.Errorf("%q was read", bad)
		}
		if _, err := parseExit("exit-status", bad); err == nil {
			t.Errorf("%q was read as a status", bad)
		}
	}
	if x, err := parseExit("exit-status", []byte{0, 0, 0, 9}); err != nil || x.Status != 9 {
		t.Errorf("%v, %v", x, err)
	}
}

// What is forwarded of a terminal request is what its note says, and reads again as
// itself.
func FuzzParsePty(f *testing.F) {
	for _, p := range []Pty{
		{Term: "xterm-256color", Cols: 80, Rows: 24, Width: 640, Height: 480, Modes: "\x01\x00\x00\x00\x03\x80\x00\x00\x96\x00\x00"},
		{Term: "", Modes: ""}, {Term: "a b"}, {Term: "x", Cols: 1 << 31, Modes: "\xff\x00\x00\x00\x00"},
	} {
		f.Add(ssh.Marshal(p))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		p, err := parsePty(payload)
		if err != nil {
			if p != (Pty{}) {
				t.Error("an error and a value")
			}
			return
		}
		if again, err := parsePty(ssh.Marshal(p)); err != nil || again != p {
			t.Errorf("%+v reads as %+v, %v", p, again, err)
		}
		note, err := json.Marshal(session.Note{Kind: session.NoteTerminal, Text: p.note()})
		if err != nil || len(note) > session.MaxEventData || p.Width != 0 || p.Height != 0 {
			t.Errorf("%d bytes of note, %v", len(note), err)
		}
	})
}

// What opens a command's channel is legible, fits an event, and is all of the command or
// says how long that is.
func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{"id", "", "caf\u00e9", "\xff", "\x00\x01", strings.Repeat("\x01", maxCommand), "a\u2028b<>&"} {
		f.Add(ssh.Marshal(oneString{s}))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		command, err := parseCommand(payload)
		if err != nil {
			return
		}
		open := commandOpen(command)
		open.Term = strings.Repeat("x", maxTerm)
		event, err := json.Marshal(open)
		var back session.ChannelOpen
		if err := errors.Join(err, json.Unmarshal(event, &back)); err != nil || back != open || len(event) > session.MaxEventData {
			t.Errorf("%d bytes, %v", len(event), err)
		}
		if open.Bytes == 0 && open.Command != command || open.Bytes != 0 && open.Bytes != len(command) {
			t.Errorf("%q opens as %q of %d", command, open.Command, open.Bytes)
		}
	})
}

func FuzzBounded(f *testing.F) {
	f.Add("x11-req", 10)
	f.Add("\x1b]0;\xff\u0085", 64)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = 4 + n&0xff
		got := wording.Line(s, n)
		if len(got) > n || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\x1b\n\r\x7f\u0085") {
			t.Errorf("%q to %d: %q", s, n, got)
		}
	})
}

// An engineer whose standard error is blocked does not hold up who wants to speak.
func TestSayGivesUp(t *testing.T) {
	r := Accept(nil, Config{Recorder: &stage{}})
	r.voice <- struct{}{} // somebody's write is stuck
	start := time.Now()
	r.Tell(session.Note{Kind: session.NoteSaid, Text: "words"}, 20*time.Millisecond)
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("gave up after %v", took)
	}
}

func TestRsyncServer(t *testing.T) {
	for command, want := range map[string]session.Channel{
		"rsync --server -logDtpre.iLsfxCIvu . /tmp/x":          session.FilesIn,
		"rsync --server --sender -logDtpre.iLsfxCIvu . /tmp/x": session.FilesOut,
		"/usr/bin/rsync --server -vlogDtpre.i --sender . x":    session.FilesOut,
		"rsync --server . --sender":                            session.FilesIn,
		"rsync --server":                                       session.FilesIn,
		"rsync -a x y":                                         "",
		"rsync":                                                "",
		"echo rsync --server":                                  "",
		"":                                                     "",
	} {
		if got := rsyncServer(command); got != want {
			t.Errorf("%q goes %q, want %q", command, got, want)
		}
	}
}

func TestModesAreWords(t *testing.T) {
	for modes, want := range map[string]string{
		"\x00":                     "no modes",
		"\x35\x00\x00\x00\x00\x00": "modes echo off",
		"\x01\x00\x00\x00\x03\x03\x00\x00\x00\x7f\x10\x00\x00\x00\xff\x5b\x00\x00\x00\x01\x80\x00\x00\x96\x00\x99\x00\x00\x00\x01\x00": "modes intr ^C, erase ^?, switch none, cs8 on, input speed 38400, mode 153 1",
		"\x35\x00\x00\x00\x07\x00": "modes echo 7",
	} {
		if got := (Pty{Term: "x", Cols: 1, Rows: 2, Modes: modes}).note(); got != `terminal "x", 1 columns, 2 rows, `+want {
			t.Errorf("%x: %s", modes, got)
		}
	}
}
