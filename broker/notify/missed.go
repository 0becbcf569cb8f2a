package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

const missedKind = "unmailed" // by request: who was not written to

// Missed is somebody who was not written to, and why.
type Missed struct {
	Request string    `json:"request"`      // its id, as text
	To      string    `json:"to,omitempty"` // empty: there is no address
	Event   Event     `json:"event"`
	Why     string    `json:"why"`
	At      time.Time `json:"at"` // of what happened
}

// miss remembers one. A mail that cannot be told of is in the log.
func (o *Office) miss(ctx context.Context, m Missed, why string) {
	m.Why = why
	err := o.cfg.Documents.Put(ctx, missedKind, m.Request, func(old []byte) ([]byte, []store.Under, error) {
		var all []Missed
		if old != nil {
			if err := json.Unmarshal(old, &all); err != nil {
				return nil, nil, err
			}
		}
		all = slices.DeleteFunc(all, func(x Missed) bool { return x.To == m.To && x.Event == m.Event })
		all = append(all, m)
		body, err := json.Marshal(all[max(0, len(all)-maxMissed):])
		return body, nil, err
	})
	if err != nil {
		o.cfg.Log.Warn("it could not be kept who was not written to", "request", m.Request, "event", m.Event, "err", err)
	}
}

// Missed are those who were not written to about a request.
func (o *Office) Missed(ctx context.Context, request session.ID) (all []Missed, err error) {
	d, err := o.cfg.Documents.Get(ctx, missedKind, request.Text())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(d.Body, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("read who was not written to: %w", err)
	}
	return all, nil
}
