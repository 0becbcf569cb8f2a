package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/broker/fleet"
	"github.com/sallyport/sallyport/broker/sshd"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

// All nodes of a broker have one CA and one jump host key, which their operators copied:
// with two, agents and engineers would be refused by every second node. Each node that runs
// says in the store which it has, and one that starts with others does not run.

const (
	beatKind   = "node"
	beatsUnder = "nodes"
)

// beat is what a node says while it runs.
type beat struct {
	Node string    `json:"node"`
	CA   string    `json:"ca"`   // fingerprint
	Jump string    `json:"jump"` // host key line
	At   time.Time `json:"at"`
}

// differs says what of a node is not as another, living one has it; "": nothing.
func (b beat) differs(of beat, now time.Time) string {
	switch {
	case of.Node == b.Node || now.Sub(of.At).Abs() > beatGone:
		return ""
	case of.CA != b.CA && of.Jump != b.Jump:
		return "CA and jump host key are not those"
	case of.CA != b.CA:
		return "CA is not that"
	case of.Jump != b.Jump:
		return "jump host key is not that"
	}
	return ""
}

// agree refuses keys that are not those of the nodes that run.
func (b beat) agree(ctx context.Context, st *store.Store) error {
	docs, _, err := st.Page(ctx, beatKind, []string{beatsUnder}, "", session.MaxNodes)
	if err != nil {
		return err
	}
	for _, d := range docs {
		var of beat
		if json.Unmarshal(d.Body, &of) != nil {
			continue
		}
		if what := b.differs(of, time.Now()); what != "" {
			return session.Errorf(session.Refused, "This node's %s of the node %s, which runs on the same store", what, of.Node).
				WithNext("Copy ca/ and ssh_host_ed25519_key from that node's state directory into this one's, and start it again. Where the other node's are the wrong ones, stop it first.")
		}
	}
	return nil
}

func (b beat) tell(ctx context.Context, st *store.Store) error {
	b.At = time.Now().UTC()
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return st.Put(ctx, beatKind, b.Node, func([]byte) ([]byte, []store.Under, error) { return body, store.Names(beatsUnder), nil })
}

// joinNodes makes this node one of those that run. It says so before it looks, so that of
// two that start at once at least one sees the other.
func (b *Broker) joinNodes(ctx context.Context, ca *fleet.CA) error {
	b.beat = beat{Node: b.cfg.Node, CA: ca.Fingerprint(), Jump: b.ssh.HostKeyLine()}
	err := b.beat.tell(ctx, b.store)
	if err == nil {
		err = b.beat.agree(ctx, b.store)
	}
	if err != nil {
		return errors.Join(err, b.store.Delete(ctx, beatKind, b.beat.Node))
	}
	return nil
}

// keepBeat says that the node runs, until it does not.
func (b *Broker) keepBeat(ctx context.Context) error {
	tick := time.NewTicker(peersEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = b.store.Delete(gone, beatKind, b.beat.Node)
			return nil
		case <-tick.C:
		}
		if err := b.beat.tell(ctx, b.store); err != nil && ctx.Err() == nil {
			b.log.Warn("the other nodes could not be told that this one runs", "err", err)
		}
	}
}

// checkNodes compares a node's keys with those of the nodes that run, and changes nothing.
// What it says is why it could not.
func checkNodes(ctx context.Context, cfg Config, st *store.Store) (unknown string, err error) {
	jump := filepath.Join(cfg.State, "ssh_host_ed25519_key")
	for _, file := range []string{filepath.Join(cfg.State, "ca", "ca.pem"), filepath.Join(cfg.State, "ca", "ca.key"), jump} {
		if _, err := os.Stat(file); err != nil {
			return fmt.Sprintf("this node has no %s yet", filepath.Base(file)), nil
		}
	}
	ca, err := fleet.LoadCA(filepath.Join(cfg.State, "ca"), time.Now)
	if err != nil {
		return "", err
	}
	b := beat{Node: cfg.Node, CA: ca.Fingerprint()}
	if b.Jump, err = sshd.HostKeyLine(jump); err != nil {
		return "", err
	}
	return "", b.agree(ctx, st)
}
