package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const granted = "recon-ssh.ngh-petct1.ngh"

var (
	jana = session.Identity{Iss: "https://idp.meridian.example", Sub: "jana"}
	luis = session.Identity{Iss: "https://idp.meridian.example", Sub: "luis"}
)

// desk is the access desk and the fleet behind the door.
type desk struct {
	mu       sync.Mutex
	owners   map[string]session.Identity // by key line
	ownerErr error
	refusal  error                       // of Route; nil: granted leads to the agent
	barred   map[session.Identity]string // to a site
	openErr  error
	asked    []session.Identity // who Route was asked for
	lookups  int
	opened   []link.Open
	conns    []net.Conn
	agent    func(net.Conn) // serves a stream; takes over the connection
	serving  sync.WaitGroup
	pipe     func() (near, far net.Conn)
}

func newDesk(t *testing.T) *desk {
	d := &desk{owners: map[string]session.Identity{}, agent: echo, pipe: loopback(t)}
	t.Cleanup(func() {
		d.mu.Lock()
		for _, c := range d.conns {
			c.Close()
		}
		d.mu.Unlock()
		d.serving.Wait()
	})
	return d
}

func (d *desk) KeyOwner(_ context.Context, line string) (session.Identity, string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lookups++
	if d.ownerErr != nil {
		return session.Identity{}, "", d.ownerErr
	}
	who, ok := d.owners[line]
	if !ok {
		return session.Identity{}, "", session.Errorf(session.Denied, "unknown key")
	}
	return who, "R-" + who.Sub, nil
}

func (d *desk) Route(_ context.Context, engineer session.Identity, of session.Target) (Route, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, engineer)
	if d.refusal != nil {
		return Route{}, d.refusal
	}
	if of.Host() != granted {
		return Route{}, session.Errorf(session.Denied, "you have no grant for %s", of.Host())
	}
	return Route{Site: "NGH", Agent: "ngh-1", Asset: "NGH-PETCT1", Service: "recon-ssh", Session: "S-1"}, nil
}

func (d *desk) Barred(_ context.Context, engineer session.Identity, site string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.barred[engineer] == site, nil
}

func (d *desk) bar(engineer session.Identity, site string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.barred = map[session.Identity]string{engineer: site}
}

func (d *desk) Open(_ context.Context, site, agent string, o link.Open) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.openErr != nil {
		return nil, d.openErr
	}
	if site != "NGH" || agent != "ngh-1" {
		return nil, fmt.Errorf("wrong agent %s/%s", site, agent)
	}
	d.opened = append(d.opened, o)
	near, far := d.pipe()
	d.conns = append(d.conns, far)
	serve := d.agent
	d.serving.Go(func() { serve(far) })
	return near, nil
}

func (d *desk) routedFor() []session.Identity {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]session.Identity(nil), d.asked...)
}

// echo sends back what comes, and an end of file for an end of file.
func echo(c net.Conn) {
	defer c.Close()
	_, _ = io.Copy(c, c)
}

// loopback makes pairs of TCP connections.
func loopback(t *testing.T) func() (near, far net.Conn) {
	return func() (net.Conn, net.Conn) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Error(err)
			return net.Pipe()
		}
		defer ln.Close()
		near, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Error(err)
			return net.Pipe()
		}
		far, err := ln.Accept()
		if err != nil {
			t.Error(err)
		}
		return near, far
	}
}

// opened is a door that serves until the test ends.
type opened struct {
	*Server
	*desk
	addr string
	log  *journal
}

// journal is a log that tests read.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func openDoor(t *testing.T, change ...func(*Config)) *opened {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &opened{desk: newDesk(t), addr: ln.Addr().String(), log: &journal{}}
	c := Config{
		HostKeyFile: filepath.Join(t.TempDir(), "host_key"), Access: o.desk, Streams: o.desk, Recheck: 5 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(o.log, nil)),
	}
	for _, f := range change {
		f(&c)
	}
	o.Server, err = New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if t.Failed() {
			log := o.log.String()
			t.Logf("end of the door's log:\n%s", log[max(0, len(log)-2000):])
		}
	})
	return o
}

// key makes an ed25519 key, and its owner's when there is one.
func (d *desk) key(t *testing.T, who session.Identity) (gossh.Signer, ed25519.PrivateKey) {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	if who != (session.Identity{}) {
		d.mu.Lock()
		d.owners[keyLine(signer.PublicKey())] = who
		d.mu.Unlock()
	}
	return signer, priv
}

// client signs in with x/crypto's client.
func (o *opened) client(t *testing.T, user string, methods ...gossh.AuthMethod) (*gossh.Client, error) {
	t.Helper()
	c, err := gossh.Dial("tcp", o.addr, &gossh.ClientConfig{
		User: user, Auth: methods, HostKeyCallback: gossh.FixedHostKey(o.signers[0].PublicKey()), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
	})
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

func (o *opened) signedIn(t *testing.T, who session.Identity) *gossh.Client {
	t.Helper()
	signer, _ := o.key(t, who)
	c, err := o.client(t, User, gossh.PublicKeys(signer))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func writeKey(t *testing.T, dir, name string, priv ed25519.PrivateKey) string {
	t.Helper()
	block, err := gossh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// refusedChannel checks that an error is a refused channel and returns its text.
func refusedChannel(t *testing.T, err error) *gossh.OpenChannelError {
	t.Helper()
	var refused *gossh.OpenChannelError
	if !errors.As(err, &refused) {
		t.Fatalf("want a refused channel, got %v", err)
	}
	return refused
}

// eventually waits until the one connection of the door is in a state.
func (o *opened) eventually(t *testing.T, what string, holds func(*visit) bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		o.Server.mu.Lock()
		all := len(o.visits) > 0
		for v := range o.visits {
			v.mu.Lock()
			all = all && holds(v)
			v.mu.Unlock()
		}
		o.Server.mu.Unlock()
		if all {
			return
		}
	}
	t.Fatalf("never came: %s", what)
}

// empty waits until nobody is connected.
func (o *opened) empty(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		o.Server.mu.Lock()
		n := len(o.visits)
		o.Server.mu.Unlock()
		if n == 0 {
			return
		}
	}
	t.Fatal("connections stay")
}
