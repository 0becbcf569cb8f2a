package hostile

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/broker/fleet"
	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/secret"
)

// siege is one agent with two devices behind it, and a broker that the test owns.
// NGH-PETCT1 wants the engineer's CLI and the hospital's console, as is the default;
// NGH-MR1 wants two approvers.
type siege struct {
	t        *testing.T
	broker   *fleet.Fleet
	vendor   *devidp.Provider
	hospital *devidp.Provider
	device   *simulator.Scanner
	mode     simulator.Mode
	state    string // the agent's directory
	agent    session.Trust
	spool    string // the agent's, on disk

	vouch  bool         // whether the agent asks the hospital's provider for the broker
	twin   bool         // whether the broker has a second node
	second *fleet.Fleet // that one
	log    session.Node // that the first node names at enrolment; may be empty
}

const (
	site, agentName = "NGH", "ngh-1"
	patience        = 30 * time.Second
)

func besiege(t *testing.T) *siege { return besiegeWith(t, simulator.Honest) }

// besiegeWith puts a device that misbehaves behind the agent.
func besiegeWith(t *testing.T, mode simulator.Mode) *siege {
	t.Helper()
	s := &siege{t: t, mode: mode}
	s.begin()
	return s
}

func (s *siege) begin() {
	t := s.t
	t.Helper()
	dir := t.TempDir() // first, so that it is removed after the agent has stopped
	s.state = filepath.Join(dir, "agent")
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })

	vendorURL := s.issuer(devidp.Vendor, &s.vendor)
	hospitalURL := s.issuer(devidp.Hospital, &s.hospital)
	cfg := agent.Config{
		Site: site, Agent: agentName, State: s.state, KeepRecordings: "1h",
		Issuers: []session.Issuer{
			{URL: vendorURL, Side: session.VendorSide, Login: "sallyport-cli", InsecureLoopback: true,
				Clients: map[string]session.ClientClass{"sallyport-cli": session.CLI, "sallyport-web": session.Web}},
			{URL: hospitalURL, Side: session.HospitalSide, Login: "sallyport-cli", InsecureLoopback: true, Vouch: s.vouch,
				Clients: map[string]session.ClientClass{"sallyport-console": session.Console, "sallyport-web": session.Web}},
		},
	}
	s.spool = filepath.Join(cfg.State, "spool")
	cfg.Assets = s.assets(ctx, dir, &running)
	s.broker = s.takeOver(ctx, dir, &cfg, "broker", s.log, &running)
	if s.twin {
		s.second = s.takeOver(ctx, dir, &cfg, "second", session.Node{}, &running)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s.enlist(ctx, cfg, dir, &running)
}

