package access_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
)

// life is what a reader of the rules expects of one request.
type life struct {
	id       string
	raw      []byte
	grant    []byte
	at       time.Time
	approved []string
	granted  bool
	gone     session.Status // denied, withdrawn
	opened   time.Time
	ended    session.EndReason
}

func (l *life) status(now time.Time) session.Status {
	window := l.at.Add(4 * time.Hour)
	switch {
	case l.gone != "":
		return l.gone
	case !l.granted && !now.Before(window):
		return session.Lapsed
	case !l.granted:
		return session.Pending
	case l.ended == session.RevokedGrant:
		return session.Revoked
	case l.ended != "":
		return session.Closed
	case l.opened.IsZero() && !now.Before(window):
		return session.Lapsed
	case !l.opened.IsZero() && !now.Before(l.opened.Add(30*time.Minute)):
		return session.Closed
	}
	return session.Approved
}

// Any order of anything that people, agents and time can do: the status is what
// the rules say, and the agent never has two grants for a request.
func TestLifeOfARequest(t *testing.T) {
	w := newWorld(t)
	w.agent.Needed = 2
	w.must(w.Announce(t.Context(), w.agent.Hello("NGH-PETCT1")))
	rapid.Check(t, func(rt *rapid.T) {
		r, raw := w.submit(ada)
		l := &life{id: r.ID, raw: raw, at: w.clock(), grant: accesstest.Bytes(w.agent.Grant(raw))}
		seq := uint64(0)
		expect := func(what string, ok bool, err error) {
			if ok != (err == nil) {
				rt.Fatalf("%s of a %s request: %v", what, l.status(w.clock()), err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"approve": func(rt *rapid.T) {
				p := rapid.SampledFrom([]person{ben, bea}).Draw(rt, "by")
				ok := l.status(w.clock()) == session.Pending && !slices.Contains(l.approved, p.who.Sub)
				_, admitted, err := w.Approve(t.Context(), p, l.id, l.grant, accesstest.Proof(p.who.Sub))
				expect("approve", ok, err)
				if ok {
					l.approved = append(l.approved, p.who.Sub)
					l.granted = len(l.approved) == 2
					if admitted != l.granted {
						rt.Fatalf("admitted %v with %v", admitted, l.approved)
					}
				}
			},
			"approve other terms": func(rt *rapid.T) {
				g := accesstest.Bytes(w.agent.Grant(l.raw))
				ok := l.status(w.clock()) == session.Pending && len(l.approved) == 0
				_, _, err := w.Approve(t.Context(), ben, l.id, g, accesstest.Proof("ben"))
				expect("approve other terms", ok, err)
				if ok {
					l.grant, l.approved = g, []string{"ben"}
				}
			},
			"deny": func(*rapid.T) {
				ok := l.status(w.clock()) == session.Pending
				_, err := w.Deny(t.Context(), bea, l.id, "no")
				expect("deny", ok, err)
				if ok {
					l.gone = session.DeniedBy
				}
			},
			"withdraw": func(*rapid.T) {
				s := l.status(w.clock())
				ok := s == session.Pending || s == session.Approved && l.opened.IsZero()
				_, err := w.Withdraw(t.Context(), ada, l.id)
				expect("withdraw", ok, err)
				if ok {
					l.gone = session.Withdrawn
				}
			},
			"open": func(rt *rapid.T) {
				if l.status(w.clock()) != session.Approved || !l.opened.IsZero() {
					return // the agent would not
				}
				v, err := w.Get(t.Context(), ada, l.id)
				w.must(err)
				seq++
				w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(v, seq)))
				l.opened = w.clock()
			},
			"kill": func(rt *rapid.T) {
				if !l.granted {
					return // no session yet
				}
				v, err := w.Get(t.Context(), ben, l.id)
				w.must(err)
				was := l.status(w.clock())
				_, err = w.Kill(t.Context(), ben, sid(v))
				expect("kill", true, err)
				if was == session.Approved {
					l.ended = session.KilledRemote
					if l.opened.IsZero() {
						l.ended = session.RevokedGrant
					}
				}
			},
			"wait": func(rt *rapid.T) {
				w.advance(time.Duration(rapid.IntRange(1, 100).Draw(rt, "minutes")) * time.Minute)
			},
			"": func(rt *rapid.T) {
				v, err := w.Get(t.Context(), ada, l.id)
				w.must(err)
				if v.Status != l.status(w.clock()) {
					rt.Fatalf("the broker says %s, the rules %s", v.Status, l.status(w.clock()))
				}
				entry := w.agent.Entry(l.id)
				if entry.Granted > 1 || l.gone != "" && !entry.Closed || v.Status == session.Approved && (!entry.Admitted || entry.Closed) {
					rt.Fatalf("%s, but the agent has %+v", v.Status, entry)
				}
			},
		})
	})
	r, raw := w.submit(ada) // whatever was drawn, one session was opened
	grant := accesstest.Bytes(w.agent.Grant(raw))
	for _, p := range []person{ben, bea} {
		var err error
		r, _, err = w.Approve(t.Context(), p, r.ID, grant, accesstest.Proof(p.who.Sub))
		w.must(err)
	}
	w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(r, 1)))
	w.indexesAgree()
}

// indexesAgree compares each index with what a look at every request says.
func (w *world) indexesAgree() {
	w.t.Helper()
	ctx := w.t.Context()
	requests := func(only session.Status) map[string]access.Request {
		return every(w.t, requestID, func(s access.Stretch) ([]access.Request, string, error) { return w.List(ctx, ben, only, s) })
	}
	sessions := func(live bool) map[string]access.Session {
		return every(w.t, theID, func(s access.Stretch) ([]access.Session, string, error) { return w.Sessions(ctx, ben, live, s) })
	}
	all, pending, approved, opened, live := requests(""), requests(session.Pending), requests(session.Approved), sessions(false), sessions(true)
	for id, r := range all {
		_, waits := pending[id]
		_, open := approved[id]
		if waits != (r.Status == session.Pending) || open != (r.Status == session.Approved) {
			w.t.Errorf("a request that is %s is listed as pending: %v, as approved: %v", r.Status, waits, open)
		}
		s, err := w.Session(ctx, ben, sid(r))
		_, listed := opened[sid(r)]
		_, alive := live[sid(r)]
		if listed != (err == nil) || alive != (err == nil && s.State != session.Ended) {
			w.t.Errorf("a session (%v) that is %q is listed: %v, as live: %v", err, s.State, listed, alive)
		}
	}
	if len(all) == 0 || len(opened) == 0 {
		w.t.Errorf("%d requests and %d sessions prove nothing", len(all), len(opened))
	}
}
