package access

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// Figures of what is usual at a site.
const (
	usualOver = 50              // latest decisions
	usualAge  = 2 * time.Second // how old another broker's news may be
	maxRecent = 5
)

// Typical is how long the hospital usually takes to decide.
type Typical struct {
	Median  time.Duration // 0: not known
	Decided int           // decisions behind it
}

// Context is what a decision about a request should know.
type Context struct {
	Agent      string // fingerprint that the grant must name
	Zone       string
	Sessions   int       // of this engineer on this scanner before
	Since      time.Time // the first of them; zero: there was none
	Unreviewed int
	Recent     []PastSession // newest first
	Denied     int
	Typical
}

// PastSession is a session of an engineer on a scanner.
type PastSession struct {
	Session
	Asked    string // why, as the request said
	Reviewed bool   // all its recordings
}

// siteUsual is what a site's requests tell of its scanners.
type siteUsual struct {
	at     time.Time
	typic  map[string]Typical // by asset; "" is the site
	live   map[string][]record
	number uint64
}

// usual remembers what was computed of each site for a moment, because every page asks.
type usual struct {
	mu     sync.Mutex // guards what follows
	sites  map[string]siteUsual
	number map[string]uint64 // grows with every change made here
}

func newUsual() *usual {
	return &usual{sites: map[string]siteUsual{}, number: map[string]uint64{}}
}

func (u *usual) forget(site string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.number[site]++
	delete(u.sites, site)
}

func (u *usual) get(site string, now time.Time) (siteUsual, uint64, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s, ok := u.sites[site]
	return s, u.number[site], ok && now.Sub(s.at).Abs() < usualAge
}

func (u *usual) put(site string, s siteUsual) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.number[site] == s.number { // nothing changed while it was computed
		u.sites[site] = s
	}
}

// siteUsual reads a site's latest requests.
func (a *Access) siteUsual(ctx context.Context, name string) (siteUsual, error) {
	now := a.now()
	known, number, fresh := a.usual.get(name, now)
	if fresh {
		return known, nil
	}
	all, err := a.under(ctx, ofSite(name), maxListed)
	if err != nil {
		return siteUsual{}, err
	}
	s := siteUsual{at: now, typic: map[string]Typical{}, live: map[string][]record{}, number: number}
	took := map[string][]decision{}
	for _, r := range all {
		if d, ok := r.decision(); ok && !r.extension() {
			took[r.doc.Asset] = append(took[r.doc.Asset], d)
			took[""] = append(took[""], d)
		}
		if !r.Session.Opened.IsZero() && r.sessionFacts().State(now) != session.Ended {
			s.live[r.doc.Asset] = append(s.live[r.doc.Asset], r)
		}
	}
	for asset, d := range took {
		s.typic[asset] = median(d)
	}
	a.usual.put(name, s)
	return s, nil
}

// decision is when the hospital answered a request, and how long that took.
type decision struct {
	at   time.Time
	took time.Duration
}

func (r record) decision() (decision, bool) {
	at := r.Answer.Granted
	if at.IsZero() {
		at = r.Answer.Denied
	}
	return decision{at, max(at.Sub(r.Created), 0)}, !at.IsZero()
}

// median is that of the latest decisions.
func median(all []decision) Typical {
	slices.SortFunc(all, func(x, y decision) int { return y.at.Compare(x.at) })
	all = slices.Clone(all[:min(len(all), usualOver)])
	slices.SortFunc(all, func(x, y decision) int { return int(x.took.Milliseconds() - y.took.Milliseconds()) })
	n := len(all)
	if n == 0 {
		return Typical{}
	}
	return Typical{Median: (all[(n-1)/2].took + all[n/2].took) / 2, Decided: n}
}

// of is what is usual on a scanner, or else at its site.
func (s siteUsual) of(asset string) Typical {
	if t, ok := s.typic[asset]; ok {
		return t
	}
	return s.typic[""]
}

