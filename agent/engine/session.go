package engine

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// liveSession is one grant while somebody is connected under it or its session
// lives. mu is never held across I/O.
type liveSession struct {
	e       *Engine
	id      session.ID
	request string
	asset   string
	class   session.Class
	person  session.Person
	gate    gate
	over    chan struct{} // closed at the end
	closed  chan struct{} // closed when the ledger knows, or failed once to be told

	freezing sync.Mutex // held while a freeze or thaw is written down and recorded
	judging  sync.Mutex // held from a look at the scanner's state to what that makes of the gate
	telling  sync.Mutex // held while a freeze or thaw is told; nothing waits below it

	mu    sync.Mutex
	state liveState
}

// liveState is what changes.
type liveState struct {
	conns      map[*Conn]struct{}
	countdown  countdown
	coming     []time.Duration      // warnings
	facts      session.SessionFacts // Opened is zero until the first device connection
	service    string               // of the first connection
	recordings []link.RecordingReport
	noDevice   *link.NoDevice        // why the last attempt to reach a device failed, or why it ended
	proofs     []session.Certificate // how consoles proved who they are, one of a service
	leaves     map[string]*leave     // to watch, by key
	watchers   []string              // who watches, as it was told last
	consent    *link.Consent         // with which it opened, in this process
	seq        uint64
	closeErr   error
}

// join makes a connection one of its ticket's session; mostly the first one makes that.
func (e *Engine) join(t *Ticket, c *Conn) (*liveSession, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return nil, errStopping()
	}
	if err := (part{t.Engineer.Identity, t.Asset}).fits(e.connected); err != nil {
		return nil, err
	}
	s, ok := e.sessions[t.ID]
	if !ok {
		s = e.newSession(Resumed{ID: t.ID, Request: t.Request, Asset: t.Asset, Class: t.Class, Engineer: t.Engineer}, liveState{countdown: countdown{t.NotAfter, e.clock.read()}})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.state.facts.Ended.IsZero():
		return nil, session.Errorf(session.Expired, "This session is over.").WithNext("Request access again.")
	case len(s.state.conns) >= maxConnections:
		return nil, session.Errorf(session.Refused, "This session has %d connections already.", maxConnections).WithNext("Close one of them first.")
	}
	s.state.conns[c] = struct{}{}
	return s, nil
}

// newSession begins to watch a session that stands so. It is called with e.mu held.
func (e *Engine) newSession(r Resumed, as liveState) *liveSession {
	as.conns, as.coming, as.leaves = map[*Conn]struct{}{}, warnings(), map[string]*leave{}
	s := &liveSession{
		e: e, id: r.ID, request: r.Request, asset: r.Asset, class: r.Class, person: r.Engineer,
		over: make(chan struct{}), closed: make(chan struct{}),
		state: as,
	}
	e.sessions[r.ID] = s
	e.work.Go(s.watch)
	return s
}

func (s *liveSession) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.state.conns)
}

// detach forgets a connection, and a session that nobody opened with its last one.
func (s *liveSession) detach(c *Conn) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.state.conns, c)
	if len(s.state.conns) == 0 {
		s.e.behindLocked(s.deserted)
	}
	if len(s.state.conns) == 0 && s.state.facts.Opened.IsZero() && s.state.facts.Ended.IsZero() {
		s.state.facts.Ended = s.e.cfg.Now()
		close(s.over)
		delete(s.e.sessions, s.id)
	}
}

// opened takes what the ledger says of the session's beginning.
func (s *liveSession) opened(facts session.SessionFacts, service string) error {
	s.mu.Lock()
	if !s.state.facts.Ended.IsZero() {
		s.mu.Unlock()
		return session.Errorf(session.Expired, "This session is over.").WithNext("Request access again.")
	}
	first := s.state.facts.Opened.IsZero()
	if first {
		s.state.facts.Opened, s.state.facts.Deadline = facts.Opened, facts.Deadline
		s.state.service = service
		s.state.countdown = countdown{facts.Deadline, s.e.clock.read()}
	}
	s.mu.Unlock()
	if first {
		s.report()
		s.e.busy()
	}
	return nil
}

// recording lists a recording that began.
func (s *liveSession) recording(r link.RecordingReport) {
	s.mu.Lock()
	s.state.recordings = append(s.state.recordings, r)
	s.mu.Unlock()
	s.report()
}

// dialled notes how the last attempt to reach a device went, or why the device ended it.
func (s *liveSession) dialled(no *link.NoDevice) {
	s.mu.Lock()
	news := no != nil || s.state.noDevice != nil
	s.state.noDevice = no
	s.mu.Unlock()
	if news {
		s.report()
	}
}

// proved notes how a console proved who it is, in place of what its service showed before.
func (s *liveSession) proved(c session.Certificate) {
	s.mu.Lock()
	news := !slices.Contains(s.state.proofs, c)
	if news {
		s.state.proofs = slices.DeleteFunc(s.state.proofs, func(x session.Certificate) bool { return x.Service == c.Service })
		s.state.proofs = append(s.state.proofs, c)
	}
	s.mu.Unlock()
	if news {
		s.report()
	}
}

// end ends the session once: the gate first, the device connections next, words and
// the ledger after. It reports whether this call was the one.
func (s *liveSession) end(reason session.EndReason) bool {
	return s.endSaying(reason, wording.Farewell(reason))
}

