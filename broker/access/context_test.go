package access_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// ask asks for one of the site's scanners.
func (w *world) ask(p person, asset string) (access.Request, []byte) {
	w.t.Helper()
	raw := accesstest.Bytes(accesstest.Request(p.id(), "NGH", asset, w.clock()))
	r, err := w.Submit(w.t.Context(), p, raw, accesstest.Proof(p.who.Sub))
	w.must(err)
	return r, raw
}

// decided is a request that was answered after a time.
func (w *world) decided(p person, asset string, after time.Duration, yes bool) access.Request {
	w.t.Helper()
	r, raw := w.ask(p, asset)
	w.advance(after)
	var err error
	if yes {
		r, _, err = w.Approve(w.t.Context(), ben, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	} else {
		r, err = w.Deny(w.t.Context(), ben, r.ID, "in use")
	}
	w.must(err)
	return r
}

func (w *world) asset(c access.Caller, name string) access.Asset {
	w.t.Helper()
	all, err := scanners(w.t.Context(), w.Access, c, access.Which{})
	w.must(err)
	for _, a := range all {
		if a.Name == name {
			return a
		}
	}
	w.t.Fatalf("no %s", name)
	return access.Asset{}
}

// The usual time is the median of a scanner's latest fifty decisions, the site's where
// it has none, and unknown where nothing was decided.
func TestTypicalTime(t *testing.T) {
	w := newWorld(t)
	is := func(asset string, median time.Duration, decided int) {
		t.Helper()
		if a := w.asset(ada, asset); a.Median != int64(median/time.Second) || a.Decided != decided {
			t.Errorf("%s: %v over %d, want %v over %d", asset, a.Median, a.Decided, median, decided)
		}
	}
	is("NGH-PETCT1", 0, 0)
	w.ask(ada, "NGH-PETCT1") // nobody answers
	is("NGH-PETCT1", 0, 0)
	w.decided(ada, "NGH-PETCT1", 2*time.Minute, true)
	w.decided(adam, "NGH-PETCT1", 10*time.Minute, false)
	w.decided(ada, "NGH-PETCT1", 4*time.Minute, true)
	is("NGH-PETCT1", 4*time.Minute, 3)
	is("NGH-CT2", 4*time.Minute, 3) // the site's
	w.decided(ada, "NGH-CT2", time.Minute, true)
	is("NGH-CT2", time.Minute, 1)
	is("NGH-PETCT1", 4*time.Minute, 3)
	for range 50 {
		w.decided(ada, "NGH-PETCT1", 6*time.Second, false)
	}
	is("NGH-PETCT1", 6*time.Second, 50)
}

// What lives on a scanner shows to those who may know of it, while it lives.
func TestLiveOnAScanner(t *testing.T) {
	w := newWorld(t)
	r, id := w.approved(ada)
	shows := func(what string, n int, who ...person) {
		t.Helper()
		for _, c := range who {
			if a := w.asset(c, "NGH-PETCT1"); len(a.Live) != n || n > 0 && a.Live[0] != id {
				t.Errorf("%s: %s sees %v", what, c.who.Sub, a.Live)
			}
		}
	}
	shows("not opened", 0, ada, ben)
	rep := w.report(r, 1)
	w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	shows("opened", 1, ada, ben, audrey)
	shows("opened", 0, adam)
	if a := w.asset(ben, "NGH-CT2"); len(a.Live) != 0 {
		t.Errorf("on another scanner: %v", a.Live)
	}
	w.advance(31 * time.Minute) // nobody reports
	shows("past its deadline", 0, ada, ben, audrey)
}

// The past that a decision sees is this engineer's, on this scanner, at this site.
func TestHistory(t *testing.T) {
	w := newWorld(t)
	past := func(p person, asset string) access.Request {
		r := w.decided(p, asset, time.Minute, true)
		rep := w.report(r, 1)
		rep.Recordings = []link.RecordingReport{{Recording: sessionRecording(), Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()}}
		w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
		w.advance(time.Minute)
		rep.Seq, rep.Ended, rep.Reason = 2, w.clock(), "completed"
		w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
		id, err := parseRecording(rep.Recordings[0].Recording)
		w.must(err)
		w.must(w.SealRecording(t.Context(), "NGH", "main", id, w.clock(), false))
		return r
	}
	first := w.clock()
	for range 7 {
		past(ada, "NGH-PETCT1")
	}
	past(ada, "NGH-CT2")
	past(adam, "NGH-PETCT1")
	w.decided(ada, "NGH-PETCT1", time.Minute, false)
	w.decided(ada, "NGH-CT2", time.Minute, false)
	now, _ := w.ask(ada, "NGH-PETCT1")
	x, err := w.Context(t.Context(), ben, now.ID)
	w.must(err)
	if x.Sessions != 7 || len(x.Recent) != 5 || x.Denied != 1 || x.Unreviewed != 7 || x.Since.Before(first) || x.Since.After(first.Add(2*time.Minute)) {
		t.Errorf("%+v", x)
	}
	for i, p := range x.Recent {
		if p.Reason != "tube arcs" || p.Reviewed || i > 0 && p.Opened.After(x.Recent[i-1].Opened) {
			t.Errorf("%d: %+v", i, p)
		}
	}
	id, err := parseRecording(x.Recent[0].Recordings[0])
	w.must(err)
	_, err = w.Review(t.Context(), audrey, id.Recording(), access.AsAgreed, "")
	w.must(err)
	if x, err = w.Context(t.Context(), audrey, now.ID); err != nil || x.Unreviewed != 6 || !x.Recent[0].Reviewed || x.Recent[1].Reviewed {
		t.Errorf("%+v, %v", x, err)
	}
	for _, c := range []person{adam, foreign, foreignA} {
		if x, err := w.Context(t.Context(), c, now.ID); err == nil || x.Sessions != 0 {
			t.Errorf("%s reads %+v", c.who.Sub, x)
		}
	}
	// One who is the engineer and an approver, too, learns no more than the engineer.
	if x, err := w.Context(t.Context(), ada.with("approver"), now.ID); err != nil || x.Sessions != 0 || x.Agent != "" || x.Decided == 0 {
		t.Errorf("both roles: %+v, %v", x, err)
	}
}

// The class of a client comes from its issuer's own list, and from nothing else.
func TestClientClass(t *testing.T) {
	w := newWorld(t)
	var err error
	w.Access, err = access.New(access.Config{Documents: w.store, Listing: w.store, Wholes: w.store, Agents: w.agent, Now: w.clock, Issuers: func() []session.Issuer {
		return []session.Issuer{
			{URL: "https://vendor", Side: session.VendorSide, Clients: map[string]session.ClientClass{"sallyport-web": session.Web}},
			{URL: "https://hospital", Side: session.HospitalSide, Clients: map[string]session.ClientClass{"sallyport-console": session.Console}},
		}
	}})
	w.must(err)
	b64 := base64.RawURLEncoding.EncodeToString
	token := func(iss string, aud any) string {
		sub := map[bool]string{true: "ben", false: "ada"}[iss == "https://hospital"]
		claims, err := json.Marshal(map[string]any{"iss": iss, "aud": aud, "sub": sub, "jti": session.NewID().Text()})
		w.must(err)
		return b64([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + b64(claims) + "." + b64([]byte("signature"))
	}
	for i, c := range []struct {
		token string
		want  session.ClientClass
	}{
		{token("https://vendor", "sallyport-web"), session.Web},
		{token("https://vendor", []string{"sallyport-web"}), session.Web},
		{token("https://vendor", []string{"sallyport-web", "x"}), ""},
		{token("https://vendor", "sallyport-console"), ""},
		{token("https://elsewhere", "sallyport-web"), ""},
		{token("https://vendor", map[string]string{"a": "sallyport-web"}), ""},
		{"no.ada.atall", ""},
	} {
		raw := accesstest.Bytes(accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock()))
		p := grant.Proof{Token: c.token, Salt: accesstest.Proof("ada").Salt}
		r, err := w.Submit(t.Context(), ada, raw, p)
		w.must(err)
		if r.EngineerClass != c.want || len(r.Approved) != 0 {
			t.Errorf("%d: %q", i, r.Class)
		}
		w.advance(time.Second)
		p.Token = token("https://hospital", "sallyport-console")
		r, _, err = w.Approve(t.Context(), ben, r.ID, accesstest.Bytes(w.agent.Grant(raw)), p)
		w.must(err)
		if len(r.Approved) != 1 || r.Approved[0].Class != session.Console || r.Approved[0].By.Sub != "ben" || !r.Approved[0].At.Equal(w.clock()) {
			t.Errorf("%+v", r.Approved)
		}
	}
}

// A search goes past what one read of the store brings, and forgets nothing on its way.
func TestManyRecordings(t *testing.T) {
	w := newWorld(t)
	r, _ := w.approved(ada)
	rep := w.report(r, 1)
	w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	for i := range 320 {
		x := link.RecordingReport{Recording: sessionRecording(), Service: "recon-ssh", Protocol: session.SSH, Started: w.clock().Add(time.Duration(i%7) * time.Second)}
		w.must(w.StartRecording(t.Context(), "NGH", "main", gid(r), x))
	}
	for _, c := range []person{ada, audrey} {
		seen := map[string]bool{}
		f, part := access.Filter{Asset: "ngh-petct1"}, access.Stretch{Limit: 50}
		for pages := 1; ; pages++ {
			all, next, err := w.Recordings(t.Context(), c, f, part)
			w.must(err)
			for _, v := range all {
				if seen[v.ID] {
					t.Fatalf("%s sees %s twice", c.who.Sub, v.ID)
				}
				seen[v.ID] = true
			}
			if next == "" {
				if pages != 7 {
					t.Errorf("%d pages", pages)
				}
				break
			}
			part.After = next
		}
		if len(seen) != 320 {
			t.Errorf("%s sees %d", c.who.Sub, len(seen))
		}
	}
	if all, next, err := w.Recordings(t.Context(), foreignA, access.Filter{}, access.Stretch{}); err != nil || len(all) != 0 || next != "" {
		t.Errorf("a stranger sees %d, %q, %v", len(all), next, err)
	}
	for _, bad := range []access.Filter{{With: []string{"x"}}, {Asset: "a b"}, {Engineer: "\x1b"}} {
		if _, _, err := w.Recordings(t.Context(), ada, bad, access.Stretch{}); session.KindOf(err) != session.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, bad := range []access.Stretch{{Limit: 501}, {Limit: -1}, {After: "1"}, {After: "1." + fmt.Sprint(sid(r))}} {
		if _, _, err := w.Recordings(t.Context(), ada, access.Filter{}, bad); session.KindOf(err) != session.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func sessionRecording() string { return session.NewID().Recording() }

func parseRecording(s string) (session.ID, error) { return session.ParseRecordingID(s) }
