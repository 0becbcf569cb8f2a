package rdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"
)

// ErrWire is a console that breaks the protocol.
var ErrWire = errors.New("the console says something that is not RDP")

// errBroken is a connection that ended, and not by the console's word.
var errBroken = errors.New("the connection to the console broke")

// fields reads numbers and bytes one after another. Once something is missing, all that
// follows is zero and bad is set.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.b) {
		f.bad, f.b = true, nil
		return nil
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

func (f *fields) u8() int {
	if b := f.take(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (f *fields) u16() int {
	if b := f.take(2); b != nil {
		return int(binary.LittleEndian.Uint16(b))
	}
	return 0
}

func (f *fields) u32() uint32 {
	if b := f.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (f *fields) big16() int {
	if b := f.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

// per is a length of the packed encoding rules, of one byte or two.
func (f *fields) per() int {
	n := f.u8()
	if n&0x80 != 0 {
		n = n&0x7f<<8 | f.u8()
	}
	return n
}

// ber is what stands under a tag of the basic encoding rules.
func (f *fields) ber(tag ...byte) []byte {
	if !slices.Equal(f.take(len(tag)), tag) {
		f.bad, f.b = true, nil
		return nil
	}
	n := f.u8()
	if n > 0x80 {
		size := n - 0x80
		n = 0
		for range min(size, 3) {
			n = n<<8 | f.u8()
		}
		f.bad = f.bad || size > 2
	}
	return f.take(n)
}

func (f *fields) err() error {
	if f.bad {
		return ErrWire
	}
	return nil
}

func le16(b []byte, values ...int) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func le32(b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func be16(b []byte, values ...int) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// wide is a text in UTF-16, without an end.
func wide(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = le16(b, int(c))
	}
	return b
}

// narrow is the text of UTF-16, to its end or to a zero.
func narrow(b []byte) string {
	units := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		c := binary.LittleEndian.Uint16(b)
		if c == 0 {
			break
		}
		units = append(units, c)
	}
	return string(utf16.Decode(units))
}

// tpkt is a message as RFC 1006 frames it.
func tpkt(b []byte) []byte {
	return append(be16([]byte{3, 0}, len(b)+4), b...)
}

// data is a message of the layers above X.224.
func data(b []byte) []byte { return tpkt(append([]byte{2, 0xf0, 0x80}, b...)) }

// packet reads a message; it is valid until the next call. Fast ones come without TPKT
// (MS-RDPBCGR 2.2.9.1.2).
func (c *Client) packet() (b []byte, fast bool, err error) {
	head, err := c.in.Peek(4)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", errBroken, err)
	}
	size, skip, fast := length(head)
	if size < skip || !fast && size < 7 {
		return nil, false, ErrWire
	}
	if cap(c.buf) < size {
		c.buf = make([]byte, max(size, 16<<10))
	}
	b = c.buf[:size]
	if _, err := io.ReadFull(c.in, b); err != nil {
		return nil, false, fmt.Errorf("%w: %w", errBroken, err)
	}
	return b[skip:], fast, nil
}

// length is how long a message is, at most 64 KiB, and how much of it is its frame; 0 where
// it is none. Nothing here is encrypted twice, so a fast one has no flags.
func length(head []byte) (size, skip int, fast bool) {
	switch {
	case head[0] == 3 && head[1] == 0:
		return int(head[2])<<8 | int(head[3]), 4, false
	case head[0]&3 != 0 || head[0]&0xc0 != 0:
		return 0, 4, false
	case head[1]&0x80 != 0:
		return int(head[1]&0x7f)<<8 | int(head[2]), 3, true
	}
	return int(head[1]), 2, true
}

// waiting reports whether another whole message is here already.
func (c *Client) waiting() bool {
	if c.in.Buffered() < 4 {
		return false
	}
	head, err := c.in.Peek(4)
	if err != nil {
		return false
	}
	size, _, _ := length(head)
	return size <= c.in.Buffered()
}
