package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/turns"
	"github.com/sallyport/sallyport/session"
)

// bound is a row of the second matrix: something that all use. fill has ada take all that
// she can of it; use is somebody who wants some, and whether they get it.
type bound struct {
	name string
	fill func(*world)
	use  func(w *world, who string) bool
}

// bounds has a row for all that is shared at this door, and of the rooms behind it. What agents
// keep is the ledger's, which has the same for it.
func bounds() []bound {
	all := []bound{
		{"requests that wait", func(w *world) {
			for n := 0; w.ask("ada")/100 == 2; n++ {
				if n > 100 {
					w.t.Fatal("ada asks without end")
				}
			}
		}, func(w *world, who string) bool {
			return w.ask(who) == http.StatusCreated || w.ask(who) == http.StatusOK
		}},
		{"calls a second", func(w *world) { w.until429("ada", "GET", "/api/v1/me", nil) },
			func(w *world, who string) bool { return w.send(who, "GET", "/api/v1/me", nil).status == http.StatusOK }},
		crowded("long polls", func(w *world) *crowd { return w.door.waiting }),
		crowded("event streams", func(w *world) *crowd { return w.live.streams }),
		crowded("web sockets", func(w *world) *crowd { return w.live.sockets }),
		mails(),
		looks(),
		signIns(),
	}
	for _, x := range works() {
		all = append(all, worked(x.calls))
	}
	return all
}

// ask asks for a scanner, and says how that was answered.
func (w *world) ask(who string) (status int) {
	w.t.Helper()
	r := accesstest.Request(w.doors.people[who].Identity, "NGH", "NGH-PETCT1", w.clock())
	p := accesstest.Proof(who)
	return w.call(who, "POST", "/api/v1/requests", Submission{Request: accesstest.Bytes(r), Token: p.Token, Salt: p.Salt}).status
}

// crowded is the row of what lasts.
func crowded(name string, of func(*world) *crowd) bound {
	enter := func(w *world, who string) bool {
		leave, ok := of(w).enter(w.doors.people[who].Identity, nil)
		if ok {
			w.t.Cleanup(leave)
		}
		return ok
	}
	return bound{name, func(w *world) {
		for n := 0; enter(w, "ada"); n++ {
			if n > 1000 {
				w.t.Fatal("ada enters without end")
			}
		}
	}, enter}
}

// worked is the row of work that waits for its turn: ada has all that she may inside and
// waiting, and none of it ends.
func worked(calls []string) bound {
	return bound{strings.Join(calls, ", "), func(w *world) {
		ctx, stop := context.WithCancel(w.t.Context())
		refused := make(chan error, 1)
		ended := make(chan struct{}, 1024)
		begun := 0
		w.t.Cleanup(func() {
			stop()
			for range begun {
				<-ended
			}
		})
		for ; begun < 256; begun++ {
			go func() {
				defer func() { ended <- struct{}{} }()
				leave, err := w.door.turns[calls[0]].Take(ctx, w.doors.people["ada"].Identity)
				switch {
				case err == nil:
					<-ctx.Done()
					leave()
				case errors.Is(err, turns.ErrBusy):
					select {
					case refused <- err:
					default:
					}
				}
			}()
		}
		select {
		case <-refused:
		case <-time.After(time.Minute):
			w.t.Error("ada has as many turns as she likes")
		}
	}, func(w *world, who string) bool {
		for _, id := range calls {
			leave, err := w.door.turns[id].Take(w.t.Context(), w.doors.people[who].Identity)
			if err != nil {
				return false
			}
			leave()
		}
		return true
	}}
}

// Whoever takes all that they can of anything leaves a colleague, another vendor's engineer and
// the hospital theirs, and what narrows goes through.
func TestSharesMatrix(t *testing.T) {
	for _, b := range bounds() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.doors.people["eve"] = caller("other-vendor", "eve", session.VendorSide, session.Engineer, "*")
			x, y := w.things(), w.things()
			w.now.Add(int64(time.Minute))
			b.fill(w)
			if b.use(w, "ada") {
				t.Error("ada gets more than all")
			}
			for _, who := range []string{"adam", "eve"} {
				if !b.use(w, who) {
					t.Errorf("%s gets none", who)
				}
			}
			for _, c := range []struct {
				path string
				body any
			}{
				{"sessions/" + x.session + "/freeze", nil},
				{"sessions/" + x.session + "/kill", nil},
				{"requests/" + y.request + "/revoke", Revocation{Reason: "over"}},
				{"requests/" + x.pending + "/deny", Denial{Reason: "no"}},
				{"requests/deny", Denials{Site: "NGH", Iss: people()["ada"].Iss, Sub: "ada", Reason: "no"}},
				{"engineers/disable", Standing{Site: "NGH", Iss: people()["ada"].Iss, Sub: "ada", Reason: "left"}},
			} {
				if a := w.send("ben", "POST", "/api/v1/"+c.path, c.body); a.status != http.StatusOK {
					t.Errorf("%s: %d %s", c.path, a.status, a.body)
				}
			}
			t.Logf("ATTACK | one engineer takes all that they can: %s | a colleague and another vendor get theirs; freeze, kill, revoke, deny and disable go through | they do | holds", b.name)
		})
	}
}

// Every kind of work has a row.
func TestEveryBoundHasARow(t *testing.T) {
	rows := ""
	for _, b := range bounds() {
		rows += b.name + "\n"
	}
	for _, name := range []string{"mails", "sign-ins", "what an agent looks at"} {
		if !strings.Contains(rows, name) {
			t.Errorf("no row for %s", name)
		}
	}
	for id := range newWorks() {
		if !strings.Contains(rows, id) {
			t.Errorf("no row for what %s takes", id)
		}
	}
}
