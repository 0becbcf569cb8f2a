package agent

import (
	"maps"
	"slices"

	"github.com/sallyport/sallyport/agent/console"
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
	}
	s.Nodes, s.Strangers = c.brokers()
	for _, x := range c.a.spool.Troubles() {
		s.Stuck = append(s.Stuck, console.Stuck{Recording: x.Recording, Session: x.Header.Session, Part: x.Part, Parts: x.Parts,
			Since: x.Since, Message: x.Message, Next: x.Next})
	}
	for _, a := range c.a.rules.Load().Assets {
		s.Assets = append(s.Assets, a.Name)
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

func (c controls) Kill(k console.Kill) (console.Killed, error) {
	ids, err := c.end(k)
	done := console.Killed{Sessions: []string{}}
	for _, id := range ids {
		done.Sessions = append(done.Sessions, id.Session())
	}
	return done, err
}

func (c controls) Freeze(f console.Freeze) (console.Frozen, error) {
	return c.steer(f, c.a.engine.Freeze)
}

func (c controls) Thaw(f console.Freeze) (console.Frozen, error) {
	return c.steer(f, c.a.engine.Thaw)
}

// steer sets or lifts the local cause; the broker's is the broker's.
func (c controls) steer(f console.Freeze, do func(id session.ID, cause, by string) ([]string, error)) (console.Frozen, error) {
	id, err := session.ParseSessionID(f.Session)
	if err != nil {
		return console.Frozen{}, err
	}
	causes, err := do(id, causeLocal, localOperator)
	return console.Frozen{Session: f.Session, Frozen: append([]string{}, causes...)}, err
}

func (c controls) end(k console.Kill) ([]session.ID, error) {
	switch {
	case k.All:
		return c.a.engine.EndAll(session.KilledLocal, localOperator)
	case k.Asset != "":
		for _, a := range c.a.rules.Load().Assets {
			if a.Name == k.Asset {
				return c.a.engine.EndAsset(k.Asset, session.KilledLocal, localOperator)
			}
		}
		return nil, session.Errorf(session.Invalid, "This agent has no asset %.64q", k.Asset).WithNext("See sallyport-agent status.")
	default:
		id, err := session.ParseSessionID(k.Session)
		if err != nil {
			return nil, err
		}
		return []session.ID{id}, c.a.engine.End(id, session.KilledLocal, localOperator)
	}
}
