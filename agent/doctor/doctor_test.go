package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/secret"
)

const canary = "pw-canary-77b1"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// authority is a CA that certifies nodes and agents.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &authority{t, cert, key}
}

func (a *authority) issue(c *x509.Certificate, until time.Time) (*tls.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	c.SerialNumber, c.NotBefore, c.NotAfter, c.KeyUsage = big.NewInt(2), until.Add(-link.CertificateTime), until, x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	must(a.t, err)
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}, key
}

func (a *authority) node(name string, until time.Time) *tls.Certificate {
	cert, _ := a.issue(&x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, until)
	return cert
}

func (a *authority) agent(identity ed25519.PublicKey, until time.Time) *link.Issued {
	cert, key := a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "ngh-1", SerialNumber: session.Fingerprint(identity)},
		URIs:    []*url.URL{link.AgentURI("NGH", "ngh-1")}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, until)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(a.t, err)
	encode := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return &link.Issued{Site: "NGH", Agent: "ngh-1", Expires: until, CertPEM: encode("CERTIFICATE", cert.Certificate[0]),
		CAPEM: encode("CERTIFICATE", a.cert.Raw), KeyPEM: encode("PRIVATE KEY", der)}
}

// broker is a real link server; a test changes what it shows and says.
type broker struct {
	cert    *tls.Certificate
	roots   *authority
	revoked error
	ahead   time.Duration
}

func (b *broker) serve(t testing.TB) string {
	pool := x509.NewCertPool()
	pool.AddCert(b.roots.cert)
	srv, err := link.NewServer(link.ServerConfig{
		Certificate: func() (*tls.Certificate, error) { return b.cert, nil }, Roots: func() *x509.CertPool { return pool },
		Handler: hands{}, Agents: hands{}, Issuer: hands{}, Revoked: func(context.Context, link.Peer) error { return b.revoked },
		Now: func() time.Time { return time.Now().Add(b.ahead) }, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return accept(t, func(c net.Conn) { srv.ServeConn(ctx, c) })
}

// accept serves a loopback listener until the test ends.
func accept(t testing.TB, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var work sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			work.Go(func() { defer c.Close(); serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return l.Addr().String()
}

// hands is a broker that agrees to everything.
type hands struct{}

func (hands) Hello(context.Context, link.Hello) error                          { return nil }
func (hands) Report(context.Context, string, string, link.SessionReport) error { return nil }
func (hands) Put(context.Context, string, string, link.Put, io.Reader) error   { return nil }
func (hands) Control(*link.Control) func()                                     { return func() {} }
func (hands) Spare(*link.Spare) (func(), error)                                { return func() {}, nil }
func (hands) Stream(link.Peer, string, net.Conn) error                         { return errors.New("none") }
func (hands) Enrol(context.Context, link.Enrolment) (link.Chain, error) {
	return link.Chain{}, errors.New("no")
}
func (hands) Enrolled(context.Context, link.Enrolment) error { return nil }
func (hands) Renew(context.Context, link.Peer, []byte) (link.Chain, error) {
	return link.Chain{}, errors.New("no")
}
func (hands) Relay(_ context.Context, _, _, issuer string) (net.Conn, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	return net.Dial("tcp", u.Host)
}

// scene is a healthy agent with one node, one issuer and one device.
type scene struct {
	ca     *authority
	b      *broker
	id     ed25519.PublicKey
	p      Subject
	o      Options
	config *ssh.ServerConfig
	date   time.Duration // by which the issuer's Date is ahead
	token  string        // the issuer's token endpoint; "": it has no discovery document
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{ca: newAuthority(t, "Sallyport link CA")}
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	s.id = pub
	s.b = &broker{cert: s.ca.node("broker", time.Now().Add(time.Hour)), roots: s.ca}
	dir := filepath.Join(t.TempDir(), "state")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "identity.key"), []byte(canary), 0o600))
	s.p = Subject{
		State: dir, Private: []string{"identity.key"}, Identity: session.Fingerprint(pub),
		Issued: s.ca.agent(pub, time.Now().Add(20*time.Hour)),
		Hello: func() link.Hello {
			return link.Hello{V: link.Version, Site: "NGH", Agent: "ngh-1", Identity: session.KeyLine(pub)}
		},
		Nodes: []link.Node{{Name: "broker"}},
	}
	s.p.Issuers = []session.Issuer{{InsecureLoopback: true, Side: session.VendorSide}}
	s.p.Devices = []device.Target{s.device(t)}
	s.o = Options{Login: true, Space: func(string) (uint64, uint64, error) { return 50 << 30, 100 << 30, nil }}
	return s
}

// start brings up what the test has not replaced.
func (s *scene) start(t *testing.T) {
	if s.p.Nodes[0].Address == "" {
		s.p.Nodes[0].Address = s.b.serve(t)
	}
	if s.p.Issuers[0].URL == "" {
		url := s.issuer(t)
		s.p.Issuers[0].URL, s.p.Issuers[0].JWKS = url, url+"/keys"
	}
	if s.p.Devices[0].Port == 0 {
		s.p.Devices[0].Port = port(t, accept(t, s.deviceConn))
	}
}

func (s *scene) deviceConn(c net.Conn) {
	if _, channels, requests, err := ssh.NewServerConn(c, s.config); err == nil {
		go ssh.DiscardRequests(requests)
		for ch := range channels {
			_ = ch.Reject(ssh.Prohibited, "")
		}
	}
}

func (s *scene) issuer(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "openid-configuration") && s.token != "" {
			here := "http://" + r.Host
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": here, "token_endpoint": strings.ReplaceAll(s.token, "HERE", here), "jwks_uri": here + "/keys"})
			return
		}
		w.Header().Set("Date", time.Now().Add(s.date).UTC().Format(http.TimeFormat))
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{jose.JSONWebKey{Key: key.Public(), KeyID: "k", Use: "sig"}}})
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func (s *scene) device(t *testing.T) device.Target {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	host, err := ssh.NewSignerFromKey(key)
	must(t, err)
	s.config = &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
		if string(p) != canary {
			return nil, errors.New("no")
		}
		return nil, nil
	}}
	s.config.AddHostKey(host)
	path := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(path, []byte(canary), 0o600))
	password, err := secret.Parse("file:" + path)
	must(t, err)
	return device.Target{Asset: "NGH-CT1", Endpoint: "recon", Service: "recon-ssh", Address: "127.0.0.1", Protocol: session.SSH,
		Login: device.Login{User: "service", Password: password}, HostKey: ssh.FingerprintSHA256(host.PublicKey()), Timeout: 5 * time.Second}
}

