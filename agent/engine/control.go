package engine

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// LiveSession is a session as the agent's own console shows it.
type LiveSession struct {
	ID          session.ID
	Request     string
	Asset       string
	Service     string // of the first connection
	Engineer    session.Person
	Opened      time.Time
	Deadline    time.Time
	Connections int
	Recordings  []link.RecordingReport
	Frozen      []string // causes
	Critical    *link.Critical
}

// Live lists the sessions that were opened and have not ended, oldest first.
func (e *Engine) Live() []LiveSession {
	var out []LiveSession
	for _, s := range e.all() {
		critical, deadline := s.critical(), s.deadline()
		s.mu.Lock()
		if f := s.state.facts; !f.Opened.IsZero() && f.Ended.IsZero() {
			out = append(out, LiveSession{
				ID: s.id, Request: s.request, Asset: s.asset, Service: s.state.service, Engineer: s.person,
				Opened: f.Opened, Deadline: deadline, Critical: critical, Connections: len(s.state.conns),
				Recordings: slices.Clone(s.state.recordings), Frozen: s.gate.frozen(),
			})
		}
		s.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b LiveSession) int {
		return cmp.Or(a.Opened.Compare(b.Opened), slices.Compare(a.ID[:], b.ID[:]))
	})
	return out
}

func (e *Engine) all() []*liveSession {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Values(e.sessions))
}

// End ends a session, or closes a grant that nobody opened. The device connections
// are closed first and without waiting for anything; then the ledger is told, and
// its error returned. by says who did it, for the log.
func (e *Engine) End(id session.ID, reason session.EndReason, by string) error {
	s := e.session(id)
	e.cfg.Log.Info("end session", "session", id.Session(), "reason", string(reason), "user", wording.Line(by, 200))
	e.unask(func(t *Ticket) bool { return t.ID == id })
	var err error
	if s != nil {
		s.end(reason)
		s.gate.settle(cutTime)
		err = e.settled(s, reason)
	} else {
		err = e.cfg.Tickets.End(id, reason, e.cfg.Now())
	}
	// The ledger lets nothing begin from here on; what began just before goes as well.
	if late := e.session(id); late != nil && late != s {
		late.end(reason)
		err = errors.Join(err, e.settled(late, reason))
	}
	return err
}

func (e *Engine) session(id session.ID) *liveSession {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sessions[id]
}

// settled waits until the ledger was told of a session's end. One that was dropped
// without ever being opened is told now.
func (e *Engine) settled(s *liveSession, reason session.EndReason) error {
	select {
	case <-s.closed:
	case <-e.stop:
		// Whoever watched the session may be gone already. The ledger takes an end twice.
		return e.cfg.Tickets.End(s.id, reason, e.cfg.Now())
	}
	if s.never() {
		return e.cfg.Tickets.End(s.id, reason, e.cfg.Now())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.closeErr
}

// never reports whether a session was dropped without ever being opened or ended.
func (s *liveSession) never() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.facts.Reason == ""
}

// EndWhere ends every session that covers names, also one whose device nobody has
// reached yet, and returns their ids. All connections are cut first; then the ledger is
// waited for.
func (e *Engine) EndWhere(covers func(asset string, who session.Person) bool, reason session.EndReason, by string) ([]session.ID, error) {
	e.unask(func(t *Ticket) bool { return covers(t.Asset, t.Engineer) })
	var ended []*liveSession
	for _, s := range e.all() {
		if covers(s.asset, s.person) && s.end(reason) {
			ended = append(ended, s)
		}
	}
	var ids []session.ID
	var errs []error
	until := time.Now().Add(cutTime)
	for _, s := range ended {
		s.gate.settle(time.Until(until))
		ids = append(ids, s.id)
		e.cfg.Log.Info("end session", "session", s.id.Session(), "reason", string(reason), "user", wording.Line(by, 200))
		errs = append(errs, e.settled(s, reason))
	}
	return ids, errors.Join(errs...)
}

// LinkState says whether the broker can be reached, and since when. When it has been
// away for 60 s, live sessions end.
func (e *Engine) LinkState(up bool, since time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case up:
		e.linkDown = time.Time{}
	case e.linkDown.IsZero():
		// From here on our own monotonic clock counts, whatever the wall clock does.
		away := e.cfg.Now().Sub(since)
		e.linkDown = time.Now().Add(-min(max(away, 0), linkGrace))
	}
}

func (e *Engine) linkLost() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.linkDown.IsZero() && time.Since(e.linkDown) >= linkGrace
}

// Resumed is a session that was live when the agent last stopped.
type Resumed struct {
	ID         session.ID
	Request    string // R-...
	Asset      string
	Service    string
	Class      session.Class
	Engineer   session.Person
	Facts      session.SessionFacts
	Recordings []link.RecordingReport
	Frozen     []string // causes that were set and not lifted
}

// Resume takes up the sessions that the ledger holds open, so that each ends at its
// deadline and its end is reported, also if nobody connects again. Call it once,
// before any connection is served.
func (e *Engine) Resume(open []Resumed) {
	for _, r := range open {
		if r.Facts.Opened.IsZero() || !r.Facts.Ended.IsZero() {
			continue
		}
		e.mu.Lock()
		if _, there := e.sessions[r.ID]; there || e.closing {
			e.mu.Unlock()
			continue
		}
		s := e.newSession(r, liveState{
			countdown: countdown{r.Facts.Deadline, e.clock.read()}, service: r.Service, recordings: slices.Clone(r.Recordings),
			facts: session.SessionFacts{Opened: r.Facts.Opened, Deadline: r.Facts.Deadline},
		})
		for _, cause := range r.Frozen {
			s.gate.freeze(cause)
		}
		e.mu.Unlock()
		s.hold()
		s.report()
	}
	e.busy()
}
