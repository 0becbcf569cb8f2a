package shell

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/wording"
)

// Whoever proves anything else than a key of that grant, for that session, asset and
// service, here and now, gets no further than ssh would let them, and no device hears
// of it.
func TestBrowserRefused(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	key, p := w.newKey(all()...)
	_, other := w.newKey(all()...)
	stranger := w.joins(p)
	w.rights.mu.Lock()
	for line, q := range w.rights.keys {
		if q == p && strings.HasPrefix(line, "ssh-ed25519") {
			delete(w.rights.keys, line)
		}
	}
	w.rights.mu.Unlock()
	other2, elsewhere := w.newKey(all()...)
	elsewhere.Asset = "NGH-MR1"

	for _, test := range []struct {
		name    string
		service string
		send    func(b *browser)
		kind    session.Kind
		words   string
	}{
		{"an unknown key", "recon-ssh", func(b *browser) { must(t, b.Prove(stranger, shellProof(p))) }, session.Denied, "This key opens nothing."},
		{"a key of another asset's grant", "recon-ssh", func(b *browser) { must(t, b.Prove(other2, shellProof(elsewhere))) }, session.Refused, "This grant does not open"},
		{"another service", "console-ssh", func(b *browser) { must(t, b.Prove(key, shellProof(p))) }, session.Refused, "This grant does not open"},
		{"another grant's session", "recon-ssh", func(b *browser) { must(t, b.Prove(key, shellProof(other))) }, session.Denied, "belongs to another session"},
		{"no session", "recon-ssh", func(b *browser) { q := shellProof(p); q.Session = ""; must(t, b.Prove(key, q)) }, session.Denied, "belongs to another session"},
		{"a proof of another connection", "recon-ssh", func(b *browser) {
			replay := w.dialBrowser("NGH-PETCT1", "recon-ssh")
			signed := proofFor(t, replay, key, shellProof(p))
			must(t, b.SendJSON(attach.TypeProof, signed))
		}, session.Denied, "did not prove its key"},
		{"a signature of nothing", "recon-ssh", func(b *browser) {
			signed := proofFor(t, b, key, shellProof(p))
			signed.Signature = base64.RawURLEncoding.EncodeToString(make([]byte, 64))
			must(t, b.SendJSON(attach.TypeProof, signed))
		}, session.Denied, "did not prove its key"},
		{"another size than none", "recon-ssh", func(b *browser) { must(t, b.Prove(key, sized(shellProof(p), 0, 24))) }, session.Invalid, "size"},
		{"to watch", "recon-ssh", func(b *browser) { q := shellProof(p); q.Role = attach.RoleWatch; must(t, b.Prove(key, q)) }, session.Expired, "not live"},
		{"another protocol", "recon-ssh", func(b *browser) {
			signed := proofFor(t, b, key, shellProof(p))
			signed.Protocol = "vnc"
			must(t, b.SendJSON(attach.TypeProof, signed))
		}, session.Denied, "did not prove its key"},
		{"JSON that is none", "recon-ssh", func(b *browser) { must(t, b.Send(attach.TypeProof, []byte("{]"))) }, session.Invalid, "cannot read"},
	} {
		b := w.dialBrowser("NGH-PETCT1", test.service)
		test.send(b)
		if r := b.refusal(); r.Kind != test.kind || !strings.Contains(r.Message, test.words) || r.Next == "" {
			t.Errorf("%s: %+v", test.name, r)
		}
	}
	if len(o.accepted) != 0 || w.rights.begun != 0 || len(w.engine.Live()) != 0 {
		t.Error("a device was opened")
	}
}

// proofFor signs for one browser's connection without sending.
func proofFor(t *testing.T, b *browser, key crypto.Signer, p attach.Proof) attach.Proof {
	t.Helper()
	var wire bytes.Buffer
	frame, err := attach.Append(nil, attach.Agent, attach.TypeChallenge, b.Challenge)
	must(t, err)
	c, err := attach.NewClient(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(frame), &wire})
	must(t, err)
	must(t, c.Prove(key, p))
	f, err := attach.NewReader(&wire, attach.Browser).Read()
	must(t, err)
	signed, err := attach.ParseProof(f.Payload)
	must(t, err)
	return signed
}

