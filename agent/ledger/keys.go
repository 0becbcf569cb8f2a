package ledger

import (
	"bytes"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// activation is a key that joined a grant, with the proof that let it.
type activation struct {
	Key     string        `json:"key"`
	Receipt grant.Receipt `json:"receipt"`
}

// Activate lets a key join a grant that was admitted and is not over, with the
// receipt that grant.Verifier.CheckActivation gave. A key that joined before is
// renewed. It returns how many keys the grant has now.
func (l *Ledger) Activate(gid session.ID, key string, r grant.Receipt, now time.Time) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.findGrant(gid)
	if err == nil {
		err = l.ownKey(key, e.request.Eng)
	}
	if err != nil {
		return 0, err
	}
	next, changed, err := e.activate(key, r, now)
	if err != nil {
		return 0, err
	}
	if changed {
		if err := l.write(e, next); err != nil {
			return 0, err
		}
		l.index(e)
	}
	return len(e.keys()), nil
}

// ownKey refuses a public key by which another person's requests are found: nobody could
// tell whose connection it is.
func (l *Ledger) ownKey(key string, who session.Identity) error {
	for _, rid := range l.keys[key] {
		if l.entries[rid].request.Eng != who {
			return refused("This public key is another person's.", "Let sallyport make a key of your own.", nil)
		}
	}
	return nil
}

// Keys is how many keys may open connections under a grant; none of one that is
// closed or unknown.
func (l *Ledger) Keys(gid session.ID) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	rid, ok := l.grants[gid]
	if !ok || l.entries[rid].shut {
		return 0
	}
	return len(l.entries[rid].keys())
}

// activate adds a key or renews it; changed is false for a delivery that came before.
func (e *entry) activate(key string, r grant.Receipt, now time.Time) (next record, changed bool, err error) {
	if e.shut || e.rec.State == closed {
		return record{}, false, e.over()
	}
	if err := e.ticket.grant.ActivatedBy(key, r); err != nil {
		return record{}, false, err
	}
	if !now.Before(e.end()) {
		return record{}, false, expired("The grant's time window is over.", "Ask again with a new window.")
	}
	r.Received = plain(r.Received)
	next = e.rec
	next.Activations = slices.Clone(next.Activations)
	at := slices.IndexFunc(next.Activations, func(a activation) bool { return a.Key == key })
	switch {
	case at >= 0 && next.Activations[at].Receipt.Proof.Token == r.Proof.Token && bytes.Equal(next.Activations[at].Receipt.Proof.Salt, r.Proof.Salt):
		return e.rec, false, nil
	case at >= 0:
		next.Activations[at].Receipt = r
	case !slices.Contains(e.keys(), key) && len(e.keys()) >= grant.MaxKeys:
		return record{}, false, refused("This grant has four keys already.", "Use one of them, or ask for a session of its own.", nil)
	default:
		next.Activations = append(next.Activations, activation{key, r})
	}
	return next, true, nil
}

// keys are the key lines that may open connections under the entry's grant.
func (e *entry) keys() []string {
	var out []string
	if e.request.Key != "" {
		out = append(out, e.request.Key)
	}
	for _, a := range e.rec.Activations {
		if a.Key != e.request.Key {
			out = append(out, a.Key)
		}
	}
	return out
}

// fresh reports whether the engineer has proven lately that they still are one: by
// the request itself, or by an activation.
func (e *entry) fresh(now time.Time) bool {
	if !now.After(e.rec.Engineer.Received.Add(grant.KeyReach)) {
		return true
	}
	return slices.ContainsFunc(e.rec.Activations, func(a activation) bool {
		return !now.After(a.Receipt.Received.Add(grant.ActivationTime)) && !now.Before(a.Receipt.Received.Add(-maxBackwards))
	})
}

// checkKeys refuses activations that Activate would not have written.
func (e *entry) checkKeys() error {
	seen := map[string]bool{}
	for _, a := range e.rec.Activations {
		if seen[a.Key] || a.Receipt.Received.IsZero() {
			return errRecord("a key stands twice or has no time of receipt")
		}
		seen[a.Key] = true
		if err := e.ticket.grant.ActivatedBy(a.Key, a.Receipt); err != nil {
			return err
		}
	}
	if len(e.keys()) > grant.MaxKeys {
		return errRecord("too many keys")
	}
	return nil
}
