package engine

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// A critical section is a time in which a session must not be cut off because the scanner
// came into another state: firmware is being written, and half of it is worse than a
// patient who waits for a minute. The interlock then raises an alarm in place of the
// freeze, and freezes everything else of the scanner. What a person freezes or ends is
// frozen or ended, as ever, and so it is where a key switch shuts the scanner off.
//
//	none ─declare─▶ on ─the state no longer allows the class─▶ alarm
//	  ▲              └────── its time, its engineer, or its last connection ──────┘
//	  └───────────────────── the interlock takes effect at once ──────────────────┘
//
// It covers the connections that its session has when it is declared: on the whole scanner
// nothing opens until it is over. It lives in this process alone.

// Criticals is where critical sections are written down, against what was granted. Tickets
// that are none keep no sections, so there are none.
type Criticals interface {
	// Critical begins one and says when it ends, which may be after the session's deadline.
	Critical(id session.ID, length time.Duration, why string, now time.Time) (until time.Time, err error)
	// CriticalOver ends it.
	CriticalOver(id session.ID, now time.Time) error
}

// section is a critical section that is on.
type section struct {
	of    *liveSession
	key   string // that declared it
	why   string
	began time.Time
	until countdown
	alarm bool // the state of the scanner would freeze it

	coming []time.Duration // warnings of its end
}

// sections are those that are on, one of a scanner at most.
type sections struct {
	mu  sync.Mutex // nothing is waited for, and no other lock taken, while it is held
	all map[string]*section
}

// at is the section of a scanner; its zero value has no session.
func (x *sections) at(asset string) section {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := x.all[asset]; c != nil {
		return *c
	}
	return section{}
}

// of is the section that a session has on.
func (x *sections) of(s *liveSession) (section, bool) {
	c := x.at(s.asset)
	return c, c.of == s
}

// stops reports whether the alarm of another session stops this one.
func (x *sections) stops(s *liveSession) bool {
	c := x.at(s.asset)
	return c.alarm && c.of != s
}

// begin makes a section the scanner's, unless there is one.
func (x *sections) begin(asset string, c section) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.all[asset] != nil {
		return false
	}
	if x.all == nil {
		x.all = map[string]*section{}
	}
	x.all[asset] = &c
	return true
}

// ring says whether the state of the scanner would freeze the section; changed when that
// is news.
func (x *sections) ring(s *liveSession, alarm bool) (changed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.all[s.asset]
	if c == nil || c.of != s {
		return false
	}
	changed, c.alarm = c.alarm != alarm, alarm
	return changed
}

// due takes the warnings that fall due when a section has so much left.
func (x *sections) due(s *liveSession, left time.Duration) []time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.all[s.asset]
	if c == nil || c.of != s {
		return nil
	}
	st := liveState{coming: c.coming}
	due := st.due(left)
	c.coming = st.coming
	return due
}

func (x *sections) end(s *liveSession) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := x.all[s.asset]; c == nil || c.of != s {
		return false
	}
	delete(x.all, s.asset)
	return true
}

// spared reports whether the state of the scanner is to leave a session alone. A person's
// key switch is none of it.
func (s *liveSession) spared(m Modality) bool {
	_, on := s.e.sections.of(s)
	return on && m.Shut == ""
}

// declared does what a proof for a critical section asks, and answers in words. What is
// asked stands below the signature, over a challenge that is used once: whoever carries it,
// a broker with a browser's, can neither say it, nor change it, nor say it again.
func (e *Engine) declared(v Visit, b Browser) error {
	ask, err := attach.ParseCritical(b.Proof.Opening)
	if err != nil {
		return session.Errorf(session.Invalid, "The agent cannot read what is asked of the critical section.").WithNext("Bring sallyport up to date.")
	}
	id, err := session.ParseSessionID(b.Proof.Session)
	if err != nil {
		return err
	}
	var words string
	if ask.End {
		words, err = e.CriticalOver(id, b.Proof.Key)
	} else if b.Ticket, err = e.operating(b.Proof, v); err == nil {
		words, err = e.Critical(b.Ticket, b.Proof.Key, time.Duration(ask.Seconds)*time.Second, ask.Why)
	}
	if err != nil {
		return err
	}
	return answer(b.Conn, words)
}

