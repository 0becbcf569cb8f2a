package link

import (
	"context"
	"crypto/tls"
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
	if errors.Is(err, errOtherCA) || errors.As(err, &cert) {
		return fail(session.Denied, "The broker node "+n.Name+" did not prove that it is ours.", "Something between agent and broker may replace TLS; nothing secret was sent.", err)
	}
	return fail(session.Unreachable, "The broker node "+n.Name+" does not speak the link.", "Check the broker's address, or ask its operators.", err)
}

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
