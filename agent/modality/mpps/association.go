package mpps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// association is one connection of a scanner. It belongs to one goroutine.
type association struct {
	conn     net.Conn
	contexts map[byte]presentation
	steps    *steps // of the asset that calls
	ends     time.Time

	buf     []byte
	pending []byte // of the PDU that is being read
}

// errReleased ends an association in good order.
var errReleased = errors.New("released")

// converse speaks with a peer until either is done. find says which asset calls.
func converse(conn net.Conn, find func(q request) (*steps, rejection)) error {
	a := &association{conn: conn, buf: make([]byte, maxAssociate), ends: time.Now().Add(longestTime)}
	if err := a.begin(find); err != nil {
		return a.end(err)
	}
	a.buf = a.buf[:maxPDU]
	for {
		if err := a.message(); err != nil {
			return a.end(err)
		}
	}
}

// end answers a release, and aborts what is no DICOM.
func (a *association) end(err error) error {
	switch {
	case errors.Is(err, errReleased):
		return a.write(pdu(pduReleaseRP, make([]byte, 4)))
	case errors.Is(err, errProtocol):
		if a.steps != nil {
			a.steps.unreadable(time.Now())
		}
		return errors.Join(err, a.write(abort()))
	}
	return err
}

func (a *association) write(b []byte) error {
	if err := a.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := a.conn.Write(b)
	return err
}

// within sets the time for what is read next.
func (a *association) within(d time.Duration) error {
	until := time.Now().Add(d)
	if until.After(a.ends) {
		until = a.ends
	}
	return a.conn.SetReadDeadline(until)
}

// begin negotiates.
func (a *association) begin(find func(q request) (*steps, rejection)) error {
	if err := a.within(associateTime); err != nil {
		return err
	}
	kind, body, err := readPDU(a.conn, a.buf)
	if err != nil {
		return err
	}
	if kind != pduAssociateRQ {
		return protocol("a PDU of kind %d before the association", kind)
	}
	q, err := parseRequest(body)
	if err != nil {
		return err
	}
	s, no := find(q)
	if q.application != uidApplication {
		no = noSuchApplication
	}
	if no != 0 {
		return errors.Join(fmt.Errorf("%s was rejected", q.calling), a.write(no.pdu()))
	}
	answer, contexts := accept(q)
	a.contexts, a.steps = contexts, s
	return a.write(answer)
}

// message reads one message and answers it.
func (a *association) message() error {
	if err := a.within(idleTime); err != nil {
		return err
	}
	id, text, err := a.command()
	if err != nil {
		return err
	}
	c, err := parseCommand(text)
	if err != nil {
		return err
	}
	var data *fragments
	if c.dataSet {
		data = &fragments{a: a, context: id, left: maxDataSet}
	}
	status, err := a.serve(&c, a.contexts[id], data)
	if err == nil && data != nil { // what nobody reads passes by
		_, err = io.Copy(io.Discard, data)
	}
	if err != nil || c.field == cCancel {
		return err
	}
	text = c.answer(status)
	head := binary.BigEndian.AppendUint32(nil, uint32(len(text)+2))
	return a.write(pdu(pduData, append(append(head, id, 3), text...)))
}

// serve does what a command asks, and returns DIMSE's status.
func (a *association) serve(c *command, in presentation, data *fragments) (uint16, error) {
	switch {
	case c.field == cCancel:
		return success, nil
	case c.field&isAnswer != 0:
		return 0, protocol("an answer that nobody asked for")
	case c.class != in.abstract:
		return noSuchClass, nil
	case c.field == cEcho && in.abstract == uidVerification:
		return success, nil
	case in.abstract != uidMPPS || c.field != nCreate && c.field != nSet:
		return noSuchOperation, nil
	}
	is := unsaid
	if data != nil {
		var err error
		is, err = findStatus(data, in.explicit)
		if err != nil { // it may have been the beginning of a scan
			a.steps.unreadable(time.Now())
		}
		if data.err != nil {
			return 0, data.err
		} else if err != nil {
			return processing, nil
		}
	}
	if c.instance == "" {
		if c.field == nSet {
			return invalidAttribute, nil
		}
		c.instance = newUID()
	}
	return a.steps.report(c.field == nCreate, c.instance, is, time.Now()), nil
}

// command gathers a command set, and the context it came in.
func (a *association) command() (id byte, text []byte, err error) {
	for first := true; ; first = false {
		v, err := a.next()
		if err != nil {
			return 0, nil, err
		}
		if first {
			id = v.context
			if err := a.within(messageTime); err != nil {
				return 0, nil, err
			}
		}
		if _, ok := a.contexts[id]; !ok || !v.command || v.context != id || len(text)+len(v.data) > maxCommand {
			return 0, nil, protocol("a command that cannot be")
		}
		if text = append(text, v.data...); v.last {
			return id, text, nil
		}
	}
}

// value is a presentation data value: a piece of a message.
type value struct {
	context       byte
	command, last bool
	data          []byte // until the next one is read
}

// next reads a piece.
func (a *association) next() (v value, err error) {
	for len(a.pending) == 0 {
		kind, body, err := readPDU(a.conn, a.buf)
		switch {
		case err != nil:
			return v, lost(err)
		case kind == pduReleaseRQ:
			return v, errReleased
		case kind == pduAbort:
			return v, errors.New("aborted by the peer")
		case kind != pduData || len(body) == 0:
			return v, protocol("a PDU of kind %d in an association", kind)
		}
		a.pending = body
	}
	if len(a.pending) < 6 {
		return v, protocol("a piece of a message ends early")
	}
	n := binary.BigEndian.Uint32(a.pending)
	if n < 2 || uint64(n) > uint64(len(a.pending)-4) || a.pending[5] > 3 {
		return v, protocol("a piece of a message of %d bytes", n)
	}
	v = value{context: a.pending[4], command: a.pending[5]&1 == 1, last: a.pending[5]&2 == 2, data: a.pending[6 : 4+n]}
	a.pending = a.pending[4+n:]
	return v, nil
}

// lost tells the end of a connection from the end of a data set.
func lost(err error) error {
	if errors.Is(err, errProtocol) {
		return err
	}
	return fmt.Errorf("the connection was lost (%v)", err)
}

// fragments are the pieces of one data set, as a stream.
type fragments struct {
	a       *association
	context byte
	left    int
	data    []byte
	last    bool
	err     error // the association's, as opposed to the data set's
}

func (f *fragments) Read(p []byte) (int, error) {
	for len(f.data) == 0 && f.err == nil {
		if f.last {
			return 0, io.EOF
		}
		v, err := f.a.next()
		if errors.Is(err, errReleased) {
			err = protocol("a release within a message")
		}
		if f.left -= len(v.data); err == nil && (v.command || v.context != f.context || f.left < 0) {
			err = protocol("a data set that cannot be")
		}
		f.data, f.last, f.err = v.data, v.last, err
	}
	if f.err != nil {
		return 0, f.err
	}
	n := copy(p, f.data)
	f.data = f.data[n:]
	return n, nil
}
