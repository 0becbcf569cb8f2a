package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// until429 calls until it is told to wait; the clock stands.
func (w *world) until429(token, method, path string, body any) {
	w.t.Helper()
	for range 1000 {
		if w.send(token, method, path, body).status == http.StatusTooManyRequests {
			return
		}
	}
	w.t.Fatalf("%s calls without end", token)
}

// Whoever calls without end, an engineer, a stranger or the approver's own page, keeps no
// approver from what narrows: the reserve is theirs.
func TestWhatNarrowsGoesThroughAFlood(t *testing.T) {
	w := newWorld(t)
	x, y := w.things(), w.things()
	w.now.Add(int64(time.Minute))
	w.until429("ben", "GET", "/api/v1/me", nil) // their own rate
	w.until429("ada", "POST", "/api/v1/sessions/"+x.session+"/freeze", nil)
	w.until429("ada", "GET", "/api/v1/me", nil)
	w.until429("a stranger", "GET", "/api/v1/me", nil) // and the address of all of them
	w.until429("a stranger", "POST", "/api/v1/sessions/"+x.session+"/kill", nil)
	if a := w.send("adam", "GET", "/api/v1/me", nil); a.status != http.StatusTooManyRequests {
		t.Fatalf("the address is not full: %d", a.status)
	}
	v1 := "/api/v1/"
	for _, c := range []struct {
		path string
		body any
	}{
		{"sessions/" + x.session + "/freeze", nil},
		{"sessions/" + x.session + "/kill", nil},
		{"requests/" + y.request + "/revoke", Revocation{Reason: "over"}},
		{"requests/" + x.pending + "/deny", Denial{Reason: "no"}},
		{"engineers/disable", Standing{Site: "NGH", Iss: "https://vendor", Sub: "adam", Reason: "left"}},
	} {
		if a := w.send("ben", "POST", v1+c.path, c.body); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", c.path, a.status, a.body)
		}
	}
	w.until429("ben", "POST", v1+"requests/"+x.pending+"/deny", Denial{Reason: "no"}) // it has an end, too
}

// A stranger who calls without end from a hospital's address keeps nobody there from working
// who is signed in, and nobody from signing in.
func TestANeighboursFloodStopsNobody(t *testing.T) {
	w := newWorld(t)
	if a := w.send("adam", "GET", "/api/v1/me", nil); a.status != 200 {
		t.Fatal(a.status)
	}
	w.until429("a stranger", "GET", "/api/v1/me", nil)
	w.until429("", "GET", "/livez", nil)
	for range callsOfPerson {
		if a := w.send("adam", "GET", "/api/v1/me", nil); a.status != 200 {
			t.Fatalf("who is signed in is told %d %s", a.status, a.body)
		}
	}
	if a := w.send("", "POST", "/api/v1/login", SignIn{}); a.status == http.StatusTooManyRequests {
		t.Error("nobody can sign in")
	}
	w.until429("adam", "GET", "/api/v1/me", nil) // but not without end
	l, r := newRates(), httptest.NewRequest("POST", "/api/v1/login", nil)
	for range 1000 {
		l.source(r, start)
	}
	if l.source(r, start) {
		t.Error("one connection signs in without end")
	}
	t.Logf("ATTACK | one stranger calls without end from a hospital's address | who is signed in there works on; sign-ins go through | %d of %d calls answered | holds", callsOfPerson, callsOfPerson)
}

// One who waits for everything at once is answered at once; the next person waits.
func TestLongPollsAreShared(t *testing.T) {
	w := newWorld(t)
	x := w.things()
	d := &door{Config: Config{Access: w.access}, waiting: newCrowd(maxWaiting, waitsOfPerson)}
	poll := func(sub string) session.Status {
		r, err := d.getRequest(t.Context(), signedIn{Caller: people()[sub]}, &waitQuery{ID: x.pending, Wait: 30, Status: session.Pending})
		if err != nil {
			t.Error(err)
			return ""
		}
		return r.Body.Status
	}
	for range waitsOfPerson {
		d.waiting.enter(people()["ada"].Identity, nil)
	}
	if s := poll("ada"); s != session.Pending {
		t.Errorf("beyond the share: %s", s)
	}
	heard := make(chan session.Status, 1)
	go func() { heard <- poll("audrey") }()
	get[Request](w, "ben", "POST", "/api/v1/requests/"+x.pending+"/deny", Denial{Reason: "no"})
	if s := get1(t, heard); s != session.DeniedBy {
		t.Errorf("the other's wait: %s", s)
	}
}

// A crowd of one issuer leaves room for the others.
func TestACrowdIsShared(t *testing.T) {
	c := newCrowd(100, 3)
	who := func(iss string, n int) session.Identity { return session.Identity{Iss: iss, Sub: fmt.Sprint(n)} }
	var leave []func()
	for n := 0; ; n++ {
		out, ok := c.enter(who("vendor", n), nil)
		if !ok {
			break
		}
		leave = append(leave, out)
	}
	if len(leave) != 25 {
		t.Errorf("%d of one vendor are inside", len(leave))
	}
	for range 3 {
		if _, ok := c.enter(who("hospital", 1), nil); !ok {
			t.Error("there is no room for the hospital")
		}
	}
	if _, ok := c.enter(who("hospital", 1), nil); ok {
		t.Error("somebody is inside four times")
	}
	leave[0]()
	if _, ok := c.enter(who("vendor", 999), nil); !ok {
		t.Error("a place that is free is not given")
	}
}
