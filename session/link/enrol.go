package link

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sallyport/sallyport/session"
)

// EnrolRequest is what an agent needs to enrol.
type EnrolRequest struct {
	JoinToken string
	Identity  crypto.Signer // the agent's long-lived ed25519 key
	// Dial reaches a broker's address; nil dials directly.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Keep puts what was issued where it lasts. Only then is the token spent.
	Keep func(Issued) error
}

// Issued is a certificate with everything that goes with it, in a form to keep.
// KeyPEM is secret and empty at renewal, which keeps the key.
type Issued struct {
	Site    string       `json:"site"`
	Agent   string       `json:"agent"`
	Nodes   []Node       `json:"nodes,omitempty"`
	CertPEM string       `json:"cert"`
	CAPEM   string       `json:"ca"`
	KeyPEM  string       `json:"key,omitempty"`
	Expires time.Time    `json:"expires"`
	Log     session.Node `json:"log,omitzero"` // the node that answered: name and key of its audit log
}

// Certificate is the pair of CertPEM and KeyPEM.
func (i Issued) Certificate() (*tls.Certificate, error) {
	c, err := tls.X509KeyPair([]byte(i.CertPEM), []byte(i.KeyPEM))
	if err != nil {
		return nil, fmt.Errorf("read the agent's certificate: %w", err)
	}
	return &c, nil
}

// Roots is a pool of the CA alone.
func (i Issued) Roots() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(i.CAPEM)) {
		return nil, errors.New("read the broker's CA: no certificate in it")
	}
	return pool, nil
}

// ProofBytes is what the identity key signs over a CSR.
func ProofBytes(csr []byte) []byte {
	sum := sha256.Sum256(csr)
	return append([]byte("sallyport/v1/enrol-proof\x00"), sum[:]...)
}

// CheckCSR reads a CSR, whose only content that counts is its key, and checks that
// it was signed with it.
func CheckCSR(csr []byte) (*x509.CertificateRequest, error) {
	r, err := x509.ParseCertificateRequest(csr)
	switch {
	case err != nil:
		return nil, fail(session.Invalid, "The certificate request cannot be read.", "", err)
	case !isP256(r.PublicKey):
		return nil, session.Errorf(session.Invalid, "The certificate request must have an ECDSA P-256 key.")
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fail(session.Invalid, "The certificate request is not signed with its own key.", "", err)
	}
	return r, nil
}

// CheckProof checks that the holder of an identity key signed the CSR.
func CheckProof(identity string, csr, proof []byte) (ed25519.PublicKey, error) {
	pub, err := session.ParseKeyLine(identity)
	if err != nil || !ed25519.Verify(pub, ProofBytes(csr), proof) {
		return nil, session.Errorf(session.Denied, "The agent did not prove that it holds its identity key.")
	}
	return pub, nil
}

// Enrol makes a key, proves the identity key and trades the join token for a
// certificate. Nothing secret is sent before the broker has shown the CA whose
// fingerprint is in the token. The token is spent when Keep has returned without an
// error; until then the same identity may show it again.
func Enrol(ctx context.Context, r EnrolRequest) (Issued, error) {
	token, err := ParseJoinToken(r.JoinToken)
	if err != nil {
		return Issued{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Issued{}, fmt.Errorf("make the agent's key: %w", err)
	}
	question, err := enrolment(token, key, r.Identity)
	if err != nil {
		return Issued{}, err
	}
	var failed error
	for _, n := range token.Nodes {
		conn, ca, err := dialPinned(ctx, r.Dial, n, token.CA)
		if err != nil {
			failed = err
			continue
		}
		return exchangeEnrol(ctx, conn, question, func(chain Chain) (Issued, error) {
			issued, err := accept(chain, ca, token, key)
			if err == nil && r.Keep != nil {
				err = r.Keep(issued)
			}
			return issued, err
		})
	}
	return Issued{}, failed
}

func enrolment(t JoinToken, key *ecdsa.PrivateKey, identity crypto.Signer) (Enrolment, error) {
	pub, ok := identity.Public().(ed25519.PublicKey)
	if !ok {
		return Enrolment{}, errors.New("the identity key must be ed25519")
	}
	csr, err := makeCSR(key)
	if err != nil {
		return Enrolment{}, err
	}
	proof, err := identity.Sign(rand.Reader, ProofBytes(csr), crypto.Hash(0))
	if err != nil {
		return Enrolment{}, fmt.Errorf("sign with the identity key: %w", err)
	}
	return Enrolment{Secret: t.Secret, CSR: csr, Identity: session.KeyLine(pub), Proof: proof}, nil
}

func makeCSR(key crypto.Signer) ([]byte, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return csr, nil
}

// dialPinned dials a node that must show the CA with this fingerprint.
func dialPinned(ctx context.Context, dial dialFunc, n Node, fingerprint string) (*tls.Conn, *x509.Certificate, error) {
	var ca *x509.Certificate
	cfg := baseTLS()
	cfg.ServerName = n.Name
	cfg.InsecureSkipVerify = true // VerifyConnection does it, from the fingerprint
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if err := checkState(cs); err != nil {
			return err
		}
		var err error
		ca, err = verifyPinned(cs.PeerCertificates, n.Name, fingerprint)
		return err
	}
	conn, err := dialTLS(ctx, dial, n, cfg)
	return conn, ca, err
}

