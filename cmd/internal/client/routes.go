package client

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
)

// A route of the broker's API, with what it takes and answers. Names in braces are
// filled with the ids of a call, in their order.
type (
	Read[Out any]      string // GET
	Write[In, Out any] string // POST
	List[T any]        string // GET, page by page, newest first
	File               string // GET, as large as it is
)

// None is what a call takes or answers that takes or answers nothing.
type None struct{}

// What the people's command asks for.
const (
	Info   Read[api.Info]               = "/info"
	Me     Read[api.Login]              = "/me"
	Login  Write[api.SignIn, api.Login] = "/login"
	Logout Write[None, None]            = "/logout"

	Assets List[api.Asset]  = "/assets"
	Access Read[api.Access] = "/access/{site}/{asset}/{service}"
	// AccessShort is Access by a name that may be ambiguous.
	AccessShort Read[api.Access] = "/access/{asset}/{service}"

	attachTo Write[api.Attach, api.Ticket] = "/attach"

	Requests  List[api.Request]                  = "/requests"
	Request   Read[api.Request]                  = "/requests/{id}"
	Documents Read[api.Documents]                = "/requests/{id}/documents"
	Submit    Write[api.Submission, api.Request] = "/requests"
	Approve   Write[api.Decision, api.Decided]   = "/requests/{id}/approvals"
	Deny      Write[api.Denial, api.Request]     = "/requests/{id}/deny"
	DenyAll   Write[api.Denials, api.Denied]     = "/requests/deny"
	Withdraw  Write[None, api.Request]           = "/requests/{id}/withdraw"
	Activate  Write[api.Activation, api.Request] = "/requests/{id}/activate"
	Propose   Write[api.Counter, api.Request]    = "/requests/{id}/propose"
	Revoke    Write[api.Revocation, api.Request] = "/requests/{id}/revoke"
	Engineers List[api.Engineer]                 = "/engineers"
	Disable   Write[api.Standing, api.Engineer]  = "/engineers/disable"
	Enable    Write[api.Standing, api.Engineer]  = "/engineers/enable"

	Sessions List[api.Session]                   = "/sessions"
	Session  Read[api.Session]                   = "/sessions/{id}"
	Kill     Write[None, api.Session]            = "/sessions/{id}/kill"
	Freeze   Write[None, api.Session]            = "/sessions/{id}/freeze"
	Thaw     Write[None, api.Session]            = "/sessions/{id}/thaw"
	Watch    Write[api.Activation, api.Watching] = "/sessions/{id}/watch"

	Recordings    List[api.Recording]                   = "/recordings"
	Recording     Read[api.Recording]                   = "/recordings/{id}"
	RecordingFile File                                  = "/recordings/{id}/file"
	RecordingPack File                                  = "/recordings/{id}/pack"
	Viewed        Write[api.Viewing, None]              = "/recordings/{id}/viewed"
	Review        Write[api.Attestation, api.Recording] = "/recordings/{id}/reviews"

	AuditLogs       Read[api.AuditLogList]    = "/audit/logs"
	AuditEvents     Read[api.AuditEvents]     = "/audit/events"
	AuditProof      Read[api.AuditProof]      = "/audit/events/{index}/proof"
	AuditCheckpoint Read[api.AuditCheckpoint] = "/audit/checkpoint"
	AuditLeaves     Read[api.AuditLeaves]     = "/audit/leaves"
)

// Get asks once.
func (r Read[Out]) Get(ctx context.Context, c *Client, ids ...string) (Out, error) {
	return r.Where(ctx, c, nil, ids...)
}

// Where is Get with a query.
func (r Read[Out]) Where(ctx context.Context, c *Client, query url.Values, ids ...string) (Out, error) {
	out, _, err := call[Out](ctx, c, http.MethodGet, fill(string(r), query, ids), nil)
	return bound(out, err, ids)
}

