package shell

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	devices "github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files"
	"github.com/sallyport/sallyport/session/held"
	"github.com/sallyport/sallyport/session/terminal/mirror"
)

// Devices reaches devices for tickets; see package device.
type Devices interface {
	DialSSH(ctx context.Context, t ledger.Ticket, service string) (*devices.SSH, error)
	// Passes reports whether the service may be told of a variable of this name.
	Passes(asset, service, variable string) bool
}

// Config is everything that a Line needs.
type Config struct {
	Identity ed25519.PrivateKey // the agent's long-lived key: the SSH host key, and what another is made from
	Devices  Devices
	Memory   *held.Memory // of all sessions of the agent, whatever their protocol
	Log      *slog.Logger
}

// Line speaks SSH for an engine. Safe for concurrent use.
type Line struct {
	cfg      Config
	signers  []gossh.Signer
	patience patience
	held     *held.Budget // by files
	ahead    *held.Budget // by downloads of browsers
	waiting  *held.Budget // for browsers, beyond what each has for itself
	open     tally        // channels

	mu        sync.Mutex // guards what follows; never held across I/O
	terminals map[place]*browserTerminal
	stages    map[place]*stage
}

// patience is how long browsers are waited for: to come back, and to take or make room
// for what waits.
type patience struct{ grace, stall time.Duration }

var _ engine.Line = (*Line)(nil)

// New makes a line. It refuses an incomplete Config.
func New(cfg Config) (*Line, error) {
	if len(cfg.Identity) != ed25519.PrivateKeySize || cfg.Devices == nil || cfg.Memory == nil || cfg.Log == nil {
		return nil, errors.New("line needs the agent's identity key, devices, memory and a log")
	}
	second, err := session.HostKeyEC(cfg.Identity)
	if err != nil {
		return nil, err
	}
	var signers []gossh.Signer
	for _, key := range []crypto.Signer{cfg.Identity, second} {
		signer, err := gossh.NewSignerFromSigner(key)
		if err != nil {
			return nil, err
		}
		signers = append(signers, signer)
	}
	return &Line{cfg: cfg, signers: signers, patience: patience{graceTime, stallTime}, held: files.NewBudget(), ahead: files.NewAhead(), waiting: held.New(maxWaitingSession, maxWaiting), open: newTally(cfg.Memory), terminals: map[place]*browserTerminal{}, stages: map[place]*stage{}}, nil
}

// Protocol is what this line speaks.
func (l *Line) Protocol() session.Protocol { return session.SSH }

// Picture draws the terminals of a recording, for which there is room.
func (l *Line) Picture(of *engine.Ticket) recordings.Picture {
	return mirror.NewStreamsWithin(l.room(of))
}

// room asks for the agent's memory, of which less is always given.
func (l *Line) room(of *engine.Ticket) func(was, now int) bool {
	return func(was, now int) bool { return l.cfg.Memory.Change(ownerOf(of), was, now) == nil }
}
