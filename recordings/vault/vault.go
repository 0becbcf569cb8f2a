// Package vault keeps the parts of recordings where they are never overwritten. It
// knows names, sizes and hashes; it reads nothing inside a part and does not judge
// who may read one. That a header names the site it is stored under is for the
// caller to check. It also keeps copies of the nodes' audit logs, unread.
package vault

import (
	"context"
	"errors"
	"io"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Vault is a place for recordings, a directory or an object store.
//
// Put is durable when it returns nil, all or nothing, and safe for concurrent use,
// also for the same part. Storing a part again with the same content succeeds;
// storing another content under its name is ErrConflict and changes nothing. Nothing
// of a part is visible before it is whole. What does not exist is fs.ErrNotExist. Nothing
// lists: whoever knows the format asks for one part after the other, so that a part costs
// the same however many there are.
// All methods take names apart strictly: a bad one is of kind Invalid.
type Vault interface {
	Put(ctx context.Context, p Part, body io.Reader) error
	Open(ctx context.Context, site, recording, part string) (io.ReadCloser, error)
	Size(ctx context.Context, site, recording, part string) (int64, error)
}

// Receipts keeps the broker's countersignatures beside the parts. AppendReceipt is
// durable when it returns; it refuses one that covers less than the last and gives the
// first back for the same head.
type Receipts interface {
	AppendReceipt(ctx context.Context, site string, r witness.Receipt) (witness.Receipt, error)
	Receipts(ctx context.Context, site, recording string) ([]byte, error)
}

// Part says what is to be stored: Size bytes follow, with this SHA-256 in hex where the
// caller has not checked the body otherwise.
type Part struct {
	Site      string
	Recording string // V-...
	Name      string // header, seg-000000, seal; papers, receipts
	Size      int64
	SHA256    string
}

// ErrConflict: the part exists with another content.
var ErrConflict = errors.New("a part with this name and another content is in the vault")

func checkRecording(site, recording string) error {
	if !session.ValidName(site) {
		return session.Errorf(session.Invalid, "%.60q is not the name of a site", site)
	}
	_, err := session.ParseRecordingID(recording)
	return err
}

func checkName(site, recording, part string) error {
	if err := checkRecording(site, recording); err != nil {
		return err
	}
	if recordings.Largest(part) == 0 {
		return session.Errorf(session.Invalid, "%.60q is not the name of a part", part)
	}
	return nil
}
