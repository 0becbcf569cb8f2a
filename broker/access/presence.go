package access

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

// presence is that an agent came to or left a node of the broker. It is written so
// that people at every node hear of it; whether an agent is here is asked of Agents.
type presence struct {
	Site   string    `json:"site"`
	Agent  string    `json:"agent"`
	Node   string    `json:"node"`
	Online bool      `json:"online"`
	At     time.Time `json:"at"`
}

func presenceID(site, agent string) string { return site + "/" + agent }

// NoteAgent writes down that an agent came to or left a node.
func (a *Access) NoteAgent(ctx context.Context, site, agent, node string, online bool) error {
	if !session.ValidName(site) || !session.ValidName(agent) || !session.ValidName(node) {
		return session.Errorf(session.Internal, "access: the agent of a place that has no name")
	}
	p := presence{Site: site, Agent: agent, Node: node, Online: online, At: a.utc()}
	id := presenceID(site, agent)
	return a.docs.Put(ctx, presenceKind, id, func(old []byte) ([]byte, []store.Under, error) {
		now := p
		if old != nil {
			was, err := readPresence(store.Doc{ID: id, Body: old})
			if err != nil {
				return nil, nil, err
			}
			if !online && was.Node != node {
				now = was // it has gone to another node meanwhile
			}
		}
		body, err := json.Marshal(now)
		if !now.Online {
			return body, nil, err
		}
		return body, store.Names(atNode(now.Node)), err
	})
}

// NoteStart writes down that the agents which were at a node when it stopped are
// not there now.
func (a *Access) NoteStart(ctx context.Context, node string) error {
	for d, err := range a.list.All(ctx, presenceKind, atNode(node)) {
		if err != nil {
			return err
		}
		p, err := readPresence(d)
		if err != nil {
			return err
		}
		if !p.Online || p.Node != node || a.agents.Online(p.Site, p.Agent) {
			continue
		}
		if err := a.NoteAgent(ctx, p.Site, p.Agent, node, false); err != nil {
			return err
		}
	}
	return nil
}

func atNode(node string) string { return "node:" + node }

func readPresence(d store.Doc) (presence, error) {
	var p presence
	if err := json.Unmarshal(d.Body, &p); err != nil || presenceID(p.Site, p.Agent) != d.ID {
		return presence{}, session.Errorf(session.Internal, "where %s is cannot be read: %w", d.ID, err)
	}
	return p, nil
}
