package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// within fails when something takes longer than a promise allows. The promises are
// 1 s; a busy test machine gets another.
func within(t *testing.T, limit time.Duration, what string, do func()) {
	t.Helper()
	start := time.Now()
	do()
	if took := time.Since(start); took > limit {
		t.Errorf("%s took %v", what, took)
	}
}

// lines collects what an engineer reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *lines) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// running is a command that waits for input, and what it said.
func running(t *testing.T, c *gossh.Client) (wait func() error, errOut *lines) {
	t.Helper()
	s, err := c.NewSession()
	must(t, err)
	errOut = &lines{}
	s.Stderr = errOut
	in, err := s.StdinPipe()
	must(t, err)
	_ = in
	must(t, s.Start("wait"))
	return s.Wait, errOut
}

// The deadline is real: the device is cut, the engineer reads why, the recording and
// the ledger say so, and the broker is told.
func TestDeadline(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	w.rights.maxS = 700 * time.Millisecond
	signer, p := w.grant(all()...)
	start := time.Now()
	c := w.mustConnect(signer)
	wait, errOut := running(t, c)
	device := <-o.accepted
	_ = device.Wait()
	if took := time.Since(start); took < w.rights.maxS || took > w.rights.maxS+time.Second {
		t.Errorf("the device was cut after %v", took)
	}
	if err := wait(); err == nil {
		t.Error("the command ended well")
	}
	if !strings.Contains(errOut.String(), "This session ended at its limit.") {
		t.Errorf("the engineer read %q", errOut)
	}
	if reason := w.tape(0).wait(t); reason != session.OutOfTime {
		t.Errorf("sealed with %q", reason)
	}
	w.until("the end is reported", func() bool { return w.lastReport().Reason == session.OutOfTime })
	if w.rights.reason(p.ID) != session.OutOfTime || len(w.engine.Live()) != 0 {
		t.Error("the ledger does not know, or the session still shows")
	}
	if _, err := w.mustConnect(signer).NewSession(); err == nil {
		t.Error("the session opened again")
	}
}

// A session that nobody is connected to ends and is reported too, also after a restart.
func TestDeadlineWithoutConnections(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	w.rights.maxS = 600 * time.Millisecond
	signer, p := w.grant(all()...)
	c := w.mustConnect(signer)
	s, err := c.NewSession()
	must(t, err)
	must(t, s.Run("true"))
	must(t, c.Close())
	w.until("the end is reported", func() bool { return w.lastReport().Reason == session.OutOfTime })
	if w.rights.reason(p.ID) != session.OutOfTime {
		t.Error("the ledger does not know")
	}

	old := engine.Resumed{ID: session.NewID(), Request: "R-x", Asset: "NGH-PETCT1", Service: "recon-ssh",
		Facts:      session.SessionFacts{Opened: time.Now().Add(-time.Hour), Deadline: time.Now().Add(300 * time.Millisecond)},
		Recordings: []link.RecordingReport{{Recording: "V-x"}}}
	ended := old
	ended.ID, ended.Facts.Ended = session.NewID(), time.Now()
	w.engine.Resume([]engine.Resumed{old, ended})
	if live := w.engine.Live(); len(live) != 1 || live[0].ID != old.ID {
		t.Errorf("resumed %+v", live)
	}
	w.until("the resumed session ends", func() bool { return w.rights.reason(old.ID) == session.OutOfTime })
	w.until("that is reported", func() bool {
		r := w.lastReport()
		return r.Session == old.ID.Session() && r.Reason == session.OutOfTime && len(r.Recordings) == 1
	})
	if w.rights.reason(ended.ID) != "" {
		t.Error("an ended session was ended again")
	}
}