func port(t *testing.T, addr string) int {
	a, err := net.ResolveTCPAddr("tcp", addr)
	must(t, err)
	return a.Port
}

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (s *scene) examine(t *testing.T) Report {
	t.Helper()
	s.start(t)
	r := Examine(t.Context(), s.p, s.o)
	text, err := json.Marshal(r)
	must(t, err)
	if strings.Contains(string(text), canary) || strings.Contains(string(text), "PRIVATE KEY") {
		t.Errorf("a secret shows: %s", text)
	}
	for _, c := range r.Checks {
		if c.Says == "" || !strings.HasSuffix(c.Says, ".") || c.Result != OK && c.Next == "" {
			t.Errorf("no plain words: %+v", c)
		}
	}
	return r
}

func TestHealthy(t *testing.T) {
	r := newScene(t).examine(t)
	if r.Failed() || len(r.Checks) != 11 {
		t.Errorf("a healthy agent: %d checks, %+v", len(r.Checks), r.Checks)
	}
	for _, c := range r.Checks {
		if c.Result != OK {
			t.Errorf("%+v", c)
		}
	}
}

// Beside a connected agent no second hello is said, which would push it off.
func TestBesideTheRunningAgent(t *testing.T) {
	s := newScene(t)
	s.o.Running = &Running{Up: true}
	s.p.Hello = func() link.Hello { t.Error("a second hello was said"); return link.Hello{} }
	if r := s.examine(t); r.Failed() {
		t.Errorf("%+v", r.Checks)
	}
}

// Through the broker, an issuer's keys come as they come directly.
func TestIssuerThroughTheBroker(t *testing.T) {
	s := newScene(t)
	s.p.Issuers[0].Reach = "broker"
	r := s.examine(t)
	if c := find(r, "keys of"); c.Result != OK || !strings.Contains(c.Says, "through the broker") {
		t.Errorf("%+v", c)
	}
}

func find(r Report, name string) Check {
	for _, c := range r.Checks {
		if strings.HasPrefix(c.Name, name) && c.Result != OK {
			return c
		}
	}
	for _, c := range r.Checks {
		if strings.HasPrefix(c.Name, name) {
			return c
		}
	}
	return Check{}
}

