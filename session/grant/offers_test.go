package grant_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// scanner is an asset as the web application knows it.
type scanner struct {
	Name     string            `json:"name"`
	Channels []session.Channel `json:"channels"`
	Longest  int64             `json:"longest_seconds"`
	Window   int64             `json:"window_seconds"`
	Services []session.Service `json:"services"`
}

func (s scanner) asset() session.Asset {
	return session.Asset{Name: s.Name, Services: s.Services, Policy: session.Policy{Channels: s.Channels,
		Longest: time.Duration(s.Longest) * time.Second, Window: time.Duration(s.Window) * time.Second}}
}

// offered is what some services of a scanner offer, or why nothing.
type offered struct {
	Name     string            `json:"name"`
	Services []string          `json:"services"`
	Class    session.Class     `json:"class"`
	Channels []session.Channel `json:"channels"`
	Why      grant.Why         `json:"why"`
}

// termsRow is some terms, and why they are not offered.
type termsRow struct {
	Name     string            `json:"name"`
	Services []string          `json:"services"`
	Class    session.Class     `json:"class"`
	Channels []session.Channel `json:"channels"`
	NBF      int64             `json:"nbf"` // from now
	EXP      int64             `json:"exp"`
	MaxS     int64             `json:"maxs"`
	Why      grant.Why         `json:"why"`
}

type offerVectors struct {
	Protocols map[session.Protocol][]session.Channel `json:"protocols"`
	KeyReach  int64                                  `json:"key_reach"`
	Farthest  int64                                  `json:"farthest"`
	Now       int64                                  `json:"now"`
	Asset     scanner                                `json:"asset"`
	Offers    []offered                              `json:"offers"`
	Terms     []termsRow                             `json:"terms"`
}

type channels = []session.Channel

// The rules one by one, what is refused first; the web application holds its own
// against the same rows.
func offerRows() offerVectors {
	const hour, day = 3600, 86400
	service := func(name string, p session.Protocol, c session.Class) session.Service {
		return session.Service{Name: name, Endpoint: "host", Protocol: p, Port: 22, Class: c}
	}
	v := offerVectors{
		Protocols: map[session.Protocol][]session.Channel{}, KeyReach: int64(grant.KeyReach / time.Second),
		Farthest: int64(grant.Farthest / time.Second), Now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).Unix(),
		Asset: scanner{"NGH-PETCT1", channels{"clipboard-in", "exec", "files-out", "shell"}, 8 * hour, day, []session.Service{
			service("console-ssh", session.SSH, session.Disruptive), service("logs-ssh", session.SSH, session.Observe),
			service("recon-ssh", session.SSH, session.NonDisruptive), service("old-telnet", "telnet", session.Disruptive)}},
		Offers: []offered{
			{"no such service", []string{"recon"}, "", nil, grant.NoSuchService},
			{"in other case", []string{"Recon-ssh"}, "", nil, grant.NoSuchService},
			{"one of two is not there", []string{"recon-ssh", "x"}, "", nil, grant.NoSuchService},
			{"a protocol that nobody speaks", []string{"old-telnet"}, "", nil, grant.NotSpoken},
			{"and one beside it", []string{"old-telnet", "recon-ssh"}, "", nil, grant.NotSpoken},
			{"what the protocol has and the policy allows", []string{"recon-ssh"}, session.NonDisruptive, channels{"exec", "files-out", "shell"}, ""},
			{"two: the milder class", []string{"console-ssh", "recon-ssh"}, session.NonDisruptive, channels{"exec", "files-out", "shell"}, ""},
			{"three: the mildest", []string{"console-ssh", "logs-ssh", "recon-ssh"}, session.Observe, channels{"exec", "files-out", "shell"}, ""},
			{"the strongest", []string{"console-ssh"}, session.Disruptive, channels{"exec", "files-out", "shell"}, ""},
		},
	}
	for _, p := range session.Protocols() {
		v.Protocols[p] = p.Channels()
	}
	recon, run := []string{"recon-ssh"}, channels{"exec", "shell"}
	row := func(why grant.Why, name string, change func(*termsRow)) {
		r := termsRow{name, recon, session.NonDisruptive, run, 0, 4 * hour, 1800, why}
		change(&r)
		v.Terms = append(v.Terms, r)
	}
	row(grant.NoSuchService, "an unknown service", func(r *termsRow) { r.Services = []string{"vnc"} })
	row(grant.NotSpoken, "an unknown protocol", func(r *termsRow) { r.Services = []string{"old-telnet"} })
	row(grant.TooStrong, "a stronger class", func(r *termsRow) { r.Class = session.Disruptive })
	row(grant.TooStrong, "stronger than one of two", func(r *termsRow) { r.Services = []string{"logs-ssh", "recon-ssh"} })
	row(grant.TooStrong, "an unknown class", func(r *termsRow) { r.Class = "root" })
	row(grant.NotAllowed, "a channel that the policy lacks", func(r *termsRow) { r.Channels = channels{"files-in", "shell"} })
	row(grant.NotAllowed, "a channel that the protocol lacks", func(r *termsRow) { r.Channels = channels{"clipboard-in"} })
	row(grant.NotAllowed, "a channel that nothing has", func(r *termsRow) { r.Channels = channels{"telepathy"} })
	row(grant.NoChannel, "no channel", func(r *termsRow) { r.Channels = channels{} })
	row(grant.TooLong, "a second more", func(r *termsRow) { r.MaxS = 8*hour + 1 })
	row(grant.TooLong, "for ever", func(r *termsRow) { r.MaxS = 1<<31 - 1 })
	row(grant.TooWide, "a window a second wider", func(r *termsRow) { r.EXP = day + 1 })
	row(grant.TooWide, "a window of centuries", func(r *termsRow) { r.EXP = 200_000_000_000 })
	row(grant.Over, "a window that ends now", func(r *termsRow) { r.NBF, r.EXP = -60, 0 })
	row(grant.Over, "a window that is over", func(r *termsRow) { r.NBF, r.EXP = -day, -1 })
	row(grant.TooFarAhead, "31 days ahead", func(r *termsRow) { r.NBF, r.EXP = 31*day, 31*day+hour })
	row(grant.TooFarAhead, "30 days and a second", func(r *termsRow) { r.NBF, r.EXP = 30*day+1, 30*day+hour })
	row("", "as is usual", func(*termsRow) {})
	row("", "all that there is", func(r *termsRow) {
		r.Channels, r.MaxS, r.NBF, r.EXP = channels{"exec", "files-out", "shell"}, 8*hour, 30*day, 31*day
	})
	row("", "a window that ends in a second", func(r *termsRow) { r.NBF, r.EXP = -hour, 1 })
	row("", "three services, looked at", func(r *termsRow) {
		r.Services, r.Class = []string{"console-ssh", "logs-ssh", "recon-ssh"}, session.Observe
	})
	return v
}

