// Package devidp is a development OpenID provider: the vendor's and the hospital's
// sign-in of the demo and of tests. It has no passwords - whoever opens the page
// chooses who to be - and must never face people or devices outside the machine it
// runs on. In everything else it behaves as a strict real provider does: the
// authorization code flow alone, PKCE S256, exact redirects, single-use codes, an
// RFC 9207 issuer in each redirect, a signed-in session that silent requests reuse.
//
// An authorization URL whose login_hint is the e-mail of a known person signs that
// person in without a page, so that a script can drive every login with a client
// that follows redirects.
//
// It knows OpenID Connect and its configured people, and nothing of Sallyport but
// the names of the groups. Broker and agent never link it.
package devidp

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Client is one OpenID Connect client. All clients are public: none has a secret.
type Client struct {
	ID string
	// Native clients redirect to any port of http://127.0.0.1 or http://[::1]; their
	// Redirects are paths ("/callback"), and with none any path is right; one that is a whole
	// https URL is for a page beside the program. Of other clients each redirect is a whole
	// URL. Whole ones are compared byte by byte.
	Native    bool
	Redirects []string
}

// Person is somebody who can sign in here.
type Person struct {
	Sub    string // stable and opaque; unique
	Email  string // unique; also the login_hint
	Name   string
	Title  string // shown on the page only, never a claim
	Groups []string
}

// Config of one issuer.
type Config struct {
	// Issuer is the URL in iss: https, or http on a loopback address; no slash at its end.
	// A path in it is a prefix of everything the Provider serves.
	Issuer  string
	Name    string // of the organisation, for the page
	Clients []Client
	People  []Person
	// KeyFile keeps the signing key over restarts (PEM, mode 0600). Without one, it is
	// made at each start.
	KeyFile string
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default: silent. Never sees a code, token or cookie.
}

// Provider serves one issuer. It is an http.Handler, safe for concurrent use.
type Provider struct {
	cfg     Config
	mux     *http.ServeMux
	cookie  string
	clients map[string]Client
	key     signingKey
	page    pages

	mu       sync.Mutex
	codes    map[string]code     // by SHA-256 of the code
	sessions map[string]signedIn // by SHA-256 of the cookie
}

// signedIn is a browser's session with this issuer.
type signedIn struct {
	sub  string
	at   time.Time // auth_time
	ends time.Time
}

// New checks the configuration and loads or makes the signing key.
func New(cfg Config) (*Provider, error) {
	u, err := checkIssuer(cfg.Issuer)
	if err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Provider{
		cfg: cfg, mux: http.NewServeMux(), cookie: cookieName(cfg.Issuer),
		clients: map[string]Client{}, codes: map[string]code{}, sessions: map[string]signedIn{},
	}
	if err := p.checkPeople(); err != nil {
		return nil, err
	}
	if err := p.checkClients(); err != nil {
		return nil, err
	}
	if p.page, err = loadPages(); err != nil {
		return nil, err
	}
	if p.key, err = loadKey(cfg.KeyFile); err != nil {
		return nil, err
	}
	p.routes(u.Path)
	return p, nil
}

// Issuer is the configured issuer URL.
func (p *Provider) Issuer() string { return p.cfg.Issuer }

// ServeHTTP answers below the issuer's path.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	p.mux.ServeHTTP(w, r)
}

func (p *Provider) routes(prefix string) {
	p.mux.HandleFunc("GET "+prefix+"/.well-known/openid-configuration", p.discovery)
	p.mux.HandleFunc("GET "+prefix+"/jwks", p.jwks)
	p.mux.HandleFunc("GET "+prefix+"/authorize", p.authorize)
	p.mux.HandleFunc("POST "+prefix+"/authorize", p.authorize)
	p.mux.HandleFunc("POST "+prefix+"/token", p.token)
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                p.cfg.Issuer,
		"authorization_endpoint":                p.cfg.Issuer + "/authorize",
		"token_endpoint":                        p.cfg.Issuer + "/token",
		"jwks_uri":                              p.cfg.Issuer + "/jwks",
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query"},
		"grant_types_supported":                 []string{"authorization_code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "email", "profile", "groups"},
		"token_endpoint_auth_methods_supported": []string{"none"},
		"code_challenge_methods_supported":      []string{"S256"},
		"prompt_values_supported":               []string{"none", "login"},
		"request_parameter_supported":           false,
		"request_uri_parameter_supported":       false,

		"authorization_response_iss_parameter_supported": true,
		"claims_supported": []string{
			"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce",
			"email", "email_verified", "name", "groups",
		},
	})
}

// checkIssuer accepts https anywhere and http on loopback only.
func checkIssuer(issuer string) (*url.URL, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	switch {
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, fmt.Errorf("issuer %q must be scheme, host and path alone", issuer)
	case strings.HasSuffix(issuer, "/"):
		return nil, fmt.Errorf("issuer %q must not end with a slash", issuer)
	case u.Path != "" && strings.ContainsAny(u.Path, "{}% "):
		return nil, fmt.Errorf("issuer %q has an unusable path", issuer)
	case u.Scheme == "https":
		return u, nil
	case u.Scheme == "http" && session.Loopback(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("issuer %q must be https, or http on a loopback address", issuer)
}

func (p *Provider) checkPeople() error {
	subs, mails := map[string]bool{}, map[string]bool{}
	for _, person := range p.cfg.People {
		mail := strings.ToLower(person.Email)
		if person.Sub == "" || mail == "" || subs[person.Sub] || mails[mail] {
			return fmt.Errorf("person %q needs a sub and an e-mail of their own", person.Name)
		}
		subs[person.Sub], mails[mail] = true, true
	}
	if len(subs) == 0 {
		return errors.New("an issuer needs people")
	}
	return nil
}

func (p *Provider) checkClients() error {
	for _, c := range p.cfg.Clients {
		if _, twice := p.clients[c.ID]; c.ID == "" || twice {
			return fmt.Errorf("client %q needs an id of its own", c.ID)
		}
		if !c.Native && len(c.Redirects) == 0 {
			return fmt.Errorf("client %q is not native and needs its redirects", c.ID)
		}
		if c.Native && slices.ContainsFunc(c.Redirects, func(s string) bool { return !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "https://") }) {
			return fmt.Errorf("client %q is native: its redirects are paths", c.ID)
		}
		p.clients[c.ID] = c
	}
	if len(p.clients) == 0 {
		return errors.New("an issuer needs clients")
	}
	return nil
}

// person finds somebody by sub.
func (p *Provider) person(sub string) (Person, bool) {
	i := slices.IndexFunc(p.cfg.People, func(x Person) bool { return x.Sub == sub })
	if i < 0 {
		return Person{}, false
	}
	return p.cfg.People[i], true
}

// hinted finds somebody by e-mail, in any case.
func (p *Provider) hinted(email string) (Person, bool) {
	i := slices.IndexFunc(p.cfg.People, func(x Person) bool { return email != "" && strings.EqualFold(x.Email, email) })
	if i < 0 {
		return Person{}, false
	}
	return p.cfg.People[i], true
}

// cookieName differs per issuer, because cookies do not tell ports apart and two
// issuers may share a loopback address.
func cookieName(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	return "devidp_" + hex.EncodeToString(sum[:8])
}
