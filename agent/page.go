package agent

import (
	"bytes"
	"image/png"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/engine/screen"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/agent/modality"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

const pageCertificate = "console.pem" // which the agent makes, in its state directory

func (a *Agent) page() page.Config {
	c := page.Config{
		Settings: a.rules.Load().Console, Kept: a.state.path(pageCertificate), Controls: controls{a}, States: controls{a}, Consents: controls{a}, Board: a.board,
		Picture: a.picture, Now: a.now, Log: a.log,
	}
	if c.Settings.SignIn.Client != "" {
		c.Provider, c.Decisions = decisions{a}, decisions{a}
		if _, err := a.cfg.Console.Passkeys(); err == nil {
			c.Keys = &page.Keys{Kept: passkeys{decisions{a}}, Used: passkeys{decisions{a}}}
		}
	}
	return c
}

// picture is what a session's console shows, with its masks, as PNG; nil where none is open.
func (a *Agent) picture(text string) []byte {
	id, err := session.ParseSessionID(text)
	if err != nil {
		return nil
	}
	for _, line := range a.consoles {
		if seen := line.Look(id, pageWidth); seen != nil {
			var b bytes.Buffer
			if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, seen); err == nil {
				return b.Bytes()
			}
		}
	}
	return nil
}

// board is how everything stands, as the people at the scanners see it.
func (a *Agent) board() page.Board {
	now := a.now()
	entries := a.ledger.Entries(now)
	live := a.engine.Live()
	b := page.Board{Site: a.cfg.Site}
	b.Broker, _ = a.client.Connected()
	barred := a.ledger.Bars()
	b.Frozen = slices.ContainsFunc(barred, func(s ledger.Scope) bool { return s.All })
	b.Waits = a.waits(entries)
	b.Requests = requested(entries, a.rules.Load().Assets, a.deliveries.Load().verifier.Needed)
	for _, asset := range a.rules.Load().Assets {
		zone := asset.Policy.zone()
		shown := page.Asset{Name: asset.Name, Label: asset.Label}
		shown.ByName = slices.ContainsFunc(barred, func(s ledger.Scope) bool { return s.Asset == asset.Name })
		shown.Frozen = b.Frozen || shown.ByName
		shown.State = a.standing(asset, zone)
		for _, l := range live {
			if l.Asset == asset.Name {
				v := visitOf(l, entryOf(entries, l.ID), zone)
				if slices.ContainsFunc(a.consoles, func(c *screen.Line) bool { return c.Shows(l.ID) }) {
					v.Picture = strconv.FormatInt(now.Unix()/pictureEvery, 10)
				}
				shown.On = append(shown.On, v)
			}
		}
		for _, e := range entries {
			s := e.Facts.Session
			switch {
			case e.Asset != asset.Name || e.Session.IsZero():
			case e.Status == session.Approved && s.Opened.IsZero():
				shown.Could++
			case !s.Opened.IsZero() && s.State(now) == session.Ended && sameDay(s.Opened, now, zone):
				b.Past = append(b.Past, pastOf(e, now, zone))
			}
		}
		b.Assets = append(b.Assets, shown)
	}
	slices.SortStableFunc(b.Past, func(x, y page.Past) int { return y.Ended.Compare(x.Ended) })
	b.Past = b.Past[:min(len(b.Past), maxPast)]
	return b
}

// standing is what a scanner does for its patients; nil for one without an interlock.
func (a *Agent) standing(asset Asset, zone *time.Location) *page.State {
	s, some := a.states.Standing(asset.Name)
	if !some {
		return nil
	}
	out := &page.State{Is: s.State, Says: wording.Clean(s.Words()), Shut: wording.Clean(s.Shut), Switch: slices.ContainsFunc(asset.Modality.Sources, func(s StateSource) bool { return s.Operator })}
	if out.Switch {
		out.Holds = page.Holds(a.now().In(zone), modality.DefaultFor, asset.Modality.longest(), asset.Modality.Shifts)
	}
	if !s.At.IsZero() {
		out.At = s.At.In(zone)
	}
	if !s.Until.IsZero() {
		out.Until = s.Until.In(zone)
	}
	return out
}

// visitOf is a live session with what its engineer signed.
func visitOf(l engine.LiveSession, e ledger.Entry, zone *time.Location) page.Session {
	s := page.Session{
		ID: l.ID.Session(), Service: l.Service, Who: shownName(l.Engineer), Company: company(l.Engineer),
		Reason: wording.Clean(e.Why.Reason), WorkOrder: wording.Clean(e.Why.WorkOrder),
		Opened: l.Opened.In(zone), Deadline: l.Deadline.In(zone), Connections: l.Connections,
	}
	if x := l.Critical; x != nil {
		s.Critical = &page.Critical{Why: wording.Clean(x.Why), Until: x.Until.In(zone), Alarm: x.Alarm}
	}
	if e.Asset != "" {
		s.Work = wording.Sentence(wording.Clean(l.Engineer.Shown()) + " may " + wording.Work(targetsOf(e), e.Why.Class, e.Why.Channels))
	}
	for _, cause := range l.Frozen {
		s.Thaws = s.Thaws || cause == causeLocal || cause == engine.CauseInterlock
		s.Frozen = append(s.Frozen, causeWords(cause))
	}
	return s
}

func targetsOf(e ledger.Entry) (all []session.Target) {
	for _, service := range e.Services {
		all = append(all, session.Target{Asset: e.Asset, Service: service})
	}
	return all
}

// causeWords says who froze, or what.
func causeWords(cause string) string {
	switch cause {
	case causeLocal:
		return "here"
	case engine.CauseInterlock:
		return "for the patient"
	case causeBroker:
		return "by the hospital, through the broker"
	}
	return cause
}

func pastOf(e ledger.Entry, now time.Time, zone *time.Location) page.Past {
	s := e.Facts.Session
	ended := s.Ended
	if ended.IsZero() {
		ended = s.Deadline
	}
	return page.Past{Asset: e.Asset, Who: shownName(e.Engineer), Company: company(e.Engineer), Reason: wording.Clean(e.Why.Reason),
		Opened: s.Opened.In(zone), Ended: ended.In(zone), How: wording.Ended(s.WhyEnded(now))}
}

// entryOf is what the ledger knows of a session; the zero Entry when it has no such.
func entryOf(all []ledger.Entry, id session.ID) ledger.Entry {
	if i := slices.IndexFunc(all, func(e ledger.Entry) bool { return e.Session == id }); i >= 0 {
		return all[i]
	}
	return ledger.Entry{}
}

// shownName is what their identity provider calls somebody, or else by what it knows them.
func shownName(p session.Person) string {
	if name := wording.Name(p.Name); name != "" {
		return name
	}
	return wording.Clean(p.Shown())
}

// company is of whom somebody is: the domain that their identity provider may give
// addresses of, or else where they signed in.
func company(p session.Person) string {
	if _, domain, ok := strings.Cut(p.Email, "@"); ok {
		return wording.Clean(domain)
	}
	return wording.Clean(p.Host())
}

func sameDay(a, b time.Time, zone *time.Location) bool {
	y, m, d := a.In(zone).Date()
	y2, m2, d2 := b.In(zone).Date()
	return y == y2 && m == m2 && d == d2
}

// zone is in which people at an asset read times. Validate has looked at it.
func (p Policy) zone() *time.Location {
	if zone, err := time.LoadLocation(p.Zone); err == nil {
		return zone
	}
	return time.UTC
}