// Await answers when a request's status is no longer the given one, or after wait.
func Await(ctx context.Context, c *Client, id string, status session.Status, wait time.Duration) (api.Request, error) {
	seconds := int(min(max(wait, time.Second), maxWait).Seconds())
	return Request.Where(ctx, c, url.Values{"wait": {strconv.Itoa(seconds)}, "status": {string(status)}}, id)
}

// Post hands in.
func (w Write[In, Out]) Post(ctx context.Context, c *Client, in In, ids ...string) (Out, error) {
	var body any = in
	if _, nothing := body.(None); nothing {
		body = nil
	}
	out, _, err := call[Out](ctx, c, http.MethodPost, fill(string(w), nil, ids), body)
	return bound(out, err, ids)
}

// bound refuses an answer that is about something else than what was named.
func bound[Out any](out Out, err error, ids []string) (Out, error) {
	came, says := about(out)
	if err != nil || !says || len(ids) != 1 || came == ids[0] {
		return out, err
	}
	var none Out
	return none, &session.Error{Kind: session.Internal, Err: ErrFromBroker, Message: fmt.Sprintf("The broker answered with %.60q, and %s was named", came, ids[0]),
		Next: "Nothing of it is shown. Tell your security contact."}
}

// about is what an answer says that it is about, where answers of its kind do.
func about(answer any) (id string, says bool) {
	switch v := answer.(type) {
	case api.Request:
		return v.ID, true
	case api.Decided:
		return v.Request.ID, true
	case api.Session:
		return v.ID, true
	case api.Watching:
		return v.Session, true
	case api.Recording:
		return v.ID, true
	}
	return "", false
}

// All is the whole list; never nil.
func (l List[T]) All(ctx context.Context, c *Client) ([]T, error) {
	return l.Where(ctx, c, nil)
}

// Where is all of the list that fits the filter; never nil.
func (l List[T]) Where(ctx context.Context, c *Client, filter url.Values) ([]T, error) {
	all, _, err := l.First(ctx, c, filter, math.MaxInt)
	return all, err
}

// First is at most limit entries that fit the filter, and whether there are more.
func (l List[T]) First(ctx context.Context, c *Client, filter url.Values, limit int) (all []T, more bool, err error) {
	query := url.Values{}
	for name := range filter {
		query.Set(name, filter.Get(name))
	}
	all = []T{}
	for {
		query.Set("limit", strconv.Itoa(min(limit-len(all), maxPage)))
		some, next, err := call[[]T](ctx, c, http.MethodGet, fill(string(l), query, nil), nil)
		if err != nil {
			return nil, false, err
		}
		all = append(all, some...)
		if next == "" || len(all) >= limit {
			return all, next != "", nil
		}
		query.Set("after", next)
	}
}

// Copy brings a file to w, for a reason that stands in the audit log.
// How large it may be is for the disk to say; a transfer that breaks off is an error.
func (f File) Copy(ctx context.Context, c *Client, id, reason string, w io.Writer) (int64, error) {
	resp, err := c.do(ctx, http.MethodGet, fill(string(f), url.Values{"reason": {reason}}, []string{id}), nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	to := &target{w: w}
	n, err := io.Copy(to, resp.Body)
	switch {
	case to.err != nil: // ours, not the broker's
		return n, fmt.Errorf("save a recording: %w", to.err)
	case err != nil:
		return n, unreachable(fmt.Errorf("fetch recording: %w", err))
	}
	return n, nil
}

// target remembers why it could not be written to.
type target struct {
	w   io.Writer
	err error
}

func (t *target) Write(p []byte) (n int, err error) {
	n, err = t.w.Write(p)
	t.err = err
	return n, err
}

// fill makes an address of a route.
func fill(path string, query url.Values, ids []string) string {
	for _, id := range ids {
		before, rest, _ := strings.Cut(path, "{")
		_, after, _ := strings.Cut(rest, "}")
		path = before + url.PathEscape(id) + after
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}
