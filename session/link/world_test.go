package link

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is a CA with an agent's certificate, and whatever broker a test plays.
type world struct {
	t        testing.TB
	ca       *x509.Certificate
	caKey    *ecdsa.PrivateKey
	agent    *tls.Certificate
	agentKey *ecdsa.PrivateKey

	mu    sync.Mutex
	dials []string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, caKey: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &w.caKey.PublicKey, w.caKey)
	if err != nil {
		t.Fatal(err)
	}
	if w.ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	w.agentKey = newKey(t)
	w.agent = w.issue(w.agentKey, &x509.Certificate{
		URIs: []*url.URL{AgentURI("NGH", "ngh-1")}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return w
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (w *world) issue(key *ecdsa.PrivateKey, c *x509.Certificate) *tls.Certificate {
	w.t.Helper()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(2), time.Now().Add(-time.Minute), time.Now().Add(CertificateTime)
	c.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, c, w.ca, &key.PublicKey, w.caKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, w.ca.Raw}, PrivateKey: key}
}

func (w *world) node(name string) *tls.Certificate {
	return w.issue(newKey(w.t), &x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

// client makes an agent of one or two nodes; play is the broker, told the address
// that was dialled, on the server end of an in-memory connection.
func (w *world) client(h AgentHandler, nodes []Node, play func(address string, conn *tls.Conn)) (*Client, ClientConfig) {
	w.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(w.ca)
	certs := make(map[string]*tls.Certificate)
	for _, n := range nodes {
		certs[n.Address] = w.node(n.Name)
	}
	cfg := ClientConfig{
		Nodes: nodes, Handler: h, Log: slog.New(slog.DiscardHandler),
		Certificate: func() (*tls.Certificate, error) { return w.agent, nil },
		Roots:       func() *x509.CertPool { return roots },
		Hello:       func() Hello { return Hello{V: 1, Site: "NGH", Agent: "ngh-1"} },
		Dial: func(_ context.Context, address string) (net.Conn, error) {
			w.mu.Lock()
			w.dials = append(w.dials, address)
			w.mu.Unlock()
			cert := certs[address]
			if cert == nil || play == nil {
				return nil, errors.New("nobody is there")
			}
			ours, theirs := net.Pipe()
			go func() {
				c := baseTLS()
				c.Certificates, c.ClientAuth = []tls.Certificate{*cert}, tls.RequireAnyClientCert
				conn := tls.Server(theirs, c)
				defer theirs.Close()
				if conn.Handshake() == nil {
					play(address, conn)
				}
			}()
			return ours, nil
		},
	}
	c, err := NewClient(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return c, cfg
}

func (w *world) dialled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.dials...)
}

// welcome reads role and hello and answers as an honest broker; it returns the role.
func welcome(conn *tls.Conn) (*framer, RoleName) {
	f := &framer{conn: conn}
	got, err := readFrame(conn, verbRole)
	if err != nil {
		return f, ""
	}
	r, err := decode[Role](got.payload)
	if err != nil || r.Role != RoleControl {
		return f, r.Role
	}
	if got, err = readFrame(conn, verbHello); err == nil {
		_ = write(f, verbAck, got.id, Ack{Time: time.Now()})
	}
	return f, r.Role
}

// idleHandler does nothing, and counts.
type idleHandler struct {
	mu      sync.Mutex
	streams []Open
	block   chan struct{} // Deliver waits for it, when set, unless it is urgent
}

func (h *idleHandler) Deliver(ctx context.Context, d Deliver) Verdict {
	if h.block != nil && !d.urgent() {
		select {
		case <-h.block:
		case <-ctx.Done():
		}
	}
	return Verdict{OK: true}
}

func (h *idleHandler) End(context.Context, End) Verdict { return Verdict{OK: true} }

func (h *idleHandler) Stream(_ context.Context, o Open, conn net.Conn) {
	defer conn.Close()
	h.mu.Lock()
	h.streams = append(h.streams, o)
	h.mu.Unlock()
}

func (h *idleHandler) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams)
}

// scripted is a connection that says what it was given and swallows the rest.
type scripted struct{ io.Reader }

func script(s string) *scripted { return &scripted{strings.NewReader(s)} }

func (*scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (*scripted) Close() error                     { return nil }
func (*scripted) LocalAddr() net.Addr              { return nil }
func (*scripted) RemoteAddr() net.Addr             { return nil }
func (*scripted) SetDeadline(time.Time) error      { return nil }
func (*scripted) SetReadDeadline(time.Time) error  { return nil }
func (*scripted) SetWriteDeadline(time.Time) error { return nil }