// Reports of one session carry growing numbers, also over a restart.
func TestReportsGrow(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	s, err := w.mustConnect(signer).NewSession()
	must(t, err)
	must(t, s.Run("true"))
	must(t, w.engine.End(p.ID, session.KilledLocal, "biomed"))
	w.until("the end is reported", func() bool { return w.lastReport().Reason == session.KilledLocal })
	w.until("the session is forgotten, so it can be resumed", func() bool {
		w.engine.Resume([]engine.Resumed{{ID: p.ID, Request: "R-x", Facts: session.SessionFacts{Opened: time.Now(), Deadline: time.Now().Add(time.Hour)}}})
		return len(w.engine.Live()) == 1
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	var last uint64
	for _, r := range w.reports {
		if r.Seq <= last || r.Session != p.ID.Session() {
			t.Errorf("report %d after %d", r.Seq, last)
		}
		last = r.Seq
	}
	if len(w.reports) != 4 || len(w.reports[1].Recordings) != 1 || w.reports[0].Opened.IsZero() {
		t.Errorf("%+v", w.reports)
	}
	if w.busy[0] != 1 {
		t.Errorf("busy %v", w.busy)
	}
}

// A kill takes at most a second, whatever anybody is doing: output floods an engineer
// who does not read, input floods a device that does not read, the recorder hangs.
func TestKill(t *testing.T) {
	t.Parallel()
	flood := func(ch gossh.Channel, command string) bool {
		if command != "flood" {
			return command == "deaf"
		}
		buf := bytes.Repeat([]byte("x"), 64<<10)
		for {
			if _, err := ch.Write(buf); err != nil {
				return true
			}
		}
	}
	for _, test := range []struct {
		name, command string
		read, write   bool
		stall         bool
	}{
		{name: "idle", command: "deaf", read: true},
		{name: "flood read", command: "flood", read: true},
		{name: "flood not read", command: "flood"},
		{name: "device does not read", command: "deaf", read: true, write: true},
		{name: "nobody reads", command: "flood", write: true},
		{name: "recorder hangs", command: "flood", stall: true, write: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := newOracle(t)
			o.exec = flood
			w := newWorld(t, o.dial)
			hang := make(chan struct{})
			w.make = func(h recordings.Header) (*tape, error) { return newTape(h), nil }
			signer, p := w.grant(all()...)
			c := w.mustConnect(signer)
			s, err := c.NewSession()
			must(t, err)
			device := <-o.accepted
			out, err := s.StdoutPipe()
			must(t, err)
			in, err := s.StdinPipe()
			must(t, err)
			must(t, s.Start(test.command))
			if test.stall {
				w.tape(0).mu.Lock() // whoever records now waits
				go func() { <-hang; w.tapes[0].mu.Unlock() }()
			}
			var work sync.WaitGroup
			if test.read {
				work.Go(func() { _, _ = io.Copy(io.Discard, out) })
			}
			if test.write {
				work.Go(func() {
					for buf := make([]byte, 64<<10); ; {
						if _, err := in.Write(buf); err != nil {
							return
						}
					}
				})
			}
			time.Sleep(100 * time.Millisecond) // let the floods fill every window
			within(t, 2*time.Second, "the kill", func() {
				must(t, w.engine.End(p.ID, session.KilledLocal, "biomed"))
				_ = device.Wait()
				_ = c.Wait()
			})
			close(hang)
			work.Wait()
			if reason := w.tape(0).wait(t); reason != session.KilledLocal {
				t.Errorf("sealed with %q", reason)
			}
			if w.rights.reason(p.ID) != session.KilledLocal {
				t.Error("the ledger does not know")
			}
		})
	}
}

// Killing by asset and altogether; a grant that nobody opened is closed too.
func TestKillMany(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	var ids []session.ID
	for range 3 {
		signer, p := w.grant(all()...)
		running(t, w.mustConnect(signer))
		ids = append(ids, p.ID)
	}
	on := func(name string) func(string, session.Person) bool {
		return func(asset string, _ session.Person) bool { return asset == name }
	}
	if ended, err := w.engine.EndWhere(on("OTHER"), session.KilledLocal, "x"); err != nil || len(ended) != 0 {
		t.Errorf("%v, %v", ended, err)
	}
	if len(w.engine.Live()) != 3 {
		t.Errorf("%d live", len(w.engine.Live()))
	}
	ended, err := w.engine.EndWhere(on("NGH-PETCT1"), session.KilledLocal, "x")
	if err != nil || len(ended) != 3 || len(w.engine.Live()) != 0 {
		t.Errorf("%v, %v", ended, err)
	}
	for _, id := range ids {
		if w.rights.reason(id) != session.KilledLocal {
			t.Error("not in the ledger")
		}
	}
	signer, p := w.grant(all()...)
	c := w.mustConnect(signer)
	must(t, w.engine.End(p.ID, session.RevokedGrant, "approver"))
	if w.rights.reason(p.ID) != session.RevokedGrant {
		t.Error("an unopened grant was not closed")
	}
	within(t, 2*time.Second, "cutting an idle connection", func() { _ = c.Wait() })
	never := session.NewID()
	must(t, w.engine.End(never, session.RevokedGrant, "approver"))
	if w.rights.reason(never) != session.RevokedGrant {
		t.Error("a grant that nobody connected to was not closed")
	}
}

// A ledger that cannot write does not save a session from its end, and the end is
// final in memory until it is written.
func TestKillWithALedgerThatFails(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	c := w.mustConnect(signer)
	running(t, c)
	w.rights.mu.Lock()
	w.rights.endErr = errors.New("disk full")
	w.rights.mu.Unlock()
	if err := w.engine.End(p.ID, session.KilledLocal, "x"); err == nil {
		t.Error("the ledger's error is hidden")
	}
	_ = c.Wait()
	if again, err := w.connect(signer); err == nil {
		_ = again.Close()
		t.Error("connected again after the kill")
	}
}

// The kill while the device is being dialled cuts the dial.
func TestKillWhileDialling(t *testing.T) {
	dialling := make(chan struct{})
	w := newWorld(t, func(ctx context.Context) (*gossh.Client, error) {
		close(dialling)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	signer, p := w.grant(all()...)
	c := w.mustConnect(signer)
	opened := make(chan error, 1)
	go func() { _, err := c.NewSession(); opened <- err }()
	<-dialling
	within(t, 2*time.Second, "the kill", func() {
		must(t, w.engine.End(p.ID, session.KilledLocal, "x"))
		if err := <-opened; err == nil {
			t.Error("a channel opened")
		}
	})
	if reason := w.tape(0).wait(t); reason != session.KilledLocal {
		t.Errorf("sealed with %q", reason)
	}
}

// A recorder that fails at byte N lets nothing beyond N through, in either direction;
// the session ends within a second and the engineer reads why.
func TestRecorderFails(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 7, 100, 1000, 4096, 32<<10 - 1, 32 << 10, 32<<10 + 1, 100_000, 1 << 20, 3<<20 + 11} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			o := newOracle(t)
			w := newWorld(t, o.dial)
			w.make = func(h recordings.Header) (*tape, error) { r := newTape(h); r.failAfter = n; return r, nil }
			signer, p := w.grant(all()...)
			c := w.mustConnect(signer)
			s, err := c.NewSession()
			must(t, err)
			var out bytes.Buffer
			errOut := &lines{}
			s.Stdout, s.Stderr = &out, errOut
			sent := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
			s.Stdin = bytes.NewReader(sent)
			_ = s.Run("cat")
			_ = c.Close()
			within(t, 2*time.Second, "the end", func() {
				if reason := w.tape(0).wait(t); reason != session.RecorderLost {
					t.Errorf("sealed with %q", reason)
				}
			})
			_, input := o.seen()
			r := w.tape(0)
			if in := r.data(session.Input); !bytes.HasPrefix(in, input) {
				t.Errorf("%d bytes reached the device, %d are on record", len(input), len(in))
			}
			if o := r.data(session.Output); !bytes.HasPrefix(o, out.Bytes()) {
				t.Errorf("%d bytes reached the engineer, %d are on record", out.Len(), len(o))
			}
			if len(input)+out.Len() > n {
				t.Errorf("%d bytes passed, the recorder took %d", len(input)+out.Len(), n)
			}
			if !strings.Contains(errOut.String(), "can no longer be recorded") {
				t.Errorf("the engineer read %q", errOut)
			}
			w.until("the ledger knows", func() bool { return w.rights.reason(p.ID) == session.RecorderLost })
		})
	}
}

