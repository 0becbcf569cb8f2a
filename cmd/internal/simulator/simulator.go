// Package simulator is a medical scanner's reconstruction host, as a service engineer
// meets it over SSH: a service shell whose values move like a live machine's, exec, and
// a home directory over sftp. All of it is synthetic: no vendor's limits, no real
// patient. It belongs to the demo and to tests and must face no network but loopback.
//
// It is also an oracle. BytesIn counts every byte that reached the device on a channel
// and Seen lists every channel and request it was asked for, so that a test can prove
// that nothing came through unrecorded or unasked.
//
// Values and the event log are functions of Config.Seed and Config.Now alone, besides
// what people did to the device (firmware, restarts, reboots).
//
// It knows SSH and the nouns of session, and nothing of broker or agent.
package simulator

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// Config of one scanner.
type Config struct {
	// Asset gives name, label and modality ("PT/CT", "CT", "MR"; others get the shell
	// without modality values). Services and policy are not used.
	Asset session.Asset
	Host  string // the host's short name in the prompt; default "recon"
	Dir   string // keeps the host key and the home directory; made if missing

	// One account. Each non-empty field enables its SSH method; at least one is needed.
	User           string          // default "svc_meridian"
	Password       string          // method password
	Keyboard       string          // method keyboard-interactive: the answer to "Password: "
	AuthorizedKeys []ssh.PublicKey // method publickey

	Mode Mode // default Honest; any other misbehaves, whatever is run
	Seed uint64
	Now  func() time.Time // default time.Now
	Pace time.Duration    // between progress lines; 0: 150 ms; negative: none
	Log  *slog.Logger     // default: silent. Never sees a password.
}

// Scanner is one simulated host. It is safe for concurrent use.
type Scanner struct {
	cfg    Config
	signer ssh.Signer
	ssh    *ssh.ServerConfig
	home   home
	book   book

	bytesIn atomic.Int64

	mu      sync.Mutex
	seen    []string
	offered []string
	conns   map[net.Conn]struct{}
	state   state
}

// state is what people did to the device since New. Scanner.mu guards it.
type state struct {
	boot     time.Time
	journal  []event              // events that people caused, oldest first
	restarts map[string]time.Time // by service name
	fw       firmware
	qc       time.Time // last run by hand; zero: the daily one
}

// New prepares a scanner: its directory, host key and account.
func New(cfg Config) (*Scanner, error) {
	cfg.Host = cmp.Or(cfg.Host, "recon")
	cfg.User = cmp.Or(cfg.User, "svc_meridian")
	cfg.Pace = cmp.Or(cfg.Pace, 150*time.Millisecond)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case !session.ValidName(cfg.Asset.Name):
		return nil, fmt.Errorf("%q cannot name an asset", cfg.Asset.Name)
	case strings.ContainsAny(cfg.User+cfg.Host, "/ \x00") || cfg.User == "." || cfg.User == "..":
		return nil, fmt.Errorf("%q or %q cannot name a user or host", cfg.User, cfg.Host)
	case cfg.Password == "" && cfg.Keyboard == "" && len(cfg.AuthorizedKeys) == 0:
		return nil, errors.New("a scanner needs a password or a key, or nobody could log in")
	case cfg.Dir == "":
		return nil, errors.New("a scanner needs a directory")
	}
	homeDir := filepath.Join(cfg.Dir, "home")
	if err := os.MkdirAll(homeDir, 0o700); err != nil {
		return nil, fmt.Errorf("make home directory: %w", err)
	}
	root, err := os.OpenRoot(homeDir)
	if err != nil {
		return nil, fmt.Errorf("open home directory: %w", err)
	}
	signer, err := hostKey(filepath.Join(cfg.Dir, "ssh_host_ed25519_key"))
	if err != nil {
		return nil, err
	}
	s := &Scanner{
		cfg: cfg, signer: signer, conns: map[net.Conn]struct{}{},
		home: home{root: root, base: "/home/" + cfg.User},
	}
	s.state.restarts = map[string]time.Time{}
	days := 1 + s.draw("uptime")%120
	s.state.boot = cfg.Now().Add(-time.Duration(days)*24*time.Hour - time.Duration(s.draw("boot")%86400)*time.Second)
	s.state.fw.slots[0] = slot{version: s.release(), verified: true}
	s.ssh = s.serverConfig()
	s.book, err = readBook(12 + 40*s.part("disk"))
	return s, err
}

// HostKey is what an agent pins.
func (s *Scanner) HostKey() ssh.PublicKey { return s.signer.PublicKey() }

// HomeDir is the real directory behind the home that people see.
func (s *Scanner) HomeDir() string { return filepath.Join(s.cfg.Dir, "home") }

// BytesIn is how many bytes peers have sent to this device on channels, as data or
// extended data, read by a program or not. While a program does not read, bytes beyond
// the first 64 KiB wait in SSH's window and count when it ends; once a channel has closed
// the count of it is exact.
func (s *Scanner) BytesIn() int64 { return s.bytesIn.Load() }

// Seen lists what peers asked for, in order, refused or not: "open TYPE" for a channel,
// "global TYPE" for a global request, "request TYPE detail" on a channel, where detail
// is a command, subsystem, signal, variable or terminal size. It keeps the first 10,000.
func (s *Scanner) Seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Offered lists what peers tried to log in with: method, user and, of a public key, its
// fingerprint. Never a secret. It keeps the first 10,000.
func (s *Scanner) Offered() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.offered)
}

// change looks at what people did to the device, or adds to it.
func (s *Scanner) change(do func(*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(&s.state)
}

func (s *Scanner) note(list *[]string, format string, args ...any) {
	entry := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(*list) < maxSeen {
		*list = append(*list, entry)
	}
}

// hostKey loads the key of file or makes one there. OpenSSH and agents pin it, so it
// outlives restarts.
func hostKey(file string) (ssh.Signer, error) {
	if err := durable.Once(file, 0o600, newHostKey); err != nil {
		return nil, fmt.Errorf("save host key: %w", err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read host key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("host key %s: %w", file, err)
	}
	return signer, nil
}

func newHostKey() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make host key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, "simulator")
	if err != nil {
		return nil, fmt.Errorf("encode host key: %w", err)
	}
	return pem.EncodeToMemory(block), nil
}
