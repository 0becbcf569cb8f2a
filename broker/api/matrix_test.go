package api

import (
	"flag"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
)

// verdict is what a principal gets: "ok" is any answer of the rooms below to
// somebody who may call (2xx, or a refusal of what they ask: 400, 409).
type verdict map[string]int

const ok = 0

// matrix says what every principal gets on every route, for things of ada's at NGH.
// Principals: ada (her own), adam (another engineer), abroad (an engineer who does
// not service NGH), ben and audrey (approver and auditor at NGH), fay and al (the
// same elsewhere), nothing (signed in without a role).
func matrix() map[string]verdict {
	roles := func(ada, adam, abroad, ben, audrey, fay, al int) verdict {
		return verdict{"ada": ada, "adam": adam, "abroad": abroad, "ben": ben, "audrey": audrey, "fay": fay, "al": al, "nothing": 403}
	}
	everybody := roles(ok, ok, ok, ok, ok, ok, ok)
	public := roles(ok, ok, ok, ok, ok, ok, ok)
	public["nothing"] = ok
	readers := roles(ok, 404, 404, ok, ok, 404, 404)
	return map[string]verdict{
		"info":                 public,
		"login":                public,
		"logout":               everybody,
		"me":                   everybody,
		"list-logins":          everybody,
		"end-logins":           roles(ok, 404, 404, 404, 404, 404, 404), // ada's
		"list-assets":          everybody,
		"submit-request":       roles(ok, 403, 403, 403, 403, 403, 403), // ada's document
		"list-requests":        everybody,
		"get-request":          readers,
		"get-documents":        readers,
		"approve-request":      roles(403, 403, 403, ok, 403, 404, 403),
		"deny-request":         roles(403, 403, 403, ok, 403, 404, 403),
		"deny-requests":        roles(403, 403, 403, ok, 403, 404, 403),
		"withdraw-request":     roles(ok, 404, 404, 403, 403, 403, 403),
		"activate-request":     roles(ok, 404, 404, 403, 403, 403, 403),
		"propose-window":       roles(403, 403, 403, ok, 403, 404, 403),
		"revoke-request":       roles(403, 403, 403, ok, 403, 404, 403),
		"freeze-session":       roles(403, 403, 403, ok, 403, 404, 403),
		"thaw-session":         roles(403, 403, 403, ok, 403, 404, 403),
		"list-engineers":       roles(403, 403, 403, ok, 403, ok, 403),
		"disable-engineer":     roles(403, 403, 403, ok, 403, 404, 403),
		"enable-engineer":      roles(403, 403, 403, ok, 403, 404, 403),
		"explain-access":       roles(ok, ok, 404, 403, 403, 403, 403),
		"explain-access-short": roles(ok, ok, 404, 403, 403, 403, 403),
		"list-sessions":        everybody,
		"get-session":          readers,
		"kill-session":         roles(ok, 404, 404, ok, 403, 404, 403),
		"watch-session":        roles(403, 403, 403, ok, ok, 404, 404),
		"list-recordings":      everybody,
		"get-recording":        readers,
		"get-recording-file":   readers,

		"list-audit-logs":      everybody,
		"list-audit-events":    everybody,
		"prove-audit-event":    roles(ok, 404, 404, ok, ok, 404, 404), // ada's request
		"get-audit-checkpoint": everybody,
		"list-audit-leaves":    everybody,
		"get-recording-pack":   readers,
		"view-recording":       readers,

		"follow-events":            everybody,
		"attach":                   roles(ok, 403, 403, 403, 403, 403, 403),  // ada's session
		"attach-socket":            roles(403, 403, 403, 403, 403, 403, 403), // without an origin
		"get-request-context":      readers,
		"get-recording-replay":     readers,
		"get-recording-part":       readers,
		"get-recording-moment":     readers,
		"get-recording-picture":    readers,
		"get-recording-thumb":      readers,
		"get-recording-transcript": readers,
		"verify-recording":         readers,
		"review-recording":         roles(403, 403, 403, ok, ok, 404, 404),
	}
}

