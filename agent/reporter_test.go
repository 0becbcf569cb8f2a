package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/agent/keyring"
	"github.com/sallyport/sallyport/agent/spool"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/passkey"
)

type blankBook struct{}

func (blankBook) Report(session.ID) (uint64, error) { return 7, nil }
func (blankBook) Keys(session.ID) int               { return 1 }

// A report says what its service speaks, as the configuration has it when it is sent.
func TestReportsSayTheProtocol(t *testing.T) {
	c := Config{Assets: []Asset{{Name: "NGH-CT1", Endpoints: []Endpoint{{Name: "recon", Services: []Service{{Name: "recon-ssh", Protocol: session.SSH}}}}}}}
	var sent []link.SessionReport
	r := newReporter(blankBook{}, c.protocol, func(_ context.Context, rep link.SessionReport) error {
		sent = append(sent, rep)
		return nil
	}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	for i, service := range []string{"recon-ssh", "gone"} {
		r.add(link.SessionReport{Session: session.ID{byte(i + 1)}.Session(), Asset: "NGH-CT1", Service: service})
	}
	r.flush(t.Context())
	if len(sent) != 2 || len(r.pending()) != 0 {
		t.Fatalf("%d sent, %d wait", len(sent), len(r.pending()))
	}
	for _, rep := range sent {
		if want := map[string]session.Protocol{"recon-ssh": session.SSH, "gone": ""}[rep.Service]; rep.Protocol != want || rep.Keys != 1 || rep.Seq != 7 {
			t.Errorf("%s: %+v", rep.Service, rep)
		}
	}
}

// A report says what of its session's recordings cannot be stored, also of one that it
// does not list, and nothing of another session's.
func TestReportsSayWhatCannotBeStored(t *testing.T) {
	var sent []link.SessionReport
	r := newReporter(blankBook{}, func(string, string) session.Protocol { return session.SSH }, func(_ context.Context, rep link.SessionReport) error {
		sent = append(sent, rep)
		return nil
	}, slog.New(slog.DiscardHandler))
	name := func(n byte) string { return session.ID{n}.Recording() }
	of, other := session.ID{1}.Session(), session.ID{2}.Session()
	began := time.Now()
	r.stuck = func() []spool.Trouble {
		trouble := func(recording, in string) spool.Trouble {
			return spool.Trouble{Recording: recording, Header: recordings.Header{Recording: recording, Session: in, Service: "recon-ssh", Started: began},
				Part: "seal", Parts: 2, Since: began, Message: "The seal of this recording cannot be stored.", Next: "Ask."}
		}
		return []spool.Trouble{trouble(name(11), of), trouble(name(12), of), trouble(name(13), other), {Recording: name(14), Part: "header"}}
	}
	r.add(link.SessionReport{Session: of, Recordings: []link.RecordingReport{{Recording: name(10)}, {Recording: name(11), Service: "recon-ssh"}}})
	r.flush(t.Context())
	if len(sent) != 1 || len(sent[0].Recordings) != 3 {
		t.Fatalf("sent %+v", sent)
	}
	for i, x := range sent[0].Recordings {
		if x.Recording != name(byte(10+i)) || (x.Stuck != nil) != (i > 0) || x.Stuck != nil && (x.Stuck.Part != "seal" || x.Stuck.Parts != 2 || x.Stuck.Next != "Ask." || x.Service != "recon-ssh") {
			t.Errorf("%+v, stuck %+v", x, x.Stuck)
		}
	}
}

// How scanners stand is told at once, all of it, and not again before a moment has passed;
// what could not be told is told later.
func TestStandingsAreToldAtOnceAndNotTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []time.Time
		var scanners int
		var fails error
		r := newReporter(blankBook{}, func(string, string) session.Protocol { return session.SSH }, func(_ context.Context, rep link.SessionReport) error {
			mu.Lock()
			defer mu.Unlock()
			if fails != nil {
				return fails
			}
			if len(rep.Assets) > link.MaxStandings || rep.Session != "" {
				t.Errorf("told %+v", rep)
			}
			if scanners += len(rep.Assets); rep.Assets[0].Asset == "CT0" {
				told = append(told, time.Now())
			}
			return nil
		}, slog.New(slog.DiscardHandler))
		r.standings = func() (all []session.AssetStanding) {
			for i := range link.MaxStandings + 1 {
				all = append(all, session.AssetStanding{Asset: fmt.Sprintf("CT%d", i)})
			}
			return all
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.run(ctx) }()
		began := time.Now()
		for range 1000 { // a source that cannot make up its mind
			r.restate()
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		mu.Lock()
		if n := len(told); n < 10 || n > 11 || told[0].Sub(began) != 0 || scanners != n*(link.MaxStandings+1) {
			t.Errorf("in 10 s told %d times, of %d scanners, first after %v", n, scanners, told[0].Sub(began))
		}
		told, fails = nil, session.Errorf(session.Unreachable, "away")
		mu.Unlock()
		time.Sleep(2 * time.Second)
		r.restate()
		synctest.Wait()
		mu.Lock()
		fails = nil
		mu.Unlock()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		mu.Lock()
		if len(told) != 1 {
			t.Errorf("what could not be told was told %d times after", len(told))
		}
		mu.Unlock()
		time.Sleep(2 * standingsEvery)
		synctest.Wait()
		mu.Lock()
		if len(told) != 3 {
			t.Errorf("in two minutes told %d times", len(told)-1)
		}
		mu.Unlock()
		stop()
		<-done
	})
}

// ringed is a ring of passkeys of which the broker has to be told.
type ringed struct{ keys []keyring.Key }

func (r *ringed) Owed() ([]keyring.Key, error) { return slices.Clone(r.keys), nil }
func (r *ringed) Heard(k keyring.Key) error {
	r.keys = slices.DeleteFunc(r.keys, func(o keyring.Key) bool { return bytes.Equal(o.Key.ID, k.Key.ID) })
	return nil
}

// What becomes of passkeys is told until the broker has it, or will never take it.
func TestPasskeysAreToldUntilTheBrokerHasThem(t *testing.T) {
	var sent []string
	refuse := map[string]error{}
	r := newReporter(blankBook{}, nil, func(_ context.Context, rep link.SessionReport) error {
		if rep.Passkey == nil || rep.Session != "" {
			t.Fatalf("sent %+v", rep)
		}
		sent = append(sent, rep.Passkey.Owner.Sub)
		return refuse[rep.Passkey.Owner.Sub]
	}, slog.New(slog.DiscardHandler))
	ring := &ringed{}
	for i, sub := range []string{"anna", "bernd", "clara"} {
		ring.keys = append(ring.keys, keyring.Key{Host: "console.ngh.example", Registered: grant.Registered{
			Key: passkey.Key{ID: []byte{byte(i)}}, Person: session.Person{Identity: session.Identity{Iss: "https://idp.example", Sub: sub}}, Since: time.Now()}})
	}
	r.passkeys = ring
	told := func(want ...string) {
		t.Helper()
		sent = nil
		r.flush(t.Context())
		if !slices.Equal(sent, want) {
			t.Errorf("told of %v, want %v", sent, want)
		}
	}
	refuse["anna"] = session.Errorf(session.Invalid, "whose is it?")
	refuse["bernd"] = session.Errorf(session.Unreachable, "not now")
	told("anna", "bernd")
	delete(refuse, "bernd")
	told("bernd", "clara")
	told()
}
