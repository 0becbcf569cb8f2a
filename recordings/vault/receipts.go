package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// countersigned is the file beside a recording's parts that holds what the broker
// countersigned, one receipt after the other. It only ever grows.
const countersigned = "countersigned"

// AppendReceipt keeps a receipt for good. The recording must have its header. One
// that covers less than the last is refused, unless it closes the recording; the
// same head again gives the first receipt back. The last place is the closing one's.
func (d *Directory) AppendReceipt(_ context.Context, site string, r witness.Receipt) (witness.Receipt, error) {
	recording := r.Head.Recording.Recording()
	if err := checkRecording(site, recording); err != nil {
		return witness.Receipt{}, err
	}
	f, err := d.root.OpenFile(path.Join(site, recording, countersigned), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return witness.Receipt{}, fmt.Errorf("keep a countersignature: %w", err)
	}
	if err := durable.WaitLock(f); err != nil { // another node may add one to the same recording
		return witness.Receipt{}, errors.Join(fmt.Errorf("keep a countersignature: %w", err), f.Close())
	}
	kept, err := appendReceipt(f, r)
	return kept, errors.Join(err, f.Close())
}

func appendReceipt(f *os.File, r witness.Receipt) (witness.Receipt, error) {
	info, err := f.Stat()
	if err != nil {
		return r, err
	}
	whole := info.Size() / witness.ReceiptSize * witness.ReceiptSize // a torn one was never given to anybody
	if whole > 0 {
		last := make([]byte, witness.ReceiptSize)
		if _, err := f.ReadAt(last, whole-witness.ReceiptSize); err != nil {
			return r, err
		}
		before, err := witness.ParseReceipt(last)
		switch {
		case err != nil:
			return r, err
		case before.Head == r.Head:
			return before, nil
		case before.Head.Offset == 0:
			return r, session.Errorf(session.Refused, "This recording was countersigned to its end already")
		case !r.Head.After(before.Head) && r.Head.Offset != 0:
			return r, session.Errorf(session.Refused, "A later head of this recording was countersigned already")
		}
	}
	if most := int64(witness.MaxReceipts); whole/witness.ReceiptSize >= most || r.Head.Offset != 0 && whole/witness.ReceiptSize == most-1 {
		return r, session.Errorf(session.Refused, "This recording has as many countersignatures as it can have")
	}
	if _, err := f.WriteAt(r.Bytes(), whole); err != nil {
		return r, err
	}
	return r, f.Sync()
}

// Receipts are the countersignatures of a recording as they are kept, the oldest
// first; none is no error.
func (d *Directory) Receipts(_ context.Context, site, recording string) ([]byte, error) {
	if err := checkRecording(site, recording); err != nil {
		return nil, err
	}
	f, err := d.root.Open(path.Join(site, recording, countersigned))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the countersignatures of %s: %w", recording, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, witness.MaxListBytes))
	if err != nil {
		return nil, fmt.Errorf("read the countersignatures of %s: %w", recording, err)
	}
	return b[:len(b)/witness.ReceiptSize*witness.ReceiptSize], nil
}
