package ledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

func TestOneSessionFromRequestToEnd(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	a, v := s.granted(t, l, nil)
	if _, err := l.ByKey(a.request.Key, s.now); session.KindOf(err) != session.Refused {
		t.Errorf("before admission: %v", err)
	}
	ticket, err := l.Admit(v, s.now)
	must(t, err)
	if !ticket.Valid() || !ticket.Covers("PETCT1", "vnc") || ticket.Covers("PETCT1", "rdp") || ticket.Covers("MR2", "vnc") ||
		!ticket.Allows(session.Shell) || ticket.Allows(session.FilesIn) {
		t.Error("ticket covers or allows something else")
	}
	byKey, err := l.ByKey(a.request.Key, s.now)
	must(t, err)
	if byKey.ID() != ticket.ID() {
		t.Error("another ticket by key")
	}
	began := s.now.Add(10 * time.Minute)
	facts, err := l.Begin(ticket, began)
	must(t, err)
	if !facts.Opened.Equal(began) || !facts.Deadline.Equal(began.Add(30*time.Minute)) {
		t.Errorf("facts %+v", facts)
	}
	// A second connection joins and moves nothing; a restart does not either.
	joined, err := l.Begin(ticket, began.Add(20*time.Minute))
	must(t, err)
	if joined != facts {
		t.Errorf("joined %+v, began %+v", joined, facts)
	}
	l = reopen(t, l, dir)
	ticket, err = l.ByKey(a.request.Key, began.Add(29*time.Minute))
	must(t, err)
	again, err := l.Begin(ticket, began.Add(29*time.Minute))
	must(t, err)
	if !again.Opened.Equal(facts.Opened) || !again.Deadline.Equal(facts.Deadline) {
		t.Errorf("after the restart %+v", again)
	}
	_, err = l.Begin(ticket, began.Add(30*time.Minute))
	refusedAs(t, err, session.Expired)

	end := began.Add(25 * time.Minute)
	must(t, l.End(ticket.ID(), session.KilledLocal, end))
	must(t, l.End(ticket.ID(), session.Completed, end.Add(time.Minute))) // the first reason stays
	l = reopen(t, l, dir)
	final, ok := l.Facts(ticket.ID())
	if !ok || final.Reason != session.KilledLocal || !final.Ended.Equal(end) {
		t.Errorf("final %+v", final)
	}
	for _, try := range []func() error{
		func() error { _, err := l.Begin(ticket, began); return err },
		func() error { _, err := l.ByKey(a.request.Key, began); return err },
		func() error { _, err := l.Ticket(ticket.ID()); return err },
	} {
		refusedAs(t, try(), session.Expired)
	}
}

// What was used stays used, whatever a broker delivers again.
func TestReplay(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	a, v := s.granted(t, l, nil)
	ticket, err := l.Admit(v, s.now)
	must(t, err)
	replay := func(when string) {
		t.Helper()
		grantDoc := v.GrantBytes()
		_, pending := l.PendingRequest(a.id)
		_, admit := l.Admit(v, s.now)
		for name, err := range map[string]error{
			"the request": l.Pend(a.doc, a.receipt), "the request with a new token": l.Pend(a.doc, s.deliver(t, a.doc).receipt),
			"the grant": admit, "a look": pending,
		} {
			if !errors.Is(err, ledger.ErrUsed) {
				t.Errorf("%s, %s: %v", when, name, err)
			}
			refusedAs(t, err, session.Refused)
		}
		other := s.grant(t, a, nil)
		if _, err := l.AddApproval(a.id, other, s.approve(t, a, other, "bernd")); !errors.Is(err, ledger.ErrUsed) {
			t.Errorf("%s, another grant: %v", when, err)
		}
		// The same grant's id under another request.
		b := s.ask(t, nil)
		must(t, l.Pend(b.doc, b.receipt))
		same := s.grant(t, b, func(g *grant.Grant) { g.GID = v.Grant().GID })
		receipt := s.approve(t, b, same, "anna")
		_, err := l.AddApproval(b.id, same, receipt)
		if !errors.Is(err, ledger.ErrUsed) {
			t.Errorf("%s, a used gid: %v", when, err)
		}
		if _, err := l.Admit(s.verify(t, b, same, receipt), s.now); !errors.Is(err, ledger.ErrUsed) {
			t.Errorf("%s, a used gid admitted: %v", when, err)
		}
		// A repeated approval is answered, and opens nothing.
		approvals, err := l.AddApproval(a.id, grantDoc, v.Approvers()[0])
		if when == "closed" != errors.Is(err, ledger.ErrUsed) || when != "closed" && len(approvals) != 1 {
			t.Errorf("%s, the approval again: %d, %v", when, len(approvals), err)
		}
	}
	replay("admitted")
	_, err = l.Begin(ticket, s.now)
	must(t, err)
	replay("opened")
	must(t, l.End(ticket.ID(), session.Completed, s.now))
	replay("closed")
	l = reopen(t, l, dir)
	replay("closed")
	for range 100 {
		if _, err := l.Admit(v, s.now); err == nil {
			t.Fatal("admitted again")
		}
	}
}