// answer says one sentence, and how a program knows that it is the last.
func answer(nc net.Conn, words string) error {
	frame, err := attach.AppendJSON(nil, attach.Agent, attach.TypeNotice, attach.Notice{Type: attach.NoticeSaid, Text: words})
	if err == nil {
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, err = nc.Write(frame)
	}
	return err
}

// Critical begins a critical section for whoever proved a key of the session's ticket.
func (e *Engine) Critical(t *Ticket, key string, length time.Duration, why string) (words string, err error) {
	s, err := e.one(t.ID)
	if err != nil {
		return "", err
	}
	kept, ok := e.cfg.Tickets.(Criticals)
	if !ok || t.Class != session.Disruptive {
		return "", session.Errorf(session.Denied, "A session of class %s has no critical section: only disruptive work does.", t.Class).WithNext("Ask for a session of that class, with --critical.")
	}
	if err := s.mayBegin(); err != nil {
		return "", err
	}
	now := e.cfg.Now()
	until, err := kept.Critical(s.id, length, why, now)
	if err != nil {
		return "", err
	}
	c := section{of: s, key: key, why: why, began: now, until: countdown{until, e.clock.read()}, coming: []time.Duration{5 * time.Minute, time.Minute}}
	s.judging.Lock()
	if err = s.mayBegin(); err == nil && !e.sections.begin(s.asset, c) {
		err = errSection()
	}
	s.judging.Unlock()
	if err == nil && !s.isOpen() { // an end that came between found nothing to take away
		e.sections.end(s)
		err = ErrOver
	}
	if err != nil {
		return "", errors.Join(err, kept.CriticalOver(s.id, e.cfg.Now()))
	}
	words = fmt.Sprintf("Critical section until %s: %s. A patient's arrival raises an alarm in place of a freeze; nothing else opens on %s meanwhile.", stamp(until), why, s.asset)
	e.cfg.Log.Info("critical section begins", "session", s.id.Session(), "until", until, "why", why)
	s.sectionChanged(words)
	if e.alarm(s.asset) { // the state has changed just before
		e.ModalityChanged(s.asset)
	}
	return words, nil
}

// mayBegin refuses a section of a session that is stopped, or alone with nobody in it.
func (s *liveSession) mayBegin() error {
	m, works := s.works()
	switch on := s.e.sections.at(s.asset); {
	case on.of != nil:
		return errSection()
	case len(s.gate.frozen()) > 0 || !works:
		no := session.Errorf(session.Refused, "This session may not work now, so nothing in it is critical.").WithNext("Wait until the hospital lets it go on.")
		if m.State != "" && !works {
			no = session.Errorf(session.Refused, "The scanner is %s: a critical section begins while the session may work.", m.words()).WithNext("Call the hospital.")
		}
		return no
	case s.connections() == 0:
		return session.Errorf(session.Refused, "Nobody is connected in this session.").WithNext("Connect first; a critical section covers what is connected then.")
	}
	return nil
}

func errSection() error {
	return session.Errorf(session.Refused, "A critical section is on at this scanner.").WithNext("Wait until it is over, or end it with sallyport critical --end.")
}

// CriticalOver ends a section for whoever proved the key that declared it.
func (e *Engine) CriticalOver(id session.ID, key string) (words string, err error) {
	s := e.session(id)
	if s != nil {
		if c, on := e.sections.of(s); on && c.key == key {
			words = s.sectionOver("its engineer ended it")
			s.sectionEnded()
			return words, nil
		}
	}
	return "", session.Errorf(session.Refused, "This session has no critical section that this key declared.").WithNext("See sallyport sessions.")
}

// sectionEnded writes down that a section is over, and what it gives back.
func (s *liveSession) sectionEnded() {
	kept, ok := s.e.cfg.Tickets.(Criticals)
	if !ok {
		return
	}
	if err := kept.CriticalOver(s.id, s.e.cfg.Now()); err != nil {
		s.e.cfg.Log.Error("the end of a critical section is not written down", "session", s.id.Session(), "err", err)
	}
}

