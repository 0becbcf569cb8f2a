package packet

import (
	"encoding/binary"
	"fmt"
)

// Code is what a status says.
type Code uint32

// The codes that a server may send, and ConnectionLost for want of an answer.
const (
	OK Code = iota
	EOF
	NoSuchFile
	PermissionDenied
	Failure
	BadMessage
	_
	ConnectionLost
	OpUnsupported
)

// Known reports whether it is one of the above.
func (c Code) Known() bool { return c <= OpUnsupported && c != ConnectionLost-1 }

func (c Code) String() string {
	switch c {
	case OK:
		return "ok"
	case EOF:
		return "end of file"
	case NoSuchFile:
		return "no such file"
	case PermissionDenied:
		return "permission denied"
	case Failure:
		return "failure"
	case BadMessage:
		return "bad message"
	case ConnectionLost:
		return "connection lost"
	case OpUnsupported:
		return "operation unsupported"
	}
	return fmt.Sprintf("status %d", uint32(c))
}

// Entry is a name that an answer tells.
type Entry struct {
	Name, Long string
	Attrs      Attrs
}

// Response is an answer, with the fields that its kind has.
type Response struct {
	Kind   byte // Status, Handle, Data, Name, Attributes or ExtendedReply
	Code   Code
	Handle string
	Data   []byte // also of ExtendedReply; parsed, it is part of the packet
	Names  []Entry
	Attrs  Attrs
}

// Says makes a status. What a device says beside its code is not kept: the code is all
// that is passed on.
func Says(c Code) Response { return Response{Kind: Status, Code: c} }

// Append appends the answer as a packet.
func (a Response) Append(b []byte, id uint32) []byte {
	return framed(b, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint32(append(b, a.Kind), id)
		switch a.Kind {
		case Status:
			b = binary.BigEndian.AppendUint32(b, uint32(a.Code))
			b = appendString(appendString(b, a.Code.String()), "")
		case Handle:
			b = appendString(b, a.Handle)
		case Data:
			b = appendString(b, a.Data)
		case Name:
			b = binary.BigEndian.AppendUint32(b, uint32(len(a.Names)))
			for _, e := range a.Names {
				b = e.Attrs.append(appendString(appendString(b, e.Name), e.Long))
			}
		case Attributes:
			b = a.Attrs.append(b)
		case ExtendedReply:
			b = append(b, a.Data...)
		}
		return b
	})
}

// ParseResponse reads an answer.
func ParseResponse(body []byte) (id uint32, a Response, err error) {
	c := cursor{b: body}
	a.Kind = c.byte()
	id = c.u32()
	switch a.Kind {
	case Status:
		a.Code = Code(c.u32()) // old servers send no text behind it
	case Handle:
		a.Handle = c.handle()
	case Data:
		a.Data = c.bytes()
	case Name:
		n := c.u32()
		c.short = c.short || n > mostNames
		for ; n > 0 && !c.short; n-- {
			a.Names = append(a.Names, Entry{c.name(), c.name(), c.attrs()})
		}
	case Attributes:
		a.Attrs = c.attrs()
	case ExtendedReply:
		a.Data, c.b = c.b, nil
	default:
		c.short = true
	}
	if err := c.err(); err != nil {
		return 0, Response{}, err
	}
	return id, a, nil
}

// Capacity is what Limits answers.
type Capacity struct{ Packet, Read, Write, Handles uint64 }

// Reply makes the answer to Limits.
func (l Capacity) Reply() Response {
	var b []byte
	for _, n := range []uint64{l.Packet, l.Read, l.Write, l.Handles} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return Response{Kind: ExtendedReply, Data: b}
}

// ParseCapacity reads the answer to Limits.
func ParseCapacity(a Response) (Capacity, error) {
	c := cursor{b: a.Data}
	l := Capacity{c.u64(), c.u64(), c.u64(), c.u64()}
	if a.Kind != ExtendedReply {
		return Capacity{}, errMalformed
	}
	return l, c.err()
}

// Space is what Statvfs answers: eleven numbers, of which these are for people.
type Space struct{ Fragment, Blocks, Available uint64 }

// ParseSpace reads the answer to Statvfs, which must be whole.
func ParseSpace(a Response) (Space, error) {
	if a.Kind != ExtendedReply || len(a.Data) != 11*8 {
		return Space{}, errMalformed
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(a.Data[8*i:]) }
	return Space{Fragment: at(1), Blocks: at(2), Available: at(4)}, nil
}