// A closed grant and a frozen session turn a browser away as they turn ssh away.
func TestBrowserOfAClosedGrantAndAFrozenSession(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	key, p := w.newKey(all()...)
	w.rights.facts[p.ID] = session.SessionFacts{Opened: time.Now(), Ended: time.Now(), Reason: session.KilledLocal}
	b := w.dialBrowser("NGH-PETCT1", "recon-ssh")
	must(t, b.Prove(key, shellProof(p)))
	if r := b.refusal(); r.Kind != session.Expired || r.Message != "This session is over." {
		t.Errorf("closed: %+v", r)
	}

	key, p = w.newKey(all()...)
	signer, err := gossh.NewSignerFromSigner(key)
	must(t, err)
	running(t, w.mustConnect(signer))
	_, err = w.engine.Freeze(p.ID, "local", "x")
	must(t, err)
	b = w.dialBrowser("NGH-PETCT1", "recon-ssh")
	must(t, b.Prove(key, shellProof(p)))
	if r := b.refusal(); r.Kind != session.Refused || !strings.Contains(r.Message, "frozen") {
		t.Errorf("frozen: %+v", r)
	}
	if w.terminals() != 0 {
		t.Error("a terminal is left")
	}
}

// Whatever is no frame ends a connection before the proof and after it; the shell stays.
func TestBrowserMalformed(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	key, p := w.newKey(all()...)
	long := func(t attach.Type, n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{byte(t)}, n) }
	for name, wire := range map[string][]byte{
		"unknown type": long('?', 0), "the agent's type": long(attach.TypeOutput, 4), "oversize": long(attach.TypeInput, 64<<10+1),
		"huge": long(attach.TypeInput, 1<<31), "short resize": long(attach.TypeResize, 3), "no size": append(long(attach.TypeResize, 4), 0, 0, 0, 0),
		"vast size": append(long(attach.TypeStart, 4), 255, 255, 255, 255), "a second proof": append(long(attach.TypeProof, 2), "{}"...),
	} {
		b := w.dialBrowser("NGH-PETCT1", "recon-ssh")
		go func() { _, _ = b.conn.Write(wire) }()
		b.listen()
		b.gone()
		b = w.open(key, shellProof(p))
		go func() { _, _ = b.conn.Write(wire) }()
		b.gone()
		if len(b.notices) != 0 {
			t.Errorf("%s: %+v", name, b.notices)
		}
	}
	b := w.open(key, shellProof(p))
	if !b.welcome.Resumed || !b.welcome.Running {
		t.Errorf("the shell did not survive: %+v", b.welcome)
	}
	if len(o.accepted) != 1 {
		t.Errorf("%d device connections", len(o.accepted))
	}
}

// A browser that proves nothing in ten seconds is cut, however it spends them.
func TestBrowserSlowLoris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, rights: &fakeRights{keys: map[string]*engine.Ticket{}}}
		w.furnish()
		b := w.dialBrowser("NGH-PETCT1", "recon-ssh")
		start := time.Now()
		_, err := b.conn.Write([]byte{'J', 0, 0, 1, 0})
		for err == nil {
			time.Sleep(time.Second)
			_, err = b.conn.Write([]byte("{"))
		}
		if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("cut after %v", took)
		}
		w.engine.Close()
	})
}

