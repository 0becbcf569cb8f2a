package identity

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
)

// ErrUnknown is in the chain of errors about a login or a round trip that is not
// there, or that is somebody else's: the two are never told apart.
var ErrUnknown = errors.New("unknown")

// Login is where a person is signed in.
type Login struct {
	ID      string
	Web     bool
	Agent   string // browser and system in words; "" for the command line
	Created time.Time
	Seen    time.Time // to about a minute
}

// Browser says whose browser shows a cookie. Errors that a login cures have
// ErrNotSignedIn in their chain.
func (d *Identity) Browser(ctx context.Context, cookie string) (Caller, error) {
	c, err := d.enter(ctx, cookie, true)
	return c, forBrowser(err)
}

// Look is Browser for a call that is not somebody's doing, such as the stream of news
// that a page opens again by itself: it does not count as use of the login.
func (d *Identity) Look(ctx context.Context, cookie string) (Caller, error) {
	c, err := d.glance(ctx, cookie, true)
	return c, forBrowser(err)
}

// Glance is Look for a bearer token.
func (d *Identity) Glance(ctx context.Context, bearer string) (Caller, error) {
	return d.glance(ctx, bearer, false)
}

func (d *Identity) glance(ctx context.Context, secret string, web bool) (Caller, error) {
	if !isSecret(secret) {
		return Caller{}, notSignedIn("You are not signed in.", nil)
	}
	c, _, err := d.look(ctx, hashed(secret), web)
	return c, err
}

// Alive says who a caller is now, or that their login is over. Asking does not count
// as use of the login.
func (d *Identity) Alive(ctx context.Context, c Caller) (Caller, error) {
	now, _, err := d.look(ctx, c.Login, c.Web)
	if c.Web {
		err = forBrowser(err)
	}
	return now, err
}

// Use notes that a caller's login is in use.
func (d *Identity) Use(ctx context.Context, c Caller) error {
	now, seen, err := d.look(ctx, c.Login, c.Web)
	if at := d.cfg.Now().UTC(); err == nil && at.Sub(seen) >= seenEvery {
		err = d.seen(ctx, now, at)
	}
	if c.Web {
		err = forBrowser(err)
	}
	return err
}

// Logins lists where a person is signed in, the newest use first.
func (d *Identity) Logins(ctx context.Context, c Caller) ([]Login, error) {
	var all []Login
	for _, web := range []bool{true, false} {
		docs, err := d.loginsOf(ctx, d.way(web), c)
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			l, err := readLogin(doc.Body)
			if err != nil {
				return nil, err
			}
			if _, err := d.caller(l, web, doc.ID, d.cfg.Now().UTC()); err == nil && l.Person.Identity == c.Identity {
				all = append(all, Login{ID: doc.ID, Web: web, Agent: l.Agent, Created: l.Created, Seen: l.Seen})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Login) int { return b.Seen.Compare(a.Seen) })
	return all, nil
}

// End ends one of a person's logins.
func (d *Identity) End(ctx context.Context, c Caller, id string) error {
	all, err := d.Logins(ctx, c)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(l Login) bool { return l.ID == id })
	if i < 0 {
		return (&session.Error{Kind: session.Invalid, Message: "There is no such login of yours, or no longer.", Err: ErrUnknown}).WithNext(
			"Look at the list again.")
	}
	return d.close(ctx, id, all[i].Web)
}