// Every route × every principal. A route that the matrix does not name fails.
func TestMatrix(t *testing.T) {
	rows := matrix()
	shape := newWorld(t)
	for id := range operations(shape.api) {
		if rows[id] == nil {
			t.Errorf("the route %s is in no row of the matrix", id)
		}
	}
	if len(rows) != len(table()) {
		t.Errorf("%d rows for %d routes", len(rows), len(table()))
	}
	for _, r := range table() {
		t.Run(r.id, func(t *testing.T) {
			t.Parallel() // mostly the disk is waited for
			w := newWorld(t)
			x := w.things()
			changed := false
			fresh := func() { // what one changed must not help the next
				if changed && r.method != http.MethodGet {
					w = newWorld(t)
					x = w.things()
				}
				changed = false
			}
			for who, want := range rows[r.id] {
				fresh()
				path, body := w.aim(r, x)
				got := w.call(who, r.method, path, body)
				switch {
				case want == ok && r.id == "login":
					w.problem(who, got, 500) // this world signs nobody in
				case want != ok:
					w.problem(who, got, want)
				case got.status/100 != 2 && got.status != 400 && got.status != 409:
					t.Errorf("%s gets %d %s", who, got.status, got.body)
				}
				if changed = got.status/100 == 2; r.public {
					continue
				}
				fresh()
				changed = w.asBrowser(r, x, who, want)
				for what, token := range map[string]string{"nobody": "", "a wrong token": "who", "two words": "ada ada", "a basic login": "\x00"} {
					w.problem(what, w.anonymous(token, r.method, path, body), 401)
				}
			}
		})
	}
}

// anonymous calls with something that signs nobody in.
func (w *world) anonymous(token, method, path string, body any) answered {
	if token != "\x00" {
		return w.call(token, method, path, body)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, nil)
	w.must(err)
	req.Header.Set("Authorization", "Basic YWRhOmFkYQ==")
	return w.do(req)
}

