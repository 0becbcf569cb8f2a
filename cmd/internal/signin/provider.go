package signin

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/proxy"
)

// discover reads the pinned issuer's document and refuses one that speaks for
// another issuer, or names endpoints that are not safe to use.
func discover(ctx context.Context, hc *http.Client, issuer session.Issuer) (idtoken.Discovery, error) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTime)
	defer cancel()
	if !issuer.Safe(issuer.URL) {
		return idtoken.Discovery{}, session.Errorf(session.Invalid, "The identity provider %.100q may not be used over plain http", issuer.URL).WithNext("Import a bundle with an https address.")
	}
	m, err := idtoken.Discover(ctx, hc, issuer)
	switch {
	case errors.Is(err, idtoken.ErrOtherIssuer), err == nil && (!issuer.Safe(m.Authorize) || !issuer.Asks(m.Token)):
		return m, session.Errorf(session.Refused, "%s describes itself as another identity provider, without https, or with tokens on a host that its bundle does not name", issuer.URL).
			WithNext("Compare the address in `sallyport trust ls` with the one your sign-in really has.")
	case err != nil:
		return m, unreachable(issuer, err)
	}
	return m, nil
}

// strictHTTP gives a person's machine the time that it may need.
func strictHTTP(issuer session.Issuer, dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Client {
	if dial == nil {
		dial = outside
	}
	hc := idtoken.Client(issuer, idtoken.Options{Dial: dial})
	hc.Timeout = exchangeTime
	return hc
}

// outside dials as HTTPS_PROXY and NO_PROXY say.
func outside(ctx context.Context, network, address string) (net.Conn, error) {
	d, err := proxy.Environment()
	if err != nil {
		return nil, err
	}
	return d.DialContext(ctx, network, address)
}

func unreachable(issuer session.Issuer, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var proxied *proxy.Fault
	if errors.As(err, &proxied) {
		return proxied
	}
	return &session.Error{Kind: session.Unreachable, Message: "The identity provider " + issuer.URL + " does not answer",
		Next: "Check the network, then run the command again.", Err: err}
}
