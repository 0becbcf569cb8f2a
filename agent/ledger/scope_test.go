package ledger_test

import (
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

func TestScopes(t *testing.T) {
	eva := session.Person{Identity: session.Identity{Iss: "https://v.example", Sub: "eva"}, Email: "Eva@v.example"}
	for _, c := range []struct {
		scope ledger.Scope
		want  bool
	}{
		{ledger.Scope{}, false}, {ledger.Scope{All: true}, true},
		{ledger.Scope{Asset: "CT"}, true}, {ledger.Scope{Asset: "ct"}, false}, {ledger.Scope{Asset: "MR"}, false},
		{ledger.Scope{Engineer: "eva@V.example"}, true}, {ledger.Scope{Engineer: "eva"}, true}, {ledger.Scope{Engineer: "ed"}, false},
	} {
		if got := c.scope.Covers("CT", eva); got != c.want {
			t.Errorf("%+v covers: %t", c.scope, got)
		}
	}
	if (ledger.Scope{Engineer: ""}).Covers("CT", session.Person{}) {
		t.Error("nobody is somebody")
	}
}

// crowd is two engineers at two assets, each with a request that waits, a grant that
// nobody opened, and a session.
type crowd struct {
	s       *site
	waiting []asked
	papers  []grant.Verified // of what waits: approved, not admitted
	tickets []ledger.Ticket
	people  []string // by ticket and by what waits: two tickets each
	assets  []string
}

func newCrowd(t *testing.T, l *ledger.Ledger) *crowd {
	c := &crowd{s: newSite(t)}
	for _, who := range []string{"eva", "ed"} {
		for _, asset := range []string{"PETCT1", "MR2"} {
			as := func(r *grant.Request) { r.Eng.Sub, r.Asset = who, asset }
			approved := func() (asked, grant.Verified) {
				a := c.s.ask(t, as)
				must(t, l.Pend(a.doc, a.receipt))
				g := c.s.grant(t, a, nil)
				var all []grant.Receipt
				for _, approver := range []string{"anna", "bernd"}[:map[string]int{"PETCT1": 1, "MR2": 2}[asset]] {
					got, err := l.AddApproval(a.id, g, c.s.approve(t, a, g, approver))
					must(t, err)
					all = got
				}
				return a, c.s.verify(t, a, g, all...)
			}
			a, v := approved()
			c.waiting, c.papers = append(c.waiting, a), append(c.papers, v)
			for i := range 2 {
				_, v := approved()
				ticket, err := l.Admit(v, c.s.now)
				must(t, err)
				if i == 1 {
					_, err = l.Begin(ticket, c.s.now)
					must(t, err)
				}
				c.tickets = append(c.tickets, ticket)
			}
			c.people, c.assets = append(c.people, who), append(c.assets, asset)
		}
	}
	return c
}

// look checks that what is covered is shut and everything else is not. It opens and
// admits nothing for good: ledgers are asked as they stand.
func (c *crowd) look(t *testing.T, l *ledger.Ledger, shut func(asset, who string) bool) {
	t.Helper()
	for i := range c.people {
		want := shut(c.assets[i], c.people[i])
		for _, ticket := range c.tickets[2*i : 2*i+2] {
			if _, err := l.Begin(ticket, c.s.now); (err != nil) != want {
				t.Errorf("%s at %s: begins with %v, shut %t", c.people[i], c.assets[i], err, want)
			}
		}
		_, err := l.PendingRequest(c.waiting[i].id)
		if (err != nil) != want {
			t.Errorf("%s at %s: waits with %v, shut %t", c.people[i], c.assets[i], err, want)
		}
		if want {
			if _, err := l.Admit(c.papers[i], c.s.now); err == nil {
				t.Errorf("%s at %s: an approval from before opens", c.people[i], c.assets[i])
			}
		}
	}
}

// What a scope names is closed: requests that wait, grants that nobody opened and
// sessions, at once and over a restart. Everything else goes on.
func TestCloseWhere(t *testing.T) {
	for name, c := range map[string]struct {
		scope ledger.Scope
		shut  func(asset, who string) bool
		count int
	}{
		"asset":    {ledger.Scope{Asset: "MR2"}, func(asset, _ string) bool { return asset == "MR2" }, 6},
		"engineer": {ledger.Scope{Engineer: "eva"}, func(_, who string) bool { return who == "eva" }, 6},
		"all":      {ledger.Scope{All: true}, func(string, string) bool { return true }, 12},
		"nothing":  {ledger.Scope{Asset: "CT9"}, func(string, string) bool { return false }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := quickDir(t)
			l := open(t, dir)
			all := newCrowd(t, l)
			done, err := l.CloseWhere(c.scope.Covers, session.KilledLocal, all.s.now)
			if err != nil || len(done) != c.count {
				t.Fatalf("%d closed, %v", len(done), err)
			}
			if again, err := l.CloseWhere(c.scope.Covers, session.KilledLocal, all.s.now); err != nil || len(again) != 0 {
				t.Errorf("closed again: %d, %v", len(again), err)
			}
			all.look(t, l, c.shut)
			l = reopen(t, l, dir)
			all.look(t, l, c.shut)
		})
	}
}