// EndAll ends every login of a person, this one too. A sign-in that is under way
// meanwhile is ended with them or begins after.
func (d *Identity) EndAll(ctx context.Context, c Caller) error {
	all, err := d.Logins(ctx, c)
	if err != nil {
		return err
	}
	everywhere := map[string]string{"everywhere": strconv.Itoa(len(all))}
	if err := d.audit(ctx, d.about(witness.LoggedOut, c, everywhere)...); err != nil {
		return err
	}
	for _, w := range []way{d.way(true), d.way(false)} {
		docs, err := d.loginsOf(ctx, w, c)
		if err != nil {
			return err
		}
		for _, doc := range docs {
			if err := d.cfg.Sessions.Delete(ctx, w.kind, doc.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeRoom ends a person's oldest logins where there are too many.
func (d *Identity) makeRoom(ctx context.Context, w way, c Caller) error {
	if d.cfg.Web.Shelf == nil {
		return nil
	}
	docs, err := d.loginsOf(ctx, w, c)
	if err != nil || len(docs) < maxLogins {
		return err
	}
	for _, doc := range docs[maxLogins-1:] {
		if err := d.cfg.Sessions.Delete(ctx, w.kind, doc.ID); err != nil {
			return err
		}
	}
	return nil
}

func (d *Identity) loginsOf(ctx context.Context, w way, c Caller) ([]store.Doc, error) {
	if d.cfg.Web.Shelf == nil {
		return nil, session.Errorf(session.Internal, "identity: logins cannot be listed here")
	}
	var docs []store.Doc
	for doc, err := range d.cfg.Web.Shelf.All(ctx, w.kind, ofPerson(c.Identity)) {
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// ofPerson is the name under which somebody's logins are listed.
func ofPerson(who session.Identity) string { return "person:" + hashed(who.Iss+"\n"+who.Sub) }

// forBrowser says what to do next in words for somebody who has no command line.
func forBrowser(err error) error {
	var e *session.Error
	if !errors.As(err, &e) || !strings.Contains(e.Next, "sallyport") {
		return err
	}
	return &session.Error{Kind: e.Kind, Message: e.Message, Next: "Sign in again.", Err: err}
}

// outcomeKind holds what became of round trips, until the page asks.
const outcomeKind = "web-outcome"

// outcome is what is kept of one. It is for one login, or, where there is none, for
// the browser that left.
type outcome struct {
	Login   string    `json:"login"`
	Browser string    `json:"browser"`
	Created time.Time `json:"created"`
	Body    []byte    `json:"body"`
}

// Keep keeps what became of a round trip, for ten minutes and for whoever made it. Of
// people who did not sign in it keeps no more than a network's share.
func (d *Identity) Keep(ctx context.Context, v Visit, b Callback, body []byte) error {
	if now := d.cfg.Now(); b.Login == "" && !(d.shares.told.Allow(lobby.NetworkOf(v.Address).String(), now) && d.shares.toldAll.Allow("", now)) {
		return tooOften(time.Minute / toldOfNetwork)
	}
	kept, err := json.Marshal(outcome{Login: b.Login, Browser: b.browser, Created: d.cfg.Now().UTC(), Body: body})
	if err != nil {
		return err
	}
	return d.cfg.Sessions.Create(ctx, outcomeKind, b.Trip, kept, roundTripTime)
}

// Outcome reads what became of a round trip. login names the caller's login, browser
// is what the browser holds of the trip; each may be empty.
func (d *Identity) Outcome(ctx context.Context, trip, login, browser string) ([]byte, error) {
	none := (&session.Error{Kind: session.Invalid, Message: "There is no such round trip, or no longer.", Err: ErrUnknown}).WithNext("Start again.")
	if !isSecret(trip) {
		return nil, none
	}
	doc, err := d.cfg.Sessions.Get(ctx, outcomeKind, trip)
	if isGone(err) {
		return nil, none
	}
	if err != nil {
		return nil, err
	}
	var o outcome
	if err := json.Unmarshal(doc.Body, &o); err != nil {
		return nil, session.Errorf(session.Internal, "read an outcome: %w", err)
	}
	mine := o.Login != "" && o.Login == login || o.Login == "" && isSecret(browser) && o.Browser == hashed(browser)
	if !mine || d.cfg.Now().Sub(o.Created) >= roundTripTime {
		return nil, none
	}
	return o.Body, nil
}
