package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

type dialFunc = func(ctx context.Context, address string) (net.Conn, error)

func dialDirect(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// dialTLS reaches a node and shakes hands, within handshakeTime.
func dialTLS(ctx context.Context, dial dialFunc, n Node, cfg *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	if dial == nil {
		dial = dialDirect
	}
	tcp, err := dial(ctx, n.Address)
	var said *session.Error
	if errors.As(err, &said) { // a proxy on the way is the reason
		return nil, err
	}
	if err != nil {
		return nil, fail(session.Unreachable, "The broker node "+n.Name+" cannot be reached.", "Check the broker's address and the hospital's firewall.", err)
	}
	tune(tcp)
	conn := tls.Client(tcp, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = tcp.Close()
		return nil, refusedNode(n, err)
	}
	return conn, nil
}

// refusedNode says in one sentence why a node that answered is not ours.
func refusedNode(n Node, err error) error {
	var cert *tls.CertificateVerificationError
	var other *ResignedError
	switch {
	case errors.As(err, &other):
		return fail(session.Denied, "The broker node "+n.Name+" did not prove that it is ours: the certificate shown is signed by "+other.Signer+".", noInspection(n), err)
	case errors.As(err, &cert):
		signer := "somebody else"
		if len(cert.UnverifiedCertificates) > 0 {
			signer = signerOf(cert.UnverifiedCertificates[0])
		}
		return fail(session.Denied, "The broker node "+n.Name+" did not prove that it is ours: the certificate shown is signed by "+signer+".", noInspection(n), err)
	case isPage(err):
		return fail(session.Unreachable, "Something on the way to the broker node "+n.Name+" answers with a page instead of connecting.", "Ask the hospital's IT to let this machine through to "+n.Address+", without sign-in page and without TLS inspection.", err)
	}
	return fail(session.Unreachable, "The broker node "+n.Name+" does not speak the link.", "Check the broker's address, or ask its operators.", err)
}

// isPage reports whether a web server's words came where TLS was to begin.
func isPage(err error) bool {
	var plain tls.RecordHeaderError
	return errors.As(err, &plain) && bytes.HasPrefix(plain.RecordHeader[:], []byte("HTTP/"))
}

func noInspection(n Node) string {
	return "Something between agent and broker may open TLS; nothing secret was sent. Ask the hospital's IT to exempt " + n.Address + " from TLS inspection."
}

// ResignedError says that a node's certificate is not of the CA of the enrolment, and who
// signed it: a proxy that opens TLS, or another broker.
type ResignedError struct {
	Signer string
	Err    error
}

func (e *ResignedError) Error() string { return "signed by " + e.Signer + ": " + e.Err.Error() }
func (e *ResignedError) Unwrap() error { return e.Err }

func signerOf(c *x509.Certificate) string { return wording.Line(c.Issuer.String(), 120) }

// lost turns a broken connection into an error for people.
func lost(err error) error {
	var own *session.Error
	if errors.As(err, &own) {
		return err
	}
	return fail(session.Unreachable, "The broker did not answer.", "The agent tries again by itself.", err)
}

// readAck turns an ack into nil or the refusal in it. The broker's words are made
// fit to show.
func readAck(f frame) error {
	a, err := decode[Ack](f.payload)
	if err != nil {
		return err
	}
	if a.Kind == "" {
		return nil
	}
	e := &session.Error{Kind: a.Kind, Message: wording.Line(a.Message, 300), Next: wording.Line(a.Next, 300)}
	if a.Conflict {
		e.Err = ErrConflict
	}
	return e
}

// The answers to a Put that are neither stored nor broken.
var (
	// ErrHave may be returned by BrokerHandler.Put: these very bytes are stored
	// already. The agent is told yes.
	ErrHave = errors.New("the part is stored already")
	// ErrConflict may be returned (wrapped) by BrokerHandler.Put: other bytes are
	// stored under this name. Client.Put returns an error that wraps it; to try
	// again is useless.
	ErrConflict = errors.New("other bytes are stored under this name")
)

// ackOf is the answer to a question that ended with err. What people need not know
// stays here.
func ackOf(err error, now time.Time) Ack {
	a := Ack{Time: now.UTC()}
	var e *session.Error
	switch {
	case err == nil || errors.Is(err, ErrHave):
	case errors.Is(err, ErrConflict):
		a.Kind, a.Conflict = session.Refused, true
		a.Message = "The broker holds other bytes under this name."
	case errors.As(err, &e):
		a.Kind, a.Message, a.Next = e.Kind, wording.Line(e.Message, 300), wording.Line(e.Next, 300)
	default:
		a.Kind, a.Message = session.Internal, "The broker could not do this."
		a.Next = "The broker's log says why."
	}
	return a
}

// fail is an error for people whose details stay in err, for the log.
func fail(kind session.Kind, message, next string, err error) error {
	return &session.Error{Kind: kind, Message: message, Next: next, Err: err}
}
