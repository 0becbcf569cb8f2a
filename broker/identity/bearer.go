package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/wording"
)

// login is what is kept of a login. Side and sites are read from the
// configuration at each call, so that an issuer that goes takes its people along.
type login struct {
	Person  session.Person `json:"person"`
	Groups  []string       `json:"groups"` // those that give a role
	Client  string         `json:"client"`
	Created time.Time      `json:"created"`
	Seen    time.Time      `json:"seen"`
	Agent   string         `json:"agent,omitempty"` // browser and system, in words
}

// way is one of the two ways to be signed in. Logins of both are kept by the hash of
// their secret: a bearer token, or a browser's cookie.
type way struct {
	kind           string
	idle, absolute time.Duration
	client         func(Issuer, string) bool // whether logins with a client of the issuer are of this way
}

const (
	loginKind = "login"
	webKind   = "web-login"
)

func (d *Identity) way(web bool) way {
	if web {
		return way{webKind, d.cfg.Web.Idle, d.cfg.Web.Absolute, func(i Issuer, c string) bool { return i.Clients[c] == session.Web }}
	}
	return way{loginKind, d.cfg.Idle, d.cfg.Absolute, func(i Issuer, c string) bool { return c == i.Login }}
}

// begin makes a login and its secret.
func (d *Identity) begin(ctx context.Context, c idtoken.Claims, web bool, agent string) (Granted, error) {
	now, w, token := d.cfg.Now().UTC(), d.way(web), newSecret()
	l := login{Person: shown(c.Person), Client: c.Client, Created: now, Seen: now, Agent: wording.Line(agent, maxShown)}
	for _, g := range c.Groups {
		if len(d.rules.Load().issuers[c.Iss].standing([]string{g}).roles) > 0 {
			l.Groups = append(l.Groups, g)
		}
	}
	body, err := json.Marshal(l)
	if err != nil {
		return Granted{}, fmt.Errorf("write a login: %w", err)
	}
	caller, err := d.caller(l, web, hashed(token), now)
	if err != nil {
		return Granted{}, err
	}
	if err := d.makeRoom(ctx, w, caller); err != nil {
		return Granted{}, err
	}
	if err := d.audit(ctx, d.about(witness.LoggedIn, caller, nil)...); err != nil {
		return Granted{}, err
	}
	if err := d.cfg.Sessions.Create(ctx, w.kind, caller.Login, body, w.absolute, ofPerson(caller.Identity)); err != nil {
		return Granted{}, err
	}
	d.cfg.Log.Info("signed in", "user", caller.Sub, "issuer", caller.Iss, "roles", caller.Roles, "web", web)
	return Granted{Token: token, Caller: caller}, nil
}

// newSecret draws 256 bits.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// isSecret reports whether a string has the form of a secret of ours.
func isSecret(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 32
}

// Authenticate says who holds a bearer token. Errors that a login cures have
// ErrNotSignedIn in their chain.
func (d *Identity) Authenticate(ctx context.Context, bearer string) (Caller, error) {
	return d.enter(ctx, bearer, false)
}

// enter finds the login of a secret, and notes that it was used.
func (d *Identity) enter(ctx context.Context, secret string, web bool) (Caller, error) {
	if !isSecret(secret) {
		return Caller{}, notSignedIn("You are not signed in.", nil)
	}
	caller, seen, err := d.look(ctx, hashed(secret), web)
	if err != nil {
		return Caller{}, err
	}
	if now := d.cfg.Now().UTC(); now.Sub(seen) >= seenEvery {
		err = d.seen(ctx, caller, now)
	}
	if err != nil {
		return Caller{}, err
	}
	return caller, nil
}

// look reads a login and says when it was used last.
func (d *Identity) look(ctx context.Context, id string, web bool) (Caller, time.Time, error) {
	doc, err := d.cfg.Sessions.Get(ctx, d.way(web).kind, id)
	if errors.Is(err, os.ErrNotExist) {
		return Caller{}, time.Time{}, notSignedIn("You are not signed in, or no longer.", nil)
	}
	if err != nil {
		return Caller{}, time.Time{}, err
	}
	l, err := readLogin(doc.Body)
	if err != nil {
		return Caller{}, time.Time{}, err
	}
	caller, err := d.caller(l, web, id, d.cfg.Now().UTC())
	return caller, l.Seen, err
}

// about is a person's own login: of a hospital's people an event at each of their sites, which
// read it there, of an engineer one that is theirs and the broker's.
func (d *Identity) about(what string, c Caller, details map[string]string) (events []witness.Event) {
	sites := c.Sites
	if c.Side != session.HospitalSide {
		sites = []string{""}
	}
	for _, site := range sites {
		e := witness.Event{Event: what, Site: site, Who: &c.Identity, Details: map[string]string{"client": c.Client}}
		maps.Copy(e.Details, details)
		events = append(events, e)
	}
	return events
}

// Logout ends the login of a bearer token. One that is over already is fine.
func (d *Identity) Logout(ctx context.Context, bearer string) error {
	if !isSecret(bearer) {
		return nil
	}
	return d.close(ctx, hashed(bearer), false)
}

// close ends a login, and writes that down if it was one still.
func (d *Identity) close(ctx context.Context, id string, web bool) error {
	caller, _, err := d.look(ctx, id, web)
	switch {
	case err == nil:
		err = d.audit(ctx, d.about(witness.LoggedOut, caller, nil)...)
	case errors.Is(err, ErrNotSignedIn):
		err = nil
	}
	if err != nil {
		return err
	}
	return d.cfg.Sessions.Delete(ctx, d.way(web).kind, id)
}

// seen moves the idle limit.
func (d *Identity) seen(ctx context.Context, c Caller, now time.Time) error {
	err := d.cfg.Sessions.Update(ctx, d.way(c.Web).kind, c.Login, func(old []byte) ([]byte, error) {
		l, err := readLogin(old)
		if err != nil || !l.Seen.Before(now) {
			return old, err
		}
		l.Seen = now
		return json.Marshal(l)
	})
	if errors.Is(err, os.ErrNotExist) {
		return notSignedIn("You are not signed in, or no longer.", nil)
	}
	return err
}

// caller derives who a login is at now, or why it is nobody any more.
func (d *Identity) caller(l login, web bool, id string, now time.Time) (Caller, error) {
	all := d.rules.Load().issuers[l.Person.Iss]
	w := d.way(web)
	switch {
	case !all.accepts(l.Client, w.client):
		return Caller{}, notSignedIn("Your identity provider is not one that this broker knows.", nil)
	case now.Sub(l.Seen) >= w.idle, now.Sub(l.Created) >= w.absolute, l.Created.After(now.Add(leeway)):
		return Caller{}, notSignedIn("Your login is over.", nil)
	}
	is := all.standing(l.Groups)
	return Caller{
		Person: l.Person, Side: is.side, Roles: is.roles, Sites: is.sites,
		Client: l.Client, Expires: l.Created.Add(w.absolute), Login: id, Web: web,
	}, nil
}

func readLogin(body []byte) (login, error) {
	var l login
	if err := json.Unmarshal(body, &l); err != nil {
		return login{}, session.Errorf(session.Internal, "read a login: %w", err)
	}
	return l, nil
}

// shown bounds what an issuer says for display and takes out what could move a
// terminal. Issuer and subject stay as they are.
func shown(p session.Person) session.Person {
	p.Email, p.Name = wording.Line(p.Email, maxShown), wording.Name(p.Name)
	return p
}
