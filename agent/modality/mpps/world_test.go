package mpps

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// ward is a listener with one scanner, as a test sees it.
type ward struct {
	address string
	source  *Source

	mu     sync.Mutex
	state  session.ModalityState
	detail string
	told   chan struct{} // closed when something is told
}

// hospital listens on loopback for a scanner that calls itself NGH_CT2.
func hospital(t *testing.T) *ward {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{address: l.Addr().String(), told: make(chan struct{})}
	p := &Ports{}
	w.source, err = p.Source(Config{Listen: w.address, Called: "SALLYPORT", Calling: []string{"NGH_CT2"}, From: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	if err != nil {
		t.Fatal(err)
	}
	w.source.port.listen = func(string, string) (net.Listener, error) { return l, nil }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.source.Run(ctx, w.tell) }()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

func (w *ward) tell(state session.ModalityState, detail string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state, w.detail = state, detail
	close(w.told)
	w.told = make(chan struct{})
}

// is waits until the scanner is in a state.
func (w *ward) is(t *testing.T, want session.ModalityState, words string) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		w.mu.Lock()
		state, detail, told := w.state, w.detail, w.told
		w.mu.Unlock()
		if state == want && strings.Contains(detail, words) {
			for _, phi := range []string{"DOE", "JANE", "T-000123", "1.2.3"} {
				if strings.Contains(detail, phi) {
					t.Errorf("%q tells who the patient is", detail)
				}
			}
			return
		}
		select {
		case <-told:
		case <-late:
			t.Fatalf("the scanner is %s (%s), want %s (%s)", state, detail, want, words)
		}
	}
}

// call opens a raw connection.
func (w *ward) call(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// asking is the body of a request for an association with contexts 1 (verification) and 3
// (MPPS).
func asking(called, calling, syntax string) []byte {
	b := []byte{0, 1, 0, 0}
	b = append(b, title(called)...)
	b = append(b, title(calling)...)
	b = append(b, make([]byte, 32)...)
	b = append(b, item(0x10, []byte(uidApplication))...)
	for id, abstract := range map[byte]string{1: uidVerification, 3: uidMPPS} {
		parts := append(item(0x30, []byte(abstract)), item(0x40, []byte(syntax))...)
		b = append(b, item(0x20, append([]byte{id, 0, 0, 0}, parts...))...)
	}
	return append(b, item(0x50, item(0x51, []byte{0, 0, 0x40, 0}))...)
}

// associate opens an association.
func (w *ward) associate(t *testing.T) net.Conn {
	t.Helper()
	c := w.call(t)
	send(t, c, pdu(pduAssociateRQ, asking("SALLYPORT", "NGH_CT2", uidImplicit)))
	if kind, _ := take(t, c); kind != pduAssociateAC {
		t.Fatalf("the association was answered by %d", kind)
	}
	return c
}

func send(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// take reads a PDU.
func take(t *testing.T, c net.Conn) (byte, []byte) {
	t.Helper()
	kind, body, err := readPDU(c, make([]byte, maxAssociate))
	if err != nil {
		t.Fatal(err)
	}
	return kind, body
}

// piece is a P-DATA PDU with one piece.
func piece(context, control byte, data []byte) []byte {
	n := len(data) + 2
	return pdu(pduData, append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), context, control}, data...))
}

// asks is a command set.
func asks(field, id uint16, class, instance string, data bool) []byte {
	var b []byte
	where := [2]uint16{0x0002, 0x1000}
	if field == nSet {
		where = [2]uint16{0x0003, 0x1001}
	}
	if class != "" {
		b = element(b, where[0], even(class))
	}
	b = element(b, 0x0100, number(field))
	b = element(b, 0x0110, number(id))
	b = element(b, 0x0800, number(map[bool]uint16{true: 1, false: noDataSet}[data]))
	if instance != "" {
		b = element(b, where[1], even(instance))
	}
	return append(element(nil, 0, []byte{byte(len(b)), byte(len(b) >> 8), 0, 0}), b...)
}

// says is a data set with a status, implicit.
func says(is status) []byte {
	if len(is)%2 == 1 {
		is += " "
	}
	b := append([]byte{0x10, 0, 0x10, 0, 8, 0, 0, 0}, "DOE^JANE"...)
	return append(append(b, 0x40, 0, 0x52, 2, byte(len(is)), 0, 0, 0), is...)
}

// answered reads an answer's status.
func answered(t *testing.T, c net.Conn, want uint16) command {
	t.Helper()
	kind, body := take(t, c)
	if kind != pduData || len(body) < 6 || body[5] != 3 {
		t.Fatalf("answered by PDU %d, % x", kind, body)
	}
	fields := map[uint16][]byte{}
	for rest := body[6:]; len(rest) >= 8; {
		n := int(rest[4]) | int(rest[5])<<8
		fields[uint16(rest[2])|uint16(rest[3])<<8], rest = rest[8:8+n], rest[8+n:]
	}
	if got := uint16(fields[0x0900][0]) | uint16(fields[0x0900][1])<<8; got != want {
		t.Fatalf("answered %04x, want %04x", got, want)
	}
	return command{instance: strings.TrimRight(string(fields[0x1000]), "\x00"), field: uint16(fields[0x0100][0]) | uint16(fields[0x0100][1])<<8}
}
