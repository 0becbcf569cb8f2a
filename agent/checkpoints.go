package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/link"
)

const (
	checkpointsFile = "checkpoints.json"
)

// keptLog is what the agent remembers of one node's audit log.
type keptLog struct {
	Node    session.Node `json:"node"` // as it was accepted
	Note    []byte       `json:"note,omitempty"`
	Taken   time.Time    `json:"taken,omitzero"`
	Trouble string       `json:"trouble,omitempty"` // why the log is not believed any more
	Since   time.Time    `json:"since,omitzero"`    // of the trouble
	Refused []byte       `json:"refused,omitempty"` // the note that made the trouble: evidence
}

// stranger is why nothing new is taken from a node of our configuration.
type stranger struct {
	Origin string    `json:"origin"` // as it named its log
	Forged bool      `json:"forged"` // an accepted name without its key; else a name that is not accepted
	Since  time.Time `json:"since"`
	Note   []byte    `json:"note"` // evidence
}

// memory is what is kept of all nodes.
type memory struct {
	Logs      map[string]keptLog  `json:"logs"`      // by origin
	Strangers map[string]stranger `json:"strangers"` // by the node's name in our configuration
}

// checkpoints keeps the newest checkpoint of each accepted node's audit log, so that no
// log can be shortened or rewritten unseen. While one was, nothing new is taken from any
// node; from a node that shows a log which the hospital has not accepted, nothing new is
// taken at all. What is held against the broker outlives a restart, until an operator
// says otherwise; what is accepted is in nodes.go.
type checkpoints struct {
	state state
	now   func() time.Time
	log   *slog.Logger

	mu    sync.Mutex
	kept  memory
	shown map[string]bool // nodes of our configuration whose log, an accepted one, was seen
}

func openCheckpoints(s state, now func() time.Time, log *slog.Logger) (*checkpoints, error) {
	c := &checkpoints{state: s, now: now, log: log, shown: map[string]bool{}, kept: memory{Logs: map[string]keptLog{}, Strangers: map[string]stranger{}}}
	raw, err := durable.Read(s.path(checkpointsFile), maxCheckpointsFile)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &c.kept)
	}
	if err != nil {
		return nil, fmt.Errorf("read the kept checkpoints of the broker's audit logs: %w", err)
	}
	for origin, l := range c.kept.Logs {
		pub, err := session.ParseKeyLine(l.Node.Key)
		if err != nil {
			return nil, fmt.Errorf("the kept key of the audit log %s: %w", origin, err)
		}
		if at, err := witness.OpenCheckpoint(l.Note, pub); err != nil || at.Origin != origin {
			return nil, fmt.Errorf("the kept checkpoint of the audit log %s is not its own: %w", origin, err)
		}
	}
	return c, nil
}

// at is the checkpoint that is kept. It was checked when it was taken, or read.
func (l keptLog) at() witness.Checkpoint {
	at, _ := witness.ReadCheckpoint(l.Note)
	return at
}

// take checks a checkpoint against the one that is kept of the same log and keeps it. The
// verdict's Count is the size that the agent has, from where the node has to prove.
func (c *checkpoints) take(_ context.Context, in link.Deliver) (link.Verdict, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	nodes, err := c.settle()
	if err != nil {
		return link.Verdict{}, err
	}
	if s, ok := c.kept.Strangers[in.Node]; ok {
		return link.Verdict{}, s.refusal(in.Node)
	}
	if err := c.believe(); err != nil {
		return link.Verdict{}, err
	}
	newer, err := witness.ReadCheckpoint(in.Request)
	if err != nil {
		return link.Verdict{}, session.Errorf(session.Invalid, "The checkpoint cannot be read.")
	}
	proof, err := witness.ParseConsistency(in.Grant)
	if err != nil {
		return link.Verdict{}, session.Errorf(session.Invalid, "The checkpoint comes without a consistency proof.")
	}
	node, accepted := nodes.At(newer.Origin)
	pub, err := session.ParseKeyLine(node.Key)
	if accepted && err == nil {
		_, err = witness.OpenCheckpoint(in.Request, pub)
	}
	if err != nil {
		return link.Verdict{}, c.estrange(in, stranger{Origin: newer.Origin, Forged: accepted, Since: c.now().UTC(), Note: in.Request})
	}
	v, err := c.follow(in, nodes, newer, proof)
	c.shown[in.Node] = err == nil
	return v, err
}

// trusted reports whether a node showed a log that is accepted: it is asked before others,
// so that nothing waits for a node whose word does not count.
func (c *checkpoints) trusted(node string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown[node]
}

// follow keeps a checkpoint that its log's accepted key signed, if it goes on from the
// one before, or has more accepted nodes' names under it. c.mu is held.
func (c *checkpoints) follow(in link.Deliver, nodes session.Nodes, newer witness.Checkpoint, proof witness.Consistency) (link.Verdict, error) {
	node, _ := nodes.At(newer.Origin)
	before, seen := c.kept.Logs[node.Origin]
	if seen {
		err := witness.Follows(before.at(), newer, proof)
		if errors.Is(err, witness.ErrForked) {
			before.Trouble, before.Since, before.Refused = err.Error(), c.now().UTC(), in.Request
			return link.Verdict{}, c.distrust(node.Origin, before)
		}
		more := len(witness.Cosigners(in.Request, nodes)) > len(witness.Cosigners(before.Note, nodes))
		if err != nil || newer == before.at() && !more { // proved from elsewhere, or nothing new
			return link.Verdict{OK: true, Count: int(before.at().Size)}, nil
		}
	}
	next := memory{Logs: maps.Clone(c.kept.Logs), Strangers: c.kept.Strangers}
	taken := c.now().UTC()
	next.Logs[node.Origin] = keptLog{Node: node, Note: in.Request, Taken: taken}
	if err := c.keep(next); err != nil {
		return link.Verdict{}, err
	}
	if !seen {
		c.log.Info("a node's audit log is kept under watch", "log", newer.Origin, "size", newer.Size, "node", in.Node)
	}
	return link.Verdict{OK: true, Count: int(newer.Size), Received: &taken}, nil
}

