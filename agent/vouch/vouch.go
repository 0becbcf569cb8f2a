// Package vouch asks an identity provider that only the hospital reaches for the broker,
// so that the hospital's people can sign in at the broker's pages. There are three
// questions: the provider's discovery document, its keys, and the exchange of a code for
// a token. Each goes to the one address that the provider's own discovery document, read
// by the agent, names for it, on the host that the hospital's configuration names. State,
// nonce and PKCE stay at the broker; what the agent answers is its word for its own site,
// and counts at the broker for nobody else.
package vouch

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// Desk takes the broker's questions. Safe for concurrent use.
type Desk struct {
	providers map[string]*provider
	places    chan struct{} // a slot per question
	log       *slog.Logger
}

// New takes the issuers for which the hospital vouches; all others are not asked. options
// says how an issuer is reached.
func New(issuers []session.Issuer, options func(session.Issuer) idtoken.Options, log *slog.Logger) *Desk {
	d := &Desk{providers: map[string]*provider{}, places: make(chan struct{}, maxAtOnce), log: log}
	for _, i := range issuers {
		if i.Vouch && i.Side == session.HospitalSide {
			d.providers[i.URL] = &provider{issuer: i, http: idtoken.Client(i, options(i)), pace: rate.NewLimiter(perMinute/60, perMinute/4)}
		}
	}
	return d
}

// Elsewhere asks an issuer for its discovery document, and names the addresses in it that
// the agent would not ask for the broker: they are not on the issuer's own host.
func Elsewhere(ctx context.Context, i session.Issuer, o idtoken.Options) ([]string, error) {
	m, err := idtoken.Discover(ctx, idtoken.Client(i, o), i)
	if err != nil {
		return nil, err
	}
	var all []string
	if i.JWKS == "" && !own(i, m.Keys) {
		all = append(all, m.Keys)
	}
	if !own(i, m.Token) {
		all = append(all, m.Token)
	}
	return all, nil
}

// Serve answers the one question that comes on a connection, and closes it.
func (d *Desk) Serve(ctx context.Context, issuer string, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	r, err := http.ReadRequest(bufio.NewReader(io.LimitReader(conn, maxQuestion)))
	if err != nil {
		d.log.Warn("a question of the broker's cannot be read", "issuer", issuer, "err", err)
		return
	}
	resp, err := d.ask(ctx, issuer, r)
	if err != nil {
		d.log.Warn("the broker's question to an identity provider has no answer", "issuer", issuer, "err", err)
		resp = refusal(err)
	}
	defer resp.Body.Close()
	resp.Close = true
	if err := resp.Write(conn); err != nil {
		d.log.Warn("an identity provider's answer did not reach the broker", "issuer", issuer, "err", err)
	}
}

func (d *Desk) ask(ctx context.Context, issuer string, r *http.Request) (*http.Response, error) {
	p, ok := d.providers[issuer]
	if !ok {
		return nil, refused("this agent does not vouch for that identity provider")
	}
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	default:
		return nil, refused("too many questions at a time")
	}
	if !p.pace.Allow() {
		return nil, refused("too many questions in a minute")
	}
	q, err := p.question(ctx, r)
	if err != nil {
		return nil, err
	}
	if q.Method == http.MethodPost {
		d.log.Info("asks an identity provider for somebody who signs in at the broker", "issuer", issuer)
	}
	got, err := p.http.Do(q)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return nil, err
	}
	return answer(got.StatusCode, got.Header, string(body)), nil
}

// refused is what the agent does not do, in words for the broker's log.
type refused string

func (r refused) Error() string { return string(r) }

// refusal is the answer where the provider gave none.
func refusal(err error) *http.Response {
	status, says := http.StatusBadGateway, "the identity provider does not answer the agent"
	if r := refused(""); errors.As(err, &r) {
		status, says = http.StatusForbidden, string(r)
	}
	resp := answer(status, http.Header{}, "")
	resp.Status = strconv.Itoa(status) + " " + says
	return resp
}

// answer passes on of a header what the broker needs.
func answer(status int, from http.Header, body string) *http.Response {
	h := http.Header{}
	for _, name := range []string{"Content-Type", "Date", "Age"} {
		if v := from.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: h, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
}

// provider is an identity provider for which the hospital vouches.
type provider struct {
	issuer session.Issuer
	http   *http.Client
	pace   *rate.Limiter

	mu   sync.Mutex // guards what follows; held while it is read anew
	meta idtoken.Discovery
	read time.Time
}

// question makes the agent's own request of one of the broker's, or refuses it.
func (p *provider) question(ctx context.Context, r *http.Request) (*http.Request, error) {
	if r.Method == http.MethodGet && asks(r, idtoken.DiscoveryURL(p.issuer)) {
		return http.NewRequestWithContext(ctx, http.MethodGet, idtoken.DiscoveryURL(p.issuer), nil)
	}
	m, err := p.discovery(ctx)
	if err != nil {
		return nil, err
	}
	switch keys := cmp.Or(p.issuer.JWKS, m.Keys); {
	case r.Method == http.MethodGet && asks(r, keys) && (keys == p.issuer.JWKS || own(p.issuer, keys)):
		return http.NewRequestWithContext(ctx, http.MethodGet, keys, nil)
	case r.Method == http.MethodPost && asks(r, m.Token) && own(p.issuer, m.Token):
		return p.exchange(ctx, r, m.Token)
	}
	return nil, refused("that is neither the provider's discovery document, nor its keys, nor its token endpoint")
}

// asks reports whether a request is for an address, byte for byte.
func asks(r *http.Request, address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && r.Host == u.Host && r.RequestURI == u.RequestURI()
}

// own reports whether an address is on the issuer's own host.
func own(i session.Issuer, address string) bool {
	here, err := url.Parse(i.URL)
	there, err2 := url.Parse(address)
	return err == nil && err2 == nil && there.Host == here.Host && there.Scheme == here.Scheme
}

func (p *provider) discovery(ctx context.Context) (idtoken.Discovery, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.read.IsZero() && time.Since(p.read) < freshly {
		return p.meta, nil
	}
	m, err := idtoken.Discover(ctx, p.http, p.issuer)
	if err == nil {
		p.meta, p.read = m, time.Now()
	}
	return m, err
}

// exchange lets a code through with its PKCE verifier, of a client whose people may sign in
// at the broker's pages, and nothing else that a token endpoint would do: no password, no
// refresh token, no device.
func (p *provider) exchange(ctx context.Context, r *http.Request, endpoint string) (*http.Request, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	if err != nil || len(body) > maxForm {
		return nil, refused("the form is too long or does not end")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, refused("the form cannot be read")
	}
	for name, values := range form {
		if len(values) != 1 || !slices.Contains([]string{"grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret"}, name) {
			return nil, refused("the form has a field that a code's exchange has not")
		}
	}
	client := form.Get("client_id")
	if user, _, ok := r.BasicAuth(); ok {
		named, err := url.QueryUnescape(user)
		if err != nil || client != "" && client != named {
			return nil, refused("the form is one client's and its secret another's")
		}
		client = named
	}
	switch {
	case form.Get("grant_type") != "authorization_code", form.Get("code") == "", form.Get("code_verifier") == "":
		return nil, refused("only a code with its PKCE verifier is exchanged")
	case p.issuer.Clients[client] != session.Web:
		return nil, refused("the client is none of class web here")
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	q.Header.Set("Accept", "application/json")
	if user, secret, ok := r.BasicAuth(); ok {
		q.SetBasicAuth(user, secret)
	}
	return q, nil
}
