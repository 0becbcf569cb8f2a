// Package provider takes people at the agent's page to the hospital's identity provider and
// back: authorization code, PKCE (S256), state, and a nonce that its caller computed. It says
// whether an answer is to the question that was asked; what a token is worth, package
// session/grant says.
package provider

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/proxy"
	"github.com/sallyport/sallyport/session/wording"
)

// Provider is the hospital's, as the agent's configuration pins it.
type Provider struct {
	Issuer session.Issuer
	Client string
	Secret string          // of the client; empty: it has none
	Reach  idtoken.Options // the way there
}

// Question is what is asked.
type Question struct {
	Redirect string // where the browser comes back to
	Nonce    string
	Hint     string // whom it is about, by address; empty: whoever comes
	Fresh    bool   // a new login, whoever is signed in there already
}

// Trip is one question under way.
type Trip struct {
	URL   string // where the browser has to go
	State string // with which it comes back
	Nonce string

	provider Provider
	oauth    oauth2.Config
	itself   bool
	verifier string
}

// Begin asks the provider where people sign in, and makes the address for the browser.
func (p Provider) Begin(ctx context.Context, q Question) (*Trip, error) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTime)
	defer cancel()
	m, err := idtoken.Discover(ctx, idtoken.Client(p.Issuer, p.Reach), p.Issuer)
	switch {
	case errors.Is(err, idtoken.ErrOtherIssuer), err == nil && (!p.Issuer.Safe(m.Authorize) || !p.Issuer.Asks(m.Token)):
		return nil, session.Errorf(session.Refused, "%s describes itself as another identity provider, or wants tokens asked for elsewhere.", p.Issuer.URL).
			WithNext("Tell hospital IT: the agent's issuers and the provider do not agree.")
	case err != nil:
		return nil, p.away(err)
	}
	t := &Trip{State: rand.Text(), Nonce: q.Nonce, provider: p, itself: m.NamesItself, verifier: oauth2.GenerateVerifier()}
	t.oauth = oauth2.Config{ClientID: p.Client, ClientSecret: p.Secret, RedirectURL: q.Redirect, Scopes: p.Issuer.Scope(), Endpoint: m.Endpoint(p.Secret != "")}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(t.verifier)}
	for name, value := range p.Issuer.Question(q.Nonce, q.Hint, q.Fresh) {
		if name != "response_mode" { // a form that another origin posts brings no cookie here
			options = append(options, oauth2.SetAuthURLParam(name, value))
		}
	}
	t.URL = t.oauth.AuthCodeURL(t.State, options...)
	return t, nil
}

// Finish takes what the browser brought back, and exchanges the code for the ID token.
func (t *Trip) Finish(ctx context.Context, back url.Values) (token string, err error) {
	code, err := t.judge(back)
	if err != nil {
		return "", err
	}
	hc := idtoken.Client(t.provider.Issuer, t.provider.Reach)
	hc.Timeout = exchangeTime
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, hc), exchangeTime)
	defer cancel()
	got, err := t.oauth.Exchange(ctx, code, oauth2.VerifierOption(t.verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused):
		return "", session.Errorf(session.Denied, "%s did not hand out a token: %s.", t.provider.Issuer.URL, why(refused.ErrorCode, refused.ErrorDescription)).
			WithNext("Try again; if it stays so, tell hospital IT.")
	case err != nil:
		return "", t.provider.away(err)
	}
	token, _ = got.Extra("id_token").(string)
	said, err := idtoken.Peek(token)
	if err != nil || said.Issuer != t.provider.Issuer.URL || subtle.ConstantTimeCompare([]byte(said.Nonce), []byte(t.Nonce)) != 1 {
		return "", session.Errorf(session.Denied, "The identity provider answered another question than ours.").
			WithNext("Try again. If it happens twice, somebody may be interfering: tell hospital IT.")
	}
	return token, nil
}

// judge takes the code out of an answer that is ours.
func (t *Trip) judge(back url.Values) (code string, err error) {
	first := func(name string) string {
		if v := back[name]; len(v) == 1 && len(v[0]) <= maxParameter {
			return v[0]
		}
		return ""
	}
	iss := first("iss")
	switch {
	case subtle.ConstantTimeCompare([]byte(first("state")), []byte(t.State)) != 1:
		return "", session.Errorf(session.Denied, "That is not the sign-in that was begun here.").WithNext("Begin again on the page.")
	case back.Has("iss") && iss != t.provider.Issuer.URL, !back.Has("iss") && t.itself:
		return "", session.Errorf(session.Denied, "The answer did not come from %s.", t.provider.Issuer.URL).
			WithNext("Try again. If it happens twice, somebody may be interfering: tell hospital IT.")
	case first("code") == "" || back.Has("error"):
		return "", session.Errorf(session.Denied, "%s did not sign you in: %s.", t.provider.Issuer.URL, why(first("error"), first("error_description"))).
			WithNext("Try again; if it stays so, ask whoever runs your sign-in.")
	}
	return first("code"), nil
}

// away says that the provider does not answer, and what goes on without it.
func (p Provider) away(err error) error {
	next := "The PIN and everything on this page but approving work without it. Try again in a minute; if it stays away, tell hospital IT."
	var proxied *proxy.Fault
	message := "The hospital's identity provider (" + p.Issuer.URL + ") does not answer."
	if errors.As(err, &proxied) {
		message = "The hospital's identity provider (" + p.Issuer.URL + ") cannot be reached through the hospital's proxy."
	}
	return &session.Error{Kind: session.Unreachable, Message: message, Next: next, Err: err}
}

// why is what an identity provider says of a refusal.
func why(code, description string) string {
	if said := wording.Line(strings.TrimSpace(code+" "+description), maxWhy); said != "" {
		return said
	}
	return "it gave no reason"
}
