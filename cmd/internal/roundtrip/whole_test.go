package roundtrip

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/proxy"
	"github.com/sallyport/sallyport/session/secret"
)

// tunnels is the hospital's forward proxy: the agent's only way to the provider.
func (in *inside) tunnels(t *testing.T, running *sync.WaitGroup) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil || r.Method != http.MethodConnect || r.Host != nowhere {
					t.Errorf("the proxy is asked for %+v", r)
					return
				}
				there, err := in.dial(t.Context(), "tcp", nowhere)
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
				_ = link.Pipe(t.Context(), conn, there)
			})
		}
	})
	return "http://" + ln.Addr().String()
}

// free is an address of this machine that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// The real broker and the real agent: nobody signs in at the hidden provider while the
// agent is away, and everybody once it is there.
func TestTheRealBrokerAsksTheRealAgent(t *testing.T) {
	dir := t.TempDir()
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	w := &world{t: t, inside: &inside{}, log: &loud{}}
	w.now.Store(time.Now().UnixNano())
	listen := free(t)
	w.url = "http://" + listen
	w.vendor, w.hospital = w.provider(devidp.Vendor), w.provider(devidp.Hospital)
	theirs := session.Issuer{URL: w.vendor.Issuer(), Side: session.VendorSide, Domains: []string{"meridian.example"}, Login: "sallyport-cli", InsecureLoopback: true,
		Clients: map[string]session.ClientClass{"sallyport-cli": session.CLI, "sallyport-web": session.Web}}
	ours := session.Issuer{URL: w.hospital.Issuer(), Side: session.HospitalSide, Domains: []string{"northfield.example"}, Login: "sallyport-cli", InsecureLoopback: true,
		Clients: map[string]session.ClientClass{"sallyport-web": session.Web}}

	asked := ours
	asked.Reach = "agent"
	redis := "redis://" + miniredis.RunT(t).Addr()
	t.Cleanup(func() { storetest.Described(t, redis) })
	cfg := broker.Config{Node: "broker", URL: w.url, Listen: listen, State: filepath.Join(dir, "broker"), SSH: broker.SSH{Listen: "127.0.0.1:0"},
		Redis:   broker.Redis{URL: redis, Ephemeral: true},
		Issuers: []broker.Issuer{{Issuer: theirs, Sites: []string{"NGH"}}, {Issuer: asked, Sites: []string{"NGH"}}}}
	w.must(cfg.Validate())
	quiet := slog.New(slog.DiscardHandler)
	b, err := broker.New(ctx, cfg, quiet)
	w.must(err)
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Errorf("the broker ended: %v", err)
		}
	})
	w.until(func() bool {
		conn, err := net.Dial("tcp", listen)
		if err == nil {
			err = conn.Close()
		}
		return err == nil
	})
	if got := w.browser().problem(approver); !strings.Contains(got, "the agent of site NGH, which is not connected here") {
		t.Errorf("without the agent: %s", got)
	}

	w.startAgent(ctx, cfg, theirs, ours, &running)
	app := w.browser()
	var said string
	for range 8 { // ten sign-ins a minute are let try
		if said = app.problem(approver); said == "" {
			break
		}
		time.Sleep(time.Second)
	}
	if said != "" || !app.in() {
		t.Errorf("not signed in: %s", said)
	}
}

// startAgent enrols an agent that vouches, and runs it.
func (w *world) startAgent(ctx context.Context, b broker.Config, theirs, ours session.Issuer, running *sync.WaitGroup) {
	w.t.Helper()
	dir := w.t.TempDir()
	word := filepath.Join(dir, "word")
	w.must(os.WriteFile(word, []byte("device-password"), 0o600))
	password, err := secret.Parse("file:" + word)
	w.must(err)
	ours.Vouch = true
	cfg := agent.Config{Site: "NGH", Agent: "ngh-1", State: filepath.Join(dir, "agent"), Nodes: []agent.Node{{Name: "broker", Address: b.Listen}},
		Issuers: []session.Issuer{theirs, ours}, Proxy: proxy.Config{URL: w.inside.tunnels(w.t, running), Except: []string{"127.0.0.1"}},
		Assets: []agent.Asset{{Name: "CT", Endpoints: []agent.Endpoint{{Name: "recon", Address: "127.0.0.1", Services: []agent.Service{{Name: "recon-ssh", Protocol: session.SSH, Port: 1, Class: session.NonDisruptive,
			Login: device.Login{User: "svc", Password: password}, HostKey: "SHA256:" + strings.Repeat("A", 43)}}}}}}}
	w.must(cfg.Validate())
	join, err := broker.JoinToken(ctx, b, "NGH", "ngh-1", false, time.Minute)
	w.must(err)
	_, err = agent.Enrol(ctx, cfg, join.Token, filepath.Join(dir, "input-identity"))
	w.must(err)
	a, err := agent.New(cfg, slog.New(slog.DiscardHandler))
	w.must(err)
	running.Go(func() {
		if err := a.Run(ctx); err != nil {
			w.t.Errorf("the agent ended: %v", err)
		}
	})
}

func (w *world) until(so func() bool) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); {
		if time.Now().After(end) {
			w.t.Fatal("it never came so")
		}
		time.Sleep(5 * time.Millisecond)
	}
}
