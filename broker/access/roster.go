package access

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// Enlisted is an agent as the broker's operators see it.
type Enlisted struct {
	Site     string
	Agent    string
	Identity string   // fingerprint of its identity key
	Assets   []string // sorted
	Online   bool     // at Node, as that node wrote it down
	Node     string
	Since    time.Time // of the last coming or going
	Revoked  time.Time // zero: its access did not end
}

// Roster lists the agents that have announced scanners, by site and name.
func (a *Access) Roster(ctx context.Context) ([]Enlisted, error) {
	all := []Enlisted{}
	for d, err := range a.list.All(ctx, catalogueKind, everySite) {
		if err != nil {
			return nil, err
		}
		s, err := readSite(d.Body, d.ID)
		if err != nil {
			return nil, err
		}
		for name := range s.Agents {
			e, err := a.enlisted(ctx, s, name)
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(x, y Enlisted) int {
		return strings.Compare(x.Site+"\n"+x.Agent, y.Site+"\n"+y.Agent)
	})
	return all, nil
}

// Enlisted is one agent; ErrUnknown is in the chain of the error about one that has
// announced nothing.
func (a *Access) Enlisted(ctx context.Context, name, agent string) (Enlisted, error) {
	s, err := a.site(ctx, name)
	if err != nil {
		return Enlisted{}, err
	}
	if _, known := s.Agents[agent]; !known {
		return Enlisted{}, &session.Error{Kind: session.Invalid, Err: ErrUnknown,
			Message: "There is no agent " + agent + " of site " + name, Next: "See sallyport-broker agents ls."}
	}
	return a.enlisted(ctx, s, agent)
}

func (a *Access) enlisted(ctx context.Context, s site, agent string) (Enlisted, error) {
	was := s.Agents[agent]
	e := Enlisted{Site: s.Name, Agent: agent, Assets: was.Assets, Revoked: was.Revoked}
	key, err := session.ParseKeyLine(was.Identity)
	if err != nil {
		return e, err
	}
	e.Identity = session.Fingerprint(key)
	d, err := a.docs.Get(ctx, presenceKind, presenceID(s.Name, agent))
	if errors.Is(err, os.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	p, err := readPresence(d)
	e.Online, e.Node, e.Since = p.Online, p.Node, p.At
	return e, err
}

// Strike notes that an agent's access has ended. One that nobody knows is fine.
func (a *Access) Strike(ctx context.Context, name, agent string) error {
	now := a.utc()
	return a.editSite(ctx, name, func(s *site) []string {
		if was, known := s.Agents[agent]; known {
			was.Revoked = now
			s.Agents[agent] = was
		}
		return nil
	})
}

// Forget takes an agent out of the catalogue, with its scanners. Its key is kept: what it
// recorded stays its.
func (a *Access) Forget(ctx context.Context, name, agent string) error {
	return a.editSite(ctx, name, func(s *site) []string {
		was := s.Agents[agent]
		s.retire(was.Identity)
		delete(s.Agents, agent)
		return was.Assets
	})
}

// editSite changes who is at a site; edit says which scanners go.
func (a *Access) editSite(ctx context.Context, name string, edit func(*site) (gone []string)) error {
	id := catalogueID(name, "")
	err := a.wholes.UpdateWhole(ctx, catalogueKind, id, func(old []byte) (store.Whole, error) {
		s, err := readSite(old, id)
		if err != nil {
			return store.Whole{}, err
		}
		gone := edit(&s)
		return s.whole(link.Hello{}, gone, nil)
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
