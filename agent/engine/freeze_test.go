package engine

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/link"
)

// everybody is a ledger that admitted everybody.
type everybody struct{ longest time.Duration }

func (everybody) Find(string, string, string, time.Time) (*Ticket, error) {
	return &Ticket{ID: session.NewID(), NotAfter: time.Now().Add(4 * time.Hour)}, nil
}

func (l everybody) Begin(t *Ticket, now time.Time) (session.SessionFacts, error) {
	return session.SessionFacts{Opened: now, Deadline: session.Deadline(now, l.longest, t.NotAfter)}, nil
}
func (everybody) End(session.ID, session.EndReason, time.Time) error { return nil }
func (everybody) Freeze(session.ID, []string, time.Time) error       { return nil }

// person is an engineer's side that remembers what it was told.
type person struct {
	mu   sync.Mutex
	told []attach.Notice
	left chan struct{}
	once sync.Once
}

func (p *person) Tell(n attach.Notice) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, n)
}
func (p *person) Farewell(session.EndReason, string) { _ = p.Close() }
func (p *person) Close() error {
	p.once.Do(func() { close(p.left) })
	return nil
}

// console is a device whose keys stay down until they are released.
type console struct {
	conn  *Conn
	gone  chan struct{}
	once  sync.Once
	stuck chan struct{} // when set, a release takes until it is closed

	mu   sync.Mutex
	down []byte
	sent []byte // what reached the device
}

func (d *console) Gone() <-chan struct{} { return d.gone }
func (d *console) Close() error          { d.once.Do(func() { close(d.gone) }); return nil }

func (d *console) press(key byte) error {
	return d.conn.Gate(nil, nil).Try(func() error { return d.send(key) })
}

