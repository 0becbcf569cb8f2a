package world

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/config"
	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/secret"
)

// issuers are the identity providers as both sides know them.
func (w *world) issuers() (vendor, hospital session.Issuer) {
	vendor = session.Issuer{
		URL: w.peers.vendor, Side: session.VendorSide, Domains: []string{"meridian.example"},
		Clients: map[string]session.ClientClass{"sallyport-cli": session.CLI, "sallyport-web": session.Web},
		Login:   "sallyport-cli", Reach: "direct", InsecureLoopback: true,
	}
	hospital = session.Issuer{
		URL: w.peers.hospital, Side: session.HospitalSide, Domains: []string{"northfield.example"},
		Clients: map[string]session.ClientClass{consoleClient: session.Console, "sallyport-web": session.Web},
		Login:   "sallyport-cli", Reach: "direct", InsecureLoopback: true,
	}
	return vendor, hospital
}

// startBroker writes the broker's configuration and keeps it running.
func (w *world) startBroker(ctx context.Context) error {
	cfg := w.brokerConfig()
	if err := writeYAML(w.path("broker.yaml"), cfg); err != nil {
		return err
	}
	w.group.Go(func() error {
		return w.keep(ctx, "broker", BrokerChild, "serve", "--until-stdin-ends", "--config", w.path("broker.yaml"))
	})
	return await(ctx, "the broker did not become ready; its log is "+w.path("logs", "broker.log"), func(ctx context.Context) error {
		return answers(ctx, w.url()+"/readyz")
	})
}

func (w *world) brokerConfig() broker.Config {
	vendor, hospital := w.issuers()
	return broker.Config{
		Node: nodeName, URL: w.url(), Listen: w.web, State: w.path("broker"),
		SSH:   broker.SSH{Listen: w.ssh, Address: w.ssh},
		Redis: broker.Redis{URL: w.peers.redis, Ephemeral: true},
		Issuers: []broker.Issuer{
			{Issuer: vendor, Sites: []string{site}},
			{Issuer: hospital, Sites: []string{site}},
		},
		Demo: &broker.Demo{Personas: webPersonas()},
		Notify: &broker.Notify{
			From: "Sallyport <sallyport@meridian.example>", Directory: w.path("mail"),
			Approvers: map[string][]string{site: approverMails()},
		},
	}
}

// approverMails are the addresses of the personas who approve.
func approverMails() []string {
	var all []string
	for _, p := range devidp.People(devidp.Hospital) {
		if slices.Contains(p.Groups, session.GroupApprovers) {
			all = append(all, p.Email)
		}
	}
	return all
}

// startAgent writes the agent's configuration, enrols it and keeps it running.
func (w *world) startAgent(ctx context.Context) error {
	if err := w.agentConfig(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(w.agent.Socket), 0o700); err != nil {
		return err
	}
	if err := writeYAML(w.path("agent.yaml"), w.agent); err != nil {
		return err
	}
	if err := w.enrol(ctx); err != nil {
		return err
	}
	w.group.Go(func() error {
		return w.keep(ctx, "agent", AgentChild, "serve", "--until-stdin-ends", "--config", w.path("agent.yaml"))
	})
	err := await(ctx, "the agent did not reach the broker; its log is "+w.path("logs", "agent.log"), func(ctx context.Context) error {
		st, err := (&console.Client{Socket: w.agent.Socket}).Status(ctx)
		if err == nil && !st.Link.Up {
			err = errors.New("not connected yet")
		}
		return err
	})
	return errors.Join(err, w.declare(ctx))
}

