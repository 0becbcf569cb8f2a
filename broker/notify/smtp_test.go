package notify

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// postOffice is a small SMTP server.
type postOffice struct {
	t        *testing.T
	ln       net.Listener
	pair     tls.Certificate
	roots    *x509.CertPool
	work     sync.WaitGroup
	mu       sync.Mutex
	startTLS string            // "offered", "refused" or ""
	secret   string            // base64 of what AUTH PLAIN must say; "" wants none
	implicit bool              // TLS from the first byte
	replies  map[string]string // verb → reply instead of yes
	mails    []string
	heard    strings.Builder // everything that came without TLS
}

func newPostOffice(t *testing.T) *postOffice {
	p := &postOffice{t: t, startTLS: "offered", replies: map[string]string{}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _ := x509.ParseCertificate(der)
	p.pair, p.roots = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, x509.NewCertPool()
	p.roots.AddCert(parsed)
	if p.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.work.Go(func() {
		for {
			c, err := p.ln.Accept()
			if err != nil {
				return
			}
			p.work.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() { _ = p.ln.Close(); p.work.Wait() })
	return p
}

func (p *postOffice) client(security Security) *SMTP {
	return &SMTP{From: "Sallyport <s@broker.example>", Host: "localhost", Port: p.ln.Addr().(*net.TCPAddr).Port, Security: security, Roots: p.roots}
}

func (p *postOffice) reply(verb, otherwise string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.replies[verb]; r != "" {
		return r
	}
	return otherwise
}

func (p *postOffice) set(verb, reply string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replies[verb] = reply
}

// with changes how the server behaves.
func (p *postOffice) with(startTLS, secret string, implicit bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.startTLS, p.secret, p.implicit = startTLS, secret, implicit
}

func (p *postOffice) serve(c net.Conn) {
	p.mu.Lock()
	startTLS, secret, implicit := p.startTLS, p.secret, p.implicit
	p.mu.Unlock()
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if implicit {
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{p.pair}})
	}
	secure, in := implicit, bufio.NewReader(c)
	say := func(format string, args ...any) { fmt.Fprintf(c, format+"\r\n", args...) }
	say("220 localhost ready")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if !secure {
			p.mu.Lock()
			p.heard.WriteString(line)
			p.mu.Unlock()
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		switch verb {
		case "EHLO":
			say("250-localhost")
			if startTLS != "" && !secure {
				say("250-STARTTLS")
			}
			if secret != "" {
				say("250-AUTH PLAIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			if startTLS == "refused" {
				say("454 not now")
				continue
			}
			say("220 go on")
			conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{p.pair}})
			if conn.Handshake() != nil {
				return
			}
			c, secure, in = conn, true, bufio.NewReader(conn)
		case "AUTH":
			if strings.TrimSpace(line) != "AUTH PLAIN "+secret {
				say("535 no")
				continue
			}
			say("235 yes")
		case "DATA":
			if r := p.reply("DATA", "354 go on"); !strings.HasPrefix(r, "354") {
				say("%s", r)
				continue
			}
			say("354 go on")
			var text strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				text.WriteString(l)
			}
			p.mu.Lock()
			p.mails = append(p.mails, text.String())
			p.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("%s", p.reply(verb, "250 ok"))
		}
	}
}

func (p *postOffice) taken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.mails)
}

func (p *postOffice) count() int { return len(p.taken()) }

func aMail() Mail {
	return Mail{ID: strings.Repeat("ab", 32), To: "x@y.example", Subject: "NGH/NGH-PETCT1: approved (R-X)", Text: "Confidential.\n", Written: start}
}

// Without TLS nothing is said, whatever the server or somebody between wants.
func TestNothingGoesWithoutTLS(t *testing.T) {
	for _, offered := range []string{"", "refused"} {
		p := newPostOffice(t)
		p.with(offered, "", false)
		s := p.client(StartTLS)
		s.User, s.Password = "sally", func() (string, error) { return "canary-password", nil }
		err := s.Send(t.Context(), aMail())
		var never *Permanent
		if err == nil || errors.As(err, &never) {
			t.Errorf("STARTTLS %q: %v", offered, err)
		}
		p.mu.Lock()
		heard := p.heard.String()
		p.mu.Unlock()
		if p.count() != 0 || strings.Contains(heard, "MAIL") || strings.Contains(heard, "AUTH") || strings.Contains(heard, "canary") {
			t.Errorf("STARTTLS %q: it heard %q", offered, heard)
		}
	}
	p := newPostOffice(t)
	s := p.client(StartTLS)
	s.Roots = x509.NewCertPool()
	if err := s.Send(t.Context(), aMail()); err == nil || p.count() != 0 {
		t.Errorf("a stranger's certificate: %v", err)
	}
}

