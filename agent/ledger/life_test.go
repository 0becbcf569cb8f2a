package ledger_test

import (
	ctx "context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// activation is eva's proof, now, that a key joins a grant.
func (s *site) activation(t fataler, g grant.Verified, key string) grant.Receipt {
	salt := grant.NewSalt()
	token := s.token(s.url+"/vendor", "cli", grant.ActivateNonce(g.GrantBytes(), key, salt), "eva", session.GroupEngineers)
	r, err := s.verifier.CheckActivation(ctx.Background(), g, key, grant.Proof{Token: token, Salt: salt[:]}, s.now)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return r
}

const days = 24 * 3600

// ahead is a request for a window three days from now, without a key.
func ahead(r *grant.Request) { r.NBF, r.EXP, r.Key = r.NBF+3*days, r.EXP+3*days, "" }

// A window that lies ahead opens with a fresh activation, at its beginning and not
// before.
func TestWindowAheadOpensByActivation(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	_, v := s.granted(t, l, ahead)
	ticket, err := l.Admit(v, s.now)
	must(t, err)
	key, id := newKey(), ticket.ID()
	_, err = l.ByKey("", s.now)
	refusedAs(t, err, session.Denied)
	_, err = l.Begin(ticket, s.now)
	refusedAs(t, err, session.Refused)

	begin := time.Unix(v.Grant().NBF, 0)
	s.now = begin.Add(-10 * time.Minute)
	early := s.activation(t, v, key)
	if n, err := l.Activate(id, key, early, s.now); err != nil || n != 1 {
		t.Fatalf("%d keys, %v", n, err)
	}
	_, err = l.ByKey(key, begin.Add(-time.Second))
	refusedAs(t, err, session.Refused)
	if _, err := l.ByKeyFor(key, "PETCT1", "vnc", begin); err != nil {
		t.Error(err)
	}
	_, err = l.Begin(ticket, early.Received.Add(grant.ActivationTime+time.Second))
	refusedAs(t, err, session.Refused)
	if !strings.Contains(errNext(err), "activate") {
		t.Errorf("does not say what to do: %v", errNext(err))
	}

	l = reopen(t, l, dir)
	if found, err := l.ByKey(key, begin); err != nil || found.ID() != id {
		t.Fatalf("the key is forgotten: %v", err)
	}
	facts, err := l.Begin(ticket, begin.Add(5*time.Minute))
	must(t, err)
	// Once the session lives, nobody needs to sign in again to join it.
	if _, err := l.Begin(ticket, facts.Opened.Add(20*time.Minute)); err != nil {
		t.Error(err)
	}
}

func errNext(err error) string {
	var e *session.Error
	errors.As(err, &e)
	if e == nil {
		return ""
	}
	return e.Next
}

// At most four keys, the request's own included; a key that joined before is renewed.
func TestActivationsAreBounded(t *testing.T) {
	s := newSite(t)
	l, _ := opened(t)
	a, ticket := s.admitted(t, l)
	v, id := ticket.Grant(), ticket.ID()
	first := newKey()
	for i, key := range []string{first, newKey(), a.request.Key, newKey()} {
		n, err := l.Activate(id, key, s.activation(t, v, key), s.now)
		if want := []int{2, 3, 3, 4}[i]; err != nil || n != want {
			t.Fatalf("%d keys, want %d: %v", n, want, err)
		}
	}
	fifth := newKey()
	_, err := l.Activate(id, fifth, s.activation(t, v, fifth), s.now)
	refusedAs(t, err, session.Refused)
	_, err = l.ByKey(fifth, s.now)
	refusedAs(t, err, session.Denied)
	again := s.activation(t, v, first)
	for range 2 {
		if n, err := l.Activate(id, first, again, s.now); err != nil || n != 4 {
			t.Fatalf("%d keys: %v", n, err)
		}
	}
	if l.Keys(id) != 4 {
		t.Error("keys not counted")
	}
	must(t, l.End(id, session.KilledLocal, s.now))
	if l.Keys(id) != 0 {
		t.Error("a closed grant has keys")
	}
	_, err = l.Activate(id, first, s.activation(t, v, first), s.now)
	refusedAs(t, err, session.Expired)
	_, err = l.ByKey(first, s.now)
	refusedAs(t, err, session.Expired)
}

func TestActivationsOfAnotherGrantAreRefused(t *testing.T) {
	s := newSite(t)
	l, _ := opened(t)
	_, one := s.admitted(t, l)
	_, two := s.admitted(t, l)
	key := newKey()
	_, err := l.Activate(one.ID(), key, s.activation(t, two.Grant(), key), s.now)
	refusedAs(t, err, session.Refused)
	_, err = l.Activate(one.ID(), newKey(), s.activation(t, one.Grant(), key), s.now)
	refusedAs(t, err, session.Refused)
	_, err = l.Activate(session.NewID(), key, s.activation(t, one.Grant(), key), s.now)
	refusedAs(t, err, session.Denied)
	_, err = l.Activate(one.ID(), key, s.activation(t, one.Grant(), key), time.Unix(one.Grant().Grant().EXP, 0))
	refusedAs(t, err, session.Expired)
}

// longer is an extension of a grant, asked, approved and verified, but not admitted.
func (s *site) longer(t fataler, l *ledger.Ledger, parent grant.Verified, change func(*grant.Request)) grant.Verified {
	_, v := s.granted(t, l, func(r *grant.Request) {
		p := parent.Grant()
		r.Kind, r.Parent, r.Key = grant.KindExtension, p.GID, ""
		r.NBF, r.EXP, r.MaxS = s.now.Unix(), p.EXP, p.MaxS+1800
		r.Services, r.Channels, r.Class = p.Services, p.Channels, p.Class
		if change != nil {
			change(r)
		}
	})
	return v
}

func TestExtensionMovesTheDeadline(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	a, ticket := s.admitted(t, l)
	v, id := ticket.Grant(), ticket.ID()
	facts, err := l.Begin(ticket, s.now)
	must(t, err)
	s.now = s.now.Add(20 * time.Minute)
	ext := s.longer(t, l, v, nil)
	got, err := l.Admit(ext, s.now)
	must(t, err)
	if got.ID() != id {
		t.Error("the ticket is not the session's")
	}
	want := facts.Opened.Add(3600 * time.Second)
	after, _ := l.Facts(id)
	if !after.Deadline.Equal(want) || !after.Opened.Equal(facts.Opened) {
		t.Errorf("%+v", after)
	}
	if left := l.Left(id, s.now); left != 40*time.Minute {
		t.Errorf("%v left", left)
	}
	_, err = l.Admit(ext, s.now)
	refusedAs(t, err, session.Refused)
	if _, err := l.Begin(ticket, facts.Opened.Add(45*time.Minute)); err != nil {
		t.Errorf("no connection in the time that was added: %v", err)
	}
	_, err = l.Begin(ticket, want)
	refusedAs(t, err, session.Expired)
	if receipts, ok := l.Extended(ext.GrantBytes()); !ok || len(receipts) != 1 {
		t.Error("the same delivery again is not known")
	}
	if _, ok := l.Extended(v.GrantBytes()); ok {
		t.Error("a session counts as an extension")
	}

	// Neither the extension nor its id opens anything, also after a restart.
	l = reopen(t, l, dir)
	after, _ = l.Facts(id)
	if !after.Deadline.Equal(want) {
		t.Errorf("after a restart: %+v", after)
	}
	gid, _ := session.ParseText(ext.Grant().GID)
	_, err = l.Ticket(gid)
	refusedAs(t, err, session.Expired)
	if found, err := l.ByKey(a.request.Key, facts.Opened.Add(45*time.Minute)); err != nil || found.ID() != id {
		t.Error(err)
	}
}

func TestExtensionsThatAreRefused(t *testing.T) {
	s := newSite(t)
	l, _ := opened(t)
	_, unopened := s.admitted(t, l)
	_, err := l.Admit(s.longer(t, l, unopened.Grant(), nil), s.now)
	refusedAs(t, err, session.Refused)

	_, ticket := s.admitted(t, l)
	v := ticket.Grant()
	facts, err := l.Begin(ticket, s.now)
	must(t, err)
	rows := map[string]func(*grant.Request){
		"an unknown session":  func(r *grant.Request) { r.Parent = session.NewID().Text() },
		"another scanner":     func(r *grant.Request) { r.Asset = "MR2" },
		"a higher class":      func(r *grant.Request) { r.Class = session.Disruptive },
		"not any longer":      func(r *grant.Request) { r.MaxS = v.Grant().MaxS },
		"shorter by its end":  func(r *grant.Request) { r.EXP = s.now.Unix() + 60 },
		"an unopened session": func(r *grant.Request) { r.Parent = unopened.Grant().Grant().GID },
	}
	for name, change := range rows {
		ext := s.longerBy(t, l, v, change)
		if _, err := l.Admit(ext, s.now); session.KindOf(err) != session.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	after, _ := l.Facts(ticket.ID())
	if !after.Deadline.Equal(facts.Deadline) {
		t.Error("a refused extension moved the deadline")
	}
	late := s.longer(t, l, v, nil)
	_, err = l.Admit(late, facts.Deadline)
	refusedAs(t, err, session.Expired)
	must(t, l.End(ticket.ID(), session.Completed, s.now))
	_, err = l.Admit(late, s.now)
	refusedAs(t, err, session.Expired)
	if _, err := l.Extendable(late.Request(), s.now); session.KindOf(err) != session.Expired {
		t.Errorf("%v", err)
	}
}

// longerBy is longer with as many approvers as the asset asks for.
func (s *site) longerBy(t fataler, l *ledger.Ledger, parent grant.Verified, change func(*grant.Request)) grant.Verified {
	p := parent.Grant()
	a := s.ask(t, func(r *grant.Request) {
		r.Kind, r.Parent, r.Key = grant.KindExtension, p.GID, ""
		r.NBF, r.EXP, r.MaxS, r.Services = s.now.Unix(), p.EXP, p.MaxS+1800, p.Services
		change(r)
	})
	if err := l.Pend(a.doc, a.receipt); err != nil {
		t.Fatalf("%v", err)
	}
	g := s.grant(t, a, nil)
	return s.verify(t, a, g, s.approve(t, a, g, "anna"), s.approve(t, a, g, "bernd"))
}

// A crash between the two files of an extension leaves it to be delivered again;
// nothing moves twice.
func TestExtensionIsFinishedAfterACrash(t *testing.T) {
	for _, failing := range []int{1, 2} {
		s := newSite(t)
		l, dir := opened(t)
		_, ticket := s.admitted(t, l)
		facts, err := l.Begin(ticket, s.now)
		must(t, err)
		ext := s.longer(t, l, ticket.Grant(), nil)
		n := 0
		l.Inject(func(step string) (bool, bool) {
			if step == "write" {
				n++
			}
			return n == failing, false
		})
		_, err = l.Admit(ext, s.now)
		refusedAs(t, err, session.Internal)
		l.Inject(nil)
		l = reopen(t, l, dir)
		for range 2 {
			_, err = l.Admit(ext, s.now)
		}
		if !errors.Is(err, ledger.ErrUsed) {
			t.Errorf("%v", err)
		}
		after, _ := l.Facts(ticket.ID())
		if !after.Deadline.Equal(facts.Opened.Add(time.Hour)) {
			t.Errorf("failing at write %d: %+v", failing, after)
		}
	}
}

// A deadline in a file that no grant gives keeps the agent from starting.
func TestForgedDeadlineIsNotBelieved(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	a, ticket := s.admitted(t, l)
	facts, err := l.Begin(ticket, s.now)
	must(t, err)
	must(t, l.Close())
	path := filepath.Join(dir, a.id.Request()+".json")
	body, err := os.ReadFile(path)
	must(t, err)
	old, _ := facts.Deadline.UTC().MarshalText()
	later, _ := facts.Deadline.UTC().Add(time.Hour).MarshalText()
	must(t, os.WriteFile(path, []byte(strings.Replace(string(body), string(old), string(later), 1)), 0o600))
	if _, err := ledger.Open(dir); err == nil {
		t.Fatal("believed")
	}
	must(t, os.WriteFile(path, body, 0o600))
	again := open(t, dir)
	must(t, again.Close())
}

func TestFreezeIsRemembered(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	_, ticket := s.admitted(t, l)
	id := ticket.ID()
	refusedAs(t, l.Freeze(id, []string{"local"}, s.now), session.Refused)
	refusedAs(t, l.Freeze(session.NewID(), []string{"local"}, s.now), session.Denied)
	facts, err := l.Begin(ticket, s.now)
	must(t, err)
	must(t, l.Freeze(id, []string{"local", "broker"}, s.now))
	if l.Freeze(id, []string{"no cause"}, s.now) == nil || l.Freeze(id, []string{"a", "a"}, s.now) == nil {
		t.Error("frozen for no cause")
	}
	l = reopen(t, l, dir)
	if e := l.Entries(s.now)[0]; !slices.Equal(e.Frozen, []string{"broker", "local"}) || e.Facts.Session.State(s.now) != session.Frozen {
		t.Errorf("%+v", e)
	}
	must(t, l.Freeze(id, nil, s.now))
	if e := l.Entries(s.now)[0]; len(e.Frozen) != 0 || e.Facts.Session.State(s.now) != session.Live {
		t.Errorf("%+v", e)
	}
	refusedAs(t, l.Freeze(id, []string{"local"}, facts.Deadline), session.Expired)
	must(t, l.Freeze(id, []string{"local"}, s.now))
	must(t, l.End(id, session.KilledLocal, s.now))
	refusedAs(t, l.Freeze(id, nil, s.now), session.Expired)
}

func TestSessionsOfOneEngineerAreLimited(t *testing.T) {
	s := newSite(t)
	l, _ := opened(t)
	l.LimitSessions(ledger.Limits{Asset: func(asset string) int { return map[string]int{"PETCT1": 1}[asset] }, Engineer: 1, Site: 1})
	_, one := s.admitted(t, l)
	_, two := s.admitted(t, l)
	_, err := l.Begin(one, s.now)
	must(t, err)
	_, err = l.Begin(two, s.now)
	refusedAs(t, err, session.Refused)
	if _, err := l.Begin(one, s.now); err != nil {
		t.Errorf("a second connection of the same session: %v", err)
	}
	must(t, l.End(one.ID(), session.Completed, s.now))
	if _, err := l.Begin(two, s.now); err != nil {
		t.Error(err)
	}
}

// A public key is one person's: whoever else asks with it, or lets it join, is refused, and
// what it opens stays its owner's.
func TestAPublicKeyIsOnePersons(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	evas, ticket := s.admitted(t, l)
	mallory := func(key string) func(*grant.Request) {
		return func(r *grant.Request) { r.Eng.Sub, r.Key = "mallory", key }
	}
	joined := newKey()
	_, err := l.Activate(ticket.ID(), joined, s.activation(t, ticket.Grant(), joined), s.now)
	must(t, err)
	_, hers := s.granted(t, l, mallory(newKey()))
	own := hers.Request().Key
	for range 2 {
		for _, key := range []string{evas.request.Key, joined} {
			a := s.ask(t, mallory(key))
			refusedAs(t, l.Pend(a.doc, a.receipt), session.Refused)
		}
		_, err = l.Activate(ticket.ID(), own, s.activation(t, ticket.Grant(), own), s.now)
		refusedAs(t, err, session.Refused)
		got, err := l.ByKey(evas.request.Key, s.now)
		if err != nil || got.ID() != ticket.ID() {
			t.Errorf("%v, %v", got, err)
		}
		again := s.ask(t, func(r *grant.Request) { r.Key = evas.request.Key }) // her own, as often as she likes
		must(t, l.Pend(again.doc, again.receipt))
		l = reopen(t, l, dir)
	}
	t.Logf("ATTACK | an engineer asks with the public key of another | 0 keys of two people | 0 | holds")
}
