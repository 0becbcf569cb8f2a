package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// loginKind holds logins by the hash of their bearer token.
const loginKind = "login"

// seenEvery is how exact the idle time is; it spares a write per call.
const seenEvery = time.Minute

// login is what is kept of a login. Side and sites are read from the
// configuration at each call, so that an issuer that goes takes its people along.
type login struct {
	Person  session.Person `json:"person"`
	Groups  []string       `json:"groups"` // those that give a role
	Client  string         `json:"client"`
	Created time.Time      `json:"created"`
	Seen    time.Time      `json:"seen"`
}

// begin makes a login and its bearer token.
func (d *Identity) begin(ctx context.Context, c idtoken.Claims) (Granted, error) {
	now := d.cfg.Now().UTC()
	var secret [32]byte
	_, _ = rand.Read(secret[:])
	token := base64.RawURLEncoding.EncodeToString(secret[:])
	l := login{Person: shown(c.Person), Client: c.Client, Created: now, Seen: now}
	for _, g := range c.Groups {
		if len(roles(session.VendorSide, []string{g})) > 0 || len(roles(session.HospitalSide, []string{g})) > 0 {
			l.Groups = append(l.Groups, g)
		}
	}
	body, err := json.Marshal(l)
	if err != nil {
		return Granted{}, fmt.Errorf("write a login: %w", err)
	}
	caller, err := d.caller(l, now)
	if err != nil {
		return Granted{}, err
	}
	if err := d.audit(ctx, d.about(witness.LoggedIn, caller)); err != nil {
		return Granted{}, err
	}
	if err := d.cfg.Sessions.Create(ctx, loginKind, hashed(token), body, d.cfg.Absolute); err != nil {
		return Granted{}, err
	}
	d.cfg.Log.Info("signed in", "user", caller.Sub, "issuer", caller.Iss, "roles", caller.Roles)
	return Granted{Token: token, Caller: caller}, nil
}

// Authenticate says who holds a bearer token. Errors that a login cures have
// ErrNotSignedIn in their chain.
func (d *Identity) Authenticate(ctx context.Context, bearer string) (Caller, error) {
	secret, err := base64.RawURLEncoding.Strict().DecodeString(bearer)
	if err != nil || len(secret) != 32 {
		return Caller{}, notSignedIn("You are not signed in.", nil)
	}
	id := hashed(bearer)
	doc, err := d.cfg.Sessions.Get(ctx, loginKind, id)
	if errors.Is(err, os.ErrNotExist) {
		return Caller{}, notSignedIn("You are not signed in, or no longer.", nil)
	}
	if err != nil {
		return Caller{}, err
	}
	l, err := readLogin(doc.Body)
	if err != nil {
		return Caller{}, err
	}
	now := d.cfg.Now().UTC()
	caller, err := d.caller(l, now)
	if err != nil {
		return Caller{}, err
	}
	if now.Sub(l.Seen) >= seenEvery {
		if err := d.seen(ctx, id, now); err != nil {
			return Caller{}, err
		}
	}
	return caller, nil
}

// about is an event of a person's own login.
func (d *Identity) about(what string, c Caller) witness.Event {
	return witness.Event{Event: what, Site: siteOf(d.issuers[c.Iss]), Who: &c.Identity, Details: map[string]string{"client": c.Client}}
}

// Logout ends a login. One that is over already is fine.
func (d *Identity) Logout(ctx context.Context, bearer string) error {
	caller, err := d.Authenticate(ctx, bearer)
	switch {
	case err == nil:
		err = d.audit(ctx, d.about(witness.LoggedOut, caller))
	case errors.Is(err, ErrNotSignedIn):
		err = nil
	}
	if err != nil {
		return err
	}
	return d.cfg.Sessions.Delete(ctx, loginKind, hashed(bearer))
}

// seen moves the idle limit.
func (d *Identity) seen(ctx context.Context, id string, now time.Time) error {
	err := d.cfg.Sessions.Update(ctx, loginKind, id, func(old []byte) ([]byte, error) {
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
func (d *Identity) caller(l login, now time.Time) (Caller, error) {
	issuer, known := d.issuers[l.Person.Iss]
	switch {
	case !known, l.Client != issuer.Login:
		return Caller{}, notSignedIn("Your identity provider is not one that this broker knows.", nil)
	case now.Sub(l.Seen) >= d.cfg.Idle, now.Sub(l.Created) >= d.cfg.Absolute, l.Created.After(now.Add(leeway)):
		return Caller{}, notSignedIn("Your login is over.", nil)
	}
	return Caller{
		Person: l.Person, Side: issuer.Side, Roles: roles(issuer.Side, l.Groups), Sites: issuer.Sites,
		Client: l.Client, Expires: l.Created.Add(d.cfg.Absolute),
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
	p.Email, p.Name = printable(p.Email), printable(p.Name)
	return p
}

// printable keeps at most 200 bytes of printable text.
func printable(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			continue
		}
		if len(string(out))+4 > 200 {
			break
		}
		out = append(out, r)
	}
	return string(out)
}
