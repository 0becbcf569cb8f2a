package fleet

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

func mustRefuse(t *testing.T, err error, kind session.Kind) {
	t.Helper()
	if err == nil || session.KindOf(err) != kind {
		t.Fatalf("got %v (%s), want a refusal of kind %s", err, session.KindOf(err), kind)
	}
}

func TestAnAgentEnrolsOnceWithItsToken(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	identity := newIdentity(t)
	token, err := b.JoinToken(t.Context(), Join{Site: "NGH", Agent: "ngh-1"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	r := link.EnrolRequest{JoinToken: token, Identity: identity}
	issued, err := link.Enrol(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := issued.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	p, err := link.PeerOf(pair.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	if p.Site != "NGH" || p.Agent != "ngh-1" || p.Identity != session.Fingerprint(identity.Public().(ed25519.PublicKey)) {
		t.Errorf("the certificate names %+v", p)
	}
	if life := p.Expires.Sub(p.Issued); life < 24*time.Hour-2*time.Second || life > 24*time.Hour+2*time.Second {
		t.Errorf("the certificate lives for %v", life)
	}
	_, err = link.Enrol(t.Context(), r)
	mustRefuse(t, err, session.Denied)

	b2, err := json.Marshal(issued)
	if err != nil {
		t.Fatal(err)
	}
	var kept link.Issued
	if err := json.Unmarshal(b2, &kept); err != nil || kept.KeyPEM != issued.KeyPEM || !kept.Expires.Equal(issued.Expires) {
		t.Errorf("Issued does not survive JSON: %v", err)
	}
}

func TestAJoinTokenThatDoesNotCountIsRefused(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	other := startBroker(t, t.TempDir(), "127.0.0.1:0")
	identity := newIdentity(t)
	token := func(b *broker) string {
		text, err := b.JoinToken(t.Context(), Join{Site: "NGH", Agent: "ngh-1"}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	try := func(text string) error {
		_, err := link.Enrol(t.Context(), link.EnrolRequest{JoinToken: text, Identity: identity})
		return err
	}
	change := func(text string, f func(*link.JoinToken)) string {
		parsed, err := link.ParseJoinToken(text)
		if err != nil {
			t.Fatal(err)
		}
		f(&parsed)
		text, err = parsed.Text()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	t.Run("an unknown secret", func(t *testing.T) {
		mustRefuse(t, try(change(token(b), func(j *link.JoinToken) { j.Secret = newSecret() })), session.Denied)
	})
	t.Run("of another broker with the same CA shown", func(t *testing.T) {
		mustRefuse(t, try(change(token(other), func(j *link.JoinToken) { j.CA, j.Nodes = b.ca.Fingerprint(), b.cfg.Nodes })), session.Denied)
	})
	t.Run("expired", func(t *testing.T) {
		text := token(b)
		b.clock.advance(61 * time.Second)
		mustRefuse(t, try(text), session.Denied)
	})
	t.Run("made before the agent was revoked", func(t *testing.T) {
		text := token(b)
		if err := b.Revoke(t.Context(), "NGH", "ngh-1"); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, try(text), session.Denied)
	})
	t.Run("names another site than the broker's record", func(t *testing.T) {
		b.clock.advance(2 * time.Second)
		mustRefuse(t, try(change(token(b), func(j *link.JoinToken) { j.Site = "OTHER" })), session.Refused)
	})
	t.Run("too long a life", func(t *testing.T) {
		_, err := b.JoinToken(t.Context(), Join{Site: "NGH", Agent: "ngh-1"}, 61*time.Minute)
		mustRefuse(t, err, session.Invalid)
	})
}

// The agent must not give its secret to somebody who merely answers at the address.
func TestNothingSecretIsSentToAnotherCA(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	text, err := b.JoinToken(t.Context(), Join{Site: "NGH", Agent: "ngh-1"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for name, impostor := range map[string]func(ca *CA) (*tls.Certificate, error){
		"another CA":             func(ca *CA) (*tls.Certificate, error) { return ca.Node("node1", nil) },
		"our CA shown, not used": func(ca *CA) (*tls.Certificate, error) { return withForeignCA(ca, b.ca) },
		"our CA, another node":   func(*CA) (*tls.Certificate, error) { return b.ca.Node("node2", nil) },
		"our CA, an agent's certificate": func(*CA) (*tls.Certificate, error) {
			return enrol(t, b, "NGH", "ngh-2", newIdentity(t)).Certificate()
		},
	} {
		t.Run(name, func(t *testing.T) {
			foreign, err := LoadCA(t.TempDir(), time.Now)
			if err != nil {
				t.Fatal(err)
			}
			cert, err := impostor(foreign)
			if err != nil {
				t.Fatal(err)
			}
			heard := make(chan []byte, 1)
			dial := func(context.Context, string) (net.Conn, error) { return listenTo(t, cert, heard), nil }
			_, err = link.Enrol(t.Context(), link.EnrolRequest{JoinToken: text, Identity: newIdentity(t), Dial: dial})
			mustRefuse(t, err, session.Denied)
			if !strings.Contains(err.Error(), "signed by CN=Sallyport link CA") {
				t.Errorf("who signed is not named: %v", err)
			}
			if got := <-heard; len(got) != 0 {
				t.Errorf("the impostor was told %d bytes", len(got))
			}
		})
	}
}

func withForeignCA(ca, shown *CA) (*tls.Certificate, error) {
	cert, err := ca.Node("node1", nil)
	if err != nil {
		return nil, err
	}
	cert.Certificate = [][]byte{cert.Certificate[0], ca.cert.Raw, shown.cert.Raw}
	return cert, nil
}

// listenTo is a TLS server that reports what it is told after the handshake.
func listenTo(t *testing.T, cert *tls.Certificate, heard chan<- []byte) net.Conn {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	wg.Go(func() {
		defer server.Close()
		c := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{link.ALPN}})
		got, _ := io.ReadAll(c)
		heard <- got
	})
	return conn
}

func TestAnEnrolmentWithoutProofIsRefusedAndCostsNoToken(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	identity, stranger := newIdentity(t), newIdentity(t)
	text, err := b.JoinToken(t.Context(), Join{Site: "NGH", Agent: "ngh-1"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	token, err := link.ParseJoinToken(text)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	edCSR, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, edKey)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := bytes.Clone(csr)
	spoilt[len(spoilt)-1] ^= 1
	line := session.KeyLine(identity.Public().(ed25519.PublicKey))
	good := link.Enrolment{Secret: token.Secret, CSR: csr, Identity: line, Proof: ed25519.Sign(identity, link.ProofBytes(csr))}
	for name, change := range map[string]func(*link.Enrolment){
		"no proof":               func(e *link.Enrolment) { e.Proof = nil },
		"a stranger's proof":     func(e *link.Enrolment) { e.Proof = ed25519.Sign(stranger, link.ProofBytes(csr)) },
		"a proof of other bytes": func(e *link.Enrolment) { e.Proof = ed25519.Sign(identity, csr) },
		"no identity":            func(e *link.Enrolment) { e.Identity = "" },
		"no CSR":                 func(e *link.Enrolment) { e.CSR = nil },
		"a CSR not self-signed":  func(e *link.Enrolment) { e.CSR = spoilt },
		"a CSR of another algorithm": func(e *link.Enrolment) {
			e.CSR, e.Proof = edCSR, ed25519.Sign(identity, link.ProofBytes(edCSR))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := good
			change(&e)
			if _, err := (issuer{b.Fleet}).Enrol(t.Context(), e); err == nil {
				t.Fatal("the broker issued a certificate")
			}
		})
	}
	if _, err := (issuer{b.Fleet}).Enrol(t.Context(), good); err != nil {
		t.Errorf("after the refusals the honest agent gets %v", err)
	}
}

func TestEnrolmentsAreRateLimited(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	b.clock.stop() // no guess is given back however slowly they come
	bad := link.JoinToken{Site: "NGH", Agent: "x", Nodes: b.cfg.Nodes, CA: b.ca.Fingerprint()}
	kinds := map[session.Kind]int{}
	for range 105 {
		bad.Secret = newSecret()
		text, err := bad.Text()
		if err != nil {
			t.Fatal(err)
		}
		_, err = link.Enrol(t.Context(), link.EnrolRequest{JoinToken: text, Identity: newIdentity(t)})
		kinds[session.KindOf(err)]++
	}
	if kinds[session.Denied] != 100 || kinds[session.Refused] != 5 {
		t.Errorf("105 guesses against a limit of 100 were answered %v", kinds)
	}
}

func TestOneCAForAllProcesses(t *testing.T) {
	dir := t.TempDir()
	prints := make(chan string, 8)
	var wg sync.WaitGroup
	for range cap(prints) {
		wg.Go(func() {
			ca, err := LoadCA(dir, time.Now)
			if err != nil {
				t.Error(err)
				return
			}
			prints <- ca.Fingerprint()
		})
	}
	wg.Wait()
	close(prints)
	first := <-prints
	for p := range prints {
		if p != first {
			t.Fatal("two processes made two CAs")
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("the directory holds %v, %v", left, err)
	}
	key := filepath.Join(dir, "ca.key")
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("ca.key: %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCA(dir, time.Now); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
}
