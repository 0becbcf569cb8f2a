package shell

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
)

func viewerNamed(name string) session.Person {
	return session.Person{Identity: session.Identity{Iss: "https://idp.hospital.example", Sub: name}, Name: name, Email: name + "@hospital.example"}
}

// mayWatch is the key of somebody whose token the agent took.
func (w *world) mayWatch(p *engine.Ticket, who session.Person, until time.Time) (crypto.Signer, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	must(w.t, err)
	return key, w.engine.AllowWatch(p.ID, session.KeyLine(pub), who, until)
}

func watchProof(p *engine.Ticket) attach.Proof {
	return attach.Proof{Role: attach.RoleWatch, Session: p.ID.Session(), Opening: attach.ConsoleOpening()}
}

// watch lets somebody see a session.
func (w *world) watch(p *engine.Ticket, name string) *browser {
	w.t.Helper()
	key, err := w.mayWatch(p, viewerNamed(name), time.Now().Add(time.Hour))
	must(w.t, err)
	return w.open(key, watchProof(p))
}

// shown is what a viewer's terminal got since its last snapshot, with that.
func (b *browser) shown() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.snapshots) == 0 {
		return ""
	}
	return string(b.snapshots[len(b.snapshots)-1]) + string(b.output)
}

// plainShell is a shell of an ssh of the engineer's own, and what it shows.
func (w *world) plainShell(signer gossh.Signer) (ch gossh.Channel, out, errors *shown) {
	w.t.Helper()
	xterm := "xterm"
	return w.shellOf(signer, &xterm)
}

// shellOf asks for a terminal of some name first, or for none.
func (w *world) shellOf(signer gossh.Signer, term *string) (ch gossh.Channel, out, errors *shown) {
	w.t.Helper()
	ch, reqs, err := w.mustConnect(signer).OpenChannel("session", nil)
	must(w.t, err)
	go gossh.DiscardRequests(reqs)
	out, errors = &shown{}, &shown{}
	go func() { _, _ = io.Copy(out, ch) }()
	go func() { _, _ = io.Copy(errors, ch.Stderr()) }()
	ask := func(kind string, payload []byte) {
		if ok, err := ch.SendRequest(kind, true, payload); err != nil || !ok {
			w.t.Fatalf("%s: %v, %v", kind, ok, err)
		}
	}
	if term != nil {
		ask("pty-req", ptyPayload(*term, ""))
	}
	ask("shell", nil)
	return ch, out, errors
}

type shown struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shown) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shown) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.b.String(), text)
}

