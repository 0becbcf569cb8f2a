package identity

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
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
	meta idtoken.Discovery
	read time.Time
}

// openProviders prepares the issuers that have a client of class web. An e-mail
// domain leads to one of them only.
func (d *Identity) openProviders(r *rules) error {
	owners := map[string]string{}
	for _, all := range r.issuers {
		i := all[0]
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
		p := &provider{issuer: i.Issuer, client: client, secret: i.Secret, redirect: i.WebRedirect(d.cfg.BrokerURL), http: i.Client, now: d.cfg.Now}
		if p.http == nil {
			p.http = idtoken.Client(i.Issuer, idtoken.Options{})
		}
		r.providers[i.URL] = p
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

// providerFor finds the provider that answers for an e-mail address.
func (d *Identity) providerFor(email string) (*provider, error) {
	at := strings.LastIndexByte(email, '@')
	odd := strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r >= 0x7f })
	if at < 1 || at == len(email)-1 || len(email) > 254 || odd {
		return nil, (&session.Error{Kind: session.Invalid, Message: "That is not an e-mail address."}).WithNext("Give the address that you use at work.")
	}
	domain := strings.ToLower(email[at+1:])
	for _, p := range d.rules.Load().providers {
		if slices.ContainsFunc(p.issuer.Domains, func(own string) bool { return strings.ToLower(own) == domain }) {
			return p, nil
		}
	}
	return nil, (&session.Error{Kind: session.Invalid, Message: "No identity provider here answers for that address."}).WithNext(
		"Check the address; if it is right, ask whoever runs this broker.")
}

// endpoints reads the discovery document, at most once an hour.
func (p *provider) endpoints(ctx context.Context) (idtoken.Discovery, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.read.IsZero() && p.now().Sub(p.read).Abs() < freshMetadata {
		return p.meta, nil
	}
	m, err := idtoken.Discover(ctx, p.http, p.issuer)
	if err == nil && (!p.issuer.Safe(m.Authorize) || !p.issuer.Asks(m.Token)) {
		err = errors.New("the discovery document names endpoints that are unsafe, or on a host that the configuration does not (hosts)")
	}
	if err != nil {
		return idtoken.Discovery{}, p.away(err)
	}
	p.meta, p.read = m, p.now()
	return m, nil
}

func (p *provider) oauth(m idtoken.Discovery) *oauth2.Config {
	return &oauth2.Config{ClientID: p.client, RedirectURL: p.redirect, Scopes: p.issuer.Scope(), Endpoint: m.Endpoint(!p.secret.IsZero())}
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
		var away *url.Error
		if !errors.As(err, &away) {
			err = errors.New("the token endpoint gave no usable answer") // its words may hold a token
		}
		return "", p.away(err)
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
	var e *session.Error
	if errors.As(err, &e) && e.Kind == session.Unreachable {
		return e // whoever asks for us is away
	}
	return &session.Error{Kind: session.Unreachable, Message: "The identity provider " + p.issuer.URL + " does not answer.",
		Next: "Try again in a minute.", Err: err}
}
