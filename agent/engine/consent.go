package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// The operator's consent. A session whose asset asks for it reaches no device before it:
//
//	Ask ──▶ asked ──accept, or the code──▶ given ──Begin──▶ opened, which the ledger keeps
//	          │                              │ nobody opens for a minute
//	          └─refuse, time, wrong codes────┴──▶ nothing; another Ask begins anew
//
// One asking is of one session, however many connections wait for it. It is over when none
// does. What was opened asks nothing more, over freezes and restarts.
type consents struct {
	mu sync.Mutex // guards what follows; never held across I/O
	of map[session.ID]*consent
}

// consent is what an agent remembers of a grant that was asked about.
type consent struct {
	asking *asking // that is going on
	given  session.Consented
	asked  int          // askings, ever
	wrong  int          // codes, ever
	failed int          // askings that ended without consent
	told   link.Consent // what the broker knows: the last asking, and what came of it
	seq    uint64       // of that
	until  time.Time    // when the grant is over, and this forgotten
}

// asking is one question to the operator.
type asking struct {
	t       *Ticket
	kind    session.Consent
	service string
	since   time.Time
	until   time.Time
	code    string // six digits
	waiting int    // connections
	timer   *time.Timer
	over    chan struct{} // closed with the answer
	err     error         // why there is no consent
}

// Question is an asking, as one connection waits for its answer. Who asked leaves.
type Question struct {
	Kind  session.Consent
	Asset string
	Until time.Time
	e     *Engine
	a     *asking
	left  sync.Once
}

// Asked is an asking as the operator sees it.
type Asked struct {
	ID       session.ID
	Request  string
	Asset    string
	Service  string
	Engineer session.Person
	Kind     session.Consent
	Code     string // empty where the engineer is asked for none
	Since    time.Time
	Until    time.Time
}

// Asks is what the operator has to be asked before a ticket's session opens.
func (e *Engine) Asks(t *Ticket) session.Consent {
	kind := e.cfg.Consent(t.Asset)
	if !kind.Asked() || !t.Consent.IsZero() {
		return session.ConsentNone
	}
	if s := e.session(t.ID); s != nil && s.isOpen() {
		return session.ConsentNone
	}
	return kind
}

// Ask asks the operator whether a session may open, or joins who asks already; nil: nobody
// has to be asked.
func (e *Engine) Ask(t *Ticket, service string) (*Question, error) {
	kind := e.Asks(t)
	if !kind.Asked() {
		return nil, nil
	}
	q, had, err := e.begin(t, kind, service, e.cfg.Tries.Tries(t.ID))
	if err != nil || q == nil || had == (session.Tries{}) {
		return q, err
	}
	if err := e.cfg.Tries.KeepTries(t.ID, had); err != nil {
		e.answer(t.ID, q.a, outcome{what: session.ConsentGone, err: untold(err)})
		return nil, untold(err)
	}
	return q, nil
}

// begin makes an asking, or joins one. had is what is to be written down of one that is new,
// before anything comes of it; known is what was.
func (e *Engine) begin(t *Ticket, kind session.Consent, service string, known session.Tries) (q *Question, had session.Tries, err error) {
	now := e.cfg.Now()
	e.consents.mu.Lock()
	defer e.consents.mu.Unlock()
	c := e.consents.grant(t, now)
	c.asked, c.wrong = max(c.asked, known.Asked), max(c.wrong, known.Wrong)
	if c.asking == nil {
		if now.Sub(c.given.At) <= givenTime && !now.Before(c.given.At) {
			return nil, had, nil
		}
		if err := e.consents.room(t, c); err != nil {
			return nil, had, err
		}
		code, err := newCode()
		if err != nil {
			return nil, had, err
		}
		a := &asking{t: t, kind: kind, service: service, since: now, until: now.Add(e.cfg.Asking), code: code, over: make(chan struct{})}
		a.timer = time.AfterFunc(e.cfg.Asking, func() { e.answer(t.ID, a, outcome{what: session.ConsentLate, err: errNoAnswer(t.Asset)}) })
		c.asking, c.given, c.asked = a, session.Consented{}, c.asked+1
		c.told = link.Consent{Kind: kind, Service: service, Since: now.UTC(), Until: a.until.UTC(), Wrong: min(c.wrong, link.MaxWrong)}
		had = session.Tries{Asked: c.asked, Wrong: c.wrong}
		e.tellConsent(t, c)
		e.cfg.Log.Info("consent asked", "session", t.ID.Session(), "asset", t.Asset, "service", service, "kind", string(kind))
	}
	c.asking.waiting++
	return &Question{Kind: kind, Asset: t.Asset, Until: c.asking.until, e: e, a: c.asking}, had, nil
}

