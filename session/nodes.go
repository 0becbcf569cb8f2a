package session

import (
	"crypto/ed25519"
	"strings"
	"time"
)

// Node is one of the broker's nodes as a hospital accepted it: the name of its audit
// log, and the key that signs the log, countersigns recordings and seals packs.
type Node struct {
	Origin string    `json:"origin"`
	Key    string    `json:"key"`            // key line
	Since  time.Time `json:"since,omitzero"` // when the hospital accepted it
}

// Nodes are those that a hospital accepts. Each has a name and a key of its own.
type Nodes []Node

// ValidOrigin reports whether s can name a log and its key: a host, with or without
// port, and what follows it.
func ValidOrigin(s string) bool {
	if s == "" || len(s) > maxOrigin {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '+' })
}

// Check refuses a set in which a name or a key stands twice, or means nothing.
func (all Nodes) Check() error {
	if len(all) > MaxNodes {
		return Errorf(Invalid, "There are %d nodes of the broker, and at most %d can be accepted", len(all), MaxNodes)
	}
	for i, n := range all {
		if !ValidOrigin(n.Origin) {
			return Errorf(Invalid, "%.80q cannot name a node's audit log", n.Origin)
		}
		if _, err := ParseKeyLine(n.Key); err != nil {
			return err
		}
		for _, other := range all[:i] {
			if other.Origin == n.Origin || other.Key == n.Key {
				return Errorf(Invalid, "%s and %s are one node, or share a key", other.Origin, n.Origin).
					WithNext("Each node of a broker has a name and a key of its own.")
			}
		}
	}
	return nil
}

// At is the accepted node whose log has this name.
func (all Nodes) At(origin string) (Node, bool) {
	for _, n := range all {
		if n.Origin == origin {
			return n, true
		}
	}
	return Node{}, false
}

// Of is the accepted node that has this key.
func (all Nodes) Of(pub ed25519.PublicKey) (Node, bool) {
	if len(pub) != ed25519.PublicKeySize {
		return Node{}, false
	}
	line := KeyLine(pub)
	for _, n := range all {
		if n.Key == line {
			return n, true
		}
	}
	return Node{}, false
}
