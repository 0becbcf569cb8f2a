// Package access is where engineer and hospital meet: the catalogue of scanners,
// requests, approvals, the sessions that came of them and the list of recordings.
// It keeps facts and derives every status from them and the time. It knows
// documents, people and agents by name; it parses no device protocol and decides
// nothing that counts: each document goes to the site's agent, whose verdict is
// the answer and whose words are passed on unchanged. The checks made here are a
// courtesy that answers sooner, and a fence between tenants.
//
// One request is one stored document, so that everything which may not happen
// together (approve, deny, withdraw, a second grant) is decided by one
// compare-and-set. What the agent was asked and what is stored can still part, when
// a broker dies or the store fails in between. The rules that mend it:
//
//   - Submit: the agent first, then the store. Asking again with the same bytes and
//     token ends the matter: the agent knows them and says yes again.
//   - Approve: the grant's bytes are pinned in the document before the agent sees
//     them, and stay pinned whenever its answer was lost. Only the pinned bytes can
//     be approved from then on (the documents show them to the next console), so a
//     repeated approval finds the same grant at the agent, and there is never a
//     second one. Any report of the agent about the session of a pinned grant
//     proves that it was admitted, and is recorded as that.
//   - Deny, withdraw, kill: the fact first, then the agent. What an agent could not
//     be told is owed, and Settle tells it when it is back.
package access

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// Agents reaches the agents of the sites.
type Agents interface {
	Deliver(ctx context.Context, site, agent string, d link.Deliver) (link.Verdict, error)
	End(ctx context.Context, site, agent string, e link.End) (link.Verdict, error)
	Online(site, agent string) bool
}

// Facts is where facts are kept. Its contract is package store's.
type Facts interface {
	Create(ctx context.Context, kind, id string, body []byte, ttl time.Duration, under ...string) error
	Get(ctx context.Context, kind, id string) (store.Doc, error)
	Expire(ctx context.Context, kind, id string, ttl time.Duration) error
	Put(ctx context.Context, kind, id string, edit func(old []byte) (body []byte, under []store.Under, err error)) error
}

// Listing finds documents, and waits for one to change.
type Listing interface {
	Page(ctx context.Context, kind string, names []string, after string, limit int) (docs []store.Doc, next string, err error)
	All(ctx context.Context, kind, name string) iter.Seq2[store.Doc, error]
	Extent(ctx context.Context, kind, name string) (n int64, last string, err error)
	Wait(ctx context.Context, kind, id string, since uint64) (store.Doc, error)
}

// Auditor writes an event down for good before anything follows from it. What may not be
// kept waiting is owed: it is written at once or, where the disk refuses, later.
type Auditor interface {
	Append(ctx context.Context, e witness.Event) error
	Owe(ctx context.Context, e witness.Event)
}

// Caller is somebody who signed in.
type Caller interface {
	Who() session.Person
	Is(role session.Role) bool
	At(site string) bool // works for, or services, the site
	Places() []string    // the sites by name
}

// Config is what an Access stands on.
type Config struct {
	Documents Facts
	Listing   Listing
	Agents    Agents
	Audit     Auditor // nil: nothing is written down (tests)
	Wholes    Wholes
	Issuers   func() []session.Issuer // whose client ids have a class, for display; nil: none
	// Serves says which sites the people of an issuer may know of, for those who come with
	// a key and no login; nil: every site.
	Serves  func(issuer, site string) bool
	Notices Notifier // nil: nobody is told
	Now     func() time.Time
	Log     *slog.Logger
}

// Access is the meeting place. Safe for concurrent use, also by several brokers on one store.
type Access struct {
	docs   Facts
	list   Listing
	wholes Wholes
	agents Agents
	audit  Auditor
	now    func() time.Time
	log    *slog.Logger
	issuer func() []session.Issuer
	serves func(issuer, site string) bool
	usual  *usual
	asking asking

	notifier Notifier
}

// New makes an Access.
func New(c Config) (*Access, error) {
	if c.Documents == nil || c.Listing == nil || c.Wholes == nil || c.Agents == nil {
		return nil, session.Errorf(session.Internal, "access: the configuration is not complete")
	}
	a := &Access{docs: c.Documents, list: c.Listing, wholes: c.Wholes, agents: c.Agents, audit: c.Audit, now: c.Now, log: c.Log,
		issuer: c.Issuers, serves: c.Serves, usual: newUsual(), asking: asking{of: map[desk]*queue{}}, notifier: c.Notices}
	if a.issuer == nil {
		a.issuer = func() []session.Issuer { return nil }
	}
	if a.serves == nil {
		a.serves = func(string, string) bool { return true }
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	return a, nil
}

// ErrUnknown is in the chain of errors about something that is not there, or that
// the caller may not know of: the two are never told apart.
var ErrUnknown = errors.New("unknown")

// unknown is the one answer for both.
func unknown(noun, id string) error {
	return &session.Error{Kind: session.Invalid, Message: fmt.Sprintf("There is no %s %.60s.", noun, id),
		Next: "Check the id with sallyport " + noun + "s ls.", Err: ErrUnknown}
}

func unknownRequest(id session.ID) error {
	return &session.Error{Kind: session.Invalid, Message: "There is no request " + id.Request() + ".",
		Next: "See sallyport request ls.", Err: ErrUnknown}
}

// refusal is an error of one sentence and what to do next.
func refusal(kind session.Kind, next, format string, args ...any) error {
	return &session.Error{Kind: kind, Message: fmt.Sprintf(format, args...), Next: next}
}

// said makes an error of an agent's no, in its words.
func said(v link.Verdict) error {
	e := &session.Error{Kind: v.Kind, Message: v.Message, Next: v.Next}
	if e.Kind == "" {
		e.Kind = session.Refused
	}
	if e.Message == "" {
		e.Message = "The hospital's agent refused without a reason."
	}
	return e
}

// silent makes an error of an agent that did not answer.
func silent(site string, err error) error {
	return &session.Error{Kind: session.Unreachable, Err: err,
		Message: fmt.Sprintf("The agent at %s is not connected.", site),
		Next:    "Try again in a minute; if it stays away, the hospital's IT can see why with sallyport-agent doctor."}
}

// utc is the time as it is stored: UTC, to the microsecond.
func (a *Access) utc() time.Time { return a.now().UTC().Truncate(time.Microsecond) }