// grant is what is remembered of a ticket's grant. It is called with mu held.
func (cs *consents) grant(t *Ticket, now time.Time) *consent {
	for id, c := range cs.of {
		if now.After(c.until) && c.asking == nil {
			delete(cs.of, id)
		}
	}
	c, ok := cs.of[t.ID]
	if !ok {
		c = &consent{until: t.NotAfter}
		cs.of[t.ID] = c
	}
	return c
}

// room refuses one asking too many: of one grant ever, of one engineer, of one vendor, at one
// asset and of all at a time.
func (cs *consents) room(t *Ticket, of *consent) error {
	all, theirs, vendors, assets := 0, 0, 0, 0
	for _, c := range cs.of {
		if c.asking == nil {
			continue
		}
		all++
		of := c.asking.t
		theirs += count(of.Engineer.Identity == t.Engineer.Identity)
		vendors += count(of.Engineer.Iss == t.Engineer.Iss)
		assets += count(of.Asset == t.Asset)
	}
	switch {
	case of.failed >= maxAskings || of.asked >= maxAskingsEver || of.wrong >= maxAskings*maxWrong:
		return session.Errorf(session.Refused, "The operator at %s was asked %d times and has not let this session open.", t.Asset, max(of.failed, of.asked)).
			WithNext("Call the hospital, and request access again.")
	case theirs >= maxAskingEach || vendors >= maxAsking/2 || assets >= maxAsking/4 || all >= maxAsking:
		return session.Errorf(session.Refused, "The operators are asked about other sessions already.").WithNext("Connect again when they have answered.")
	}
	return nil
}

func count(one bool) int {
	if one {
		return 1
	}
	return 0
}

func newCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%06d", n), nil
}

// answer ends an asking, unless it is over.
func (e *Engine) answer(id session.ID, a *asking, o outcome) bool {
	e.consents.mu.Lock()
	defer e.consents.mu.Unlock()
	return e.settle(id, a, o)
}

// outcome is what came of an asking: a consent, or why there is none.
type outcome struct {
	what session.Outcome
	by   session.Consented // who answered, if anybody did
	err  error             // why there is no consent
}

// settle is answer with mu held.
func (e *Engine) settle(id session.ID, a *asking, o outcome) bool {
	c := e.consents.of[id]
	if c == nil || c.asking != a {
		return false
	}
	a.timer.Stop()
	a.err, c.asking = o.err, nil
	c.told.Outcome, c.told.Answer = o.what, o.by
	if o.what == session.ConsentGiven {
		c.given = o.by
	} else if o.what != session.ConsentGone {
		c.failed++
	}
	close(a.over)
	e.tellConsent(a.t, c)
	return true
}

// Answered is closed when the operator has answered, or nobody waits for that any more.
func (q *Question) Answered() <-chan struct{} { return q.a.over }

// Answer is nil where the session may open; ask only when Answered.
func (q *Question) Answer() error {
	<-q.a.over
	return q.a.err
}

// Leave ends an asking for which nobody waits.
func (q *Question) Leave() {
	q.left.Do(func() {
		cs := &q.e.consents
		cs.mu.Lock()
		defer cs.mu.Unlock()
		if q.a.waiting--; q.a.waiting == 0 {
			q.e.settle(q.a.t.ID, q.a, outcome{what: session.ConsentGone, err: ErrOver})
		}
	})
}

// Try is a code that the engineer typed. The right one answers; the third wrong one ends
// the asking. Nothing at all is no try. A wrong one is on disk before they hear of it.
func (q *Question) Try(typed string) error {
	had, err := q.try(strings.NewReplacer(" ", "", "-", "").Replace(strings.TrimSpace(typed)))
	if had == (session.Tries{}) {
		return err
	}
	if no := q.e.cfg.Tries.KeepTries(q.a.t.ID, had); no != nil {
		q.e.answer(q.a.t.ID, q.a, outcome{what: session.ConsentGone, err: untold(no)})
		return untold(no)
	}
	return err
}

// try returns what is to be written down of a wrong code.
func (q *Question) try(typed string) (had session.Tries, err error) {
	cs := &q.e.consents
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.of[q.a.t.ID]
	switch {
	case c == nil || c.asking != q.a:
		return had, q.a.err
	case q.Kind != session.ConsentCode:
		return had, session.Errorf(session.Refused, "No code is asked for here: the operator at %s has to accept.", q.Asset)
	case typed == "":
		return had, session.Errorf(session.Invalid, "The operator at %s has not answered yet.", q.Asset).WithNext("Type the code that they read out.")
	case subtle.ConstantTimeCompare([]byte(typed), []byte(q.a.code)) == 1:
		q.e.settle(q.a.t.ID, q.a, outcome{what: session.ConsentGiven, by: session.Consented{By: "the operator at the scanner", How: session.ByCode, At: q.e.cfg.Now()}})
		q.e.cfg.Log.Info("consent given", "session", q.a.t.ID.Session(), "how", string(session.ByCode))
		return had, nil
	}
	c.wrong++
	c.told.Wrong = min(c.wrong, link.MaxWrong)
	had = session.Tries{Asked: c.asked, Wrong: c.wrong}
	q.e.cfg.Log.Warn("wrong consent code", "session", q.a.t.ID.Session(), "wrong", c.wrong)
	if c.wrong%maxWrong == 0 {
		q.e.settle(q.a.t.ID, q.a, outcome{what: session.ConsentWrong, err: session.Errorf(session.Refused, "That was not the code, for the third time: it counts no more.").
			WithNext("Connect again, and ask the operator for the new one.")})
		return had, q.a.err
	}
	q.e.tellConsent(q.a.t, c)
	return had, session.Errorf(session.Invalid, "That is not the code.").WithNext("Ask the operator at " + q.Asset + " to read it out again.")
}

