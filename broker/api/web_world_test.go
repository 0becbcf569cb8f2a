package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
)

// doors also knows people by cookies that are their names.

func (d *doors) Browser(ctx context.Context, cookie string) (identity.Caller, error) {
	c, err := d.Authenticate(ctx, cookie)
	c.Web, c.Login = true, "login-of-"+cookie
	return c, err
}

func (d *doors) StartLogin(_ context.Context, _ identity.Visit, email, _, _ string) (identity.Departure, error) {
	return identity.Departure{URL: "https://vendor/authorize?" + email, Browser: "half"}, nil
}

func (d *doors) StartProof(_ context.Context, _ identity.Visit, _ identity.Caller, q identity.Question) (identity.Departure, error) {
	return identity.Departure{URL: "https://vendor/authorize?" + q.Nonce, Browser: "half"}, nil
}

func (d *doors) Return(context.Context, identity.Visit, identity.Answer) (identity.Callback, error) {
	return identity.Callback{}, &session.Error{Kind: session.Denied, Message: "No.", Next: "No.", Err: identity.ErrStale}
}

func (d *doors) Keep(context.Context, identity.Visit, identity.Callback, []byte) error { return nil }

// Outcome knows one trip, ada's.
func (d *doors) Outcome(_ context.Context, trip, login, _ string) ([]byte, error) {
	if trip == "trip" && login == "login-of-ada" {
		return []byte(`{"ok":true}`), nil
	}
	return nil, &session.Error{Kind: session.Invalid, Message: "There is no such round trip.", Next: "Start again.", Err: identity.ErrUnknown}
}

func (d *doors) Logins(_ context.Context, c identity.Caller) ([]identity.Login, error) {
	return []identity.Login{{ID: "login-of-" + c.Sub, Web: true}}, nil
}

func (d *doors) End(_ context.Context, c identity.Caller, id string) error {
	if id == "login-of-"+c.Sub {
		return nil
	}
	return &session.Error{Kind: session.Invalid, Message: "There is no such login.", Next: "Look again.", Err: identity.ErrUnknown}
}

func (d *doors) EndAll(context.Context, identity.Caller) error { return nil }

func (d *doors) Look(ctx context.Context, cookie string) (identity.Caller, error) {
	return d.Browser(ctx, cookie)
}

// broker is the URL that the world's pages are served from, as they know it.
const broker = "https://broker.example.org"

// browse sends one call as a page of ours would; change spoils it.
func (w *world) browse(cookie, method, path string, body any, change ...func(*http.Request)) answered {
	w.t.Helper()
	w.now.Add(1e9)
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, nil)
	w.must(err)
	if body != nil {
		b, err := json.Marshal(body)
		w.must(err)
		req, err = http.NewRequestWithContext(w.t.Context(), method, w.url+path, bytes.NewReader(b))
		w.must(err)
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", broker)
	}
	if cookie != "" {
		req.AddCookie(&http.Cookie{Name: loginCookie, Value: cookie})
	}
	for _, f := range change {
		f(req)
	}
	return w.do(req)
}
