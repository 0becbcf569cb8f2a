package interlock_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/interlock"
)

// table is the whole of what holds, written out: a = allowed, v = view-only, f = frozen, in
// the order clipboard-in, clipboard-out, control, exec, files-in, files-out, shell.
var table = map[session.Class]map[session.ModalityState]string{
	session.Observe: {
		session.InService: "aaaaaaa", session.Down: "aaaaaaa", session.ModalityIdle: "aaaaaaa",
		session.ModalityUnknown: "fvvffff", session.PatientOnTable: "fvvffff", session.Scanning: "ffvffff",
	},
	session.NonDisruptive: {
		session.InService: "aaaaaaa", session.Down: "aaaaaaa", session.ModalityIdle: "aaaaaaa",
		session.ModalityUnknown: "fvvffff", session.PatientOnTable: "fvvffff", session.Scanning: "ffvffff",
	},
	session.Disruptive: {
		session.InService: "aaaaaaa", session.Down: "fvvffff", session.ModalityIdle: "fvvffff",
		session.ModalityUnknown: "fvvffff", session.PatientOnTable: "fvvffff", session.Scanning: "ffvffff",
	},
}

var letters = map[interlock.Permit]byte{interlock.Allowed: 'a', interlock.ViewOnly: 'v', interlock.Frozen: 'f'}

func TestEveryClassStateAndChannel(t *testing.T) {
	for _, class := range session.Classes() {
		for _, state := range session.ModalityStates() {
			want := table[class][state]
			if len(want) != len(session.Channels()) {
				t.Fatalf("the table has no row for %s, %s", class, state)
			}
			for i, channel := range session.Channels() {
				if got := letters[interlock.Rules(nil).Permit(class, state, channel)]; got != want[i] {
					t.Errorf("%s, %s, %s: %c, want %c", class, state, channel, got, want[i])
				}
			}
		}
	}
}

func TestWhatIsNotKnownIsFrozen(t *testing.T) {
	var none interlock.Rules
	for _, got := range []interlock.Permit{
		none.Permit("", session.InService, session.Shell), none.Permit("mighty", session.InService, session.Shell),
		none.Permit(session.Observe, "", session.Shell), none.Permit(session.Observe, "fine", session.Shell),
		none.Permit(session.Observe, session.InService, "telepathy"),
	} {
		if got != interlock.Frozen {
			t.Errorf("something unknown is %s", got)
		}
	}
}

func TestAStrongerClassNeverMayMore(t *testing.T) {
	rank := []interlock.Permit{interlock.Allowed, interlock.ViewOnly, interlock.Frozen}
	for _, state := range session.ModalityStates() {
		for _, channel := range session.Channels() {
			was := 0
			for _, class := range session.Classes() {
				is := slices.Index(rank, interlock.Rules(nil).Permit(class, state, channel))
				if is < was {
					t.Errorf("%s may more than a milder class while %s, by %s", class, state, channel)
				}
				was = is
			}
		}
	}
}

func TestRulesOnlyTighten(t *testing.T) {
	rank := []interlock.Permit{interlock.Allowed, interlock.ViewOnly, interlock.Frozen}
	states := session.ModalityStates()
	for range 2000 { // whatever stands there, refused by Check or not
		r := interlock.Rules{}
		for _, class := range session.Classes() {
			if rand.IntN(2) == 0 {
				continue
			}
			r[class] = nil
			for _, s := range states {
				if rand.IntN(2) == 0 {
					r[class] = append(r[class], s)
				}
			}
		}
		for _, class := range session.Classes() {
			for _, s := range states {
				for _, channel := range session.Channels() {
					own, plain := r.Permit(class, s, channel), interlock.Rules(nil).Permit(class, s, channel)
					if slices.Index(rank, own) < slices.Index(rank, plain) {
						t.Fatalf("%v: %s, %s, %s is %s, wider than %s", r, class, s, channel, own, plain)
					}
				}
			}
		}
	}
}

func TestWiderRulesAreRefused(t *testing.T) {
	for _, r := range []interlock.Rules{
		{session.Observe: {session.PatientOnTable}}, {session.Disruptive: {session.ModalityIdle}}, {session.NonDisruptive: {session.Scanning}},
		{"mighty": {session.InService}}, {session.Observe: {"fine"}}, {session.Disruptive: {session.InService, session.Down}},
	} {
		if r.Check() == nil {
			t.Errorf("%v is taken", r)
		}
	}
	for _, r := range []interlock.Rules{nil, {}, {session.Observe: {}}, {session.NonDisruptive: {session.InService}}} {
		if err := r.Check(); err != nil {
			t.Errorf("%v: %v", r, err)
		}
	}
}
