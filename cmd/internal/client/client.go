// Package client speaks the broker's HTTP API for the people's command line. Its
// answers are the broker's word and nothing more: what must be true is checked
// elsewhere, against trust bundles. Every answer is bounded, no redirect is
// followed, and errors come back as the one sentence the broker gave.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
)

const (
	maxAnswer = 16 << 20
	callTime  = 45 * time.Second // longer than the longest wait the broker offers
)

// MaxWait is the longest a broker holds a question that waits for a change.
const MaxWait = 30 * time.Second

// Config says which broker, and who asks.
type Config struct {
	Broker string // checked address, no trailing slash
	Token  string // bearer; empty before login
	Agent  string // User-Agent
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

// New makes a client. Proxies come from the environment as usual.
func New(c Config) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = callTime
	transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	return &Client{config: c, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// LoginProof is what POST /login takes.
type LoginProof struct {
	IDToken   string `json:"id_token"`
	Salt      []byte `json:"salt"`
	Key       string `json:"key"`
	Signature []byte `json:"signature"`
}

// Admission is what an approval came to.
type Admission struct {
	Request  api.Request `json:"request"`
	Admitted bool        `json:"admitted"`
}

// Info is what GET /info tells anyone.
type Info struct {
	Version string      `json:"version"`
	Node    string      `json:"node"`
	SSH     api.SSHDoor `json:"ssh"`
}

func (c *Client) Info(ctx context.Context) (Info, error) {
	return get[Info](ctx, c, "/info")
}

func (c *Client) Login(ctx context.Context, p LoginProof) (api.Login, error) {
	return post[api.Login](ctx, c, "/login", p)
}

func (c *Client) Logout(ctx context.Context) error {
	_, err := post[struct{}](ctx, c, "/logout", nil)
	return err
}

func (c *Client) Me(ctx context.Context) (api.Login, error) { return get[api.Login](ctx, c, "/me") }

// Assets lists the catalogue; an empty site means all.
func (c *Client) Assets(ctx context.Context, site string) ([]api.Asset, error) {
	path := "/assets"
	if site != "" {
		path += "?site=" + url.QueryEscape(site)
	}
	return get[[]api.Asset](ctx, c, path)
}

// NewRequest hands in exact bytes with the engineer's proof.
func (c *Client) NewRequest(ctx context.Context, document []byte, token string, salt []byte) (api.Request, error) {
	return post[api.Request](ctx, c, "/requests", map[string]any{"request": document, "token": token, "salt": salt})
}

func (c *Client) Requests(ctx context.Context) ([]api.Request, error) {
	return get[[]api.Request](ctx, c, "/requests")
}

func (c *Client) Request(ctx context.Context, id string) (api.Request, error) {
	return get[api.Request](ctx, c, "/requests/"+url.PathEscape(id))
}

// AwaitRequest answers when the request's status is no longer the given one, or
// after wait (at most MaxWait).
func (c *Client) AwaitRequest(ctx context.Context, id string, status session.Status, wait time.Duration) (api.Request, error) {
	seconds := int(min(max(wait, time.Second), MaxWait).Seconds())
	return get[api.Request](ctx, c, fmt.Sprintf("/requests/%s?wait=%d&status=%s", url.PathEscape(id), seconds, url.QueryEscape(string(status))))
}

func (c *Client) Documents(ctx context.Context, id string) (api.Documents, error) {
	return get[api.Documents](ctx, c, "/requests/"+url.PathEscape(id)+"/documents")
}

// Approve hands in exact grant bytes with the approver's proof.
func (c *Client) Approve(ctx context.Context, id string, grant []byte, token string, salt []byte) (Admission, error) {
	return post[Admission](ctx, c, "/requests/"+url.PathEscape(id)+"/approvals", map[string]any{"grant": grant, "token": token, "salt": salt})
}

func (c *Client) Deny(ctx context.Context, id, reason string) (api.Request, error) {
	return post[api.Request](ctx, c, "/requests/"+url.PathEscape(id)+"/deny", map[string]string{"reason": reason})
}

func (c *Client) Withdraw(ctx context.Context, id string) (api.Request, error) {
	return post[api.Request](ctx, c, "/requests/"+url.PathEscape(id)+"/withdraw", nil)
}

// Activate adds a key to an approved request, with the engineer's proof.
func (c *Client) Activate(ctx context.Context, id, key, token string, salt []byte) (api.Request, error) {
	return post[api.Request](ctx, c, "/requests/"+url.PathEscape(id)+"/activate", api.Activation{Key: key, Token: token, Salt: salt})
}

// Propose answers a request with another window.
func (c *Client) Propose(ctx context.Context, id string, w api.Counter) (api.Request, error) {
	return post[api.Request](ctx, c, "/requests/"+url.PathEscape(id)+"/propose", w)
}

// Revoke takes an approval back.
func (c *Client) Revoke(ctx context.Context, id, reason string) (api.Request, error) {
	return post[api.Request](ctx, c, "/requests/"+url.PathEscape(id)+"/revoke", api.Revocation{Reason: reason})
}

// Engineers lists who asked for the caller's sites.
func (c *Client) Engineers(ctx context.Context) ([]api.Engineer, error) {
	return get[[]api.Engineer](ctx, c, "/engineers")
}

// Disable ends an engineer's access to a site.
func (c *Client) Disable(ctx context.Context, s api.Standing) (api.Engineer, error) {
	return post[api.Engineer](ctx, c, "/engineers/disable", s)
}

// Enable lets an engineer ask again.
func (c *Client) Enable(ctx context.Context, s api.Standing) (api.Engineer, error) {
	return post[api.Engineer](ctx, c, "/engineers/enable", s)
}

func (c *Client) Access(ctx context.Context, asset, service string) (api.Access, error) {
	return get[api.Access](ctx, c, "/access/"+url.PathEscape(asset)+"/"+url.PathEscape(service))
}

func (c *Client) Sessions(ctx context.Context) ([]api.Session, error) {
	return get[[]api.Session](ctx, c, "/sessions")
}

func (c *Client) Session(ctx context.Context, id string) (api.Session, error) {
	return get[api.Session](ctx, c, "/sessions/"+url.PathEscape(id))
}

func (c *Client) Kill(ctx context.Context, id string) (api.Session, error) {
	return post[api.Session](ctx, c, "/sessions/"+url.PathEscape(id)+"/kill", nil)
}

// Freeze stops what the engineer of a session types.
func (c *Client) Freeze(ctx context.Context, id string) (api.Session, error) {
	return post[api.Session](ctx, c, "/sessions/"+url.PathEscape(id)+"/freeze", nil)
}

// Thaw lets the engineer type again.
func (c *Client) Thaw(ctx context.Context, id string) (api.Session, error) {
	return post[api.Session](ctx, c, "/sessions/"+url.PathEscape(id)+"/thaw", nil)
}

// Recordings lists the newest recordings.
func (c *Client) Recordings(ctx context.Context) ([]api.Recording, error) {
	all, _, err := c.FindRecordings(ctx, url.Values{"limit": {"500"}})
	return all, err
}

// FindRecordings lists recordings that fit, as GET /recordings filters them. next is
// for "before" when there are more.
func (c *Client) FindRecordings(ctx context.Context, filter url.Values) (all []api.Recording, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	resp, err := c.do(ctx, http.MethodGet, "/recordings?"+filter.Encode(), nil)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	all, err = read[[]api.Recording](resp, "/recordings")
	return all, resp.Header.Get("X-Next"), err
}

// Review says of a recording whether all was as agreed.
func (c *Client) Review(ctx context.Context, id string, a api.Attestation) (api.Recording, error) {
	return post[api.Recording](ctx, c, "/recordings/"+url.PathEscape(id)+"/reviews", a)
}

func (c *Client) Recording(ctx context.Context, id string) (api.Recording, error) {
	return get[api.Recording](ctx, c, "/recordings/"+url.PathEscape(id))
}

// RecordingFile copies the assembled container to w. How large it may be is for
// the disk to say; a transfer that breaks off is an error.
func (c *Client) RecordingFile(ctx context.Context, id string, w io.Writer) (int64, error) {
	return c.RecordingFor(ctx, id, "", w)
}

// RecordingFor is RecordingFile for a reason that stands in the audit log.
func (c *Client) RecordingFor(ctx context.Context, id, reason string, w io.Writer) (int64, error) {
	return c.stream(ctx, id, "/file", reason, w)
}

// RecordingPack copies the evidence pack of a recording to w, as RecordingFile does.
func (c *Client) RecordingPack(ctx context.Context, id string, w io.Writer) (int64, error) {
	return c.PackFor(ctx, id, "", w)
}

// PackFor is RecordingPack for a reason that stands in the audit log.
func (c *Client) PackFor(ctx context.Context, id, reason string, w io.Writer) (int64, error) {
	return c.stream(ctx, id, "/pack", reason, w)
}

func (c *Client) stream(ctx context.Context, id, what, reason string, w io.Writer) (int64, error) {
	path := "/recordings/" + url.PathEscape(id) + what
	if reason != "" {
		path += "?reason=" + url.QueryEscape(reason)
	}
	resp, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(w, resp.Body)
	if err != nil {
		return n, unreachable(fmt.Errorf("fetch recording: %w", err))
	}
	return n, nil
}

// AuditAfter reads audit events from a number on; AuditLast the newest n.
func (c *Client) AuditAfter(ctx context.Context, from int64) (api.AuditEvents, error) {
	return get[api.AuditEvents](ctx, c, fmt.Sprintf("/audit/events?after=%d", from))
}

func (c *Client) AuditLast(ctx context.Context, n int) (api.AuditEvents, error) {
	return get[api.AuditEvents](ctx, c, fmt.Sprintf("/audit/events?last=%d", n))
}

func (c *Client) AuditProof(ctx context.Context, index int64) (api.AuditProof, error) {
	return get[api.AuditProof](ctx, c, fmt.Sprintf("/audit/events/%d/proof", index))
}

func (c *Client) AuditCheckpoint(ctx context.Context) (api.AuditCheckpoint, error) {
	return get[api.AuditCheckpoint](ctx, c, "/audit/checkpoint")
}

func (c *Client) AuditLeaves(ctx context.Context, from, to int64) (api.AuditLeaves, error) {
	return get[api.AuditLeaves](ctx, c, fmt.Sprintf("/audit/leaves?from=%d&to=%d", from, to))
}

// Viewed has it noted that the caller looks at a recording.
func (c *Client) Viewed(ctx context.Context, id string, v api.Viewing) error {
	_, err := post[struct{}](ctx, c, "/recordings/"+url.PathEscape(id)+"/viewed", v)
	return err
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return call[T](ctx, c, http.MethodGet, path, nil)
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	return call[T](ctx, c, http.MethodPost, path, body)
}

func call[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var zero T
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return zero, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return zero, nil
	}
	return read[T](resp, path)
}

// read reads a good answer, bounded.
func read[T any](resp *http.Response, path string) (T, error) {
	var zero, v T
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return zero, unreachable(err)
	}
	if len(data) > maxAnswer {
		return zero, odd(fmt.Errorf("answer to %s is larger than %d bytes", path, maxAnswer))
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return zero, odd(fmt.Errorf("answer to %s: %w", path, err))
	}
	return v, nil
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
	e := &session.Error{Kind: p.Kind, Message: firstOf(p.Message, p.Detail), Next: p.Next, Err: ErrFromBroker}
	if e.Message == "" {
		e.Message = fmt.Sprintf("The broker answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	if resp.StatusCode == http.StatusUnauthorized {
		e.Err = errors.Join(ErrFromBroker, ErrNotSignedIn)
		e.Next = firstOf(p.Next, "Sign in with: sallyport login")
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

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &session.Error{Kind: session.Unreachable, Message: "The broker does not answer",
		Next: "Check the network and the address that `sallyport status` shows, then try again.", Err: err}
}

func odd(err error) error {
	return &session.Error{Kind: session.Internal, Message: "The broker's answer makes no sense",
		Next: "Check that this is a Sallyport broker of a fitting version: sallyport status", Err: err}
}