// The whole story of a terminal in the browser.
func TestBrowserStory(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	key, p := w.newKey(session.Shell, session.FilesOut)
	laptop := w.joins(p)

	// Open: welcomed, a shell of the size asked for, no snapshot of nothing.
	b := w.open(key, shellProof(p))
	if x := b.welcome; x.Session != p.ID.Session() || x.Request != p.Request || x.Asset != "NGH-PETCT1" || x.Service != "recon-ssh" ||
		x.Resumed || !x.Running || x.Frozen == nil || len(x.Frozen) != 0 || x.Recording != w.tape(0).header.Recording ||
		!slices.Equal(x.Channels, []session.Channel{session.FilesOut, session.Shell}) || x.Deadline.Before(x.Now) || x.Opened.IsZero() {
		t.Errorf("%+v", x)
	}
	w.until("the device starts a shell", func() bool { got, _ := o.seen(); return len(got) == 2 })
	if got, _ := o.seen(); !strings.HasPrefix(got[0], "pty-req \x00\x00\x00\x0exterm-256color\x00\x00\x00P\x00\x00\x00\x18") || got[1] != "shell " {
		t.Errorf("the device was asked %q", got)
	}

	// Type, resize, ping.
	b.types("ls\r\n")
	b.sees("ls\r\n")
	must(t, b.Send(attach.TypeResize, attach.AppendSize(nil, 100, 30)))
	w.until("the device learns the size", func() bool {
		got, _ := o.seen()
		return len(got) == 3 && strings.HasPrefix(got[2], "window-change \x00\x00\x00d\x00\x00\x00\x1e")
	})
	must(t, b.Send(attach.TypePing, []byte("abc")))
	b.until("pong", func() bool { return b.pongs == 1 })

	// Drop: the device's connection stays, what it says is kept, another key comes back.
	b.types("日本 \x1b[1mbold\x1b[m")
	b.sees("bold")
	b.drop()
	proof := shellProof(p)
	proof = sized(proof, 100, 30)
	c := w.open(laptop, proof)
	if !c.welcome.Resumed || !c.welcome.Running || c.welcome.Recording != b.welcome.Recording {
		t.Errorf("%+v", c.welcome)
	}
	c.until("snapshot", func() bool { return len(c.snapshots) == 1 })
	if s := c.snapshots[0]; !bytes.Equal(s[:4], []byte{0, 100, 0, 30}) || !bytes.Contains(s, []byte("ls")) || !bytes.Contains(s, []byte("日")) || !bytes.Contains(s, []byte("\x1b[1mbold")) {
		t.Errorf("%q", s)
	}

	// A second window takes over; the first is told and let go.
	d := w.open(key, proof)
	if n := c.notice(attach.NoticeTaken); n.Text == "" {
		t.Errorf("%+v", n)
	}
	c.gone()
	d.types("more")
	d.sees("more")

	// Freeze: told at once, input waits, output goes on; thaw: input passes, once.
	_, err := w.engine.Freeze(p.ID, "local", "the operator")
	must(t, err)
	if n := d.notice(attach.NoticeFrozen); !slices.Equal(n.Causes, []string{"local"}) || n.Text != "The hospital froze this session. What you type or send waits; the time runs on." {
		t.Errorf("%+v", n)
	}
	_, before := o.seen()
	d.types("frozen")
	must(t, d.Send(attach.TypePing, nil)) // after the input was taken
	d.until("pong", func() bool { return d.pongs == 1 })
	if _, in := o.seen(); !bytes.Equal(in, before) {
		t.Errorf("the device heard %q while frozen", in)
	}
	e := w.open(laptop, proof) // a terminal that is frozen can be looked at
	if !slices.Equal(e.welcome.Frozen, []string{"local"}) {
		t.Errorf("%+v", e.welcome)
	}
	_, err = w.engine.Thaw(p.ID, "local", "the operator")
	must(t, err)
	e.notice(attach.NoticeThawed)
	e.sees("frozen")

	// Extension and warning are told, and not printed.
	if !w.engine.Extend(p.ID, e.welcome.Deadline.Add(time.Hour)) {
		t.Error("not extended")
	}
	if n := e.notice(attach.NoticeDeadline); !n.Deadline.Equal(e.welcome.Deadline.Add(time.Hour)) {
		t.Errorf("%+v", n)
	}
	w.terminal(p).Tell(attach.Notice{Type: attach.NoticeWarning, LeftSeconds: 300, Text: "This session ends in 5 minutes."})
	if n := e.notice(attach.NoticeWarning); n.LeftSeconds != 300 {
		t.Errorf("%+v", n)
	}

	// The end: told with its reason, closed, and the recording holds every byte.
	start := time.Now()
	must(t, w.engine.End(p.ID, session.KilledRemote, "the hospital"))
	if n := e.notice(attach.NoticeEnded); n.Reason != session.KilledRemote || n.Text != wording.Farewell(session.KilledRemote) {
		t.Errorf("%+v", n)
	}
	e.gone()
	if took := time.Since(start); took > time.Second {
		t.Errorf("the end took %v", took)
	}
	r := w.tape(0)
	if reason := r.wait(t); reason != session.KilledRemote {
		t.Errorf("sealed with %q", reason)
	}
	typed := "ls\r\n日本 \x1b[1mbold\x1b[mmorefrozen"
	if in, out := r.data(session.Input), r.data(session.Output); string(in) != typed || string(out) != typed {
		t.Errorf("on record: in %q, out %q", in, out)
	}
	if strings.Contains(string(e.output), "session") || len(o.accepted) != 1 {
		t.Errorf("our words are in the terminal: %q", e.output)
	}
	if w.terminals() != 0 {
		t.Error("a terminal is left")
	}
}

