package agent

import (
	"errors"
	"slices"
	"sync"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
)

// holds is what the operator freezes by name: an asset, an engineer or everything.
type holds struct {
	ledger *ledger.Ledger
	live   holder

	mu sync.Mutex // one freeze or thaw is written down at a time
}

// holder is the sessions that run now; see package engine.
type holder interface {
	FreezeWhere(covers func(asset string, who session.Person) bool, cause, by string) ([]session.ID, error)
	ThawWhere(covers func(asset string, who session.Person) bool, cause, by string) ([]session.ID, error)
	Thaw(id session.ID, cause, by string) ([]string, error)
}

// freeze stops everything of a scope and lets nothing open there. Live sessions are
// stopped at once, before anything is written or waited for; what began to open in the
// meantime is stopped after.
func (h *holds) freeze(s ledger.Scope, by string) ([]session.ID, error) {
	_, _ = h.live.FreezeWhere(s.Covers, causeLocal, by) // what fails here fails below
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.ledger.Bar(s)
	ids, err2 := h.live.FreezeWhere(s.Covers, causeLocal, by)
	return ids, errors.Join(err, err2)
}

// thaw lifts the freeze of just this scope, and that of its sessions where no other
// scope holds them. It returns the sessions that go on.
func (h *holds) thaw(s ledger.Scope, by string) ([]session.ID, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lifted, err := h.ledger.Lift(s)
	if err != nil {
		return nil, err
	}
	theirs := func(asset string, who session.Person) bool {
		return s.Covers(asset, who) && !h.ledger.Barred(asset, who)
	}
	ids, err := h.live.ThawWhere(theirs, causeLocal, by)
	more, err2 := h.live.ThawWhere(theirs, engine.CauseInterlock, by) // where the scanner's state allows it
	ids, err = append(ids, more...), errors.Join(err, err2)
	if err == nil && !lifted && len(ids) == 0 {
		err = session.Errorf(session.Refused, "Nothing is frozen here by that name.").WithNext("See what is frozen with sallyport-agent status.")
	}
	return ids, err
}

// thawOne lifts the freeze of one session, unless a scope holds it, and the interlock's,
// where the scanner's state allows it.
func (h *holds) thawOne(id session.ID, by string) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if asset, who, ok := h.ledger.Whose(id); ok && h.ledger.Barred(asset, who) {
		return nil, session.Errorf(session.Refused, "This session is frozen with more than itself.").
			WithNext("See by what name with sallyport-agent status, and thaw that.")
	}
	left, err := h.live.Thaw(id, causeLocal, by)
	if slices.Contains(left, engine.CauseInterlock) {
		return h.live.Thaw(id, engine.CauseInterlock, by)
	}
	return left, err
}

func (c controls) Freeze(t console.Target) (console.Frozen, error) {
	out := console.Frozen{Target: t, Frozen: []string{}, Sessions: []string{}}
	if t.Session != "" {
		id, err := session.ParseSessionID(t.Session)
		if err != nil {
			return out, err
		}
		causes, err := c.a.engine.Freeze(id, causeLocal, localOperator)
		out.Frozen = append(out.Frozen, causes...)
		return out, c.unwritten(err)
	}
	s := scopeOf(t)
	if err := c.known(s); err != nil {
		return out, err
	}
	ids, err := c.a.deliveries.Load().holds.freeze(s, localOperator)
	c.a.log.Warn("frozen by name", "asset", s.Asset, "engineer", s.Engineer, "all", s.All, "sessions", len(ids), "err", err)
	out.Sessions = named(ids)
	return out, c.unwritten(err)
}

// unwritten says of a freeze that the disk has not taken that it holds all the same.
func (c controls) unwritten(err error) error {
	if err == nil || session.KindOf(err) != session.Internal {
		return err
	}
	c.a.log.Error("a freeze is not on the disk", "err", err)
	return session.Errorf(session.Internal, "It is frozen while this agent runs, but the disk has not taken that.").
		WithNext("Make room on the agent's disk and freeze again, before the agent is restarted.")
}

func (c controls) Thaw(t console.Target) (console.Frozen, error) {
	out := console.Frozen{Target: t, Frozen: []string{}, Sessions: []string{}}
	if t.Session != "" {
		id, err := session.ParseSessionID(t.Session)
		if err != nil {
			return out, err
		}
		causes, err := c.a.deliveries.Load().holds.thawOne(id, localOperator)
		out.Frozen = append(out.Frozen, causes...)
		return out, err
	}
	s := scopeOf(t)
	ids, err := c.a.deliveries.Load().holds.thaw(s, localOperator)
	c.a.log.Warn("thawed by name", "asset", s.Asset, "engineer", s.Engineer, "all", s.All, "sessions", len(ids), "err", err)
	out.Sessions = named(ids)
	return out, err
}

// barred is what is frozen by name.
func (c controls) barred() []console.Target {
	out := []console.Target{}
	for _, s := range c.a.ledger.Bars() {
		out = append(out, console.Target{Asset: s.Asset, Engineer: s.Engineer, All: s.All})
	}
	return out
}

func named(ids []session.ID) []string {
	out := []string{}
	for _, id := range ids {
		out = append(out, id.Session())
	}
	return out
}

func scopeOf(t console.Target) ledger.Scope {
	return ledger.Scope{Asset: t.Asset, Engineer: t.Engineer, All: t.All}
}
