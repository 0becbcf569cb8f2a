package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/proxy"
)

// metadata is what we take from a discovery document.
type metadata struct {
	Issuer       string `json:"issuer"`
	Authorize    string `json:"authorization_endpoint"`
	Token        string `json:"token_endpoint"`
	IssParameter bool   `json:"authorization_response_iss_parameter_supported"`
}

// discover reads the pinned issuer's document and refuses one that speaks for
// another issuer, or names endpoints that are not safe to use.
func discover(ctx context.Context, hc *http.Client, issuer session.Issuer) (metadata, error) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTime)
	defer cancel()
	var m metadata
	where := strings.TrimSuffix(issuer.URL, "/") + "/.well-known/openid-configuration"
	if !issuer.Safe(where) {
		return m, session.Errorf(session.Invalid, "The identity provider %.100q may not be used over plain http", issuer.URL).WithNext("Import a bundle with an https address.")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return m, fmt.Errorf("ask %s: %w", issuer.URL, err)
	}
	resp, err := hc.Do(req)
	if err != nil {
		return m, unreachable(issuer, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return m, unreachable(issuer, fmt.Errorf("discovery answered %d: %w", resp.StatusCode, errors.Join(err)))
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, unreachable(issuer, err)
	}
	if m.Issuer != issuer.URL || !issuer.Safe(m.Authorize) || !issuer.Safe(m.Token) {
		return m, session.Errorf(session.Refused, "%s describes itself as another identity provider, or without https", issuer.URL).
			WithNext("Compare the address in `sallyport trust ls` with the one your sign-in really has.")
	}
	return m, nil
}

// strictHTTP follows no redirect and reads at most 256 KiB.
func strictHTTP(issuer session.Issuer) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.Proxy, transport.DialContext = nil, outside
	return &http.Client{
		Timeout:       exchangeTime,
		Transport:     boundedTransport{issuer: issuer, next: transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// outside dials as HTTPS_PROXY and NO_PROXY say.
func outside(ctx context.Context, network, address string) (net.Conn, error) {
	d, err := proxy.Environment()
	if err != nil {
		return nil, err
	}
	return d.DialContext(ctx, network, address)
}

type boundedTransport struct {
	issuer session.Issuer
	next   http.RoundTripper
}

func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.issuer.Safe(r.URL.String()) {
		return nil, fmt.Errorf("%s is not a safe address", r.URL.Redacted())
	}
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
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
