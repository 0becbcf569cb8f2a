package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// Ticket is the right to open connections under an admitted grant. Only a Ledger
// makes one; the zero value is refused by everything that takes a Ticket.
type Ticket struct {
	grant   grant.Verified
	consent session.Consented
}

// Consent is the operator's, with which the session was opened or is to be.
func (t Ticket) Consent() session.Consented { return t.consent }

// WithConsent is the ticket with the consent that Begin writes down.
func (t Ticket) WithConsent(c session.Consented) Ticket {
	t.consent = c
	return t
}

// Valid reports whether a Ledger made t.
func (t Ticket) Valid() bool { return t.grant.Valid() }

// Grant is what the ticket stands on.
func (t Ticket) Grant() grant.Verified { return t.grant }

// ID is the grant's id and the session's.
func (t Ticket) ID() session.ID {
	id, _ := session.ParseText(t.grant.Grant().GID)
	return id
}

// Covers reports whether the ticket opens a service of an asset.
func (t Ticket) Covers(asset, service string) bool { return t.grant.Covers(asset, service) }

// Allows reports whether the ticket lets bytes pass in a channel.
func (t Ticket) Allows(c session.Channel) bool { return t.grant.Allows(c) }

// Ticket returns the ticket of a grant that was admitted and is not closed, whatever
// the time.
func (l *Ledger) Ticket(gid session.ID) (Ticket, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.findGrant(gid)
	if err != nil {
		return Ticket{}, err
	}
	if e.shut || e.rec.State == closed {
		return Ticket{}, e.over()
	}
	return e.ticket, nil
}

// ByKeyFor finds the admitted ticket that a public key line (authorized_keys form,
// no comment) may open at now, among the requests that name a service of an asset:
// people use one key for several. Errors are *session.Error: Denied for an unknown
// key, Expired for a grant whose time is over or closed, Refused when it is early
// or wants an activation.
func (l *Ledger) ByKeyFor(line, asset, service string, now time.Time) (Ticket, error) {
	t, err := l.byKey(line, now, func(e *entry) bool {
		return e.request.Asset == asset && slices.Contains(e.request.Services, service)
	})
	if session.KindOf(err) == session.Denied && l.knows(line) {
		return t, denied("No grant of this key opens "+service+" of "+asset+".", "Request that service with sallyport request new.")
	}
	return t, err
}

func (l *Ledger) knows(line string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.keys[line]) > 0
}

// byKey prefers what can be opened, then the newest.
func (l *Ledger) byKey(line string, now time.Time, fits func(*entry) bool) (Ticket, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := denied("This key belongs to no request that this agent knows.", "Ask for access first.")
	rids := l.keys[line]
	for i := len(rids) - 1; i >= 0; i-- {
		e := l.entries[rids[i]]
		if !fits(e) {
			continue
		}
		problem := l.openable(e, now)
		if problem == nil {
			return e.ticket, nil
		}
		// A door that opens later says more than one that is shut.
		if session.KindOf(err) == session.Denied || session.KindOf(err) == session.Expired && session.KindOf(problem) == session.Refused {
			err = problem
		}
	}
	return Ticket{}, err
}

// Facts is what happened to a grant's session; false for a grant that was never
// admitted here.
func (l *Ledger) Facts(id session.ID) (session.SessionFacts, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rid, ok := l.grants[id]
	if !ok {
		return session.SessionFacts{}, false
	}
	return l.entries[rid].facts(), true
}

// Entry is one request as status pages and reports need it.
type Entry struct {
	Request   session.ID
	Session   session.ID // zero until admitted
	Asset     string
	Services  []string
	Class     session.Class // that was asked for; that was granted, once it was
	Engineer  session.Person
	Received  time.Time
	Approvers []session.Person // so far
	Facts     session.RequestFacts
	Status    session.Status // derived at now
	Seq       uint64         // of the last report
	Keys      int            // that may open connections
	Frozen    []string       // causes
	Kind      string         // of the request: session or extension
	Why       Why
}

// Why is what an engineer signed of the reason, and of what for.
type Why struct {
	Reason, WorkOrder string
	Class             session.Class       // the grant's, once there is one
	Channels          []session.Channel   // likewise
	Longest           time.Duration       // the session's, likewise
	Critical          time.Duration       // of critical sections in all, likewise
	Begins            time.Time           // from when on it was asked for
	Client            session.ClientClass // in which kind of program they signed
}

func (e *entry) why() Why {
	w := Why{Reason: e.request.Reason, WorkOrder: e.request.Ref, Class: e.request.Class, Channels: slices.Clone(e.request.Channels), Longest: time.Duration(e.request.MaxS) * time.Second, Critical: time.Duration(e.request.Crit) * time.Second,
		Begins: time.Unix(e.request.NBF, 0).UTC(), Client: e.rec.Engineer.Client}
	if e.admitted() {
		w.Class, w.Channels, w.Longest = e.granted.Class, slices.Clone(e.granted.Channels), time.Duration(e.granted.MaxS)*time.Second
		w.Critical = time.Duration(e.granted.Crit) * time.Second
	}
	return w
}

// Entries lists everything that is known, newest first.
func (l *Ledger) Entries(now time.Time) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Entry, 0, len(l.entries))
	for _, e := range l.entries {
		all = append(all, e.view(now))
	}
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(b.Received.Compare(a.Received), cmp.Compare(a.Request.Text(), b.Request.Text()))
	})
	return all
}

func (e *entry) view(now time.Time) Entry {
	f := session.RequestFacts{NotAfter: time.Unix(e.request.EXP, 0).UTC(), Granted: e.rec.Admitted}
	switch {
	case e.admitted():
		f.Session = e.facts()
		f.NotAfter = e.end().UTC()
	case e.rec.State == closed:
		f.Withdrawn = e.rec.Closed
	}
	usable := len(e.keys())
	if e.shut || !e.admitted() {
		usable = 0
	}
	services, class := e.request.Services, e.request.Class
	if e.admitted() {
		services, class = e.granted.Services, e.granted.Class
	}
	var approvers []session.Person
	for _, a := range e.rec.Approvals {
		approvers = append(approvers, a.Person)
	}
	return Entry{
		Request: e.rid, Session: e.gid, Asset: e.request.Asset, Services: slices.Clone(services), Class: class,
		Engineer: e.rec.Engineer.Person, Received: e.rec.Engineer.Received, Approvers: approvers,
		Facts: f, Status: f.Status(now), Seq: e.rec.Seq,
		Frozen: slices.Clone(e.rec.Frozen), Kind: e.request.Kind, Keys: usable, Why: e.why(),
	}
}