// Every fault is named, at the check where it belongs, and nothing else fails for it.
func TestFaults(t *testing.T) {
	for _, f := range []struct {
		name   string
		harm   func(*testing.T, *scene)
		check  string
		result Result
		words  string
	}{
		{"no state directory", func(_ *testing.T, s *scene) { s.p.State += "-gone" }, "state directory", Fail, "does not exist"},
		{"open state directory", func(t *testing.T, s *scene) { must(t, os.Chmod(s.p.State, 0o755)) }, "state directory", Fail, "Others may look"},
		{"open identity key", func(t *testing.T, s *scene) { must(t, os.Chmod(filepath.Join(s.p.State, "identity.key"), 0o644)) }, "state directory", Fail, "Others may read"},
		{"disk nearly full", func(_ *testing.T, s *scene) { s.o.Space = space3(3<<30, 100<<30) }, "disk", Warn, "less than 10 %"},
		{"disk full by share", func(_ *testing.T, s *scene) { s.o.Space = space3(15<<30, 1000<<30) }, "disk", Fail, "Only 15.0 GiB"},
		{"disk full", func(_ *testing.T, s *scene) { s.o.Space = space3(1<<29, 10<<30) }, "disk", Fail, "Only 0.5 GiB"},
		{"no identity", func(_ *testing.T, s *scene) { s.p.IdentityErr = errors.New("the identity key is not one PEM block") }, "identity key", Fail, "not one PEM block"},
		{"not enrolled", func(_ *testing.T, s *scene) {
			s.p.Issued, s.p.IssuedErr = nil, session.Errorf(session.Invalid, "This agent is not enrolled.")
		}, "certificate", Fail, "not enrolled"},
		{"certificate expired", func(_ *testing.T, s *scene) { s.p.Issued = s.ca.agent(s.id, time.Now().Add(-time.Minute)) }, "certificate", Fail, "expired at"},
		{"certificate not renewed", func(_ *testing.T, s *scene) { s.p.Issued = s.ca.agent(s.id, time.Now().Add(time.Hour)) }, "certificate", Warn, "should have been renewed"},
		{"node's name unknown", func(t *testing.T, s *scene) {
			s.p.Nodes[0].Address = "broker.example:443"
			s.o.Resolve = (&net.Resolver{PreferGo: true, Dial: noSuchName(t)}).LookupHost
		}, "dns broker", Fail, "DNS does not know broker.example"},
		{"broker down", func(t *testing.T, s *scene) { s.p.Nodes[0].Address = closed(t) }, "tcp broker", Fail, "no broker listens"},
		{"proxy that re-signs", func(t *testing.T, s *scene) {
			s.p.Nodes[0].Address = inspector(t, newAuthority(t, "Hospital Proxy CA"), nil)
		}, "tls broker", Fail, "opens TLS: the certificate shown is signed by CN=Hospital Proxy CA"},
		{"proxy that knows only the web", func(t *testing.T, s *scene) {
			s.p.Nodes[0].Address = inspector(t, newAuthority(t, "Hospital Proxy CA"), []string{"http/1.1"})
		}, "tls broker", Fail, "CN=Hospital Proxy CA"},
		{"broker set up anew", func(t *testing.T, s *scene) {
			s.b.roots = newAuthority(t, "Sallyport link CA")
			s.b.cert = s.b.roots.node("broker", time.Now().Add(time.Hour))
		}, "tls broker", Fail, "another CA than"},
		{"node's certificate expired", func(_ *testing.T, s *scene) { s.b.cert = s.ca.node("broker", time.Now().Add(-time.Hour)) }, "tls broker", Fail, "not valid at this time"},
		{"another node", func(_ *testing.T, s *scene) { s.b.cert = s.ca.node("broker-2", time.Now().Add(time.Hour)) }, "tls broker", Fail, "Another broker node"},
		{"no TLS at all", func(t *testing.T, s *scene) {
			s.p.Nodes[0].Address = accept(t, func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-x\r\n")); _, _ = io.Copy(io.Discard, c) })
		}, "tls broker", Fail, "does not speak the link"},
		{"agent unknown to the broker", func(t *testing.T, s *scene) { s.p.Issued = stolen(t, s) }, "tls broker", Fail, "does not accept this agent's certificate"},
		{"revoked", func(_ *testing.T, s *scene) {
			s.b.revoked = session.Errorf(session.Denied, "The agent ngh-1 of site NGH was revoked.").WithNext("Enrol it again.")
		}, "link broker", Fail, "was revoked"},
		{"hello refused", func(_ *testing.T, s *scene) {
			s.p.Hello = func() link.Hello { return link.Hello{V: 1, Site: "NGH", Agent: "other"} }
		}, "link broker", Fail, "calls itself otherwise"},
		{"clock wrong to the broker", func(_ *testing.T, s *scene) { s.b.ahead = 5 * time.Minute }, "clock against the broker", Fail, "5m0s behind"},
		{"clock wrong to an issuer", func(_ *testing.T, s *scene) { s.date = -2 * time.Minute }, "clock against http", Fail, "ahead"},
		{"issuer down", func(t *testing.T, s *scene) {
			at := "http://" + closed(t)
			s.p.Issuers[0].URL, s.p.Issuers[0].JWKS = at, at+"/keys"
		}, "keys of", Fail, "refuses connections"},
		{"issuer whose certificate is foreign", func(t *testing.T, s *scene) {
			srv := httptest.NewTLSServer(http.NotFoundHandler())
			srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
			t.Cleanup(srv.Close)
			s.p.Issuers[0] = session.Issuer{URL: srv.URL, JWKS: srv.URL + "/keys", Side: session.VendorSide}
		}, "keys of", Fail, "does not trust"},
		{"issuer for which it vouches", func(_ *testing.T, s *scene) { s.p.Issuers[0].Vouch, s.token = true, "HERE/token" }, "sign-ins at the broker with", OK, "may ask this agent"},
		{"vouching without a discovery document", func(_ *testing.T, s *scene) { s.p.Issuers[0].Vouch = true }, "sign-ins at the broker with", Fail, "cannot be read"},
		{"vouching for one whose codes are exchanged elsewhere", func(_ *testing.T, s *scene) {
			s.p.Issuers[0].Vouch, s.token = true, "https://login.elsewhere.example/token"
		}, "sign-ins at the broker with", Fail, "https://login.elsewhere.example/token"},
		{"device off", func(t *testing.T, s *scene) { s.p.Devices[0].Port = port(t, closed(t)) }, "device NGH-CT1/recon-ssh reach", Fail, "refuses connections"},
		{"device replaced", func(_ *testing.T, s *scene) { s.p.Devices[0].HostKey = "SHA256:" + strings.Repeat("A", 43) }, "device NGH-CT1/recon-ssh host key", Fail, "is pinned"},
		{"device replaced, no login", func(_ *testing.T, s *scene) {
			s.o.Login, s.p.Devices[0].HostKey = false, "SHA256:"+strings.Repeat("A", 43)
		}, "device NGH-CT1/recon-ssh host key", Fail, "is pinned"},
		{"device refuses the login", func(_ *testing.T, s *scene) {
			s.config.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, errors.New("no") }
		}, "device NGH-CT1/recon-ssh login", Fail, "did not accept"},
		{"secret gone", func(t *testing.T, s *scene) {
			ref, err := secret.Parse("file:/nowhere/secret")
			must(t, err)
			s.p.Devices[0].Login.Password = ref
		}, "device NGH-CT1/recon-ssh login", Fail, "cannot read its login"},
		{"device that never answers the login", func(_ *testing.T, s *scene) {
			s.p.Devices[0].Timeout = 700 * time.Millisecond
			s.config.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { time.Sleep(2 * time.Second); return nil, nil }
		}, "device NGH-CT1/recon-ssh", Fail, "did not answer in time"},
		{"device that says nothing", func(t *testing.T, s *scene) {
			s.p.Devices[0].Timeout = 500 * time.Millisecond
			s.p.Devices[0].Port = port(t, accept(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }))
		}, "device NGH-CT1/recon-ssh host key", Fail, "did not answer in time"},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			f.harm(t, s)
			r := s.examine(t)
			c := find(r, f.check)
			if c.Result != f.result || !strings.Contains(c.Says, f.words) {
				t.Errorf("want %s %q at %q, got %+v\nall: %+v", f.result, f.words, f.check, c, r.Checks)
			}
			if r.Failed() != (f.result == Fail) {
				t.Errorf("failed: %v", r.Failed())
			}
		})
	}
}