// distrust stops believing the broker. c.mu is held.
func (c *checkpoints) distrust(origin string, l keptLog) error {
	c.kept.Logs[origin] = l // holds even where it cannot be written
	c.log.Error("the broker's audit log cannot be believed; no new request or approval is taken", "log", origin, "why", l.Trouble, "size", l.at().Size)
	return errors.Join(c.believe(), c.keep(c.kept))
}

// estrange takes nothing new from a node that shows a log which is not accepted. c.mu is
// held.
func (c *checkpoints) estrange(in link.Deliver, s stranger) error {
	delete(c.shown, in.Node)
	c.kept.Strangers[in.Node] = s // holds even where it cannot be written
	c.log.Error("a node of the broker keeps an audit log that is not accepted; nothing new is taken from it", "node", in.Node, "log", s.Origin, "forged", s.Forged)
	return errors.Join(s.refusal(in.Node), c.keep(c.kept))
}

func (s stranger) refusal(node string) error {
	if s.Forged {
		return &session.Error{Kind: session.Refused,
			Message: fmt.Sprintf("The broker's node %s shows the audit log %s without the key that this hospital accepted, and the agent takes nothing new from that node.", node, s.Origin),
			Next:    again(s.Origin)}
	}
	return &session.Error{Kind: session.Refused,
		Message: fmt.Sprintf("The broker's node %s keeps the audit log %s, which this hospital has not accepted, and the agent takes nothing new from that node.", node, s.Origin),
		Next:    "If the hospital wants that node, its IT runs: sallyport-agent trust accept " + s.Origin + " KEY, with the key that the broker's operators gave by another way."}
}

func again(origin string) string {
	return "The hospital's IT looks at sallyport-agent status and asks the broker's operators. If they explain it: sallyport-agent trust forget " + origin + " --yes, then trust accept with the key that they give."
}

func (c *checkpoints) keep(kept memory) error {
	data, err := json.Marshal(kept)
	if err == nil {
		err = c.state.write(checkpointsFile, data)
	}
	if err != nil {
		return fmt.Errorf("keep the broker's checkpoints: %w", err)
	}
	c.kept = kept
	return nil
}

// trouble says why nothing that widens is taken from a node, or nil.
func (c *checkpoints) trouble(node string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.settle(); err != nil {
		return err
	}
	if s, ok := c.kept.Strangers[node]; ok {
		return s.refusal(node)
	}
	return c.believe()
}

// believe is the trouble that concerns every node. c.mu is held.
func (c *checkpoints) believe() error {
	for _, origin := range slices.Sorted(maps.Keys(c.kept.Logs)) {
		if c.kept.Logs[origin].Trouble != "" {
			return &session.Error{Kind: session.Refused, Message: "The broker's audit log " + origin + " was rewritten, and this hospital's agent takes nothing new from the broker.",
				Next: again(origin)}
		}
	}
	return nil
}

// settle hears what operators said since: of a node that was forgotten nothing is
// remembered, and with one that was accepted anew it begins anew. What is held against a
// node that kept another log than was accepted ends with the next word about any, and
// what is held against a forger with a word about that very log. What was kept stays in a
// file beside it. c.mu is held.
func (c *checkpoints) settle() (session.Nodes, error) {
	nodes, err := c.state.nodes()
	if err != nil {
		return nil, err
	}
	next := memory{Logs: maps.Clone(c.kept.Logs), Strangers: maps.Clone(c.kept.Strangers)}
	for origin, l := range next.Logs {
		if n, ok := nodes.At(origin); !ok || n.Key != l.Node.Key || !n.Since.Equal(l.Node.Since) {
			delete(next.Logs, origin)
			c.log.Warn("what was kept of a node's audit log was forgotten by an operator", "log", origin, "size", l.at().Size)
		}
	}
	for name, s := range next.Strangers {
		if slices.ContainsFunc(nodes, func(n session.Node) bool { return n.Since.After(s.Since) && (n.Origin == s.Origin || !s.Forged) }) {
			delete(next.Strangers, name)
		}
	}
	if len(next.Logs) == len(c.kept.Logs) && len(next.Strangers) == len(c.kept.Strangers) {
		return nodes, nil
	}
	aside, err := json.Marshal(c.kept)
	if err != nil {
		return nil, fmt.Errorf("put the broker's checkpoints aside: %w", err)
	}
	if err := c.state.write("checkpoints-forgotten-"+c.now().UTC().Format("20060102T150405.000Z")+".json", aside); err != nil {
		return nil, err
	}
	return nodes, c.keep(next)
}

// look is what is accepted and kept, for status.
func (c *checkpoints) look() (session.Nodes, memory, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	nodes, err := c.settle()
	return nodes, memory{Logs: maps.Clone(c.kept.Logs), Strangers: maps.Clone(c.kept.Strangers)}, err
}
