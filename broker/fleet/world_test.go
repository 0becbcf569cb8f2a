package fleet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// clock is the real one, moved or stopped.
type clock struct {
	offset  atomic.Int64
	stopped atomic.Pointer[time.Time]
}

func (c *clock) now() time.Time {
	if at := c.stopped.Load(); at != nil {
		return *at
	}
	return time.Now().Add(time.Duration(c.offset.Load()))
}

func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func (c *clock) stop() {
	at := c.now()
	c.stopped.Store(&at)
}

// memory is a Once that forgets nothing by time: expiry is also the fleet's to see.
type memory struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (m *memory) Create(_ context.Context, kind, id string, body []byte, _ time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[kind+"/"+id] = body
	return nil
}

func (m *memory) Update(_ context.Context, kind, id string, edit func([]byte) ([]byte, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.kept[kind+"/"+id]
	if !ok {
		return os.ErrNotExist
	}
	b, err := edit(b)
	if err == nil {
		m.kept[kind+"/"+id] = b
	}
	return err
}

func (m *memory) Take(_ context.Context, kind, id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.kept[kind+"/"+id]
	if !ok {
		return nil, os.ErrNotExist
	}
	delete(m.kept, kind+"/"+id)
	return b, nil
}

// office is a broker's handler that remembers.
type office struct {
	mu      sync.Mutex
	hellos  []link.Hello
	reports []link.SessionReport
	parts   map[string][]byte
	issuer  string // address of the one issuer that may be relayed to
	refuse  error  // answer of every report
}

func (o *office) Hello(_ context.Context, h link.Hello) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hellos = append(o.hellos, h)
	return nil
}

func (o *office) Report(_ context.Context, site, agent string, r link.SessionReport) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reports = append(o.reports, r)
	return o.refuse
}

