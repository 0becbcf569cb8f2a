package shell

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
)

// While a session is frozen nothing of the engineer reaches the device, on no channel
// and no connection; output goes on; the thaw lets what was typed pass, once.
func TestFrozenSession(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	c := w.mustConnect(signer)
	ch, reqs, err := c.OpenChannel("session", nil)
	must(t, err)
	go gossh.DiscardRequests(reqs)
	for _, r := range []struct {
		kind    string
		payload []byte
	}{{"pty-req", ptyPayload("xterm", "")}, {"shell", nil}} {
		if ok, err := ch.SendRequest(r.kind, true, r.payload); err != nil || !ok {
			t.Fatalf("%s: %v, %v", r.kind, ok, err)
		}
	}
	_, err = ch.Write([]byte("a"))
	must(t, err)
	w.until("the device hears a", func() bool { _, in := o.seen(); return string(in) == "a" })
	before, _ := o.seen()

	causes, err := w.engine.Freeze(p.ID, "local", "the operator")
	must(t, err)
	if !slices.Equal(causes, []string{"local"}) || !slices.Equal(w.lastReport().Frozen, []string{"local"}) {
		t.Errorf("causes %v, report %+v", causes, w.lastReport())
	}
	if live := w.engine.Live(); len(live) != 1 || !slices.Equal(live[0].Frozen, causes) {
		t.Errorf("%+v", live)
	}
	_, err = ch.Write([]byte("b"))
	must(t, err)
	for i := range byte(60) { // more than any queue of requests holds
		if _, err := ch.SendRequest("window-change", i%20 == 0, []byte{0, 0, 0, 100 + i, 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
	}
	if ok, _ := ch.SendRequest("signal", true, str("INT")); ok {
		t.Error("a signal passed")
	}
	if _, err := c.NewSession(); err == nil || !strings.Contains(err.Error(), "frozen") {
		t.Errorf("a new channel of the connection: %v", err)
	}
	other := w.mustConnect(signer)
	if _, err := other.NewSession(); err == nil || !strings.Contains(err.Error(), "frozen") {
		t.Errorf("a new connection: %v", err)
	}
	if after, in := o.seen(); string(in) != "a" || !slices.Equal(before, after) {
		t.Errorf("the device got %q and %q", after, in)
	}

	if left, err := w.engine.Thaw(p.ID, "broker", "somebody"); err == nil || !slices.Equal(left, causes) {
		t.Error("lifted from elsewhere")
	}
	if after, in := o.seen(); string(in) != "a" || !slices.Equal(before, after) {
		t.Errorf("the device got %q and %q", after, in)
	}
	left, err := w.engine.Thaw(p.ID, "local", "the operator")
	if err != nil || len(left) != 0 || len(w.lastReport().Frozen) != 0 {
		t.Errorf("%v, %v, %+v", left, err, w.lastReport())
	}
	w.until("the device hears b", func() bool { _, in := o.seen(); return string(in) == "ab" })
	w.until("the device learns the size", func() bool { got, _ := o.seen(); return len(got) == len(before)+1 })
	must(t, ch.CloseWrite())
	_ = c.Close()
	tape := w.tape(0)
	tape.wait(t)
	if got, _ := o.seen(); len(got) != len(before)+1 || got[len(before)][:16] != "window-change \x00\x00" || got[len(before)][17] != 159 {
		t.Errorf("after the thaw the device got %q", got[len(before):])
	}
	var marks []string
	for _, n := range documents[session.Note](t, tape, session.Marker) {
		marks = append(marks, n.Text)
	}
	all := strings.Join(marks, "\n")
	if !strings.Contains(all, "Frozen (local) by the operator") || !strings.Contains(all, "Freeze (local) lifted by the operator") {
		t.Errorf("marks: %s", all)
	}
}

// Output goes on while a session is frozen, whatever the client sends.
func TestOutputGoesOnWhileFrozen(t *testing.T) {
	o := newOracle(t)
	said := make(chan struct{})
	o.exec = func(ch gossh.Channel, _ string) bool {
		<-said
		for range 64 { // more than one window
			if _, err := ch.Write(make([]byte, 64<<10)); err != nil {
				return true
			}
		}
		_, _ = ch.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
		_ = ch.Close()
		return true
	}
	w := newWorld(t, o.dial)
	signer, p := w.grant(session.Exec)
	s, err := w.mustConnect(signer).NewSession()
	must(t, err)
	in, err := s.StdinPipe()
	must(t, err)
	out, err := s.StdoutPipe()
	must(t, err)
	must(t, s.Start("x"))
	w.until("it runs", func() bool { return len(w.engine.Live()) == 1 })
	_, err = w.engine.Freeze(p.ID, "broker", "the hospital")
	must(t, err)
	_, err = in.Write([]byte("typed"))
	must(t, err)
	close(said)
	n, buf := 0, make([]byte, 32<<10)
	for n < 64*64<<10 {
		m, err := out.Read(buf)
		if n += m; err != nil {
			break
		}
	}
	if n != 64*64<<10 {
		t.Errorf("%d bytes of output", n)
	}
}

func TestFreezeOfNothing(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	if _, err := w.engine.Freeze(session.NewID(), "local", "x"); session.KindOf(err) != session.Invalid {
		t.Errorf("%v", err)
	}
	if _, err := w.engine.Thaw(session.NewID(), "local", "x"); session.KindOf(err) != session.Invalid {
		t.Errorf("%v", err)
	}
	if w.engine.Extend(session.NewID(), time.Now().Add(time.Hour)) || w.engine.Announce(session.NewID()) {
		t.Error("something was live")
	}
}

// A freeze that cannot be written down holds all the same; a thaw that cannot be is none.
func TestFreezeWithALedgerThatFails(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	running(t, w.mustConnect(signer))
	w.rights.freezeErr = errors.New("disk full")
	if _, err := w.engine.Freeze(p.ID, "local", "x"); err == nil {
		t.Error("no error")
	}
	if _, err := w.engine.Thaw(p.ID, "local", "x"); err == nil {
		t.Error("no error")
	}
	if live := w.engine.Live(); len(live) != 1 || len(live[0].Frozen) != 1 {
		t.Errorf("%+v", live)
	}
}

// After a restart a frozen session is frozen, and its freeze can be lifted.
func TestFrozenOverARestart(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	facts := session.SessionFacts{Opened: time.Now(), Deadline: time.Now().Add(time.Hour)}
	w.rights.facts[p.ID] = facts
	w.engine.Resume([]engine.Resumed{{ID: p.ID, Request: p.Request, Asset: p.Asset, Service: "recon-ssh", Engineer: p.Engineer,
		Facts: facts, Frozen: []string{"local"}}})
	c := w.mustConnect(signer)
	if _, err := c.NewSession(); err == nil || !strings.Contains(err.Error(), "frozen") {
		t.Errorf("%v", err)
	}
	_, err := w.engine.Thaw(p.ID, "local", "x")
	must(t, err)
	s, err := c.NewSession()
	must(t, err)
	must(t, s.Run("true"))
}

// An engineer who leaves a frozen session leaves nothing behind.
func TestLeavingAFrozenSession(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	c := w.mustConnect(signer)
	s, err := c.NewSession()
	must(t, err)
	in, err := s.StdinPipe()
	must(t, err)
	must(t, s.Start("wait"))
	_, err = w.engine.Freeze(p.ID, "local", "x")
	must(t, err)
	_, err = in.Write([]byte("typed"))
	must(t, err)
	must(t, c.Close())
	if r := w.tape(0).wait(t); r != session.Completed {
		t.Errorf("sealed with %s", r)
	}
	if _, heard := o.seen(); len(heard) != 0 {
		t.Errorf("the device heard %q", heard)
	}
}

// A device that hangs up in a frozen session ends it, whatever waits for the thaw.
func TestDeviceHangsUpWhileFrozen(t *testing.T) {
	o := newOracle(t)
	o.files = true
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	c := w.mustConnect(signer)
	files, err := sftp.NewClient(c)
	must(t, err)
	_, err = files.Getwd()
	must(t, err)
	_, err = w.engine.Freeze(p.ID, "local", "x")
	must(t, err)
	dir := filepath.Join(t.TempDir(), "new")
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if files.Mkdir(dir) == nil {
			t.Error("made in a frozen session")
		}
	})
	w.until("it is on record and waits", func() bool { return len(w.tape(0).data(session.FileAction)) > 0 })
	must(t, (<-o.accepted).Close())
	if r := w.tape(0).wait(t); r != session.DeviceClosed {
		t.Errorf("sealed with %s", r)
	}
	waiting.Wait()
	if _, err := os.Stat(dir); err == nil {
		t.Error("it is there")
	}
}