// losing is a recorder that says by itself that it is lost.
type losing struct {
	*tape
	lost chan struct{}
}

func (l losing) Lost() <-chan struct{} { return l.lost }

// A recorder that is lost while nothing flows ends the session too.
func TestRecorderLostInSilence(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	lost := make(chan struct{})
	r := newTape(recordings.Header{})
	w.recordings = func(recordings.Header) (session.Recorder, error) { return losing{r, lost}, nil }
	signer, p := w.grant(all()...)
	running(t, w.mustConnect(signer))
	close(lost)
	if reason := r.wait(t); reason != session.RecorderLost {
		t.Errorf("sealed with %q", reason)
	}
	w.until("the ledger knows", func() bool { return w.rights.reason(p.ID) == session.RecorderLost })
}

// The broker may be away for a minute; then live sessions end.
func TestLinkLost(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	running(t, w.mustConnect(signer))
	w.engine.LinkState(false, time.Now().Add(-50*time.Second))
	w.engine.LinkState(true, time.Now())
	w.engine.LinkState(false, time.Now().Add(-58*time.Second))
	w.engine.LinkState(false, time.Now()) // does not start again
	start := time.Now()
	if reason := w.tape(0).wait(t); reason != session.LinkLost {
		t.Errorf("sealed with %q", reason)
	}
	if took := time.Since(start); took < time.Second || took > 4*time.Second {
		t.Errorf("ended after %v, two seconds were left", took)
	}
	w.until("the ledger knows", func() bool { return w.rights.reason(p.ID) == session.LinkLost })
}

// A warning that falls due is read on every open channel, once.
func TestWarnings(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	w.rights.maxS = 25 * time.Second // too short for any warning
	signer, p := w.grant(all()...)
	c := w.mustConnect(signer)
	_, one := running(t, c)
	_, two := running(t, c)
	if !w.engine.Extend(p.ID, time.Now().Add(55*time.Second)) { // and now the last one is due
		t.Fatal("not extended")
	}
	for _, errOut := range []*lines{one, two} {
		w.until("the engineer read it", func() bool { return strings.Contains(errOut.String(), "This session ends in 1 minute.") })
	}
	for _, errOut := range []*lines{one, two} {
		if n := strings.Count(errOut.String(), "This session ends in"); n != 1 {
			t.Errorf("%d warnings: %q", n, errOut)
		}
	}
}

// When the agent stops, connections end, recordings are sealed, sessions stay open.
func TestAgentStops(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	_, errOut := running(t, w.mustConnect(signer))
	w.engine.Close()
	if reason := w.tape(0).wait(t); reason != session.AgentLost {
		t.Errorf("sealed with %q", reason)
	}
	if w.rights.reason(p.ID) != "" || !strings.Contains(errOut.String(), "agent is stopping") {
		t.Errorf("%q, %q", w.rights.reason(p.ID), errOut)
	}
	if c, err := w.connect(signer); err == nil {
		_ = c.Close()
		t.Error("connected to a stopped agent")
	}
}
