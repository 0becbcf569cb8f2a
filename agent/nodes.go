package agent

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// The broker's nodes that the hospital accepts stand in one file. Enrolment writes the
// first, the configuration and an operator's word the others, a broker none. The running
// agent reads it whenever it matters, so a word counts at once.

const (
	nodesFile = "nodes.json"
)

// AcceptedNodes are the broker's nodes that this agent accepts.
func AcceptedNodes(cfg Config) (session.Nodes, error) { return state{cfg.State}.nodes() }

// AcceptNode makes the agent accept a node of the broker: the name of its audit log and
// the key that signs it.
func AcceptNode(cfg Config, origin, key string, now time.Time) (session.Node, error) {
	return state{cfg.State}.acceptNode(session.Node{Origin: origin, Key: key}, now)
}

// ForgetNode makes the agent take nothing more from a node of the broker, and begin anew
// with its log when it is accepted again.
func ForgetNode(cfg Config, origin string) (session.Node, error) {
	var gone session.Node
	return gone, state{cfg.State}.changeNodes(func(all session.Nodes) (session.Nodes, error) {
		var ok bool
		if gone, ok = all.At(origin); !ok {
			return nil, session.Errorf(session.Invalid, "No node with the audit log %.80q is accepted here", origin).WithNext("See sallyport-agent trust list.")
		}
		return slices.DeleteFunc(all, func(n session.Node) bool { return n.Origin == origin }), nil
	})
}

func (s state) nodes() (session.Nodes, error) {
	raw, err := durable.Read(s.path(nodesFile), maxNodesFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var all session.Nodes
	if err == nil {
		if err = json.Unmarshal(raw, &all); err == nil {
			err = all.Check()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the accepted nodes of the broker in %s: %w", s.path(nodesFile), err)
	}
	return all, nil
}

// acceptNode accepts a node; the same one again changes nothing.
func (s state) acceptNode(n session.Node, now time.Time) (session.Node, error) {
	n.Since = now.UTC()
	return n, s.changeNodes(func(all session.Nodes) (session.Nodes, error) {
		if before, ok := all.At(n.Origin); ok && before.Key == n.Key {
			n = before
			return all, nil
		} else if ok {
			return nil, session.Errorf(session.Refused, "Another key is accepted for the audit log %s", n.Origin).
				WithNext("Ask the broker's operators. If they did replace it: sallyport-agent trust forget " + n.Origin + " --yes, then accept the new key.")
		}
		all = append(all, n)
		return all, all.Check()
	})
}

// acceptConfigured accepts the nodes whose logs and keys stand in the configuration.
func (s state) acceptConfigured(nodes []Node, now time.Time) error {
	for _, n := range nodes {
		if n.Log == "" {
			continue
		}
		if _, err := s.acceptNode(session.Node{Origin: n.Log, Key: n.Key}, now); err != nil {
			return err
		}
	}
	return nil
}

func (s state) changeNodes(change func(session.Nodes) (session.Nodes, error)) error {
	unlock, err := durable.Lock(s.path("nodes.lock"))
	if err != nil {
		return &session.Error{Kind: session.Unreachable, Message: "The accepted nodes are being changed by somebody else", Next: "Run the command again.", Err: err}
	}
	all, err := s.nodes()
	if err == nil {
		all, err = change(all)
	}
	if err == nil {
		var raw []byte
		if raw, err = json.MarshalIndent(all, "", "  "); err == nil {
			err = s.write(nodesFile, append(raw, '\n'))
		}
	}
	return errors.Join(err, unlock())
}

// countersigner refuses a countersignature by any other key than those of the accepted
// nodes.
func (s state) countersigner(pub ed25519.PublicKey) error {
	all, err := s.nodes()
	if err != nil {
		return err
	}
	if _, ok := all.Of(pub); !ok {
		return &session.Error{Kind: session.Refused, Message: "A node of the broker countersigns with a key that this hospital has not accepted: " + session.Fingerprint(pub),
			Next: "See sallyport-agent status. If the hospital wants that node: sallyport-agent trust accept ORIGIN KEY, as its operators gave them by another way."}
	}
	return nil
}
