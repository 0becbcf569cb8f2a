// Package packet reads and writes the packets of SFTP version 3 as OpenSSH speaks it
// (draft-ietf-secsh-filexfer-02 and PROTOCOL of OpenSSH), for either end: requests,
// answers, and the greeting before them. A packet is four bytes of length and a body:
//
//	INIT, VERSION   type, version, and for VERSION pairs of extension name and data
//	a request       type, id, fields; EXTENDED has the extension's name before them
//	an answer       type, id, fields
//
// Everything is bounded, nothing is guessed: what does not parse is an error, and what
// parses is written again as it was read. Bytes behind the last field of a packet are
// dropped, and so are extended attributes, because nobody could say what they mean.
package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Version is the one version that is spoken.
const Version = 3

// Types of the packets that are no requests.
const (
	initial       = 1
	version       = 2
	Status        = 101
	Handle        = 102
	Data          = 103
	Name          = 104
	Attributes    = 105
	extended      = 200
	ExtendedReply = 201
)

var errMalformed = errors.New("malformed packet")

// Read reads the body of one packet into buf, which grows as it must, up to Most bytes.
func Read(from io.Reader, buf []byte) ([]byte, error) {
	if cap(buf) < 4 {
		buf = make([]byte, 0, 1<<10)
	}
	if _, err := io.ReadFull(from, buf[:4]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(buf[:4])
	if n == 0 || n > Most {
		return nil, fmt.Errorf("packet of %d bytes", n)
	}
	if uint32(cap(buf)) < n {
		buf = make([]byte, n)
	}
	if _, err := io.ReadFull(from, buf[:n]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return buf[:n], nil
}

// framed appends a body, which write appends, and its length.
func framed(b []byte, write func([]byte) []byte) []byte {
	at := len(b)
	b = write(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// AppendInit appends the client's greeting.
func AppendInit(b []byte) []byte { return append(b, 0, 0, 0, 5, initial, 0, 0, 0, Version) }

// ParseInit reads the client's greeting: the version that it speaks at most.
func ParseInit(body []byte) (uint32, error) {
	c := cursor{b: body}
	if c.byte() != initial {
		return 0, errMalformed
	}
	v := c.u32()
	return v, c.err()
}

// Extension is one that a server offers.
type Extension struct{ Name, Data string }

// AppendVersion appends the server's greeting.
func AppendVersion(b []byte, offered []Extension) []byte {
	return framed(b, func(b []byte) []byte {
		b = append(b, version, 0, 0, 0, Version)
		for _, e := range offered {
			b = appendString(appendString(b, e.Name), e.Data)
		}
		return b
	})
}

// ParseVersion reads the server's greeting.
func ParseVersion(body []byte) (uint32, []Extension, error) {
	c := cursor{b: body}
	if c.byte() != version {
		return 0, nil, errMalformed
	}
	v := c.u32()
	var offered []Extension
	for len(c.b) > 0 && !c.short {
		if len(offered) == mostExtensions {
			return 0, nil, errMalformed
		}
		offered = append(offered, Extension{c.string(), c.string()})
	}
	return v, offered, c.err()
}

// cursor reads fields; after the first that is not there it reads zeros.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) err() error {
	if c.short {
		return errMalformed
	}
	return nil
}

func (c *cursor) take(n uint32) []byte {
	if c.short || uint64(n) > uint64(len(c.b)) {
		c.short, c.b = true, nil
		return nil
	}
	taken := c.b[:n]
	c.b = c.b[n:]
	return taken
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) bytes() []byte  { return c.take(c.u32()) }
func (c *cursor) string() string { return string(c.bytes()) }

// name is that of an entry, or what is said of it.
func (c *cursor) name() string {
	b := c.bytes()
	c.short = c.short || len(b) > mostName
	if c.short {
		return ""
	}
	return string(b)
}

func appendString[S string | []byte](b []byte, s S) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
