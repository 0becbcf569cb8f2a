package shell

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// unproven is a key that is offered and never signed with: its public half reads
// differently when the server's answer is compared, so the client turns to the next.
type unproven struct{ gossh.Signer }

func (u unproven) PublicKey() gossh.PublicKey { return &shifty{PublicKey: u.Signer.PublicKey()} }

type shifty struct {
	gossh.PublicKey
	read int
}

func (s *shifty) Marshal() []byte {
	s.read++
	if s.read > 1 {
		return []byte("another")
	}
	return s.PublicKey.Marshal()
}

// Keys A, B and C are offered in every order, some never proven, some unknown: whoever
// gets in is the one who signed, with that key's grant and nobody else's.
func TestIdentityIsTheSigningKey(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	var signers [3]gossh.Signer
	var permits [3]*engine.Ticket
	for i := range signers {
		signers[i], permits[i] = w.grant(session.Exec)
		permits[i].WorkOrder = fmt.Sprint("order of key ", i)
	}
	unknown, p := w.grant(session.Exec)
	w.rights.mu.Lock()
	delete(w.rights.keys, keyLine(unknown.PublicKey()))
	w.rights.mu.Unlock()
	_ = p
	for round := range 216 {
		// Six digits to base 3 and 2 choose what is offered before the signing key.
		var offered []gossh.Signer
		last := round % 3
		for n, digits := 0, round/3; n < 1+round%4; n, digits = n+1, digits/3 {
			offered = append(offered, unproven{signers[digits%3]})
		}
		if round%5 == 0 {
			offered = append(offered, unknown)
		}
		offered = append(offered, signers[last], unproven{signers[(last+1)%3]})
		c, err := gossh.Dial("tcp", w.addr, &gossh.ClientConfig{
			User: "sallyport", HostKeyCallback: gossh.FixedHostKey(w.agent), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
			Auth: []gossh.AuthMethod{
				gossh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { return nil, nil }),
				gossh.PublicKeys(offered...), gossh.Password("x"),
			},
		})
		must(t, err)
		s, err := c.NewSession()
		must(t, err)
		must(t, s.Run("true"))
		// The recording tells whose grant it is.
		if got := w.tape(round).header.WorkOrder; got != permits[last].WorkOrder {
			t.Fatalf("round %d: signed with key %d, got the %s", round, last, got)
		}
		if !w.attached(permits[last].ID) {
			t.Fatalf("round %d: not attached to the session of key %d", round, last)
		}
		for i, p := range permits {
			if i != last && w.attached(p.ID) {
				t.Fatalf("round %d: attached to the session of key %d, signed with %d", round, i, last)
			}
		}
		must(t, c.Close())
		w.until("the connection is forgotten", func() bool { return !w.attached(permits[last].ID) })
	}
}

// attached reports whether a session has a connection.
func (w *world) attached(id session.ID) bool {
	for _, s := range w.engine.Live() {
		if s.ID == id {
			return s.Connections > 0
		}
	}
	return false
}

// Nobody gets in without proving a key: not by "none", password or
// keyboard-interactive, not with keys that are offered and never signed with.
func TestNobodyWithoutAKey(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	must(t, err)
	rsaSigner, err := gossh.NewSignerFromKey(rsaKey)
	must(t, err)
	w.rights.mu.Lock()
	w.rights.keys[keyLine(rsaSigner.PublicKey())] = p // even if a ledger knew it
	w.rights.mu.Unlock()
	cert := &gossh.Certificate{Key: signer.PublicKey(), CertType: gossh.UserCert, ValidBefore: gossh.CertTimeInfinity}
	must(t, cert.SignCert(rand.Reader, signer))
	certSigner, err := gossh.NewCertSigner(cert, signer)
	must(t, err)
	for name, auth := range map[string][]gossh.AuthMethod{
		"none":                 nil,
		"password":             {gossh.Password("sallyport")},
		"keyboard-interactive": {gossh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { return nil, nil })},
		"unproven": {gossh.PublicKeys(unproven{signer}),
			gossh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { return nil, nil })},
		"rsa":         {gossh.PublicKeys(rsaSigner)},
		"certificate": {gossh.PublicKeys(certSigner)},
	} {
		c, err := gossh.Dial("tcp", w.addr, &gossh.ClientConfig{User: "sallyport", Auth: auth, HostKeyCallback: gossh.FixedHostKey(w.agent), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519}})
		if err == nil {
			_ = c.Close()
			t.Errorf("%s was let in", name)
		}
	}
	if len(w.rights.asked) != 0 {
		t.Errorf("the ledger was asked for keys that nobody proved: %d", len(w.rights.asked))
	}
	config := (&sshClient{line: w.line}).config()
	if config.NoClientAuth || config.PasswordCallback != nil || config.KeyboardInteractiveCallback != nil || config.VerifiedPublicKeyCallback == nil {
		t.Error("another way in than a proven key is configured")
	}
}

