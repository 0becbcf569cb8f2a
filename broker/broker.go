// Package broker wires the meeting place together: store, identity, access, fleet,
// vault and the doors. It holds components and decides nothing itself.
package broker

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/broker/fleet"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/notify"
	"github.com/sallyport/sallyport/broker/sshd"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/web"
	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/lobby"
	"github.com/sallyport/sallyport/session/proxy"
)

// Broker is one node.
type Broker struct {
	doors
	identities
	among
	cfg     Config
	log     *slog.Logger
	store   *store.Store
	access  *access.Access
	mail    *notify.Office // nil: nobody is written to
	fleet   *fleet.Fleet
	vault   Vault
	archive *Archive
	quota   *quota
	arrived chan arrival
}

// doors are what people and agents come in by.
type doors struct {
	port *port
	web  *http.Server
	ssh  *sshd.Server
	live *api.Live
}

// identities are who signs in, and what of that Reload replaces.
type identities struct {
	out    *proxy.Dialer    // the way to the identity providers
	keys   *idtoken.KeySets // of the identity providers, at the start
	people *identity.Identity
	rules  atomic.Pointer[Config] // with what counts now of what Reload can change
}

// among is what a node has of itself among the others: its log, its key, its signs of life.
type among struct {
	audit    *audit.Log
	signer   ed25519.PrivateKey // countersigns heads and evidence packs
	peers    *peers
	beat     beat
	presence *presence
	news     chan string // sites with a new event in the audit log
}

// New connects to the store and makes the rooms. Run opens the doors.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Broker, error) {
	if err := os.MkdirAll(cfg.State, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	st, err := openStore(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	b := &Broker{cfg: cfg, log: log, store: st, arrived: make(chan arrival, 1024), among: among{news: make(chan string, 1024), presence: newPresence()}}
	b.rules.Store(&cfg)
	if b.audit, err = b.openAudit(); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	if err := b.furnish(ctx); err != nil {
		return nil, errors.Join(err, b.audit.Close(), st.Close())
	}
	return b, nil
}

// mayLose is said wherever a configuration accepts it.
const mayLose = "A power cut may take the store's last second with it, though it was acknowledged: redis.everysec accepts that"

func openStore(ctx context.Context, cfg Config, log *slog.Logger) (*store.Store, error) {
	c := store.Config{URL: cfg.Redis.URL, User: cfg.Redis.User, Ephemeral: cfg.Redis.Ephemeral, Everysec: cfg.Redis.Everysec, Log: log}
	if c.Everysec {
		log.Warn(mayLose)
	}
	if !cfg.Redis.Password.IsZero() {
		var err error
		if c.Password, err = cfg.Redis.Password.Line(); err != nil {
			return nil, &session.Error{Kind: session.Invalid, Message: "The store's password cannot be read", Next: "Look at redis.password in the configuration.", Err: err}
		}
	}
	return store.Open(ctx, c)
}

func (b *Broker) furnish(ctx context.Context) error {
	shelves, err := vault.OpenDirectory(b.cfg.Vault)
	if err != nil {
		return err
	}
	b.vault = shelves
	b.quota = &quota{store: b.store, shares: b.cfg.VaultShares, stored: shelves.Used, open: map[string]int64{},
		disk: func() (int64, int64, bool) { return disk(b.cfg.Vault) }}
	if b.out, err = proxy.New(b.cfg.Proxy); err != nil {
		return err
	}
	if err := b.openAmongPeers(); err != nil {
		return err
	}
	ca, err := fleet.LoadCA(filepath.Join(b.cfg.State, "ca"), time.Now)
	if err != nil {
		return err
	}
	if b.fleet, err = newFleet(b.cfg, ca, b.store, b, enrolments{b.audit, b.log}, b.log); err != nil {
		return err
	}
	if b.mail, err = newOffice(b.cfg, b); err != nil {
		return err
	}
	if b.access, err = access.New(access.Config{Documents: b.store, Listing: b.store, Wholes: b.store, Agents: b.fleet, Audit: b.audit,
		Issuers: func() []session.Issuer { return b.rules.Load().pinned() },
		Serves:  func(issuer, site string) bool { return b.rules.Load().serves(issuer, site) },
		Notices: b.notifier(), Now: time.Now, Log: b.log}); err != nil {
		return err
	}
	b.archive = NewArchive(b.vault, b.signer, b.peers.logs, b.peers.Nodes, b.access)
	known := lobby.NewKnown()
	if b.ssh, err = sshd.New(sshd.Config{
		Known: known, Full: full(),
		HostKeyFile: filepath.Join(b.cfg.State, "ssh_host_ed25519_key"),
		Access:      routes{b.access}, Streams: b.fleet, Log: b.log, Now: time.Now,
	}); err != nil {
		return err
	}
	if err := b.makeWeb(); err != nil {
		return err
	}
	if err := b.joinNodes(ctx, ca); err != nil {
		return err
	}
	webTLS, err := b.cfg.webTLS()
	if err != nil {
		return err
	}
	b.port = newPort(b.fleet.TLSConfig(), webTLS, b.fleet.Serve, known, b.log)
	b.port.follow(b.web)
	return nil
}

// newFleet makes the room of the agents; the join-token command makes one too.
func newFleet(cfg Config, ca *fleet.CA, st *store.Store, h link.BrokerHandler, log fleet.Auditor, out *slog.Logger) (*fleet.Fleet, error) {
	known, moved := session.Node{}, func(string, string) {}
	if b, ok := h.(*Broker); ok && b.audit != nil {
		known, moved = b.audit.Node(), b.presence.note
	}
	return fleet.New(fleet.Config{
		AuditLog: known, Node: cfg.Node, Nodes: []link.Node{{Name: cfg.Node, Address: cfg.linkAddress()}},
		CA: ca, Once: once{st}, Denied: denied{st, new(atomic.Pointer[[]fleet.Denial])},
		Handler: h, Audit: log, Moved: moved, Now: time.Now, Log: out,
	})
}

func (b *Broker) makeWeb() error {
	ways := providers{b.out, b.fleet}
	tokens, err := ways.tokens(b.cfg.Issuers)
	if err != nil {
		return err
	}
	b.keys = tokens.keys
	idle, absolute := b.cfg.Web.durations()
	b.people, err = identity.New(identity.Config{
		Web:       identity.Web{Shelf: b.store, Idle: idle, Absolute: absolute},
		BrokerURL: b.cfg.URL, Issuers: b.cfg.signIns(ways), Tokens: tokens, Sessions: b.store, Attempts: b.store,
		Nonce: func(subject, extra, salt [32]byte) string { return grant.Nonce(grant.RoleLogin, subject, extra, salt) }, Now: time.Now, Log: b.log, Audit: b.audit,
	})
	if err != nil {
		return err
	}
	pages, err := web.New(b.cfg.URL)
	if err != nil {
		return err
	}
	if b.live, err = api.NewLive(api.LiveConfig{URL: b.cfg.URL, Access: b.access, Logins: b.people, Changes: b.store, Passing: b.store,
		Streams: b.fleet, Now: time.Now, Log: b.log}); err != nil {
		return err
	}
	handler, err := api.New(api.Config{
		Pages: pages, Web: b.cfg.browsers(b.people), Live: b.live,
		Access: b.access, Identity: b.people, Vault: b.archive, Replays: b.archive, Thumbs: b.archive, Digest: b.archive.Digest, Audit: b.peers, Node: b.cfg.Node, Version: Version,
		Checks: b.checks(), Now: time.Now,
		SSH: api.SSHDoor{Address: b.cfg.SSH.Address, HostKey: b.ssh.HostKeyLine(), HostKeyEC: b.ssh.HostKeyLineEC()}, Log: b.log,
	})
	if err != nil {
		return err
	}
	b.web = &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(b.log.Handler(), slog.LevelDebug)}
	api.Harden(b.web)
	return nil
}

