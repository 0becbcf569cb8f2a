package scale

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/alicebob/miniredis/v2"

	"github.com/sallyport/sallyport/agent/spool"
	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a broker's archive, a link and a hospital's spool, with one session.
type world struct {
	t       *testing.T
	spool   string
	archive *broker.Archive
	access  *access.Access
	vault   *counted
	agent   *accesstest.Agents
	link    *link.Client
	ben     identity.Caller
	ada     identity.Caller
	of      access.Request

	yard yardstick

	mu     sync.Mutex
	stored []mark        // segments, in their order
	sealed chan struct{} // closed once a seal was stored
}

// mark is what everything had cost when a segment was done, and what a fixed piece of work
// cost on this machine then.
type mark struct {
	calls int64 // of the vault
	cpu   time.Duration
	yard  time.Duration
}

// counted is a vault that counts what is asked of it.
type counted struct {
	broker.Vault
	calls atomic.Int64
}

func (v *counted) Put(ctx context.Context, p vault.Part, body io.Reader) error {
	v.calls.Add(1)
	return v.Vault.Put(ctx, p, body)
}

func (v *counted) Open(ctx context.Context, site, recording, part string) (io.ReadCloser, error) {
	v.calls.Add(1)
	return v.Vault.Open(ctx, site, recording, part)
}

func (v *counted) Size(ctx context.Context, site, recording, part string) (int64, error) {
	v.calls.Add(1)
	return v.Vault.Size(ctx, site, recording, part)
}

func person(sub string, side session.Side, role session.Role) identity.Caller {
	return identity.Caller{Person: session.Person{Identity: session.Identity{Iss: "https://" + string(side), Sub: sub}, Email: sub + "@example.org"},
		Side: side, Roles: []session.Role{role}, Sites: []string{"NGH"}}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, spool: filepath.Join(dir, "spool"), agent: &accesstest.Agents{Site: "NGH", Name: "main", Now: time.Now}, sealed: make(chan struct{}),
		ada: person("ada", session.VendorSide, session.Engineer), ben: person("ben", session.HospitalSide, session.Approver)}
	must(t, os.Mkdir(w.spool, 0o700))
	w.yard.dir = t.TempDir()
	v, err := vault.OpenDirectory(filepath.Join(dir, "vault"))
	must(t, err)
	t.Cleanup(func() { v.Close() })
	w.vault = &counted{Vault: v}
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	log, err := audit.Open(audit.Config{Dir: t.TempDir(), Key: key, Origin: "broker.example", Now: time.Now})
	must(t, err)
	t.Cleanup(func() { log.Close() })
	run, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- log.Run(run) }()
	t.Cleanup(func() { stop(); <-ran })
	st, err := store.Open(t.Context(), store.Config{URL: "redis://" + miniredis.RunT(t).Addr(), Ephemeral: true})
	must(t, err)
	t.Cleanup(func() { st.Close() })
	w.access, err = access.New(access.Config{Documents: st, Listing: st, Wholes: st, Agents: w.agent, Audit: log, Now: time.Now})
	must(t, err)
	w.archive = broker.NewArchive(w.vault, key, only(log), func() session.Nodes { return session.Nodes{log.Node()} }, w.access)
	w.begin()
	w.dial()
	return w
}

// only is the one audit log there is.
func only(log *audit.Log) func(context.Context) iter.Seq[broker.Log] {
	return func(context.Context) iter.Seq[broker.Log] { return func(yield func(broker.Log) bool) { yield(log) } }
}