var errOtherCA = errors.New("the node is not certified by the CA of the join token")

func verifyPinned(chain []*x509.Certificate, name, fingerprint string) (*x509.Certificate, error) {
	for _, c := range chain {
		if CAFingerprint(c) != fingerprint {
			continue
		}
		pool := x509.NewCertPool()
		pool.AddCert(c)
		if _, err := chain[0].Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); err != nil {
			return nil, &ResignedError{Signer: signerOf(chain[0]), Err: fmt.Errorf("%w: %w", errOtherCA, err)}
		}
		return c, nil
	}
	return nil, &ResignedError{Signer: signerOf(chain[0]), Err: errOtherCA}
}

// exchangeEnrol asks, keeps the answer and says so.
func exchangeEnrol(ctx context.Context, conn *tls.Conn, e Enrolment, keep func(Chain) (Issued, error)) (Issued, error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	f := &framer{conn: conn}
	if err := write(f, verbRole, 0, Role{V: Version, Role: RoleEnrol}); err != nil {
		return Issued{}, lost(err)
	}
	if err := write(f, verbEnrol, 1, e); err != nil {
		return Issued{}, lost(err)
	}
	answer, err := f.read(answerTime, verbIssued, verbAck)
	if err != nil {
		return Issued{}, lost(err)
	}
	chain, err := readChain(answer)
	if err != nil {
		return Issued{}, err
	}
	issued, err := keep(chain)
	if err != nil {
		return Issued{}, err
	}
	// The agent is enrolled, whether or not the broker hears of it: the token is bound
	// to this identity and ends by itself.
	if write(f, verbAck, 2, Ack{}) == nil {
		_, _ = f.read(answerTime, verbAck)
	}
	return issued, nil
}

func readChain(f frame) (Chain, error) {
	if f.verb == verbIssued {
		return decode[Chain](f.payload)
	}
	if err := readAck(f); err != nil {
		return Chain{}, err
	}
	return Chain{}, fmt.Errorf("%w: yes is no certificate", errFrame)
}

// accept checks what came back: our key, our name, the CA of the token.
func accept(chain Chain, ca *x509.Certificate, t JoinToken, key *ecdsa.PrivateKey) (Issued, error) {
	issued, err := checkChain(chain, ca, t.Site, t.Agent, &key.PublicKey)
	if err != nil {
		return Issued{}, fail(session.Refused, "The broker answered with a wrong certificate.", "Ask the broker's operators for a new join token.", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Issued{}, fmt.Errorf("encode the agent's key: %w", err)
	}
	issued.KeyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	issued.Nodes = t.Nodes
	return issued, nil
}

func checkChain(chain Chain, ca *x509.Certificate, site, agent string, key *ecdsa.PublicKey) (Issued, error) {
	leaf, err := x509.ParseCertificate(chain.Certificate)
	if err != nil {
		return Issued{}, err
	}
	if chain.Log != (session.Node{}) {
		if err := (session.Nodes{chain.Log}).Check(); err != nil {
			return Issued{}, err
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: usage}); err != nil {
		return Issued{}, err
	}
	p, err := PeerOf(leaf)
	switch {
	case err != nil:
		return Issued{}, err
	case p.Site != site || p.Agent != agent:
		return Issued{}, fmt.Errorf("it names %s of %s", p.Agent, p.Site)
	case !key.Equal(leaf.PublicKey):
		return Issued{}, errors.New("it is for another key")
	}
	return Issued{
		Site: site, Agent: agent, Expires: leaf.NotAfter.UTC(),
		CertPEM: certPEM(leaf.Raw), CAPEM: certPEM(ca.Raw), Log: chain.Log,
	}, nil
}

func certPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