// The exit of a shell is told with its status after its last output; another shell
// starts on the same device connection; X ends it all, and the session goes on.
func TestBrowserShellAfterShell(t *testing.T) {
	o := newOracle(t)
	words := make(chan string, 1)
	o.exec = talk(words)
	w := newWorld(t, o.dial)
	key, p := w.newKey(session.Shell)
	b := w.open(key, shellProof(p))
	words <- "bye"
	b.sees("bye")
	close(words)
	n := b.notice(attach.NoticeExit)
	if n.Status == nil || *n.Status != 3 {
		t.Errorf("%+v", n)
	}
	o.mu.Lock()
	o.exec = nil
	o.mu.Unlock()
	w.until("the shell is forgotten", func() bool { return w.terminal(p).state.shell.Load() == nil })
	must(t, b.Send(attach.TypeStart, attach.AppendSize(nil, 90, 20)))
	b.types("again")
	b.sees("again")
	// A browser that asks for what runs makes nothing that stays until the end.
	running, made, child := w.terminal(p), 0, w.terminal(p).child
	running.mu.Lock()
	running.child = func() (context.Context, context.CancelFunc) { made++; return child() }
	running.mu.Unlock()
	for range 100 {
		must(t, b.Send(attach.TypeStart, attach.AppendSize(nil, 90, 20)))
	}
	b.types("once more")
	b.sees("once more")
	if running.mu.Lock(); made != 0 {
		t.Errorf("%d shells were made beside the one that runs", made)
	}
	running.mu.Unlock()
	must(t, b.Send(attach.TypeClose))
	if n := b.notice(attach.NoticeEnded); n.Reason != session.Completed {
		t.Errorf("%+v", n)
	}
	b.gone()
	if reason := w.tape(0).wait(t); reason != session.Completed {
		t.Errorf("sealed with %q", reason)
	}
	if got := documents[session.ChannelOpen](t, w.tape(0), session.ChannelOpened); len(got) != 2 || got[1].Cols != 90 {
		t.Errorf("%+v", got)
	}
	if len(o.accepted) != 1 || len(w.engine.Live()) != 1 {
		t.Error("the session ended, or has two device connections")
	}
}

func (w *world) terminals() int {
	w.line.mu.Lock()
	defer w.line.mu.Unlock()
	return len(w.line.terminals)
}

// terminal is the one that there is.
func (w *world) terminal(p *engine.Ticket) *browserTerminal {
	w.t.Helper()
	var s *browserTerminal
	w.until("there is a terminal", func() bool {
		w.line.mu.Lock()
		defer w.line.mu.Unlock()
		s = w.line.terminals[place{p.ID, "recon-ssh"}]
		return s != nil
	})
	return s
}