func (s *liveSession) endSaying(reason session.EndReason, words string) bool {
	s.mu.Lock()
	if !s.state.facts.Ended.IsZero() {
		s.mu.Unlock()
		return false
	}
	s.gate.shut()
	s.e.sections.end(s)
	s.state.facts.Ended, s.state.facts.Reason = s.endedAt(reason), reason
	conns := slices.Collect(maps.Keys(s.state.conns))
	s.mu.Unlock()
	for _, c := range conns {
		c.Stop(reason, words)
	}
	close(s.over)
	return true
}

// endedAt is when a session that ends now was over. Where nobody was connected it was
// over at its deadline, however much later an agent that was away finds that out. It
// is called with s.mu held.
func (s *liveSession) endedAt(reason session.EndReason) time.Time {
	now, deadline := s.e.cfg.Now(), s.state.facts.Deadline
	if reason == session.OutOfTime && len(s.state.conns) == 0 && !deadline.IsZero() && deadline.Before(now) {
		return deadline
	}
	return now
}

// ending reports whether the session was told to end.
func (s *liveSession) ending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.facts.Reason != ""
}

// watch ends the session in time, warns before, and closes it in the ledger after.
func (s *liveSession) watch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.e.stop:
			s.dismiss(session.AgentLost)
			if s.ending() { // a kill that came first still counts after the restart
				<-s.over
				s.close()
			}
			return
		case <-s.over:
			s.mu.Lock()
			reason := s.state.facts.Reason
			s.mu.Unlock()
			s.dismiss(reason)
			s.close()
			return
		case <-timer.C:
		}
		critical := s.pastSection()
		left, live := s.left()
		left = max(left, critical)
		switch {
		case left <= 0:
			s.end(session.OutOfTime)
			continue
		case live && s.e.linkLost():
			s.end(session.LinkLost)
			continue
		}
		if live {
			s.warn()
			s.dropIdle()
			s.unsee()
		}
		if critical > 0 {
			left = min(left, critical)
		}
		timer.Reset(min(left, watchEvery))
	}
}

func (s *liveSession) left() (left time.Duration, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.countdown.left(s.e.clock.read()), !s.state.facts.Opened.IsZero()
}

// warn tells every connection once when a warning falls due. A warning that was due
// before the session was that long is dropped.
func (s *liveSession) warn() {
	s.mu.Lock()
	due := s.state.due(s.state.countdown.left(s.e.clock.read()))
	s.mu.Unlock()
	for _, d := range due {
		for _, c := range s.connected() {
			c.noteSoon(session.Note{Kind: session.NoteWarning, Left: int(d.Seconds()), Text: warning(d)})
		}
		s.tell(attach.Notice{Type: attach.NoticeWarning, LeftSeconds: int(d.Seconds()), Text: warning(d)})
	}
}

// due takes the warnings that fall due when so much is left.
func (st *liveState) due(left time.Duration) []time.Duration {
	var due []time.Duration
	for len(st.coming) > 0 && left <= st.coming[0] {
		if left > st.coming[0]-time.Minute/2 {
			due = append(due, st.coming[0])
		}
		st.coming = st.coming[1:]
	}
	return due
}

// close writes the end down, as often as it takes, and tells the broker.
func (s *liveSession) close() {
	s.mu.Lock()
	facts := s.state.facts
	s.mu.Unlock()
	if facts.Reason == "" { // nobody opened it
		close(s.closed)
		return
	}
	err := s.e.cfg.Tickets.End(s.id, facts.Reason, facts.Ended)
	s.mu.Lock()
	s.state.closeErr = err
	s.mu.Unlock()
	close(s.closed)
	if !facts.Opened.IsZero() {
		s.report()
		s.e.busy()
	}
	s.e.cfg.Log.Info("session ended", "session", s.id.Session(), "reason", string(facts.Reason), "err", err)
	for err != nil {
		select {
		case <-s.e.stop:
			return
		case <-time.After(retryEvery):
			err = s.e.cfg.Tickets.End(s.id, facts.Reason, facts.Ended)
		}
	}
	s.e.forget(s)
}

// forget drops a session that the ledger has closed: from now on the ledger refuses it.
func (e *Engine) forget(s *liveSession) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sessions[s.id] == s {
		delete(e.sessions, s.id)
	}
}

// busy tells how many sessions live.
func (e *Engine) busy() { e.cfg.Busy(len(e.Live())) }

// report tells the broker how the session stands. Seq grows over restarts too,
// because it follows the clock.
func (s *liveSession) report() {
	critical, deadline := s.critical(), s.deadline()
	s.mu.Lock()
	st := &s.state
	st.seq = max(st.seq+1, uint64(max(0, s.e.cfg.Now().UnixMicro())))
	r := link.SessionReport{
		Session: s.id.Session(), Request: s.request, Seq: st.seq, Asset: s.asset, Service: st.service,
		Opened: st.facts.Opened, Deadline: deadline, Ended: st.facts.Ended, Reason: st.facts.Reason,
		Recordings: slices.Clone(st.recordings), Frozen: s.gate.frozen(),
		NoDevice: s.state.noDevice, Certificates: slices.Clone(s.state.proofs), Critical: critical, Consent: s.state.consent,
	}
	s.mu.Unlock()
	s.e.cfg.Report(r)
}