func TestZeroValuesOpenNothing(t *testing.T) {
	s := newSite(t)
	l, _ := opened(t)
	_, err := l.Admit(grant.Verified{}, s.now)
	refusedAs(t, err, session.Denied)
	_, err = l.Begin(ledger.Ticket{}, s.now)
	refusedAs(t, err, session.Denied)
	if (ledger.Ticket{}).Valid() || (ledger.Ticket{}).Covers("", "") || (ledger.Ticket{}).Allows("") {
		t.Error("the zero ticket opens something")
	}
	_, err = l.ByKey("", s.now)
	refusedAs(t, err, session.Denied)
	_, err = l.ByKey(newKey(), s.now)
	refusedAs(t, err, session.Denied)
	_, err = l.Ticket(session.ID{})
	refusedAs(t, err, session.Denied)
	refusedAs(t, l.End(session.NewID(), session.Completed, s.now), session.Invalid)
	refusedAs(t, l.Withdraw(session.NewID(), s.now), session.Invalid)
	_, err = l.Report(session.NewID())
	refusedAs(t, err, session.Invalid)
	_, err = l.PendingRequest(session.NewID())
	refusedAs(t, err, session.Invalid)
	if _, ok := l.Facts(session.NewID()); ok || l.Left(session.NewID(), s.now) != 0 {
		t.Error("facts of nothing")
	}
	// A ticket of another agent's ledger.
	elsewhere, _ := opened(t)
	_, ticket := s.admitted(t, elsewhere)
	_, err = l.Begin(ticket, s.now)
	refusedAs(t, err, session.Denied)
}

func TestWhatIsNotPendedIsNotAdmitted(t *testing.T) {
	s := newSite(t)
	l, _ := opened(t)
	a := s.ask(t, nil)
	g := s.grant(t, a, nil)
	receipt := s.approve(t, a, g, "anna")
	_, err := l.AddApproval(a.id, g, receipt)
	refusedAs(t, err, session.Invalid)
	_, err = l.Admit(s.verify(t, a, g, receipt), s.now)
	refusedAs(t, err, session.Invalid)
	// Pended with another token of the same engineer.
	must(t, l.Pend(a.doc, s.deliver(t, a.doc).receipt))
	_, err = l.Admit(s.verify(t, a, g, receipt), s.now)
	refusedAs(t, err, session.Refused)
	// Receipts that do not belong.
	b := s.ask(t, nil)
	refusedAs(t, l.Pend(b.doc, a.receipt), session.Denied)
	refusedAs(t, l.Pend(b.doc, grant.Receipt{}), session.Denied)
	refusedAs(t, l.Pend(b.doc, receipt), session.Denied)
	refusedAs(t, l.Pend([]byte("{}"), b.receipt), session.Invalid)
	_, err = l.AddApproval(a.id, g, b.receipt)
	refusedAs(t, err, session.Refused)
}

