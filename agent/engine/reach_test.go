package engine

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// A login that is under way is cut off by a freeze and by an end: once that is
// acknowledged nothing reaches the device.
func TestNothingIsSentToADeviceThatIsBeingReached(t *testing.T) {
	everyone := func(string, session.Person) bool { return true }
	for name, narrow := range map[string]func(e *Engine, id session.ID) error{
		"freeze":     func(e *Engine, id session.ID) error { _, err := e.Freeze(id, "local", "biomed"); return err },
		"freeze all": func(e *Engine, _ session.ID) error { _, err := e.FreezeWhere(everyone, "local", "biomed"); return err },
		"end":        func(e *Engine, id session.ID) error { return e.End(id, session.KilledLocal, "biomed") },
		"end all": func(e *Engine, _ session.ID) error {
			_, err := e.EndWhere(everyone, session.KilledLocal, "biomed")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := New(Config{
				Inner:   new(tls.Config),
				Tickets: everybody{time.Hour}, Lines: []Line{undrawn{}}, Protocol: func(string, string) session.Protocol { return session.SSH },
				Recordings: func(recordings.Header, recordings.Picture) (session.Recorder, error) { return &tape{}, nil }, Report: func(link.SessionReport) {},
				Agent: "SHA256:x", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now,
			})
			if err != nil {
				t.Fatal(err)
			}
			ticket, _ := e.Find("", Visit{})
			var late atomic.Bool
			var sent atomic.Int64
			acknowledged := make(chan struct{})
			login := func(ctx context.Context) (Device, error) {
				for ctx.Err() == nil {
					select {
					case <-acknowledged:
						late.Store(true)
					default:
					}
					sent.Add(1)
					runtime.Gosched()
				}
				select { // what was on its way still goes out, and whoever acknowledges waits for it
				case <-acknowledged:
					late.Store(true)
				case <-time.After(20 * time.Millisecond):
				}
				return nil, ctx.Err()
			}
			p, opened := &person{left: make(chan struct{})}, make(chan error, 2)
			var served sync.WaitGroup
			served.Go(func() {
				_ = e.Connect(context.Background(), Visit{}, session.SSH, p, func(ctx context.Context, c *Conn) session.EndReason {
					if err := c.Admit(ticket); err != nil {
						t.Error(err)
					}
					for range 2 { // an engineer who tries again at once
						_, err := c.Open(ctx, ticket, login)
						opened <- err
					}
					<-p.left
					return session.Completed
				})
			})
			for sent.Load() == 0 {
				runtime.Gosched()
			}
			if err := narrow(e, ticket.ID); err != nil {
				t.Fatal(err)
			}
			close(acknowledged)
			for range 2 {
				if err := <-opened; err == nil {
					t.Error("it was opened")
				}
			}
			if late.Load() {
				t.Error("something was sent after it was acknowledged")
			}
			_ = p.Close()
			e.Close()
			served.Wait()
		})
	}
	t.Log("ATTACK | a freeze or kill meets a device login under way | 0 bytes after it is acknowledged | 0 | holds")
}

// An event that is too large refuses what it was for, and is no lost recorder.
func TestAnEventTooLargeRefusesOneThing(t *testing.T) {
	held(t, time.Hour, nil, func(e *Engine, id session.ID, d *console, _ *person, r *tape) {
		record := d.conn.Recorder().Record
		err := record(session.Event{Kind: session.Input, Data: make([]byte, session.MaxEventData+1)})
		if session.KindOf(err) != session.Refused {
			t.Errorf("%v", err)
		}
		if err := record(session.Event{Kind: session.Input, Data: make([]byte, session.MaxEventData)}); err != nil {
			t.Errorf("the next one: %v", err)
		}
		if err := d.press('a'); err != nil || len(e.Live()) != 1 || e.Live()[0].ID != id {
			t.Errorf("the session: %v, %v", err, e.Live())
		}
	})
}
