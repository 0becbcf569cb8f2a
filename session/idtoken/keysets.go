package idtoken

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/session"
)

// KeySets holds the keys of all pinned issuers. Its list never changes after NewKeySets.
type KeySets struct {
	sets map[string]*KeySet
}

// NewKeySets prepares one KeySet per issuer URL. Two entries may pin the same
// issuer, for the two sides, as long as they agree about its keys and tokens. options
// says how an issuer is reached; nil reaches all of them directly.
func NewKeySets(issuers []session.Issuer, options func(session.Issuer) Options) (*KeySets, error) {
	if options == nil {
		options = func(session.Issuer) Options { return Options{} }
	}
	all := &KeySets{sets: make(map[string]*KeySet, len(issuers))}
	for _, issuer := range issuers {
		if old, ok := all.sets[issuer.URL]; ok {
			if !old.issuer.Agrees(issuer) {
				return nil, &session.Error{
					Kind:    session.Invalid,
					Message: fmt.Sprintf("The identity provider %.200q is configured twice, with different keys, ways to reach it or ways to read its tokens.", issuer.URL),
					Next:    "Give both entries the same jwks, reach, domains, subject, tenant, groups_claim and algorithms.",
				}
			}
			old.clients = append(old.clients, slices.DeleteFunc(issuer.Ids(), func(id string) bool { return slices.Contains(old.clients, id) })...)
			continue
		}
		set, err := NewKeySet(issuer, options(issuer))
		if err != nil {
			return nil, err
		}
		all.sets[issuer.URL] = set
	}
	return all, nil
}

// Ask asks all issuers once, and reports those that answer and cannot be used as they
// are configured. One that does not answer is no reason to stop: its tokens are refused
// until it does. One that others ask for us is asked when somebody signs in: before those
// others are there, asking in vain would only make the first person wait.
func (s *KeySets) Ask(ctx context.Context) error {
	answers := make(chan error)
	asked := 0
	for _, set := range s.sets {
		if set.opts.Through != nil {
			continue
		}
		asked++
		go func() {
			_, err := set.Check(ctx)
			answers <- err
		}()
	}
	var all []error
	for range asked {
		var refused *session.Error
		if err := <-answers; errors.Is(err, ErrPairwise) && errors.As(err, &refused) {
			all = append(all, refused)
		}
	}
	return errors.Join(all...)
}

// For finds the keys of an issuer by its exact URL.
func (s *KeySets) For(issuer string) (*KeySet, bool) {
	if s == nil {
		return nil, false
	}
	set, ok := s.sets[issuer]
	return set, ok
}
