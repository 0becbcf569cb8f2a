package link

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Every kind that a broker sends passes the link, and nothing else does.
func TestDeliveriesOfEveryKindPass(t *testing.T) {
	for _, kind := range []Delivery{"request", "approval", "withdraw", "revoke", "checkpoint", "activate", "watch", "freeze", "thaw", "disable"} {
		if err := (Deliver{Kind: kind}).check(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, kind := range []Delivery{"", "Request", "kill", "enable", "deny", "request "} {
		if (Deliver{Kind: kind}).check() == nil {
			t.Errorf("%q passes", kind)
		}
	}
}

// A stream names its door, one of those that there are.
func TestOpensOfEveryDoorPass(t *testing.T) {
	for door, want := range map[Door]bool{DoorSSH: true, DoorAttach: true, DoorTLS: true, "": false, "browser": false, "SSH": false, "vnc": false} {
		o := Open{Token: aSecret, Node: "node1", Asset: "NGH-PETCT1", Service: "recon-ssh", Door: door}
		if (o.check() == nil) != want {
			t.Errorf("%q: %v", door, !want)
		}
	}
}

// What a report says of a protocol is one that there is.
func TestReportsNameKnownProtocols(t *testing.T) {
	for protocol, want := range map[session.Protocol]bool{session.SSH: true, "": false, "SSH": false, "vnc ": false} {
		x := RecordingReport{Recording: session.ID{1}.Recording(), Service: "recon-ssh", Protocol: protocol}
		r := SessionReport{Session: session.ID{1}.Session(), Recordings: []RecordingReport{x}}
		if (r.check() == nil) != want {
			t.Errorf("a recording of %q: %v", protocol, !want)
		}
		r = SessionReport{Session: session.ID{1}.Session(), Protocol: protocol}
		if want = want || protocol == ""; (r.check() == nil) != want { // a service that the agent knows no more
			t.Errorf("a session of %q: %v", protocol, !want)
		}
	}
}

// What is told of scanners is one of their states, each once, and bounded.
func TestReportsOfScannersAreStrict(t *testing.T) {
	fine := session.Standing{State: session.ModalityIdle, Source: "operator", Detail: "set by Tom", At: time.Now(), Since: time.Now()}
	with := func(change func(*session.Standing)) []session.AssetStanding {
		s := fine
		change(&s)
		return []session.AssetStanding{{Asset: "NGH-CT1", Standing: &s}}
	}
	for name, assets := range map[string][]session.AssetStanding{
		"no state":          with(func(s *session.Standing) { s.State = "fine" }),
		"an empty state":    with(func(s *session.Standing) { s.State = "" }),
		"no source":         with(func(s *session.Standing) { s.Source = "" }),
		"a source of lines": with(func(s *session.Standing) { s.Source = "a\nb" }),
		"a long detail":     with(func(s *session.Standing) { s.Detail = strings.Repeat("x", 257) }),
		"a detail of lines": with(func(s *session.Standing) { s.Detail = "a\nb" }),
		"a broken detail":   with(func(s *session.Standing) { s.Detail = "\xff" }),
		"a long lock":       with(func(s *session.Standing) { s.Shut = strings.Repeat("x", 257) }),
		"works, no class":   with(func(s *session.Standing) { s.Works = map[session.Class][]session.ModalityState{"mighty": nil} }),
		"works, no state": with(func(s *session.Standing) {
			s.Works = map[session.Class][]session.ModalityState{session.Observe: {"fine"}}
		}),
		"works, many states": with(func(s *session.Standing) {
			s.Works = map[session.Class][]session.ModalityState{session.Observe: slices.Repeat([]session.ModalityState{"idle"}, 7)}
		}),
		"no scanner":      {{Asset: "a/b"}},
		"a scanner twice": {{Asset: "NGH-CT1"}, {Asset: "NGH-CT1"}},
		"too many":        make([]session.AssetStanding, MaxStandings+1),
	} {
		if (SessionReport{Assets: assets}).check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for name, assets := range map[string][]session.AssetStanding{
		"fine": with(func(*session.Standing) {}), "no interlock": {{Asset: "NGH-CT1"}},
		"tighter": with(func(s *session.Standing) {
			s.Works = map[session.Class][]session.ModalityState{session.Disruptive: nil}
		}),
	} {
		if err := (SessionReport{Assets: assets}).check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if (SessionReport{Session: session.ID{1}.Session(), Assets: with(func(*session.Standing) {})}).check() == nil {
		t.Error("a report is about a session and about scanners")
	}
}

// A report of a passkey names one that somebody registered, and says nothing else.
func TestReportsOfPasskeysAreChecked(t *testing.T) {
	at := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	with := func(change func(*Passkey)) *Passkey {
		x := Passkey{Name: "K-3f9a0c7712be", Owner: session.Identity{Iss: "https://idp.ngh.example", Sub: "okafor"}, Host: "console.ngh.example", Since: at}
		change(&x)
		return &x
	}
	for name, x := range map[string]*Passkey{
		"fine": with(func(*Passkey) {}), "revoked": with(func(x *Passkey) { x.Until = at.Add(time.Hour) }), "revoked at once": with(func(x *Passkey) { x.Until = at }),
	} {
		if err := (SessionReport{Passkey: x}).check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, r := range map[string]SessionReport{
		"no name":             {Passkey: with(func(x *Passkey) { x.Name = "" })},
		"another name":        {Passkey: with(func(x *Passkey) { x.Name = "K-3F9A0C7712BE" })},
		"a longer name":       {Passkey: with(func(x *Passkey) { x.Name += "00" })},
		"nobody's":            {Passkey: with(func(x *Passkey) { x.Owner.Sub = "" })},
		"of no issuer":        {Passkey: with(func(x *Passkey) { x.Owner.Iss = "" })},
		"a long owner":        {Passkey: with(func(x *Passkey) { x.Owner.Sub = strings.Repeat("x", 513) })},
		"no page":             {Passkey: with(func(x *Passkey) { x.Host = "" })},
		"a long page":         {Passkey: with(func(x *Passkey) { x.Host = strings.Repeat("x", 254) })},
		"no time":             {Passkey: with(func(x *Passkey) { x.Since = time.Time{} })},
		"revoked before":      {Passkey: with(func(x *Passkey) { x.Until = at.Add(-time.Second) })},
		"and about a session": {Session: session.ID{1}.Session(), Passkey: with(func(*Passkey) {})},
		"and about scanners":  {Assets: []session.AssetStanding{{Asset: "NGH-CT1"}}, Passkey: with(func(*Passkey) {})},
	} {
		if r.check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// As many scanners as one report may name fit into its frame, whatever is said of them.
func TestAReportOfScannersFitsItsFrame(t *testing.T) {
	all := map[session.Class][]session.ModalityState{}
	for _, c := range session.Classes() {
		all[c] = session.ModalityStates()
	}
	var r SessionReport
	for i := range MaxStandings {
		r.Assets = append(r.Assets, session.AssetStanding{Asset: fmt.Sprintf("%064d", i), Standing: &session.Standing{State: session.PatientOnTable,
			Source: strings.Repeat("s", 64), Detail: strings.Repeat("<", 256), Shut: strings.Repeat("&", 256), At: time.Now(), Until: time.Now(), Since: time.Now(), Works: all}})
	}
	b, err := json.Marshal(r)
	if most, _ := largest(verbReport); err != nil || r.check() != nil || len(b) > most {
		t.Errorf("%d bytes, %v, %v", len(b), err, r.check())
	}
}
