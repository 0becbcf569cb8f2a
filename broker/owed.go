package broker

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/broker/store"
)

// owedKind are events that a node's audit log has still to take, by their salt, each under
// the log's name.
const owedKind = "owed"

// owedShelf keeps what this node's audit log is owed where the other disk is.
type owedShelf struct {
	store  *store.Store
	origin string
}

func (s owedShelf) Keep(ctx context.Context, id string, event []byte) error {
	err := s.store.Create(ctx, owedKind, id, event, owedLife, s.origin)
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

func (s owedShelf) Drop(ctx context.Context, id string) error {
	return s.store.Delete(ctx, owedKind, id)
}

func (s owedShelf) Kept(ctx context.Context) (events [][]byte, err error) {
	for d, err := range s.store.All(ctx, owedKind, s.origin) {
		if err != nil {
			return nil, err
		}
		if events = append(events, d.Body); len(events) == maxRecalled {
			break
		}
	}
	return events, nil
}
