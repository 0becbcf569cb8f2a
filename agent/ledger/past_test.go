package ledger_test

import (
	ctx "context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// memory is a ledger whose requests come again and again, while its clock and its agent
// do as they like.
type memory struct {
	s      *site
	l      *ledger.Ledger
	dir    string
	wall   time.Time
	asked  []asked
	tokens []grant.Proof
	taken  []int // times, of each
	last   []time.Time
}

func (m *memory) now() time.Time { return m.l.Moment(m.wall) }

// ask brings a new request; its token is of the moment.
func (m *memory) ask(t *rapid.T) {
	window := time.Duration(rapid.IntRange(1, 8).Draw(t, "hours")) * time.Hour
	m.s.now = m.now().Round(0)
	a := m.s.ask(t, func(r *grant.Request) { r.EXP = r.NBF + int64(window/time.Second) })
	m.asked, m.tokens = append(m.asked, a), append(m.tokens, a.receipt.Proof)
	m.taken, m.last = append(m.taken, 0), append(m.last, time.Unix(a.request.EXP, 0))
	m.deliver(t, len(m.asked)-1)
}

// deliver brings a request, as it came before or for the first time.
func (m *memory) deliver(t *rapid.T, i int) {
	lost := m.taken[i] != 0 && !m.there(t, i)
	_, receipt, err := m.s.verifier.CheckRequest(ctx.Background(), m.asked[i].doc, m.tokens[i], m.now())
	if err == nil {
		err = m.l.Pend(m.asked[i].doc, receipt)
	}
	if err == nil && (lost || m.taken[i] == 2) {
		t.Fatalf("taken again after it was closed or forgotten")
	}
	if err == nil {
		m.taken[i] = 1
	}
}

// answer approves a request that waits, opens its session and ends it, or withdraws it.
func (m *memory) answer(t *rapid.T, i int) {
	now := m.now()
	if m.taken[i] != 1 || m.l.Behind() > 0 || !m.there(t, i) {
		return
	}
	if rapid.Bool().Draw(t, "withdrawn") {
		if err := m.l.Withdraw(m.asked[i].id, now); err != nil {
			t.Fatalf("%v", err)
		}
	} else if !m.session(t, i, now) {
		return
	}
	m.taken[i] = 2
	m.last[i] = latest(m.last[i], now)
}

func (m *memory) session(t *rapid.T, i int, now time.Time) bool {
	m.s.now = now.Round(0)
	pending, err := m.l.PendingRequest(m.asked[i].id)
	if err != nil || !now.Before(time.Unix(m.asked[i].request.EXP, 0)) {
		return false
	}
	a := m.asked[i]
	a.receipt = pending.Engineer
	g := m.s.grant(t, a, nil)
	ticket, err := m.l.Admit(m.s.verify(t, a, g, m.s.approve(t, a, g, "anna")), now)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if facts, err := m.l.Begin(ticket, now); err == nil {
		m.last[i] = latest(m.last[i], facts.Deadline)
	}
	if err := m.l.End(ticket.ID(), session.Completed, now); err != nil {
		t.Fatalf("%v", err)
	}
	return true
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// there reports whether a request is remembered, on disk as in memory.
func (m *memory) there(t *rapid.T, i int) bool {
	_, err := os.Stat(filepath.Join(m.dir, m.asked[i].id.Request()+".json"))
	_, known := m.l.PendingRequest(m.asked[i].id)
	if onDisk := err == nil; onDisk != (session.KindOf(known) != session.Invalid) {
		t.Fatalf("on disk: %v, in memory: %v", err, known)
	}
	return err == nil
}

// Whatever the clock does and however often an agent starts, nothing is forgotten that
// could still come to something, nothing is taken twice, and all is forgotten in the end.
func TestNothingIsForgottenThatCouldStillBeUsed(t *testing.T) {
	forgotten := 0
	s := newSite(t)
	start := s.now
	rapid.Check(t, func(t *rapid.T) {
		m := &memory{s: s, wall: start}
		var err error
		if m.dir, err = os.MkdirTemp("/dev/shm", "ledger"); err != nil {
			m.dir, err = os.MkdirTemp("", "ledger")
		}
		if err == nil {
			m.l, err = ledger.Open(m.dir)
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
		defer func() { _, _ = m.l.Close(), os.RemoveAll(m.dir) }()
		m.now()
		one := func(do func(*rapid.T, int)) func(*rapid.T) {
			return func(t *rapid.T) {
				if len(m.asked) > 0 {
					do(t, rapid.IntRange(0, len(m.asked)-1).Draw(t, "i"))
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"ask":     m.ask,
			"deliver": one(m.deliver),
			"answer":  one(m.answer),
			"clock": func(t *rapid.T) {
				m.wall = m.wall.Add(time.Duration(rapid.IntRange(-40*24, 40*24).Draw(t, "hours")) * time.Hour)
				m.now()
			},
			"keep":    m.keep,
			"restart": m.restart,
		})
		for i := range m.asked { // everything ends
			if m.taken[i] != 0 && !m.there(t, i) {
				forgotten++
			}
		}
		m.wall = m.now().Add(400 * 24 * time.Hour)
		m.now()
		for range 2 {
			if err := m.l.KeepTime(); err != nil {
				t.Fatalf("%v", err)
			}
			m.l.Age(ledger.ForgetAfter)
		}
		for i := range m.asked {
			if m.there(t, i) {
				t.Fatalf("kept for ever")
			}
			m.deliver(t, i)
		}
	})
	t.Logf("ATTACK | what an agent has forgotten comes again, under any clock and over restarts | nothing is taken twice | %d forgotten before the end | holds", forgotten)
}

// keep forgets what may be, after an hour or at once.
func (m *memory) keep(t *rapid.T) {
	before := make([]bool, len(m.asked))
	for i := range m.asked {
		before[i] = m.there(t, i)
	}
	hour := rapid.Bool().Draw(t, "an hour later")
	if hour {
		m.l.Age(ledger.ForgetAfter)
	}
	if err := m.l.KeepTime(); err != nil {
		t.Fatalf("%v", err)
	}
	for i := range m.asked {
		if before[i] && !m.there(t, i) && (!hour || m.now().Before(m.last[i].Add(ledger.KeepOver))) {
			t.Fatalf("forgotten at %v, of use until %v", m.now(), m.last[i])
		}
	}
}

func (m *memory) restart(t *rapid.T) {
	err := m.l.Close()
	if err == nil {
		m.l, err = ledger.Open(m.dir)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// A file that cannot be removed is remembered, and tried again.
func TestForgettingOnABadDisk(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	a, ticket := s.admitted(t, l)
	must(t, l.End(ticket.ID(), session.RevokedGrant, s.now))
	l.Moment(s.now.Add(30 * 24 * time.Hour))
	must(t, l.KeepTime())
	l.Age(ledger.ForgetAfter)
	l.Inject(failing("remove", false))
	l.Moment(s.now.Add(31 * 24 * time.Hour))
	refusedAs(t, l.KeepTime(), session.Internal)
	if _, ok := l.Facts(ticket.ID()); !ok {
		t.Error("forgotten, and on the disk")
	}
	l.Inject(nil)
	must(t, l.KeepTime())
	if _, ok := l.Facts(ticket.ID()); ok || len(l.Entries(s.now)) != 0 {
		t.Error("not forgotten")
	}
	if _, err := os.Stat(filepath.Join(dir, a.id.Request()+".json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	must(t, l.Pend(s.ask(t, func(r *grant.Request) { r.Key = a.request.Key }).docs())) // its key is free again
}

func (a asked) docs() ([]byte, grant.Receipt) { return a.doc, a.receipt }

// Whoever asks and withdraws without end is told so in the end, and others are not.
func TestOnesShareOfTheLedgersMemory(t *testing.T) {
	for _, row := range []struct {
		attack          string
		n               int
		who             string
		refused, others []string
	}{
		{"one engineer's requests that are over", ledger.MaxPastEngineer, "vendor/eva", []string{"vendor/eva"}, []string{"vendor/ed", "north/eva"}},
		{"one vendor's requests that are over", ledger.MaxPastVendor, "vendor/many", []string{"vendor/eva", "vendor/ed"}, []string{"north/eva"}},
	} {
		t.Run(row.attack, func(t *testing.T) {
			s := newSite(t)
			l := open(t, quickDir(t))
			defer l.Close()
			_, live := s.admitted(t, l)
			_, err := l.Begin(live, s.now)
			must(t, err)
			l.Fill(row.n, s.identity(row.who), "", false, s.now.Add(-time.Hour))
			for _, who := range row.refused {
				a := s.ask(t, s.as(who))
				refusedAs(t, l.Pend(a.doc, a.receipt), session.Refused)
			}
			for _, who := range row.others {
				a := s.ask(t, s.as(who))
				must(t, l.Pend(a.doc, a.receipt))
			}
			longer := s.ask(t, func(r *grant.Request) {
				r.Kind, r.Parent, r.Key = grant.KindExtension, live.Grant().Grant().GID, ""
				r.MaxS += 1800
			})
			must(t, l.Pend(longer.doc, longer.receipt))
			must(t, l.End(live.ID(), session.KilledLocal, s.now))
			t.Logf("ATTACK | %s fill the agent's ledger | others go on | %d of theirs are kept | holds", row.attack, row.n)
		})
	}
}
