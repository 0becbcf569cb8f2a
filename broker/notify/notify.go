// Package notify tells people by e-mail what waits for them: approvers that somebody
// asks for access, engineers what the hospital decided. It knows a notice, addresses,
// an outbox in the store and how to hand a message on; it decides nothing and nothing
// depends on it.
//
// A mail leaves the house unprotected, so it says who, which scanner and for how long,
// and where to read on. What somebody typed freely - reasons above all, which may name
// a patient - is never in it. No header holds anything but addresses that were checked,
// names of scanners, and ids.
//
// The outbox: each mail is a document of the store, one a recipient, with an id that is
// a hash of what it tells whom. A second mail of the same id is not made, also for two
// days after the first was sent. Any broker of the store sends it: a lease keeps the
// others away, and lapses when its holder dies. So a mail is sent at least once, and
// again only in that case, under the same Message-ID. It is tried for a day.
package notify

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

// Event is what a notice is about.
type Event string

const (
	Asked          Event = "asked"           // to the site's approvers
	ExtensionAsked Event = "extension-asked" // to the site's approvers
	Approved       Event = "approved"        // to the engineer, as the others
	Extended       Event = "extended"
	Denied         Event = "denied"
	Proposed       Event = "proposed"
	Revoked        Event = "revoked"
	Alarm          Event = "alarm" // to the site's approvers: of a critical section
)

// Notice is something that somebody should hear of. It has no room for free text.
type Notice struct {
	Event    Event
	Request  session.ID
	Site     string
	Asset    string
	Services []string
	Channels []session.Channel
	Class    session.Class
	Work     string // order; told only if it looks like a number or a code
	Engineer session.Person
	By       session.Person // who decided
	Terms    Terms
}

// Terms are the times of a notice, in the site's zone.
type Terms struct {
	From, Until time.Time // the window: asked for, granted, or proposed; of an alarm, the critical section
	Longest     time.Duration
	Now         time.Time
}

// Mail is a message to one person.
type Mail struct {
	ID      string // of the outbox; 64 hex digits
	To      string
	Subject string
	Text    string
	Written time.Time

	about Missed // should it never leave
}

// Mailer hands one mail on. *Permanent in an error's chain says that no later try will do.
type Mailer interface {
	Send(ctx context.Context, m Mail) error
}

// Permanent is a refusal for good.
type Permanent struct{ Err error }

func (p *Permanent) Error() string { return p.Err.Error() }
func (p *Permanent) Unwrap() error { return p.Err }

// Documents is where the outbox is kept. Its contract is package store's.
type Documents interface {
	Create(ctx context.Context, kind, id string, body []byte, ttl time.Duration, under ...string) error
	Get(ctx context.Context, kind, id string) (store.Doc, error)
	Put(ctx context.Context, kind, id string, edit func(old []byte) (body []byte, under []store.Under, err error)) error
	Delete(ctx context.Context, kind, id string) error
}

// Queue lists what waits and counts what was sent.
type Queue interface {
	Page(ctx context.Context, kind string, names []string, after string, limit int) (docs []store.Doc, next string, err error)
	Count(ctx context.Context, key string, window time.Duration, limit int) (ok bool, wait time.Duration, err error)
}

// Config is what an Office stands on.
type Config struct {
	URL       string              // of the broker, where the links lead
	Approvers map[string][]string // addresses by site
	Mailer    Mailer
	Documents Documents
	Queue     Queue
	Now       func() time.Time
	Log       *slog.Logger
}

// Office writes mails and sends them. Safe for concurrent use.
type Office struct {
	cfg  Config
	kick chan struct{} // something new waits
}

// New makes an Office. Run sends what it takes.
func New(cfg Config) (*Office, error) {
	if cfg.Mailer == nil || cfg.Documents == nil || cfg.Queue == nil || cfg.URL == "" {
		return nil, session.Errorf(session.Internal, "notify: the configuration is not complete")
	}
	for site, all := range cfg.Approvers {
		for _, a := range all {
			if !ValidAddress(a) {
				return nil, session.Errorf(session.Invalid, "an approver of %.64s has no e-mail address", site)
			}
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Office{cfg: cfg, kick: make(chan struct{}, 1)}, nil
}

// Notify puts the mails of a notice into the outbox. It reports nothing: who was not
// written to is what Missed says, and reads it on the page.
func (o *Office) Notify(ctx context.Context, n Notice) {
	to := o.cfg.Approvers[n.Site]
	if !n.Event.ForApprovers() {
		to = []string{n.Engineer.Email}
	}
	text := letter(n, o.cfg.URL)
	about := Missed{Request: n.Request.Text(), Event: n.Event, At: n.Terms.Now.UTC()}
	if len(to) == 0 {
		o.miss(ctx, about, "no address of this site's approvers is configured at the broker")
	}
	if n.Event == Alarm && len(to) > 0 && !o.alarming(ctx, n, to[0], about) {
		return
	}
	var beyond *crowd
	if n.Event.ForApprovers() && n.Event != Alarm && len(to) > 0 {
		var err error
		if beyond, err = o.crowded(ctx, n, to[0]); err != nil {
			o.cfg.Log.Warn("it is not known how much somebody asked", "request", n.Request.Request(), "err", err)
		}
	}
	for _, address := range to {
		if !ValidAddress(address) {
			o.cfg.Log.Info("no mail: the engineer's identity provider gives no usable address", "request", n.Request.Request(), "event", n.Event)
			o.miss(ctx, about, "the identity provider gives no usable address")
			continue
		}
		about.To = address
		if beyond != nil {
			if err := o.together(ctx, n, *beyond, address, about); err != nil {
				o.miss(ctx, about, "the mail could not be kept")
			}
			continue
		}
		m := Mail{ID: mailID(n, address), To: address, Subject: subject(n), Text: text, Written: n.Terms.Now.UTC(), about: about}
		if err := o.post(ctx, n.Site, m); err != nil {
			o.cfg.Log.Warn("a mail could not be kept", "request", n.Request.Request(), "event", n.Event, "err", err)
			o.miss(ctx, about, "the mail could not be kept")
		}
	}
	o.wake()
}

// ForApprovers reports whether the site's approvers are told, and not the engineer.
func (e Event) ForApprovers() bool { return e == Asked || e == ExtensionAsked || e == Alarm }

func (o *Office) wake() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

var address = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// ValidAddress reports whether s is a plain e-mail address: ASCII, no quotes, no
// comments, no name beside it.
func ValidAddress(s string) bool { return len(s) <= maxAddress && address.MatchString(s) }

// subject names the scanner and the request, and nothing that anybody typed.
func subject(n Notice) string {
	what := map[Event]string{
		Asked: "access asked for", ExtensionAsked: "more time asked for", Approved: "approved", Extended: "more time granted",
		Denied: "declined", Proposed: "another window proposed", Revoked: "approval taken back", Alarm: "ALARM in a critical section",
	}[n.Event]
	return fmt.Sprintf("%s: %s (%s)", scanner(n), what, n.Request.Request())
}

// name lets a name through and nothing else.
func name(s string) string {
	if session.ValidName(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < 0x80 && session.ValidName(string(r)) || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, s[:min(len(s), 64)])
}
