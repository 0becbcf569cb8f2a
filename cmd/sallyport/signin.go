package main

import (
	"context"
	"net/url"

	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/cmd/internal/signin"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// signInRequest is one sign-in and what its token has to cover.
type signInRequest struct {
	issuer         session.Issuer
	client         string
	role           grant.Role
	subject, extra [32]byte
	hint           string
	config         home.Config
	fresh          bool
	noBrowser      bool
	what           string // "to sign in", for the line on the terminal
	after          string // where the browser ends up
	leave          func(url string)
}

// prove makes a salt, computes the nonce and brings back the token that carries it.
func (p *program) prove(ctx context.Context, e signInRequest) (token string, salt []byte, claims signin.Claims, err error) {
	s := grant.NewSalt()
	var password string
	if ref, ok := e.config.Secrets[e.client+"@"+e.issuer.URL]; ok {
		if password, err = ref.Line(); err != nil {
			return "", nil, signin.Claims{}, session.Errorf(session.Invalid, "The secret of the client %s cannot be read: %w", e.client, err).
				WithNext("Mend client_secrets in config.json.")
		}
	}
	flow, err := signin.Begin(ctx, signin.Config{Issuer: e.issuer, ClientID: e.client, Nonce: grant.Nonce(e.role, e.subject, e.extra, s),
		Hint: e.hint, Fresh: e.fresh, Secret: password, After: e.after, Dial: e.config.Dial})
	if err != nil {
		return "", nil, signin.Claims{}, err
	}
	defer flow.Close()
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	if e.leave != nil {
		p.say("Waiting for you at %s, in the same window ...", host(e.issuer.URL))
		e.leave(flow.URL)
	} else {
		defer p.browse(ctx, flow.URL, host(e.issuer.URL), e)()
	}
	token, claims, err = flow.Wait(ctx)
	return token, s[:], claims, err
}

// browse opens the address and says so; the returned func tidies up.
func (p *program) browse(ctx context.Context, address, where string, e signInRequest) func() {
	if !e.noBrowser {
		w, ok := signin.Browser{Env: p.env}.Open(ctx, address, func(why string) {
			p.warn("The browser could not be opened: %s\nOpen this address yourself:\n  %s", why, address)
		})
		if ok {
			p.say("Waiting for you at %s %s ... (no window? add --no-browser)", where, e.what)
			return w.Close
		}
	}
	p.warn("Open this address in a browser on this machine %s; waiting at %s ...\n  %s", e.what, where, address)
	return func() {}
}

func host(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}
