package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/broker/fleet"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

const (
	deniedKind  = "denied"
	deniedUnder = "agents"
)

// denied are the agents that were revoked, for all nodes. A denial goes when every
// certificate from before it has expired.
type denied struct {
	store *store.Store
	last  *atomic.Pointer[[]fleet.Denial] // what was read last, for while the store does not answer
}

var _ fleet.DenyList = denied{}

func (l denied) Deny(ctx context.Context, d fleet.Denial) error {
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return l.store.Create(ctx, deniedKind, session.NewID().Text(), body, fleet.DenialTime, deniedUnder)
}

func (l denied) List(ctx context.Context) (list []fleet.Denial, err error) {
	for doc, err := range l.store.All(ctx, deniedKind, deniedUnder) {
		if err != nil {
			if last := l.last.Load(); last != nil {
				return *last, nil
			}
			return nil, err
		}
		var d fleet.Denial
		if err := json.Unmarshal(doc.Body, &d); err != nil {
			return nil, fmt.Errorf("read a revocation: %w", err)
		}
		list = append(list, d)
	}
	l.last.Store(&list)
	return list, nil
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// beside is the fleet as a command beside a running broker has it: the store and the CA
// are the same.
func beside(ctx context.Context, cfg Config) (*fleet.Fleet, *store.Store, error) {
	st, err := openStore(ctx, cfg, quiet())
	if err != nil {
		return nil, nil, err
	}
	ca, err := fleet.LoadCA(filepath.Join(cfg.State, "ca"), time.Now)
	var f *fleet.Fleet
	if err == nil {
		f, err = newFleet(cfg, ca, st, &Broker{}, nil, quiet())
	}
	if err != nil {
		_ = st.Close()
		return nil, nil, err
	}
	return f, st, nil
}

// JoinToken makes a one-time token for an agent.
func JoinToken(ctx context.Context, cfg Config, site, agent string, valid time.Duration) (string, error) {
	f, st, err := beside(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer st.Close()
	if err := leave(cfg, witness.JoinTokenMade, site, map[string]string{"agent": agent, "valid": valid.String()}); err != nil {
		return "", err
	}
	return f.JoinToken(ctx, site, agent, valid)
}

// RevokeAgent ends every certificate and join token of an agent, and its connections to all
// nodes within seconds.
func RevokeAgent(ctx context.Context, cfg Config, site, agent string) error {
	f, st, err := beside(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	if err := leave(cfg, witness.AgentRevoked, site, map[string]string{"agent": agent}); err != nil {
		return err
	}
	return f.Revoke(ctx, site, agent)
}

// leave leaves word for the audit log of what is done beside the running broker.
func leave(cfg Config, event, site string, details map[string]string) error {
	details["made"] = time.Now().UTC().Format(time.RFC3339)
	return audit.Leave(auditDir(cfg), witness.Event{Event: event, Site: site, Details: details})
}
