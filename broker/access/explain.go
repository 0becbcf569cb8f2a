package access

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Answer says whether an engineer may connect now and, if not, what is missing.
type Answer struct {
	Ready   bool
	Pending bool // the hospital has not answered
	Kind    session.Kind
	Message string
	Next    string
	Request session.ID // zero when nothing was asked for
	Session session.ID // zero before a grant
}

// err is the answer as an error; nil when ready.
func (x Answer) err() error {
	if x.Ready {
		return nil
	}
	return &session.Error{Kind: x.Kind, Message: x.Message, Next: x.Next}
}

// Route is where a connection goes: a live grant's agent and service.
type Route struct {
	Site    string
	Agent   string
	Asset   string
	Service string
	Session session.ID
	Request session.ID
}

// Owner is whose key it is, and the request that brought it.
type Owner struct {
	session.Person
	Request session.ID
}

// Access explains to an engineer where their access to a service stands.
func (a *Access) Access(ctx context.Context, c Caller, asset, service string) (Answer, error) {
	all, err := a.catalogue(ctx)
	if err != nil {
		return Answer{}, err
	}
	host := session.HostName(asset, service)
	known := slices.ContainsFunc(all, func(x Asset) bool { return c.At(x.Site) && offers(x.Asset, host) })
	best, found, err := a.best(ctx, c.Who().Identity, host)
	if err != nil {
		return Answer{}, err
	}
	if found && best.answer.Ready {
		if err := a.allowed(ctx, best.record.doc.Site, c.Who().Identity); err != nil {
			return Answer{}, err
		}
	}
	switch {
	case found:
		return best.answer, nil
	case !known:
		return Answer{}, &session.Error{Kind: session.Invalid, Err: ErrUnknown, Next: "See sallyport assets.",
			Message: fmt.Sprintf("There is no service %.140s.", dotted(asset, service))}
	default:
		return notAsked(dotted(asset, service)), nil
	}
}

func offers(x session.Asset, host string) bool {
	return slices.ContainsFunc(x.Services, func(s session.Service) bool { return session.HostName(x.Name, s.Name) == host })
}

func notAsked(name string) Answer {
	return Answer{Kind: session.Denied, Message: "You have not asked for " + name + ".",
		Next: "Ask with sallyport request new " + name + " --reason ... --work-order ..."}
}

// KeyOwner finds the engineer of a public key line (authorized_keys form, no
// comment). A key is known from its request until a day after the request's
// window; whether it opens anything is Route's and the agent's to say.
func (a *Access) KeyOwner(ctx context.Context, line string) (Owner, error) {
	const next = "Use the key that sallyport request new made, by ssh -F with the file that sallyport ssh-config writes."
	stranger := refusal(session.Denied, next, "This key belongs to no request.")
	if len(line) > 512 || !wording.Plain(line) {
		return Owner{}, stranger
	}
	id, err := a.follow(ctx, keyKind, line)
	if errors.Is(err, os.ErrNotExist) {
		return Owner{}, stranger
	}
	if err != nil {
		return Owner{}, err
	}
	r, err := a.fetch(ctx, id)
	if errors.Is(err, ErrUnknown) || err == nil && !r.has(line) {
		return Owner{}, stranger // the request was never taken, or is another's
	}
	if err != nil {
		return Owner{}, err
	}
	if a.now().After(time.Unix(r.doc.EXP, 0).Add(keysAfter)) {
		return Owner{}, refusal(session.Expired, "Ask again with sallyport request new.", "The request of this key is long over.")
	}
	if err := a.allowed(ctx, r.doc.Site, r.Engineer.Identity); err != nil {
		return Owner{}, err
	}
	return Owner{Person: r.Engineer, Request: id}, nil
}

// Route finds the way to an ssh host name under a live grant of an engineer. The
// error's sentence is what the engineer reads in ssh.
func (a *Access) Route(ctx context.Context, engineer session.Identity, host string) (Route, error) {
	if len(host) > 130 || !wording.Plain(host) {
		return Route{}, notAsked("that").err()
	}
	best, found, err := a.best(ctx, engineer, strings.ToLower(host))
	if err != nil {
		return Route{}, err
	}
	if !found {
		service, asset, _ := strings.Cut(host, ".")
		return Route{}, notAsked(dotted(strings.ToUpper(asset), service)).err()
	}
	if err := best.answer.err(); err != nil {
		return Route{}, err
	}
	r := best.record
	if err := a.allowed(ctx, r.doc.Site, engineer); err != nil {
		return Route{}, err
	}
	return Route{Site: r.doc.Site, Agent: r.Agent, Asset: r.doc.Asset, Service: best.service,
		Session: best.answer.Session, Request: r.id}, nil
}

