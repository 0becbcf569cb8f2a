package access

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// siteUsual is what a site's requests tell of its scanners.
type siteUsual struct {
	at      time.Time          // zero: something changed since
	typic   map[string]Typical // by asset; "" is the site
	live    map[string][]record
	decided decisions
	number  uint64
}

// decisions are a site's latest, the newest first: what is decided stays so, and is read once.
type decisions struct {
	head string // place of the newest in its list
	all  []decision
}

// usual remembers what was computed of each site, because every page asks.
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
	if s, ok := u.sites[site]; ok {
		s.at, s.typic, s.live = time.Time{}, nil, nil
		u.sites[site] = s
	}
}

func (u *usual) get(site string, now time.Time) (siteUsual, uint64, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.sites[site]
	return s, u.number[site], !s.at.IsZero() && now.Sub(s.at).Abs() < usualAge
}

func (u *usual) put(site string, s siteUsual) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.number[site] != s.number { // something changed while it was computed
		s.at, s.typic, s.live = time.Time{}, nil, nil
	}
	if _, known := u.sites[site]; !known && len(u.sites) >= usualSites {
		for other := range u.sites { // any: it is read again when somebody asks
			delete(u.sites, other)
			break
		}
	}
	u.sites[site] = s
}

// siteUsual reads a site's latest requests.
func (a *Access) siteUsual(ctx context.Context, name string) (siteUsual, error) {
	now := a.now()
	known, number, fresh := a.usual.get(name, now)
	if fresh {
		return known, nil
	}
	s := siteUsual{at: now, typic: map[string]Typical{}, live: map[string][]record{}, number: number}
	var err error
	if s.decided, err = a.decisions(ctx, name, known.decided); err != nil {
		return siteUsual{}, err
	}
	took := map[string][]decision{}
	for _, d := range s.decided.all {
		took[d.asset] = append(took[d.asset], d)
		took[""] = append(took[""], d)
	}
	for r, err := range a.all(ctx, ofSite(name), liveOf) {
		if err != nil {
			return siteUsual{}, err
		}
		if !r.Session.Opened.IsZero() {
			s.live[r.doc.Asset] = append(s.live[r.doc.Asset], r)
		}
	}
	for asset, d := range took {
		s.typic[asset] = median(d)
	}
	a.usual.put(name, s)
	return s, nil
}

// decisions reads those that came after the known ones.
func (a *Access) decisions(ctx context.Context, site string, known decisions) (decisions, error) {
	names, limit, now := []string{ofSite(site) + decidedOf}, usualOf, decisions{}
	if known.head != "" {
		limit = usualNews
	}
	for after := ""; ; limit = usualOf {
		docs, next, err := a.list.Page(ctx, requestKind, names, after, limit)
		if err != nil {
			return decisions{}, err
		}
		for _, d := range docs {
			at := d.Cursor(names)
			if now.head == "" {
				now.head = at
			}
			if at == known.head {
				now.all = append(now.all, known.all...)
				now.all = slices.Clip(now.all[:min(len(now.all), usualOf)])
				return now, nil
			}
			r, err := readRecord(d)
			if err != nil {
				return decisions{}, err
			}
			if d, ok := r.decision(); ok {
				now.all = append(now.all, d)
			}
		}
		if after = next; after == "" || len(now.all) >= usualOf {
			now.all = now.all[:min(len(now.all), usualOf)]
			return now, nil
		}
	}
}

// decision is when the hospital answered a request for a scanner, and how long that took.
type decision struct {
	asset string
	at    time.Time
	took  time.Duration
}

func (r record) decision() (decision, bool) {
	at := r.Answer.Granted
	if at.IsZero() {
		at = r.Answer.Denied
	}
	return decision{strings.Clone(r.doc.Asset), at, max(at.Sub(r.Created), 0)}, !at.IsZero()
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
	return Typical{Median: int64((all[(n-1)/2].took + all[n/2].took) / 2 / time.Second), Decided: n}
}

// of is what is usual on a scanner, or else at its site.
func (s siteUsual) of(asset string) Typical {
	if t, ok := s.typic[asset]; ok {
		return t
	}
	return s.typic[""]
}