// aim fills a route with ada's things.
func (w *world) aim(r route, x things) (path string, body any) {
	id := x.pending
	switch {
	case strings.Contains(r.path, "/sessions/"):
		id = x.session
	case strings.Contains(r.path, "/recordings/"):
		id = x.recording
	}
	path = strings.NewReplacer("{id}", id, "{index}", "1", "{n}", "0", "{at}", "7", "{site}", "NGH", "{asset}", "NGH-PETCT1", "{service}", "recon-ssh").Replace(r.path)
	switch r.id {
	case "login":
		body = SignIn{IDToken: "a.b.c", Salt: make([]byte, 32), Key: "k", Signature: make([]byte, 64)}
	case "get-recording-file", "get-recording-pack":
		path += "?reason=incident+7"
	case "submit-request":
		body = w.submission("ada")
	case "approve-request":
		body = w.decision(x.raw, "ben")
	case "deny-request":
		body = Denial{Reason: "in use"}
	case "deny-requests":
		body = Denials{Site: "NGH", Iss: people()["ada"].Iss, Sub: "ada", Reason: "in use"}
	case "activate-request":
		p := accesstest.Proof("ada")
		path = strings.Replace(path, x.pending, x.request, 1)
		body = Activation{Key: accesstest.NewKey(), Token: p.Token, Salt: p.Salt}
	case "watch-session":
		p := accesstest.Proof("ben")
		body = Activation{Key: accesstest.NewKey(), Token: p.Token, Salt: p.Salt}
	case "propose-window":
		body = Counter{From: w.clock().Add(time.Hour), Until: w.clock().Add(2 * time.Hour)}
	case "revoke-request":
		path = strings.Replace(path, x.pending, x.request, 1)
		body = Revocation{Reason: "in use"}
	case "disable-engineer", "enable-engineer":
		body = Standing{Site: "NGH", Iss: people()["ada"].Iss, Sub: "ada", Reason: "left"}
	case "end-logins":
		body = EndLogins{ID: "login-of-ada"}
	case "attach":
		body = Attach{Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh"}
	case "review-recording":
		body = Attestation{Attestation: "as-agreed"}
	case "view-recording":
		body = Viewing{Input: true, Reason: "incident 7"}
	}
	return path, body
}

// Lists show a stranger nothing of NGH.
func TestListsAreFenced(t *testing.T) {
	w := newWorld(t)
	w.things()
	for _, path := range []string{"/assets", "/assets?site=NGH", "/requests", "/sessions", "/recordings", "/engineers"} {
		if path == "/engineers" {
			a := w.call("fay", "GET", "/api/v1"+path, nil)
			if b := w.call("ben", "GET", "/api/v1"+path, nil); string(a.body) != "[]\n" || !strings.Contains(string(b.body), `"sub":"ada"`) {
				t.Errorf("%s: fay sees %s, ben %s", path, a.body, b.body)
			}
			continue
		}
		for who, sees := range map[string]bool{"ada": true, "ben": true, "audrey": true, "fay": false, "al": false, "abroad": false} {
			a := w.call(who, "GET", "/api/v1"+path, nil)
			if a.status != 200 || (string(a.body) == "[]\n") == sees {
				t.Errorf("%s of %s: %d %s", path, who, a.status, a.body)
			}
		}
		if a := w.call("adam", "GET", "/api/v1"+path, nil); !strings.Contains(path, "assets") && string(a.body) != "[]\n" {
			t.Errorf("%s of adam: %s", path, a.body)
		}
	}
}

// A foreign id and one that nobody has get the same answer, byte for byte.
func TestForeignIDsTellNothing(t *testing.T) {
	w := newWorld(t)
	x, none := w.things(), session.NewID()
	for path, unknown := range map[string]string{
		"/requests/" + x.request:                "/requests/" + none.Request(),
		"/requests/" + x.request + "/documents": "/requests/" + none.Request() + "/documents",
		"/requests/" + x.request + "?wait=1":    "/requests/" + none.Request() + "?wait=1",
		"/sessions/" + x.session:                "/sessions/" + none.Session(),
		"/recordings/" + x.recording:            "/recordings/" + none.Recording(),
		"/recordings/" + x.recording + "/file":  "/recordings/" + none.Recording() + "/file",
		"/recordings/" + x.recording + "/pack":  "/recordings/" + none.Recording() + "/pack",

		"/requests/" + x.request + "/context":         "/requests/" + none.Request() + "/context",
		"/recordings/" + x.recording + "/replay":      "/recordings/" + none.Recording() + "/replay",
		"/recordings/" + x.recording + "/replay/0":    "/recordings/" + none.Recording() + "/replay/0",
		"/recordings/" + x.recording + "/replay/at/7": "/recordings/" + none.Recording() + "/replay/at/7",
		"/recordings/" + x.recording + "/transcript":  "/recordings/" + none.Recording() + "/transcript",
	} {
		for _, who := range []string{"adam", "fay", "al", "abroad"} {
			here, missing := w.call(who, "GET", "/api/v1"+path, nil), w.call(who, "GET", "/api/v1"+unknown, nil)
			same := strings.NewReplacer(none.Request(), "ID", none.Session(), "ID", none.Recording(), "ID", x.request, "ID", x.session, "ID", x.recording, "ID")
			if here.status != 404 || missing.status != 404 || same.Replace(string(here.body)) != same.Replace(string(missing.body)) {
				t.Errorf("%s as %s: %d %s and %d %s", path, who, here.status, here.body, missing.status, missing.body)
			}
		}
	}
}

// No spelling of a path gets around the gate.
func TestNoSpellingGetsIn(t *testing.T) {
	w := newWorld(t)
	for _, r := range table() {
		path := strings.NewReplacer("{id}", "R-x", "{site}", "S", "{asset}", "A", "{service}", "s").Replace(r.path)
		for _, spelt := range []string{path + "/", "/" + path, path + "//", path + ";x", path + "%2f", "/x/.." + path, path + "/..;/", strings.ToUpper(path),
			path + ".json", path + "/.", "/." + path, strings.Replace(path, "/v1", "//v1", 1), strings.Replace(path, "/v1", "/v1/./", 1), path + "%00"} {
			req, err := http.NewRequestWithContext(t.Context(), r.method, w.url, nil)
			w.must(err)
			req.URL.Opaque = spelt
			req.Header.Set("X-Forwarded-User", "ben")
			req.Header.Set("X-Original-URL", "/livez")
			w.now.Add(1e9)
			if a := w.do(req); a.status/100 == 2 && r.id != "info" {
				t.Errorf("%s %s: %d %.80s", r.method, spelt, a.status, a.body)
			}
		}
	}
}

var update = flag.Bool("update", false, "write the description of the API to openapi.json")

// The description that other people's clients are made from changes on purpose only.
func TestDescription(t *testing.T) {
	w := newWorld(t)
	got := pretty(t, w.call("", "GET", "/openapi.json", nil).body)
	if *update {
		w.must(os.WriteFile("openapi.json", got, 0o644))
	}
	want, err := os.ReadFile("openapi.json")
	w.must(err)
	if string(got) != string(want) {
		t.Error("the API changed: look at the difference, then run go test ./broker/api -update")
	}
}
