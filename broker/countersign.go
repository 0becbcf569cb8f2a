package broker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/exchange"
	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Countersign gives the receipt for a head: link.Countersigner. The head must be
// signed by the key that began the recording, and cover more than the last.
func (b *Broker) Countersign(ctx context.Context, site, _, recording string, head []byte) ([]byte, error) {
	h, err := witness.ParseHead(head)
	if err != nil {
		return nil, session.Errorf(session.Invalid, "read a head: %w", err)
	}
	of, key, err := b.signerOf(ctx, site, recording)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, session.Errorf(session.Refused, "The recording's header has not arrived yet")
	}
	if err != nil {
		return nil, err
	}
	if of.Recording != recording || h.Recording.Recording() != recording || !h.Verify(key) {
		return nil, session.Errorf(session.Denied, "The head is not signed by the agent that began this recording")
	}
	r, err := witness.Countersigned(b.signer, h, time.Now())
	if err != nil {
		return nil, err
	}
	if r, err = b.vault.AppendReceipt(ctx, site, r); err != nil {
		return nil, err
	}
	return r.Bytes(), nil
}

// signerOf reads whose recording it is by the header in the vault, and the key that signs it.
func (b *Broker) signerOf(ctx context.Context, site, recording string) (recordings.Header, ed25519.PublicKey, error) {
	header, err := b.vault.Open(ctx, site, recording, recordings.HeaderPart)
	if err != nil {
		return recordings.Header{}, nil, err
	}
	defer header.Close()
	part, err := io.ReadAll(io.LimitReader(header, maxSmallPart))
	if err != nil {
		return recordings.Header{}, nil, err
	}
	return recordings.ReadSigner(part)
}

// kept is what the broker holds of a vault.
type kept interface {
	vault.Vault
	vault.Receipts
}

// library is the vault as the web reads it.
type library struct {
	vault  kept
	signer ed25519.PrivateKey
	log    *audit.Log
	nodes  func() session.Nodes // whose countersignatures count here
}

// Assemble writes the recording alone.
func (l library) Assemble(ctx context.Context, site, recording string, w io.Writer) error {
	parts, err := l.vault.Parts(ctx, site, recording)
	if err != nil {
		return err
	}
	return l.assemble(ctx, site, recording, parts, w)
}

func (l library) assemble(ctx context.Context, site, recording string, parts []recordings.Part, w io.Writer) error {
	var names []string
	for _, p := range parts {
		names = append(names, p.Name)
	}
	return recordings.Assemble(w, func(part string) (io.ReadCloser, error) { return l.vault.Open(ctx, site, recording, part) }, names)
}

// Pack writes the evidence pack. The recording is listed first: what arrives
// meanwhile is not in it, and what goes with what is listed has arrived before.
func (l library) Pack(ctx context.Context, site, recording string, w io.Writer) error {
	parts, err := l.vault.Parts(ctx, site, recording)
	if err != nil {
		return err
	}
	var c exchange.Contents
	if c.Size, err = recordings.AssembledSize(parts); err != nil {
		return err
	}
	if c.Papers, err = l.companion(ctx, site, recording, recordings.PapersPart); err != nil {
		return err
	}
	if len(parts) > 0 && parts[len(parts)-1].Name == recordings.SealPart {
		c.Receipts, err = l.companion(ctx, site, recording, recordings.ReceiptsPart)
	}
	if err == nil && len(c.Receipts) == 0 {
		c.Countersigned, err = l.vault.Receipts(ctx, site, recording)
	}
	if err != nil {
		return err
	}
	if c.Audit, err = l.sealing(recording); err != nil {
		return err
	}
	from, to := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		to.CloseWithError(l.assemble(ctx, site, recording, parts, to))
	}()
	c.Recording = from
	err = exchange.Write(w, c, l.signer)
	from.CloseWithError(io.ErrClosedPipe)
	<-done
	return err
}

// sealing proves that a recording's seal is in the audit log; nothing while it is not.
// A pack is only made of what the log has: the seal is logged before it is listed.
func (l library) sealing(recording string) ([]byte, error) {
	_, at, found, err := l.sealEvent(recording)
	if err != nil || !found {
		return nil, err
	}
	proof, err := l.log.Prove(at)
	if err != nil {
		return nil, err
	}
	return proof.Text(), nil
}

// companion reads what stands beside a recording; nothing when it has not arrived.
func (l library) companion(ctx context.Context, site, recording, name string) ([]byte, error) {
	f, err := l.vault.Open(ctx, site, recording, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, recordings.MaxCompanion))
}
