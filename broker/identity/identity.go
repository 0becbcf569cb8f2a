// Package identity signs people in to the broker and says who a bearer token or a
// browser's cookie is. At the command line a person proves who they are with an ID
// token of a configured issuer, minted for this broker and for a session key that they
// hold (the nonce covers both). A browser is sent to the issuer and back, a round trip:
// state, nonce and PKCE verifier are good once, and only for the browser that left; of a
// sign-in they are sealed in the state, so that strangers have nothing written down here. Such round trips also bring the ID tokens that stand behind requests and
// approvals; what those are for is its caller's errand, bytes that come back unchanged.
// The package knows people, roles and sites; it knows nothing of requests, and nothing it
// says counts at a hospital: agents check for themselves.
package identity

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/secret"
)

// AnySite in a vendor issuer's Sites stands for every site: which hospitals admit
// this vendor is then for each hospital's agent alone to say.
const AnySite = "*"

// Issuer is an identity provider whose people may sign in, and the sites they
// work for (hospital) or service (vendor).
type Issuer struct {
	session.Issuer
	Sites  []string
	Secret secret.Reference // of the client of class web; zero: it has none
	Client *http.Client     // that talks with it; nil: directly
}

// Tokens checks ID tokens against the keys of their issuer.
type Tokens interface {
	Verify(ctx context.Context, issuer, compact string, e idtoken.Expect) (idtoken.Claims, error)
}

// Sessions is where logins are kept. Its contract is package store's.
type Sessions interface {
	Create(ctx context.Context, kind, id string, body []byte, ttl time.Duration, under ...string) error
	Get(ctx context.Context, kind, id string) (store.Doc, error)
	Update(ctx context.Context, kind, id string, edit func([]byte) ([]byte, error)) error
	Delete(ctx context.Context, kind, id string) error
}

// Shelf is the part of the store that lists a person's logins and hands round trips
// out once. Its contract is package store's.
type Shelf interface {
	Take(ctx context.Context, kind, id string) (store.Doc, error)
	All(ctx context.Context, kind, name string) iter.Seq2[store.Doc, error]
}

// Attempts limits how often something is tried.
type Attempts interface {
	Count(ctx context.Context, key string, window time.Duration, limit int) (ok bool, wait time.Duration, err error)
}

// Auditor writes an event down for good before anything follows from it.
type Auditor interface {
	Append(ctx context.Context, e witness.Event) error
}

// NonceFunc computes the login nonce: grant.Nonce with the role login.
type NonceFunc func(subject, extra, salt [32]byte) string

// Config is what an Identity stands on.
type Config struct {
	BrokerURL string // as people type it, without a trailing slash; part of every login nonce
	Issuers   []Issuer
	Tokens    Tokens
	Sessions  Sessions
	Attempts  Attempts
	Nonce     NonceFunc
	Audit     Auditor       // nil: nothing is written down (tests)
	Idle      time.Duration // default DefaultIdle
	Absolute  time.Duration // default DefaultAbsolute
	Web       Web           // of sign-ins by browser
	Now       func() time.Time
	Log       *slog.Logger
}

// Web is what sign-ins by browser stand on.
type Web struct {
	Shelf    Shelf         // nil: nobody signs in by browser, and nobody sees their logins
	Idle     time.Duration // default WebIdle
	Absolute time.Duration // default WebAbsolute
}

// Identity is the broker's door for people. Safe for concurrent use.
type Identity struct {
	cfg      Config
	rules    atomic.Pointer[rules] // replaced as a whole; see Prepare
	subject  [32]byte              // of every login nonce
	shares   *shares
	refusals *refusals
}

// rules are the issuers that count. They do not change.
type rules struct {
	issuers   map[string]entries
	providers map[string]*provider // of sign-ins by browser, by issuer
	tokens    Tokens
}

// Caller is somebody who signed in: what they may do follows from the issuer's
// side and their groups, as the configuration of now reads them.
type Caller struct {
	session.Person
	Side    session.Side
	Roles   []session.Role
	Sites   []string
	Client  string    // the OAuth client that they signed in with
	Expires time.Time // of the login, at the latest
	Login   string    // names the login; secret to nobody
	Web     bool      // signed in by browser
}

