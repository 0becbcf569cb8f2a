package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

const checkpointFile = "checkpoint.json"

// keptCheckpoint is what the agent remembers of the broker's audit log.
type keptCheckpoint struct {
	Key     string    `json:"key,omitempty"` // key line, pinned at first sight
	Note    []byte    `json:"note,omitempty"`
	Taken   time.Time `json:"taken,omitzero"`
	Trouble string    `json:"trouble,omitempty"` // why the broker is not believed any more
	Since   time.Time `json:"since,omitzero"`    // of the trouble
	Refused []byte    `json:"refused,omitempty"` // the note that made the trouble: evidence
}

// checkpoints keeps the newest checkpoint of the broker's audit log, so that the log
// cannot be shortened or rewritten unseen. A log that was is not believed until an
// operator says so; the trouble outlives a restart.
type checkpoints struct {
	state state
	now   func() time.Time
	log   *slog.Logger

	mu   sync.Mutex
	kept keptCheckpoint
	at   witness.Checkpoint // of kept.Note
}

func openCheckpoints(s state, now func() time.Time, log *slog.Logger) (*checkpoints, error) {
	c := &checkpoints{state: s, now: now, log: log}
	kept, err := s.checkpoint()
	if err != nil {
		return nil, err
	}
	c.kept = kept
	if kept.Note == nil {
		return c, nil
	}
	pub, err := session.ParseKeyLine(kept.Key)
	if err != nil {
		return nil, fmt.Errorf("the kept key of the broker's audit log: %w", err)
	}
	if c.at, err = witness.OpenCheckpoint(kept.Note, pub); err != nil {
		return nil, fmt.Errorf("the kept checkpoint of the broker's audit log: %w", err)
	}
	return c, nil
}

func (s state) checkpoint() (keptCheckpoint, error) {
	raw, err := os.ReadFile(s.path(checkpointFile))
	if errors.Is(err, os.ErrNotExist) {
		return keptCheckpoint{}, nil
	}
	var kept keptCheckpoint
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil {
		return keptCheckpoint{}, fmt.Errorf("read the kept checkpoint of the broker's audit log: %w", err)
	}
	return kept, nil
}

// take checks a checkpoint against the one that is kept and keeps it. The verdict's
// Count is the size that the agent has, from where the broker has to prove.
func (c *checkpoints) take(_ context.Context, in link.Deliver) (link.Verdict, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.believe(); err != nil {
		return link.Verdict{}, err
	}
	if c.kept.Key != "" && in.Key != c.kept.Key {
		return link.Verdict{}, c.refuse(in.Request, "its audit log has another key than the pinned one")
	}
	pub, err := session.ParseKeyLine(in.Key)
	if err != nil {
		return link.Verdict{}, err
	}
	// The key that signs the log is the one that countersigns heads, pinned at enrolment.
	if err := c.state.pinBroker(in.Key); errors.Is(err, errOtherBroker) {
		return link.Verdict{}, c.refuse(in.Request, "its audit log has another key than the pinned one")
	} else if err != nil {
		return link.Verdict{}, err
	}
	newer, err := witness.OpenCheckpoint(in.Request, pub)
	if err != nil && c.kept.Key != "" {
		return link.Verdict{}, c.refuse(in.Request, "a checkpoint of its audit log is not signed by the pinned key")
	}
	if err != nil {
		return link.Verdict{}, session.Errorf(session.Invalid, "The checkpoint is not signed by its log's key.")
	}
	proof, err := witness.ParseConsistency(in.Grant)
	if err != nil {
		return link.Verdict{}, session.Errorf(session.Invalid, "The checkpoint comes without a consistency proof.")
	}
	if c.kept.Note != nil {
		err := witness.Follows(c.at, newer, proof)
		if errors.Is(err, witness.ErrForked) {
			return link.Verdict{}, c.refuse(in.Request, err.Error())
		}
		if err != nil || newer == c.at { // proved from elsewhere, or nothing new
			return link.Verdict{OK: true, Count: int(c.at.Size)}, nil
		}
	}
	kept := keptCheckpoint{Key: in.Key, Note: in.Request, Taken: c.now().UTC()}
	if err := c.keep(kept); err != nil {
		return link.Verdict{}, err
	}
	if c.at.Size == 0 {
		c.log.Info("the broker's audit log is kept under watch", "log", newer.Origin, "size", newer.Size, "key", session.Fingerprint(pub))
	}
	c.at = newer
	return link.Verdict{OK: true, Count: int(newer.Size), Received: &kept.Taken}, nil
}

// refuse stops believing the broker, for good. c.mu is held.
func (c *checkpoints) refuse(note []byte, why string) error {
	kept := c.kept
	kept.Trouble, kept.Since = why, c.now().UTC()
	if len(note) <= witness.MaxCheckpoint {
		kept.Refused = note
	}
	c.kept = kept // holds even where it cannot be written
	c.log.Error("the broker's audit log cannot be believed; no new request or approval is taken", "why", why, "size", c.at.Size)
	return errors.Join(c.believe(), c.keep(kept))
}

func (c *checkpoints) keep(kept keptCheckpoint) error {
	data, err := json.Marshal(kept)
	if err == nil {
		err = c.state.write(checkpointFile, data)
	}
	if err != nil {
		return fmt.Errorf("keep the broker's checkpoint: %w", err)
	}
	c.kept = kept
	return nil
}

// trouble says why nothing that widens is taken from the broker, or nil.
func (c *checkpoints) trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.believe()
}

// believe is trouble with c.mu held.
func (c *checkpoints) believe() error {
	if c.kept.Trouble == "" {
		return nil
	}
	return &session.Error{Kind: session.Refused, Message: "The broker's audit log was rewritten, and this hospital's agent takes nothing new from it.",
		Next: "The hospital's IT looks at sallyport-agent status, asks the broker's operators, and then runs: sallyport-agent log forget --yes."}
}

// look is what is kept, for status.
func (c *checkpoints) look() (keptCheckpoint, witness.Checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept, c.at
}

// forget begins anew with whatever the broker shows next. What was kept stays in a
// file beside it.
func (c *checkpoints) forget() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept.Note == nil && c.kept.Trouble == "" {
		return nil
	}
	data, err := json.Marshal(c.kept)
	if err != nil {
		return fmt.Errorf("put the broker's checkpoint aside: %w", err)
	}
	if err := c.state.write("checkpoint-forgotten-"+c.now().UTC().Format("20060102T150405Z")+".json", data); err != nil {
		return err
	}
	if err := errors.Join(c.keep(keptCheckpoint{}), c.state.unpinBroker()); err != nil {
		return err
	}
	c.log.Warn("the checkpoint of the broker's audit log was forgotten by an operator", "size", c.at.Size)
	c.at = witness.Checkpoint{}
	return nil
}