func (r termsRow) terms(now int64) grant.Terms {
	return grant.Terms{Site: "NGH", Asset: "NGH-PETCT1", Services: r.Services, Class: r.Class, Channels: r.Channels, NBF: now + r.NBF, EXP: now + r.EXP, MaxS: r.MaxS}
}

func TestOffers(t *testing.T) {
	v := offerRows()
	for _, row := range v.Offers {
		o, err := grant.Offers(v.Asset.asset(), row.Services)
		if grant.WhyNot(err) != row.Why || (err == nil) != (row.Why == "") || o.Class != row.Class || !slices.Equal(o.Channels, row.Channels) {
			t.Errorf("%s: %+v, %v", row.Name, o, err)
		}
	}
	for _, row := range v.Terms {
		err := grant.AdmitsTerms(v.Asset.asset(), row.terms(v.Now), time.Unix(v.Now, 0))
		if grant.WhyNot(err) != row.Why || (err == nil) != (row.Why == "") {
			t.Errorf("%s: %v", row.Name, err)
		}
		if want := map[bool]session.Kind{true: session.Expired, false: session.Refused}[row.Why == grant.Over]; err != nil && session.KindOf(err) != want {
			t.Errorf("%s: of the kind %s", row.Name, session.KindOf(err))
		}
	}
	if grant.WhyNot(nil) != "" || grant.WhyNot(grant.ErrMoreApprovals) != "" {
		t.Error("a rule was found where none is")
	}
	holdVectors(t, "weboffers.json", v)
}