// Who watches sees the shell where the engineer types, whatever program they came with and
// however late; another one when they ask for it. The engineer reads who it is, and so
// does the recording.
func TestWatchingShells(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	first, _, told := w.plainShell(signer)
	_, err := first.Write([]byte("one;"))
	must(t, err)
	w.until("the device answers", func() bool { return bytes.Contains(w.tape(0).data(session.Output), []byte("one;")) })

	v := w.watch(p, "Anna")
	if x := v.welcome; x.Session != p.ID.Session() || x.Service != "recon-ssh" || len(x.Channels) != 0 || x.Recording == "" || x.Deadline.IsZero() {
		t.Errorf("%+v", x)
	}
	v.until("what stood before", func() bool { return len(v.snapshots) == 1 && bytes.Contains(v.snapshots[0], []byte("one;")) })
	if n := v.notice(attach.NoticeShells); !slices.Equal(n.Shells, []uint32{1}) || n.Shown != 1 {
		t.Errorf("%+v", n)
	}
	w.until("the engineer reads who watches", func() bool { return told.has("Anna of the hospital watches this session.") })
	w.until("so does the recording", func() bool {
		return slices.ContainsFunc(documents[session.Note](t, w.tape(0), session.Marker), func(n session.Note) bool {
			return n.Kind == session.NoteWatching && n.By == "Anna"
		})
	})
	_, err = first.Write([]byte("two;"))
	must(t, err)
	v.sees("two;")

	// A browser of the same session opens a second shell, and the view follows.
	key := w.joins(p)
	b := w.open(key, shellProof(p))
	if n := b.notice(attach.NoticeWatchers); !slices.Equal(n.People, []string{"Anna"}) {
		t.Errorf("%+v", n)
	}
	b.until("a shell runs", func() bool { return b.welcome.Running })
	b.types("three;")
	w.until("the view follows", func() bool { n := v.notice(attach.NoticeShells); return n.Shown == 2 && len(n.Shells) == 2 })
	w.until("the second shell", func() bool { return strings.Contains(v.shown(), "three;") })
	_, err = first.Write([]byte("four;"))
	must(t, err)
	w.until("the view follows back", func() bool { return v.notice(attach.NoticeShells).Shown == 1 })
	must(t, v.Send(attach.TypeLook, binary.BigEndian.AppendUint32(nil, 2)))
	w.until("the view stays where it was asked to be", func() bool { return v.notice(attach.NoticeShells).Shown == 2 })
	b.types("five;")
	w.until("and shows it", func() bool { return strings.Contains(v.shown(), "five;") })

	// Another size is the engineer's.
	must(t, b.Send(attach.TypeResize, []byte{0, 100, 0, 40}))
	b.types("six;")
	v.until("the other size", func() bool {
		return bytes.HasPrefix(v.snapshots[len(v.snapshots)-1], []byte{0, 100, 0, 40})
	})

	// Frozen: told. Gone: told, a little later.
	_, err = w.engine.Freeze(p.ID, "local", "the operator")
	must(t, err)
	v.notice(attach.NoticeFrozen)
	v.drop()
	w.until("the engineer reads that nobody watches", func() bool {
		n := b.notice(attach.NoticeWatchers)
		return len(n.People) == 0 && strings.Contains(n.Text, "Anna of the hospital watches no more.")
	})
	must(t, w.engine.End(p.ID, session.KilledLocal, "the operator"))
	if !bytes.Equal(w.tape(0).data(session.Input), []byte("one;two;four;")) {
		t.Errorf("typed: %q", w.tape(0).data(session.Input))
	}
}

// A shell can be watched whose client names no terminal, or asks for none: what it says is
// shown line below line.
func TestWatchingAShellWithoutATerminal(t *testing.T) {
	none := ""
	for name, term := range map[string]*string{"of no name": &none, "not asked for": nil} {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t)
			w := newWorld(t, o.dial)
			signer, p := w.grant(all()...)
			ch, _, _ := w.shellOf(signer, term)
			_, err := ch.Write([]byte("one\ntwo;"))
			must(t, err)
			w.until("the device answers", func() bool { return bytes.Contains(w.tape(0).data(session.Output), []byte("two;")) })
			v := w.watch(p, "Anna")
			v.until("what stood before, the second line below the first", func() bool {
				return len(v.snapshots) == 1 && bytes.Contains(v.snapshots[0], []byte("one\r\ntwo;"))
			})
			if n := v.notice(attach.NoticeShells); !slices.Equal(n.Shells, []uint32{1}) || n.Shown != 1 {
				t.Errorf("%+v", n)
			}
			_, err = ch.Write([]byte("\nthree;"))
			must(t, err)
			v.until("what follows, as a terminal has it", func() bool { return bytes.Contains(v.output, []byte("\r\nthree;")) })
		})
	}
}

// There is no way from who watches to the device.
func TestWatchersDoNothing(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	w.plainShell(signer)
	w.until("a shell", func() bool { requests, _ := o.seen(); return slices.Contains(requests, "shell ") })
	requests, _ := o.seen()
	for _, f := range []struct {
		name    string
		kind    attach.Type
		payload []byte
	}{
		{"types", attach.TypeInput, []byte("rm -rf /\r")},
		{"resizes", attach.TypeResize, []byte{0, 80, 0, 25}},
		{"starts a shell", attach.TypeStart, []byte{0, 80, 0, 25}},
		{"closes the terminal", attach.TypeClose, nil},
		{"asks for files", attach.TypeFiles, []byte(`{"id":1,"op":"list","path":""}`)},
		{"uploads", attach.TypeData, []byte{0, 0, 0, 1, 'x'}},
		{"ends an upload", attach.TypeEnd, []byte{0, 0, 0, 1}},
		{"gives credit", attach.TypeCredit, []byte{0, 0, 0, 1, 0, 0, 1, 0}},
		{"proves again", attach.TypeProof, []byte(`{}`)},
	} {
		v := w.watch(p, "Anna")
		must(t, v.Send(f.kind, f.payload))
		v.gone()
		t.Logf("ATTACK | somebody who watches %s | the connection ends, nothing passes | nothing passed | holds", f.name)
	}
	after, input := o.seen()
	if !slices.Equal(requests, after) || len(input) != 0 {
		t.Errorf("the device got %q and %q", after, input)
	}
	if len(w.engine.Live()) != 1 {
		t.Error("the session ended")
	}
}

