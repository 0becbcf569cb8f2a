package crash

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/broker/fleet"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/secret"
)

// office is a broker's side of the link and nothing else. Its clock can be moved.
type office struct {
	*fleet.Fleet
	t      *testing.T
	addr   string
	offset atomic.Int64
	tokens sync.Map
}

func (o *office) now() time.Time { return time.Now().Add(time.Duration(o.offset.Load())) }

// What agents tell it is taken and forgotten.
func (o *office) Hello(context.Context, link.Hello) error                          { return nil }
func (o *office) Report(context.Context, string, string, link.SessionReport) error { return nil }
func (o *office) Put(context.Context, string, string, link.Put, io.Reader) error {
	return errors.New("no")
}
func (o *office) Relay(context.Context, string, string, string) (net.Conn, error) {
	return nil, errors.New("no")
}

// Create, Update and Take are a Once in memory.
func (o *office) Create(_ context.Context, kind, id string, body []byte, _ time.Duration) error {
	o.tokens.Store(kind+"/"+id, body)
	return nil
}

func (o *office) Update(_ context.Context, kind, id string, edit func([]byte) ([]byte, error)) error {
	v, ok := o.tokens.Load(kind + "/" + id)
	if !ok {
		return os.ErrNotExist
	}
	body, err := edit(v.([]byte))
	if err == nil {
		o.tokens.Store(kind+"/"+id, body)
	}
	return err
}

func (o *office) Take(_ context.Context, kind, id string) ([]byte, error) {
	body, ok := o.tokens.LoadAndDelete(kind + "/" + id)
	if !ok {
		return nil, os.ErrNotExist
	}
	return body.([]byte), nil
}

func openOffice(t *testing.T, ctx context.Context, running *sync.WaitGroup) *office {
	t.Helper()
	o := &office{t: t}
	o.offset.Store(-int64(13 * time.Hour)) // what it issues now has less than half its life left
	dir := t.TempDir()
	ca, err := fleet.LoadCA(dir, o.now)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.addr = ln.Addr().String()
	o.Fleet, err = fleet.New(fleet.Config{
		Node: "broker", Nodes: []link.Node{{Name: "broker", Address: o.addr}}, CA: ca, Once: o,
		Denied: &denyList{}, Handler: o, Now: o.now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(ctx, func() { ln.Close() })
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { o.ServeConn(ctx, conn) })
		}
	})
	return o
}

func (o *office) config(dir string) agent.Config {
	issuer := func(url string, side session.Side, client string, class session.ClientClass) session.Issuer {
		return session.Issuer{URL: url, Side: side, Login: "sallyport-cli", InsecureLoopback: true, Clients: map[string]session.ClientClass{client: class}}
	}
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		o.t.Fatal(err)
	}
	password, err := secret.Parse("file:" + file)
	if err != nil {
		o.t.Fatal(err)
	}
	cfg := agent.Config{
		Site: "NGH", Agent: "ngh-1", State: filepath.Join(dir, "agent"), Nodes: []agent.Node{{Name: "broker", Address: o.addr}},
		Issuers: []session.Issuer{
			issuer("http://127.0.0.1:1", session.VendorSide, "sallyport-cli", session.CLI),
			issuer("http://127.0.0.1:2", session.HospitalSide, "sallyport-console", session.Console),
		},
		Assets: []agent.Asset{{
			Name: "NGH-PETCT1", Policy: agent.Policy{Longest: "8h", Channels: []session.Channel{session.Exec}},
			Endpoints: []agent.Endpoint{{Name: "recon", Address: "127.0.0.1", Services: []agent.Service{{
				Name: "recon-ssh", Protocol: session.SSH, Port: 1, Class: session.NonDisruptive,
				Login: device.Login{User: "svc", Password: password}, HostKey: "SHA256:" + strings.Repeat("A", 43),
			}}}},
		}},
	}
	if err := cfg.Validate(); err != nil {
		o.t.Fatal(err)
	}
	return cfg
}

