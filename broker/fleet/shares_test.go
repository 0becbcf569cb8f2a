package fleet

import (
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// Whoever has their share of an agent's streams is told so before the agent is asked, and
// everybody else goes on.
func TestOnesShareOfAnAgentsStreamsLeavesOthersTheirs(t *testing.T) {
	for _, row := range []struct {
		attack          string
		n               int
		who             func(i int) session.Identity
		refused, others []session.Identity
	}{
		{"one engineer's streams", maxStreamsOf, func(int) session.Identity { return session.Identity{Iss: "vendor", Sub: "eva"} },
			[]session.Identity{{Iss: "vendor", Sub: "eva"}}, []session.Identity{{Iss: "vendor", Sub: "ed"}, {Iss: "north", Sub: "eva"}, {}}},
		{"one vendor's streams", maxStreamsVendor, func(i int) session.Identity { return session.Identity{Iss: "vendor", Sub: string(rune('a' + i))} },
			[]session.Identity{{Iss: "vendor", Sub: "eva"}}, []session.Identity{{Iss: "north", Sub: "eva"}, {}}},
	} {
		t.Run(row.attack, func(t *testing.T) {
			b := startBroker(t, t.TempDir(), "127.0.0.1:0")
			start(t, b, "NGH", "ngh-1")
			open := func(who session.Identity, site, agent string) (func() error, error) {
				o := sshOpen
				if o.By = who; who == (session.Identity{}) {
					o = link.Open{Door: link.DoorIssuer, Issuer: "https://login.example"}
				}
				conn, err := b.Open(t.Context(), site, agent, o)
				if err != nil {
					return nil, err
				}
				t.Cleanup(func() { _ = conn.Close() })
				return conn.Close, nil
			}
			var last func() error
			for i := range row.n {
				hangUp, err := open(row.who(i), "NGH", "ngh-1")
				if err != nil {
					t.Fatal(err)
				}
				last = hangUp
			}
			for _, who := range row.refused {
				if _, err := open(who, "NGH", "ngh-1"); session.KindOf(err) != session.Refused {
					t.Errorf("%v beyond the share: %v", who, err)
				}
				if _, err := open(who, "SVC", "svc-1"); session.KindOf(err) != session.Unreachable { // another hospital's share
					t.Errorf("%v at another hospital: %v", who, err)
				}
			}
			for _, who := range row.others {
				if _, err := open(who, "NGH", "ngh-1"); err != nil {
					t.Errorf("%v: %v", who, err)
				}
			}
			for range 2 { // closed twice is given back once
				_ = last()
			}
			for i, who := range append(row.refused, row.refused...) {
				if _, err := open(who, "NGH", "ngh-1"); (err != nil) != (i > 0) {
					t.Errorf("%v after one was closed: %v", who, err)
				}
			}
			t.Logf("ATTACK | %s take all of an agent's %d at the broker | others go on | %d are opened | holds", row.attack, link.MaxStreams, row.n)
		})
	}
}