// Asked lists what the operators are asked, the oldest first.
func (e *Engine) Asked() []Asked {
	e.consents.mu.Lock()
	defer e.consents.mu.Unlock()
	var all []Asked
	for id, c := range e.consents.of {
		if a := c.asking; a != nil {
			asked := Asked{ID: id, Request: a.t.Request, Asset: a.t.Asset, Service: a.service, Engineer: a.t.Engineer, Kind: a.kind, Since: a.since, Until: a.until}
			if a.kind == session.ConsentCode {
				asked.Code = a.code
			}
			all = append(all, asked)
		}
	}
	slices.SortFunc(all, func(a, b Asked) int {
		return cmp.Or(a.Since.Compare(b.Since), slices.Compare(a.ID[:], b.ID[:]))
	})
	return all
}

// Consent is the operator's answer about a session: that it may open, or not. by says who.
func (e *Engine) Consent(id session.ID, accept bool, how session.Means, by string) error {
	e.consents.mu.Lock()
	defer e.consents.mu.Unlock()
	c := e.consents.of[id]
	if c == nil || c.asking == nil {
		return session.Errorf(session.Invalid, "Nobody waits for an answer about %s.", id.Session()).WithNext("See who does with sallyport-agent consent ls.")
	}
	o := outcome{what: session.ConsentGiven, by: session.Consented{By: wording.Line(by, maxName), How: how, At: e.cfg.Now()}}
	if !accept {
		o.what = session.ConsentNot
		o.err = session.Errorf(session.Denied, "The operator at %s refused.", c.asking.t.Asset).WithNext("Call the hospital before you ask again.")
	}
	e.settle(id, c.asking, o)
	e.cfg.Log.Info("consent answered", "session", id.Session(), "accept", accept, "how", string(how), "user", wording.Line(by, 200))
	return nil
}

// unask ends what is asked about sessions that are over.
func (e *Engine) unask(covers func(*Ticket) bool) {
	e.consents.mu.Lock()
	defer e.consents.mu.Unlock()
	for id, c := range e.consents.of {
		if c.asking != nil && covers(c.asking.t) {
			e.settle(id, c.asking, outcome{what: session.ConsentGone, err: session.Errorf(session.Expired, "This session is over.").WithNext("Request access again.")})
		}
		if c.asking == nil && covers(&Ticket{ID: id}) {
			c.given = session.Consented{}
		}
	}
}

// consented waits for the operator's consent where the session has to have it, and returns
// the ticket with it. The consent that was given is used up.
func (c *Conn) consented(ctx context.Context, t *Ticket) (*Ticket, error) {
	for c.e.Asks(t).Asked() {
		if given, ok := c.e.given(t); ok {
			with := *t
			with.Consent = given
			return &with, nil
		}
		q, err := c.e.Ask(t, c.visit.Service)
		if err != nil {
			return nil, err
		}
		if q == nil {
			continue
		}
		if err := c.wait(ctx, q); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (c *Conn) wait(ctx context.Context, q *Question) error {
	defer q.Leave()
	select {
	case <-q.Answered():
		return q.Answer()
	case <-ctx.Done():
		return ErrOver
	}
}

// given is a consent that was just given for a ticket's session.
func (e *Engine) given(t *Ticket) (session.Consented, bool) {
	e.consents.mu.Lock()
	defer e.consents.mu.Unlock()
	c := e.consents.of[t.ID]
	if c == nil || c.given.IsZero() {
		return session.Consented{}, false
	}
	age := e.cfg.Now().Sub(c.given.At)
	return c.given, age >= 0 && age <= givenTime
}

// beganWith forgets what was asked about a session that the ledger holds open.
func (e *Engine) beganWith(id session.ID) {
	e.consents.mu.Lock()
	defer e.consents.mu.Unlock()
	delete(e.consents.of, id)
}

func errNoAnswer(asset string) error {
	return session.Errorf(session.Expired, "The operator at %s has not answered.", asset).WithNext("Call the hospital, and connect again.")
}