// serve runs an agent until stop, which returns how it ended.
func serve(t *testing.T, cfg agent.Config) (stop func() error) {
	t.Helper()
	a, err := agent.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	return stop
}

// kept is the link certificate on the agent's disk.
func kept(t *testing.T, cfg agent.Config) (issued link.Issued, leaf *x509.Certificate) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(cfg.State, "link.json"))
	if err == nil {
		err = json.Unmarshal(raw, &issued)
	}
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(issued.CertPEM))
	if leaf, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return issued, leaf
}

// TestCertificateOfAnAgent: the agent renews its certificate past half its life and
// keeps the new one over a restart; revoked, it is out at once and stays out, however
// often it is started; a new join token brings it back with the identity it had.
func TestCertificateOfAnAgent(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	o := openOffice(t, ctx, &running)
	dir := t.TempDir()
	cfg := o.config(dir)
	enrolled := o.enrol(cfg, filepath.Join(dir, "input"))
	first, old := kept(t, cfg)
	o.offset.Store(0)

	stop := serve(t, cfg)
	o.online(true)
	until(t, "the certificate is renewed", patience, often, func() error {
		if _, now := kept(t, cfg); !now.NotBefore.After(old.NotBefore) {
			return fmt.Errorf("it is still from %s", now.NotBefore)
		}
		return nil
	})
	renewed, leaf := kept(t, cfg)
	if renewed.KeyPEM != first.KeyPEM || renewed.KeyPEM == "" || time.Until(leaf.NotAfter) < 23*time.Hour {
		t.Errorf("renewed until %s, key kept: %t", leaf.NotAfter, renewed.KeyPEM == first.KeyPEM)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	o.online(false)
	stop = serve(t, cfg)
	o.online(true)

	if err := o.Revoke(ctx, cfg.Site, cfg.Agent); err != nil {
		t.Fatal(err)
	}
	o.online(false)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	stop = serve(t, cfg)
	o.staysOut()
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	o.offset.Add(int64(2 * time.Second)) // later than the revocation, in whole seconds
	if again := o.enrol(cfg, filepath.Join(dir, "input")); again.Fingerprint != enrolled.Fingerprint {
		t.Errorf("the identity was %s and is %s", enrolled.Fingerprint, again.Fingerprint)
	}
	serve(t, cfg)
	o.online(true)
}

func (o *office) enrol(cfg agent.Config, input string) agent.Enrolled {
	o.t.Helper()
	token, err := o.JoinToken(o.t.Context(), fleet.Join{Site: cfg.Site, Agent: cfg.Agent}, time.Minute)
	if err != nil {
		o.t.Fatal(err)
	}
	done, err := agent.Enrol(o.t.Context(), cfg, token, input)
	if err != nil {
		o.t.Fatal(err)
	}
	return done
}

func (o *office) online(want bool) {
	o.t.Helper()
	until(o.t, fmt.Sprintf("the agent is online: %t", want), patience, often, func() error {
		if o.Online("NGH", "ngh-1") != want {
			return errors.New("not yet")
		}
		return nil
	})
}

// staysOut gives a revoked agent time for several attempts.
func (o *office) staysOut() {
	o.t.Helper()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(often) {
		if o.Online("NGH", "ngh-1") {
			o.t.Fatal("a revoked agent is online")
		}
	}
	if _, err := o.Open(o.t.Context(), "NGH", "ngh-1", link.Open{Asset: "NGH-PETCT1", Service: "recon-ssh", Door: link.DoorSSH}); err == nil {
		o.t.Fatal("a stream was opened to a revoked agent")
	}
}

// denyList keeps denials in memory.
type denyList struct {
	mu  sync.Mutex
	all []fleet.Denial
}

func (l *denyList) Deny(_ context.Context, d fleet.Denial) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
	return nil
}

func (l *denyList) List(context.Context) ([]fleet.Denial, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all), nil
}
