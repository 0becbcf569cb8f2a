package access

import (
	"context"
	"encoding/json"
	"errors"
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
	body, err := json.Marshal(p)
	if err != nil {
		return session.Errorf(session.Internal, "write where an agent is: %w", err)
	}
	id := presenceID(site, agent)
	err = a.docs.Create(ctx, presenceKind, id, body, 0, atNode(node))
	if !errors.Is(err, store.ErrExists) {
		return err
	}
	err = a.docs.Update(ctx, presenceKind, id, func(old []byte) ([]byte, error) {
		was, err := readPresence(store.Doc{ID: id, Body: old})
		if err == nil && !online && was.Node != node {
			return old, nil // it has gone to another node meanwhile
		}
		return body, err
	})
	if err != nil {
		return err
	}
	return a.docs.Add(ctx, presenceKind, id, atNode(node))
}

// NoteStart writes down that the agents which were at a node when it stopped are
// not there now.
func (a *Access) NoteStart(ctx context.Context, node string) error {
	docs, err := a.list.ListUnder(ctx, presenceKind, atNode(node), 0)
	if err != nil {
		return err
	}
	for _, d := range docs {
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
