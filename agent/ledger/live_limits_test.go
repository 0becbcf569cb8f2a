package ledger_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// admittedFor is admitted, for a request of sub.
func (s *site) admittedFor(t *testing.T, l *ledger.Ledger, sub string) ledger.Ticket {
	t.Helper()
	_, v := s.granted(t, l, func(r *grant.Request) { r.Eng.Sub = sub })
	ticket, err := l.Admit(v, s.now)
	must(t, err)
	return ticket
}

func TestSessionsOfOneEngineerAndOfTheHospitalAreLimited(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	limits := ledger.Limits{Engineer: 3, Site: 5}
	l.LimitSessions(limits)
	var evas []ledger.Ticket
	for range 5 {
		evas = append(evas, s.admittedFor(t, l, "eva"))
	}
	begin := func(ticket ledger.Ticket, at time.Time) error {
		_, err := l.Begin(ticket, at)
		return err
	}
	for _, ticket := range evas[:3] {
		must(t, begin(ticket, s.now))
	}
	refusedAs(t, begin(evas[3], s.now), session.Refused)
	must(t, begin(evas[0], s.now)) // another connection of a session that lives
	ben, bob, bill := s.admittedFor(t, l, "ben"), s.admittedFor(t, l, "bob"), s.admittedFor(t, l, "bill")
	must(t, begin(ben, s.now))
	must(t, begin(bob, s.now))
	refusedAs(t, begin(bill, s.now), session.Refused)
	refusedAs(t, begin(evas[3], s.now), session.Refused)

	// What lives is counted from disk, and refusals left nothing there.
	must(t, l.Close())
	l, err := ledger.Open(dir)
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	l.LimitSessions(limits)
	refusedAs(t, begin(bill, s.now), session.Refused)

	// An end makes room for whoever comes first; a grant that was refused is as good as before.
	must(t, l.End(bob.ID(), session.Completed, s.now))
	refusedAs(t, begin(evas[3], s.now), session.Refused)
	must(t, begin(bill, s.now))
	must(t, l.End(evas[1].ID(), session.KilledLocal, s.now))
	must(t, begin(evas[3], s.now))
	refusedAs(t, begin(evas[4], s.now), session.Refused)
	must(t, begin(evas[4], s.now.Add(31*time.Minute))) // the time of all of them is over
}

func TestOnePlaceIsTakenOnce(t *testing.T) {
	s := newSite(t)
	l, _ := opened(t)
	l.LimitSessions(ledger.Limits{Engineer: 3, Site: 20})
	var begun atomic.Int32
	var all sync.WaitGroup
	for range 10 {
		_, ticket := s.admitted(t, l)
		all.Go(func() {
			if _, err := l.Begin(ticket, s.now); err == nil {
				begun.Add(1)
			}
		})
	}
	if all.Wait(); begun.Load() != 3 {
		t.Errorf("%d sessions began at once, of 3", begun.Load())
	}
}
