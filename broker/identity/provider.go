package identity

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/secret"
)

// provider is an issuer as browsers sign in there: its client of class web, and the
// endpoints that its discovery document names.
type provider struct {
	issuer   session.Issuer
	client   string
	secret   secret.Reference
	redirect string
	http     *http.Client
	now      func() time.Time

	mu   sync.Mutex // guards what follows; held while it is read anew
	meta metadata
	read time.Time
}

// metadata is what counts of a discovery document.
type metadata struct {
	Issuer       string `json:"issuer"`
	Authorize    string `json:"authorization_endpoint"`
	Token        string `json:"token_endpoint"`
	IssParameter bool   `json:"authorization_response_iss_parameter_supported"`
}

// openProviders prepares the issuers that have a client of class web. An e-mail
// domain leads to one of them only.
func (d *Identity) openProviders() error {
	owners := map[string]string{}
	for _, i := range d.issuers {
		client := webClient(i.Issuer)
		if client == "" {
			continue
		}
		for _, domain := range i.Domains {
			if other, taken := owners[strings.ToLower(domain)]; taken && other != i.URL {
				return session.Errorf(session.Invalid, "two identity providers answer for the e-mail domain %.100q", domain)
			}
			owners[strings.ToLower(domain)] = i.URL
		}
		d.providers[i.URL] = &provider{issuer: i.Issuer, client: client, secret: i.Secret, redirect: d.cfg.BrokerURL + "/auth/callback",
			http: strictHTTP(i.Issuer), now: d.cfg.Now}
	}
	return nil
}

// webClient is the issuer's client of class web; of several the first by name.
func webClient(i session.Issuer) string {
	for _, id := range slices.Sorted(maps.Keys(i.Clients)) {
		if i.Clients[id] == session.Web {
			return id
		}
	}
	return ""
}

// Domains lists the e-mail domains whose people can sign in by browser.
func (d *Identity) Domains() []string {
	all := []string{}
	if d.cfg.Web.Shelf == nil {
		return all
	}
	for _, p := range d.providers {
		for _, domain := range p.issuer.Domains {
			all = append(all, strings.ToLower(domain))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// providerFor finds the provider that answers for an e-mail address.
func (d *Identity) providerFor(email string) (*provider, error) {
	at := strings.LastIndexByte(email, '@')
	odd := strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r >= 0x7f })
	if at < 1 || at == len(email)-1 || len(email) > 254 || odd {
		return nil, (&session.Error{Kind: session.Invalid, Message: "That is not an e-mail address."}).WithNext("Give the address that you use at work.")
	}
	domain := strings.ToLower(email[at+1:])
	for _, p := range d.providers {
		if slices.ContainsFunc(p.issuer.Domains, func(own string) bool { return strings.ToLower(own) == domain }) {
			return p, nil
		}
	}
	return nil, (&session.Error{Kind: session.Invalid, Message: "No identity provider here answers for " + domain + "."}).WithNext(
		"Check the address; if it is right, ask whoever runs this broker.")
}

// endpoints reads the discovery document, at most once an hour.
func (p *provider) endpoints(ctx context.Context) (metadata, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.read.IsZero() && p.now().Sub(p.read).Abs() < freshMetadata {
		return p.meta, nil
	}
	m, err := p.discover(ctx)
	if err != nil {
		return metadata{}, p.away(err)
	}
	p.meta, p.read = m, p.now()
	return m, nil
}

// discover refuses a document that speaks for another issuer, and endpoints that are
// not safe to use.
func (p *provider) discover(ctx context.Context) (metadata, error) {
	where := strings.TrimSuffix(p.issuer.URL, "/") + "/.well-known/openid-configuration"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return metadata{}, err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return metadata{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return metadata{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return metadata{}, fmt.Errorf("discovery answered %d", resp.StatusCode)
	}
	var m metadata
	if err := json.Unmarshal(body, &m); err != nil {
		return metadata{}, err
	}
	if m.Issuer != p.issuer.URL || !p.issuer.Safe(m.Authorize) || !p.issuer.Safe(m.Token) {
		return metadata{}, errors.New("the discovery document is another issuer's, or names unsafe endpoints")
	}
	return m, nil
}

func (p *provider) oauth(m metadata) *oauth2.Config {
	return &oauth2.Config{ClientID: p.client, RedirectURL: p.redirect, Scopes: p.issuer.Scope(),
		Endpoint: oauth2.Endpoint{AuthURL: m.Authorize, TokenURL: m.Token, AuthStyle: oauth2.AuthStyleInParams}}
}

// exchange turns a code into the ID token.
func (p *provider) exchange(ctx context.Context, code, verifier string) (string, error) {
	m, err := p.endpoints(ctx)
	if err != nil {
		return "", err
	}
	o := p.oauth(m)
	if !p.secret.IsZero() {
		if o.ClientSecret, err = p.secret.Line(); err != nil {
			return "", session.Errorf(session.Internal, "read the client's secret for %s: %w", p.issuer.URL, err)
		}
	}
	token, err := o.Exchange(context.WithValue(ctx, oauth2.HTTPClient, p.http), code, oauth2.VerifierOption(verifier))
	var no *oauth2.RetrieveError
	if errors.As(err, &no) && no.Response != nil && no.Response.StatusCode < 500 {
		return "", notConfirmed(fmt.Errorf("token endpoint: %.60q", no.ErrorCode))
	}
	if err != nil {
		return "", p.away(errors.New("the token endpoint gave no usable answer")) // its words may hold a token
	}
	id, _ := token.Extra("id_token").(string)
	if id == "" || len(id) > maxToken {
		return "", notConfirmed(errors.New("no ID token"))
	}
	return id, nil
}

func notConfirmed(cause error) error {
	return notSignedIn("Your identity provider did not confirm the sign-in.", cause)
}

func (p *provider) away(err error) error {
	return &session.Error{Kind: session.Unreachable, Message: "The identity provider " + p.issuer.URL + " does not answer.",
		Next: "Try again in a minute.", Err: err}
}

// strictHTTP follows nobody: no proxy, no redirects, no answers beyond the bounds.
func strictHTTP(issuer session.Issuer) *http.Client {
	return &http.Client{
		Timeout: providerTime,
		Transport: bounded{issuer: issuer, next: &http.Transport{
			DialContext: (&net.Dialer{Timeout: providerTime}).DialContext, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: providerTime, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded refuses unsafe addresses and cuts long answers off, with an error.
type bounded struct {
	issuer session.Issuer
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.issuer.Safe(r.URL.String()) {
		return nil, errors.New("that is not a safe address")
	}
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}
