package access_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/turns"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// slow is an agent that looks at what a vendor's engineers ask until it is let go.
type slow struct {
	*accesstest.Agents
	vendor []byte
	inside chan string // who comes to be looked at
	open   chan struct{}
}

func (s *slow) Deliver(ctx context.Context, site, agent string, d link.Deliver) (link.Verdict, error) {
	if d.Kind == link.DeliverRequest && bytes.Contains(d.Request, s.vendor) {
		s.inside <- d.Token
		<-s.open
	}
	return s.Agents.Deliver(ctx, site, agent, d)
}

// slowed is a world whose agent is slow about a vendor, and how people ask it.
func slowed(t *testing.T, vendor string) (*world, *slow, func(person) error) {
	w := newWorld(t)
	s := &slow{Agents: w.agent, vendor: []byte(someone(vendor, "x", session.Engineer, "NGH").who.Iss), inside: make(chan string, 256), open: make(chan struct{})}
	var err error
	w.Access, err = access.New(access.Config{Documents: w.store, Listing: w.store, Wholes: w.store, Agents: s, Now: w.clock})
	w.must(err)
	return w, s, func(p person) error {
		raw := accesstest.Bytes(accesstest.Request(p.id(), "NGH", "NGH-CT2", w.clock()))
		_, err := w.Submit(t.Context(), p, raw, accesstest.Proof(p.who.Sub))
		return err
	}
}

// While an agent looks at all that it does at once for one vendor, whose others wait or are
// told to come back, another vendor's request is taken, and the hospital says yes and no.
func TestOneVendorDoesNotFillWhatAnAgentLooksAt(t *testing.T) {
	w, agent, ask := slowed(t, "loud")
	pending, _ := w.submit(adam)
	live, _ := w.approved(ada)
	w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(live, 1)))
	taken := w.granted(ada, "NGH-CT2")

	const people, each = 40, 2
	var asking sync.WaitGroup
	refused := make(chan error, people*each)
	for n := range people {
		for range each {
			asking.Go(func() {
				if err := ask(someone("loud", fmt.Sprintf("eng%02d", n), session.Engineer, "NGH")); err != nil {
					refused <- err
				}
			})
		}
	}
	const share = link.MaxWork / 4
	for range share {
		<-agent.inside
	}
	for range people*each - share - 4*16 { // no room to wait for these
		if err := <-refused; !errors.Is(err, turns.ErrBusy) || session.KindOf(err) != session.Refused {
			t.Error(err)
		}
	}

	began := time.Now()
	if err := ask(someone("other", "o", session.Engineer, "NGH")); err != nil {
		t.Errorf("another vendor: %v", err)
	}
	took := time.Since(began)
	w.granted(someone("third", "t", session.Engineer, "NGH"), "NGH-CT2")
	_, err := w.Deny(t.Context(), ben, pending.ID, "not now")
	w.must(err)
	_, err = w.Freeze(t.Context(), ben, sid(live))
	w.must(err)
	_, err = w.Kill(t.Context(), ben, sid(live))
	w.must(err)
	_, err = w.Revoke(t.Context(), ben, taken.ID, "over")
	w.must(err)
	if n := len(agent.inside); n > 0 {
		t.Errorf("the agent looks at %d more of one vendor's", n)
	}
	close(agent.open)
	asking.Wait()
	close(refused)
	for err := range refused {
		if !errors.Is(err, turns.ErrBusy) {
			t.Error(err)
		}
	}
	t.Logf("ATTACK | one vendor asks %d times at once of an agent that answers none of it | %d are looked at; others ask, and the hospital approves, denies, freezes, kills and revokes | another vendor waited %v | holds",
		people*each, share, took.Round(time.Millisecond))
}

// What one person asks beyond their share waits for its turn and is taken.
func TestWhatOnePersonAsksAtOnceIsTakenInTurn(t *testing.T) {
	_, agent, ask := slowed(t, "vendor")
	asked := make(chan error, 6)
	for range cap(asked) {
		go func() { asked <- ask(ada) }()
	}
	for range 3 {
		<-agent.inside
	}
	close(agent.open)
	for range cap(asked) {
		if err := <-asked; err != nil {
			t.Error(err)
		}
	}
}
