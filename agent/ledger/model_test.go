package ledger_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// prepared is everything that one request will need; ledgers come and go beneath it.
type prepared struct {
	asked
	verified grant.Verified
	ticket   ledger.Ticket // from the last admission that succeeded
}

func prepare(t *testing.T, s *site, n int) []*prepared {
	var all []*prepared
	for i := range n {
		a := s.ask(t, func(r *grant.Request) { r.EXP, r.MaxS = r.NBF+int64(1800*(i+1)), int64(600*(i+1)) })
		g := s.grant(t, a, nil)
		approval := s.approve(t, a, g, "anna")
		if i%2 == 1 { // every other one by a passkey alone
			approval = s.press(t, a, g, "anna")
		}
		all = append(all, &prepared{asked: a, verified: s.verify(t, a, g, approval)})
	}
	return all
}

// What the model knows of one request. After a step that failed on the disk it is one
// of two things, and the next look tells which.
type belief struct {
	may      []string // states in which the disk may hold it
	shut     bool     // was told to close in this process: nothing may open, whatever the disk holds
	gone     bool     // a close succeeded: nothing may open ever again
	admitted int      // successful admissions
	opened   time.Time
	deadline time.Time
}

func (b *belief) is(states ...string) bool {
	return slices.ContainsFunc(b.may, func(s string) bool { return slices.Contains(states, s) })
}

type machine struct {
	dir      string
	l        *ledger.Ledger
	now      time.Time
	requests []*prepared
	beliefs  []*belief
	faulty   bool // a fault waits
}

// onDisk reads an entry's state as an auditor would, without the ledger.
func (m *machine) onDisk(i int) string {
	body, err := os.ReadFile(filepath.Join(m.dir, m.requests[i].id.Request()+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return "none"
	}
	var rec struct {
		State string `json:"state"`
	}
	if err != nil || json.Unmarshal(body, &rec) != nil {
		return "unreadable"
	}
	return rec.State
}

// after takes the outcome of a step that would lead to a state.
func (m *machine) after(t *rapid.T, i int, to string, err error) {
	b := m.beliefs[i]
	m.l.Inject(nil)
	wasFaulty := m.faulty
	m.faulty = false
	switch {
	case err == nil:
		b.may = []string{to}
	case session.KindOf(err) == session.Internal:
		if !wasFaulty {
			t.Fatalf("internal error without a fault: %v", err)
		}
		if !b.is(to) {
			b.may = append(b.may, to)
		}
	}
	if disk := m.onDisk(i); !b.is(disk) {
		t.Fatalf("disk says %s, expected one of %v (%v)", disk, b.may, err)
	}
}

func (m *machine) pick(t *rapid.T) int { return rapid.IntRange(0, len(m.requests)-1).Draw(t, "i") }

func (m *machine) pend(t *rapid.T) {
	i := m.pick(t)
	b := m.beliefs[i]
	err := m.l.Pend(m.requests[i].doc, m.requests[i].receipt)
	if err == nil && (!b.is("none", "pending") || b.gone || b.shut) {
		t.Fatal("pended again")
	}
	m.after(t, i, "pending", err)
}

func (m *machine) admit(t *rapid.T) {
	i := m.pick(t)
	b, r := m.beliefs[i], m.requests[i]
	ticket, err := m.l.Admit(r.verified, m.now)
	if err == nil {
		if !b.is("pending") || b.gone || b.shut || !m.now.Before(time.Unix(r.request.EXP, 0)) {
			t.Fatalf("admitted from %v", b.may)
		}
		if b.admitted++; b.admitted > 1 {
			t.Fatal("admitted twice")
		}
		if m.onDisk(i) != "admitted" {
			t.Fatal("admitted without being on disk")
		}
		r.ticket = ticket
	} else if ticket.Valid() {
		t.Fatal("a ticket came with an error")
	}
	m.after(t, i, "admitted", err)
}

func (m *machine) begin(t *rapid.T) {
	i := m.pick(t)
	b, r := m.beliefs[i], m.requests[i]
	ticket := r.ticket
	if byKey, err := m.l.ByKey(r.request.Key, m.now); err == nil {
		m.mayOpen(t, i)
		ticket = byKey
		if is, was := ticket.Grant().Approvers()[0], r.verified.Approvers()[0]; (is.Passkey == nil) != (was.Passkey == nil) || is.Proof.Token != was.Proof.Token {
			t.Fatal("it was approved by something else")
		}
	}
	facts, err := m.l.Begin(ticket, m.now)
	if err == nil {
		m.mayOpen(t, i)
		if m.onDisk(i) != "opened" {
			t.Fatal("opened without being on disk")
		}
		if b.is("opened") && !b.opened.IsZero() && (!facts.Opened.Equal(b.opened) || !facts.Deadline.Equal(b.deadline)) {
			t.Fatalf("start or deadline moved: %+v", facts)
		}
		b.opened, b.deadline = facts.Opened, facts.Deadline
		if limit := session.Deadline(facts.Opened, time.Duration(r.request.MaxS)*time.Second, time.Unix(r.request.EXP, 0)); !facts.Deadline.Equal(limit) {
			t.Fatalf("deadline %v, want %v", facts.Deadline, limit)
		}
		if left := m.l.Left(ticket.ID(), m.now); left <= 0 || !m.now.Add(left).Equal(facts.Deadline) {
			t.Fatalf("left %v", left)
		}
	}
	if !ticket.Valid() {
		m.l.Inject(nil)
		m.faulty = false
		return
	}
	m.after(t, i, "opened", err)
}

// mayOpen fails when something opened that must not.
func (m *machine) mayOpen(t *rapid.T, i int) {
	b, r := m.beliefs[i], m.requests[i]
	if !b.is("admitted", "opened") || b.gone || b.shut {
		t.Fatalf("opened from %v, gone %t, shut %t", b.may, b.gone, b.shut)
	}
	if !m.now.Before(time.Unix(r.request.EXP, 0)) || !b.deadline.IsZero() && !m.now.Before(b.deadline) {
		t.Fatal("opened after its time")
	}
	if disk := m.onDisk(i); disk != "admitted" && disk != "opened" {
		t.Fatalf("opened while the disk says %s", disk)
	}
}

func (m *machine) end(t *rapid.T) {
	i := m.pick(t)
	b, r := m.beliefs[i], m.requests[i]
	var err error
	if rapid.Bool().Draw(t, "withdraw") {
		err = m.l.Withdraw(r.id, m.now)
	} else {
		id, _ := session.ParseText(r.verified.Grant().GID)
		err = m.l.End(id, session.KilledLocal, m.now)
	}
	switch {
	case err == nil:
		b.gone = true
	case session.KindOf(err) == session.Internal:
		b.shut = true
	}
	m.after(t, i, "closed", err)
}

func (m *machine) pass(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 900).Draw(t, "seconds")) * time.Second)
}

