package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// sealed is things whose recording is over.
func (w *world) sealed() things {
	w.t.Helper()
	x := w.things()
	id, err := session.ParseRecordingID(x.recording)
	w.must(err)
	w.must(w.access.AppendPart(w.t.Context(), "NGH", "main", id, "header", 10))
	w.must(w.access.SealRecording(w.t.Context(), "NGH", "main", id, w.clock(), false))
	return x
}

func (w *world) look(who string, x things) {
	w.t.Helper()
	w.answers(w.call(who, "POST", "/api/v1/recordings/"+x.recording+"/viewed", Viewing{Reason: "incident 7"}), 204)
}

func (w *world) answers(a answered, status int) {
	w.t.Helper()
	if a.status != status {
		w.t.Fatalf("%d %s, want %d", a.status, a.body, status)
	}
}

// Nobody sees what is in a recording before they said why, each for themselves, and
// not for ever.
func TestReplayNeedsAViewing(t *testing.T) {
	w := newWorld(t)
	x := w.sealed()
	paths := []string{"/replay", "/replay/0", "/replay/1", "/replay/at/0", "/replay/thumb/0", "/transcript"}
	refused := func(who, when string) {
		t.Helper()
		for _, path := range paths {
			p := w.problem(who+" "+when, w.call(who, "GET", "/api/v1/recordings/"+x.recording+path, nil), 409)
			if p.Kind != session.Refused || p.Message != "Say first why you look at this recording." {
				t.Errorf("%s %s: %+v", who, when, p)
			}
		}
	}
	for _, who := range []string{"ada", "ben", "audrey"} {
		refused(who, "before a viewing")
	}
	w.problem("no reason", w.call("audrey", "POST", "/api/v1/recordings/"+x.recording+"/viewed", Viewing{}), 400)
	refused("audrey", "without a reason")
	w.look("audrey", x)
	for _, path := range paths {
		w.answers(w.call("audrey", "GET", "/api/v1/recordings/"+x.recording+path, nil), 200)
	}
	refused("ben", "after audrey's viewing")
	w.now.Add(int64(8 * time.Hour))
	refused("audrey", "eight hours later")
}

