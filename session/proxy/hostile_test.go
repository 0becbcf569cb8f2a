package proxy

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/secret"
)

const target = "broker.example.org:443"

// answering is a proxy that gives one answer, whatever it is asked.
func answering(t *testing.T, answer string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.WriteString(conn, answer)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().String()
}

func passwordFile(t *testing.T, text string) secret.Reference {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := secret.Parse("file:" + file)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func dialer(t *testing.T, c Config) *Dialer {
	t.Helper()
	if err := c.Check("$.proxy"); err != nil {
		t.Fatal(err)
	}
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// told is what a person reads of an error that a proxy is the reason of.
func told(t *testing.T, err error) string {
	t.Helper()
	var f *Fault
	var e *session.Error
	if !errors.As(err, &f) || !errors.As(err, &e) || e.Next == "" {
		t.Fatalf("no proxy's fault: %v", err)
	}
	return e.Message + ". " + e.Next
}

func TestWhatAProxyDoesInsteadIsSaid(t *testing.T) {
	word := passwordFile(t, "open sesame")
	for name, c := range map[string]struct {
		answer string
		user   string
		want   []string
	}{
		"NTLM and Negotiate":     {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n", "", []string{"wants Negotiate or NTLM", "without sign-in, or with Basic", target}},
		"Digest":                 {"HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"x\"\r\n\r\n", "svc", []string{"wants Digest"}},
		"Basic among others":     {"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n", "", []string{"asks for a user and a password", "proxy.password"}},
		"another password":       {"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n", "svc", []string{"does not accept the user svc"}},
		"407 without a kind":     {"HTTP/1.1 407 No\r\n\r\n", "", []string{"of which kind"}},
		"forbidden":              {"HTTP/1.1 403 Forbidden\r\n\r\n", "", []string{"does not let this machine through to " + target, "without TLS inspection"}},
		"a portal's redirection": {"HTTP/1.1 302 Found\r\nLocation: https://welcome.hospital.example/login?x\r\n\r\n", "", []string{"answers with a page (welcome.hospital.example)"}},
		"a portal's page":        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello", "", []string{"answers with a page"}},
		"511":                    {"HTTP/1.1 511 Network Authentication Required\r\n\r\n", "", []string{"answers with a page"}},
		"it cannot reach it":     {"HTTP/1.1 503 Service Unavailable\r\n\r\n", "", []string{"could not reach " + target + " itself"}},
		"an odd status":          {"HTTP/1.1 418 Teapot\r\n\r\n", "", []string{"answered 418"}},
		"another protocol":       {"SSH-2.0-OpenSSH_9.2\r\n", "", []string{"is no HTTP proxy"}},
		"TLS":                    {"\x15\x03\x01\x00\x02\x02\x16", "", []string{"wants TLS", "https://"}},
		"nothing":                {"", "", []string{"did not answer"}},
		"a header without end":   {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20), "", []string{"is no HTTP proxy"}},
		"words for the terminal": {"HTTP/1.1 407 No\r\nProxy-Authenticate: \u009b2JNTLM\r\n\r\n", "", []string{"NTLM"}},
	} {
		t.Run(name, func(t *testing.T) {
			c2 := Config{URL: "http://" + answering(t, c.answer)}
			if c.user != "" {
				c2.User, c2.Password = c.user, word
			}
			_, err := dialer(t, c2).Dial(t.Context(), target)
			got := told(t, err)
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not said: %s", want, got)
				}
			}
			if strings.Contains(got, "\u009b") || strings.Contains(err.Error(), "open sesame") {
				t.Errorf("said as it came: %q", err)
			}
		})
	}
}

func TestAProxyThatIsNotThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := ln.Addr().String()
	_ = ln.Close()
	_, err = dialer(t, Config{URL: "http://" + gone}).Dial(t.Context(), target)
	if got := told(t, err); !strings.Contains(got, "refuses connections") {
		t.Error(got)
	}
	ln, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // takes connections, and nobody reads
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = dialer(t, Config{URL: "http://" + ln.Addr().String()}).Dial(ctx, target)
	if got := told(t, err); !strings.Contains(got, "did not answer") {
		t.Error(got)
	}
}

