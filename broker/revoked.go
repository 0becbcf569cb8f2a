package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/sallyport/sallyport/broker/fleet"
	"github.com/sallyport/sallyport/broker/store"
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