// A session that is extended goes on at its old deadline and ends at the new one.
func TestExtend(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	w.rights.maxS = 700 * time.Millisecond
	signer, p := w.grant(all()...)
	wait, errOut := running(t, w.mustConnect(signer))
	device := <-o.accepted
	until := w.lastReport().Deadline.Add(800 * time.Millisecond)
	if !w.engine.Extend(p.ID, until) || !w.lastReport().Deadline.Equal(until) {
		t.Fatalf("not extended: %+v", w.lastReport())
	}
	if !w.engine.Extend(p.ID, until.Add(-time.Hour)) || !w.lastReport().Deadline.Equal(until) {
		t.Error("a deadline went back")
	}
	_ = device.Wait()
	if late := time.Since(until); late < -100*time.Millisecond || late > 2*time.Second { // however long it took to connect
		t.Errorf("cut %v after its end", late)
	}
	if wait() == nil || !strings.Contains(errOut.String(), "This session was extended") {
		t.Errorf("the engineer read %q", errOut)
	}
	if w.engine.Extend(p.ID, time.Now().Add(time.Hour)) {
		t.Error("an ended session was extended")
	}
}

// A connection on which nothing passes is closed, its session is not; a frozen one is kept.
func TestIdle(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	var limit, asked atomic.Int64
	limit.Store(int64(time.Hour))
	w.idle = func(string) time.Duration { asked.Add(1); return time.Duration(limit.Load()) }
	signer, p := w.grant(all()...)
	wait, errOut := running(t, w.mustConnect(signer))
	_, err := w.engine.Freeze(p.ID, "local", "x")
	must(t, err)
	limit.Store(int64(100 * time.Millisecond))
	was := asked.Load()
	w.until("the idle time is looked at twice", func() bool { return asked.Load() >= was+2 })
	if live := w.engine.Live(); len(live) != 1 || live[0].Connections != 1 || strings.Contains(errOut.String(), "idle") {
		t.Error("dropped while frozen")
	}
	_, err = w.engine.Thaw(p.ID, "local", "x")
	must(t, err)
	if wait() == nil || !strings.Contains(errOut.String(), "idle") {
		t.Errorf("the engineer read %q", errOut)
	}
	if r := w.tape(0).wait(t); r != session.OutOfTime {
		t.Errorf("sealed with %s", r)
	}
	if live := w.engine.Live(); len(live) != 1 {
		t.Error("the session ended too")
	}
}
