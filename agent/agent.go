// Package agent wires the hospital's side together: the link to the broker, the
// deliveries that it brings and that are checked, the ledger, the engine that runs sessions, the
// spool and the local control socket. It holds components; each decides for itself.
package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/engine/screen"
	"github.com/sallyport/sallyport/agent/engine/shell"
	"github.com/sallyport/sallyport/agent/keyring"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/agent/modality"
	"github.com/sallyport/sallyport/agent/spool"
	"github.com/sallyport/sallyport/agent/vouch"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/exchange"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/held"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/proxy"
)

// Version is what the agent says of itself on the link.
const Version = "1"

// Agent is one running agent.
type Agent struct {
	self
	counting
	cfg      Config
	log      *slog.Logger
	ledger   *ledger.Ledger
	out      *proxy.Dialer // the way out of the hospital
	client   *link.Client
	devices  *device.Devices
	states   *modality.Book
	lamps    *lamps
	engine   *engine.Engine
	spool    *spool.Spool
	quota    *spool.Quota
	unsealed *unsealed
	reporter *reporter
	consoles []*screen.Line // lines that have a screen to look at
}

// self is who an agent is, and whom it trusts, as its disk has it.
type self struct {
	state       state
	identity    ed25519.PrivateKey
	recipient   string // to which typed input is sealed
	creds       *credentials
	checkpoints *checkpoints  // of the broker's audit log
	ring        *keyring.Ring // the passkeys of its page
}

// counting is whose word counts and for what, of which Reload replaces all but the first.
type counting struct {
	wall       func() time.Time           // the machine's clock
	keys       *idtoken.KeySets           // of the identity providers, at the start
	rules      atomic.Pointer[Config]     // with what counts now of what Reload can change
	vouch      atomic.Pointer[vouch.Desk] // where the broker asks some of the identity providers
	deliveries atomic.Pointer[deliveries]
	turned     chan struct{} // holds one: the page's settings may be others
	// deciding is held shared while an approval is taken on the page: between the approval and
	// what it admits there is nothing to tell the broker.
	deciding sync.RWMutex
}

// New checks the configuration against the state on disk and returns an agent that
// can run. It takes the ledger's lock, so that no two agents share one state.
func New(cfg Config, log *slog.Logger) (*Agent, error) {
	a := &Agent{cfg: cfg, log: log, self: self{state: state{cfg.State}}, counting: counting{wall: time.Now, turned: make(chan struct{}, 1)}}
	a.rules.Store(&cfg)
	a.ring = cfg.keyring()
	var err error
	if a.identity, err = a.state.identity(); err != nil {
		return nil, err
	}
	if a.recipient, err = a.state.inputRecipient(); err != nil {
		return nil, err
	}
	if a.creds, err = loadCredentials(a.state, log); err != nil {
		return nil, err
	}
	if err := a.state.acceptConfigured(cfg.Nodes, time.Now()); err != nil {
		return nil, err
	}
	if a.checkpoints, err = openCheckpoints(a.state, time.Now, log); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(a.state.path("spool"), 0o700); err != nil {
		return nil, fmt.Errorf("make the spool: %w", err)
	}
	if a.ledger, err = ledger.Open(a.state.path("ledger")); err != nil {
		return nil, err
	}
	if err := a.assemble(); err != nil {
		return nil, errors.Join(err, a.ledger.Close())
	}
	return a, nil
}

