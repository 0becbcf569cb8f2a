package broker

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/recordings/exchange"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

const withoutUs = " You can check without trusting the broker: sallyport verify FILE."

// Check is the broker's own look at a recording: the vault's bytes against the agent's
// signatures, the countersignatures and the audit log. An error is one of reading.
func (a *Archive) Check(ctx context.Context, site, recording string) (access.Verdict, error) {
	at := place{site, recording}
	if err := a.arrived(ctx, at); err != nil {
		return access.Verdict{}, err
	}
	defer a.heavy()()
	header, err := a.small(ctx, at, recordings.HeaderPart, maxSmallPart)
	if err != nil {
		return access.Verdict{}, err
	}
	v := access.Verdict{Verdict: "unreadable", Signer: "unknown"}
	of, key, err := recordings.ReadSigner(header)
	switch {
	case errors.Is(err, recordings.ErrSealedContent):
		v.Message = "The broker cannot check this recording: its content is sealed to the hospital." + withoutUs
		return v, nil
	case err != nil:
		v.Message = "The header of this recording cannot be read, so nothing of it can be checked."
		return v, nil
	case of.Recording != recording || of.Site != site:
		v.Verdict, v.Message = "tampered", "This is another recording than the one that is listed here."
		return v, nil
	}
	keys, err := a.access.Identities(ctx, site)
	if err != nil {
		return access.Verdict{}, err
	}
	line := session.KeyLine(key)
	if slices.Contains(keys, line) {
		v.Signer = "known"
	}
	said, err := a.receipts(ctx, at, key)
	if err != nil {
		return access.Verdict{}, err
	}
	found, err := recordings.VerifyParts(a.opener(ctx, at), []session.Trust{{V: 1, Site: site, Identity: line}}, said.stands)
	if err != nil {
		return access.Verdict{}, err
	}
	err = a.judge(ctx, at, found, said, &v)
	return v, err
}

// receipts are a recording's countersignatures.
type receipts struct {
	all    []witness.Receipt
	closed bool                  // they are the agent's own list
	heads  map[witness.Head]bool // what they are over, and whether it stands in the recording
}

func (c receipts) stands(h witness.Head) {
	if _, ours := c.heads[h]; ours {
		c.heads[h] = true
	}
}

// judge puts what was found into the verdict.
func (a *Archive) judge(ctx context.Context, at place, found recordings.Result, said receipts, v *access.Verdict) error {
	segments, _ := found.Extent()
	v.Segments = int64(segments)
	if found.Result == recordings.VerdictTampered {
		v.Verdict = "tampered"
		v.Message = "This is not what the agent signed: " + cast.Clean(found.Reason, 200) + "."
		if found.Segment != nil {
			v.Message = fmt.Sprintf("Segment %d is not what the agent signed: %s.", *found.Segment, cast.Clean(found.Reason, 200))
		}
		return nil
	}
	against, err := a.witnesses(ctx, at, found, said, v)
	if err != nil {
		return err
	}
	checked := fmt.Sprintf("The broker checked %d segments: the chain and every signature are right", segments)
	switch {
	case against != "":
		v.Verdict, v.Message = "tampered", "The signatures are right, but "+cast.Clean(against, 200)+"."
		return nil
	case found.Result == recordings.VerdictLive:
		v.Verdict, v.Message = "open", checked+". It has no seal yet, so nothing proves what follows."
	case found.Result == recordings.VerdictTorn:
		v.Verdict, v.Message = "torn", checked+", up to where the recorder was lost."+withoutUs
	default:
		v.Verdict, v.Message = "intact", checked+"."+withoutUs
	}
	if v.Signer == "unknown" {
		v.Message = checked + ", but the key that made them is of no agent that the broker knows at this site." + withoutUs
	}
	return nil
}

// witnesses compares a sound recording with what was countersigned and logged of it, and
// says what speaks against it.
func (a *Archive) witnesses(ctx context.Context, at place, found recordings.Result, said receipts, v *access.Verdict) (against string, err error) {
	broken := exchange.Countersigned(found, said.heads, said.all, said.closed, a.nodes())
	_, sealed := found.Seal()
	v.Countersigned = broken == nil && len(said.all) > 0 && (said.closed || !sealed)
	if broken != nil {
		return broken.Error(), nil
	}
	entry, err := a.sealEvent(ctx, at.recording)
	if err != nil || entry.in == nil {
		return "", err
	}
	seal := found.SealHash()
	if !sealed || entry.event.Details["seal"] != hex.EncodeToString(seal[:]) {
		return "the audit log knows another seal of this recording", nil
	}
	v.Logged = true
	return "", nil
}

// receipts reads the countersignatures: the agent's list, or the broker's own.
func (a *Archive) receipts(ctx context.Context, at place, key ed25519.PublicKey) (receipts, error) {
	c := receipts{heads: map[witness.Head]bool{}}
	id, err := session.ParseRecordingID(at.recording)
	if err != nil {
		return c, err
	}
	sealed, err := a.has(ctx, at, recordings.SealPart)
	if err != nil {
		return c, err
	}
	if sealed {
		list, err := a.companion(ctx, at, recordings.ReceiptsPart)
		if err != nil {
			return c, err
		}
		c.all, err = witness.ParseList(list, key, id)
		c.closed = len(list) > 0 && err == nil
	}
	if !c.closed {
		own, err := a.vault.Receipts(ctx, at.site, at.recording)
		if err != nil {
			return c, err
		}
		if c.all, err = witness.ParseReceipts(own); err != nil {
			return c, err
		}
	}
	for _, x := range c.all {
		c.heads[x.Head] = false
	}
	return c, nil
}