// A policy that names what no service has is not taken, nor a protocol that nobody
// speaks; what is not said is what runs and carries nothing.
func TestSettle(t *testing.T) {
	of := func(p session.Protocol, list ...session.Channel) session.Asset {
		return session.Asset{Name: "CT", Services: []session.Service{{Name: "s", Protocol: p, Class: session.Observe}}, Policy: session.Policy{Channels: list}}
	}
	for name, a := range map[string]session.Asset{
		"no protocol": of(""), "a protocol that nobody speaks": of("telnet"), "in capitals": of("SSH"),
		"a channel that ssh lacks": of(session.SSH, session.Shell, session.ClipboardIn), "a channel that nothing has": of(session.SSH, "x11"),
		"a channel without a service": {Name: "CT", Policy: session.Policy{Channels: channels{session.Shell}}},
	} {
		if _, err := grant.Settle(a); session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	a, err := grant.Settle(of(session.SSH))
	if p := a.Policy; err != nil || !slices.Equal(p.Channels, channels{session.Exec, session.Shell}) || p.Approvals != 1 || p.Longest != 8*time.Hour || p.Window != 24*time.Hour {
		t.Errorf("%+v, %v", p, err)
	}
	again, err := grant.Settle(a)
	if err != nil || !slices.Equal(again.Policy.Channels, a.Policy.Channels) {
		t.Errorf("settled twice: %+v, %v", again, err)
	}
}

// Whatever the rules offer the agent's verifier takes, and what they refuse it refuses,
// over policies and requests of all kinds.
func TestTheVerifierTakesWhatIsOffered(t *testing.T) {
	var taken, not int
	rapid.Check(t, func(rt *rapid.T) {
		policy := session.Policy{
			Channels: subsetOf(rt, "allowed", session.SSH.Channels()),
			Longest:  time.Duration(rapid.IntRange(1, 5).Draw(rt, "longest")) * time.Hour, Window: time.Duration(rapid.IntRange(1, 30).Draw(rt, "window")) * time.Hour,
		}
		w := newWorld(t, asset(func(p *session.Policy) { *p = policy }))
		r := w.request()
		r.Services = subsetOf(rt, "services", []string{"console-ssh", "recon-ssh"})
		if rapid.IntRange(0, 9).Draw(rt, "another service") == 0 {
			r.Services = []string{"logs-ssh"}
		}
		r.Class = rapid.SampledFrom(append(session.Classes(), session.Observe, session.Observe)).Draw(rt, "class")
		r.Channels = subsetOf(rt, "channels", policy.Channels)
		if rapid.IntRange(0, 3).Draw(rt, "other channels") == 0 {
			r.Channels = subsetOf(rt, "of all", session.Channels())
		}
		r.NBF += rapid.SampledFrom([]int64{-7200, 0, 0, 0, 0, 1800, 7200, 31 * 86400}).Draw(rt, "begins")
		r.EXP = r.NBF + 1800*rapid.Int64Range(1, 2*policy.Window.Milliseconds()/3_600_000+1).Draw(rt, "wide")
		r.MaxS = 1800 * rapid.Int64Range(1, 2*policy.Longest.Milliseconds()/3_600_000+1).Draw(rt, "maxs")
		if rapid.IntRange(0, 3).Draw(rt, "keyless") == 0 {
			r.Key = ""
		}
		r.Kind = rapid.SampledFrom([]string{grant.KindSession, grant.KindSession, grant.KindSession, grant.KindExtension}).Draw(rt, "kind")
		if r.Kind != grant.KindSession {
			r.Parent = session.NewID().Text()
		}
		here, err := grant.Settle(w.policy.Assets[r.Asset])
		if err != nil {
			rt.Fatal(err)
		}
		want := grant.AdmitsRequest(here, r, w.now, w.now)
		doc := marshal(t, r)
		_, engineer, err := w.verifier.CheckRequest(t.Context(), doc, w.ask(doc, nil), w.now)
		same(rt, "request", want, err)
		if err != nil {
			not++
			return
		}
		taken++
		g := w.grantFor(doc)
		g.Channels = subsetOf(rt, "granted", r.Channels)
		g.MaxS = rapid.Int64Range(1, r.MaxS+1).Draw(rt, "granted for")
		later := w.now.Add(time.Duration(rapid.IntRange(0, 30).Draw(rt, "later")) * time.Minute)
		grantDoc := marshal(t, g)
		want = grant.AdmitsGrant(here, r, engineer.Received, g, later)
		_, err = w.verifier.Verify(doc, engineer, grantDoc, nil, later)
		if want == nil {
			want = grant.ErrMoreApprovals
		}
		if (want == grant.ErrMoreApprovals) != errors.Is(err, grant.ErrMoreApprovals) {
			rt.Errorf("a grant: the rules say %v, the verifier %v", want, err)
		}
	})
	t.Logf("%d taken, %d not", taken, not)
	if !testing.Short() && (taken < 5 || not < 5) { // a short run draws too few to count
		t.Errorf("%d were taken and %d not: nothing is shown by that", taken, not)
	}
}

func same(t *rapid.T, what string, rules, verifier error) {
	if (rules == nil) != (verifier == nil) || rules != nil && rules.Error() != verifier.Error() {
		t.Errorf("a %s: the rules say %v, the verifier %v", what, rules, verifier)
	}
}

// subsetOf draws some of a sorted list, at least one.
func subsetOf[S ~string](t *rapid.T, label string, list []S) []S {
	some := rapid.MapOfN(rapid.SampledFrom(list), rapid.Just(true), 1, len(list)).Draw(t, label)
	return slices.Sorted(maps.Keys(some))
}