// A refused key is told why and what to do, once, and the third failure is the last.
func TestRefusalsAreSaid(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	var keys []gossh.Signer
	for range 5 {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		must(t, err)
		s, err := gossh.NewSignerFromKey(key)
		must(t, err)
		keys = append(keys, s)
	}
	good, _ := w.grant(session.Shell)
	var banners []string
	_, err := gossh.Dial("tcp", w.addr, &gossh.ClientConfig{
		User: "sallyport", Auth: []gossh.AuthMethod{gossh.PublicKeys(append(keys, good)...)}, HostKeyCallback: gossh.FixedHostKey(w.agent), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
		BannerCallback: func(m string) error { banners = append(banners, m); return nil },
	})
	if err == nil {
		t.Error("the sixth key was still taken")
	}
	if len(banners) != 1 || banners[0] != "Sallyport: This key opens nothing. Request access.\r\n" {
		t.Errorf("banners %q", banners)
	}
}

// The service that was dialled must be the one that was granted.
func TestOtherServiceIsRefused(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, _ := w.grant(all()...)
	near, far := pair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.engine.Serve(context.Background(), engine.Visit{Door: link.DoorSSH, Asset: "NGH-PETCT1", Service: "console-ssh"}, far)
	}()
	var banner string
	_, _, _, err := gossh.NewClientConn(near, "x", &gossh.ClientConfig{
		User: "sallyport", Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)}, HostKeyCallback: gossh.FixedHostKey(w.agent), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
		BannerCallback: func(m string) error { banner = m; return nil },
	})
	if err == nil || !strings.Contains(banner, "does not open console-ssh") {
		t.Errorf("%v, %q", err, banner)
	}
	<-done
}

// The engineer's leg speaks modern algorithms, and of older ones those that libraries which
// are still maintained need, and none that is broken.
func TestAlgorithms(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, _ := w.grant(session.Exec)
	try := func(c gossh.Config) error {
		client, err := gossh.Dial("tcp", w.addr, &gossh.ClientConfig{
			Config: c, User: "sallyport", Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)}, HostKeyCallback: gossh.FixedHostKey(w.agent), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
		})
		if err == nil {
			err = client.Close()
		}
		return err
	}
	for _, cipher := range []string{gossh.CipherAES256GCM, gossh.CipherAES128GCM, gossh.CipherChaCha20Poly1305, gossh.CipherAES256CTR, gossh.CipherAES128CTR} {
		must(t, try(gossh.Config{Ciphers: []string{cipher}, MACs: []string{gossh.HMACSHA256ETM}}))
	}
	old, good := gossh.InsecureAlgorithms(), gossh.SupportedAlgorithms()
	for _, cipher := range append(old.Ciphers, gossh.CipherAES192CTR) {
		if try(gossh.Config{Ciphers: []string{cipher}}) == nil {
			t.Errorf("%s was accepted", cipher)
		}
	}
	for _, mac := range append(old.MACs, gossh.HMACSHA512) {
		if try(gossh.Config{Ciphers: []string{gossh.CipherAES256CTR}, MACs: []string{mac}}) == nil {
			t.Errorf("%s was accepted", mac)
		}
	}
	for _, kex := range append(old.KeyExchanges, good.KeyExchanges...) {
		if slices.Contains([]string{gossh.KeyExchangeMLKEM768X25519, gossh.KeyExchangeCurve25519, gossh.KeyExchangeECDHP256}, kex) {
			must(t, try(gossh.Config{KeyExchanges: []string{kex}}))
		} else if try(gossh.Config{KeyExchanges: []string{kex}}) == nil {
			t.Errorf("%s was accepted", kex)
		}
	}
}

// pair is a TCP connection on loopback, both ends.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	near, err = net.Dial("tcp", l.Addr().String())
	must(t, err)
	far, err = l.Accept()
	must(t, err)
	t.Cleanup(func() { _ = near.Close() })
	return near, far
}

// refusingLedger hands out what nobody may take: the zero ticket.
type refusingLedger struct{ engine.Ledger }

func (refusingLedger) ByKeyFor(string, string, string, time.Time) (ledger.Ticket, error) {
	return ledger.Ticket{}, nil
}
func (refusingLedger) Begin(ledger.Ticket, time.Time) (session.SessionFacts, error) {
	return session.SessionFacts{}, errors.New("begun with a zero ticket")
}

// The zero ticket opens nothing, even if a ledger handed it out.
func TestZeroTicketIsRefused(t *testing.T) {
	w := newWorld(t, func(context.Context) (*gossh.Client, error) { return nil, errors.New("dialled with a zero ticket") })
	signer, _ := w.grant(all()...)
	w.engine.Close()
	w.tickets = engine.FromLedger(refusingLedger{})
	w.furnish()
	defer w.engine.Close()
	near, far := pair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.engine.Serve(context.Background(), engine.Visit{Door: link.DoorSSH, Asset: "NGH-PETCT1", Service: "recon-ssh"}, far)
	}()
	if _, _, _, err := gossh.NewClientConn(near, "x", &gossh.ClientConfig{User: "x", Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)},
		HostKeyCallback: gossh.FixedHostKey(w.agent), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519}}); err == nil {
		t.Error("let in with a zero ticket")
	}
	<-done
}

// New refuses what is incomplete.
func TestConfigIsComplete(t *testing.T) {
	full := newWorld(t, nil).line.cfg
	for name, spoil := range map[string]func(*Config){
		"devices":  func(c *Config) { c.Devices = nil },
		"identity": func(c *Config) { c.Identity = nil },
		"log":      func(c *Config) { c.Log = nil },
	} {
		c := full
		spoil(&c)
		if _, err := New(c); err == nil {
			t.Errorf("a line without %s", name)
		}
	}
}
