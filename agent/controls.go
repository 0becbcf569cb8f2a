package agent

import (
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// controls is the agent as its local socket steers it. What is ended here was ended
// by the hospital's own hand.
type controls struct{ a *Agent }

const localOperator = "the operator at the agent"

func (c controls) Status() console.Status {
	up, since := c.a.client.Connected()
	s := console.Status{
		Site: c.a.cfg.Site, Agent: c.a.cfg.Agent, Version: Version, Identity: c.a.fingerprint(),
		Link: console.Link{Up: up, Since: since.UTC()}, Assets: []string{}, Sessions: []console.Session{},
		Admitted: c.admitted(c.a.now()), Barred: c.barred(),
	}
	if by := c.a.ledger.Behind(); by > 0 {
		s.Clock = ledger.ClockWords(by) + " Set it. If it was ahead before and is right now, stop the agent, remove ledger/" + ledger.ClockName + " from its state directory, and start it again."
	}
	if u := c.a.rules.Load().Console.URL(); u != "" {
		fingerprint, err := c.a.rules.Load().Console.Fingerprint(c.a.state.path(pageCertificate))
		if err != nil {
			fingerprint = "which cannot be read: " + err.Error()
		}
		s.Page = &console.Page{URL: u, Certificate: fingerprint}
	}
	s.Nodes, s.Strangers = c.brokers()
	for _, x := range c.a.spool.Troubles() {
		s.Stuck = append(s.Stuck, console.Stuck{Recording: x.Recording, Session: x.Header.Session, Part: x.Part, Parts: x.Parts,
			Since: x.Since, Message: x.Message, Next: x.Next})
	}
	for _, a := range c.a.rules.Load().Assets {
		s.Assets = append(s.Assets, a.Name)
		s.Readings = append(s.Readings, c.a.readings(a.Name)...)
	}
	for _, l := range c.a.engine.Live() {
		live := console.Session{
			ID: l.ID.Session(), Asset: l.Asset, Service: l.Service, Engineer: l.Engineer,
			Opened: l.Opened.UTC(), Deadline: l.Deadline.UTC(), Connections: l.Connections, Frozen: l.Frozen,
		}
		for _, r := range l.Recordings {
			live.Recordings = append(live.Recordings, r.Recording)
		}
		s.Sessions = append(s.Sessions, live)
	}
	return s
}

// brokers are the accepted nodes as the agent has seen their audit logs, and those of
// which nothing new is taken.
func (c controls) brokers() ([]console.Node, []console.Stranger) {
	accepted, kept, err := c.a.checkpoints.look()
	if err != nil {
		c.a.log.Error("the accepted nodes cannot be read", "err", err)
	}
	nodes, strangers := []console.Node{}, []console.Stranger{}
	for _, n := range accepted {
		l := kept.Logs[n.Origin]
		seen := console.Node{Origin: n.Origin, Accepted: n.Since, Size: l.at().Size, Taken: l.Taken, Trouble: l.Trouble, Since: l.Since}
		if pub, err := session.ParseKeyLine(n.Key); err == nil {
			seen.Key = session.Fingerprint(pub)
		}
		for _, by := range witness.Cosigners(l.Note, accepted) {
			seen.Cosigned = append(seen.Cosigned, by.Node.Origin)
		}
		nodes = append(nodes, seen)
	}
	for _, name := range slices.Sorted(maps.Keys(kept.Strangers)) {
		s := kept.Strangers[name]
		strangers = append(strangers, console.Stranger{Name: name, Origin: s.Origin, Forged: s.Forged, Since: s.Since})
	}
	return nodes, strangers
}

// admitted are the grants that stand and that nobody opened, those that end first first.
func (c controls) admitted(now time.Time) []console.Grant {
	out := []console.Grant{}
	for _, e := range c.a.ledger.Entries(now) {
		if !e.Session.IsZero() && e.Status == session.Approved && e.Facts.Session.Opened.IsZero() {
			out = append(out, grantOf(e))
		}
	}
	slices.SortStableFunc(out, func(a, b console.Grant) int { return a.NotAfter.Compare(b.NotAfter) })
	return out
}

func grantOf(e ledger.Entry) console.Grant {
	return console.Grant{ID: e.Session.Session(), Request: e.Request.Request(), Asset: e.Asset, Services: e.Services, Engineer: e.Engineer, NotAfter: e.Facts.NotAfter}
}

// Kill ends what it names for good: what is live, what could be opened, and what waits
// for an answer.
func (c controls) Kill(k console.Target) (console.Killed, error) {
	if k.Session != "" {
		return c.killOne(k.Session)
	}
	s := scopeOf(k)
	if err := c.known(s); err != nil {
		return console.Killed{}, err
	}
	done, err := c.a.deliveries.Load().endWhere(s.Covers, session.KilledLocal, localOperator)
	if err != nil {
		c.a.log.Error("a kill is not on the disk", "err", err)
		return console.Killed{}, session.Errorf(session.Internal, "%d sessions are cut and nothing of it opens while this agent runs, but the disk has not taken all of it.", len(done.sessions)).
			WithNext("Make room on the agent's disk and kill again, before the agent is restarted.")
	}
	return killed(done), nil
}

// killOne ends a session, or closes a grant that nobody opened.
func (c controls) killOne(text string) (console.Killed, error) {
	id, err := session.ParseSessionID(text)
	if err == nil {
		err = c.a.engine.End(id, session.KilledLocal, localOperator)
	}
	if err != nil {
		return console.Killed{}, err
	}
	var done ended
	for _, e := range c.a.ledger.Entries(c.a.now()) {
		switch {
		case e.Session != id:
		case e.Facts.Session.Opened.IsZero():
			done.grants = append(done.grants, e)
			c.a.deliveries.Load().changed(id)
		default:
			done.sessions = append(done.sessions, e)
		}
	}
	return killed(done), nil
}

func killed(done ended) console.Killed {
	out := console.Killed{Sessions: []string{}, Grants: []console.Grant{}, Requests: []string{}}
	for _, e := range done.sessions {
		out.Sessions = append(out.Sessions, e.Session.Session())
	}
	for _, e := range done.grants {
		out.Grants = append(out.Grants, grantOf(e))
	}
	for _, e := range done.requests {
		out.Requests = append(out.Requests, e.Request.Request())
	}
	return out
}

// known refuses a scope that reaches nobody and nothing here: a slip of the hand must
// not look like a kill.
func (c controls) known(s ledger.Scope) error {
	if s.All || slices.ContainsFunc(c.a.rules.Load().Assets, func(a Asset) bool { return s.Asset == a.Name }) ||
		slices.ContainsFunc(c.a.ledger.Entries(c.a.now()), func(e ledger.Entry) bool { return s.Covers(e.Asset, e.Engineer) }) {
		return nil
	}
	if s.Asset != "" {
		return session.Errorf(session.Invalid, "This agent has no asset %.64q", s.Asset).WithNext("See sallyport-agent status.")
	}
	return session.Errorf(session.Invalid, "No engineer %.64q has asked this agent for anything", s.Engineer).
		WithNext("Give the e-mail address that sallyport-agent status shows.")
}
