package access_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

func (w told) passkey(n int) link.Passkey {
	return link.Passkey{Name: fmt.Sprintf("K-%012x", n), Owner: ben.who.Identity, Host: "console.ngh.example", Since: w.clock()}
}

func (w told) tellKey(x link.Passkey) error {
	return w.ReportPasskey(w.t.Context(), "NGH", "main", x)
}

// The log tells once that a passkey of the agent's page came, and once that it went.
func TestPasskeysOfAnAgentsPageAreInTheLog(t *testing.T) {
	w := newTold(t, 1)
	w.book.kinds()
	x := w.passkey(1)
	w.must(w.tellKey(x))
	w.must(w.tellKey(x)) // its answer was lost
	e := w.book.events[0]
	if e.Site != "NGH" || e.Who == nil || *e.Who != ben.who.Identity || *e.Of != ben.who.Identity || e.Details["passkey"] != x.Name || e.Details["agent"] != "main" || e.Details["page"] != x.Host {
		t.Errorf("%+v", e)
	}
	w.wrote(w.book, witness.PasskeyRegistered)
	x.Until = w.clock().Add(1000 * time.Hour) // by a clock that is ahead
	w.must(w.tellKey(x))
	w.must(w.tellKey(x))
	e = w.book.events[0]
	if at, err := time.Parse(time.RFC3339, e.Details["at"]); err != nil || at.After(w.clock().Add(time.Hour)) || e.Who != nil || *e.Of != ben.who.Identity {
		t.Errorf("%+v", e)
	}
	w.wrote(w.book, witness.PasskeyRevoked)
	// It came and went while the broker was away, and another agent has one of that name.
	y := w.passkey(2)
	y.Until = y.Since.Add(time.Minute)
	w.must(w.tellKey(y))
	w.wrote(w.book, witness.PasskeyRegistered, witness.PasskeyRevoked)
	w.must(w.ReportPasskey(t.Context(), "NGH", "other", y))
	w.wrote(w.book, witness.PasskeyRegistered, witness.PasskeyRevoked)
}

// An agent's word about a passkey counts for the people of its own hospital.
func TestAPasskeyOfSomebodyElseIsNotTakenDown(t *testing.T) {
	w := newTold(t, 1)
	w.book.kinds()
	for name, owner := range map[string]session.Identity{
		"a vendor's":       ada.who.Identity,
		"of no issuer":     {Iss: "https://nobody", Sub: "ben"},
		"of lines, and so": {Iss: ben.who.Iss, Sub: "a\nb"},
	} {
		x := w.passkey(3)
		x.Owner = owner
		if err := w.tellKey(x); session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.wrote(w.book)
}

// A hostile agent fills no log with passkeys that nobody registered.
func TestPasskeysWithoutEnd(t *testing.T) {
	w := newTold(t, 1)
	w.book.kinds()
	told := func() int {
		for i := range 1000 {
			x := w.passkey(i)
			x.Until = x.Since
			if err := w.tellKey(x); err != nil {
				w.wants(err, session.Unreachable, "enough")
			}
		}
		return len(w.book.kinds())
	}
	first := told()
	w.now.Add(int64(24 * time.Hour))
	if next := told(); first != 256 || next != 256 {
		t.Errorf("%d events on one day, %d on the next", first, next)
	}
	t.Log("ATTACK | a hostile agent registers and revokes passkeys without end | 256 events of an agent a day | 256 of 2000 | holds")
}