func (o *office) Put(_ context.Context, site, agent string, p link.Put, body io.Reader) error {
	key := site + "/" + p.Recording + "/" + p.Part
	o.mu.Lock()
	defer o.mu.Unlock()
	if have, ok := o.parts[key]; ok {
		if int64(len(have)) == p.Size && p.SHA256 == sumHex(have) {
			return link.ErrHave // without a look at the body
		}
		return fmt.Errorf("store %s: %w", key, link.ErrConflict)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	o.parts[key] = b
	return nil
}

func (o *office) Relay(ctx context.Context, site, agent, issuer string) (net.Conn, error) {
	if issuer != "https://idp.hospital.example" {
		return nil, session.Errorf(session.Refused, "This issuer is not one of site %s.", site)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", o.issuer)
}

// broker is a fleet behind a listener.
type broker struct {
	*Fleet
	office *office
	clock  *clock
	ca     *CA
	addr   string
	moved  chan string // SITE/AGENT, for each that came or went; older ones may be dropped
	stop   func()
}

// startBroker runs a node on loopback; dir keeps its CA and revocations.
func startBroker(t testing.TB, dir, addr string) *broker {
	t.Helper()
	b := &broker{office: &office{parts: make(map[string][]byte)}, clock: &clock{}, moved: make(chan string, 64)}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	b.addr = ln.Addr().String()
	b.ca, err = LoadCA(dir, b.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	b.Fleet, err = New(Config{
		Node: "node1", Nodes: []link.Node{{Name: "node1", Address: b.addr}}, CA: b.ca,
		Once: &memory{kept: make(map[string][]byte)}, Denied: &denyList{},
		Handler: b.office, Limits: link.Limits{EnrolRate: 100}, Moved: b.note, Now: b.clock.now, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { b.ServeConn(ctx, conn) })
		}
	})
	b.stop = sync.OnceFunc(func() {
		cancel()
		ln.Close()
		conns.Wait()
	})
	t.Cleanup(b.stop)
	return b
}

func (b *broker) note(site, agent string) {
	select {
	case b.moved <- site + "/" + agent:
	default:
	}
}

// desk is an agent's handler: streams echo until a half-close, then say goodbye.
type desk struct {
	verdict   link.Verdict
	delivered chan link.Deliver
	streams   chan link.Open
}

func newDesk() *desk {
	return &desk{verdict: link.Verdict{OK: true, Count: 1, Needed: 2}, delivered: make(chan link.Deliver, 16), streams: make(chan link.Open, 1024)}
}

func (d *desk) Deliver(_ context.Context, m link.Deliver) link.Verdict {
	d.delivered <- m
	return d.verdict
}

func (d *desk) End(_ context.Context, e link.End) link.Verdict {
	return link.Verdict{OK: true, Message: "ended " + e.Session}
}

func (d *desk) Stream(_ context.Context, o link.Open, conn net.Conn) {
	defer conn.Close()
	select {
	case d.streams <- o:
	default: // nobody looks
	}
	_, _ = io.Copy(conn, conn)
	_, _ = io.WriteString(conn, "bye")
}

// scanner is an enrolled agent that runs.
type scanner struct {
	*link.Client
	desk   *desk
	issued link.Issued
	states chan bool
	dials  chan string // the addresses that it dialled
	stop   func()
}

func newIdentity(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func enrol(t testing.TB, b *broker, site, agent string, identity ed25519.PrivateKey) link.Issued {
	t.Helper()
	token, err := b.JoinToken(t.Context(), Join{Site: site, Agent: agent}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := link.Enrol(t.Context(), link.EnrolRequest{JoinToken: token, Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// start runs an agent until the test ends and waits for it to be connected.
func start(t testing.TB, b *broker, site, agent string) *scanner {
	t.Helper()
	identity := newIdentity(t)
	s := run(t, site, agent, identity, enrol(t, b, site, agent, identity), nil)
	s.await(t, true)
	return s
}

func run(t testing.TB, site, agent string, identity ed25519.PrivateKey, issued link.Issued, renew func(link.Issued) error) *scanner {
	t.Helper()
	s := &scanner{desk: newDesk(), issued: issued, states: make(chan bool, 64), dials: make(chan string, 1024)}
	roots, err := issued.Roots()
	if err != nil {
		t.Fatal(err)
	}
	s.Client, err = link.NewClient(link.ClientConfig{
		Nodes: issued.Nodes, Certificate: issued.Certificate, Roots: func() *x509.CertPool { return roots },
		Hello: func() link.Hello {
			return link.Hello{
				V: 1, Site: site, Agent: agent, Boot: "b1", Version: "1.0",
				Identity: session.KeyLine(identity.Public().(ed25519.PublicKey)),
				Assets:   []session.Asset{{Name: "NGH-PETCT1", Services: []session.Service{{Name: "recon-ssh", Endpoint: "recon", Port: 22}}}},
			}
		},
		Handler: s.desk, Renew: renew, OnState: func(up bool) { s.states <- up }, Log: quiet,
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			select {
			case s.dials <- address:
			default:
			}
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
	s.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(s.stop)
	return s
}

// await waits for the next change of state, which must be this one.
func (s *scanner) await(t testing.TB, up bool) {
	t.Helper()
	select {
	case got := <-s.states:
		if got != up {
			t.Fatalf("the agent's state became up=%v, want %v", got, up)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("the agent's state never became up=%v", up)
	}
}

var sshOpen = link.Open{Asset: "NGH-PETCT1", Service: "recon-ssh", Peer: "203.0.113.7:4711", Door: link.DoorSSH}

// echo proves that a stream works both ways and half-closes.
func echo(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if err := tryEcho(conn, text); err != nil {
		t.Fatal(err)
	}
}

func tryEcho(conn net.Conn, text string) error {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if string(got) != text+"bye" {
		return fmt.Errorf("the stream echoed %q", got)
	}
	return nil
}

// raw is a connection of somebody who writes frames by hand.
type raw struct {
	*tls.Conn
	t testing.TB
}

func dialRaw(t testing.TB, b *broker, cert *tls.Certificate) *raw {
	t.Helper()
	cfg := &tls.Config{RootCAs: b.ca.Roots(), ServerName: "node1", NextProtos: []string{link.ALPN}}
	if cert != nil {
		cfg.Certificates = []tls.Certificate{*cert}
	}
	conn, err := tls.Dial("tcp", b.addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &raw{Conn: conn, t: t}
}

// say writes one frame; whether the broker still listens is not its business.
func (r *raw) say(verb byte, payload string) {
	head := []byte{verb, 0, 0, 0, 1, byte(len(payload) >> 24), byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload))}
	_, _ = r.Write(append(head, payload...))
}

// mustBeClosed reads to the end and fails when anything came before it.
func (r *raw) mustBeClosed() {
	r.t.Helper()
	got, err := io.ReadAll(r)
	if len(got) > 0 || isTimeout(err) {
		r.t.Fatalf("the broker answered %q, %v; want the connection closed", got, err)
	}
}

func isTimeout(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}

// pipeDial connects to b without a network, for tests on a fake clock.
func pipeDial(t *testing.T, b *broker) func(context.Context, string) (net.Conn, error) {
	return func(context.Context, string) (net.Conn, error) {
		client, server := net.Pipe()
		go b.ServeConn(t.Context(), server)
		return client, nil
	}
}

// denyList keeps denials in memory.
type denyList struct {
	mu  sync.Mutex
	all []Denial
}

func (l *denyList) Deny(_ context.Context, d Denial) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
	return nil
}

func (l *denyList) List(context.Context) ([]Denial, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all), nil
}
