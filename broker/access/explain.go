package access

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

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

// Target is the full name of its service.
func (r Route) Target() session.Target {
	return session.Target{Site: r.Site, Asset: r.Asset, Service: r.Service}
}

// Owner is whose key it is, and the request that brought it.
type Owner struct {
	session.Person
	Request session.ID
}

// Access explains to an engineer where their access to a service stands. The name may be a
// short form.
func (a *Access) Access(ctx context.Context, c Caller, of session.Target) (Answer, error) {
	if !of.Valid() {
		return Answer{}, noService(of)
	}
	mine, err := a.live(ctx, c.Who().Identity, of)
	if err != nil {
		return Answer{}, err
	}
	of, known, err := a.meant(ctx, of, mine, c.Places(), c.At)
	if err != nil {
		return Answer{}, err
	}
	best, found, err := a.best(ctx, c.Who().Identity, mine, of)
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
		return Answer{}, noService(of)
	default:
		return notAsked(of), nil
	}
}

// meant finds the full name of a service: among those that an engineer may know of and
// those that they asked for. A live request counts also where the catalogue has lost its
// scanner, or its short name would become another hospital's. More than one is refused.
// known says whether the catalogue has it.
func (a *Access) meant(ctx context.Context, typed session.Target, live []record, places []string, at func(site string) bool) (of session.Target, known bool, err error) {
	all, err := a.alike(ctx, Which{Site: typed.Site, Name: typed.Asset}, places, at)
	if err != nil {
		return typed, false, err
	}
	var offered, asked []session.Target
	for _, x := range all {
		for _, s := range x.Services {
			if full := x.full(s.Name); typed.Names(full) {
				offered = append(offered, full)
			}
		}
	}
	for _, r := range live {
		asked = append(asked, r.targets(typed)...)
	}
	of, found, err := typed.Choose(slices.Concat(offered, asked))
	if !found {
		return typed, false, err
	}
	return of, slices.Contains(offered, of), err
}

func noService(of session.Target) error {
	return &session.Error{Kind: session.Invalid, Err: ErrUnknown, Next: "See sallyport assets.", Message: fmt.Sprintf("There is no service %.200s.", of)}
}

func notAsked(of session.Target) Answer {
	return Answer{Site: of.Site, Asset: of.Asset, Service: of.Service, Kind: session.Denied, Message: "You have not asked for " + of.String() + ".",
		Next: "Ask with sallyport request new " + of.String() + " --reason ... --work-order ..."}
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

// Route finds the way to a service under a live grant of an engineer; its name may be a
// short form. The error's sentence is what the engineer reads in ssh.
func (a *Access) Route(ctx context.Context, engineer session.Identity, of session.Target) (Route, error) {
	if !of.Valid() {
		return Route{}, noService(of)
	}
	mine, err := a.live(ctx, engineer, of)
	if err != nil {
		return Route{}, err
	}
	of, _, err = a.meant(ctx, of, mine, []string{""}, func(site string) bool { return a.serves(engineer.Iss, site) })
	if err != nil {
		return Route{}, err
	}
	best, found, err := a.best(ctx, engineer, mine, of)
	if err != nil {
		return Route{}, err
	}
	if !found {
		return Route{}, notAsked(of).err()
	}
	if err := best.answer.err(); err != nil {
		return Route{}, err
	}
	r := best.record
	if err := a.allowed(ctx, r.doc.Site, engineer); err != nil {
		return Route{}, err
	}
	return Route{Site: r.doc.Site, Agent: r.Agent, Asset: r.doc.Asset, Service: best.answer.Service,
		Session: r.sessionID(), Request: r.id}, nil
}

// targets are the services of a request that somebody may have meant.
func (r record) targets(typed session.Target) []session.Target {
	var all []session.Target
	for _, service := range r.doc.Services {
		if x := (session.Target{Site: r.doc.Site, Asset: r.doc.Asset, Service: service}); typed.Names(x) {
			all = append(all, x)
		}
	}
	return all
}

// live are an engineer's granted and pending requests that cover a service.
func (a *Access) live(ctx context.Context, engineer session.Identity, of session.Target) ([]record, error) {
	var all []record
	for _, index := range []string{grantedOf, pendingOf} {
		for r, err := range a.all(ctx, ofEngineer(engineer), index) {
			if err != nil {
				return nil, err
			}
			if r.covers(engineer, of) {
				all = append(all, r)
			}
		}
	}
	return all, nil
}

// covers reports whether an engineer asked by this request for a service.
func (r record) covers(engineer session.Identity, of session.Target) bool {
	return r.Engineer.Identity == engineer && !r.extension() && len(r.targets(of)) > 0
}

// candidate is a request that covers a service, with what it answers.
type candidate struct {
	record record
	answer Answer
	rank   int
}

// best is the request that comes nearest to opening a service: ready, then granted but not
// usable, then waiting, then the newest of those that are over.
func (a *Access) best(ctx context.Context, engineer session.Identity, live []record, of session.Target) (best candidate, found bool, err error) {
	live = slices.DeleteFunc(slices.Clone(live), func(r record) bool { return !r.covers(engineer, of) })
	if len(live) == 0 {
		docs, _, err := a.list.Page(ctx, requestKind, []string{askedFor(engineer, of)}, "", 1)
		if err != nil {
			return candidate{}, false, err
		}
		for _, d := range docs {
			r, err := readRecord(d)
			if err != nil {
				return candidate{}, false, err
			}
			if r.covers(engineer, of) {
				live = append(live, r)
			}
		}
	}
	for i, r := range live {
		c := candidate{record: r}
		c.answer, c.rank = explain(r, r.targets(of)[0], a.agents.Online(r.doc.Site, r.Agent), a.at(ctx, r.doc))
		if i == 0 || c.rank < best.rank {
			best = c
		}
	}
	return best, len(live) > 0, nil
}

// explain says in one sentence what a request lacks to open a service now.
func explain(r record, of session.Target, online bool, now time.Time) (Answer, int) {
	name := of.String()
	again := "Ask again with sallyport request new " + name + "."
	x := Answer{Site: of.Site, Asset: of.Asset, Service: of.Service, Request: r.id.Request()}
	no := func(rank int, kind session.Kind, next, format string, args ...any) (Answer, int) {
		x.Kind, x.Next, x.Message = kind, next, fmt.Sprintf(format, args...)
		return x, rank
	}
	status := r.status(now)
	if !r.Answer.Granted.IsZero() {
		x.Session = r.sessionID().Session()
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
	case !slices.Contains(g.Services, of.Service):
		return no(3, session.Denied, again, "The hospital approved the request without %s.", of.Service)
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