// A grant without a shell says so in the words that ssh shows, and stays for files.
func TestBrowserWithoutShell(t *testing.T) {
	o := newOracle(t)
	o.files = true
	w := newWorld(t, o.dial)
	key, p := w.newKey(session.FilesOut)
	b := w.open(key, shellProof(p))
	if n := b.notice(attach.NoticeSaid); !strings.Contains(n.Text, "does not include a shell") || b.welcome.Running {
		t.Errorf("%+v, %+v", n, b.welcome)
	}
	b.notice(attach.NoticeExit)
	must(t, b.Send(attach.TypeFiles, []byte(`{"id":7,"op":"list","path":"/"}`)))
	if a := b.answered(7, 0); !a.OK || a.Path != "/" {
		t.Errorf("%+v", a)
	}
	if got, _ := o.seen(); len(got) != 1 || !strings.HasPrefix(got[0], "subsystem") {
		t.Errorf("the device got %q", got)
	}
}

// A seat to which nobody comes back is given up.
func TestBrowserDoesNotComeBack(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	w.line.patience.grace = 20 * time.Millisecond
	key, p := w.newKey(all()...)
	b := w.open(key, shellProof(p))
	device := <-o.accepted
	b.types("x")
	b.sees("x")
	b.drop()
	_ = device.Wait()
	if reason := w.tape(0).wait(t); reason != session.Completed {
		t.Errorf("sealed with %q", reason)
	}
	b = w.open(key, shellProof(p))
	if b.welcome.Resumed || w.tape(1).header.Recording != b.welcome.Recording {
		t.Errorf("%+v", b.welcome)
	}
}

// What the device says while nobody is there is recorded and shown to who comes back.
func TestBrowserOutputWhileAway(t *testing.T) {
	o := newOracle(t)
	words := make(chan string)
	o.exec = talk(words)
	w := newWorld(t, o.dial)
	key, p := w.newKey(session.Shell)
	b := w.open(key, shellProof(p))
	words <- "before "
	b.sees("before")
	b.drop()
	w.until("nobody is there", func() bool { return w.terminal(p).state.sock.Load() == nil })
	big := strings.Repeat("x", 300<<10) + "\r\nwhile away"
	words <- big
	w.until("it is on record", func() bool { return bytes.HasSuffix(w.tape(0).data(session.Output), []byte("while away")) })
	b = w.open(key, shellProof(p))
	b.until("it is shown", func() bool {
		return len(b.snapshots) == 1 && bytes.Contains(append(b.snapshots[0], b.output...), []byte("while away"))
	})
	close(words)
	b.notice(attach.NoticeExit)
}

// What is typed, and what a freeze tells, waits neither for the picture of the terminal
// nor for output that waits for it.
func TestTypingWaitsForNoPicture(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	key, p := w.newKey(session.Shell)
	b := w.open(key, shellProof(p))
	b.types("a")
	b.sees("a")
	term := w.terminal(p)
	term.picture.mu.Lock()
	defer term.picture.mu.Unlock()
	b.types("b")
	w.until("the device heard it", func() bool { _, in := o.seen(); return string(in) == "ab" })
	b.types("c")
	w.until("the device heard more", func() bool { _, in := o.seen(); return string(in) == "abc" })
	_, err := w.engine.Freeze(p.ID, "local", "x")
	must(t, err)
	b.notice(attach.NoticeFrozen)
}

// A browser that takes nothing slows the device, and is given up; the terminal is not.
func TestBrowserStalls(t *testing.T) {
	o := newOracle(t)
	flood := bytes.Repeat([]byte("0123456789abcd\r\n"), 4<<10)
	var sent int
	o.exec = func(ch gossh.Channel, _ string) bool {
		for {
			n, err := ch.Write(flood)
			o.mu.Lock()
			sent += n
			o.mu.Unlock()
			if err != nil {
				return true
			}
		}
	}
	w := newWorld(t, o.dial)
	w.line.patience.stall = 300 * time.Millisecond
	key, p := w.newKey(session.Shell)
	b := w.dialBrowser("NGH-PETCT1", "recon-ssh")
	must(t, b.Prove(key, shellProof(p)))
	f, err := b.Read()
	if err != nil || f.Type != attach.TypeWelcome {
		t.Fatalf("%c, %v", f.Type, err)
	}
	s := w.terminal(p)
	w.until("the queue is full", func() bool {
		sock := s.state.sock.Load()
		return sock == nil || sock.Full() != nil
	})
	w.until("the browser is given up", func() bool { return s.state.sock.Load() == nil })
	o.mu.Lock()
	was := sent
	o.mu.Unlock()
	w.until("the device goes on", func() bool { o.mu.Lock(); defer o.mu.Unlock(); return sent > was+256<<10 })
	c := w.open(key, shellProof(p))
	if !c.welcome.Resumed {
		t.Errorf("%+v", c.welcome)
	}
	must(t, w.engine.End(p.ID, session.KilledLocal, "x"))
	c.notice(attach.NoticeEnded)
	c.gone()
}

