package world

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// peers is what broker and agent need around them. It lives in this process.
type peers struct {
	redis    string // URL
	vendor   string // issuer URL
	hospital string // issuer URL
	scanners []scanner
}

// scanner is one simulated device and where its ssh server stands.
type scanner struct {
	asset, label, modality string
	endpoint, service      string
	approvals              int
	addr                   string
	hostKey                string // fingerprint
	console                string // address of its service console; empty: it has none to look at
}

// deviceUser is the shared account on every simulated device. Its password is
// drawn per demonstration and known to the agent alone.
const deviceUser = "svc_meridian"

// consoleAsset is the scanner that shows its console, consoleService how that is named,
// and consoleSecret the file with what their
// viewers log in with: eight characters, as VNC has them.
const (
	consoleAsset   = "NGH-PETCT1"
	consoleService = "console-vnc"
	consoleSecret  = "console"
)

// startRedis runs the store in memory. Nothing survives; the page says so.
func (w *world) startRedis(ctx context.Context) error {
	if w.o.Redis != "" {
		w.peers.redis = w.o.Redis
		return nil
	}
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return err
	}
	w.peers.redis = "redis://" + m.Addr() + "/0"
	w.group.Go(func() error {
		defer m.Close()
		tick := time.NewTicker(time.Second) // expiry in miniredis moves only when told
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				m.FastForward(time.Second)
			}
		}
	})
	return nil
}

// startIssuers runs the vendor's and the hospital's identity provider.
func (w *world) startIssuers(ctx context.Context) error {
	var err error
	if w.peers.vendor, err = w.startIssuer(ctx, devidp.Vendor, w.vendorClients()); err != nil {
		return err
	}
	w.peers.hospital, err = w.startIssuer(ctx, devidp.Hospital, w.hospitalClients())
	return err
}

func (w *world) vendorClients() []devidp.Client {
	return []devidp.Client{{ID: "sallyport-cli", Native: true}, {ID: webClient}}
}

func (w *world) hospitalClients() []devidp.Client {
	return append(w.vendorClients(), devidp.Client{ID: consoleClient, Native: true, Redirects: []string{"/cb", page.Settings{Listen: w.console, Host: consoleHost}.Redirect()}})
}

// consoleClient is the hospital's console at its identity provider: the approvers' command,
// and the agent's page.
const consoleClient = "sallyport-console"

// consoleHost is the name to which the passkeys of the agent's page are bound.
const consoleHost = "localhost"

const webClient = "sallyport-web"

func (w *world) startIssuer(ctx context.Context, side devidp.Side, clients []devidp.Client) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	issuer := "http://" + ln.Addr().String()
	for n := range clients {
		if clients[n].ID == webClient {
			clients[n].Redirects = []string{session.Issuer{URL: issuer}.WebRedirect(w.url())}
		}
	}
	idp, err := devidp.New(devidp.Config{
		Issuer: issuer, Name: side.Name(), Clients: clients, People: devidp.People(side), KeyFile: w.path("idp", string(side)+".key"),
	})
	if err != nil {
		return "", errors.Join(err, ln.Close())
	}
	w.serveHTTP(ctx, ln, idp)
	return issuer, nil
}

// serveHTTP answers on ln until ctx ends.
func (w *world) serveHTTP(ctx context.Context, ln net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	w.group.Go(func() error {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	context.AfterFunc(ctx, func() { srv.Close() })
}

// startScanners runs three scanners' reconstruction hosts; with an --agent-config
// there are none, because its assets replace them.
func (w *world) startScanners(ctx context.Context) error {
	if w.o.AgentConfig != "" {
		return nil
	}
	password := strings.ToLower(rand.Text())
	if err := durable.Show(w.path("agent", "secrets", deviceUser), []byte(password)); err != nil {
		return err
	}
	if err := durable.Show(w.path("agent", "secrets", consoleSecret), []byte(strings.ToLower(rand.Text())[:8])); err != nil {
		return err
	}
	for _, s := range []scanner{
		{asset: consoleAsset, label: "Helion 64", modality: "PT/CT", endpoint: "recon", service: "recon-ssh", approvals: 1},
		{asset: "NGH-CT2", label: "Rotor 128", modality: "CT", endpoint: "irs", service: "irs-ssh", approvals: 1},
		{asset: "NGH-MR1", label: "Fluxa 1.5", modality: "MR", endpoint: "mars", service: "mars-ssh", approvals: 2},
	} {
		if err := w.startScanner(ctx, &s, password); err != nil {
			return err
		}
		w.peers.scanners = append(w.peers.scanners, s)
	}
	return nil
}

func (w *world) startScanner(ctx context.Context, s *scanner, password string) error {
	dir := w.path("scanners", s.asset)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	dev, err := simulator.New(simulator.Config{
		Asset: session.Asset{Name: s.asset, Label: s.label, Modality: s.modality}, Host: s.endpoint, Dir: dir,
		User: deviceUser, Password: password, Log: w.o.Log,
	})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.addr, s.hostKey = ln.Addr().String(), ssh.FingerprintSHA256(dev.HostKey())
	w.group.Go(func() error { return dev.Serve(ctx, ln) })
	if s.asset != consoleAsset {
		return nil
	}
	s.console, err = w.startConsole(ctx, dev)
	return err
}

// startConsole runs a scanner's service console.
func (w *world) startConsole(ctx context.Context, dev *simulator.Scanner) (addr string, err error) {
	password, err := os.ReadFile(w.path("agent", "secrets", consoleSecret))
	if err != nil {
		return "", err
	}
	c, err := dev.Console(simulator.ConsoleConfig{Password: string(password)})
	if err != nil {
		return "", err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	w.group.Go(func() error { return c.Serve(ctx, ln) })
	return ln.Addr().String(), nil
}
