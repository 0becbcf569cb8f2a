package agent

import (
	"github.com/sallyport/sallyport/agent/console"
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
	if kept, at := c.a.checkpoints.look(); kept.Note != nil || kept.Trouble != "" {
		s.Log = &console.Log{Origin: at.Origin, Size: at.Size, Taken: kept.Taken, Trouble: kept.Trouble, Since: kept.Since}
		if pub, err := session.ParseKeyLine(kept.Key); err == nil {
			s.Log.Key = session.Fingerprint(pub)
		}
	}
	for _, a := range c.a.cfg.Assets {
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

// ForgetLog is an operator's word that the broker's audit log may begin anew.
func (c controls) ForgetLog() error { return c.a.checkpoints.forget() }

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
		for _, a := range c.a.cfg.Assets {
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