// Without the login no password leaves the agent.
func TestNoLogin(t *testing.T) {
	s := newScene(t)
	s.o.Login = false
	s.config.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
		t.Error("the device was asked to log somebody in")
		return nil, nil
	}
	if r := s.examine(t); r.Failed() || !strings.Contains(find(r, "device").Says, "not tried") {
		t.Errorf("%+v", r.Checks)
	}
}

func space3(free, total uint64) func(string) (uint64, uint64, error) {
	return func(string) (uint64, uint64, error) { return free, total, nil }
}

// inspector answers TLS with a certificate of its own, for whatever name is asked.
func inspector(t *testing.T, ca *authority, protocols []string) string {
	cfg := &tls.Config{NextProtos: protocols, Certificates: []tls.Certificate{*ca.node("broker", time.Now().Add(time.Hour))}}
	return accept(t, func(c net.Conn) { _ = tls.Server(c, cfg).Handshake() })
}

// stolen is an agent's certificate of another CA, with the pinned CA of ours.
func stolen(t *testing.T, s *scene) *link.Issued {
	other := newAuthority(t, "Sallyport link CA").agent(s.id, time.Now().Add(20*time.Hour))
	other.CAPEM = s.p.Issued.CAPEM
	return other
}

// noSuchName is a DNS server that knows no name.
func noSuchName(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	var work sync.WaitGroup
	work.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			if n > 3 {
				buf[2], buf[3] = buf[2]|0x80, 3 // a response: NXDOMAIN
				_, _ = l.WriteTo(buf[:n], from)
			}
		}
	})
	t.Cleanup(func() { _ = l.Close(); work.Wait() })
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", l.LocalAddr().String())
	}
}
