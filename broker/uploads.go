package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// Put stores one part and lists it. The vault is written first: what is listed can
// be fetched.
func (a *Archive) Put(ctx context.Context, site, agent string, p link.Put, body io.Reader) error {
	id, err := session.ParseRecordingID(p.Recording)
	if err != nil {
		return err
	}
	var small []byte
	if p.Part == recordings.HeaderPart || p.Part == recordings.SealPart {
		if p.Size > maxSmallPart {
			return session.Errorf(session.Invalid, "The %s of a recording is at most %d bytes", p.Part, maxSmallPart)
		}
		if small, err = io.ReadAll(io.LimitReader(body, p.Size)); err != nil {
			return fmt.Errorf("receive the %s of %s: %w", p.Part, p.Recording, err)
		}
		body = bytes.NewReader(small)
	}
	if p.Part == recordings.HeaderPart {
		if err := a.listRecording(ctx, site, agent, p, small); err != nil {
			return err
		}
	}
	if err := a.access.Storable(ctx, site, agent, id); err != nil {
		return err
	}
	if _, segment := recordings.Segment(p.Part); segment {
		if body, err = a.checked(ctx, site, p, body); err != nil {
			return err
		}
	}
	err = a.vault.Put(ctx, vault.Part{Site: site, Recording: p.Recording, Name: p.Part, Size: p.Size, SHA256: p.SHA256}, body)
	if errors.Is(err, vault.ErrConflict) {
		return fmt.Errorf("%w: %w", link.ErrConflict, err)
	}
	if err != nil {
		return err
	}
	if err := a.access.AppendPart(ctx, site, agent, id, p.Part, p.Size); err != nil {
		return err
	}
	if p.Part != recordings.SealPart {
		return nil
	}
	seal, err := recordings.ReadSeal(small)
	if err != nil {
		return err
	}
	return a.access.Seal(ctx, site, agent, id, access.Seal{Ended: seal.Ended, Torn: seal.State == recordings.Torn, SHA256: p.SHA256,
		Reason: seal.Reason})
}

// checked holds a segment against what the recording's own key signed for it. While no
// header has arrived that key is not known, and the segment is held against itself.
func (a *Archive) checked(ctx context.Context, site string, p link.Put, body io.Reader) (io.Reader, error) {
	_, key, err := a.signerOf(ctx, site, p.Recording)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return recordings.Arriving(p.Part, p.Size, key, body)
}

// listRecording lists a recording by its header, which must be the sender's own.
func (a *Archive) listRecording(ctx context.Context, site, agent string, p link.Put, part []byte) error {
	h, err := recordings.ReadHeader(part)
	if err != nil {
		return err
	}
	if h.Recording != p.Recording || h.Site != site {
		return session.Errorf(session.Denied, "The header names recording %s of site %s", h.Recording, h.Site)
	}
	of, err := session.ParseSessionID(h.Session)
	if err != nil {
		return err
	}
	return a.access.StartRecording(ctx, site, agent, of, link.RecordingReport{Recording: h.Recording, Service: h.Service, Protocol: h.Protocol, Started: h.Started})
}
