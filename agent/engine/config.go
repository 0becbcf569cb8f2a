package engine

import (
	"crypto/ed25519"
	"errors"
	"log/slog"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"context"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// Ledger is what the engine asks of the agent's memory; see package ledger.
type Ledger interface {
	ByKeyFor(line, asset, service string, now time.Time) (ledger.Ticket, error)
	Begin(t ledger.Ticket, now time.Time) (session.SessionFacts, error)
	End(id session.ID, reason session.EndReason, now time.Time) error
	Freeze(id session.ID, causes []string, now time.Time) error
}

// Devices reaches devices for tickets; see package device.
type Devices interface {
	Dial(ctx context.Context, t ledger.Ticket, service string) (*gossh.Client, error)
}

// Config is everything that an Engine needs. All fields but Busy and Idle are mandatory.
type Config struct {
	Ledger   Ledger
	Devices  Devices
	Identity ed25519.PrivateKey // the agent's long-lived key: the SSH host key
	// Recordings begins a recording; its header is on disk when it returns. The
	// recorder is closed with the reason for which its connection ended. One with a
	// method Lost() <-chan struct{} ends its session when that channel is closed.
	Recordings func(h recordings.Header) (session.Recorder, error)
	// Report tells the broker of a session's change. It must not block.
	Report func(link.SessionReport)
	// Busy is told the number of live sessions whenever it changes. It must not block.
	Busy func(live int)
	// Idle is how long a connection to an asset may carry nothing; 0: as long as it likes.
	Idle func(asset string) time.Duration
	Site string
	Log  *slog.Logger
	Now  func() time.Time // wall clock
}

// Limits of one engine.
const (
	maxConnections = 16               // per session
	maxPerEngineer = 64               // connections of one engineer
	maxTotal       = 512              // connections altogether
	maxChannels    = 16               // open channels of one connection
	maxRejected    = 10               // refused channels, then the connection is closed
	maxTries       = 3                // keys that may fail
	handshakeTime  = 10 * time.Second // from the first byte to the proven key
	dialTime       = 15 * time.Second // device, login included; the device's own limit is lower
	linkGrace      = 60 * time.Second // the broker may be away this long
	watchEvery     = 500 * time.Millisecond
	stallTime      = 10 * time.Second       // a browser may take nothing, or send what does not fit, this long
	farewellTime   = 300 * time.Millisecond // to say last words to a blocked engineer
)

// Engine runs the sessions of one agent. Safe for concurrent use.
type Engine struct {
	cfg    Config
	rights rights
	signer gossh.Signer
	clock  clock
	born   time.Time // idle times count from here
	// remember writes down why a session is frozen.
	remember func(id session.ID, causes []string, now time.Time) error

	mu       sync.Mutex // guards what follows; never held across I/O
	sessions map[session.ID]*liveSession
	conns    map[*conn]struct{}
	seats    map[place]*seat
	sockets  map[*socket]struct{}
	linkDown time.Time // zero: the broker is there
	closing  bool

	patience patience

	work sync.WaitGroup // watchers and closers of sessions
	stop chan struct{}
}

// patience is how long browsers are waited for: to come back, and to take or make room
// for what waits.
type patience struct{ grace, stall time.Duration }

// New makes an engine. It refuses an incomplete Config.
func New(cfg Config) (*Engine, error) {
	if cfg.Ledger == nil || cfg.Devices == nil {
		return nil, errors.New("engine needs a ledger and devices")
	}
	e, err := newEngine(cfg, tickets{cfg.Ledger, cfg.Devices})
	if err != nil {
		return nil, err
	}
	e.remember = cfg.Ledger.Freeze
	return e, nil
}

func newEngine(cfg Config, r rights) (*Engine, error) {
	switch {
	case len(cfg.Identity) != ed25519.PrivateKeySize:
		return nil, errors.New("engine needs the agent's identity key")
	case cfg.Recordings == nil || cfg.Report == nil || cfg.Log == nil || cfg.Now == nil:
		return nil, errors.New("engine needs recordings, reports, a log and a clock")
	}
	if cfg.Busy == nil {
		cfg.Busy = func(int) {}
	}
	if cfg.Idle == nil {
		cfg.Idle = func(string) time.Duration { return 0 }
	}
	signer, err := gossh.NewSignerFromKey(cfg.Identity)
	if err != nil {
		return nil, err
	}
	return &Engine{
		cfg: cfg, rights: r, signer: signer, clock: clock{cfg.Now}, born: time.Now(),
		remember: func(session.ID, []string, time.Time) error { return nil },
		sessions: map[session.ID]*liveSession{}, conns: map[*conn]struct{}{},
		seats: map[place]*seat{}, sockets: map[*socket]struct{}{}, patience: patience{linkGrace, stallTime}, stop: make(chan struct{}),
	}, nil
}

// Close ends every connection, as the agent's own end does, and waits for all that
// the engine started. Sessions stay open in the ledger: a restart resumes them.
func (e *Engine) Close() {
	e.mu.Lock()
	if !e.closing {
		e.closing = true
		close(e.stop)
	}
	conns := keys(e.conns)
	for sock := range e.sockets {
		sock.abandon()
	}
	e.mu.Unlock()
	for _, c := range conns {
		c.stop(session.AgentLost, lastWords(session.AgentLost))
	}
	e.work.Wait()
}

func keys[K comparable, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
