// Package client speaks the broker's HTTP API for the people's command line. Its
// answers are the broker's word and nothing more: what must be true is checked
// elsewhere, against trust bundles. Every answer is bounded, no redirect is
// followed, and errors come back as the one sentence the broker gave. routes.go says
// what can be asked, and what passes either way.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/proxy"
)

// Config says which broker, and who asks.
type Config struct {
	Broker string // checked address, no trailing slash
	Token  string // bearer; empty before login
	Agent  string // User-Agent
	// Dial goes out; nil: as HTTPS_PROXY and NO_PROXY say.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client is safe for concurrent use.
type Client struct {
	config Config
	http   *http.Client
}

// ErrNotSignedIn marks an error whose cause is a missing, expired or ended login.
var ErrNotSignedIn = errors.New("not signed in")

// ErrFromBroker marks an error that the broker answered, as opposed to one of ours.
var ErrFromBroker = errors.New("the broker's answer")

// New makes a client.
func New(c Config) *Client {
	if c.Dial == nil {
		c.Dial = outside
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = callTime
	transport.Proxy, transport.DialContext = nil, c.Dial
	return &Client{config: c, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// call sends one call and reads its answer, bounded. next is what a list goes on with.
func call[Out any](ctx context.Context, c *Client, method, path string, in any) (out Out, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return out, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return out, "", nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return out, "", unreachable(err)
	}
	if len(data) > maxAnswer {
		return out, "", odd(fmt.Errorf("answer to %s is larger than %d bytes", path, maxAnswer))
	}
	if err := json.Unmarshal(data, &out); err != nil {
		var zero Out
		return zero, "", odd(fmt.Errorf("answer to %s: %w", path, err))
	}
	return out, resp.Header.Get("X-Next"), nil
}

// do sends a call and turns everything but success into an error.
func (c *Client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", path, err)
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.config.Broker+"/api/v1"+path, content)
	if err != nil {
		return nil, fmt.Errorf("ask the broker: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.config.Agent)
	if c.config.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.config.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, problem(resp)
}

// problem reads the broker's error. One without a sentence of its own (a proxy's
// page, say) gets one from its status.
func problem(resp *http.Response) error {
	var p api.Problem
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if strings.HasSuffix(kind, "json") {
		_ = json.Unmarshal(data, &p)
	}
	if p.Kind == "" {
		p.Kind = kindOf(resp.StatusCode)
	}
	e := &session.Error{Kind: p.Kind, Message: cmp.Or(p.Message, p.Detail), Next: p.Next, Err: ErrFromBroker}
	if e.Message == "" {
		e.Message = fmt.Sprintf("The broker answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	if resp.StatusCode == http.StatusUnauthorized {
		e.Err = errors.Join(ErrFromBroker, ErrNotSignedIn)
		e.Next = cmp.Or(p.Next, "Sign in with: sallyport login")
	}
	return e
}

func kindOf(status int) session.Kind {
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity:
		return session.Invalid
	case http.StatusUnauthorized, http.StatusForbidden:
		return session.Denied
	case http.StatusConflict:
		return session.Refused
	case http.StatusGone:
		return session.Expired
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return session.Unreachable
	}
	return session.Internal
}

// outside dials as the environment says.
func outside(ctx context.Context, network, address string) (net.Conn, error) {
	d, err := proxy.Environment()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var proxied *proxy.Fault
	if errors.As(err, &proxied) {
		return proxied
	}
	if signer, resigned := proxy.Resigned(err); resigned {
		return &session.Error{Kind: session.Unreachable, Message: "The broker's certificate is signed by " + signer + ", which this machine does not trust, so nothing was sent",
			Next: "Something on the way may open TLS: ask your IT to exempt the broker's address. Where that authority is your own, name its file in SSL_CERT_FILE.", Err: err}
	}
	return &session.Error{Kind: session.Unreachable, Message: "The broker does not answer",
		Next: "Check the network and the address that `sallyport status` shows, then try again.", Err: err}
}

func odd(err error) error {
	return &session.Error{Kind: session.Internal, Message: "The broker's answer makes no sense",
		Next: "Check that this is a Sallyport broker of a fitting version: sallyport status", Err: err}
}
