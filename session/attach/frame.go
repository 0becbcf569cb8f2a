package attach

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"slices"
)

// Type is the first byte of a frame.
type Type byte

// The types; see the package comment.
const (
	TypeChallenge Type = 'C'
	TypeWelcome   Type = 'W'
	TypeRefused   Type = 'R'
	TypeOutput    Type = 'O'
	TypeSnapshot  Type = 'S'
	TypeNotice    Type = 'N'
	TypeProof     Type = 'J'
	TypeInput     Type = 'I'
	TypeResize    Type = 'Z'
	TypeStart     Type = 'T'
	TypeClose     Type = 'X'
	TypePing      Type = 'P' // and its answer
	TypeFiles     Type = 'F'
	TypeData      Type = 'D'
	TypeEnd       Type = 'E'
	TypeCredit    Type = 'K'
	TypeLook      Type = 'L'
	TypeCode      Type = 'A'
)

// Side is who speaks.
type Side bool

const (
	Agent   Side = false
	Browser Side = true
)

// bounds are the least and the most bytes of a type's payload; false when that side
// never sends it.
func bounds(t Type, from Side) (least, most int, ok bool) {
	switch t {
	case TypeChallenge, TypeWelcome, TypeRefused, TypeNotice:
		return 2, MaxJSON, from == Agent
	case TypeOutput:
		return 1, MaxPayload, from == Agent
	case TypeSnapshot:
		return 4, MaxPayload, from == Agent
	case TypeProof:
		return 2, MaxJSON, from == Browser
	case TypeInput:
		return 1, MaxPayload, from == Browser
	case TypeResize, TypeStart, TypeEnd, TypeLook:
		return 4, 4, from == Browser
	case TypeClose:
		return 0, 0, from == Browser
	case TypeCode:
		return 1, MaxCode, from == Browser
	case TypePing:
		return 0, maxPing, true
	case TypeFiles:
		return 2, MaxJSON, true
	case TypeData:
		return 5, MaxPayload, true
	case TypeCredit:
		return 8, 8, true
	}
	return 0, 0, false
}

// ErrFrame is what every malformed frame is.
var ErrFrame = errors.New("malformed frame")

// Frame is one frame. Payload is valid until the next one is read.
type Frame struct {
	Type    Type
	Payload []byte
}

// Reader reads the frames of one side. It allocates no more than one frame.
type Reader struct {
	r    io.Reader
	from Side
	head [header]byte
	buf  []byte
	got  int // bytes of the frame that was begun
}

// NewReader reads what from sends.
func NewReader(r io.Reader, from Side) *Reader { return &Reader{r: r, from: from} }

// Read returns the next frame. io.EOF comes only between frames; a malformed frame is
// ErrFrame, before its payload is read. After a deadline the next call goes on in the middle
// of the frame.
func (r *Reader) Read() (Frame, error) {
	if err := r.fill(r.head[:1], 0); err != nil {
		return Frame{}, err
	}
	least, most, ok := bounds(Type(r.head[0]), r.from)
	if !ok {
		return Frame{}, ErrFrame
	}
	if err := r.fill(r.head[1:], 1); err != nil {
		return Frame{}, noEOF(err)
	}
	n := binary.BigEndian.Uint32(r.head[1:])
	if n < uint32(least) || n > uint32(most) {
		return Frame{}, ErrFrame
	}
	r.buf = slices.Grow(r.buf[:0], int(n))[:n]
	if err := r.fill(r.buf, header); err != nil {
		return Frame{}, noEOF(err)
	}
	r.got = 0
	return Frame{Type(r.head[0]), r.buf}, nil
}

// fill reads a part of the frame, which begins at a byte of it, as far as it was not read yet.
func (r *Reader) fill(part []byte, at int) error {
	if r.got >= at+len(part) {
		return nil
	}
	n, err := io.ReadFull(r.r, part[r.got-at:])
	r.got += n
	return err
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Append adds a frame of one side to b. A frame that the other side would refuse is
// ErrFrame.
func Append(b []byte, from Side, t Type, payload ...[]byte) ([]byte, error) {
	n := 0
	for _, p := range payload {
		n += len(p)
	}
	least, most, ok := bounds(t, from)
	if !ok || n < least || n > most {
		return b, ErrFrame
	}
	b = append(b, byte(t))
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	for _, p := range payload {
		b = append(b, p...)
	}
	return b, nil
}

// AppendJSON adds a frame with a document.
func AppendJSON(b []byte, from Side, t Type, document any) ([]byte, error) {
	payload, err := json.Marshal(document)
	if err != nil {
		return b, err
	}
	return Append(b, from, t, payload)
}

// decode reads a JSON object strictly into out: exactly the given names, each at most
// once, in any order, and nothing after it.
func decode(payload []byte, out any, names ...string) error {
	d := json.NewDecoder(bytes.NewReader(payload))
	open, err := d.Token()
	if err != nil || open != json.Delim('{') {
		return ErrFrame
	}
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		key, ok := name.(string)
		if err != nil || !ok || seen[key] || !slices.Contains(names, key) {
			return ErrFrame
		}
		seen[key] = true
		var value json.RawMessage
		if d.Decode(&value) != nil || len(value) == 0 || bytes.Equal(value, []byte("null")) {
			return ErrFrame
		}
	}
	if len(seen) != len(names) || json.Unmarshal(payload, out) != nil {
		return ErrFrame
	}
	return nil
}

// ParseChallenge reads the payload of a C.
func ParseChallenge(payload []byte) (Challenge, error) {
	var c Challenge
	if err := decode(payload, &c, "v", "nonce", "agent", "stream", "protocol", "site", "asset", "service"); err != nil || c.V != Version {
		return Challenge{}, ErrFrame
	}
	return c, nil
}

// ParseProof reads the payload of a J. That it holds is for Proof.Verify to say.
func ParseProof(payload []byte) (Proof, error) {
	var p Proof
	err := decode(payload, &p, "v", "protocol", "role", "session", "key", "signature", "opening")
	if err != nil {
		return Proof{}, bad("a proof that it cannot read")
	}
	if err := p.check(); err != nil {
		return Proof{}, err
	}
	return p, nil
}