// Is reports whether the caller has a role.
func (c Caller) Is(role session.Role) bool { return slices.Contains(c.Roles, role) }

// At reports whether the caller works for, or services, a site.
func (c Caller) At(site string) bool {
	return slices.Contains(c.Sites, site) ||
		c.Side == session.VendorSide && slices.Contains(c.Sites, AnySite)
}

// May reports whether the caller has a role at a site.
func (c Caller) May(role session.Role, site string) bool { return c.Is(role) && c.At(site) }

// New checks the configuration. An issuer without sites is refused: silence must
// not mean everything.
func New(c Config) (*Identity, error) {
	if c.Tokens == nil || c.Sessions == nil || c.Attempts == nil || c.Nonce == nil {
		return nil, session.Errorf(session.Internal, "identity: the configuration is not complete")
	}
	if c.BrokerURL == "" || strings.HasSuffix(c.BrokerURL, "/") {
		return nil, session.Errorf(session.Invalid, "%q is not the broker's URL", c.BrokerURL).WithNext(
			"Give it as people type it, without a slash at the end.")
	}
	c.Idle, c.Absolute = or(c.Idle, DefaultIdle), or(c.Absolute, DefaultAbsolute)
	c.Web.Idle, c.Web.Absolute = or(c.Web.Idle, WebIdle), or(c.Web.Absolute, WebAbsolute)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Identity{cfg: c, subject: sha256.Sum256([]byte(c.BrokerURL)), shares: newShares(), refusals: newRefusals()}
	take, err := d.Prepare(c.Issuers, c.Tokens)
	if err != nil {
		return nil, err
	}
	take()
	return d, nil
}

// Prepare checks issuers, and take puts them, with who checks their tokens, in place of
// those that count. Whose issuer is gone, or names their groups in another way, is seen so
// from the next call on.
func (d *Identity) Prepare(issuers []Issuer, tokens Tokens) (take func(), err error) {
	r := &rules{issuers: map[string]entries{}, providers: map[string]*provider{}, tokens: tokens}
	for _, i := range issuers {
		if err := checkIssuer(i); err != nil {
			return nil, err
		}
		if r.issuers[i.URL], err = r.issuers[i.URL].add(i); err != nil {
			return nil, err
		}
	}
	return func() { d.rules.Store(r) }, d.openProviders(r)
}

func checkIssuer(i Issuer) error {
	var wrong string
	switch {
	case i.URL == "":
		wrong = "it has no URL"
	case i.Side != session.VendorSide && i.Side != session.HospitalSide:
		wrong = "its side is neither vendor nor hospital"
	case i.Login == "":
		wrong = "it has no login client"
	case len(i.Sites) == 0:
		wrong = "it has no sites"
	case i.Side == session.HospitalSide && slices.Contains(i.Sites, AnySite):
		wrong = "a hospital's people never decide for every site"
	}
	for _, s := range i.Sites {
		if wrong == "" && s != AnySite && !session.ValidName(s) {
			wrong = fmt.Sprintf("%q is not a site's name", s)
		}
	}
	if wrong == "" {
		return i.Check(i.URL)
	}
	return session.Errorf(session.Invalid, "the issuer %q cannot be used: %s", i.URL, wrong)
}

// roles reads groups by side: engineers come from vendors, approvers and auditors
// from hospitals, whatever else a token claims.
func (i Issuer) roles(groups []string) []session.Role {
	possible := []session.Role{session.Approver, session.Auditor}
	if i.Side == session.VendorSide {
		possible = []session.Role{session.Engineer}
	}
	return slices.DeleteFunc(possible, func(r session.Role) bool { return !slices.Contains(groups, i.Group(r)) })
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// Who is the person behind the call.
func (c Caller) Who() session.Person { return c.Person }

// Places are the names of the sites that the caller works for; it may hold AnySite.
func (c Caller) Places() []string { return slices.Clone(c.Sites) }
