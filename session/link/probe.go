package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Fault is what keeps an agent from a node, as far as one try can tell.
type Fault string

const (
	NoFault      Fault = ""
	Unreached    Fault = "unreachable"   // no connection to the address
	NoLink       Fault = "no-link"       // something answers that is no broker node
	Page         Fault = "page"          // a web page comes instead of TLS
	Resigned     Fault = "resigned"      // the certificate is somebody else's: TLS is opened on the way
	OtherCA      Fault = "other-ca"      // a Sallyport CA, but not the one of the enrolment
	NodeExpired  Fault = "node-expired"  // the node's certificate is not valid now
	WrongName    Fault = "wrong-name"    // the certificate is another node's
	AgentUnknown Fault = "agent-unknown" // the node does not take the agent's certificate
	Dismissed    Fault = "dismissed"     // the broker said no, and why; revoked for instance
	Silent       Fault = "no-answer"     // the node took the connection and said nothing
)

// Probe is one try of the link to one node. With Hello it announces the agent as
// the agent itself does, so it is for when that is not connected; without, it only
// asks for the broker's clock and disturbs nobody.
type Probe struct {
	Node   Node
	Issued Issued // from the enrolment
	Hello  *Hello
	Issuer string // URL of a pinned issuer; asked for when there is no Hello
	Dial   func(ctx context.Context, address string) (net.Conn, error)
	Now    func() time.Time
}

// Probed is what came of it.
type Probed struct {
	Fault  Fault
	Signer string    // who signed the certificate that the node showed
	Broker time.Time // the broker's clock; zero when it did not say
	Err    error     // details; *session.Error when the broker said why
}

// Run tries the link, within handshakeTime for each step.
func (p Probe) Run(ctx context.Context) Probed {
	block, _ := pem.Decode([]byte(p.Issued.CAPEM))
	if block == nil {
		return Probed{Fault: OtherCA, Err: errors.New("the kept CA is no certificate")}
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return Probed{Fault: OtherCA, Err: err}
	}
	pair, err := p.Issued.Certificate()
	if err != nil {
		return Probed{Fault: AgentUnknown, Err: err}
	}
	out := &Probed{}
	conn, err := dialTLS(ctx, p.Dial, p.Node, p.config(ca, pair, out, ALPN))
	if err != nil {
		p.explain(ctx, ca, pair, out, err)
		return *out
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	p.ask(conn, out)
	return *out
}

// config judges the node's certificate before ours is sent.
func (p Probe) config(ca *x509.Certificate, pair *tls.Certificate, out *Probed, protocols ...string) *tls.Config {
	cfg := baseTLS()
	cfg.NextProtos = protocols
	cfg.ServerName = p.Node.Name
	cfg.InsecureSkipVerify = true // VerifyConnection does it, and says which rule was broken
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		out.Fault, out.Signer, out.Err = p.judge(ca, cs)
		return out.Err
	}
	return cfg
}

// judge says what is wrong with a node's certificate: first whose it is, then for
// whom, then when.
func (p Probe) judge(ca *x509.Certificate, cs tls.ConnectionState) (Fault, string, error) {
	leaf := cs.PeerCertificates[0]
	signer := signerOf(leaf)
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	now := p.Now()
	verify := func(at time.Time, name string) error {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: at})
		return err
	}
	valid := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)
	switch err := verify(valid, ""); {
	case err != nil && leaf.Issuer.String() == ca.Subject.String():
		return OtherCA, signer, err
	case err != nil:
		return Resigned, signer, err
	}
	if err := verify(valid, p.Node.Name); err != nil {
		return WrongName, signer, err
	}
	if err := verify(now, p.Node.Name); err != nil {
		return NodeExpired, signer, err
	}
	if err := checkState(cs); err != nil {
		return NoLink, signer, err
	}
	return NoFault, signer, nil
}

// explain names the fault of a handshake that failed. A proxy that knows no ALPN of
// ours hangs up before it shows its certificate, so it is asked again without.
func (p Probe) explain(ctx context.Context, ca *x509.Certificate, pair *tls.Certificate, out *Probed, err error) {
	if out.Fault != NoFault {
		return // judged
	}
	out.Err = err
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		out.Fault = Unreached
		return
	}
	again := Probed{}
	conn, _ := dialTLS(ctx, p.Dial, p.Node, p.config(ca, pair, &again, "http/1.1"))
	if conn != nil {
		_ = conn.Close()
	}
	out.Fault, out.Signer = NoLink, again.Signer
	if isPage(err) {
		out.Fault = Page
	}
	if again.Fault == Resigned || again.Fault == OtherCA {
		out.Fault, out.Err = again.Fault, again.Err
	}
}

// listen waits for the alert of a node that does not take our certificate.
func listen(conn *tls.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(alertWait)); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	var quiet net.Error
	if errors.As(err, &quiet) && quiet.Timeout() {
		return conn.SetReadDeadline(time.Time{})
	}
	if err == nil {
		err = errors.New("the node spoke first")
	}
	return err
}

// ask says hello, or asks for an issuer, and reads the broker's answer.
func (p Probe) ask(conn *tls.Conn, out *Probed) {
	f := &framer{conn: conn}
	role := Role{V: Version, Role: RoleRelay, Issuer: p.Issuer}
	if p.Hello != nil {
		role = Role{V: Version, Role: RoleControl}
	}
	err := listen(conn)
	if err == nil {
		err = write(f, verbRole, 0, role)
	}
	if err == nil && p.Hello != nil {
		err = write(f, verbHello, 1, *p.Hello)
	}
	var got frame
	if err == nil {
		got, err = f.read(handshakeTime, verbAck)
	}
	var alert *net.OpError
	switch {
	case errors.As(err, &alert) && alert.Op == "remote error":
		out.Fault, out.Err = AgentUnknown, err
		return
	case err != nil:
		out.Fault, out.Err = Silent, err
		return
	}
	a, err := decode[Ack](got.payload)
	if err != nil {
		out.Fault, out.Err = NoLink, fmt.Errorf("read the broker's answer: %w", err)
		return
	}
	out.Broker = a.Time
	if p.Hello != nil && a.Kind != "" { // whether it reaches an issuer is another question
		out.Fault = Dismissed
		out.Err = &session.Error{Kind: a.Kind, Message: wording.Line(a.Message, 300), Next: wording.Line(a.Next, 300)}
	}
}
