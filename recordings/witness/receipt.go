package witness

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Receipt is the broker's countersignature: it had seen this head at this time.
// Whoever has it can no longer be told that the recording never came so far.
type Receipt struct {
	Head      Head
	At        int64 // the broker's wall clock, microseconds since 1970 UTC
	Broker    [ed25519.PublicKeySize]byte
	Signature [SignatureSize]byte
}

// ReceiptSize is the length of a receipt, in bytes: 180 head, 8 at, 32 broker's key,
// 64 signature over all that stands before it.
const ReceiptSize = HeadSize + 8 + ed25519.PublicKeySize + SignatureSize

// Countersigned is the receipt for a head that came in at a time. The caller has
// verified the head.
func Countersigned(s crypto.Signer, h Head, at time.Time) (Receipt, error) {
	pub, err := PublicKey(s)
	if err != nil {
		return Receipt{}, err
	}
	r := Receipt{Head: h, At: at.UnixMicro(), Broker: [ed25519.PublicKeySize]byte(pub)}
	r.Signature, err = Sign(s, Countersign, r.statement())
	return r, err
}

func (r Receipt) statement() []byte {
	b := binary.BigEndian.AppendUint64(r.Head.Bytes(), uint64(r.At))
	return append(b, r.Broker[:]...)
}

// Key is the broker's key as the receipt names it. Whether that is the broker, only
// a trust bundle tells.
func (r Receipt) Key() ed25519.PublicKey { return ed25519.PublicKey(r.Broker[:]) }

// Time is when the broker had seen the head, as it says.
func (r Receipt) Time() time.Time { return time.UnixMicro(r.At).UTC() }

// Verify reports whether the key that the receipt names signed it.
func (r Receipt) Verify() bool { return Verify(r.Key(), Countersign, r.statement(), r.Signature[:]) }

// Bytes is the receipt as it is kept and sent.
func (r Receipt) Bytes() []byte { return append(r.statement(), r.Signature[:]...) }

// ParseReceipt reads what Bytes writes. It checks the shape, not the signatures.
func ParseReceipt(b []byte) (Receipt, error) {
	if len(b) != ReceiptSize {
		return Receipt{}, fmt.Errorf("a receipt has %d bytes, not %d", ReceiptSize, len(b))
	}
	h, err := ParseHead(b[:HeadSize])
	if err != nil {
		return Receipt{}, err
	}
	r := Receipt{Head: h, At: int64(binary.BigEndian.Uint64(b[HeadSize:]))}
	copy(r.Broker[:], b[HeadSize+8:])
	copy(r.Signature[:], b[HeadSize+8+ed25519.PublicKeySize:])
	return r, nil
}

// ParseReceipts reads receipts that stand one after the other, as the broker keeps them.
func ParseReceipts(b []byte) ([]Receipt, error) {
	if len(b)%ReceiptSize != 0 || len(b)/ReceiptSize > MaxReceipts {
		return nil, errors.New("the countersignatures have a length that cannot be")
	}
	all := make([]Receipt, 0, len(b)/ReceiptSize)
	for ; len(b) > 0; b = b[ReceiptSize:] {
		r, err := ParseReceipt(b[:ReceiptSize])
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

const (
	listMagic = "SALYRCP1"
	listHead  = len(listMagic) + len(session.ID{}) + 4
)

// SignList makes the list with which an agent closes a recording's receipts: 8 bytes
// magic, 16 recording, 4 count, the receipts, 64 signature of the agent. What is in
// it can then no longer be left out.
func SignList(s crypto.Signer, recording session.ID, receipts []Receipt) ([]byte, error) {
	if len(receipts) > MaxReceipts {
		return nil, errors.New("too many receipts")
	}
	b := append([]byte(listMagic), recording[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(receipts)))
	for _, r := range receipts {
		b = append(b, r.Bytes()...)
	}
	sig, err := Sign(s, List, b)
	return append(b, sig[:]...), err
}

// ParseList reads what SignList wrote and checks the agent's signature.
func ParseList(b []byte, pub ed25519.PublicKey, recording session.ID) ([]Receipt, error) {
	if len(b) < listHead+SignatureSize || int64(len(b)) > MaxListBytes || !bytes.HasPrefix(b, []byte(listMagic)) {
		return nil, errors.New("it is no list of countersignatures")
	}
	body, sig := b[:len(b)-SignatureSize], b[len(b)-SignatureSize:]
	if !Verify(pub, List, body, sig) {
		return nil, errors.New("the agent's signature under its list of countersignatures does not fit")
	}
	if session.ID(body[len(listMagic):listHead-4]) != recording {
		return nil, errors.New("the list of countersignatures is of another recording")
	}
	if n := binary.BigEndian.Uint32(body[listHead-4:]); int(n)*ReceiptSize != len(body)-listHead {
		return nil, errors.New("the list of countersignatures has another length than it says")
	}
	return ParseReceipts(body[listHead:])
}

// ClosingHead is the head over a whole recording: everything before segment
// segments, which never came. It is what is countersigned last.
func ClosingHead(recording session.ID, segments uint32, chain [32]byte, at, wall, boot int64) Head {
	return Head{Recording: recording, Segment: segments, At: at, Wall: wall, Boot: boot, Chain: chain, Plain: emptyPlain()}
}

// Closes reports whether a head covers exactly the segments whose chain this is.
func (h Head) Closes(segments uint32, chain [32]byte) bool {
	return h.Offset == 0 && h.Segment == segments && h.Chain == chain && h.Plain == emptyPlain()
}

// After reports whether a head covers more than another one of the same recording.
func (h Head) After(other Head) bool {
	return h.Segment > other.Segment || h.Segment == other.Segment && h.Offset > other.Offset
}

// Sorted reports whether receipts are of one recording and each covers more than the
// one before; only the last may be a closing head that covers less, because a crash
// can lose what had been countersigned.
func Sorted(recording session.ID, all []Receipt) bool {
	for i, r := range all {
		if r.Head.Recording != recording {
			return false
		}
		if i > 0 && !r.Head.After(all[i-1].Head) && (i != len(all)-1 || r.Head.Offset != 0) {
			return false
		}
	}
	return true
}