// assemble makes the parts. The link comes first: others speak through it.
func (a *Agent) assemble() error {
	var err error
	hello := a.cfg.hello(a.identity)
	if a.out, err = proxy.New(a.cfg.Proxy); err != nil {
		return err
	}
	a.client, err = link.NewClient(link.ClientConfig{
		Nodes: a.cfg.nodes(), Certificate: a.creds.certificate, Roots: a.creds.pool, Renew: a.creds.renewed,
		Hello: func() link.Hello {
			now := hello
			now.Assets = a.rules.Load().catalogue()
			return now
		}, Handler: a, OnState: a.linkState, Trusted: a.checkpoints.trusted, Dial: a.out.Dial, Log: a.log,
	})
	if err != nil {
		return err
	}
	if err := a.makeDeliveries(); err != nil {
		return err
	}
	a.reporter = newReporter(a.ledger, func(asset, service string) session.Protocol { return a.rules.Load().protocol(asset, service) }, a.client.Report, a.log)
	keep, _ := time.ParseDuration(a.cfg.KeepRecordings)
	heads := spool.NewHeads(spool.HeadsConfig{
		Dir: a.state.path("spool"), Putter: a.client, Signer: a.identity, Pin: a.state.countersigner, Log: a.log,
	})
	a.quota = spool.NewQuota(a.state.path("spool"))
	a.spool = spool.New(a.state.path("spool"), a.client, a.log, spool.Keep(keep), spool.Countersigned(heads), spool.Refused(a.stuck))
	a.reporter.stuck, a.reporter.standings = a.spool.Troubles, a.standings
	a.reporter.answers, a.reporter.passkeys = toTell{a}, a.ring
	a.unsealed = &unsealed{log: a.log, sealed: a.spool.Kick, dirs: map[string]session.EndReason{}, recover: func(dir string, reason session.EndReason) error {
		_, err := recordings.Recover(dir, a.identity, reason)
		return err
	}}
	return a.makeEngine()
}

func (a *Agent) makeDeliveries() error {
	var err error
	if a.keys, err = a.keySets(a.cfg); err != nil {
		return err
	}
	a.vouch.Store(vouch.New(a.cfg.Issuers, a.reach(a.cfg), a.log))
	policy := a.cfg.policy(a.fingerprint())
	verifier, err := grant.NewVerifier(policy, a.keys)
	if err != nil {
		return err
	}
	a.deliveries.Store(&deliveries{verifier: verifier, ledger: a.ledger, checkpoints: a.checkpoints, changed: a.announce, now: a.now, log: a.log})
	a.ledger.LimitSessions(a.cfg.limits(policy.Assets))
	return nil
}

// keySets are the keys of a configuration's identity providers.
func (a *Agent) keySets(cfg Config) (*idtoken.KeySets, error) {
	return idtoken.NewKeySets(cfg.Issuers, a.reach(cfg))
}

// reach is how a configuration's identity providers are reached from here.
func (a *Agent) reach(cfg Config) func(session.Issuer) idtoken.Options {
	keep, _ := time.ParseDuration(cfg.JWKSMaxStale)
	return func(iss session.Issuer) idtoken.Options {
		o := idtoken.Options{MaxStale: keep, Dial: a.out.DialContext, Patience: idtoken.Patience}
		if iss.Reach == "broker" {
			// TLS to the issuer runs inside the relayed stream: the broker carries it, unread.
			o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return a.client.Relay(ctx, iss.URL) }
		}
		return o
	}
}

func (a *Agent) makeEngine() error {
	var err error
	if a.devices, err = device.New(a.cfg.targets(), a.log); err != nil {
		return err
	}
	memory := held.NewMemory(maxHeld - shell.Aside)
	ssh, err := shell.New(shell.Config{Identity: a.identity, Devices: a.devices, Memory: memory, Log: a.log})
	if err != nil {
		return err
	}
	vnc, err := screen.New(screen.Config{Protocol: session.VNC, Dial: a.dialVNC, Masks: a.devices.Masks, Memory: memory, Log: a.log})
	if err != nil {
		return err
	}
	rdp, err := screen.New(screen.Config{Protocol: session.RDP, Dial: a.dialRDP, Masks: a.devices.Masks, Memory: memory, Log: a.log})
	if err != nil {
		return err
	}
	a.consoles = []*screen.Line{vnc, rdp}
	inner, err := attach.InnerServer(a.identity)
	if err != nil {
		return err
	}
	a.states = modality.Open(a.state.path("switches.json"), a.cfg.states(a.now), a.now, a.log, func(asset string, s modality.Standing) {
		a.log.Info("modality", "asset", asset, "state", string(s.State), "says", s.Words())
		a.engine.ModalityChanged(asset)
		a.reporter.restate()
	})
	a.lamps = newLamps(a.cfg.Assets, func(asset string) bool { return a.engine.Alarm(asset) }, a.log)
	a.engine, err = engine.New(engine.Config{
		Tickets: engine.FromLedger(a.ledger), Lines: []engine.Line{ssh, vnc, rdp}, Inner: inner, Protocol: a.devices.Protocol,
		Site: a.cfg.Site, Agent: a.fingerprint(),
		Recordings: a.record, Report: a.reporter.add, Busy: a.busy, Log: a.log, Now: a.now,
		Modality: a.modality,
		Consent:  func(asset string) session.Consent { return a.rules.Load().consent(asset) },
		Idle:     func(asset string) time.Duration { return a.rules.Load().idle(asset) },
		Lamp:     a.lamps.light,
		Tries:    a.ledger,
	})
	if err != nil {
		return err
	}
	d := a.deliveries.Load()
	d.live, d.extend, d.allow, d.say = a.engine, a.engine.Extend, a.engine.AllowWatch, a.engine.Say
	d.holds = &holds{ledger: a.ledger, live: a.engine}
	return nil
}

