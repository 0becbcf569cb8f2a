package mpps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kinds of PDUs (PS3.8 section 9.3).
const (
	pduAssociateRQ = 1
	pduAssociateAC = 2
	pduAssociateRJ = 3
	pduData        = 4
	pduReleaseRQ   = 5
	pduReleaseRP   = 6
	pduAbort       = 7
)

// errProtocol is what a peer does that DICOM does not allow; the association is aborted.
var errProtocol = errors.New("not DICOM as it is standardised")

func protocol(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errProtocol, fmt.Sprintf(format, args...))
}

// readPDU reads one PDU whose body fits into buf.
func readPDU(r io.Reader, buf []byte) (kind byte, body []byte, err error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[2:])
	if head[0] < pduAssociateRQ || head[0] > pduAbort {
		return 0, nil, protocol("a PDU of kind %d", head[0])
	}
	if uint64(n) > uint64(len(buf)) {
		return 0, nil, protocol("a PDU of %d bytes", n)
	}
	_, err = io.ReadFull(r, buf[:n])
	return head[0], buf[:n], err
}

// pdu frames a body.
func pdu(kind byte, body []byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte{kind, 0}, uint32(len(body)))
	return append(out, body...)
}

// item is a part of an association request or of its user information.
func item(kind byte, body []byte) []byte {
	out := binary.BigEndian.AppendUint16([]byte{kind, 0}, uint16(len(body)))
	return append(out, body...)
}

// nextItem cuts the first item off.
func nextItem(b []byte) (kind byte, body, rest []byte, err error) {
	if len(b) < 4 {
		return 0, nil, nil, protocol("an item ends early")
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if len(b) < 4+n {
		return 0, nil, nil, protocol("an item is longer than its PDU")
	}
	return b[0], b[4 : 4+n], b[4+n:], nil
}

// request is what a peer asks for.
type request struct {
	called, calling string // AE titles
	application     string
	contexts        []proposal
}

// proposal is a presentation context that is asked for.
type proposal struct {
	id       byte
	abstract string
	transfer []string
}

// parseRequest reads the body of an A-ASSOCIATE-RQ.
func parseRequest(b []byte) (request, error) {
	var q request
	if len(b) < 68 {
		return q, protocol("a request for an association of %d bytes", len(b))
	}
	if binary.BigEndian.Uint16(b)&1 == 0 {
		return q, protocol("another version of the protocol")
	}
	var err error
	if q.called, err = parseTitle(b[4:20]); err != nil {
		return q, err
	}
	if q.calling, err = parseTitle(b[20:36]); err != nil {
		return q, err
	}
	users := 0
	for rest := b[68:]; len(rest) > 0; {
		var kind byte
		var body []byte
		if kind, body, rest, err = nextItem(rest); err != nil {
			return q, err
		}
		switch kind {
		case 0x10:
			if q.application != "" {
				return q, protocol("two application contexts")
			}
			q.application, err = parseUID(body)
		case 0x20:
			err = q.propose(body)
		case 0x50: // what a peer says of itself; it is taken as any other
			users++
		default:
			err = protocol("an item of kind %#x", kind)
		}
		if err != nil {
			return q, err
		}
	}
	if users != 1 || q.application == "" || len(q.contexts) == 0 {
		return q, protocol("a request for an association that lacks something")
	}
	return q, nil
}

// propose reads a presentation context.
func (q *request) propose(b []byte) error {
	if len(b) < 4 || b[0]&1 == 0 || len(q.contexts) == maxContexts {
		return protocol("a presentation context that cannot be")
	}
	p := proposal{id: b[0]}
	for _, other := range q.contexts {
		if other.id == p.id {
			return protocol("two presentation contexts have the id %d", p.id)
		}
	}
	for rest := b[4:]; len(rest) > 0; {
		kind, body, next, err := nextItem(rest)
		if err != nil {
			return err
		}
		uid, err := parseUID(body)
		switch {
		case err != nil:
			return err
		case kind == 0x30 && p.abstract == "":
			p.abstract = uid
		case kind == 0x40 && len(p.transfer) < maxSyntaxes:
			p.transfer = append(p.transfer, uid)
		default:
			return protocol("an item of kind %#x in a presentation context", kind)
		}
		rest = next
	}
	if p.abstract == "" || len(p.transfer) == 0 {
		return protocol("a presentation context that lacks something")
	}
	q.contexts = append(q.contexts, p)
	return nil
}

// parseTitle reads an AE title.
func parseTitle(b []byte) (string, error) {
	s := strings.Trim(string(b), " ")
	if !ValidTitle(s) {
		return "", protocol("an AE title that is none")
	}
	return s, nil
}

// ValidTitle reports whether s can be an AE title.
func ValidTitle(s string) bool {
	ok := len(s) >= 1 && len(s) <= 16 && s == strings.Trim(s, " ")
	for _, r := range s {
		ok = ok && r >= ' ' && r <= '~' && r != '\\'
	}
	return ok
}

// parseUID reads a UID, of an item or of a command set.
func parseUID(b []byte) (string, error) {
	s := strings.TrimSuffix(string(b), "\x00")
	if s == "" || len(s) > maxUID || strings.Trim(s, "0123456789.") != "" {
		return "", protocol("a UID that is none")
	}
	return s, nil
}