// Whatever the disk says, nothing opens in this process; with the disk back the same
// word closes it for good.
func TestCloseWhereWithoutADisk(t *testing.T) {
	for _, step := range []string{"write", "sync"} {
		dir := quickDir(t)
		l := open(t, dir)
		all := newCrowd(t, l)
		everybody := func(string, string) bool { return true }
		l.Inject(failing(step, false))
		_, err := l.CloseWhere(ledger.Scope{All: true}.Covers, session.KilledLocal, all.s.now)
		refusedAs(t, err, session.Internal)
		all.look(t, l, everybody)
		l.Inject(nil)
		all.look(t, l, everybody)
		_, err = l.CloseWhere(ledger.Scope{All: true}.Covers, session.KilledLocal, all.s.now)
		must(t, err)
		l = reopen(t, l, dir)
		all.look(t, l, everybody)
	}
}

// What is over by its time stays as it ended, but opens no more, also when the clock
// goes back.
func TestCloseWhereOfWhatIsOver(t *testing.T) {
	s := newSite(t)
	l, _ := opened(t)
	a, ticket := s.admitted(t, l)
	later := s.now.Add(48 * 3600e9)
	if done, err := l.CloseWhere(ledger.Scope{All: true}.Covers, session.KilledLocal, later); err != nil || len(done) != 0 {
		t.Errorf("closed %v, %v", done, err)
	}
	if e := l.Entries(later)[0]; e.Request != a.id || e.Status != session.Lapsed {
		t.Errorf("%+v", e)
	}
	if _, err := l.Begin(ticket, s.now); err == nil {
		t.Error("a clock that went back opens it")
	}
}

// usage is what a directory holds.
func usage(t *testing.T, dir string) (n int64) {
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range files {
		info, err := f.Info()
		must(t, err)
		n += info.Size()
	}
	return n
}

// A full disk takes nothing new, and takes every kill: the reserve is given up for it,
// a part at a time, and is made again when there is room.
func TestAKillOnAFullDisk(t *testing.T) {
	dir := quickDir(t)
	l := open(t, dir)
	all := newCrowd(t, l)
	whole := usage(t, dir)
	room := int64(0) // bytes that the disk has left, less what others take meanwhile
	full := func(step string) (error, bool) {
		if step == "write" && whole+room-usage(t, dir) < 8<<10 {
			return syscall.ENOSPC, false
		}
		return nil, false
	}
	l.Break(full)
	fresh := all.s.ask(t, nil)
	refusedAs(t, l.Pend(fresh.doc, fresh.receipt), session.Internal)
	if usage(t, dir) != whole {
		t.Error("the reserve went for a request")
	}
	for _, scope := range []ledger.Scope{{Asset: "MR2"}, {All: true}} {
		done, err := l.CloseWhere(scope.Covers, session.KilledLocal, all.s.now)
		if err != nil || len(done) < 6 {
			t.Fatalf("%d closed, %v", len(done), err)
		}
		whole -= 16 << 10 // somebody else takes what was given up
	}
	kept, err := os.Stat(dir + "/reserve")
	must(t, err)
	if kept.Size() == 0 || kept.Size() == ledger.ReserveSize {
		t.Errorf("the reserve holds %d", kept.Size())
	}
	room = 1 << 30
	later := all.s.ask(t, nil)
	must(t, l.Pend(later.doc, later.receipt))
	if kept, err = os.Stat(dir + "/reserve"); err != nil || kept.Size() != ledger.ReserveSize {
		t.Errorf("the reserve is not made again: %v", err)
	}
	l.Inject(nil)
	l = reopen(t, l, dir)
	for i, e := range l.Entries(all.s.now) {
		if e.Request != later.id && e.Status != session.Closed && e.Status != session.Withdrawn {
			t.Errorf("entry %d is %s", i, e.Status)
		}
	}
	if !slices.ContainsFunc(l.Entries(all.s.now), func(e ledger.Entry) bool { return e.Request == later.id }) {
		t.Error("what came after is not there")
	}
}

// A disk that is full to the last byte, reserve and all, says so, and nothing opens.
func TestAKillWithoutAReserve(t *testing.T) {
	dir := quickDir(t)
	l := open(t, dir)
	all := newCrowd(t, l)
	l.Break(func(step string) (error, bool) {
		if step == "write" {
			return syscall.ENOSPC, false
		}
		return nil, false
	})
	_, err := l.CloseWhere(ledger.Scope{All: true}.Covers, session.KilledLocal, all.s.now)
	refusedAs(t, err, session.Internal)
	all.look(t, l, func(string, string) bool { return true })
}
