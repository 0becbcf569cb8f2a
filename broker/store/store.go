// Package store keeps the broker's state in Redis, the only store there is. It
// holds documents - a kind, an id and opaque bytes - and knows nothing of what
// they mean: requests, logins and catalogues are its callers' nouns.
//
// The contract, which storetest checks on every server:
//
//   - Serialisable. Create, Update, Put, Take and Delete of one document happen one
//     after the other, each wholly or not at all, whoever calls from whichever
//     broker. The function of an Update or Put sees the document that its result
//     replaces; it may run several times and must be pure. Two documents never
//     change together, save one and its parts in UpdateWhole.
//   - Indexes are true. The names under which a document stands change in the same
//     step as the document, so whatever is found under a name is found there because
//     its document says so, on every broker and after every restart. Pages are
//     cursors over an index: nothing that stands there all the while is left out or
//     told twice, whatever else changes.
//   - Durable. When a call returns nil the change is as safe as the server's
//     persistence makes it; Open looks at that and refuses a server that forgets.
//   - Honest about doubt. An error of kind Unreachable means that the change may
//     or may not have happened. Nothing is retried behind the caller's back, so a
//     retry is the caller's decision and has to be idempotent.
//   - Absent is os.ErrNotExist, taken is ErrExists, both wrapped.
//   - Replies name the document they belong to; one that names another is
//     ErrMismatch and its content is never handed out.
//
// Every transition is one compiled-in Lua script, and all keys of a script share
// the hash tag of their kind. Time to live is housekeeping and follows the
// server's clock: nothing that matters may depend on it.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/sallyport/sallyport/session"
)

// ErrExists says that a document of this kind and id is there already.
var ErrExists = fmt.Errorf("the document exists: %w", os.ErrExist)

// ErrMismatch says that a reply belongs to another document than the one asked
// for. The reply was thrown away.
var ErrMismatch = errors.New("the store answered with another document")

// Config says which server to use.
type Config struct {
	URL       string // redis://, rediss:// or unix:// as go-redis reads them
	User      string // of the server's ACL, instead of one in the URL
	Password  string // of User
	Ephemeral bool   // accept a server that forgets
	Everysec  bool   // accept one that syncs once a second, or does not say
	Prefix    string // first part of every key; default "sallyport"
	Log       *slog.Logger
}

// Store is a connection to the broker's state. Safe for concurrent use.
type Store struct {
	client redis.UniversalClient // commands
	blocks redis.UniversalClient // blocking reads of change streams only
	prefix string
	log    *slog.Logger

	stop   context.CancelFunc // ends the change readers
	owners sync.WaitGroup     // the change readers

	mu      sync.Mutex // guards closed and feeds
	life    <-chan struct{}
	closed  bool
	feeds   map[string]*feed
	readers func(func(context.Context)) // starts a reader that Close waits for
}

// Open connects and, unless c.Ephemeral, refuses a server that would forget.
func Open(ctx context.Context, c Config) (*Store, error) {
	opts, err := redis.ParseURL(c.URL)
	if err != nil {
		return nil, session.Errorf(session.Invalid, "the store's URL cannot be read").WithNext(
			"Write it as redis://host:6379/0 or unix:///run/redis/redis.sock.")
	}
	if c.User != "" {
		opts.Username, opts.Password = c.User, c.Password
	}
	s := &Store{client: connect(opts), blocks: connect(opts), prefix: c.Prefix, log: c.Log, feeds: map[string]*feed{}}
	if s.prefix == "" {
		s.prefix = "sallyport"
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.inspect(ctx, c); err != nil {
		_ = s.client.Close()
		_ = s.blocks.Close()
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.life = stop, life.Done()
	s.readers = func(read func(context.Context)) { s.owners.Go(func() { read(life) }) }
	return s, nil
}

// connect makes a client that speaks the portable subset and never repeats a
// command by itself: a repeated Create would report the first one's document as
// somebody else's.
func connect(o *redis.Options) redis.UniversalClient {
	u := &redis.UniversalOptions{
		Addrs: []string{o.Addr}, DB: o.DB, Username: o.Username, Password: o.Password,
		TLSConfig: o.TLSConfig, MaxRetries: -1, ContextTimeoutEnabled: true,
		DialTimeout: 5 * time.Second, DialerRetries: 1, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if o.Network == "unix" {
		path := o.Addr
		u.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: 5 * time.Second}
			return d.DialContext(ctx, "unix", path)
		}
	}
	return redis.NewUniversalClient(u)
}

// Close ends all waits and closes the connections.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	err := errors.Join(s.blocks.Close(), s.client.Close())
	s.owners.Wait()
	return err
}

// Ping reports whether the server answers.
func (s *Store) Ping(ctx context.Context) error {
	return lost("ask the store for a sign of life", s.client.Ping(ctx).Err())
}

// lost makes what a person reads of a store that failed; nil stays nil.
func lost(doing string, err error) error {
	if err == nil {
		return nil
	}
	message, next := "The broker's store did not answer.", "Try again in a moment; sessions that are open are not affected."
	switch {
	case redis.HasErrorPrefix(err, "NOPERM"), redis.HasErrorPrefix(err, "The user executing the script"):
		message, next = "The store does not allow the broker what it needs.", "Give the broker's user in Redis the rules that stand in deploy/README.md."
	case redis.HasErrorPrefix(err, "NOAUTH"), redis.HasErrorPrefix(err, "WRONGPASS"):
		message, next = "The store does not accept the broker's user and password.", "Compare redis.user and redis.password with the ACL file of Redis."
	case errors.Is(err, os.ErrPermission):
		message, next = "The broker may not use the store's socket.", "Put the broker's user into the socket's group, as deploy/README.md says, and start it again."
	}
	return &session.Error{Kind: session.Unreachable, Message: message, Next: next, Err: fmt.Errorf("%s: %w", doing, err)}
}

var kindShape = regexp.MustCompile(`^[a-z][a-z-]{0,31}$`)

// named checks what goes into a key. Control characters and over-long names are
// programming errors of a caller that let them through.
func named(kind string, names ...string) error {
	if !kindShape.MatchString(kind) {
		return session.Errorf(session.Internal, "store: %.40q is not a kind", kind)
	}
	for _, n := range names {
		if len(n) == 0 || len(n) > MaxName {
			return session.Errorf(session.Internal, "store: a name of %d bytes", len(n))
		}
		for i := range len(n) {
			if n[i] < 0x20 || n[i] == 0x7f {
				return session.Errorf(session.Internal, "store: a control character in a name")
			}
		}
	}
	return nil
}

// The keys of a kind. The braces make them one hash slot.
func (s *Store) key(kind, what, name string) string {
	return s.prefix + ":{" + kind + "}:" + what + ":" + name
}
func (s *Store) docKey(kind, id string) string      { return s.key(kind, "doc", id) }
func (s *Store) underKey(kind, under string) string { return s.key(kind, "under", under) }
func (s *Store) clockKey(kind string) string        { return s.key(kind, "clock", "") }
func (s *Store) changesKey(kind string) string      { return s.key(kind, "changes", "") }