// Version is what the broker says of itself.
const Version = "1"

// Run opens the doors and serves until ctx ends.
func (b *Broker) Run(ctx context.Context) error {
	defer b.store.Close()
	defer b.audit.Close()
	defer b.people.WriteRefusals(context.WithoutCancel(ctx), true)
	people, err := net.Listen("tcp", b.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for web and link: %w", err)
	}
	jump, err := net.Listen("tcp", b.cfg.SSH.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for ssh: %w", err), people.Close())
	}
	started, err := b.auditStart(ctx)
	if err != nil {
		return errors.Join(err, people.Close(), jump.Close())
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.audit.Run(gctx) })
	b.audit.Owe(ctx, started)
	group.Go(func() error { return b.fleet.Run(gctx) })
	group.Go(func() error { return b.people.Run(gctx) })
	group.Go(func() error { return b.keys.Ask(gctx) })
	group.Go(func() error { return b.settleArrivals(gctx) })
	group.Go(func() error { return b.keepWitnesses(gctx) })
	group.Go(func() error { return b.keepPresence(gctx) })
	group.Go(func() error { return b.keepBeat(gctx) })
	group.Go(func() error { return b.peers.run(gctx) })
	group.Go(func() error { return b.peers.keepCopy(gctx) })
	group.Go(func() error { return b.archive.Run(gctx, b.log) })
	if b.mail != nil {
		group.Go(func() error { return b.mail.Run(gctx) })
	}
	group.Go(func() error { return b.port.serve(gctx, people) })
	group.Go(func() error { return b.ssh.Serve(gctx, jump) })
	group.Go(func() error {
		if err := b.web.Serve(b.port.web); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-gctx.Done()
		b.live.Close() // they would never end by themselves
		drain, cancel := context.WithTimeout(context.WithoutCancel(gctx), 3*time.Second)
		defer cancel()
		if b.web.Shutdown(drain) != nil {
			return b.web.Close()
		}
		return nil
	})
	b.log.Info("broker started", "node", b.cfg.Node, "url", b.cfg.URL, "listen", b.cfg.Listen, "ssh", b.cfg.SSH.Listen)
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// webTLS is the web's own certificate; nil means plain HTTP, on loopback only.
func (c *Config) webTLS() (*tls.Config, error) {
	if c.TLS.Certificate == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLS.Certificate, c.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("load the web's certificate: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}, nil
}
