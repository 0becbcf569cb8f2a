package link

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// errFrame marks what no honest peer sends; the connection is closed.
var errFrame = errors.New("not a frame of " + ALPN)

const headerSize = 9

type frame struct {
	verb    verb
	id      uint32
	payload []byte
}

// append writes the frame's bytes behind b.
func (f frame) append(b []byte) []byte {
	b = append(b, byte(f.verb))
	b = binary.BigEndian.AppendUint32(b, f.id)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.payload)))
	return append(b, f.payload...)
}

// readFrame reads one frame. A verb that is not allowed here, or a length beyond
// the verb's, is refused before the payload is read.
func readFrame(r io.Reader, allowed ...verb) (frame, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return frame{}, err
	}
	f := frame{verb: verb(h[0]), id: binary.BigEndian.Uint32(h[1:])}
	size := binary.BigEndian.Uint32(h[5:])
	limit, known := largest(f.verb)
	switch {
	case !known || !slices.Contains(allowed, f.verb):
		return frame{}, fmt.Errorf("%w: verb %d has no place here", errFrame, h[0])
	case uint64(size) > uint64(limit):
		return frame{}, fmt.Errorf("%w: verb %d with %d bytes", errFrame, h[0], size)
	case size == 0:
		return f, nil
	}
	f.payload = make([]byte, size)
	if _, err := io.ReadFull(r, f.payload); err != nil {
		return frame{}, noEOF(err)
	}
	return f, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// encode is the one spelling of a message. Bytes that are not UTF-8 become U+FFFD
// on the first pass and are spelled out only on the second.
func encode[T any](m T) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil || !bytes.Contains(b, []byte(`\ufffd`)) {
		return b, err
	}
	var again T
	if err := json.Unmarshal(b, &again); err != nil {
		return nil, err
	}
	return json.Marshal(again)
}

// decode reads a message and refuses every spelling but the one of encode.
func decode[T any](b []byte) (T, error) {
	var m, zero T
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return zero, fmt.Errorf("%w: %w", errFrame, err)
	}
	again, err := encode(m)
	if err != nil || !bytes.Equal(again, b) {
		return zero, fmt.Errorf("%w: a message in another spelling than ours", errFrame)
	}
	return m, nil
}

// framer speaks frames on a connection. One goroutine reads; any may write.
type framer struct {
	conn net.Conn
	mu   sync.Mutex // holds one frame's write together
}

// write sends one frame within writeTime. A nil message is an empty payload.
func write[T any](f *framer, v verb, id uint32, m T) error {
	payload, err := encode(m)
	if err != nil {
		return fmt.Errorf("encode verb %d: %w", v, err)
	}
	return f.writePayload(v, id, payload)
}

func (f *framer) writePayload(v verb, id uint32, payload []byte) error {
	if limit, ok := largest(v); !ok || len(payload) > limit {
		return fmt.Errorf("verb %d with %d bytes is larger than the wire allows", v, len(payload))
	}
	b := frame{verb: v, id: id, payload: payload}.append(make([]byte, 0, headerSize+len(payload)))
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := f.conn.Write(b)
	return err
}

func (f *framer) ping() error { return f.writePayload(verbPing, 0, nil) }

// read waits at most d for a frame of the allowed verbs.
func (f *framer) read(d time.Duration, allowed ...verb) (frame, error) {
	if err := f.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return frame{}, err
	}
	return readFrame(f.conn, allowed...)
}

// raw ends the frames: from here on the connection carries bytes without deadlines.
func (f *framer) raw() error { return f.conn.SetDeadline(time.Time{}) }