func (m *machine) fault(t *rapid.T) {
	step := rapid.SampledFrom([]string{"write", "sync"}).Draw(t, "step")
	applied := rapid.Bool().Draw(t, "applied")
	lasting := rapid.Bool().Draw(t, "lasting") // or only once
	done := false
	m.faulty = true
	m.l.Inject(func(s string) (bool, bool) {
		if s != step || done && !lasting {
			return false, false
		}
		done = true
		return true, applied
	})
}

// restart is a crash: the ledger is left as it is and read again.
func (m *machine) restart(t *rapid.T) {
	if err := m.l.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.l, err = ledger.Open(m.dir); err != nil {
		t.Fatalf("cannot be opened again: %v", err)
	}
	m.faulty = false
	for i, b := range m.beliefs {
		disk := m.onDisk(i)
		if !b.is(disk) {
			t.Fatalf("after the restart %s, expected one of %v", disk, b.may)
		}
		b.may, b.shut = []string{disk}, false
	}
}

// check looks at everything from outside.
func (m *machine) check(t *rapid.T) {
	known := map[session.ID]ledger.Entry{}
	for _, e := range m.l.Entries(m.now) {
		known[e.Request] = e
	}
	for i, b := range m.beliefs {
		disk := m.onDisk(i)
		if !b.is(disk) {
			t.Fatalf("disk says %s, expected one of %v", disk, b.may)
		}
		if b.gone && disk != "closed" {
			t.Fatalf("a closed entry is %s on disk", disk)
		}
		if _, ok := known[m.requests[i].id]; !ok && !b.is("none") {
			t.Fatalf("entry forgotten; expected one of %v", b.may)
		}
	}
}

// Whatever order of steps, failures of the disk and restarts: nothing counts that is
// not on disk, nothing closed opens again, no start moves.
func TestLedgerAgainstItsModel(t *testing.T) {
	s := newSite(t)
	requests := prepare(t, s, 2)
	parent := quickDir(t)
	rapid.Check(t, func(t2 *rapid.T) {
		dir, err := os.MkdirTemp(parent, "run")
		must(t, err)
		defer os.RemoveAll(dir)
		m := &machine{dir: dir, now: s.now, requests: requests}
		for range requests {
			m.beliefs = append(m.beliefs, &belief{may: []string{"none"}})
		}
		for _, r := range requests {
			r.ticket = ledger.Ticket{}
		}
		m.l, err = ledger.Open(dir)
		must(t, err)
		defer func() { _ = m.l.Close() }()
		t2.Repeat(map[string]func(*rapid.T){
			"pend": m.pend, "admit": m.admit, "begin": m.begin, "end": m.end,
			"pass": m.pass, "fault": m.fault, "restart": m.restart, "": m.check,
		})
	})
}
