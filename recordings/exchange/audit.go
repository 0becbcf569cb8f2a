package exchange

import (
	"context"
	"encoding/hex"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// logged is an entry of the broker's audit log that a pack proves.
type logged struct {
	event witness.Event
	log   witness.Checkpoint
	by    []witness.Cosigner // other nodes that the bundle accepts
}

// checkAudit checks the proof that the recording's sealing stands in the broker's
// audit log of one of the broker's nodes: one that the trust bundle accepts, by its name
// and key; without a bundle, the one that sealed the pack.
func (c *check) checkAudit(context.Context) *recordings.Damage {
	text, err := c.pack.bytes(auditSection)
	if err != nil {
		return c.damaged(auditSection, "the audit proof cannot be read: %v", err)
	}
	if len(text) == 0 {
		return nil
	}
	proof, err := witness.ParseInclusion(text)
	if err != nil {
		return c.damaged(auditSection, "the audit proof is not sound: %v", err)
	}
	named, err := witness.ReadCheckpoint(proof.Checkpoint)
	if err != nil {
		return c.damaged(auditSection, "the audit proof is not sound: %v", err)
	}
	key := c.broker
	if len(c.nodes) > 0 {
		node, ok := c.nodes.At(named.Origin)
		if key, err = session.ParseKeyLine(node.Key); !ok || err != nil {
			return c.damaged(auditSection, "the audit proof is of the log %s, of no node of the broker that the trust bundle accepts", named.Origin)
		}
	}
	at, err := proof.Included(key)
	if err != nil {
		return c.damaged(auditSection, "the audit proof does not hold: %v", err)
	}
	event, err := witness.ParseEvent(proof.Entry)
	if err != nil {
		return c.damaged(auditSection, "the audit proof is of no event: %v", err)
	}
	seal := c.recording.SealHash()
	_, sealed := c.recording.Seal()
	switch {
	case event.Event != witness.RecordingSealed || event.Recording != c.recording.Header().Recording:
		return c.damaged(auditSection, "the audit proof is about something else than this recording's seal")
	case !sealed || event.Details["seal"] != hex.EncodeToString(seal[:]):
		return c.damaged(auditSection, "the audit log knows another seal of this recording")
	}
	c.logged = &logged{event: event, log: at, by: witness.Cosigners(proof.Checkpoint, c.nodes)}
	return nil
}
