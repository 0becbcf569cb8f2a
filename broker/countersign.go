package broker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Countersign gives the receipt for a head: link.Countersigner. The head must be
// signed by the key that began the recording, and cover more than the last.
func (a *Archive) Countersign(ctx context.Context, site, _, recording string, head []byte) ([]byte, error) {
	h, err := witness.ParseHead(head)
	if err != nil {
		return nil, session.Errorf(session.Invalid, "read a head: %w", err)
	}
	of, key, err := a.signerOf(ctx, site, recording)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, session.Errorf(session.Refused, "The recording's header has not arrived yet")
	}
	if err != nil {
		return nil, err
	}
	if of.Recording != recording || h.Recording.Recording() != recording || !h.Verify(key) {
		return nil, session.Errorf(session.Denied, "The head is not signed by the agent that began this recording")
	}
	r, err := witness.Countersigned(a.signer, h, time.Now())
	if err != nil {
		return nil, err
	}
	if r, err = a.vault.AppendReceipt(ctx, site, r); err != nil {
		return nil, err
	}
	return r.Bytes(), nil
}

// signerOf reads whose recording it is by the header in the vault, and the key that signs it.
func (a *Archive) signerOf(ctx context.Context, site, recording string) (recordings.Header, ed25519.PublicKey, error) {
	part, err := a.small(ctx, place{site, recording}, recordings.HeaderPart, maxSmallPart)
	if err != nil {
		return recordings.Header{}, nil, err
	}
	return recordings.ReadSigner(part)
}
