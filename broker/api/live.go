package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// Attendance follows a login after its first call.
type Attendance interface {
	// Alive says who the caller is now. It does not count as use. When the login is
	// over the error has identity.ErrNotSignedIn in its chain.
	Alive(ctx context.Context, c identity.Caller) (identity.Caller, error)
	// Use counts as use of the caller's login.
	Use(ctx context.Context, c identity.Caller) error
}

// Changes tells of what happens in the store.
type Changes interface {
	Follow(ctx context.Context, after string, kinds ...string) (*store.Follower, error)
}

// Passing keeps what lives for a moment, and counts. Its contract is package store's.
type Passing interface {
	Create(ctx context.Context, kind, id string, body []byte, ttl time.Duration, under ...string) error
	Take(ctx context.Context, kind, id string) (store.Doc, error)
	Count(ctx context.Context, key string, window time.Duration, limit int) (ok bool, wait time.Duration, err error)
}

// Streams opens streams through agents.
type Streams interface {
	Open(ctx context.Context, site, agent string, o link.Open) (net.Conn, error)
}

// Pace is how quickly the doors for live things act. Zeros are the defaults.
type Pace struct {
	Beat    time.Duration // between two signs of life of an event stream, and looks at its login; 15 s
	Calm    time.Duration // between two events about one thing; 100 ms
	Write   time.Duration // for a client to take what is sent; 10 s
	First   time.Duration // for a socket to show its ticket; 5 s
	Ping    time.Duration // between two pings of a socket; 10 s
	GiveUp  time.Duration // for a pong, or a message to leave; 20 s
	Recheck time.Duration // between two looks at a socket's login; 2 s
	Used    time.Duration // between two notes that a login is used; 1 min
	Bye     time.Duration // for a browser to take leave; 2 s
}

func (p Pace) orDefault() Pace {
	for field, otherwise := range map[*time.Duration]time.Duration{
		&p.Beat: 15 * time.Second, &p.Calm: 100 * time.Millisecond, &p.Write: 10 * time.Second, &p.First: 5 * time.Second,
		&p.Ping: 10 * time.Second, &p.GiveUp: 20 * time.Second, &p.Recheck: 2 * time.Second, &p.Used: time.Minute, &p.Bye: 2 * time.Second,
	} {
		if *field <= 0 {
			*field = otherwise
		}
	}
	return p
}

// LiveConfig is what a Live stands on.
type LiveConfig struct {
	URL     string // where people reach the broker; the one origin of sockets
	Access  *access.Access
	Logins  Attendance
	Changes Changes
	Passing Passing
	Streams Streams
	Pace    Pace
	Now     func() time.Time
	Log     *slog.Logger
}

// Live is the doors for what lasts: event streams and attached browsers.
type Live struct {
	cfg      LiveConfig
	origin   string
	streams  *crowd // event streams by person
	unproven *crowd // sockets by address
	sockets  *crowd // sockets by person
	notices  notices

	mu      sync.Mutex // guards closed and inside, and Add of running against Wait
	closed  bool
	inside  map[*stay]struct{}
	running sync.WaitGroup
}

// stay is an event stream or a socket, as Close sees it.
type stay struct{ end context.CancelCauseFunc }

// errStopping is why stays end when the broker stops.
var errStopping = &session.Error{Kind: session.Unreachable, Message: "The broker is stopping.", Next: "Try again in a moment."}

// NewLive checks the configuration. Close it.
func NewLive(c LiveConfig) (*Live, error) {
	if c.Access == nil || c.Logins == nil || c.Changes == nil || c.Passing == nil || c.Streams == nil {
		return nil, session.Errorf(session.Internal, "api: the configuration of live things is not complete")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Pace = c.Pace.orDefault()
	origin, err := originOf(c.URL)
	if err != nil {
		return nil, err
	}
	return &Live{cfg: c, origin: origin, inside: map[*stay]struct{}{},
		streams: newCrowd(maxStreams, streamsOfPerson), unproven: newCrowd(maxUnproven, unprovenOfSource), sockets: newCrowd(maxSockets, socketsOfPerson),
		notices: notices{access: c.Access, known: map[store.Change]*noted{}}}, nil
}

// Close ends every event stream and socket, and waits for them. New ones are refused.
func (l *Live) Close() {
	l.mu.Lock()
	l.closed = true
	for v := range l.inside {
		v.end(errStopping)
	}
	l.mu.Unlock()
	l.running.Wait()
}

// enter is for those whom Close ends and waits for: the context ends with it, and
// leave has to be called.
func (l *Live) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, errStopping
	}
	ctx, end := context.WithCancelCause(ctx)
	v := &stay{end}
	l.inside[v] = struct{}{}
	l.running.Add(1)
	return ctx, func() {
		end(context.Canceled)
		l.mu.Lock()
		delete(l.inside, v)
		l.mu.Unlock()
		l.running.Done()
	}, nil
}

// originOf is the origin of a URL as browsers write it.
func originOf(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", session.Errorf(session.Invalid, "%.200q is not the broker's URL", raw)
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host, nil
}

// nameOf is a person as counters know them.
func nameOf(p session.Identity) string {
	return hashOf(p.Iss + "\n" + p.Sub)
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// crowd counts who is inside: in all, by person and by issuer. The people of one issuer,
// a vendor or a hospital, have a quarter of the room together and no more.
type crowd struct {
	most, each int

	mu     sync.Mutex // guards what follows
	total  int
	inside map[session.Identity][]*guest // the one who came first comes first
	of     map[string]int                // by issuer
}

// guest is one who is inside.
type guest struct{ out func() }

func newCrowd(most, each int) *crowd {
	return &crowd{most: most, each: each, inside: map[session.Identity][]*guest{}, of: map[string]int{}}
}

// enter lets somebody in if there is room. With out, a name that is inside too often
// makes room itself: its first guest is told to go and counts no more. A name without
// an issuer is an address.
func (c *crowd) enter(name session.Identity, out func()) (leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if mine := c.inside[name]; out != nil && len(mine) >= c.each {
		first := mine[0]
		c.drop(name, first)
		first.out()
	}
	if c.total >= c.most || len(c.inside[name]) >= c.each || name.Iss != "" && c.of[name.Iss] >= max(c.most/4, 1) {
		return nil, false
	}
	c.of[name.Iss]++
	g := &guest{out: out}
	c.inside[name] = append(c.inside[name], g)
	c.total++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(name, g)
	}, true
}

// drop forgets a guest. c.mu is held.
func (c *crowd) drop(name session.Identity, g *guest) {
	for i, other := range c.inside[name] {
		if other != g {
			continue
		}
		if c.of[name.Iss]--; c.of[name.Iss] == 0 {
			delete(c.of, name.Iss)
		}
		rest := append(c.inside[name][:i:i], c.inside[name][i+1:]...)
		if c.total--; len(rest) == 0 {
			delete(c.inside, name)
		} else {
			c.inside[name] = rest
		}
		return
	}
}