func TestPendingTwiceIsOnce(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	a := s.ask(t, nil)
	for range 3 {
		must(t, l.Pend(a.doc, a.receipt))
	}
	if err := l.Pend(a.doc, s.deliver(t, a.doc).receipt); !errors.Is(err, ledger.ErrUsed) {
		t.Errorf("another token: %v", err)
	}
	twin := s.ask(t, func(r *grant.Request) { r.RID = a.request.RID })
	if err := l.Pend(twin.doc, twin.receipt); !errors.Is(err, ledger.ErrUsed) {
		t.Errorf("another request of the same id: %v", err)
	}
	l = reopen(t, l, dir)
	p, err := l.PendingRequest(a.id)
	must(t, err)
	if string(p.Request) != string(a.doc) || p.Engineer.Proof.Token != a.receipt.Proof.Token || p.Grant != nil || len(p.Approvals) != 0 {
		t.Errorf("pending %+v", p)
	}
}

func TestTwoApproversAndASecondThought(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	a := s.ask(t, func(r *grant.Request) { r.Asset = "MR2" })
	must(t, l.Pend(a.doc, a.receipt))
	count := func(g []byte, who string, want int) []grant.Receipt {
		t.Helper()
		got, err := l.AddApproval(a.id, g, s.approve(t, a, g, who))
		must(t, err)
		if len(got) != want {
			t.Fatalf("%d approvals, want %d", len(got), want)
		}
		return got
	}
	wide := s.grant(t, a, nil)
	narrow := s.grant(t, a, func(g *grant.Grant) { g.MaxS = 60 })
	count(wide, "anna", 1)
	count(wide, "anna", 1) // a person counts once
	count(narrow, "bernd", 1)
	l = reopen(t, l, dir)
	both := count(narrow, "anna", 2)
	ticket, err := l.Admit(s.verify(t, a, narrow, both...), s.now)
	must(t, err)
	if ticket.Grant().Grant().MaxS != 60 {
		t.Error("the first thought was admitted")
	}
}

func TestDoorsByTime(t *testing.T) {
	s := newSite(t)
	start := s.now
	rows := []struct {
		name   string
		change func(*grant.Request)
		at     time.Duration
		kind   session.Kind // "" opens
		says   string
	}{
		{"at once", nil, 0, "", ""},
		{"one hour after the request", nil, time.Hour, "", ""},
		{"later than that", nil, time.Hour + time.Second, session.Refused, "one hour"},
		{"early", func(r *grant.Request) { r.NBF += 1800 }, 1799 * time.Second, session.Refused, "begins at"},
		{"on the second", func(r *grant.Request) { r.NBF += 1800 }, 1800 * time.Second, "", ""},
		{"last second", func(r *grant.Request) { r.EXP = r.NBF + 600 }, 599 * time.Second, "", ""},
		{"over", func(r *grant.Request) { r.EXP = r.NBF + 600 }, 600 * time.Second, session.Expired, "over"},
		{"clock set back", nil, -time.Hour, session.Refused, "clock"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s.now = start
			l, _ := opened(t)
			a, v := s.granted(t, l, row.change)
			ticket, err := l.Admit(v, s.now)
			must(t, err)
			at := start.Add(row.at)
			_, byKey := l.ByKey(a.request.Key, at)
			_, begin := l.Begin(ticket, at)
			for _, err := range []error{byKey, begin} {
				if row.kind == "" {
					must(t, err)
					continue
				}
				refusedAs(t, err, row.kind)
				if !strings.Contains(err.Error(), row.says) {
					t.Errorf("says %q", err)
				}
			}
			if _, ok := l.Facts(ticket.ID()); !ok {
				t.Error("no facts")
			}
		})
	}
	t.Run("admitted too late", func(t *testing.T) {
		s.now = start
		l, _ := opened(t)
		_, v := s.granted(t, l, nil)
		_, err := l.Admit(v, start.Add(4*time.Hour))
		refusedAs(t, err, session.Expired)
	})
	t.Run("approved too late", func(t *testing.T) {
		s.now = start
		l, _ := opened(t)
		a := s.ask(t, nil)
		must(t, l.Pend(a.doc, a.receipt))
		g := s.grant(t, a, nil)
		receipt := s.approve(t, a, g, "anna")
		receipt.Received = start.Add(4 * time.Hour)
		_, err := l.AddApproval(a.id, g, receipt)
		refusedAs(t, err, session.Expired)
	})
	t.Run("joins after the hour", func(t *testing.T) {
		s.now = start
		l, _ := opened(t)
		_, ticket := s.admitted(t, l)
		_, err := l.Begin(ticket, start.Add(59*time.Minute))
		must(t, err)
		_, err = l.Begin(ticket, start.Add(80*time.Minute))
		must(t, err)
	})
}