func (s *siege) issuer(side devidp.Side, into **devidp.Provider) string {
	srv := httptest.NewUnstartedServer(nil)
	url := "http://" + srv.Listener.Addr().String()
	p, err := devidp.New(devidp.Config{Issuer: url, Name: side.Name(), People: devidp.People(side), Clients: []devidp.Client{
		{ID: "sallyport-cli", Native: true}, {ID: "sallyport-console", Native: true}, {ID: "sallyport-web", Redirects: []string{"http://127.0.0.1/cb"}},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	srv.Config.Handler = p
	srv.Start()
	s.t.Cleanup(srv.Close)
	*into = p
	return url
}

// assets is one simulated device that both assets lead to.
func (s *siege) assets(ctx context.Context, dir string, running *sync.WaitGroup) []agent.Asset {
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte("device-password"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	var err error
	s.device, err = simulator.New(simulator.Config{Asset: session.Asset{Name: "NGH-PETCT1", Modality: "PT/CT"}, Dir: filepath.Join(dir, "device"), Mode: s.mode, Password: "device-password"})
	if err != nil {
		s.t.Fatal(err)
	}
	ln := s.listen()
	running.Go(func() { _ = s.device.Serve(ctx, ln) })
	password, err := secret.Parse("file:" + file)
	if err != nil {
		s.t.Fatal(err)
	}
	service := func(name string) agent.Service {
		return agent.Service{Name: name, Protocol: session.SSH, Port: ln.Addr().(*net.TCPAddr).Port, Class: session.NonDisruptive,
			Login: device.Login{User: "svc_meridian", Password: password}, HostKey: gossh.FingerprintSHA256(s.device.HostKey())}
	}
	policy := agent.Policy{Longest: "8h", Channels: []session.Channel{session.Exec, session.FilesOut, session.Shell}}
	two := policy
	two.Approvals = 2
	return []agent.Asset{
		{Name: "NGH-PETCT1", Policy: policy, Endpoints: []agent.Endpoint{{Name: "recon", Address: "127.0.0.1", Services: []agent.Service{service("recon-ssh"), service("console-ssh")}}}},
		{Name: "NGH-MR1", Policy: two, Endpoints: []agent.Endpoint{{Name: "mars", Address: "127.0.0.1", Services: []agent.Service{service("mars-ssh")}}}},
	}
}

func (s *siege) listen() net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	return ln
}

// takeOver runs the link's broker side of a node, with us in place of the broker, and
// tells the agent of it.
func (s *siege) takeOver(ctx context.Context, dir string, cfg *agent.Config, name string, log session.Node, running *sync.WaitGroup) *fleet.Fleet {
	ca, err := fleet.LoadCA(filepath.Join(dir, "ca"), time.Now)
	if err != nil {
		s.t.Fatal(err)
	}
	ln := s.listen()
	f, err := fleet.New(fleet.Config{
		Node: name, Nodes: []link.Node{{Name: name, Address: ln.Addr().String()}}, CA: ca, AuditLog: log,
		Once: &memory{}, Denied: &denyList{}, Handler: deaf{}, Now: time.Now, Log: quiet(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	context.AfterFunc(ctx, func() { ln.Close() })
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { f.ServeConn(ctx, conn) })
		}
	})
	cfg.Nodes = append(cfg.Nodes, agent.Node{Name: name, Address: ln.Addr().String()})
	return f
}

// enlist enrols the real agent and waits until it has dialled in.
func (s *siege) enlist(ctx context.Context, cfg agent.Config, dir string, running *sync.WaitGroup) {
	token, err := s.broker.JoinToken(ctx, fleet.Join{Site: site, Agent: agentName}, time.Minute)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := agent.Enrol(ctx, cfg, token, filepath.Join(dir, "input-identity")); err != nil {
		s.t.Fatal(err)
	}
	if s.agent, err = agent.Trust(cfg); err != nil {
		s.t.Fatal(err)
	}
	a, err := agent.New(cfg, quiet())
	if err != nil {
		s.t.Fatal(err)
	}
	running.Go(func() {
		if err := a.Run(ctx); err != nil {
			s.t.Errorf("the agent ended: %v", err)
		}
	})
	deadline := time.Now().Add(patience)
	for !s.broker.Online(site, agentName) || s.second != nil && !s.second.Online(site, agentName) {
		if time.Now().After(deadline) {
			s.t.Fatal("the agent never dialled in")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// deaf takes what the agent says and does nothing with it.
type deaf struct{}

func (deaf) Hello(context.Context, link.Hello) error                          { return nil }
func (deaf) Report(context.Context, string, string, link.SessionReport) error { return nil }
func (deaf) Put(_ context.Context, _, _ string, _ link.Put, body io.Reader) error {
	_, err := io.Copy(io.Discard, body)
	return err
}
func (deaf) Relay(context.Context, string, string, string) (net.Conn, error) {
	return nil, errors.New("no relay here")
}

// memory keeps join tokens.
type memory struct{ kept sync.Map }

func (m *memory) Create(_ context.Context, kind, id string, body []byte, _ time.Duration) error {
	m.kept.Store(kind+"/"+id, body)
	return nil
}

func (m *memory) Update(_ context.Context, kind, id string, edit func([]byte) ([]byte, error)) error {
	v, ok := m.kept.Load(kind + "/" + id)
	if !ok {
		return os.ErrNotExist
	}
	body, err := edit(v.([]byte))
	if err == nil {
		m.kept.Store(kind+"/"+id, body)
	}
	return err
}

func (m *memory) Take(_ context.Context, kind, id string) ([]byte, error) {
	v, ok := m.kept.LoadAndDelete(kind + "/" + id)
	if !ok {
		return nil, os.ErrNotExist
	}
	return v.([]byte), nil
}

// engineer and approver are honest people; what the broker does with their tokens is not.
func person(key string) devidp.Person {
	all := devidp.Personas()
	return all[slices.IndexFunc(all, func(p devidp.Persona) bool { return p.Key == key })].Person
}

// asked is a request as its engineer made it.
type asked struct {
	doc   []byte
	req   grant.Request
	proof grant.Proof
	key   ed25519.PrivateKey
}

// ask makes an honest request; bend may change it before it is signed.
func (s *siege) ask(bend func(*grant.Request)) asked {
	s.t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now().Unix()
	r := grant.NewRequest()
	r.Kind, r.Site, r.Asset, r.Services = "session", site, "NGH-PETCT1", []string{"recon-ssh"}
	r.Class, r.Channels = session.NonDisruptive, []session.Channel{session.Exec, session.Shell}
	r.NBF, r.EXP, r.MaxS = now, now+3600, 600
	r.Eng = session.Identity{Iss: s.vendor.Claims(person("engineer"), "sallyport-cli", "")["iss"].(string), Sub: person("engineer").Sub}
	r.Key, r.Reason, r.Ref = session.KeyLine(pub), "siege", "WO-1"
	if bend != nil {
		bend(&r)
	}
	doc, err := r.Marshal()
	if err != nil {
		s.t.Fatal(err)
	}
	salt := grant.NewSalt()
	token := s.mint(s.vendor, person("engineer"), "sallyport-cli", grant.RequestNonce(doc, salt), nil)
	return asked{doc: doc, req: r, key: key, proof: grant.Proof{Token: token, Salt: salt[:]}}
}

func (s *siege) mint(p *devidp.Provider, who devidp.Person, client, nonce string, bend func(map[string]any)) string {
	s.t.Helper()
	claims := p.Claims(who, client, nonce)
	if bend != nil {
		bend(claims)
	}
	token, err := p.Sign(nil, claims)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// grantFor is the grant that a hospital would sign for a; bend may change it.
func (s *siege) grantFor(a asked, bend func(*grant.Grant)) []byte {
	s.t.Helper()
	pub, err := session.ParseKeyLine(s.agent.Identity)
	if err != nil {
		s.t.Fatal(err)
	}
	g := grant.NewGrant()
	g.Req = hexOf(grant.RequestHash(a.doc))
	g.Site, g.Agent, g.Asset, g.Services = site, session.Fingerprint(pub), a.req.Asset, a.req.Services
	g.Class, g.Channels, g.NBF, g.EXP, g.MaxS = a.req.Class, a.req.Channels, a.req.NBF, a.req.EXP, a.req.MaxS
	if bend != nil {
		bend(&g)
	}
	doc, err := g.Marshal()
	if err != nil {
		s.t.Fatal(err)
	}
	return doc
}

// approve is an honest approver's token over a grant.
func (s *siege) approve(a asked, doc []byte, who, client string, bend func(map[string]any)) grant.Proof {
	s.t.Helper()
	salt := grant.NewSalt()
	return grant.Proof{Token: s.mint(s.hospital, person(who), client, grant.ApproveNonce(doc, a.proof.Token, salt), bend), Salt: salt[:]}
}

func (s *siege) deliver(d link.Deliver) link.Verdict {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	v, err := s.broker.Deliver(ctx, site, agentName, d)
	if err != nil {
		s.t.Fatalf("deliver: %v", err)
	}
	return v
}

func (s *siege) deliverRequest(a asked) link.Verdict {
	s.t.Helper()
	return s.deliver(link.Deliver{Kind: "request", Request: a.doc, Token: a.proof.Token, Salt: a.proof.Salt})
}

func (s *siege) deliverApproval(a asked, doc []byte, p grant.Proof) link.Verdict {
	s.t.Helper()
	return s.deliver(link.Deliver{Kind: "approval", Request: a.doc, Grant: doc, Token: p.Token, Salt: p.Salt})
}

// pend delivers an honest request, which the agent takes.
func (s *siege) pend(a asked) asked {
	s.t.Helper()
	if v := s.deliverRequest(a); !v.OK {
		s.t.Fatalf("the honest request was refused: %s", v.Message)
	}
	return a
}

// withdraw gives the engineer's share of what waits back.
func (s *siege) withdraw(a asked) {
	id, err := session.ParseText(a.req.RID)
	if err != nil {
		s.t.Fatal(err)
	}
	if v := s.deliver(link.Deliver{Kind: link.DeliverWithdraw, ID: id.Request()}); !v.OK {
		s.t.Errorf("a request that waits could not be withdrawn: %+v", v)
	}
}

// connect opens a stream to a service and tries to run a command with a key.
func (s *siege) connect(asset, service string, key ed25519.PrivateKey) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := s.broker.Open(ctx, site, agentName, link.Open{Asset: asset, Service: service, Door: link.DoorSSH})
	if err != nil {
		return err
	}
	defer conn.Close()
	signer, err := gossh.NewSignerFromKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	sc, chans, reqs, err := gossh.NewClientConn(conn, "agent", &gossh.ClientConfig{
		User: "sallyport", Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)}, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		return err
	}
	client := gossh.NewClient(sc, chans, reqs)
	defer client.Close()
	run, err := client.NewSession()
	if err != nil {
		return err
	}
	defer run.Close()
	return run.Run("swversion")
}

func hexOf(sum [32]byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*sha256.Size)
	for _, b := range sum {
		out = append(out, digits[b>>4], digits[b&15])
	}
	return string(out)
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
