package broker

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"io/fs"
	"iter"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/exchange"
	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Vault is what the broker holds of one.
type Vault interface {
	vault.Vault
	vault.Receipts
	vault.Logs
}

// library is the vault as the web reads it.
type library struct {
	vault  Vault
	signer ed25519.PrivateKey
	logs   func(ctx context.Context) iter.Seq[Log] // this node's audit log, then the others'
	nodes  func() session.Nodes                    // whose countersignatures count here
}

// place is where a recording stands in the vault.
type place struct{ site, recording string }

// opener opens parts until somebody stops waiting for what is made of them.
func (l library) opener(ctx context.Context, at place) func(string) (io.ReadCloser, error) {
	return func(part string) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return l.vault.Open(ctx, at.site, at.recording, part)
	}
}

// has reports whether a part is here.
func (l library) has(ctx context.Context, at place, part string) (bool, error) {
	_, err := l.vault.Size(ctx, at.site, at.recording, part)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// inventory is what there is of a recording now.
func (l library) inventory(ctx context.Context, at place) (recordings.Inventory, error) {
	return recordings.TakeInventory(l.opener(ctx, at), func(part string) (int64, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return l.vault.Size(ctx, at.site, at.recording, part)
	})
}

// Assemble writes the recording alone.
func (l library) Assemble(ctx context.Context, site, recording string, w io.Writer) error {
	at := place{site, recording}
	here, err := l.inventory(ctx, at)
	if err != nil {
		return err
	}
	return here.Assemble(w, l.opener(ctx, at))
}

// Pack writes the evidence pack. What there is of the recording is counted first: what
// arrives meanwhile is not in it, and what goes with what is there has arrived before.
func (l library) Pack(ctx context.Context, site, recording string, w io.Writer) error {
	at := place{site, recording}
	here, err := l.inventory(ctx, at)
	if err != nil {
		return err
	}
	c := exchange.Contents{Size: here.Size}
	if c.Papers, err = l.companion(ctx, at, recordings.PapersPart); err != nil {
		return err
	}
	if here.Sealed() {
		c.Receipts, err = l.companion(ctx, at, recordings.ReceiptsPart)
	}
	if err == nil && len(c.Receipts) == 0 {
		c.Countersigned, err = l.vault.Receipts(ctx, site, recording)
	}
	if err != nil {
		return err
	}
	if c.Audit, err = l.sealing(ctx, recording); err != nil {
		return err
	}
	from, to := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		to.CloseWithError(here.Assemble(to, l.opener(ctx, at)))
	}()
	c.Recording = from
	err = exchange.Write(w, c, l.signer)
	from.CloseWithError(io.ErrClosedPipe)
	<-done
	return err
}

// sealing proves that a recording's seal is in the audit log of this node, or of the one
// that took it; nothing while it is not. A pack is only made of what a log has: the seal is
// logged before it is listed, and copied within seconds.
func (l library) sealing(ctx context.Context, recording string) ([]byte, error) {
	s, err := l.sealEvent(ctx, recording)
	if err != nil || s.in == nil {
		return nil, err
	}
	proof, err := s.in.Prove(s.at)
	if err != nil {
		return nil, err
	}
	return proof.Text(), nil
}

// Log is an audit log in which something can be found and proved: a node's own, or the copy
// of another's.
type Log interface {
	Find(fits func(entry []byte) bool) (index int64, found bool, err error)
	Prove(index int64) (witness.Inclusion, error)
}

// sealed is the entry of a recording's seal. in is nil where no log has one.
type sealed struct {
	event witness.Event
	at    int64
	in    Log
}

// sealEvent finds the entry of a recording's seal.
func (l library) sealEvent(ctx context.Context, recording string) (sealed, error) {
	for log := range l.logs(ctx) {
		if s, err := sealIn(log, recording); err != nil || s.in != nil {
			return s, err
		}
	}
	return sealed{}, nil
}

func sealIn(log Log, recording string) (s sealed, err error) {
	name := []byte(`"recording":"` + recording + `"`)
	at, found, err := log.Find(func(entry []byte) bool {
		if !bytes.Contains(entry, name) {
			return false
		}
		x, err := witness.ParseEvent(entry)
		if err != nil || x.Event != witness.RecordingSealed || x.Recording != recording {
			return false
		}
		s.event = x
		return true
	})
	if err != nil || !found {
		return sealed{}, err
	}
	s.at, s.in = at, log
	return s, nil
}

// companion reads what stands beside a recording; nothing when it has not arrived.
func (l library) companion(ctx context.Context, at place, name string) ([]byte, error) {
	b, err := l.small(ctx, at, name, recordings.MaxCompanion)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// small reads what is no segment.
func (l library) small(ctx context.Context, at place, part string, most int64) ([]byte, error) {
	f, err := l.vault.Open(ctx, at.site, at.recording, part)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}
