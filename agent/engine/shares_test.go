package engine

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/link"
)

// hall is an engine with a line on which whoever says "vendor/engineer asset session" has
// proven to be that.
type hall struct {
	*testing.T
	e      *Engine
	served sync.WaitGroup
	mu     sync.Mutex
	seen   map[string]*Ticket
}

func newHall(t *testing.T) *hall {
	h := &hall{T: t, seen: map[string]*Ticket{}}
	var err error
	h.e, err = New(Config{
		Inner:   new(tls.Config),
		Tickets: noTickets{}, Lines: []Line{h}, Protocol: func(string, string) session.Protocol { return session.SSH }, Agent: "SHA256:a",
		Recordings: func(recordings.Header, recordings.Picture) (session.Recorder, error) { return &tape{}, nil },
		Report:     func(link.SessionReport) {}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.e.Close(); h.served.Wait() })
	return h
}

type noTickets struct{ Tickets }

func (h *hall) Protocol() session.Protocol                                 { return session.SSH }
func (h *hall) Picture(*Ticket) recordings.Picture                         { return nil }
func (h *hall) Attach(context.Context, *Engine, Visit, Browser) error      { return nil }
func (h *hall) Serve(ctx context.Context, e *Engine, v Visit, nc net.Conn) { h.serve(ctx, v, nc) }

// quiet is an engineer's side of which nothing is wanted but that it closes.
type quiet struct{ net.Conn }

func (quiet) Tell(attach.Notice)                   {}
func (q quiet) Farewell(session.EndReason, string) { _ = q.Close() }

func (h *hall) serve(ctx context.Context, v Visit, nc net.Conn) {
	_ = h.e.Connect(ctx, v, session.SSH, quiet{nc}, func(_ context.Context, c *Conn) session.EndReason {
		in := bufio.NewReader(nc)
		said, err := in.ReadString('\n')
		if err != nil {
			return session.Completed
		}
		if err := c.Admit(h.ticket(said)); err != nil {
			_, _ = io.WriteString(nc, err.Error()+"\n")
			return session.Completed
		}
		_, _ = io.WriteString(nc, "in\n")
		_, _ = in.ReadString('\n')
		return session.Completed
	})
}

func (h *hall) ticket(said string) *Ticket {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen[said] == nil {
		word := strings.Fields(said)
		h.seen[said] = &Ticket{ID: session.NewID(), Asset: word[1], Engineer: session.Person{Identity: identity(word[0])}, NotAfter: time.Now().Add(time.Hour)}
	}
	return h.seen[said]
}

func identity(who string) session.Identity {
	vendor, sub, _ := strings.Cut(who, "/")
	return session.Identity{Iss: vendor, Sub: sub}
}

// stranger opens a stream for somebody, who says nothing yet.
func (h *hall) stranger(who string) net.Conn {
	ours, theirs := net.Pipe()
	h.Cleanup(func() { _ = ours.Close() })
	h.served.Go(func() { h.e.Serve(context.Background(), Visit{Door: link.DoorSSH, By: identity(who)}, theirs) })
	return ours
}

// prove says who came, and returns what the agent says to that.
func (h *hall) prove(nc net.Conn, said string) string {
	h.Helper()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(nc, said+"\n"); err != nil {
		return "cut off: " + err.Error()
	}
	answer, err := bufio.NewReader(nc).ReadString('\n')
	if err != nil {
		return "cut off: " + err.Error()
	}
	return strings.TrimSpace(answer)
}

// lives reports whether a connection that was let in still stands.
func (h *hall) lives(nc net.Conn) bool {
	_ = nc.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := nc.Read(make([]byte, 1))
	return err != nil && !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "closed")
}