// decorate adds what the requests of their sites tell to scanners.
func (a *Access) decorate(ctx context.Context, c Caller, all []scanner) ([]Asset, error) {
	dressed := []Asset{}
	for _, x := range all {
		s, err := a.siteUsual(ctx, x.Site)
		if err != nil {
			return nil, err
		}
		v := x.view(a.now())
		v.Typical = s.of(x.Name)
		for _, r := range s.live[x.Name] {
			if r.seenBy(c) && r.sessionFacts().State(a.now()) != session.Ended {
				v.Live = append(v.Live, r.sessionID().Session())
			}
		}
		dressed = append(dressed, v)
	}
	return dressed, nil
}

// Context reads what a decision about a request should know: for the site's people.
// Its engineer learns how long a decision usually takes.
func (a *Access) Context(ctx context.Context, c Caller, id string) (Context, error) {
	r, err := a.load(ctx, c, id)
	if err != nil {
		return Context{}, err
	}
	s, err := a.siteUsual(ctx, r.doc.Site)
	if err != nil {
		return Context{}, err
	}
	x := Context{Typical: s.of(r.doc.Asset), Recent: []PastSession{}}
	if !c.At(r.doc.Site) || !c.Is(session.Approver) && !c.Is(session.Auditor) || c.Who().Identity == r.Engineer.Identity {
		return x, nil
	}
	x.Agent = r.Identity
	if x.Zone, err = a.Zone(ctx, r.doc.Site, r.doc.Asset); err != nil {
		return Context{}, err
	}
	err = a.history(ctx, r, &x)
	return x, err
}

// history adds what the engineer of a request did on its scanner before.
func (a *Access) history(ctx context.Context, of record, x *Context) error {
	on := onScanner(of.Engineer.Identity, of.doc.Site, of.doc.Asset)
	denied, _, err := a.list.Extent(ctx, requestKind, on+deniedOf)
	if err != nil {
		return err
	}
	opened, first, err := a.list.Extent(ctx, requestKind, on+sessionsOf)
	if err != nil {
		return err
	}
	x.Denied, x.Sessions = int(denied), int(opened)
	if !of.Answer.Denied.IsZero() && !of.extension() {
		x.Denied--
	}
	if !of.Session.Opened.IsZero() {
		x.Sessions--
	}
	if err := a.recent(ctx, of, on, x); err != nil {
		return err
	}
	if id, err := session.ParseText(first); err == nil && id != of.id {
		r, err := a.fetch(ctx, id)
		if err != nil {
			return err
		}
		x.Since = orNull(r.Session.Opened)
	}
	unreviewed := map[string]bool{}
	for d, err := range a.list.All(ctx, recordingKind, on+unreviewedOf) {
		if err != nil {
			return err
		}
		var v recording
		if err := json.Unmarshal(d.Body, &v); err != nil {
			return session.Errorf(session.Internal, "read recording %s: %w", d.ID, err)
		}
		unreviewed[v.Session] = true
	}
	x.Unreviewed = len(unreviewed)
	return nil
}

// recent adds the engineer's latest sessions on a scanner.
func (a *Access) recent(ctx context.Context, of record, on string, x *Context) error {
	docs, _, err := a.list.Page(ctx, requestKind, []string{on + sessionsOf}, "", maxRecent+1)
	if err != nil {
		return err
	}
	for _, d := range docs {
		r, err := readRecord(d)
		if err != nil {
			return err
		}
		if r.id == of.id || len(x.Recent) == maxRecent {
			continue
		}
		p := r.past(a.now())
		n, _, err := a.list.Extent(ctx, recordingKind, ofSession(r.sessionID())+reviewedOf)
		if err != nil {
			return err
		}
		p.Reviewed = n > 0 && n == int64(len(p.Recordings))
		x.Recent, x.Since = append(x.Recent, p), orNull(p.Opened)
	}
	return nil
}

// classOf is the class of the client that a token was made for, as its issuer's
// configuration says. It is for display: the agent decides by its own.
func (a *Access) classOf(token string) session.ClientClass {
	t, err := idtoken.Peek(token)
	if err != nil {
		return ""
	}
	for _, i := range a.issuer() {
		if class, ok := i.Clients[t.Audience]; ok && i.URL == t.Issuer {
			return class
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
