package recordings

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Header and seal are documents: 8 bytes magic, 4 bytes length, canonical JSON,
// 64 bytes signature over all of it.
const (
	magicSize    = 8
	documentHead = magicSize + 4
	headerMagic  = "SALYREC1"
	segmentMagic = "SALYSEG1"
	sealMagic    = "SALYEND1"
)

var errTooLong = errors.New("longer than the format allows")

// opening is the header part's document.
type opening struct {
	V       int      `json:"v"` // 1
	Session Header   `json:"session"`
	Signer  string   `json:"signer"` // the agent's identity key line
	Boot    int64    `json:"boot"`   // boot clock at Started, microseconds; 0: unknown
	Input   inputKey `json:"input"`
	Outputs []string `json:"outputs"` // recipients of the whole content; none in version 1
}

// inputKey is the recording's key for sealed events, wrapped for one recipient.
type inputKey struct {
	Recipient string `json:"recipient"`
	Wrapped   []byte `json:"wrapped"` // an age file holding the 32 bytes of the key
}

// SealInfo is the seal part's document: what the whole recording amounts to.
type SealInfo struct {
	V         int               `json:"v"` // 1
	Recording string            `json:"recording"`
	State     State             `json:"state"` // sealed or torn
	Reason    session.EndReason `json:"reason"`
	Ended     time.Time         `json:"ended"` // wall clock; of the last event when torn
	Boot      int64             `json:"boot"`  // boot clock when it was sealed; 0: unknown
	At        int64             `json:"at"`    // of the last frame, microseconds since the start
	Segments  uint32            `json:"segments"`
	Events    uint64            `json:"events"`
	Plain     int64             `json:"plain"`   // bytes of all segments, unpacked
	Stored    int64             `json:"stored"`  // bytes of header and segments, as stored
	Chain     string            `json:"chain"`   // hex, over all segments
	Dropped   int64             `json:"dropped"` // bytes of an unfinished last write that repair left out
}

// signDocument makes a header or seal part.
func signDocument(s crypto.Signer, d witness.Domain, magic string, doc any) ([]byte, error) {
	body, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	if len(body) > MaxDocument {
		return nil, fmt.Errorf("%s of %d bytes is %w", magic, len(body), errTooLong)
	}
	part := append([]byte(magic), binary.BigEndian.AppendUint32(nil, uint32(len(body)))...)
	part = append(part, body...)
	sig, err := witness.Sign(s, d, part)
	return append(part, sig[:]...), err
}

// splitDocument takes a part apart without checking its signature. The part must
// be whole and nothing else.
func splitDocument(magic string, part []byte, doc any) (signed, sig []byte, err error) {
	if len(part) < documentHead || string(part[:magicSize]) != magic {
		return nil, nil, fmt.Errorf("it does not begin with %q", magic)
	}
	n := binary.BigEndian.Uint32(part[magicSize:])
	if n > MaxDocument || len(part) != documentHead+int(n)+witness.SignatureSize {
		return nil, nil, errors.New("its length is wrong")
	}
	signed, sig = part[:documentHead+int(n)], part[documentHead+int(n):]
	body := signed[documentHead:]
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(doc); err != nil {
		return nil, nil, fmt.Errorf("its document cannot be read: %w", err)
	}
	again, err := json.Marshal(doc)
	if err != nil || !bytes.Equal(again, body) {
		return nil, nil, errors.New("its document is not in canonical form")
	}
	return signed, sig, nil
}

// readDocument reads one document part from the front of r, bounded.
func readDocument(r io.Reader) ([]byte, error) {
	head := make([]byte, documentHead)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[magicSize:])
	if n > MaxDocument {
		return nil, errTooLong
	}
	part := append(head, make([]byte, int(n)+witness.SignatureSize)...)
	_, err := io.ReadFull(r, part[documentHead:])
	return part, err
}

// ErrSealedContent is in the chain when the whole content of a recording is sealed to
// recipients of its site. No reader of version 1 opens one.
var ErrSealedContent = errors.New("its content is sealed to recipients of its site")

// parseHeader checks a header part completely: shape, signature, and that the
// session header names the key that signed.
func parseHeader(part []byte) (opening, ed25519.PublicKey, error) {
	var o opening
	signed, sig, err := splitDocument(headerMagic, part, &o)
	if err != nil {
		return opening{}, nil, err
	}
	if len(o.Outputs) != 0 {
		return opening{}, nil, ErrSealedContent
	}
	if o.V != 1 {
		return opening{}, nil, errors.New("it was written by a newer Sallyport")
	}
	pub, err := session.ParseKeyLine(o.Signer)
	if err != nil {
		return opening{}, nil, err
	}
	if !witness.Verify(pub, witness.Header, signed, sig) {
		return opening{}, nil, errors.New("its signature does not fit")
	}
	if o.Session.Agent != session.Fingerprint(pub) {
		return opening{}, nil, errors.New("it names another agent than the one that signed it")
	}
	return o, pub, o.Session.check()
}

// parseSeal checks a seal part's shape; its signature only when pub is given.
func parseSeal(part []byte, pub ed25519.PublicKey) (SealInfo, error) {
	var s SealInfo
	signed, sig, err := splitDocument(sealMagic, part, &s)
	if err != nil {
		return SealInfo{}, err
	}
	chain, err := hex.DecodeString(s.Chain)
	switch {
	case s.V != 1:
		return SealInfo{}, errors.New("it was written by a newer Sallyport")
	case s.State != Sealed && s.State != Torn:
		return SealInfo{}, errors.New("it says neither sealed nor torn")
	case err != nil || len(chain) != 32 || s.Segments > MaxSegments || s.Plain < 0 || s.Stored < 0 || s.Dropped < 0 || s.At < 0:
		return SealInfo{}, errors.New("its figures are out of range")
	case pub != nil && !witness.Verify(pub, witness.Seal, signed, sig):
		return SealInfo{}, errors.New("its signature does not fit")
	}
	return s, nil
}

// ReadHeader reads a header part and checks it against the key it carries. Whose
// key that is, only Verify with a trust bundle can tell.
func ReadHeader(part []byte) (Header, error) {
	o, _, err := parseHeader(part)
	if err != nil {
		return Header{}, session.Errorf(session.Invalid, "read the header of a recording: %w", err)
	}
	return o.Session, nil
}

// ReadSigner is ReadHeader with the key that signed.
func ReadSigner(part []byte) (Header, ed25519.PublicKey, error) {
	o, pub, err := parseHeader(part)
	if err != nil {
		return Header{}, nil, session.Errorf(session.Invalid, "read the header of a recording: %w", err)
	}
	return o.Session, pub, nil
}

// ReadSeal reads a seal part for listings. It does not check the signature, which
// needs the header's key: Verify does.
func ReadSeal(part []byte) (SealInfo, error) {
	s, err := parseSeal(part, nil)
	if err != nil {
		return SealInfo{}, session.Errorf(session.Invalid, "read the seal of a recording: %w", err)
	}
	return s, nil
}
