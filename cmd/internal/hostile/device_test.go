package hostile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// Bounds that a device cannot make the agent break. The heap holds the test's broker,
// engineer and device too, whose windows are 2 MiB each.
const (
	mostHeap       = 64 << 20
	mostGoroutines = 120
	killTime       = time.Second
	deadlineTime   = 2 * time.Second
)

// work is an engineer's shell on the device.
type work struct {
	client *gossh.Client
	run    *gossh.Session
	stdin  io.Writer
	mu     sync.Mutex
	out    int64
	first  []byte
	said   bytes.Buffer // standard error
	reads  sync.WaitGroup
	ended  chan struct{}
}

// granted is a key that opens a session of at most the given length.
func (s *siege) granted(seconds int64) asked {
	s.t.Helper()
	a := s.pend(s.ask(func(r *grant.Request) { r.MaxS = seconds }))
	doc := s.grantFor(a, nil)
	if v := s.deliverApproval(a, doc, s.approve(a, doc, "approver", "sallyport-console", nil)); !v.OK || !v.Admitted {
		s.t.Fatalf("not admitted: %+v", v)
	}
	return a
}

// dial is an engineer's SSH connection through the broker.
func (s *siege) dial(a asked) *gossh.Client {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := s.broker.Open(ctx, site, agentName, link.Open{Asset: "NGH-PETCT1", Service: "recon-ssh", Door: link.DoorSSH})
	if err != nil {
		s.t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(a.key)
	if err != nil {
		s.t.Fatal(err)
	}
	sc, channels, requests, err := gossh.NewClientConn(conn, "agent", &gossh.ClientConfig{
		User: "sallyport", Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)}, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	client := gossh.NewClient(sc, channels, requests)
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// shell starts one; with reads false nobody takes its output.
func (s *siege) shell(client *gossh.Client, reads bool) (*work, error) {
	run, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	w := &work{client: client, run: run, ended: make(chan struct{})}
	w.stdin, err = run.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := run.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := run.StderrPipe()
	if err != nil {
		return nil, err
	}
	if s.mode == simulator.Painter { // as large as a terminal is drawn
		if err := run.RequestPty("xterm", 131, 1000, nil); err != nil {
			return nil, err
		}
	}
	if err := run.Shell(); err != nil {
		return nil, err
	}
	w.reads.Go(func() { _, _ = io.Copy(locked{w}, stderr) })
	if reads {
		w.reads.Go(func() { _, _ = io.Copy(counter{w}, out) })
	}
	go func() { _ = run.Wait(); w.reads.Wait(); close(w.ended) }()
	return w, nil
}

type counter struct{ w *work }

func (c counter) Write(p []byte) (int, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.out += int64(len(p))
	if len(c.w.first) < 1<<16 {
		c.w.first = append(c.w.first, p...)
	}
	return len(p), nil
}

type locked struct{ w *work }

func (l locked) Write(p []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.said.Write(p)
}

func (w *work) got() (n int64, first []byte, said string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out, bytes.Clone(w.first), w.said.String()
}

// bounded watches heap and goroutines of everything while it is called.
func bounded(t *testing.T, base int) {
	t.Helper()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > mostHeap {
		runtime.GC()
		runtime.ReadMemStats(&m)
	}
	if m.HeapAlloc > mostHeap {
		t.Errorf("the heap grew to %d MiB", m.HeapAlloc>>20)
	}
	if n := runtime.NumGoroutine() - base; n > mostGoroutines {
		t.Errorf("%d goroutines more than before", n)
	}
}

// until waits for what must come about within a limit, and says how long it took.
func (s *siege) until(what string, limit time.Duration, ok func() bool) time.Duration {
	s.t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			s.t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(began)
}

// intact reads every recording from end to end as any verifier would, and returns its
// output and how it ended.
func (s *siege) intact() (output []byte, reasons []session.EndReason) {
	s.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(s.state, "spool", "V-*"))
	if err != nil || len(dirs) == 0 {
		s.t.Fatalf("no recordings: %v", err)
	}
	for _, dir := range dirs {
		s.until("the recording is sealed", 10*time.Second, func() bool {
			_, err := os.Stat(filepath.Join(dir, "seal"))
			return err == nil
		})
		r, err := recordings.Follow(dir)
		if err != nil {
			s.t.Fatal(err)
		}
		for {
			e, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				s.t.Fatalf("the recording is not intact: %v", err)
			}
			if e.Kind == session.Output && len(output) < 1<<16 {
				output = append(output, e.Data...)
			}
		}
		seal, ok := r.Seal()
		if !ok {
			s.t.Fatal("the recording is not sealed")
		}
		reasons = append(reasons, seal.Reason)
		_ = r.Close()
	}
	return output, reasons
}

// A device that misbehaves neither grows the agent nor holds a kill or a deadline up,
// whether the engineer reads or not; what was shown is on record, and she is told.
func TestDevicesThatMisbehave(t *testing.T) {
	for _, mode := range []simulator.Mode{simulator.Flood, simulator.Escapes, simulator.EndlessRow, simulator.HalfClosed, simulator.Deaf, simulator.Intruder} {
		for _, reads := range []bool{true, false} {
			name := string(mode)
			if !reads {
				name += ", nobody reads"
			}
			t.Run(name+", killed", func(t *testing.T) { misbehaves(t, mode, reads, 600) })
		}
		t.Run(string(mode)+", out of time", func(t *testing.T) { misbehaves(t, mode, false, 2) })
	}
}

