package mpps

import (
	"encoding/binary"
)

// Commands of DIMSE (PS3.7 annex E). An answer has the highest bit.
const (
	cEcho    = 0x0030
	nSet     = 0x0120
	nCreate  = 0x0140
	cCancel  = 0x0fff
	isAnswer = 0x8000

	noDataSet = 0x0101
)

// Statuses of an answer (PS3.7 annex C).
const (
	success          = 0x0000
	invalidAttribute = 0x0106
	processing       = 0x0110
	noSuchClass      = 0x0118
	noSuchOperation  = 0x0211
	tooMany          = 0x0213
)

// command is what is read of a command set.
type command struct {
	class, instance string // affected or requested
	field, id       uint16
	dataSet         bool
}

// parseCommand reads a command set, which is implicit and little endian always.
func parseCommand(b []byte) (command, error) {
	var c command
	if len(b) < 12 || binary.LittleEndian.Uint64(b) != 4<<32 || int(binary.LittleEndian.Uint32(b[8:])) != len(b)-12 {
		return c, protocol("a command set without its length")
	}
	var has uint16
	last := uint16(0)
	for rest := b[12:]; len(rest) > 0; {
		if len(rest) < 8 {
			return c, protocol("a command set ends early")
		}
		group, element, n := binary.LittleEndian.Uint16(rest), binary.LittleEndian.Uint16(rest[2:]), binary.LittleEndian.Uint32(rest[4:])
		if group != 0 || element <= last || uint64(n) > uint64(len(rest)-8) {
			return c, protocol("an element of a command set that cannot be")
		}
		value := rest[8 : 8+n]
		last, rest = element, rest[8+n:]
		if err := c.take(element, value, &has); err != nil {
			return c, err
		}
	}
	if has != 7 {
		return c, protocol("a command set that lacks something")
	}
	return c, nil
}

// take reads one element; has collects those that must be there.
func (c *command) take(element uint16, value []byte, has *uint16) (err error) {
	switch element {
	case 0x0100, 0x0110, 0x0800:
		if len(value) != 2 {
			return protocol("a number of %d bytes", len(value))
		}
	}
	switch element {
	case 0x0002, 0x0003:
		c.class, err = parseUID(value)
	case 0x1000, 0x1001:
		if len(value) > 0 {
			c.instance, err = parseUID(value)
		}
	case 0x0100:
		c.field = binary.LittleEndian.Uint16(value)
		*has |= 1
		if c.field&isAnswer != 0 || c.field == cCancel {
			*has |= 2 // these have another number
		}
	case 0x0110:
		c.id = binary.LittleEndian.Uint16(value)
		*has |= 2
	case 0x0800:
		c.dataSet = binary.LittleEndian.Uint16(value) != noDataSet
		*has |= 4
	}
	return err
}

// answer is the command set that answers c.
func (c command) answer(status uint16) []byte {
	var b []byte
	if c.class != "" {
		b = element(b, 0x0002, even(c.class))
	}
	b = element(b, 0x0100, number(c.field|isAnswer))
	b = element(b, 0x0120, number(c.id))
	b = element(b, 0x0800, number(noDataSet))
	b = element(b, 0x0900, number(status))
	if c.instance != "" {
		b = element(b, 0x1000, even(c.instance))
	}
	head := element(nil, 0x0000, binary.LittleEndian.AppendUint32(nil, uint32(len(b))))
	return append(head, b...)
}

func element(b []byte, element uint16, value []byte) []byte {
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, element)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

func number(n uint16) []byte { return binary.LittleEndian.AppendUint16(nil, n) }

// even fills a UID up to an even length.
func even(uid string) []byte {
	if len(uid)%2 == 1 {
		uid += "\x00"
	}
	return []byte(uid)
}