// candidate is a request that covers a service, with what it answers.
type candidate struct {
	record  record
	service string
	answer  Answer
	rank    int
}

// best is the engineer's request that comes nearest to opening a host: ready, then
// granted but not usable, then waiting, then the newest of the others.
func (a *Access) best(ctx context.Context, engineer session.Identity, host string) (candidate, bool, error) {
	var best candidate
	found := false
	for _, index := range []string{grantedOf, pendingOf, ""} {
		for r, err := range a.all(ctx, ofEngineer(engineer), index) {
			if err != nil {
				return candidate{}, false, err
			}
			service, covers := r.covers(host)
			if r.Engineer.Identity != engineer || !covers {
				continue
			}
			c := candidate{record: r, service: service}
			c.answer, c.rank = explain(r, service, a.agents.Online(r.doc.Site, r.Agent), a.at(ctx, r.doc))
			if !found || c.rank < best.rank {
				best, found = c, true
			}
			if index == "" {
				break // the newest of those that are over
			}
		}
		if found {
			break
		}
	}
	return best, found, nil
}

// covers finds the service of a request that an ssh host name means.
func (r record) covers(host string) (service string, ok bool) {
	i := slices.IndexFunc(r.doc.Services, func(name string) bool { return session.HostName(r.doc.Asset, name) == host })
	if i < 0 || r.extension() {
		return "", false
	}
	return r.doc.Services[i], true
}

// explain says in one sentence what a request lacks to open a service now.
func explain(r record, service string, online bool, now time.Time) (Answer, int) {
	name := dotted(r.doc.Asset, service)
	again := "Ask again with sallyport request new " + name + "."
	x := Answer{Request: r.id}
	no := func(rank int, kind session.Kind, next, format string, args ...any) (Answer, int) {
		x.Kind, x.Next, x.Message = kind, next, fmt.Sprintf(format, args...)
		return x, rank
	}
	status := r.status(now)
	if !r.Answer.Granted.IsZero() {
		x.Session = r.sessionID()
	}
	switch status {
	case session.Pending:
		x.Pending = true
		if r.Answer.Count > 0 {
			return no(2, session.Refused, "Wait with sallyport request show "+r.id.Request()+" --wait.",
				"The hospital has not answered yet: %d of %d approvers have approved.", r.Answer.Count, r.Answer.Needed)
		}
		return no(2, session.Refused, "Wait for it, or call the hospital.", "The hospital has not answered yet.")
	case session.DeniedBy:
		return no(3, session.Denied, again, "The hospital declined: %s", wording.Sentence(r.Answer.DenyReason))
	case session.Withdrawn:
		return no(3, session.Denied, again, "You took the request for %s back.", name)
	case session.Lapsed:
		if r.Answer.Granted.IsZero() {
			return no(3, session.Expired, again, "The hospital did not answer before the window ended.")
		}
		return no(3, session.Expired, again, "The window ended before anybody connected.")
	case session.Revoked:
		if x := r.Answer.Revoked; x != nil && x.Reason != "" {
			return no(3, session.Denied, "Call the hospital.", "The hospital took its approval back: %s", wording.Sentence(x.Reason))
		}
		return no(3, session.Denied, "Call the hospital.", "The hospital took its approval back.")
	case session.Closed:
		return no(3, session.Expired, again, "The session is over: %s.", wording.Ended(r.sessionFacts().WhyEnded(now)))
	case session.Approved:
	default:
		return no(3, session.Internal, "Tell whoever runs the broker.", "The request is in a state that nobody foresaw.")
	}
	g, ok := r.grant()
	switch {
	case !ok:
		return no(3, session.Internal, "Tell whoever runs the broker.", "The grant of this request cannot be read.")
	case !slices.Contains(g.Services, service):
		return no(3, session.Denied, again, "The hospital approved the request without %s.", service)
	case now.Unix() < g.NBF:
		next := "Connect then."
		if !r.opens(time.Unix(g.NBF, 0)) {
			next = "Then run sallyport activate " + r.id.Request() + " and connect."
		}
		return no(1, session.Refused, next, "The window opens at %s.", shown(time.Unix(g.NBF, 0), now))
	case r.Session.Opened.IsZero() && !r.opens(now):
		return no(1, session.Refused, "Run sallyport activate "+r.id.Request()+".",
			"The window is open; before you connect, prove once more that it is you.")
	case !online:
		return no(1, session.Unreachable, "Try again in a minute, or call the hospital.", "The agent at %s is not connected.", r.doc.Site)
	}
	x.Ready = true
	return x, 0
}