// record begins a recording in the spool, with the papers that opened its session
// beside it. Without papers nothing is recorded, and so nothing is opened.
func (a *Agent) record(h recordings.Header, p recordings.Picture) (session.Recorder, error) {
	h.Agent = a.fingerprint()
	papers, err := a.papers(h)
	if err != nil {
		return nil, err
	}
	use, err := a.quota.Begin(h.Recording, h.Engineer.Identity)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(a.state.path("spool"), h.Recording)
	w, err := recordings.Create(dir, h, recordings.Options{
		Signer: a.identity, InputRecipient: a.recipient, OnPart: func() { use.Part(); a.spool.Kick() }, OnHead: a.spool.Head, Picture: p,
	})
	if err != nil {
		return nil, err
	}
	recorder := watched{w, dir, a.unsealed, use}
	if err := durable.Write(filepath.Join(dir, recordings.PapersPart), papers); err != nil {
		return nil, errors.Join(err, recorder.Close(session.RecorderLost))
	}
	a.spool.Kick()
	return recorder, nil
}

// papers are the documents and tokens of a recording's session, signed.
func (a *Agent) papers(h recordings.Header) ([]byte, error) {
	id, err := session.ParseSessionID(h.Session)
	if err != nil {
		return nil, err
	}
	ticket, err := a.ledger.Ticket(id)
	if err != nil {
		return nil, err
	}
	return exchange.SignPapers(a.identity, exchange.PapersOf(h, ticket.Grant()))
}

// busy keeps warm connections to the broker: two while somebody works, one otherwise.
func (a *Agent) busy(live int) { a.client.KeepSpares(1 + min(live, 1)) }

// Run serves until ctx ends, then closes every connection and seals what is open.
func (a *Agent) Run(ctx context.Context) error {
	defer a.ledger.Close()
	found, err := a.recover()
	if err != nil {
		return err
	}
	a.resume(found)
	a.client.KeepSpares(1)
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.client.Run(gctx) })
	group.Go(func() error { return a.reporter.run(gctx) })
	group.Go(func() error { return a.spool.Run(gctx) })
	group.Go(func() error { return a.unsealed.run(gctx) })
	group.Go(func() error { return console.Serve(gctx, a.cfg.Socket, controls{a}, controls{a}, controls{a}) })
	group.Go(func() error { return a.lamps.run(gctx) })
	group.Go(func() error { return a.keepPage(gctx) })
	group.Go(func() error { return a.states.Run(gctx) })
	group.Go(func() error { return a.keys.Ask(gctx) })
	group.Go(func() error { return a.keepTime(gctx) })
	a.log.Info("agent started", "site", a.cfg.Site, "agent", a.cfg.Agent, "identity", a.fingerprint(), "assets", len(a.cfg.Assets))
	<-gctx.Done()
	a.engine.Close()
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// now is the time by which people are let in and cut off: never less than what was seen.
func (a *Agent) now() time.Time { return a.ledger.Moment(a.wall()) }

// keepTime writes down how late it is, for a start over which the clock is set back.
func (a *Agent) keepTime(ctx context.Context) error {
	for tick := time.NewTicker(keepTimeEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return ctx.Err()
		case <-tick.C:
			if err := a.ledger.KeepTime(); err != nil {
				a.log.Error("the time is not on the disk", "err", err)
			}
		}
	}
}

