package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/lobby"
	"github.com/sallyport/sallyport/session/wording"
)

// Config is everything that an Engine needs. All fields but Busy, Idle and Modality are mandatory.
type Config struct {
	Tickets Tickets
	Lines   []Line // the protocols that are spoken here
	// Protocol is what a service of an asset speaks; empty: there is none of that name.
	Protocol func(asset, service string) session.Protocol
	// Recordings begins a recording; its header is on disk when it returns. The
	// recorder is closed with the reason for which its connection ended. One with a
	// method Lost() <-chan struct{} ends its session when that channel is closed. The
	// picture, which may be nil, is the recorder's.
	Recordings func(h recordings.Header, p recordings.Picture) (session.Recorder, error)
	// Report tells the broker of a session's change. It must not block.
	Report func(link.SessionReport)
	// Busy is told the number of live sessions whenever it changes. It must not block.
	Busy func(live int)
	// Idle is how long a connection to an asset may carry nothing; 0: as long as it likes.
	Idle func(asset string) time.Duration
	// Modality is how an asset stands; false: it has no interlock. Whoever changes that calls
	// ModalityChanged. It must not block.
	Modality func(asset string) (Modality, bool)
	// Consent is what the operator at an asset is asked before a session opens there, for
	// as long as Asking says; nil: nothing, and 0: five minutes, which is the most.
	Consent func(asset string) session.Consent
	Asking  time.Duration
	// Tries keep what engineers had of operators over restarts; nil: nothing does.
	Tries Tries
	Site  string
	Agent string // fingerprint of the agent's identity key
	// Lamp shows that somebody is connected to an asset, until off is called. It is lit before
	// a device is reached; an error opens nothing. nil: there is none.
	Lamp func(ctx context.Context, asset string) (off func(), err error)
	// Inner is the TLS of programs that attach, by the agent's identity key.
	Inner *tls.Config
	Log   *slog.Logger
	Now   func() time.Time // wall clock
}

// Engine runs the sessions of one agent. Safe for concurrent use.
type Engine struct {
	cfg   Config
	clock clock
	born  time.Time // idle times count from here

	sections sections

	mu       sync.Mutex // guards what follows; never held across I/O
	sessions map[session.ID]*liveSession
	conns    map[*Conn]struct{}
	browsers map[net.Conn]part // not zero once its line sees to its end
	linkDown time.Time         // zero: the broker is there
	closing  bool

	consents consents

	strangers *lobby.Lobby // streams on which no key was proven yet

	work sync.WaitGroup // connections, and watchers of sessions
	stop chan struct{}  // closed by Close
}

// New makes an engine. It refuses an incomplete Config.
func New(cfg Config) (*Engine, error) {
	switch {
	case cfg.Tickets == nil || cfg.Protocol == nil || len(cfg.Lines) == 0:
		return nil, errors.New("engine needs tickets and lines")
	case cfg.Agent == "" || cfg.Inner == nil:
		return nil, errors.New("engine needs the agent's identity key, as a fingerprint and for TLS")
	case cfg.Recordings == nil || cfg.Report == nil || cfg.Log == nil || cfg.Now == nil:
		return nil, errors.New("engine needs recordings, reports, a log and a clock")
	}
	if cfg.Busy == nil {
		cfg.Busy = func(int) {}
	}
	if cfg.Idle == nil {
		cfg.Idle = func(string) time.Duration { return 0 }
	}
	if cfg.Modality == nil {
		cfg.Modality = func(string) (Modality, bool) { return Modality{}, false }
	}
	if cfg.Consent == nil {
		cfg.Consent = func(string) session.Consent { return session.ConsentNone }
	}
	if cfg.Asking <= 0 || cfg.Asking > askingTime {
		cfg.Asking = askingTime
	}
	if cfg.Tries == nil {
		cfg.Tries = forgetful{}
	}
	if cfg.Lamp == nil {
		cfg.Lamp = func(context.Context, string) (func(), error) { return func() {}, nil }
	}
	cfg.Lines = slices.Clone(cfg.Lines)
	return &Engine{
		cfg: cfg, clock: clock{cfg.Now}, born: time.Now(), sessions: map[session.ID]*liveSession{},
		conns: map[*Conn]struct{}{}, browsers: map[net.Conn]part{}, stop: make(chan struct{}),
		strangers: lobby.New(maxStrangers, maxStrangersEach), consents: consents{of: map[session.ID]*consent{}},
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
	conns := slices.Collect(maps.Keys(e.conns))
	for nc, known := range e.browsers {
		if known == (part{}) {
			_ = nc.Close()
		}
	}
	e.mu.Unlock()
	for _, c := range conns {
		c.Stop(session.AgentLost, wording.Farewell(session.AgentLost))
	}
	e.work.Wait()
}

func errStopping() error {
	return session.Errorf(session.Unreachable, "The hospital's agent is stopping.").WithNext("Connect again in a moment.")
}