func misbehaves(t *testing.T, mode simulator.Mode, reads bool, seconds int64) {
	s := besiegeWith(t, mode)
	base := runtime.NumGoroutine()
	began := time.Now()
	w, err := s.shell(s.dial(s.granted(seconds)), reads)
	if err != nil {
		t.Fatal(err)
	}
	var typing sync.WaitGroup
	typing.Go(func() { // more than any window holds; a device that is deaf takes none of it
		for range 256 {
			if _, err := w.stdin.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	for range 10 {
		time.Sleep(40 * time.Millisecond)
		bounded(t, base)
	}
	reason := session.OutOfTime
	if seconds > 60 {
		reason = session.KilledLocal
		ended := time.Now()
		if _, err := (console.Client{Socket: filepath.Join(s.state, "agent.sock")}).Kill(t.Context(), console.Target{All: true}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(ended); took > killTime {
			t.Errorf("the kill took %s", took)
		}
		s.until("the device is let go", killTime, s.letGo)
	} else {
		s.until("the device is let go", time.Until(began.Add(time.Duration(seconds)*time.Second+deadlineTime+time.Second)), s.letGo)
	}
	s.afterwards(w, reads, reason, &typing)
	for _, seen := range s.device.Seen() {
		if strings.HasPrefix(seen, "ADMITTED") || strings.HasPrefix(seen, "GRANTED") {
			t.Errorf("the device got in: %s", seen)
		}
	}
	s.until("nothing is left running", 5*time.Second, func() bool { return runtime.NumGoroutine() <= base+20 })
}

// letGo reports whether the device's connection has been closed. One that does not
// read cannot notice, but its recording is sealed only after.
func (s *siege) letGo() bool {
	if s.mode == simulator.Deaf {
		sealed, _ := filepath.Glob(filepath.Join(s.state, "spool", "V-*", "seal"))
		return len(sealed) == 1
	}
	return s.device.Connections() == 0
}

// afterwards checks what is left of a session: the engineer was told, the recording
// is whole, and it has what she saw.
func (s *siege) afterwards(w *work, reads bool, reason session.EndReason, typing *sync.WaitGroup) {
	s.t.Helper()
	if reads {
		select {
		case <-w.ended:
		case <-time.After(30 * time.Second):
			s.t.Fatal("the engineer's shell never ended")
		}
		// After the end of its output nothing more can be said on a channel: SSH forbids it.
		if _, _, said := w.got(); s.mode != simulator.HalfClosed && !strings.Contains(said, "ended") && !strings.Contains(said, "closed") {
			s.t.Errorf("the engineer was told %q", said)
		}
	}
	_ = w.client.Close()
	typing.Wait()
	output, reasons := s.intact()
	if len(reasons) != 1 || reasons[0] != reason {
		s.t.Errorf("the recordings ended with %v, want %s", reasons, reason)
	}
	_, first, _ := w.got()
	if n := min(len(first), len(output)); !bytes.Equal(first[:n], output[:n]) || len(first) > len(output) && len(output) < 1<<16 {
		s.t.Error("what was shown is not what was recorded")
	}
}

// A device that lets nobody in is given up on in time, and the engineer told.
func TestDevicesThatLetNobodyIn(t *testing.T) {
	for _, mode := range []simulator.Mode{simulator.NoLogin, simulator.Banners} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := besiegeWith(t, mode)
			base := runtime.NumGoroutine()
			client := s.dial(s.granted(600))
			began := time.Now()
			got := make(chan error, 1)
			go func() { _, err := s.shell(client, true); got <- err }()
			for waiting := true; waiting; {
				select {
				case err := <-got:
					waiting = false
					if err == nil || !strings.Contains(err.Error(), "did not answer in time") {
						t.Errorf("the engineer was told %v", err)
					}
				case <-time.After(100 * time.Millisecond):
					bounded(t, base+mostGoroutines) // two tests side by side
					if time.Since(began) > 14*time.Second {
						t.Fatal("the login was not given up")
					}
				}
			}
			if _, reasons := s.intact(); len(reasons) != 1 || reasons[0] != session.Failed {
				t.Errorf("the recordings ended with %v", reasons)
			}
		})
	}
}

// A kill does not wait for a login that never comes.
func TestKillDuringLogin(t *testing.T) {
	s := besiegeWith(t, simulator.NoLogin)
	client := s.dial(s.granted(600))
	done := make(chan struct{})
	go func() { defer close(done); _, _ = s.shell(client, true) }()
	s.until("the device is asked", 5*time.Second, func() bool { return s.device.Connections() == 1 })
	began := time.Now()
	if _, err := (console.Client{Socket: filepath.Join(s.state, "agent.sock")}).Kill(t.Context(), console.Target{All: true}); err != nil {
		t.Fatal(err)
	}
	<-done
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A device that hangs up in the middle: all it said is shown and recorded.
func TestDeviceThatQuits(t *testing.T) {
	s := besiegeWith(t, simulator.Quits)
	w, err := s.shell(s.dial(s.granted(600)), true)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the engineer's shell never ended")
	}
	if n, _, said := w.got(); !strings.Contains(said, "device closed the connection") {
		t.Errorf("after %d bytes the engineer was told %q", n, said)
	}
	var typing sync.WaitGroup
	s.afterwards(w, false, session.DeviceClosed, &typing)
}
