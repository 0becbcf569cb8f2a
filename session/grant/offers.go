package grant

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
)

// This file is the one place that says what may be asked for and granted on a scanner.
// The command line asks it before anybody signs, the broker when it takes a request or
// a grant, and the agent, whose word counts. The web application has the same rules in
// broker/web/src/lib/offers.ts, held against testdata/weboffers.json.

// Offer is the widest that some services of a scanner can be asked for together.
type Offer struct {
	Asset    string
	Services []session.Service
	Class    session.Class     // the strongest that all of them allow
	Channels []session.Channel // sorted: the policy allows it and one of them has it
	Longest  time.Duration     // session
	Window   time.Duration     // not-before to not-after
	Critical time.Duration     // critical section; 0: none
}

// Why is the rule by which something is not offered. It stands in the error's chain.
type Why string

const (
	NoSuchService Why = "no-such-service"
	NotSpoken     Why = "not-spoken" // the service's protocol is not known here
	TooStrong     Why = "too-strong" // class
	NotAllowed    Why = "not-allowed"
	NoChannel     Why = "no-channel" // a service would have nothing to do
	TooWide       Why = "too-wide"   // window
	TooLong       Why = "too-long"   // session
	Over          Why = "over"
	TooFarAhead   Why = "too-far-ahead"
	TooCritical   Why = "too-critical" // critical section
)

func (w Why) Error() string { return "not offered: " + string(w) }

// WhyNot finds the rule in an error's chain; "" where there is none.
func WhyNot(err error) Why {
	var w Why
	errors.As(err, &w)
	return w
}

// Offers is what a scanner offers on some of its services, which share one class and
// one list of channels: each channel is for those of them whose protocol has it.
func Offers(a session.Asset, services []string) (Offer, error) {
	o := Offer{Asset: a.Name, Class: session.Disruptive, Longest: a.Policy.Longest, Window: a.Policy.Window, Critical: a.Policy.Critical}
	for _, name := range services {
		s, ok := a.Service(name)
		switch {
		case !ok:
			return Offer{}, not(NoSuchService, "Look up the services with sallyport assets.", "%s has no service %.64s.", a.Name, name)
		case !s.Protocol.Known():
			return Offer{}, not(NotSpoken, "Bring sallyport up to date.", "%s on %s speaks %.20q, which is not known here.", name, a.Name, s.Protocol)
		case s.Class.Within(o.Class):
			o.Class = s.Class
		}
		o.Services = append(o.Services, s)
		for _, c := range s.Protocol.Channels() {
			if slices.Contains(a.Policy.Channels, c) && !slices.Contains(o.Channels, c) {
				o.Channels = append(o.Channels, c)
			}
		}
	}
	slices.Sort(o.Channels)
	return o, nil
}

// Admits checks terms against what is offered at now. It does not judge whether they
// are well formed; a document is.
func (o Offer) Admits(t Terms, now time.Time) error {
	for _, s := range o.Services {
		if !t.Class.Within(s.Class) {
			return not(TooStrong, "Ask for a milder class.", "%s on %s may be used up to the class %s only.", s.Name, o.Asset, s.Class)
		}
	}
	for _, c := range t.Channels {
		if !slices.Contains(o.Channels, c) {
			return not(NotAllowed, "Ask without it, or ask the hospital to change its policy.", "%s does not allow %s on %s.", o.Asset, c, strings.Join(t.Services, ", "))
		}
	}
	for _, s := range o.Services {
		if !slices.ContainsFunc(s.Protocol.Channels(), func(c session.Channel) bool { return slices.Contains(t.Channels, c) }) {
			return not(NoChannel, "Ask for one of "+words(o.Channels)+".", "No channel is asked for that %s has.", s.Name)
		}
	}
	if t.MaxS > int64(o.Longest/time.Second) {
		return not(TooLong, "Ask for a shorter session.", "%s allows sessions of at most %s.", o.Asset, span(o.Longest))
	}
	switch {
	case t.Crit > 0 && o.Critical == 0:
		return not(TooCritical, "Ask without one.", "%s allows no critical section.", o.Asset)
	case t.Crit > int64(o.Critical/time.Second):
		return not(TooCritical, "Ask for a shorter one.", "%s allows critical sections of at most %s.", o.Asset, span(o.Critical))
	}
	return o.Opens(t.NBF, t.EXP, now)
}

// Opens checks a window alone, in Unix seconds.
func (o Offer) Opens(nbf, exp int64, now time.Time) error {
	switch {
	case exp-nbf > int64(o.Window/time.Second):
		return not(TooWide, "Ask for a shorter window.", "%s allows windows of at most %s.", o.Asset, span(o.Window))
	case !now.Before(time.Unix(exp, 0)):
		return not(Over, "Ask again with a new window.", "The time window is over.")
	case time.Unix(nbf, 0).After(now.Add(Farthest)):
		return not(TooFarAhead, "Ask again closer to the date.", "The time window begins more than 30 days ahead.")
	}
	return nil
}

// AdmitsRequest checks a request that came in at received against a scanner at now.
// Who asks, and whether an extension's session lives, is for others.
func AdmitsRequest(a session.Asset, r Request, received, now time.Time) error {
	if err := AdmitsTerms(a, r.Terms(), now); err != nil {
		return err
	}
	begins := time.Unix(r.NBF, 0)
	switch {
	case r.Kind != KindSession && r.Kind != KindExtension:
		return refused("Requests of the kind "+r.Kind+" are not supported yet.", "Ask for a new session.")
	case r.Kind == KindExtension && r.Key != "":
		return refused("An extension brings no key.", "Activate further keys for the session itself.")
	case r.Kind == KindExtension && begins.After(received.Add(slack)):
		return refused("An extension begins now.", "Ask for it when it is needed.")
	case r.Kind == KindSession && r.Key != "" && begins.After(received.Add(KeyReach)):
		return refused("A session that begins more than one hour ahead cannot have its key yet.", "Ask without a key, and activate one when the session begins.")
	case r.Kind == KindSession && r.Key == "" && !begins.After(received):
		return refused("A request for now brings its key.", "Ask again with sallyport request new.")
	}
	return nil
}

// AdmitsGrant checks a grant for a request that came in at received: both are offered
// at now, and the grant goes nowhere beyond the request.
func AdmitsGrant(a session.Asset, r Request, received time.Time, g Grant, now time.Time) error {
	if err := Within(g, r); err != nil {
		return err
	}
	if err := AdmitsRequest(a, r, received, now); err != nil {
		return err
	}
	if err := AdmitsTerms(a, g.Terms(), now); err != nil {
		return err
	}
	if !slices.Equal(g.Obl, []string{Record}) {
		return refused("The grant asks for more than recording, which is not supported yet.", "Approve without consent, hold-files and view-only.")
	}
	return nil
}

// AdmitsTerms checks terms alone against a scanner at now.
func AdmitsTerms(a session.Asset, t Terms, now time.Time) error {
	o, err := Offers(a, t.Services)
	if err != nil {
		return err
	}
	return o.Admits(t, now)
}

func not(why Why, next, format string, args ...any) error {
	kind := session.Refused
	if why == Over {
		kind = session.Expired
	}
	return &session.Error{Kind: kind, Message: fmt.Sprintf(format, args...), Next: next, Err: why}
}

func words(channels []session.Channel) string {
	all := make([]string, len(channels))
	for i, c := range channels {
		all[i] = string(c)
	}
	return cmp.Or(strings.Join(all, ", "), "nothing: this scanner offers no channel")
}

// span writes a duration as people type it: 24h, 30m, 1h30m.
func span(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}