func TestSMTP(t *testing.T) {
	p := newPostOffice(t)
	secret := base64.StdEncoding.EncodeToString([]byte("\x00sally\x00s3cret"))
	p.with("offered", secret, false)
	s := p.client(StartTLS)
	s.User, s.Password = "sally", func() (string, error) { return "wrong", nil }
	if err := s.Send(t.Context(), aMail()); err == nil || p.count() != 0 {
		t.Errorf("with a wrong password: %v", err)
	}
	s.Password = func() (string, error) { return "", errors.New("unreadable") }
	if err := s.Send(t.Context(), aMail()); err == nil || !strings.Contains(err.Error(), "unreadable") {
		t.Errorf("without a password: %v", err)
	}
	s.Password = func() (string, error) { return "s3cret", nil }
	if err := s.Send(t.Context(), aMail()); err != nil {
		t.Fatal(err)
	}
	implicit := newPostOffice(t)
	implicit.with("", secret, true)
	s.Security, s.Port, s.Roots = Implicit, implicit.ln.Addr().(*net.TCPAddr).Port, implicit.roots
	if err := s.Send(t.Context(), aMail()); err != nil || implicit.count() != 1 {
		t.Errorf("with implicit TLS: %v", err)
	}
	s.Security, s.Port, s.Roots = StartTLS, p.ln.Addr().(*net.TCPAddr).Port, p.roots
	plain := newPostOffice(t)
	plain.with("", "", false)
	if err := plain.client(None).Send(t.Context(), aMail()); err != nil {
		t.Fatal(err)
	}
	for _, text := range append(p.taken(), plain.taken()...) {
		if !strings.Contains(text, "Subject: NGH/NGH-PETCT1: approved (R-X)") || !strings.Contains(text, "Confidential.") || !strings.Contains(text, "To: <x@y.example>") {
			t.Errorf("taken: %s", text)
		}
	}
	// Taken, and only then it breaks: that is no reason to send it again.
	p.set("RSET", "421 closing")
	if err := s.Send(t.Context(), aMail()); err != nil || p.count() != 2 {
		t.Errorf("%v, %d mails", err, p.count())
	}
	bad := aMail()
	bad.Subject = "x\r\nBcc: y@z"
	var never *Permanent
	if err := s.Send(t.Context(), bad); !errors.As(err, &never) {
		t.Errorf("a header in the subject: %v", err)
	}
}

// A server's "not now" is tried again, its "never" is not.
func TestNotNowAndNever(t *testing.T) {
	for _, verb := range []string{"MAIL", "RCPT", "DATA"} {
		w, p := newWorld(t), newPostOffice(t)
		o := w.office(p.client(StartTLS))
		p.set(verb, "451 busy")
		o.Notify(t.Context(), w.notice(Approved))
		o.round(t.Context())
		o.round(t.Context())
		if w.waiting() != 1 || p.count() != 0 || w.logged("level=ERROR") != 0 {
			t.Errorf("%s busy: %d wait\n%s", verb, w.waiting(), w.log.String())
		}
		p.set(verb, "")
		o.round(t.Context())
		if p.count() != 0 {
			t.Errorf("%s: tried again at once", verb)
		}
		w.advance(firstWait)
		o.round(t.Context())
		if w.waiting() != 0 || p.count() != 1 {
			t.Errorf("%s: %d wait, %d taken\n%s", verb, w.waiting(), p.count(), w.log.String())
		}
		p.set(verb, "550 no such person")
		o.Notify(t.Context(), w.notice(Denied))
		o.round(t.Context())
		w.advance(time.Hour)
		o.round(t.Context())
		if w.waiting() != 0 || p.count() != 1 || w.logged("level=ERROR") != 1 || w.logged("refused for good") != 1 {
			t.Errorf("%s refused: %d wait, %d taken\n%s", verb, w.waiting(), p.count(), w.log.String())
		}
	}
}