// declare says, as the operator of the simulated scanners, that they are in service.
func (w *world) declare(ctx context.Context) error {
	if w.o.AgentConfig != "" {
		return nil
	}
	for _, a := range w.agent.Assets {
		if len(a.Modality.Sources) == 0 {
			continue
		}
		s := console.Switch{Asset: a.Name, State: session.InService, For: serviceTime}
		operator := console.Client{Socket: w.agent.Socket}
		if _, err := operator.Set(ctx, s); err != nil {
			return err
		}
		err := await(ctx, "the simulated scanner does not come into service", func(ctx context.Context) error { // its key switch settles first
			all, err := operator.States(ctx)
			if err == nil && !slices.ContainsFunc(all, func(x console.State) bool { return x.Asset == a.Name && x.State == session.InService }) {
				err = fmt.Errorf("its state is %+v", all)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// socket is where the agent's control socket stands. The path of a unix socket is
// short (107 bytes on Linux); where the state directory's is too long, a private
// directory for temporary files takes it.
func (w *world) socket() string {
	const longest = 90
	if path := w.path("agent", "agent.sock"); len(path) <= longest {
		return path
	}
	sum := sha256.Sum256([]byte(w.o.State))
	return filepath.Join(os.TempDir(), "sallyport-"+hex.EncodeToString(sum[:8]), "agent.sock")
}

// enrol joins the broker with a fresh token. A state directory that was enrolled
// before keeps its identity, because people pinned it; only the certificate is new.
func (w *world) enrol(ctx context.Context) error {
	join, err := broker.JoinToken(ctx, w.brokerConfig(), site, agentName, false, 10*time.Minute)
	if err != nil {
		return err
	}
	_, err = agent.Enrol(ctx, w.agent, join.Token, w.path("hospital-input-identity.txt"))
	return err
}

// agentConfig is the demonstration's agent, with the simulated assets or those of
// the file that replaces them.
func (w *world) agentConfig() error {
	vendor, hospital := w.issuers()
	w.agent = agent.Config{
		Site: site, Agent: agentName, State: w.path("agent"), Socket: w.socket(),
		Nodes:   []agent.Node{{Name: nodeName, Address: w.web}},
		Issuers: []session.Issuer{vendor, hospital},
	}
	if err := w.consolePage(); err != nil {
		return err
	}
	if w.o.AgentConfig == "" {
		assets, err := w.simulatedAssets()
		w.agent.Assets = assets
		return errors.Join(err, w.agent.Validate())
	}
	file := assetsFile{base: w.agent}
	if err := config.Load(w.o.AgentConfig, &file); err != nil {
		return err
	}
	w.agent.Assets = file.Assets
	return w.agent.Validate()
}

// demoPIN signs in at the demonstration's page of the agent.
const demoPIN = "271828"

// consolePage gives the agent a page on this machine, with a PIN that everybody knows.
func (w *world) consolePage() error {
	kept, err := page.HashPIN(demoPIN)
	if err != nil {
		return err
	}
	file := w.path("agent", "secrets", "console.pin")
	if err := durable.Show(file, []byte(kept+"\n")); err != nil {
		return err
	}
	pin, err := secret.Parse("file:" + file)
	if err != nil {
		return err
	}
	w.agent.Console = page.Settings{Listen: w.console, Host: consoleHost, PIN: pin, SignIn: page.SignIn{Client: consoleClient}}
	return nil
}

// assetsFile is an --agent-config: assets only, the rest is inherited.
type assetsFile struct {
	Assets []agent.Asset `yaml:"assets"`
	base   agent.Config
}

func (f *assetsFile) Validate() error {
	whole := f.base
	whole.Assets = f.Assets
	return whole.Validate()
}

func (w *world) simulatedAssets() ([]agent.Asset, error) {
	var all []agent.Asset
	for _, s := range w.peers.scanners {
		recon, err := w.service(s.addr, deviceUser)
		if err != nil {
			return nil, err
		}
		recon.Name, recon.Protocol, recon.HostKey, recon.Login.User = s.service, session.SSH, s.hostKey, deviceUser
		a := agent.Asset{
			Name: s.asset, Label: s.label, Modality: agent.Modality{Kind: s.modality},
			Policy: agent.Policy{
				Approvals: s.approvals, Longest: "8h", Zone: "Europe/London", ConsoleKeys: session.KeysInstead,
				Accept:   session.Accept{Engineer: []session.ClientClass{session.CLI, session.Web}, Approver: []session.ClientClass{session.Console, session.Web}},
				Channels: []session.Channel{session.Exec, session.FilesIn, session.FilesOut, session.Shell},
			},
			Endpoints: []agent.Endpoint{{Name: s.endpoint, Address: loopback, Services: []agent.Service{recon}}},
		}
		if s.console != "" {
			if err := w.addWires(&a); err != nil {
				return nil, err
			}
			if err := w.addConsole(&a, s.console); err != nil {
				return nil, err
			}
		}
		all = append(all, a)
	}
	return all, nil
}

// addWires gives a scanner the operator's switch, and a key switch and a lamp that are files.
func (w *world) addWires(a *agent.Asset) error {
	a.Modality.Sources = []agent.StateSource{{Operator: true}, {KeySwitch: "file:" + w.path(keyFile)}}
	a.Lamp = &agent.Lamp{Line: "file:" + w.path(lampFile)}
	for name, says := range map[string]string{keyFile: "1\n", lampFile: "0\n"} {
		if err := os.WriteFile(w.path(name), []byte(says), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// The wires of the simulated scanner, in the state's directory.
const (
	keyFile  = "key"
	lampFile = "lamp"
)

const loopback = "127.0.0.1"

// serviceTime is for how long the operator of the demonstration declares a scanner to be in
// service: as long as an agent takes.
const serviceTime = "12h"

// service is one of a simulated device, whose login is in a secret file.
func (w *world) service(addr, secretFile string) (agent.Service, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return agent.Service{}, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return agent.Service{}, err
	}
	password, err := secret.Parse("file:" + w.path("agent", "secrets", secretFile))
	return agent.Service{Port: n, Class: session.NonDisruptive, Login: device.Login{Password: password}}, err
}

// addConsole gives a scanner its console, of which the patients' names are hidden.
func (w *world) addConsole(a *agent.Asset, addr string) error {
	console, err := w.service(addr, consoleSecret)
	if err != nil {
		return err
	}
	console.Name, console.Protocol = consoleService, session.VNC
	a.Endpoints = append(a.Endpoints, agent.Endpoint{Name: "console", Address: loopback, Services: []agent.Service{console}})
	a.Policy.Channels = append(a.Policy.Channels, session.Control, session.ClipboardIn, session.ClipboardOut)
	slices.Sort(a.Policy.Channels)
	size := simulator.ConsoleSize()
	mask := agent.Mask{Screen: fmt.Sprintf("%dx%d", size.X, size.Y)}
	for _, r := range simulator.NameBoxes() {
		mask.Boxes = append(mask.Boxes, [4]int{r.Min.X, r.Min.Y, r.Dx(), r.Dy()})
	}
	a.Masks, a.UnknownScreen = []agent.Mask{mask}, screen.Hide
	return nil
}

// await tries until a part is up, patience ends, or ctx does.
func await(ctx context.Context, otherwise string, up func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := up(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", otherwise, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, res.Status)
	}
	return nil
}

func writeYAML(path string, v any) error {
	data, err := yaml.Marshal(v)
	if err != nil {
		return err
	}
	if err := durable.MakeDir(filepath.Dir(path)); err != nil {
		return err
	}
	return durable.Show(path, data)
}