// The answers have the shapes that pages read.
func TestReplayShapes(t *testing.T) {
	w := newWorld(t)
	x := w.sealed()
	w.look("ben", x)
	for path, want := range map[string]string{
		"/replay":            `{"recording":"` + x.recording + `","duration":9000000,"started":"2026-05-04T12:00:00Z","zone":"UTC","parts":2,"read":8000000,"whole":false,"channels":[{"stream":1,"kind":"shell","text":"shell","terminal":true,"at":1,"end":-1}],"markers":[{"at":1,"kind":"shell","text":"shell"}],"states":[{"at":2,"is":"scanning"}],"activity":[5],"inputs":[]}`,
		"/replay/0":          `{"n":0,"from":1,"to":5000000,"complete":true,"screens":[{"stream":3,"cols":80,"rows":24,"draw":"dXA="}],"consoles":[{"stream":4,"draw":"dXA="}],"events":[[1,1,"c","80x24"],[2,1,"o","aGk="],[3,4,"t","aGk="]]}`,
		"/replay/at/7000000": `{"n":1,"from":1,"to":5000000,"complete":true,"screens":[{"stream":3,"cols":80,"rows":24,"draw":"dXA="}],"consoles":[{"stream":4,"draw":"dXA="}],"events":[[1,1,"c","80x24"],[2,1,"o","aGk="],[3,4,"t","aGk="]]}`,
	} {
		if a := w.call("ben", "GET", "/api/v1/recordings/"+x.recording+path, nil); strings.TrimSpace(string(a.body)) != want {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	// What is too small to be read needs no reason, of those who may know of the recording.
	for path, want := range map[string]string{"/replay/thumb/7000000": "of NGH at 7000000, 240", "/picture": "of NGH at -1, 96"} {
		who := "ben"
		if path == "/picture" {
			who = "audrey"
		}
		a := w.call(who, "GET", "/api/v1/recordings/"+x.recording+path, nil)
		if a.status != 200 || a.header.Get("Content-Type") != "image/png" || a.header.Get("Cache-Control") != "no-store" || string(a.body) != "\x89PNG "+want {
			t.Errorf("%s: %d %v %q", path, a.status, a.header, a.body)
		}
	}
	v := get[Verdict](w, "ben", "POST", "/api/v1/recordings/"+x.recording+"/verify", nil)
	r := get[Recording](w, "audrey", "GET", "/api/v1/recordings/"+x.recording, nil)
	if v.Verdict != "intact" || v.At.IsZero() || r.Verdict == nil || *r.Verdict != v || r.WorkOrder != "WO-1" || r.Site != "NGH" || r.Request != x.request || !r.Readable {
		t.Errorf("%+v of %+v", r, v)
	}
	if r.Digest != nil || len(w.replays.asked) == 0 {
		t.Errorf("digest %v, asked %v", r.Digest, w.replays.asked)
	}
}

// Long answers are packed for those who can read it, and sealed ones have a tag.
func TestPackedAndTagged(t *testing.T) {
	w := newWorld(t)
	x := w.sealed()
	w.look("ben", x)
	ask := func(path string, header ...string) answered {
		req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/api/v1/recordings/"+x.recording+path, nil)
		w.must(err)
		req.Header.Set("Authorization", "Bearer ben")
		req.Header.Set("Accept-Encoding", "identity")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		return w.do(req)
	}
	plain, packed := ask("/transcript"), ask("/transcript", "Accept-Encoding", "br, gzip;q=0.5")
	z, err := gzip.NewReader(bytes.NewReader(packed.body))
	w.must(err)
	unpacked, err := io.ReadAll(z)
	w.must(err)
	if packed.header.Get("Content-Encoding") != "gzip" || plain.header.Get("Content-Encoding") != "" || packed.header.Get("Vary") != "Accept-Encoding" ||
		!bytes.Equal(unpacked, plain.body) || len(packed.body) >= len(plain.body) {
		t.Errorf("packed %d, plain %d: %v", len(packed.body), len(plain.body), packed.header)
	}
	if a := ask("/transcript", "Accept-Encoding", "gzip;q=0"); a.header.Get("Content-Encoding") != "" {
		t.Error("packed for a client that will not have it")
	}
	tag := ask("/replay").header.Get("ETag")
	again := ask("/replay", "If-None-Match", tag, "Accept-Encoding", "gzip")
	if tag == "" || again.status != 304 || len(again.body) != 0 || again.header.Get("ETag") != tag {
		t.Errorf("%q then %d %q", tag, again.status, again.body)
	}
	if a := ask("/transcript", "If-None-Match", tag); a.status != 200 {
		t.Errorf("the replay's tag on the transcript: %d", a.status)
	}
	w.replays.live = true
	if a := ask("/replay", "If-None-Match", tag); a.status != 200 || a.header.Get("ETag") != "" {
		t.Errorf("a live one: %d, tag %q", a.status, a.header.Get("ETag"))
	}
	// Without a viewing a tag tells nothing either.
	w.now.Add(int64(8 * time.Hour))
	w.replays.live = false
	if a := ask("/replay", "If-None-Match", tag, "Accept-Encoding", "gzip"); a.status != 409 || a.header.Get("Content-Encoding") != "" {
		t.Errorf("without a viewing: %d", a.status)
	}
}

// Checks read whole recordings; nobody gets many in a short time.
func TestChecksAreLimited(t *testing.T) {
	w := newWorld(t)
	x := w.sealed()
	path, refused := "/api/v1/recordings/"+x.recording+"/verify", 0
	for range 10 {
		if a := w.call("ben", "POST", path, nil); a.status == 429 {
			refused++
		}
	}
	if n := w.vault.checked.Load(); n > 4 || refused != 10-int(n) {
		t.Errorf("%d checks, %d refused", n, refused)
	}
	w.answers(w.call("audrey", "POST", path, nil), 200)
}

// A review is the hospital's, never the engineer's, stays, and is in the log.
func TestReviews(t *testing.T) {
	w := newWorld(t, func(w *world, _ *Config) {
		both := caller("vendor", "ada", session.VendorSide, session.Engineer, "NGH")
		both.Roles = []session.Role{session.Engineer, session.Auditor}
		w.doors.people["ada-twice"] = both
		vendor := caller("vendor", "vic", session.VendorSide, session.Auditor, "*")
		w.doors.people["vic"] = identity.Caller(vendor)
	})
	x := w.things()
	path := "/api/v1/recordings/" + x.recording + "/reviews"
	ok := Attestation{Attestation: "as-agreed", Comment: "saw all of it"}
	w.problem("while it runs", w.call("audrey", "POST", path, ok), 409)
	id, err := session.ParseRecordingID(x.recording)
	w.must(err)
	w.must(w.access.SealRecording(t.Context(), "NGH", "main", id, w.clock(), false))
	for who, status := range map[string]int{"ada": 403, "ada-twice": 403, "adam": 403, "fay": 404, "al": 404, "nothing": 403, "": 401} {
		w.problem(who, w.call(who, "POST", path, ok), status)
	}
	for what, a := range map[string]Attestation{"another word": {"fine", ""}, "no word": {"", "x"}, "a silent concern": {"concern", "  "},
		"a terminal's": {"as-agreed", "\x1b[2J"}, "two lines": {"as-agreed", "a\nb"}, "right to left": {"concern", "a\u202eb"}, "long": {"as-agreed", strings.Repeat("ä", 1001)}} {
		w.problem(what, w.call("audrey", "POST", path, a), 400)
	}
	r := get[Recording](w, "audrey", "POST", path, Attestation{"as-agreed", strings.Repeat("ä", 1000)})
	r = get[Recording](w, "ben", "POST", path, Attestation{"concern", "a file was taken that nobody named"})
	if len(r.Reviews) != 2 || r.Reviews[0].By != "audrey@hospital" || r.Reviews[1].Attestation != "concern" || len([]rune(r.Reviews[0].Comment)) != 1000 {
		t.Errorf("%+v", r.Reviews)
	}
	found := 0
	for _, e := range get[AuditEvents](w, "audrey", "GET", "/api/v1/audit/events?last=10", nil).Events {
		if strings.Contains(string(e.Entry), `"event":"recording-reviewed"`) && strings.Contains(string(e.Entry), x.recording) && strings.Contains(string(e.Entry), `"comment-sha256":"`) {
			found++
		}
	}
	if found != 2 {
		t.Errorf("%d reviews in the log", found)
	}
	for range 98 {
		w.answers(w.call("audrey", "POST", path, ok), 200)
	}
	w.problem("the 101st", w.call("audrey", "POST", path, ok), 409)
}

// Recordings are found by what they are, page by page, and never across a fence.
func TestFindRecordings(t *testing.T) {
	w := newWorld(t)
	x := w.things()
	var ids []string
	rep := link.SessionReport{Session: x.session, Request: x.request, Seq: 2, Asset: "NGH-PETCT1", Service: "recon-ssh", Opened: w.clock(), Deadline: w.clock().Add(time.Hour)}
	for i := range 7 {
		id := session.NewID().Recording()
		ids = append(ids, id)
		rep.Recordings = append(rep.Recordings, link.RecordingReport{Recording: id, Service: "recon-ssh", Protocol: session.SSH, Started: w.clock().Add(time.Duration(i/2) * time.Minute)})
	}
	w.must(w.access.ReportSession(t.Context(), "NGH", "main", rep))
	list := func(who, query string) (all []Recording, next string) {
		a := w.call(who, "GET", "/api/v1/recordings"+query, nil)
		w.answers(a, 200)
		w.must(json.Unmarshal(a.body, &all))
		return all, a.header.Get("X-Next")
	}
	count := func(query string, want int) {
		t.Helper()
		if all, next := list("audrey", query); len(all) != want || next != "" {
			t.Errorf("%s: %d, next %q", query, len(all), next)
		}
	}
	count("", 8)
	count("?asset=NGH-PETCT1", 8)
	count("?asset=ngh-petct1&engineer=ADA@&work_order=wo-1", 8)
	count("?asset=NGH-CT2", 0)
	count("?engineer=adam", 0)
	count("?work_order=WO-9", 0)
	count("?from=2026-05-05", 0)
	count("?from=2026-05-04&to=2026-05-04", 8)
	count("?to=2026-05-04T12:00:00Z", 0)
	count("?with=torn", 0)
	count("?with=killed", 0)
	count("?with=unreviewed", 0) // all of them run
	for _, bad := range []string{"?with=everything", "?from=yesterday", "?limit=501", "?limit=-1", "?after=x", "?after=1.V-x", "?before=x", "?asset=a%20b", "?engineer=%1b", "?sort=x"} {
		w.problem(bad, w.call("audrey", "GET", "/api/v1/recordings"+bad, nil), 400)
	}
	one, err := session.ParseRecordingID(ids[3])
	w.must(err)
	w.must(w.access.SealRecording(t.Context(), "NGH", "main", one, w.clock(), true))
	count("?with=torn,unreviewed", 1)
	rep.Seq, rep.Ended, rep.Reason = 3, w.clock(), session.KilledRemote
	w.must(w.access.ReportSession(t.Context(), "NGH", "main", rep))
	count("?with=killed", 8) // of one session
	count("?with=killed,torn", 1)

	var pages []string
	for next := ""; ; {
		var all []Recording
		all, next = list("ben", fmt.Sprintf("?limit=3&after=%s", next))
		for i, r := range all {
			pages = append(pages, r.ID)
			if i > 0 && r.Started.After(all[i-1].Started) {
				t.Error("not the newest first")
			}
		}
		if next == "" {
			break
		}
	}
	everything, _ := list("ben", "")
	var want []string
	for _, r := range everything {
		want = append(want, r.ID)
	}
	if fmt.Sprint(pages) != fmt.Sprint(want) || len(pages) != 8 {
		t.Errorf("pages %v, all %v", pages, want)
	}
	for _, stranger := range []string{"fay", "al", "adam", "abroad"} {
		if all, next := list(stranger, "?limit=1&with=killed&engineer=ada"); len(all) != 0 || next != "" {
			t.Errorf("%s finds %v", stranger, all)
		}
	}
}

// The site's people learn what the engineer did here before; the engineer, how long a
// decision takes; nobody else anything.
func TestContextOfARequest(t *testing.T) {
	w := newWorld(t)
	x := w.sealed()
	path := "/api/v1/requests/" + x.pending + "/context"
	c := get[Context](w, "ben", "GET", path, nil)
	if c.Agent != w.agent.Fingerprint() || c.Zone != "UTC" || c.Sessions != 1 || c.Since == nil || len(c.Recent) != 1 || c.Recent[0].Session != x.session ||
		c.Recent[0].Reason != "tube arcs" || c.Recent[0].Reviewed || c.Decided != 1 || c.Median < 1 {
		t.Errorf("%+v", c)
	}
	w.answers(w.call("audrey", "POST", "/api/v1/recordings/"+x.recording+"/reviews", Attestation{Attestation: "as-agreed"}), 200)
	if c = get[Context](w, "audrey", "GET", path, nil); !c.Recent[0].Reviewed || c.Unreviewed != 0 {
		t.Errorf("after a review: %+v", c)
	}
	own := get[Context](w, "ada", "GET", path, nil)
	if own.Agent != "" || own.Sessions != 0 || own.Since != nil || len(own.Recent) != 0 || own.Typical != c.Typical || own.Decided != 1 {
		t.Errorf("the engineer sees %+v", own)
	}
	assets := get[[]Asset](w, "ben", "GET", "/api/v1/assets", nil)
	if len(assets) != 1 || assets[0].Agent != w.agent.Fingerprint() || assets[0].Decided != 1 || len(assets[0].Live) != 1 || assets[0].Live[0] != x.session {
		t.Errorf("%+v", assets)
	}
	if adam := get[[]Asset](w, "adam", "GET", "/api/v1/assets", nil); len(adam[0].Live) != 0 {
		t.Errorf("adam sees ada's session: %+v", adam)
	}
	w.answers(w.call("ben", "POST", "/api/v1/sessions/"+x.session+"/kill", nil), 200)
	if after := get[[]Asset](w, "ben", "GET", "/api/v1/assets", nil); len(after[0].Live) != 0 {
		t.Errorf("still live: %+v", after)
	}
	w.answers(w.call("ben", "POST", "/api/v1/requests/"+x.pending+"/deny", Denial{Reason: "in use"}), 200)
	if again := get[Context](w, "ben", "GET", "/api/v1/requests/"+x.request+"/context", nil); again.Denied != 1 || again.Decided != 2 || again.Sessions != 0 {
		t.Errorf("%+v", again)
	}
}