func (a *Agent) fingerprint() string {
	return session.Fingerprint(a.identity.Public().(ed25519.PublicKey))
}

// hello is what the agent says of itself whenever it connects.
func (c *Config) hello(identity ed25519.PrivateKey) link.Hello {
	return link.Hello{
		V: link.Version, Site: c.Site, Agent: c.Agent, Boot: session.NewID().Text(), Version: Version,
		Identity: session.KeyLine(identity.Public().(ed25519.PublicKey)), Assets: c.catalogue(),
	}
}

func (a *Agent) linkState(up bool) {
	a.engine.LinkState(up, a.now())
	if up {
		a.log.Info("connected to the broker")
		a.announceGrants()
		a.reporter.restate()
		a.spool.Kick()
		return
	}
	a.log.Warn("the broker is away; live sessions have a minute")
}

// announceGrants reports every grant that stands or stood lately. A report of an
// admitted grant, opened or not, mends a yes that the broker lost.
func (a *Agent) announceGrants() {
	now := a.now()
	for _, e := range a.ledger.Entries(now) {
		s := e.Facts.Session
		if e.Session.IsZero() || !s.Ended.IsZero() && now.Sub(s.Ended) > recentEnough {
			continue
		}
		a.reporter.remind(reportOf(e))
	}
}

// announce tells the broker how a grant stands now: a live session by the engine, one
// that was never opened from the ledger. The end of a session is the engine's to tell.
func (a *Agent) announce(id session.ID) {
	if a.engine.Announce(id) {
		return
	}
	now := a.now()
	for _, e := range a.ledger.Entries(now) {
		if e.Session == id && e.Facts.Session.Opened.IsZero() {
			r := reportOf(e)
			r.Seq = uint64(max(0, now.UnixMicro()))
			a.reporter.add(r)
			return
		}
	}
}

// stuck tells the broker that something of a recording cannot be stored, with the report
// of its session.
func (a *Agent) stuck(x spool.Trouble) {
	id, err := session.ParseSessionID(x.Header.Session)
	if x.Part == "" || err != nil || a.engine.Announce(id) {
		return // the broker sees that a part arrives; and without a header nobody knows whose it is
	}
	for _, e := range a.ledger.Entries(a.now()) {
		if e.Session == id {
			a.reporter.remind(reportOf(e))
			a.reporter.kick()
			return
		}
	}
}

func reportOf(e ledger.Entry) link.SessionReport {
	s := e.Facts.Session
	return link.SessionReport{
		Session: e.Session.Session(), Request: e.Request.Request(), Asset: e.Asset, Service: e.Services[0],
		Opened: s.Opened, Deadline: s.Deadline, Frozen: e.Frozen, Ended: s.Ended, Reason: s.Reason,
	}
}

// Deliver, End and Stream are what the broker can ask: link.AgentHandler.
func (a *Agent) Deliver(ctx context.Context, d link.Deliver) link.Verdict {
	return a.deliveries.Load().deliver(ctx, d)
}

// End narrows, so it needs no token; only the reasons that a broker may give are taken.
func (a *Agent) End(_ context.Context, e link.End) link.Verdict {
	id, err := session.ParseSessionID(e.Session)
	if err == nil && e.Reason != session.KilledRemote && e.Reason != session.Completed && e.Reason != session.RevokedGrant {
		err = session.Errorf(session.Invalid, "A broker cannot end a session as %.32q", e.Reason)
	}
	if err == nil {
		err = a.engine.End(id, e.Reason, e.By.Shown())
	}
	if err != nil {
		return verdictOf(err)
	}
	return link.Verdict{OK: true}
}

// Stream serves a stream that the broker asked for. Who is at its other end shows
// in the inner SSH, or in the browser's proof: the broker's word counts for nothing.
func (a *Agent) Stream(ctx context.Context, o link.Open, conn net.Conn) {
	if o.Door == link.DoorIssuer {
		a.vouch.Load().Serve(ctx, o.Issuer, conn)
		return
	}
	a.engine.Serve(ctx, engine.Visit{Door: o.Door, Asset: o.Asset, Service: o.Service, Peer: o.Peer, By: o.By}, conn)
}