// send records a key, and then sends it.
func (d *console) send(key byte) error {
	if err := d.conn.Recorder().Record(session.Event{Kind: session.Input, Data: []byte{key}}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down, d.sent = append(d.down, key), append(d.sent, key)
	return nil
}

// Release lifts the keys that are down: their capitals.
func (d *console) Release() error {
	if d.stuck != nil {
		select {
		case <-d.stuck:
		case <-d.gone:
			return errors.New("gone")
		}
	}
	d.mu.Lock()
	down := d.down
	d.mu.Unlock()
	for _, key := range down {
		if err := d.send(key - 'a' + 'A'); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = nil
	return nil
}

// undrawn is a line of which nothing can be drawn.
type undrawn struct{ Line }

func (undrawn) Protocol() session.Protocol         { return session.SSH }
func (undrawn) Picture(*Ticket) recordings.Picture { return nil }

// held runs a session of an engineer with a device that holds keys.
func held(t *testing.T, longest time.Duration, stuck chan struct{}, do func(e *Engine, id session.ID, d *console, p *person, r *tape)) {
	t.Helper()
	r := &tape{}
	e, err := New(Config{
		Inner:   new(tls.Config),
		Tickets: everybody{longest}, Lines: []Line{undrawn{}}, Protocol: func(string, string) session.Protocol { return session.SSH },
		Recordings: func(recordings.Header, recordings.Picture) (session.Recorder, error) { return r, nil }, Report: func(link.SessionReport) {},
		Agent: "SHA256:x", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p := &person{left: make(chan struct{})}
	d := &console{gone: make(chan struct{}), stuck: stuck}
	ticket, _ := e.Find("", Visit{})
	open := make(chan error, 1)
	var served sync.WaitGroup
	served.Go(func() {
		_ = e.Connect(context.Background(), Visit{}, session.SSH, p, func(ctx context.Context, c *Conn) session.EndReason {
			d.conn = c
			err := c.Admit(ticket)
			if err == nil {
				_, err = c.Open(ctx, ticket, func(context.Context) (Device, error) { return d, nil })
			}
			open <- err
			<-p.left
			return session.Completed
		})
	})
	if err := <-open; err != nil {
		t.Fatal(err)
	}
	do(e, ticket.ID, d, p, r)
	e.Close()
	served.Wait()
}

// A freeze lets go of what the engineer holds: behind a gate that is shut for everything
// else, on record first, and before it is acknowledged.
func TestFreezeReleases(t *testing.T) {
	held(t, time.Hour, nil, func(e *Engine, id session.ID, d *console, p *person, r *tape) {
		for _, key := range []byte("ab") {
			if err := d.press(key); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.Freeze(id, "local", "biomed"); err != nil {
			t.Fatal(err)
		}
		if string(d.sent) != "abAB" || len(d.down) != 0 {
			t.Errorf("the device got %q, %q is held", d.sent, d.down)
		}
		if err := d.press('c'); !errors.Is(err, errFrozen) {
			t.Errorf("pressed while frozen: %v", err)
		}
		r.mu.Lock()
		var order []string
		for _, ev := range r.events {
			if ev.Kind == session.Input {
				order = append(order, string(ev.Data))
				continue
			}
			var n session.Note
			if json.Unmarshal(ev.Data, &n) == nil {
				order = append(order, string(n.Kind))
			}
		}
		r.mu.Unlock()
		if got, _ := json.Marshal(order); string(got) != `["a","b","A","B","frozen"]` {
			t.Errorf("on record: %s", got)
		}
		if _, err := e.Thaw(id, "local", "biomed"); err != nil || d.press('c') != nil {
			t.Errorf("not thawed: %v", err)
		}
		if len(p.told) != 2 || p.told[0].Type != attach.NoticeFrozen || p.told[1].Type != attach.NoticeThawed {
			t.Errorf("told %+v", p.told)
		}
	})
}

// A release that does not come to its end is said, nothing else passes meanwhile, and a
// kill waits for it as little as for anything.
func TestFreezeOfADeviceThatDoesNotLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held(t, time.Hour, make(chan struct{}), func(e *Engine, id session.ID, d *console, _ *person, r *tape) {
			if err := d.press('a'); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if causes, err := e.Freeze(id, "local", "biomed"); session.KindOf(err) != session.Unreachable || len(causes) != 1 {
				t.Errorf("%v, %v", causes, err)
			}
			if took := time.Since(start); took != settleTime {
				t.Errorf("acknowledged after %v", took)
			}
			if err := d.press('b'); !errors.Is(err, errFrozen) {
				t.Errorf("pressed while frozen: %v", err)
			}
			start = time.Now()
			if err := e.End(id, session.KilledLocal, "biomed"); err != nil || time.Since(start) != 0 {
				t.Errorf("killed after %v: %v", time.Since(start), err)
			}
			if string(d.sent) != "a" {
				t.Errorf("the device got %q", d.sent)
			}
		})
	})
}

// Warnings come once each, at their times, and not for sessions that were never that long.
func TestWarnings(t *testing.T) {
	for longest, want := range map[time.Duration][]int{
		20 * time.Minute: {900, 300, 60}, 6 * time.Minute: {300, 60}, 30 * time.Second: nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			held(t, longest, nil, func(_ *Engine, _ session.ID, _ *console, p *person, r *tape) {
				start := time.Now()
				time.Sleep(longest - time.Second)
				synctest.Wait()
				var got []int
				p.mu.Lock()
				for _, n := range p.told {
					if n.Type == attach.NoticeWarning {
						got = append(got, n.LeftSeconds)
					}
				}
				p.mu.Unlock()
				if a, _ := json.Marshal(got); string(a) != string(must(json.Marshal(want))) {
					t.Errorf("%v: warned at %s", longest, a)
				}
				<-p.left
				if took := time.Since(start); took > longest+2*time.Second {
					t.Errorf("ended after %v", took)
				}
			})
		})
	}
}

func must(b []byte, _ error) []byte { return b }

// Passing an open gate takes no lock and allocates nothing.
func TestPassingIsCheap(t *testing.T) {
	var g gate
	var sent atomic.Int32
	send := func() error { sent.Add(1); return nil }
	g.mu.Lock() // who takes it waits for ever
	if n := testing.AllocsPerRun(100, func() { _ = g.Pass(send) }); n != 0 || sent.Load() == 0 {
		t.Errorf("%v allocations, %d sent", n, sent.Load())
	}
	g.mu.Unlock()
}