// begin opens the session.
func (w *world) begin() {
	ctx := w.t.Context()
	must(w.t, w.access.Announce(ctx, w.agent.Hello("NGH-PETCT1")))
	raw := accesstest.Bytes(accesstest.Request(w.ada.Identity, "NGH", "NGH-PETCT1", time.Now()))
	r, err := w.access.Submit(ctx, w.ada, raw, accesstest.Proof("ada"))
	must(w.t, err)
	w.of, _, err = w.access.Approve(ctx, w.ben, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	must(w.t, err)
	must(w.t, w.access.ReportSession(ctx, "NGH", "main", link.SessionReport{Session: *w.of.Grant, Request: w.of.ID, Seq: 1,
		Asset: "NGH-PETCT1", Service: "recon-ssh", Opened: time.Now(), Deadline: time.Now().Add(8 * time.Hour)}))
}

// dial makes both ends of the link, on loopback.
func (w *world) dial() {
	ca := newAuthority(w.t)
	node := ca.issue(&x509.Certificate{DNSNames: []string{"n1"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	agent := ca.issue(&x509.Certificate{URIs: []*url.URL{link.AgentURI("NGH", "main")}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	pool := func() *x509.CertPool { return roots }
	quiet := slog.New(slog.DiscardHandler)
	server, err := link.NewServer(link.ServerConfig{Certificate: func() (*tls.Certificate, error) { return node, nil }, Roots: pool, Handler: w,
		Agents: nobody{}, Issuer: nobody{}, Revoked: func(context.Context, link.Peer) error { return nil }, Now: time.Now, Log: quiet})
	must(w.t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	w.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(w.t.Context(), conn)
		}
	}()
	w.link, err = link.NewClient(link.ClientConfig{Nodes: []link.Node{{Name: "n1", Address: ln.Addr().String()}}, Handler: idle{}, Roots: pool, Log: quiet,
		Certificate: func() (*tls.Certificate, error) { return agent, nil }, Hello: func() link.Hello { return w.agent.Hello("NGH-PETCT1") }})
	must(w.t, err)
}

// Put is the archive's, watched.
func (w *world) Put(ctx context.Context, site, agent string, p link.Put, body io.Reader) error {
	if err := w.archive.Put(ctx, site, agent, p, body); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, segment := recordings.Segment(p.Part); segment {
		w.stored = append(w.stored, w.now())
	}
	if p.Part == recordings.SealPart {
		close(w.sealed)
	}
	return nil
}

func (w *world) Countersign(ctx context.Context, site, agent, recording string, head []byte) ([]byte, error) {
	return w.archive.Countersign(ctx, site, agent, recording, head)
}

// now takes a mark. What the yardstick costs is counted to nobody.
func (w *world) now() mark {
	w.yard.Lock()
	defer w.yard.Unlock()
	if w.yard.marks%yardEvery == 0 {
		w.yard.last = w.yard.measure(w.t)
		w.yard.spent += w.yard.last
	}
	w.yard.marks++
	return mark{calls: w.vault.calls.Load(), cpu: processor(w.t) - w.yard.spent, yard: w.yard.last}
}

const yardEvery = 25 // marks

// yardstick is a fixed piece of work like that of a segment: hashing, packing, small files.
// The same work costs more processor time while others use the machine's caches and disk; what
// is compared over minutes is counted in it.
type yardstick struct {
	sync.Mutex
	dir   string
	marks int
	last  time.Duration
	spent time.Duration
}

func (y *yardstick) measure(t *testing.T) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := used(t, rusageThread)
	data := bytes.Repeat([]byte("gantry temperature 31.4 C, block 57 ok\r\n"), 1<<12)
	for n := range 8 {
		sum := sha256.Sum256(data)
		name := filepath.Join(y.dir, fmt.Sprint(n))
		must(t, os.WriteFile(name, data[:4<<10], 0o600))
		must(t, os.Rename(name, name+hex.EncodeToString(sum[:4])))
		must(t, os.Remove(name+hex.EncodeToString(sum[:4])))
	}
	return max(used(t, rusageThread)-before, time.Microsecond)
}

var errNobody = errors.New("nobody is there")

func (w *world) Hello(context.Context, link.Hello) error { return errNobody }
func (w *world) Report(context.Context, string, string, link.SessionReport) error {
	return errNobody
}
func (w *world) Relay(context.Context, string, string, string) (net.Conn, error) {
	return nil, errNobody
}

// nobody is what this link has no need of at the broker, and idle at the agent.
type (
	nobody struct{}
	idle   struct{}
)

func (nobody) Control(*link.Control) func()             { return func() {} }
func (nobody) Spare(*link.Spare) (func(), error)        { return nil, errNobody }
func (nobody) Stream(link.Peer, string, net.Conn) error { return errNobody }
func (nobody) Enrol(context.Context, link.Enrolment) (link.Chain, error) {
	return link.Chain{}, errNobody
}
func (nobody) Enrolled(context.Context, link.Enrolment) error { return nil }
func (nobody) Renew(context.Context, link.Peer, []byte) (link.Chain, error) {
	return link.Chain{}, errNobody
}

func (idle) Deliver(context.Context, link.Deliver) link.Verdict { return link.Verdict{} }
func (idle) End(context.Context, link.End) link.Verdict         { return link.Verdict{} }
func (idle) Stream(_ context.Context, _ link.Open, c net.Conn)  { c.Close() }

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &authority{t: t, cert: cert, key: key}
}

func (a *authority) issue(c *x509.Certificate) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	c.SerialNumber, c.NotBefore, c.NotAfter, c.KeyUsage = big.NewInt(2), time.Now().Add(-time.Minute), time.Now().Add(link.CertificateTime), x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	must(a.t, err)
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}
}

// upload runs the hospital's spool until the returned func is called.
func (w *world) upload() (s *spool.Spool, stop func()) {
	heads := spool.NewHeads(spool.HeadsConfig{Dir: w.spool, Putter: w.link, Signer: w.agent.Key(), Pin: func(ed25519.PublicKey) error { return nil }, Log: slog.New(slog.DiscardHandler)})
	s = spool.New(w.spool, w.link, slog.New(slog.DiscardHandler), spool.Countersigned(heads), spool.Keep(time.Hour))
	ctx, cancel := context.WithCancel(w.t.Context())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	return s, func() {
		cancel()
		if err := <-over; !errors.Is(err, context.Canceled) {
			w.t.Error(err)
		}
	}
}

// record begins a recording of the session.
func (w *world) record(o recordings.Options) (*recordings.Writer, session.ID) {
	input, err := age.GenerateX25519Identity()
	must(w.t, err)
	id := session.NewID()
	o.Signer, o.InputRecipient = w.agent.Key(), input.Recipient().String()
	writer, err := recordings.Create(filepath.Join(w.spool, id.Recording()), recordings.Header{Recording: id.Recording(), Session: *w.of.Grant,
		Request: w.of.ID, GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Protocol: session.SSH, Engineer: w.ada.Person}, o)
	must(w.t, err)
	return writer, id
}

// processor is the time that this process has used.
func processor(t *testing.T) time.Duration { return used(t, syscall.RUSAGE_SELF) }

const rusageThread = 1 // Linux; the calling thread alone

func used(t *testing.T, whose int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(whose, &u); err != nil {
		t.Error(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