// dress adds what the requests of its site tell to a scanner.
func (a *Access) dress(ctx context.Context, c Caller, all []Asset) error {
	for i := range all {
		s, err := a.siteUsual(ctx, all[i].Site)
		if err != nil {
			return err
		}
		all[i].Typical = s.of(all[i].Name)
		for _, r := range s.live[all[i].Name] {
			if r.seenBy(c) && r.sessionFacts().State(a.now()) != session.Ended {
				all[i].Live = append(all[i].Live, r.sessionID())
			}
		}
	}
	return nil
}

// Context reads what a decision about a request should know: for the site's people.
// Its engineer learns how long a decision usually takes.
func (a *Access) Context(ctx context.Context, c Caller, id session.ID) (Context, error) {
	r, err := a.load(ctx, c, id)
	if err != nil {
		return Context{}, err
	}
	s, err := a.siteUsual(ctx, r.doc.Site)
	if err != nil {
		return Context{}, err
	}
	x := Context{Typical: s.of(r.doc.Asset)}
	if !c.At(r.doc.Site) || !c.Is(session.Approver) && !c.Is(session.Auditor) || c.Who().Identity == r.Engineer.Identity {
		return x, nil
	}
	x.Agent = r.Identity
	if x.Zone, err = a.Zone(ctx, r.doc.Site, r.doc.Asset); err != nil {
		return Context{}, err
	}
	err = a.history(ctx, c, r, &x)
	return x, err
}

// history adds what the engineer of a request did on its scanner before.
func (a *Access) history(ctx context.Context, c Caller, of record, x *Context) error {
	all, err := a.under(ctx, ofEngineer(of.Engineer.Identity), maxListed)
	if err != nil {
		return err
	}
	reviewed, err := a.reviewedOf(ctx, c, of.Engineer.Identity)
	if err != nil {
		return err
	}
	now := a.now()
	var past []PastSession
	for _, r := range all {
		if r.doc.Site != of.doc.Site || r.doc.Asset != of.doc.Asset || r.id == of.id || r.extension() {
			continue
		}
		if !r.Answer.Denied.IsZero() {
			x.Denied++
		}
		if r.Session.Opened.IsZero() {
			continue
		}
		p := PastSession{Session: r.session(now), Asked: r.doc.Reason, Reviewed: len(r.Session.Recordings) > 0}
		for _, id := range p.Recordings {
			p.Reviewed = p.Reviewed && reviewed[id]
		}
		if !p.Reviewed && p.State == session.Ended && len(p.Recordings) > 0 {
			x.Unreviewed++
		}
		past = append(past, p)
	}
	slices.SortStableFunc(past, func(p, q PastSession) int { return q.Opened.Compare(p.Opened) })
	if x.Sessions = len(past); x.Sessions > 0 {
		x.Since = past[x.Sessions-1].Opened
	}
	x.Recent = past[:min(len(past), maxRecent)]
	return nil
}

// reviewedOf says which recordings of an engineer somebody has reviewed.
func (a *Access) reviewedOf(ctx context.Context, c Caller, engineer session.Identity) (map[string]bool, error) {
	done := map[string]bool{}
	err := a.eachRecording(ctx, ofEngineer(engineer), c, func(v Recording) { done[v.ID.Recording()] = len(v.Reviews) > 0 })
	return done, err
}

// classOf is the class of the client that a token was made for, as its issuer's
// configuration says. It is for display: the agent decides by its own.
func (a *Access) classOf(token string) session.ClientClass {
	t, err := idtoken.Peek(token)
	if err != nil {
		return ""
	}
	for _, i := range a.issuer {
		if i.URL == t.Issuer {
			return i.Clients[t.Audience]
		}
	}
	return ""
}

// Zone is the time zone of a scanner's site, as its agent announced it last.
func (a *Access) Zone(ctx context.Context, siteName, asset string) (string, error) {
	x, err := a.asset(ctx, siteName, asset)
	if session.KindOf(err) == session.Invalid && err != nil || err == nil && x.Policy.Zone == "" {
		return "UTC", nil
	}
	return x.Policy.Zone, err
}
