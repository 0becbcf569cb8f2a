package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// Whoever has asked for their share is told so and what to do, and everybody else goes
// on; a ledger that is full of requests still takes what narrows.
func TestOnesShareOfTheLedgerLeavesOthersTheirs(t *testing.T) {
	const request, extension = "", grant.KindExtension
	type crowd struct {
		n       int
		who     string // vendor/engineer; many: as many engineers as requests
		kind    string
		granted bool
	}
	rows := []struct {
		attack  string
		crowd   []crowd
		refused []string // vendor/engineer
		others  []string
	}{
		{"one engineer's requests that wait", []crowd{{grant.MaxWaiting, "vendor/eva", request, false}},
			[]string{"vendor/eva"}, []string{"vendor/ed", "north/eva"}},
		{"one vendor's requests that wait", []crowd{{grant.MaxVendorWaiting, "vendor/many", request, false}},
			[]string{"vendor/eva"}, []string{"north/eva"}},
		{"one engineer's grants that nobody opens", []crowd{{ledger.MaxKeptEngineer, "vendor/eva", request, true}},
			[]string{"vendor/eva"}, []string{"vendor/ed", "north/eva"}},
		{"one vendor's grants that nobody opens", []crowd{{ledger.MaxKeptVendor, "vendor/many", request, true}},
			[]string{"vendor/eva"}, []string{"north/eva"}},
		{"requests of two vendors", []crowd{{ledger.MaxPending / 2, "vendor/many", request, false}, {ledger.MaxPending / 2, "north/many", request, false}},
			[]string{"vendor/eva", "south/eva"}, nil},
		{"grants of two vendors", []crowd{{ledger.MaxKept / 2, "vendor/many", request, true}, {ledger.MaxKept / 2, "north/many", request, true}},
			[]string{"vendor/eva", "south/eva"}, nil},
		{"one engineer's extensions that wait", []crowd{{grant.MaxWaiting, "vendor/eva", extension, false}},
			nil, []string{"vendor/eva", "vendor/ed"}},
	}
	for _, row := range rows {
		t.Run(row.attack, func(t *testing.T) {
			s := newSite(t)
			l := open(t, quickDir(t))
			defer l.Close()
			_, live := s.admitted(t, l)
			_, err := l.Begin(live, s.now)
			must(t, err)
			waits := s.ask(t, s.as("south/ina"))
			must(t, l.Pend(waits.doc, waits.receipt))
			n := 0
			for _, c := range row.crowd {
				n += c.n
				l.Fill(c.n, s.identity(c.who), c.kind, c.granted, s.now.Add(time.Hour))
			}
			for _, who := range row.refused {
				a := s.ask(t, s.as(who))
				refusedAs(t, l.Pend(a.doc, a.receipt), session.Refused)
			}
			for _, who := range row.others {
				a := s.ask(t, s.as(who))
				must(t, l.Pend(a.doc, a.receipt))
			}
			// A session that lives is asked to go on, and what narrows is taken, however full.
			longer := s.ask(t, func(r *grant.Request) {
				r.Kind, r.Parent, r.Key = grant.KindExtension, live.Grant().Grant().GID, ""
				r.MaxS += 1800
			})
			err = l.Pend(longer.doc, longer.receipt)
			if full := row.crowd[0].kind == extension; (err != nil) != full {
				t.Errorf("asked for an extension: %v", err)
			}
			must(t, l.Withdraw(waits.id, s.now))
			must(t, l.Bar(ledger.Scope{Asset: "MR2"}))
			must(t, l.Freeze(live.ID(), []string{"local"}, s.now))
			must(t, l.End(live.ID(), session.KilledLocal, s.now))
			s.now = s.now.Add(2 * time.Hour) // what nobody answered or opened is over
			for _, who := range append(row.refused, row.others...) {
				a := s.ask(t, s.as(who))
				must(t, l.Pend(a.doc, a.receipt))
			}
			t.Logf("ATTACK | %s fill the agent's ledger | others go on | %d of theirs are kept | holds", row.attack, n)
		})
	}
}

// An answer makes room, and what is approved needs none: an approval never fails for
// want of it.
func TestAnswersMakeRoom(t *testing.T) {
	s := newSite(t)
	l := open(t, quickDir(t))
	defer l.Close()
	var all []asked
	for range grant.MaxWaiting {
		a := s.ask(t, nil)
		must(t, l.Pend(a.doc, a.receipt))
		all = append(all, a)
	}
	more := s.ask(t, nil)
	refusedAs(t, l.Pend(more.doc, more.receipt), session.Refused)
	must(t, l.Pend(all[0].doc, all[0].receipt)) // the same once more takes none
	g := s.grant(t, all[0], nil)
	got, err := l.AddApproval(all[0].id, g, s.approve(t, all[0], g, "anna"))
	must(t, err)
	_, err = l.Admit(s.verify(t, all[0], g, got...), s.now)
	must(t, err)
	must(t, l.Pend(more.doc, more.receipt))
	more = s.ask(t, nil)
	refusedAs(t, l.Pend(more.doc, more.receipt), session.Refused)
	must(t, l.Withdraw(all[1].id, s.now))
	must(t, l.Pend(more.doc, more.receipt))
}

// However much is frozen by name, everything can be.
func TestEverythingCanBeFrozenBesideMuch(t *testing.T) {
	dir := quickDir(t)
	l := open(t, dir)
	for i := range ledger.MaxBars {
		must(t, l.Bar(ledger.Scope{Asset: fmt.Sprintf("CT%d", i)}))
	}
	refusedAs(t, l.Bar(ledger.Scope{Asset: "MR2"}), session.Refused)
	must(t, l.Bar(ledger.Scope{All: true}))
	refusedAs(t, l.Bar(ledger.Scope{Asset: "MR2"}), session.Refused)
	l = reopen(t, l, dir)
	if n := len(l.Bars()); n != ledger.MaxBars+1 {
		t.Errorf("%d are frozen by name", n)
	}
}

// as makes a request one of "vendor/engineer".
func (s *site) as(who string) func(*grant.Request) {
	return func(r *grant.Request) { r.Eng = s.identity(who) }
}

func (s *site) identity(who string) session.Identity {
	vendor, sub, _ := strings.Cut(who, "/")
	return session.Identity{Iss: s.url + "/" + vendor, Sub: sub}
}