// A key that may watch opens nothing, a key that opens something sees nothing as a
// watcher, and neither sees another session or what is over.
func TestWatchKeysOpenNothing(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	w.plainShell(signer)
	signer2, other := w.grant(all()...)
	w.plainShell(signer2)
	key, err := w.mayWatch(p, viewerNamed("Anna"), time.Now().Add(time.Hour))
	must(t, err)
	gone, err := w.mayWatch(p, viewerNamed("Bernd"), time.Now().Add(-time.Second))
	must(t, err)
	stranger := func() crypto.Signer { _, k, _ := ed25519.GenerateKey(rand.Reader); return k }()
	for _, row := range []struct {
		name string
		key  crypto.Signer
		of   attach.Proof
		kind session.Kind
	}{
		{"a watch key operates", key, shellProof(p), session.Denied},
		{"a watch key watches another session", key, watchProof(other), session.Denied},
		{"an engineer's key watches", w.joins(p), watchProof(p), session.Denied},
		{"a key that no token covered watches", stranger, watchProof(p), session.Denied},
		{"a leave that is over", gone, watchProof(p), session.Denied},
		{"a session that is nobody's", key, attach.Proof{Role: attach.RoleWatch, Session: session.ID{9}.Session(), Opening: attach.ConsoleOpening()}, session.Expired},
		{"a session by a name that is none", key, attach.Proof{Role: attach.RoleWatch, Session: "S-", Opening: attach.ConsoleOpening()}, session.Invalid},
		{"a watcher who brings a terminal", key, func() attach.Proof { q := shellProof(p); q.Role = attach.RoleWatch; return q }(), session.Invalid},
	} {
		b := w.dialBrowser("NGH-PETCT1", "recon-ssh")
		must(t, b.Prove(row.key, row.of))
		if r := b.refusal(); r.Kind != row.kind || r.Next == "" {
			t.Errorf("%s: %+v", row.name, r)
		} else {
			t.Logf("ATTACK | %s | refused in words | %s | holds", row.name, r.Kind)
		}
	}
	if _, err := w.mayWatch(&engine.Ticket{ID: session.ID{9}}, viewerNamed("Anna"), time.Now().Add(time.Hour)); session.KindOf(err) != session.Expired {
		t.Errorf("leave for a session that does not live: %v", err)
	}
}

// The view ends with the leave, with the session, and not with an older token shown again.
func TestWatchingEnds(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	w.plainShell(signer)
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	line := session.KeyLine(pub)
	soon := time.Now().Add(time.Minute)
	must(t, w.engine.AllowWatch(p.ID, line, viewerNamed("Anna"), time.Now().Add(time.Hour)))
	must(t, w.engine.AllowWatch(p.ID, line, viewerNamed("Anna"), soon)) // an older one
	if err := w.engine.AllowWatch(p.ID, line, viewerNamed("Bernd"), soon); session.KindOf(err) != session.Denied {
		t.Errorf("another person with the same key: %v", err)
	}
	kept := w.open(key, watchProof(p))
	pub, key, err = ed25519.GenerateKey(rand.Reader)
	must(t, err)
	must(t, w.engine.AllowWatch(p.ID, session.KeyLine(pub), viewerNamed("Bernd"), time.Now().Add(3*time.Second)))
	lost := w.open(key, watchProof(p))
	if n := lost.notice(attach.NoticeUnseen); !strings.Contains(n.Text, "Sign in again") {
		t.Errorf("%+v", n)
	}
	lost.gone()
	start := time.Now()
	must(t, w.engine.End(p.ID, session.RevokedGrant, "somebody"))
	if n := kept.notice(attach.NoticeEnded); n.Reason != session.RevokedGrant || n.Text == "" {
		t.Errorf("%+v", n)
	}
	kept.gone()
	t.Logf("ATTACK | somebody watches on after the grant was revoked | cut off | %v | holds", time.Since(start).Round(time.Millisecond))
	b := w.dialBrowser("NGH-PETCT1", "recon-ssh")
	must(t, b.Prove(key, watchProof(p)))
	if r := b.refusal(); r.Kind != session.Expired {
		t.Errorf("%+v", r)
	}
}