// Whoever has their share of an agent's connections is told so, and everybody else is let
// in.
func TestOnesShareOfTheConnectionsLeavesOthersTheirs(t *testing.T) {
	for _, row := range []struct {
		attack          string
		who, asset      string // "many" is another one each time
		n               int
		refused, others []string // "vendor/engineer asset"
	}{
		{"one engineer's connections", "vendor/eva", "many", maxPerEngineer,
			[]string{"vendor/eva CT1"}, []string{"vendor/ed CT1", "north/eva CT1"}},
		{"one vendor's connections", "vendor/many", "many", maxPerVendor,
			[]string{"vendor/ed CT1"}, []string{"north/eva CT1"}},
		{"connections to one scanner", "vendor/many", "CT1", maxPerAsset,
			[]string{"vendor/ed CT1", "north/eva CT1"}, []string{"vendor/ed CT2", "north/eva CT2"}},
	} {
		t.Run(row.attack, func(t *testing.T) {
			h := newHall(t)
			for i := range row.n {
				said := fmt.Sprintf("%s %s %d", row.who, row.asset, i)
				said = strings.ReplaceAll(said, "many", fmt.Sprintf("x%d", i))
				if got := h.prove(h.stranger(row.who), said); got != "in" {
					t.Fatalf("connection %d: %s", i, got)
				}
			}
			for _, who := range row.refused {
				if got := h.prove(h.stranger("vendor/eva"), who+" s"); !strings.Contains(got, "connections") {
					t.Errorf("%s beyond the share: %s", who, got)
				}
			}
			for _, who := range row.others {
				if got := h.prove(h.stranger("vendor/eva"), who+" s"); got != "in" {
					t.Errorf("%s: %s", who, got)
				}
			}
			t.Logf("ATTACK | %s take all of an agent's %d | others are let in | %d are let in | holds", row.attack, maxTotal, row.n)
		})
	}
}

// Streams on which nobody proves a key take nothing from anybody but whose they are:
// who has proven one is never cut off, and who comes for the first time has their time.
func TestStrangersAreShedAmongThemselves(t *testing.T) {
	for _, row := range []struct {
		attack string
		who    func(i int) string
		most   int
	}{
		{"silent streams of one engineer", func(int) string { return "vendor/eva" }, maxStrangersEach},
		{"silent streams of nobody that the broker names", func(int) string { return "" }, maxStrangersEach},
		{"silent streams of twenty engineers", func(i int) string { return fmt.Sprintf("vendor/x%d", i%20) }, maxStrangers},
	} {
		t.Run(row.attack, func(t *testing.T) {
			h := newHall(t)
			own, other, slow := h.stranger(row.who(0)), h.stranger("north/ina"), h.stranger("north/ina")
			for nc, said := range map[net.Conn]string{own: "vendor/eva CT1 1", other: "north/ina CT1 2"} {
				if got := h.prove(nc, said); got != "in" {
					t.Fatalf("%s: %s", said, got)
				}
			}
			const flood = 400
			for i := range flood {
				h.stranger(row.who(i))
			}
			deadline := time.Now().Add(time.Minute)
			left := func() int { // whoever was shed is gone in a moment
				h.e.mu.Lock()
				defer h.e.mu.Unlock()
				return len(h.e.conns) - 2
			}
			for left() > row.most+1 && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond)
			}
			if n := left(); n > row.most+1 {
				t.Errorf("%d streams wait for a key, more than %d", n, row.most)
			}
			if !h.lives(own) || !h.lives(other) {
				t.Error("whoever had proven a key was cut off")
			}
			if got := h.prove(slow, "north/ina CT1 3"); got != "in" {
				t.Errorf("a stranger who was there before: %s", got)
			}
			if got := h.prove(h.stranger("south/olaf"), "south/olaf CT2 4"); got != "in" {
				t.Errorf("a stranger who came after: %s", got)
			}
			t.Logf("ATTACK | %d %s | at most %d wait | %d | holds", flood, row.attack, row.most, left()-2) // the last two are proven by now
		})
	}
}

// A browser's stream takes a share from the proof of its key on, whatever it shows.
func TestOnesShareOfBrowsersLeavesOthersTheirs(t *testing.T) {
	h := newHall(t)
	come := func(said string) error {
		nc, _ := net.Pipe()
		if !h.e.enter(nc) {
			t.Fatal("not let in")
		}
		return h.e.known(nc, h.ticket(said))
	}
	for range maxPerEngineer {
		if err := come("vendor/eva CT1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := come("vendor/eva CT2"); session.KindOf(err) != session.Refused {
		t.Errorf("one too many: %v", err)
	}
	for _, other := range []string{"vendor/ed CT1", "north/eva CT1"} {
		if err := come(other); err != nil {
			t.Errorf("%s: %v", other, err)
		}
	}
	t.Logf("ATTACK | one engineer's browsers take all of an agent's %d | others are let in | %d are let in | holds", maxTotal, maxPerEngineer)
}
