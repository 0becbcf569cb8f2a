package api

import (
	"net/http"

	"github.com/sallyport/sallyport/broker/turns"
	"github.com/sallyport/sallyport/session"
)

// work is what costs a lot, and the calls that are it. A call that is none has no share.
type work struct {
	share turns.Share
	calls []string
}

func works() []work {
	return []work{
		{shared(4, 2, 1, 4), []string{"get-recording-transcript", "verify-recording"}}, // which read a whole one
		{shared(32, 8, 4, 16), []string{"get-recording-replay", "get-recording-part", "get-recording-moment"}},
		{shared(4, 2, 1, 16), []string{"get-recording-picture", "get-recording-thumb"}}, // which draw a whole screen
		{shared(64, 16, 4, 4), []string{"get-recording-file", "get-recording-pack"}},
		{shared(16, 4, 2, 8), []string{"list-recordings", "list-audit-events", "list-audit-leaves", "prove-audit-event"}},
	}
}

func shared(most, tenant, person, waiting int) turns.Share {
	return turns.Share{Most: most, Tenant: tenant, Person: person, Waiting: waiting, Wait: turnTime}
}

// turn waits for a call's turn where it has a share.
func (d *door) turn(r *http.Request, id string, who session.Identity) (leave func(), err error) {
	if t := d.turns[id]; t != nil {
		return t.Take(r.Context(), who)
	}
	return func() {}, nil
}

// newWorks is the turns of calls, by their ids.
func newWorks() map[string]*turns.Turns {
	all := map[string]*turns.Turns{}
	for _, w := range works() {
		t := turns.New(w.share, "You, or others of your organisation, have asked the broker for as much at once as it does for anybody.",
			"Wait until some of it is done, and try again.")
		for _, id := range w.calls {
			all[id] = t
		}
	}
	return all
}
