// Package signin takes a person through one sign-in at a pinned identity provider
// and brings back the ID token: authorization code with PKCE (S256), a nonce the
// caller computed, a redirect to a loopback port. It decides nothing about the
// token beyond "is it the answer to my question"; agent and broker verify it.
package signin

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/wording"
)

// Config is one round trip.
type Config struct {
	Issuer   session.Issuer
	ClientID string
	Nonce    string
	Hint     string // login_hint, or empty
	Fresh    bool   // insist on a fresh login: max_age=0 and prompt=login
	Secret   string // of the client, where the issuer wants one; empty: none
	After    string // where the browser goes afterwards; empty: a short page of our own
	// Dial goes out; nil: as HTTPS_PROXY and NO_PROXY say.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Claims are what the token says of itself. They came from the provider over the
// connection that carried the code, and are not verified further here.
type Claims struct {
	Iss   string
	Sub   string // by the issuer's claim that names a person
	Email string
	Nonce string
}

// Flow is a round trip under way. Close ends it.
type Flow struct {
	URL      string // where the browser has to go
	Redirect string // where it will come back

	config   Config
	oauth    oauth2.Config
	meta     idtoken.Discovery
	verifier string
	state    string
	http     *http.Client
	server   *http.Server
	answers  chan answer
	served   chan struct{}
}

type answer struct {
	code string
	err  error
}

// Begin reads the provider's discovery document, opens the loopback port and
// builds the address for the browser.
func Begin(ctx context.Context, c Config) (*Flow, error) {
	if len(c.Nonce) != 43 {
		return nil, session.Errorf(session.Internal, "A sign-in was started without its nonce")
	}
	hc := strictHTTP(c.Issuer, c.Dial)
	meta, err := discover(ctx, hc, c.Issuer)
	if err != nil {
		return nil, err
	}
	listener, err := listen(ctx, c.Issuer.Redirect.Ports)
	if err != nil {
		return nil, err
	}
	f := &Flow{config: c, meta: meta, http: hc, verifier: oauth2.GenerateVerifier(), state: rand.Text(),
		answers: make(chan answer, 1), served: make(chan struct{})}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	here := net.JoinHostPort(cmp.Or(c.Issuer.Redirect.Host, "127.0.0.1"), port)
	f.Redirect = "http://" + here + cmp.Or(c.Issuer.Redirect.Path, "/cb")
	f.oauth = oauth2.Config{ClientID: c.ClientID, ClientSecret: c.Secret, RedirectURL: f.Redirect, Scopes: c.Issuer.Scope(), Endpoint: meta.Endpoint(c.Secret != "")}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(f.verifier)}
	for name, value := range c.Issuer.Question(c.Nonce, c.Hint, c.Fresh) {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	f.URL = f.oauth.AuthCodeURL(f.state, options...)
	f.server = &http.Server{Handler: f.handler(here), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 32 << 10}
	go func() { // owned by Close
		defer close(f.served)
		_ = f.server.Serve(listener)
	}()
	return f, nil
}

// Wait blocks until the browser came back, and exchanges the code for the token.
func (f *Flow) Wait(ctx context.Context) (idToken string, claims Claims, err error) {
	select {
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", Claims{}, session.Errorf(session.Expired, "Nobody signed in at %s in time", f.config.Issuer.URL).WithNext("Run the command again when you are at the browser.")
		}
		return "", Claims{}, ctx.Err()
	case a := <-f.answers:
		if a.err != nil {
			return "", Claims{}, a.err
		}
		return f.exchange(ctx, a.code)
	}
}

// Close gives the port back. It lets a page that is being sent out finish.
func (f *Flow) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if f.server.Shutdown(ctx) != nil {
		_ = f.server.Close()
	}
	<-f.served
}

func (f *Flow) exchange(ctx context.Context, code string) (string, Claims, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	token, err := f.oauth.Exchange(context.WithValue(ctx, oauth2.HTTPClient, f.http), code, oauth2.VerifierOption(f.verifier))
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) {
			return "", Claims{}, session.Errorf(session.Denied, "%s did not hand out a token: %s", f.config.Issuer.URL, why(refused.ErrorCode, refused.ErrorDescription)).
				WithNext("Run the command again; if it stays so, tell whoever runs the identity provider.")
		}
		return "", Claims{}, unreachable(f.config.Issuer, err)
	}
	raw, _ := token.Extra("id_token").(string)
	claims, err := peek(raw, f.config.Issuer)
	switch {
	case err != nil:
		return "", Claims{}, session.Errorf(session.Internal, "%s sent no usable ID token: %w", f.config.Issuer.URL, err).WithNext("Tell whoever runs the identity provider.")
	case claims.Nonce != f.config.Nonce, claims.Iss != f.config.Issuer.URL:
		return "", Claims{}, session.Errorf(session.Denied, "The ID token answers another question than ours").
			WithNext("Run the command again. If it happens twice, somebody may be interfering: tell your security contact.")
	}
	return raw, claims, nil
}

