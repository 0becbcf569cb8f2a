package simulator

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// keyboard is somebody at a terminal: types, and waits for what appears.
type keyboard struct {
	t    *testing.T
	s    *ssh.Session
	in   io.WriteCloser
	mu   sync.Mutex
	seen bytes.Buffer // since the last expect
	more chan struct{}
}

func (k *keyboard) Write(p []byte) (int, error) {
	k.mu.Lock()
	k.seen.Write(p)
	k.mu.Unlock()
	select {
	case k.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (r *rig) terminal() *keyboard {
	r.Helper()
	k := &keyboard{t: r.T, s: r.session(r.client()), more: make(chan struct{}, 1)}
	if err := k.s.RequestPty("xterm", 24, 80, ssh.TerminalModes{}); err != nil {
		r.Fatal(err)
	}
	var err error
	if k.in, err = k.s.StdinPipe(); err != nil {
		r.Fatal(err)
	}
	k.s.Stdout, k.s.Stderr = k, k
	if err := k.s.Shell(); err != nil {
		r.Fatal(err)
	}
	k.expect(prompt)
	return k
}

const prompt = "recon@NGH-PETCT1:~$ "

func (k *keyboard) types(s string) {
	k.t.Helper()
	if _, err := io.WriteString(k.in, s); err != nil {
		k.t.Fatal(err)
	}
}

// expect waits for text and returns everything up to it.
func (k *keyboard) expect(text string) string {
	k.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		k.mu.Lock()
		before, after, ok := strings.Cut(k.seen.String(), text)
		if ok {
			k.seen.Reset()
			k.seen.WriteString(after)
		}
		k.mu.Unlock()
		if ok {
			return before
		}
		select {
		case <-k.more:
		case <-deadline:
			k.t.Fatalf("%q did not appear after %q", text, before)
		}
	}
}

func (k *keyboard) ends(want string) {
	k.t.Helper()
	if got := status(k.t, k.s.Wait()); got != want {
		k.t.Errorf("ended with %s, want %s", got, want)
	}
}

func TestLineEditing(t *testing.T) {
	k := launch(t).terminal()
	k.types("ecXX\x7f\x7fho one\r")
	k.expect("\r\none\r\n" + prompt)
	k.types("two\x01echo \r") // Home
	k.expect("\r\ntwo\r\n" + prompt)
	k.types("\x1b[A\r") // the line before
	k.expect("\r\ntwo\r\n" + prompt)
	k.types("reboot\x15pwd\r") // Ctrl-U
	k.expect("\r\n/home/svc_meridian\r\n" + prompt)
	k.types("cd /home\r")
	k.expect("recon@NGH-PETCT1:/home$ ")
	k.types("cd\r")
	k.expect(prompt)
	k.types("exit 3\r")
	k.ends("3")
}

func TestControlC(t *testing.T) {
	k := launch(t).terminal()
	k.types("reboot") // on a line: the line goes
	k.expect("reboot")
	k.types("\x03")
	k.expect("^C\r\n" + prompt)
	k.types("echo $?\r")
	k.expect("\r\n130\r\n" + prompt)
	k.types("sleep 600\r") // on a command: the command goes, with what was typed ahead
	k.expect("sleep 600\r\n")
	k.types("reboot\r\x03")
	k.expect("^C\r\n" + prompt)
	k.types("cat\r") // on a line that a command reads
	k.expect("cat\r\n")
	k.types("half a li\x03")
	k.expect("^C\r\n" + prompt)
	k.types("flood 60G\r")
	k.expect("000000000000512 ")
	k.types("\x03")
	k.expect("^C\r\n" + prompt)
	k.types("sleep 600\r")
	k.expect("sleep 600\r\n")
	if err := k.s.Signal(ssh.SIGINT); err != nil {
		t.Fatal(err)
	}
	k.expect("^C\r\n" + prompt)
	k.types(strings.Repeat("\x1b[A", 10) + "\r\x04") // history keeps no aborted line
	if got := k.expect("logout"); strings.Contains(got, "reboot") || !strings.Contains(got, "\r\n130\r\n") {
		t.Errorf("the oldest remembered line is wrong: %q", got)
	}
	k.ends("0")
}

func TestControlDAndEndOfFile(t *testing.T) {
	r := launch(t)
	k := r.terminal()
	k.types("cat\rsome text\r")
	k.expect("some text\r\nsome text\r\n")
	k.types("\x04") // ends cat's input, not the shell
	k.expect(prompt)
	k.types("false\r")
	k.expect(prompt)
	k.types("\x04")
	k.expect("logout\r\n")
	k.ends("1")

	k = r.terminal()
	if err := k.in.Close(); err != nil {
		t.Fatal(err)
	}
	k.expect("logout\r\n")
	k.ends("0")

	k = r.terminal()
	if err := k.s.Signal(ssh.SIGTERM); err != nil {
		t.Fatal(err)
	}
	k.ends("TERM")
}

func TestWindowSize(t *testing.T) {
	r := launch(t)
	k := r.terminal()
	k.types("stty size\r")
	k.expect("\r\n24 80\r\n" + prompt)
	resize := func(cols, rows uint32) bool { // waits for the answer, as data does not
		ok, err := k.s.SendRequest("window-change", true, ssh.Marshal(struct{ C, R, W, H uint32 }{cols, rows, 0, 0}))
		return ok && err == nil
	}
	if !resize(132, 50) {
		t.Fatal("a resize was refused")
	}
	k.types("stty size\r")
	k.expect("\r\n50 132\r\n")
	k.expect(prompt)
	if resize(1<<20, 10) || resize(10, 1<<20) || !resize(0, 0) || !resize(1, 1) {
		t.Error("a strange size was taken, or a small one was not")
	}
	k.types("stty size\r")
	k.expect("1 1\r\n")
	k.types("exit\r")
	k.ends("0")
}

// A restart wants the asset's name, and takes every connection with it.
func TestReboot(t *testing.T) {
	r := launch(t)
	k := r.terminal()
	k.types("reboot\r")
	k.expect("Type the asset name to go on: ")
	k.types("ngh-petct1\r")
	k.expect("not confirmed, nothing was done\r\n" + prompt)
	k.types("reboot\r")
	k.expect("go on: ")
	k.types("\x03")
	k.expect("not confirmed")
	other := r.client()
	k.types("reboot\r")
	k.expect("go on: ")
	k.types("NGH-PETCT1\r")
	k.expect("Restarting now.")
	if err := other.Wait(); err == nil {
		t.Error("another connection ended in peace")
	}
	if err := k.s.Wait(); err == nil {
		t.Error("the session ended in peace")
	}
	if out, _, _ := r.do("uptime"); !strings.Contains(out, "up 0 days, 0:00") {
		t.Errorf("uptime: %s", out)
	}
}

// A terminal for one command still has its line editing and its Ctrl-C.
func TestCommandWithTerminal(t *testing.T) {
	r := launch(t)
	for _, c := range []struct{ line, type_, want string }{
		{"reboot", "nope\r", "1"},
		{"sleep 600", "\x03", "INT"},
		{"cat", "text\r\x04", "0"},
	} {
		k := &keyboard{t: t, s: r.session(r.client()), more: make(chan struct{}, 1)}
		if err := k.s.RequestPty("xterm", 24, 80, nil); err != nil {
			t.Fatal(err)
		}
		k.s.Stdout = k
		k.s.Stdin = strings.NewReader(c.type_)
		if err := k.s.Start(c.line); err != nil {
			t.Fatal(err)
		}
		k.ends(c.want)
	}
}