func TestWithdrawAndRevoke(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	waiting := s.ask(t, nil)
	must(t, l.Pend(waiting.doc, waiting.receipt))
	unopened, ticket := s.admitted(t, l)
	live, liveTicket := s.admitted(t, l)
	_, err := l.Begin(liveTicket, s.now)
	must(t, err)

	must(t, l.Withdraw(waiting.id, s.now))
	must(t, l.Withdraw(unopened.id, s.now))
	must(t, l.Withdraw(unopened.id, s.now.Add(time.Hour)))
	refusedAs(t, l.Withdraw(live.id, s.now), session.Refused)
	for range 2 {
		if err := l.Pend(waiting.doc, waiting.receipt); !errors.Is(err, ledger.ErrUsed) {
			t.Errorf("a withdrawn request came back: %v", err)
		}
		_, err = l.Begin(ticket, s.now)
		refusedAs(t, err, session.Expired)
		want := map[session.ID]session.Status{waiting.id: session.Withdrawn, unopened.id: session.Revoked, live.id: session.Approved}
		for _, e := range l.Entries(s.now) {
			if e.Status != want[e.Request] {
				t.Errorf("%s is %s, want %s", e.Request.Request(), e.Status, want[e.Request])
			}
		}
		l = reopen(t, l, dir)
	}
}

func TestOneKeyForTwoRequests(t *testing.T) {
	s := newSite(t)
	l, _ := opened(t)
	key := newKey()
	var tickets []ledger.Ticket
	for _, asset := range []string{"PETCT1", "PETCT1", "MR2"} {
		a, v := asked{}, grant.Verified{}
		if asset == "MR2" {
			a = s.ask(t, func(r *grant.Request) { r.Key, r.Asset = key, asset })
			must(t, l.Pend(a.doc, a.receipt))
			g := s.grant(t, a, nil)
			v = s.verify(t, a, g, s.approve(t, a, g, "anna"), s.approve(t, a, g, "bernd"))
		} else {
			_, v = s.granted(t, l, func(r *grant.Request) { r.Key = key })
		}
		ticket, err := l.Admit(v, s.now)
		must(t, err)
		tickets = append(tickets, ticket)
	}
	got, err := l.ByKeyFor(key, "PETCT1", "vnc", s.now)
	must(t, err)
	if got.ID() != tickets[1].ID() {
		t.Error("not the newest for the scanner")
	}
	must(t, l.End(tickets[1].ID(), session.Completed, s.now))
	must(t, l.End(tickets[2].ID(), session.Completed, s.now))
	got, err = l.ByKey(key, s.now)
	must(t, err)
	if got.ID() != tickets[0].ID() {
		t.Error("a closed one hides an open one")
	}
	_, err = l.ByKeyFor(key, "MR2", "vnc", s.now)
	refusedAs(t, err, session.Expired)
	_, err = l.ByKeyFor(key, "PETCT1", "rdp", s.now)
	refusedAs(t, err, session.Denied)
}

