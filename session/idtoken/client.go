package idtoken

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/session"
)

// Client talks with one issuer. It speaks TLS itself over whatever Dial gives, and follows
// nobody: no proxy of its own, no redirects, no compression, no HTTP/2; no address that is
// not the issuer's by its configuration, no answer beyond the bounds.
func Client(i session.Issuer, o Options) *http.Client {
	dial, limit := o.Dial, fetchLimit
	if dial == nil {
		dial = (&net.Dialer{Timeout: fetchLimit}).DialContext
	}
	t := &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots},
		TLSHandshakeTimeout:    fetchLimit,
		DisableCompression:     true,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
		MaxConnsPerHost:        4,
	}
	if o.Through != nil {
		t.DialContext, t.DialTLSContext, limit = o.Through, o.Through, throughLimit
	}
	return &http.Client{
		Timeout:       limit,
		Transport:     bounded{issuer: i, next: t},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded refuses foreign and unsafe addresses and cuts long answers off, with an error.
type bounded struct {
	issuer session.Issuer
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.issuer.Asks(r.URL.String()) {
		return nil, errors.New("that is not a safe address on a host of the issuer's")
	}
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxBody)
	}
	return resp, err
}

// Discovery is what counts of an issuer's discovery document.
type Discovery struct {
	Authorize   string
	Token       string
	Keys        string
	Secrets     []string // the ways in which the token endpoint takes a client's secret
	Subjects    []string // public, pairwise
	NamesItself bool     // it names itself in its answers (RFC 9207)
}

// DiscoveryURL is where an issuer's discovery document is.
func DiscoveryURL(i session.Issuer) string {
	return strings.TrimSuffix(i.URL, "/") + "/.well-known/openid-configuration"
}

// Discover reads an issuer's discovery document, which must name its issuer byte for byte.
// Whether its addresses may be used is for their users to judge.
func Discover(ctx context.Context, c *http.Client, i session.Issuer) (Discovery, error) {
	body, _, err := document(ctx, c, DiscoveryURL(i))
	if err != nil {
		return Discovery{}, err
	}
	doc, err := parseObject(body)
	if err != nil {
		return Discovery{}, err
	}
	if iss := doc.text("issuer"); iss != i.URL {
		return Discovery{}, fmt.Errorf("%w: %.120q", ErrOtherIssuer, iss)
	}
	itself, _ := doc["authorization_response_iss_parameter_supported"].(bool)
	return Discovery{
		Authorize: doc.text("authorization_endpoint"), Token: doc.text("token_endpoint"), Keys: doc.text("jwks_uri"),
		Secrets: doc.texts("token_endpoint_auth_methods_supported"), Subjects: doc.texts("subject_types_supported"), NamesItself: itself,
	}, nil
}

// ErrOtherIssuer is in the chain when a discovery document is another issuer's.
var ErrOtherIssuer = errors.New("the discovery document names another issuer")

// Endpoint is where sign-ins go. A client's secret goes in the body of a token request, or
// in its header (client_secret_basic) where only that is offered, or nothing is said.
func (d Discovery) Endpoint(secret bool) oauth2.Endpoint {
	e := oauth2.Endpoint{AuthURL: d.Authorize, TokenURL: d.Token, AuthStyle: oauth2.AuthStyleInParams}
	header := len(d.Secrets) == 0 || slices.Contains(d.Secrets, "client_secret_basic")
	if secret && header && !slices.Contains(d.Secrets, "client_secret_post") {
		e.AuthStyle = oauth2.AuthStyleInHeader
	}
	return e
}

func (o object) text(name string) string { s, _ := o[name].(string); return s }

func (o object) texts(name string) []string {
	list, _ := o[name].([]any)
	var all []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// document reads one document of an issuer's.
func document(ctx context.Context, c *http.Client, address string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("it answered %.120q", resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		err = errors.New("the answer is too large")
	}
	return body, resp.Header, err
}
