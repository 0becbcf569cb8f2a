package idtoken

import (
	"fmt"

	"github.com/sallyport/sallyport/session"
)

// KeySets holds the keys of all pinned issuers. It never changes after NewKeySets.
type KeySets struct {
	sets map[string]*KeySet
}

// NewKeySets prepares one KeySet per issuer URL. Two entries may pin the same
// issuer, for the two sides, as long as they say the same about its keys. options
// says how an issuer is reached; nil reaches all of them directly.
func NewKeySets(issuers []session.Issuer, options func(session.Issuer) Options) (*KeySets, error) {
	if options == nil {
		options = func(session.Issuer) Options { return Options{} }
	}
	all := &KeySets{sets: make(map[string]*KeySet, len(issuers))}
	for _, issuer := range issuers {
		if old, ok := all.sets[issuer.URL]; ok {
			o := old.issuer
			if o.JWKS != issuer.JWKS || o.Reach != issuer.Reach || o.InsecureLoopback != issuer.InsecureLoopback {
				return nil, &session.Error{
					Kind:    session.Invalid,
					Message: fmt.Sprintf("The identity provider %.200q is configured twice, with different keys or ways to reach it.", issuer.URL),
					Next:    "Give both entries the same jwks, reach and insecure_loopback.",
				}
			}
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

// For finds the keys of an issuer by its exact URL.
func (s *KeySets) For(issuer string) (*KeySet, bool) {
	if s == nil {
		return nil, false
	}
	set, ok := s.sets[issuer]
	return set, ok
}
