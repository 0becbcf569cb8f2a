package engine

import (
	"slices"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/interlock"
)

// CauseInterlock freezes a session whose class does not work in the state of its scanner.
// It is set here alone, and lifted by hand, at the agent, when the state allows it again.
const CauseInterlock = "interlock"

// Modality is how a scanner stands.
type Modality struct {
	State session.ModalityState
	Says  string // whose word that is: "the operator, set by Tom"
	Rules interlock.Rules
	Shut  string // why nothing opens, not even to look on; "": it may
}

// modality is how the session's scanner stands; false where there is no interlock.
func (s *liveSession) modality() (Modality, bool) {
	return s.e.cfg.Modality(s.asset)
}

// works reports whether the session may work in the state of its scanner, and beside a
// critical section of another one.
func (s *liveSession) works() (Modality, bool) {
	m, allowed := s.allowed()
	return m, allowed && !s.e.sections.stops(s)
}

// allowed reports whether the class of the session works in the state of its scanner.
func (s *liveSession) allowed() (Modality, bool) {
	m, some := s.modality()
	return m, !some || m.Rules.Permit(s.class, m.State, session.Shell) == interlock.Allowed
}

// ModalityChanged holds every session on an asset to the state in which that is now. When
// it returns, the gates of all that may not work are shut and it is told; what was already
// on its way is waited for, written down, recorded and reported after.
func (e *Engine) ModalityChanged(asset string) {
	e.alarm(asset)
	for _, s := range e.all() {
		if s.asset != asset {
			continue
		}
		m, works, fresh := s.interlock()
		if !works || slices.Contains(s.gate.frozen(), CauseInterlock) {
			s.freezeChanged()
		}
		s.e.behind(func() { s.interlocked(m, fresh) })
	}
}

// hold is interlock for a session that is joined or taken up again.
func (s *liveSession) hold() {
	if m, _, fresh := s.interlock(); fresh {
		s.freezeChanged()
		s.e.behind(func() { s.interlocked(m, true) })
	}
}

// interlock shuts the gate where the session may not work. It opens none, but that of a
// session in which nothing has happened yet.
func (s *liveSession) interlock() (m Modality, works, fresh bool) {
	s.judging.Lock()
	m, works = s.works()
	switch {
	case !works && s.spared(m):
		works = true
	case !works:
		fresh = s.gate.freeze(CauseInterlock)
	case !s.isOpen():
		s.gate.thaw(CauseInterlock)
	}
	s.judging.Unlock()
	if fresh {
		s.release()
	}
	return m, works, fresh
}

// interlocked writes down and records what a change of state made of the session.
func (s *liveSession) interlocked(m Modality, fresh bool) {
	if !s.isOpen() {
		return
	}
	if m.State != "" {
		s.mark(m.note())
	}
	if !fresh {
		s.report()
		return
	}
	if _, err := s.frozen(true, CauseInterlock, m.words()); err != nil && session.KindOf(err) != session.Expired {
		s.e.cfg.Log.Error("the interlock's freeze is not all there", "session", s.id.Session(), "err", err)
	}
}

// behind runs something beside the one who asks, before the engine is closed.
func (e *Engine) behind(do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.behindLocked(do)
}

// behindLocked is behind with e.mu held.
func (e *Engine) behindLocked(do func()) {
	if !e.closing {
		e.work.Go(do)
	}
}

// note is a state as a recording has it.
func (m Modality) note() session.Note {
	return session.Note{Kind: session.NoteModality, State: m.State, By: m.Says, Text: "The scanner is " + m.words() + "."}
}

// words are a state as a person reads it, after "the scanner is".
func (m Modality) words() string { return m.State.Words() + " (" + m.Says + ")" }

// frozenNotice says how the freeze stands; without a text where each is to read what becomes of
// what they do themselves.
func (s *liveSession) frozenNotice() attach.Notice {
	causes := s.gate.frozen()
	n := attach.Notice{Type: attach.NoticeFrozen, Causes: causes}
	m, works := s.works()
	switch {
	case len(causes) == 0:
		n = attach.Notice{Type: attach.NoticeThawed, Text: thawedWords}
	case !slices.Contains(causes, CauseInterlock):
	case works && len(causes) == 1:
		n.Text = "The scanner is " + m.words() + ". " + waitWords
	case s.e.sections.stops(s):
		n.Text = "Frozen: a patient may be at the scanner while another session is in a critical section. Nothing goes there; the time runs on."
	case !works:
		n.Text = "View only: the scanner is " + m.words() + ". Nothing goes to it; the time runs on."
	}
	return n
}

// keepCold writes down that a session begins frozen, to be looked at.
func (s *liveSession) keepCold() error {
	s.freezing.Lock()
	defer s.freezing.Unlock()
	causes := s.gate.frozen()
	if len(causes) == 0 {
		return nil
	}
	return s.e.cfg.Tickets.Freeze(s.id, causes, s.e.cfg.Now())
}

// notWorking is why nothing opens, beside what froze the session by hand.
func (s *liveSession) notWorking() error {
	m, works := s.works()
	if works || !slices.Contains(s.gate.frozen(), CauseInterlock) {
		return errFrozen
	}
	if m.Shut != "" {
		return &session.Error{Kind: session.Refused, Message: "The hospital has shut the scanner off from service (" + m.Shut + "): nothing opens.",
			Next: "Call the hospital.", Err: errFrozen}
	}
	return &session.Error{Kind: session.Refused, Message: "The scanner is " + m.words() + ": a session of class " + string(s.class) + " does not work there now.",
		Next: "Wait, or call the hospital.", Err: errFrozen}
}

// mayLook reports whether a console of the session may be opened to look at, and nothing
// else: the interlock alone has frozen it.
func (s *liveSession) mayLook(p session.Protocol) bool {
	m, some := s.modality()
	return some && m.Shut == "" && slices.Contains(p.Channels(), session.Control) && m.Rules.Permit(s.class, m.State, session.Control) != interlock.Frozen &&
		slices.Equal(s.gate.frozen(), []string{CauseInterlock})
}