// sectionOver ends the section of a session, where there is one, and waits for nothing.
// What the state of the scanner forbids stops before this returns; sectionEnded follows.
func (s *liveSession) sectionOver(because string) string {
	if !s.e.sections.end(s) {
		return ""
	}
	m, works, fresh := s.interlock()
	words := "The critical section is over: " + because + "."
	if !works {
		words += " The scanner is " + m.words() + ": the session is frozen now."
	}
	s.e.cfg.Log.Info("critical section over", "session", s.id.Session(), "why", because)
	s.sectionChanged(words)
	if fresh {
		s.freezeChanged()
		s.e.behind(func() { s.interlocked(m, true) })
	}
	return words
}

// sectionChanged tells everybody how a section stands, and writes it into the recordings.
func (s *liveSession) sectionChanged(words string) {
	deadline := s.deadline()
	for _, c := range s.connected() {
		c.noteSoon(session.Note{Kind: session.NoteCritical, By: s.person.Shown(), Text: words, Deadline: &deadline})
	}
	s.tell(attach.Notice{Type: attach.NoticeDeadline, Deadline: &deadline, Text: words})
	s.report()
}

// alarm holds the section of a scanner against the state of that: where that would freeze
// the session, everybody is told. It reports whether that is news; what else there is on
// the scanner is ModalityChanged's to freeze.
func (e *Engine) alarm(asset string) (news bool) {
	c := e.sections.at(asset)
	if c.of == nil {
		return false
	}
	m, allowed := c.of.allowed()
	if !allowed && m.Shut != "" { // a person shut it off
		over := c.of
		if over.sectionOver("the hospital has shut the scanner off") != "" {
			e.behind(over.sectionEnded)
		}
		return false
	}
	if !e.sections.ring(c.of, !allowed) {
		return false
	}
	words := "The scanner is " + m.words() + ": the alarm of the critical section is over."
	if !allowed {
		words = "Alarm: the scanner is " + m.words() + " while a critical section is on (" + c.why + "). Come to a safe end; at " + stamp(c.until.deadline) + " the session is frozen."
	}
	c.of.sectionChanged(words)
	return true
}

// Alarm reports whether the alarm of a critical section rings at a scanner.
func (e *Engine) Alarm(asset string) bool { return e.sections.at(asset).alarm }

// critical is a section as the broker is told of it.
func (s *liveSession) critical() *link.Critical {
	c, on := s.e.sections.of(s)
	if !on {
		return nil
	}
	return &link.Critical{Began: c.began.UTC(), Until: c.until.deadline.UTC(), Why: wording.Line(c.why, session.MaxCriticalWhy), Alarm: c.alarm}
}

// deadline is when the session ends: its own end, or that of the critical section which
// outlasts it.
func (s *liveSession) deadline() time.Time {
	c, on := s.e.sections.of(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if on && c.until.deadline.After(s.state.facts.Deadline) {
		return c.until.deadline
	}
	return s.state.facts.Deadline
}

// pastSection ends a section whose time is over by the strictest clock, and says how long
// one that goes on has left.
func (s *liveSession) pastSection() time.Duration {
	c, on := s.e.sections.of(s)
	if !on {
		return 0
	}
	left := c.until.left(s.e.clock.read())
	for _, d := range s.e.sections.due(s, left) {
		s.tell(attach.Notice{Type: attach.NoticeSaid, Text: fmt.Sprintf("The critical section ends in %s.", d)})
	}
	if left > 0 {
		return left
	}
	if s.sectionOver("its time is up") != "" {
		s.e.behind(s.sectionEnded)
	}
	return 0
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05 MST") }

// barred is why nothing opens beside a critical section.
func (s *liveSession) barred() error {
	if c := s.e.sections.at(s.asset); c.of != nil {
		return session.Errorf(session.Refused, "A critical section is on at %s until %s: nothing else opens.", s.asset, stamp(c.until.deadline)).
			WithNext("Connect when it is over.")
	}
	return nil
}

// deserted ends the section of a session whose last connection is gone.
func (s *liveSession) deserted() {
	if s.sectionOver("nobody is connected any more") != "" {
		s.sectionEnded()
	}
}
