package exchange

import (
	"context"
	"encoding/hex"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
)

// logged is an entry of the broker's audit log that a pack proves.
type logged struct {
	event witness.Event
	log   witness.Checkpoint
}

// checkAudit checks the proof that the recording's sealing stands in the broker's
// audit log. The log is signed with the key that signed the pack, so the trust bundle
// vouches for both or for neither.
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
	at, err := proof.Included(c.broker)
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
	c.logged = &logged{event: event, log: at}
	return nil
}