// handler answers the redirect, by query or by a posted form. Only the page with our
// state counts, once; anything else on this port is told nothing.
func (f *Flow) handler(host string) http.Handler {
	mux := http.NewServeMux()
	path := cmp.Or(f.config.Issuer.Redirect.Path, "/cb")
	if strings.HasSuffix(path, "/") {
		path += "{$}" // this one address, not all below it
	}
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { f.land(w, r, host, r.URL.Query()) })
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		_ = r.ParseForm() // what cannot be read has no state
		f.land(w, r, host, r.PostForm)
	})
	return mux
}

// land takes the browser that came back.
func (f *Flow) land(w http.ResponseWriter, r *http.Request, host string, q url.Values) {
	if r.Host != host || len(q["state"]) != 1 || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(f.state)) != 1 {
		page(w, http.StatusBadRequest, "This is not the sign-in that was started", "Go back to the terminal and start again.")
		return
	}
	a := f.judge(q)
	select {
	case f.answers <- a:
	default:
		page(w, http.StatusConflict, "This sign-in was already used", "Go back to the terminal.")
		return
	}
	switch {
	case f.config.After != "":
		w.Header().Set("Referrer-Policy", "no-referrer")
		http.Redirect(w, r, f.config.After, http.StatusSeeOther)
	case a.err != nil:
		page(w, http.StatusForbidden, "That did not work", "The terminal says why.")
	default:
		page(w, http.StatusOK, "You are signed in", "Sallyport goes on in the terminal. You can close this page.")
	}
}

func (f *Flow) judge(q map[string][]string) answer {
	first := func(name string) string {
		if len(q[name]) == 1 {
			return q[name][0]
		}
		return ""
	}
	iss := first("iss")
	if len(q["iss"]) > 1 || (iss != "" && iss != f.config.Issuer.URL) || (iss == "" && f.meta.NamesItself) {
		return answer{err: session.Errorf(session.Denied, "The answer did not come from %s", f.config.Issuer.URL).
			WithNext("Run the command again. If it happens twice, somebody may be interfering: tell your security contact.")}
	}
	if code := first("error"); code != "" || first("code") == "" {
		return answer{err: session.Errorf(session.Denied, "%s did not sign you in: %s", f.config.Issuer.URL, why(code, first("error_description"))).
			WithNext("Run the command again; if it stays so, ask whoever runs your sign-in.")}
	}
	return answer{code: first("code")}
}

// peek reads a token's own words without checking them.
func peek(compact string, issuer session.Issuer) (Claims, error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 || len(compact) > maxToken {
		return Claims{}, errors.New("it is not a compact JWS")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Claims{}, err
	}
	var all map[string]any
	if err := json.Unmarshal(payload, &all); err != nil {
		return Claims{}, err
	}
	text := func(name string) string { s, _ := all[name].(string); return s }
	return Claims{
		Iss: text("iss"), Sub: issuer.Name(text(issuer.SubjectClaim())), Nonce: text("nonce"),
		Email: cmp.Or(text("email"), text("preferred_username"), text("upn"), text("unique_name")),
	}, nil
}

// listen takes the first free one of the registered ports; any, if none was registered.
func listen(ctx context.Context, ports []int) (net.Listener, error) {
	var lc net.ListenConfig
	if len(ports) == 0 {
		ports = []int{0}
	}
	for _, port := range ports {
		l, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return l, nil
		}
	}
	if ports[0] != 0 {
		return nil, session.Errorf(session.Internal, "None of the ports %v of 127.0.0.1, to which the identity provider sends sign-ins back, is free", ports).
			WithNext("End the program that uses one of them, and run the command again.")
	}
	return nil, session.Errorf(session.Internal, "No port on 127.0.0.1 can be opened for the sign-in").WithNext("Check this machine's firewall for loopback.")
}

// why is what an identity provider says of a refusal.
func why(code, description string) string {
	return cmp.Or(wording.Line(strings.TrimSpace(code+" "+description), 400), "it gave no reason")
}

// page is the little that a browser shows between two windows.
func page(w http.ResponseWriter, status int, title, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintf(w, landing, title, title, text)
}

// landing is filled with our own fixed sentences only.
const landing = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>%s - Sallyport</title>
<style>:root{color-scheme:light dark}body{margin:0;min-height:100vh;display:grid;place-content:center;padding:24px;font:18px/1.5 Inter,system-ui,sans-serif;
background:light-dark(oklch(0.975 0.003 85),oklch(0.18 0.02 255));color:light-dark(oklch(0.22 0.01 255),oklch(0.93 0.01 255))}
svg{width:48px;color:light-dark(oklch(0.5 0.09 200),oklch(0.75 0.1 195))}h1{font-size:24px;line-height:1.25;margin:16px 0 4px;font-weight:600}p{margin:0;max-width:36ch}</style>
<main><svg viewBox="0 0 32 24" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" aria-hidden="true"><path d="M1 22h30M4 22V9a5 5 0 0 1 10 0v13M18 22V9a5 5 0 0 1 10 0v13"/></svg><h1>%s</h1><p>%s</p></main></html>
`