// A kill, the loss of the recorder, the device's hang-up and the agent's stop are told
// in the same words as to ssh, also to a browser that is slow.
func TestBrowserEnds(t *testing.T) {
	for _, test := range []struct {
		name   string
		end    func(w *world, o *oracle, p *engine.Ticket)
		reason session.EndReason
	}{
		{"kill", func(w *world, _ *oracle, p *engine.Ticket) { _ = w.engine.End(p.ID, session.KilledLocal, "x") }, session.KilledLocal},
		{"device", func(_ *world, o *oracle, _ *engine.Ticket) { _ = (<-o.accepted).Close() }, session.DeviceClosed},
		{"recorder", func(w *world, _ *oracle, _ *engine.Ticket) {
			r := w.tape(0)
			r.mu.Lock()
			r.failAfter = r.size
			r.mu.Unlock()
		}, session.RecorderLost},
		{"agent", func(w *world, _ *oracle, _ *engine.Ticket) { w.engine.Close() }, session.AgentLost},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOracle(t)
			w := newWorld(t, o.dial)
			key, p := w.newKey(all()...)
			b := w.open(key, shellProof(p))
			b.types("x")
			b.sees("x")
			test.end(w, o, p)
			if test.reason == session.RecorderLost {
				b.types("unrecorded")
			}
			if n := b.notice(attach.NoticeEnded); n.Reason != test.reason || n.Text != wording.Farewell(test.reason) {
				t.Errorf("%+v", n)
			}
			b.gone()
			if reason := w.tape(0).wait(t); reason != test.reason {
				t.Errorf("sealed with %q", reason)
			}
			if _, in := o.seen(); string(in) != "x" {
				t.Errorf("the device heard %q", in)
			}
		})
	}
}

// The deadline ends a terminal also when nobody is there.
func TestBrowserDeadline(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	w.rights.maxS = 600 * time.Millisecond
	key, p := w.newKey(all()...)
	b := w.open(key, shellProof(p))
	b.drop()
	if reason := w.tape(0).wait(t); reason != session.OutOfTime {
		t.Errorf("sealed with %q", reason)
	}
	b = w.dialBrowser("NGH-PETCT1", "recon-ssh")
	must(t, b.Prove(key, shellProof(p)))
	if r := b.refusal(); r.Kind != session.Expired {
		t.Errorf("%+v", r)
	}
}

// Two windows that open at once share one device connection; one of them has it.
func TestBrowsersAtOnce(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	key, p := w.newKey(all()...)
	var all []*browser
	for range 6 {
		b := w.dialBrowser("NGH-PETCT1", "recon-ssh")
		must(t, b.Prove(key, shellProof(p)))
		b.listen()
		all = append(all, b)
	}
	var left *browser
	w.until("one is left", func() bool {
		n := 0
		for _, b := range all {
			b.mu.Lock()
			if b.welcome != nil && !b.closed {
				left = b
				n++
			}
			if b.welcome == nil && !b.closed {
				n += 2
			}
			b.mu.Unlock()
		}
		return n == 1
	})
	left.types("here")
	left.sees("here")
	if len(o.accepted) != 1 || len(w.engine.Live()[0].Recordings) != 1 {
		t.Errorf("%d device connections", len(o.accepted))
	}
}