func TestEntriesAndReports(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	first, ticket := s.admitted(t, l)
	s.now = s.now.Add(time.Minute)
	second := s.ask(t, nil)
	must(t, l.Pend(second.doc, second.receipt))
	for want := uint64(1); want <= 3; want++ {
		seq, err := l.Report(ticket.ID())
		must(t, err)
		if seq != want {
			t.Errorf("sequence %d, want %d", seq, want)
		}
	}
	must(t, l.End(ticket.ID(), session.Completed, s.now))
	seq, err := l.Report(ticket.ID()) // the report of the end itself
	must(t, err)
	if seq != 4 {
		t.Errorf("sequence %d", seq)
	}
	l = reopen(t, l, dir)
	all := l.Entries(s.now)
	if len(all) != 2 || all[0].Request != second.id || all[1].Request != first.id {
		t.Fatalf("entries %+v", all)
	}
	e := all[1]
	if e.Session != ticket.ID() || e.Asset != "PETCT1" || len(e.Services) != 2 || e.Engineer.Sub != "eva" || e.Seq != 4 ||
		len(e.Approvers) != 1 || e.Approvers[0].Sub != "anna" || e.Status != session.Closed || all[0].Status != session.Pending {
		t.Errorf("entry %+v", e)
	}
	// The proofs of what is over stay on disk, for the audit.
	body, err := os.ReadFile(filepath.Join(dir, first.id.Request()+".json"))
	must(t, err)
	if !strings.Contains(string(body), first.receipt.Proof.Token) || !strings.Contains(string(body), `"jwk":`) {
		t.Error("the closed entry lost its proofs")
	}
}

func TestDeadlineIsSafeFromTheWallClock(t *testing.T) {
	s := newSite(t)
	s.now = time.Now() // with a monotonic reading
	l, dir := opened(t)
	a, v := s.granted(t, l, func(r *grant.Request) { r.NBF -= 3600 })
	ticket, err := l.Admit(v, s.now)
	must(t, err)
	facts, err := l.Begin(ticket, s.now)
	must(t, err)
	if facts.Deadline.Round(0) == facts.Deadline {
		t.Error("the deadline lost the monotonic reading")
	}
	if left := l.Left(ticket.ID(), s.now.Add(10*time.Minute)); left != 20*time.Minute {
		t.Errorf("left %v", left)
	}
	if left := l.Left(ticket.ID(), s.now.Add(30*time.Minute)); left != 0 {
		t.Errorf("left %v at the deadline", left)
	}
	l = reopen(t, l, dir)
	ticket, err = l.ByKey(a.request.Key, s.now)
	must(t, err)
	back := s.now.Round(0).Add(-20 * time.Second)
	_, err = l.Begin(ticket, back)
	must(t, err)
	if left := l.Left(ticket.ID(), back); left > 30*time.Minute {
		t.Errorf("left %v, more than the longest session", left)
	}
	_, err = l.Begin(ticket, s.now.Round(0).Add(-time.Hour))
	refusedAs(t, err, session.Refused)
}

func TestTwoAgentsNeverShareALedger(t *testing.T) {
	l, dir := opened(t)
	_, err := ledger.Open(dir)
	refusedAs(t, err, session.Refused)
	reopen(t, l, dir)
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	_, err = ledger.Open(file)
	refusedAs(t, err, session.Internal)
}

// However many at once, a grant is admitted once, opens one session, and a
// revocation that was answered holds.
func TestManyAtOnce(t *testing.T) {
	s := newSite(t)
	l := open(t, quickDir(t))
	defer l.Close()
	a, v := s.granted(t, l, nil)
	var admitted, began atomic.Int32
	var starts sync.Map
	var revoked atomic.Bool
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			at := s.now.Add(time.Duration(i) * time.Millisecond)
			if _, err := l.Admit(v, s.now); err == nil {
				admitted.Add(1)
			}
			ticket, err := l.ByKey(a.request.Key, at)
			if err != nil {
				return
			}
			over := revoked.Load()
			if f, err := l.Begin(ticket, at); err == nil {
				began.Add(1)
				starts.Store(f.Opened, true)
				if over {
					t.Error("began after the revocation was answered")
				}
			}
			if i == 50 {
				if err := l.End(ticket.ID(), session.RevokedGrant, at); err != nil {
					t.Error(err)
				}
				revoked.Store(true)
			}
			_ = l.Entries(at)
			_ = l.Left(ticket.ID(), at)
		})
	}
	wg.Wait()
	different := 0
	starts.Range(func(any, any) bool { different++; return true })
	if admitted.Load() != 1 || began.Load() > 0 && different != 1 {
		t.Errorf("%d admitted, %d began at %d times", admitted.Load(), began.Load(), different)
	}
}
