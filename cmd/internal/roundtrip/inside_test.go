package roundtrip

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/vouch"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// nowhere is what the hidden provider is called. Nothing listens there: only the
// hospital's agent and the hospital's browsers know the way.
const nowhere = "localhost:9"

// inside is a hospital's network, and its agent in it.
type inside struct {
	address string                                     // of the provider
	gone    atomic.Bool                                // the agent is not connected
	hostile atomic.Pointer[func(*http.Request) string] // answers instead of the agent
	asked   atomic.Int32
}

func (in *inside) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if in != nil && address == nowhere {
		address = in.address
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// open is how the broker reaches the agent.
func (in *inside) open(t *testing.T, i session.Issuer) func(context.Context, string, string) (net.Conn, error) {
	i.Vouch = true
	desk := vouch.New([]session.Issuer{i}, func(session.Issuer) idtoken.Options { return idtoken.Options{Dial: in.dial} }, slog.New(slog.DiscardHandler))
	return func(context.Context, string, string) (net.Conn, error) {
		in.asked.Add(1)
		if in.gone.Load() {
			return nil, session.Errorf(session.Unreachable, "The agent of site NGH is not connected.").WithNext("Try again in a moment.")
		}
		near, far := net.Pipe()
		if lie := in.hostile.Load(); lie != nil {
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, (*lie)(r))
			})}
			go func() { _ = server.Serve(&single{conn: far}) }()
			return near, nil
		}
		go desk.Serve(t.Context(), i.URL, far)
		return near, nil
	}
}

// single is a listener of one connection.
type single struct {
	conn net.Conn
	used atomic.Bool
}

func (s *single) Accept() (net.Conn, error) {
	if s.used.Swap(true) {
		return nil, net.ErrClosed
	}
	return s.conn, nil
}
func (s *single) Close() error   { return nil }
func (s *single) Addr() net.Addr { return s.conn.LocalAddr() }

// problem is what a sign-in that fails tells the person.
func (b *browser) problem(email string) string {
	b.t.Helper()
	a := b.call("POST", "/auth/login", map[string]string{"email": email, "return": "/"})
	if a.status != 200 {
		return string(a.body)
	}
	if to := b.back(b.visit(b.url0(a))); strings.Contains(to, "problem=") {
		p := b.outcome(to).Problem
		return p.Message + " " + p.Next
	}
	return ""
}

// Agents that vouch for what is not so, or not any more.
func TestWhatAnAgentVouchesForInVain(t *testing.T) {
	document := func(w *world, change ...string) string {
		m := map[string]any{"issuer": w.hospital.Issuer(), "authorization_endpoint": w.hospital.Issuer() + "/authorize",
			"token_endpoint": w.hospital.Issuer() + "/token", "jwks_uri": w.hospital.Issuer() + "/jwks"}
		for i := 0; i < len(change); i += 2 {
			m[change[i]] = change[i+1]
		}
		raw, _ := json.Marshal(m)
		return string(raw)
	}
	for name, row := range map[string]struct {
		spoil func(*world)
		want  string
	}{
		"an agent that is away": {func(w *world) { w.inside.gone.Store(true) }, "The agent of site NGH is not connected."},
		"the vendor's document": {func(w *world) { w.lie(func(*http.Request) string { return document(w, "issuer", w.vendor.Issuer()) }) }, "does not answer"},
		"a plain http sign-in": {func(w *world) {
			w.lie(func(*http.Request) string { return document(w, "authorization_endpoint", "http://evil.example/") })
		}, "does not answer"},
		"a plain http exchange": {func(w *world) {
			w.lie(func(*http.Request) string { return document(w, "token_endpoint", "http://evil.example/") })
		}, "does not answer"},
		"an exchange on another machine": {func(w *world) {
			w.lie(func(*http.Request) string { return document(w, "token_endpoint", w.vendor.Issuer()+"/token") })
		}, "does not answer"},
		"an endless document": {func(w *world) {
			w.lie(func(*http.Request) string { return document(w, "x", strings.Repeat("x", 300<<10)) })
		}, "does not answer"},
		"no keys at all":          {func(w *world) { w.lieAt("/jwks", `{"keys":[]}`) }, "signing keys could not be fetched"},
		"another's keys":          {func(w *world) { w.lieAt("/jwks", w.keysOf(w.vendor)) }, "key that"},
		"a token of the vendor's": {func(w *world) { w.hospital.lie(func(_, c map[string]any) { c["iss"] = w.vendor.Issuer() }) }, "does not come from the identity provider"},
		"another sign-in's token": {func(w *world) { w.hospital.lie(func(_, c map[string]any) { c["nonce"] = strings.Repeat("A", 43) }) }, "made for something else"},
	} {
		t.Run(name, func(t *testing.T) {
			w := openWorld(t, with{inside: &inside{}})
			row.spoil(w)
			b := w.browser()
			if got := b.problem(approver); !strings.Contains(got, row.want) {
				t.Errorf("the page says %q", got)
			}
			if b.in() {
				t.Error("signed in")
			}
		})
	}
}

// What an agent vouched for counts for an hour without it, and not longer.
func TestVouchingGoesStale(t *testing.T) {
	w := openWorld(t, with{inside: &inside{}})
	w.browser().signIn(approver)
	w.pass(30 * time.Minute)
	w.lieAt("/jwks", "") // the agent has nothing to say of keys any more
	if got := w.browser().problem(approver); got != "" {
		t.Fatalf("refused within the hour: %s", got)
	}
	w.pass(61 * time.Minute)
	if got := w.browser().problem(approver); !strings.Contains(got, "signing keys could not be fetched") {
		t.Errorf("after an hour the page says %q", got)
	}
}

// lie lets a hostile agent answer.
func (w *world) lie(f func(*http.Request) string) { w.inside.hostile.Store(&f) }

// lieAt lies about one document, and passes everything else on as it is.
func (w *world) lieAt(path, says string) {
	w.lie(func(r *http.Request) string {
		if r.URL.Path == path {
			return says
		}
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: w.inside.dial}}
		req, err := http.NewRequestWithContext(r.Context(), r.Method, w.hospital.Issuer()+r.RequestURI, r.Body)
		if err != nil {
			return err.Error()
		}
		req.Header.Set("Content-Type", r.Header.Get("Content-Type"))
		resp, err := c.Do(req)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	})
}

func (w *world) keysOf(p *provider) string {
	resp, err := http.Get(p.srv.URL + "/jwks")
	w.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	w.must(err)
	return string(body)
}

// Approvers sign in at the broker's pages, request and approval go through, with a
// provider that the broker cannot reach.
func TestAProviderThatOnlyTheHospitalReaches(t *testing.T) {
	w := openWorld(t, with{inside: &inside{}})
	if _, err := net.DialTimeout("tcp", nowhere, time.Second); err == nil {
		t.Fatal("something listens at " + nowhere)
	}
	eng, app := w.browser(), w.browser()
	eng.signIn(engineer)
	app.signIn(approver)
	asked := eng.prove(eng.ask())
	if !asked.OK {
		t.Fatalf("asked: %+v", asked)
	}
	if o := app.prove(app.approval(asked.Request)); !o.OK || !o.Admitted {
		t.Fatalf("approved: %+v", o)
	}
	w.events()
	if w.inside.asked.Load() == 0 {
		t.Error("the agent was not asked")
	}
}