// certificate is a key, and a certificate that it signed itself, for 127.0.0.1.
func certificate(t *testing.T, name string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestAnHTTPSProxyProvesItself(t *testing.T) {
	pair, ca := certificate(t, "Hospital Proxy CA")
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				fmt.Fprintf(conn, "HTTP/1.1 200 Connection established\r\n\r\nearly, to %s", r.Host)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	at := "https://" + ln.Addr().String()
	_, err = dialer(t, Config{URL: at}).Dial(t.Context(), target)
	if got := told(t, err); !strings.Contains(got, "signed by CN=Hospital Proxy CA") || !strings.Contains(got, "proxy.ca") {
		t.Error(got)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca, 0o644); err != nil {
		t.Fatal(err)
	}
	conn, err := dialer(t, Config{URL: at, CA: file}).Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, _ := io.ReadAll(conn); string(got) != "early, to "+target {
		t.Errorf("the tunnel begins with %q", got)
	}
	_, err = dialer(t, Config{URL: "https://" + answering(t, "HTTP/1.1 400 Bad\r\n\r\n")}).Dial(t.Context(), target)
	if err == nil {
		t.Error("a proxy without TLS is taken for one with it")
	}
}

func TestWhatIsReachedDirectly(t *testing.T) {
	d := dialer(t, Config{URL: "http://proxy.example.org:3128", Except: []string{".northfield.example", "idp.example.org", "*.lab.example", "10.0.0.0/8", "192.0.2.1", "port.example.org:8443"}})
	for address, direct := range map[string]bool{
		"login.northfield.example:443": true, "northfield.example:443": true, "notnorthfield.example:443": false,
		"IDP.example.org.:443": true, "x.lab.example:443": true, "10.1.2.3:443": true, "11.1.2.3:443": false, "192.0.2.1:443": true,
		"port.example.org:8443": true, "port.example.org:443": false, "127.0.0.1:443": false, "[2001:db8::1]:443": false,
	} {
		if got := d.Address(address) == ""; got != direct {
			t.Errorf("%s directly: %t", address, got)
		}
	}
	t.Setenv("HTTPS_PROXY", "proxy.example.org")
	t.Setenv("NO_PROXY", "a.example.org, .b.example.org")
	env := dialer(t, Config{})
	for address, via := range map[string]string{"c.example.org:443": "proxy.example.org:80", "a.example.org:443": "", "x.b.example.org:443": "", "localhost:1": "", "127.0.0.1:1": ""} {
		if got := env.Address(address); got != via {
			t.Errorf("%s goes by %q", address, got)
		}
	}
	if direct := dialer(t, Config{URL: Direct}); direct.Address("c.example.org:443") != "" {
		t.Error("the environment counts against the configuration")
	}
	t.Setenv("NO_PROXY", "*")
	if got := dialer(t, Config{}).Address("c.example.org:443"); got != "" {
		t.Errorf("with NO_PROXY=* by %q", got)
	}
	t.Setenv("HTTPS_PROXY", "socks5://user:hunter2@proxy:1080")
	if _, err := New(Config{}); session.KindOf(err) != session.Invalid || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a proxy of another kind: %v", err)
	}
}

func TestAConfigurationThatCannotBeUsed(t *testing.T) {
	for name, c := range map[string]Config{
		"a password in the URL": {URL: "http://u:p@proxy:3128"},
		"another scheme":        {URL: "socks5://proxy:1080"},
		"a path":                {URL: "http://proxy:3128/x"},
		"a user alone":          {URL: "http://proxy:3128", User: "u"},
		"a user without proxy":  {User: "u", Password: passwordFile(t, "x")},
	} {
		var bad *session.BadField
		if err := c.Check("$.proxy"); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
