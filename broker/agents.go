package broker

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/broker/fleet"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// What operators do about agents, beside running nodes: the store, the CA and the audit
// log's inbox are all that it takes.

// office is the rooms that a command beside a running broker needs.
type office struct {
	cfg    Config
	fleet  *fleet.Fleet
	access *access.Access
	store  *store.Store
}

// beside opens them and closes them after do.
func beside(ctx context.Context, cfg Config, do func(*office) error) error {
	st, err := openStore(ctx, cfg, quiet())
	if err != nil {
		return err
	}
	defer st.Close()
	ca, err := fleet.LoadCA(filepath.Join(cfg.State, "ca"), time.Now)
	if err != nil {
		return err
	}
	o := &office{cfg: cfg, store: st}
	if o.fleet, err = newFleet(cfg, ca, st, &Broker{}, nil, quiet()); err != nil {
		return err
	}
	if o.access, err = access.New(access.Config{Documents: st, Listing: st, Wholes: st, Agents: o.fleet}); err != nil {
		return err
	}
	return do(o)
}

// leave leaves word for the audit log of what is done beside the running broker.
func (o *office) leave(event, site string, details map[string]string) error {
	details["made"] = time.Now().UTC().Format(time.RFC3339)
	return audit.Leave(auditDir(o.cfg), witness.Event{Event: event, Site: site, Details: details})
}

// Join is a join token, and for whom it is.
type Join struct {
	Token string
	// Known is the fingerprint of the identity that the agent has: the token is for that one,
	// or for the one that replaces it. "": the agent was not here before.
	Known string
}

// JoinToken makes a one-time token for an agent. One that was here before enrols with the
// identity that it has; with replace another one takes its place, and the old one's access
// ends as it enrols.
func JoinToken(ctx context.Context, cfg Config, site, agent string, replace bool, valid time.Duration) (j Join, err error) {
	err = beside(ctx, cfg, func(o *office) error {
		known, err := o.access.Enlisted(ctx, site, agent)
		if err != nil && (replace || !errors.Is(err, access.ErrUnknown)) {
			return err
		}
		j.Known = known.Identity
		details := map[string]string{"agent": agent, "valid": valid.String()}
		if j.Known != "" {
			details["identity"] = j.Known
		}
		if replace {
			delete(details, "identity")
			details["replaces"] = j.Known
		}
		if err := o.leave(witness.JoinTokenMade, site, details); err != nil {
			return err
		}
		j.Token, err = o.fleet.JoinToken(ctx, fleet.Join{Site: site, Agent: agent, Identity: j.Known, Replace: replace}, valid)
		return err
	})
	return j, err
}

// RevokeAgent ends every certificate and join token of an agent, and its connections to all
// nodes within seconds.
func RevokeAgent(ctx context.Context, cfg Config, site, agent string) error {
	return beside(ctx, cfg, func(o *office) error { return o.revoke(ctx, site, agent) })
}

func (o *office) revoke(ctx context.Context, site, agent string) error {
	if err := o.leave(witness.AgentRevoked, site, map[string]string{"agent": agent}); err != nil {
		return err
	}
	return errors.Join(o.fleet.Revoke(ctx, site, agent), o.access.Strike(ctx, site, agent))
}

// ForgetAgent is RevokeAgent, and takes the agent with its scanners off every list.
func ForgetAgent(ctx context.Context, cfg Config, site, agent string) error {
	return beside(ctx, cfg, func(o *office) error {
		was, err := o.access.Enlisted(ctx, site, agent)
		if err == nil {
			err = o.revoke(ctx, site, agent)
		}
		if err == nil {
			err = o.leave(witness.AgentForgotten, site, map[string]string{"agent": agent, "identity": was.Identity})
		}
		if err != nil {
			return err
		}
		return o.access.Forget(ctx, site, agent)
	})
}

// Agents lists the agents that have announced scanners. One is online where a node that
// runs says so.
func Agents(ctx context.Context, cfg Config) (all []access.Enlisted, err error) {
	err = beside(ctx, cfg, func(o *office) (err error) {
		if all, err = o.access.Roster(ctx); err != nil {
			return err
		}
		runs := map[string]bool{}
		for i, a := range all {
			if _, asked := runs[a.Node]; a.Online && !asked {
				if runs[a.Node], err = o.runs(ctx, a.Node); err != nil {
					return err
				}
			}
			all[i].Online = a.Online && runs[a.Node]
		}
		return nil
	})
	return all, err
}

// runs reports whether a node has said lately that it runs.
func (o *office) runs(ctx context.Context, node string) (bool, error) {
	d, err := o.store.Get(ctx, beatKind, node)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	var b beat
	if err == nil {
		err = json.Unmarshal(d.Body, &b)
	}
	if err != nil {
		return false, session.Errorf(session.Internal, "read the node %s: %w", node, err)
	}
	return time.Since(b.At).Abs() <= beatGone, nil
}