// One person's views, and one session's, leave room for others; keys that may watch as well.
func TestOnesShareOfWatching(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	w.plainShell(signer)
	let := 0
	for range 200 {
		key, err := w.mayWatch(p, viewerNamed("Anna"), time.Now().Add(time.Hour))
		if err != nil {
			if session.KindOf(err) != session.Refused {
				t.Fatal(err)
			}
			break
		}
		b := w.dialBrowser("NGH-PETCT1", "recon-ssh")
		must(t, b.Prove(key, watchProof(p)))
		b.listen()
		b.until("an answer", func() bool { return b.welcome != nil || b.refused != nil || b.closed })
		b.mu.Lock()
		if b.welcome != nil {
			let++
		}
		b.mu.Unlock()
	}
	if let == 0 || let > 8 {
		t.Errorf("%d were let in", let)
	}
	w.watch(p, "Bernd").until("Bernd sees it", func() bool { return true })
	t.Logf("ATTACK | one person takes all places to watch from | others watch | %d are let in | holds", let)
	crowd := 0
	for i := range 100 {
		if _, err := w.mayWatch(p, viewerNamed(fmt.Sprintf("x%d", i)), time.Now().Add(time.Hour)); err == nil {
			crowd++
		}
	}
	signer2, other := w.grant(all()...)
	w.plainShell(signer2)
	w.watch(other, "Carla")
	t.Logf("ATTACK | a hundred people watch one session | other sessions are watched | %d keys | holds", crowd)
}

// A watcher who takes nothing holds up neither the engineer nor the device, and sees the
// screen as it is once they read again.
func TestSlowWatcher(t *testing.T) {
	o := newOracle(t)
	words := make(chan string)
	o.exec = talk(words)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	ch, reqs, err := w.mustConnect(signer).OpenChannel("session", nil)
	must(t, err)
	go gossh.DiscardRequests(reqs)
	out := &shown{}
	go func() { _, _ = io.Copy(out, ch) }()
	for _, r := range []struct {
		kind    string
		payload []byte
	}{{"pty-req", ptyPayload("xterm", "")}, {"exec", str("talk")}} {
		if ok, err := ch.SendRequest(r.kind, true, r.payload); err != nil || !ok {
			t.Fatalf("%s: %v, %v", r.kind, ok, err)
		}
	}
	v := w.watch(p, "Anna")
	v.until("a picture", func() bool { return len(v.snapshots) > 0 })
	pause := make(chan struct{})
	v.mu.Lock()
	v.pause = pause
	v.mu.Unlock()
	line := strings.Repeat("x", 70) + "\r\n"
	for range 64 {
		words <- strings.Repeat(line, 256)
	}
	words <- "\x1b[2J\x1b[Hthe end"
	w.until("the engineer has it all", func() bool { return out.has("the end") })
	v.mu.Lock()
	v.pause = nil
	v.mu.Unlock()
	close(pause)
	w.until("the watcher sees how it stands", func() bool { return strings.Contains(v.shown(), "the end") })
	v.mu.Lock()
	took := len(v.output)
	v.mu.Unlock()
	if took >= 64*256*len(line) {
		t.Errorf("the watcher was sent all %d bytes", took)
	}
	close(words)
}
