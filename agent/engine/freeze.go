package engine

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/wording"
)

// Freeze stops everything of the engineer in a live session, on all its connections,
// for a cause, and returns all causes. When it returns without error nothing is being
// written to the device and nothing begins until every cause is lifted; output goes
// on and so does the deadline. What the engineer held down at the device is let go of,
// and then the causes are written down, recorded and reported.
//
// An Unreachable error says that the device still has not taken what was sent
// before; the freeze holds for everything else. by says who did it.
func (e *Engine) Freeze(id session.ID, cause, by string) ([]string, error) {
	s, err := e.one(id)
	if err != nil {
		return nil, err
	}
	return s.frozen(s.shutFor(cause), cause, by)
}

// FreezeWhere is Freeze for every session that covers names, also one that is being
// opened, and returns the ids of those that were opened. All gates are shut before
// anything is waited for.
func (e *Engine) FreezeWhere(covers func(asset string, who session.Person) bool, cause, by string) ([]session.ID, error) {
	fresh := map[*liveSession]bool{}
	for _, s := range e.all() {
		if covers(s.asset, s.person) {
			fresh[s] = s.shutFor(cause)
		}
	}
	var mu sync.Mutex
	var ids []session.ID
	var errs []error
	var all sync.WaitGroup
	for s, fresh := range fresh {
		all.Go(func() {
			if !s.isOpen() {
				return
			}
			_, err := s.frozen(fresh, cause, by)
			if session.KindOf(err) == session.Expired { // it ended meanwhile
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids, errs = append(ids, s.id), append(errs, err)
		})
	}
	all.Wait()
	return ids, errors.Join(errs...)
}

// shutFor shuts the gate for a cause, at once; false when that cause held it already.
func (s *liveSession) shutFor(cause string) bool {
	fresh := s.gate.freeze(cause)
	s.release()
	if fresh {
		s.freezeChanged()
	}
	return fresh
}

// frozen waits until the gate is still, and writes the causes down.
func (s *liveSession) frozen(fresh bool, cause, by string) ([]string, error) {
	settled := s.gate.settle(settleTime)
	s.freezing.Lock()
	defer s.freezing.Unlock()
	causes := s.gate.frozen()
	err := s.e.cfg.Tickets.Freeze(s.id, causes, s.e.cfg.Now()) // again, too: the first time may have failed
	if fresh {
		s.e.cfg.Log.Info("freeze session", "session", s.id.Session(), "cause", cause, "user", wording.Line(by, 200))
		s.mark(session.Note{Kind: session.NoteFrozen, Cause: cause, By: wording.Line(by, 200),
			Text: "Frozen (" + cause + ") by " + wording.Line(by, 200) + ": nothing goes to the device."})
		s.report()
	}
	if err == nil && !settled {
		err = session.Errorf(session.Unreachable, "The device has not yet taken what was sent before the freeze; nothing else goes there.").
			WithNext("End the session if that is not enough.")
	}
	return causes, err
}

// isOpen reports whether the session was opened and has not ended.
func (s *liveSession) isOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.state.facts.Opened.IsZero() && s.state.facts.Ended.IsZero()
}

// Thaw lifts one cause of a freeze and returns those that remain. A cause is lifted
// only where it was set; lifting none of a session that is not frozen does nothing.
func (e *Engine) Thaw(id session.ID, cause, by string) ([]string, error) {
	s, err := e.one(id)
	if err != nil {
		return nil, err
	}
	return s.thaw(cause, by)
}

// ThawWhere lifts a cause from every session that covers names, and returns the ids of
// those that go on.
func (e *Engine) ThawWhere(covers func(asset string, who session.Person) bool, cause, by string) ([]session.ID, error) {
	var ids []session.ID
	var errs []error
	for _, s := range e.all() {
		if !covers(s.asset, s.person) || !slices.Contains(s.gate.frozen(), cause) {
			continue
		}
		if _, works := s.works(); cause == CauseInterlock && !works {
			continue
		}
		if !s.isOpen() {
			s.gate.thaw(cause)
			continue
		}
		left, err := s.thaw(cause, by)
		if errs = append(errs, err); err == nil && len(left) == 0 {
			ids = append(ids, s.id)
		}
	}
	return ids, errors.Join(errs...)
}

func (s *liveSession) thaw(cause, by string) ([]string, error) {
	s.freezing.Lock()
	defer s.freezing.Unlock()
	causes := s.gate.frozen()
	if len(causes) == 0 {
		return nil, nil
	}
	if !slices.Contains(causes, cause) {
		return causes, session.Errorf(session.Refused, "This session was frozen elsewhere (%s).", strings.Join(causes, ", ")).
			WithNext("A freeze is lifted where it was set: at the agent, or through the broker.")
	}
	if m, works := s.works(); cause == CauseInterlock && !works {
		return causes, session.Errorf(session.Refused, "The scanner is %s: this session, of class %s, does not work there now.", m.words(), s.class).
			WithNext("Say how the scanner stands with sallyport-agent state set, and thaw the session then.")
	}
	left := slices.DeleteFunc(slices.Clone(causes), func(c string) bool { return c == cause })
	if err := s.e.cfg.Tickets.Freeze(s.id, left, s.e.cfg.Now()); err != nil {
		return causes, err
	}
	s.e.cfg.Log.Info("thaw session", "session", s.id.Session(), "cause", cause, "left", left, "user", wording.Line(by, 200))
	s.mark(session.Note{Kind: session.NoteThawed, Cause: cause, By: wording.Line(by, 200),
		Text: "Freeze (" + cause + ") lifted by " + wording.Line(by, 200) + "."})
	for _, c := range s.connected() { // the idle time begins anew
		c.touch()
	}
	s.lift(cause)
	s.freezeChanged()
	s.report()
	return s.gate.frozen(), nil
}

// lift lifts a cause. The scanner may have come into another state just before.
func (s *liveSession) lift(cause string) {
	s.judging.Lock()
	defer s.judging.Unlock()
	if _, works := s.works(); cause != CauseInterlock || works {
		s.gate.thaw(cause)
	}
}

// Extend gives a live session a later deadline, which the ledger admitted. Nothing
// drops; the warnings come again for the new end. false when there is no such live
// session.
func (e *Engine) Extend(id session.ID, deadline time.Time) bool {
	s, err := e.one(id)
	if err != nil {
		return false
	}
	s.mu.Lock()
	later := deadline.After(s.state.facts.Deadline)
	if later {
		s.state.facts.Deadline = deadline
		s.state.countdown.deadline = deadline
		s.state.coming = warnings()
	}
	s.mu.Unlock()
	if later {
		words := "This session was extended: it ends at " + deadline.UTC().Format("15:04:05 MST on 2006-01-02") + "."
		s.mark(session.Note{Kind: session.NoteExtended, Deadline: &deadline, Text: words})
		s.tell(attach.Notice{Type: attach.NoticeDeadline, Deadline: &deadline, Text: words})
		s.report()
	}
	return true
}

// Say tells the engineer of a live session something.
func (e *Engine) Say(id session.ID, words string) {
	if s, err := e.one(id); err == nil {
		s.tell(attach.Notice{Type: attach.NoticeSaid, Text: words})
	}
}

// Announce reports a live session once more; false when there is none.
func (e *Engine) Announce(id session.ID) bool {
	s, err := e.one(id)
	if err == nil {
		s.report()
	}
	return err == nil
}

// one is a session that was opened and has not ended.
func (e *Engine) one(id session.ID) (*liveSession, error) {
	if s := e.session(id); s != nil && s.isOpen() {
		return s, nil
	}
	return nil, session.Errorf(session.Invalid, "The session %s is not live here.", id.Session()).
		WithNext("See what is live with sallyport-agent status.")
}

// release lets go of what the engineer holds at devices, each under a pass of its own
// through the gate that is shut by now, and cuts off who is still reaching for one. It
// waits for nothing; settling does.
func (s *liveSession) release() {
	for _, c := range s.connected() {
		c.mu.Lock()
		device, dialling := c.state.device, c.state.dialling
		c.mu.Unlock()
		if dialling != nil {
			dialling()
		}
		if device == nil || !s.gate.hold() {
			continue
		}
		letGo := func() {
			defer s.gate.leave()
			if err := device.Release(); err != nil {
				c.log.Warn("not released", "session", s.id.Session(), "err", err)
			}
		}
		if !c.Go(letGo) {
			s.gate.leave()
		}
	}
}

// mark puts a remark on every recording of the session that runs now.
func (s *liveSession) mark(n session.Note) {
	for _, c := range s.connected() {
		c.Note(n)
	}
}

// tell says something on every connection, and to who watches.
func (s *liveSession) tell(n attach.Notice) {
	for _, c := range s.connected() {
		c.side.Tell(n)
	}
	for _, side := range s.views() {
		side.Tell(n)
	}
}

// freezeChanged tells how the freeze stands now, before anything is waited for. The last
// that an engineer hears is what holds.
func (s *liveSession) freezeChanged() {
	s.telling.Lock()
	defer s.telling.Unlock()
	n := s.frozenNotice()
	if n.Text != "" {
		s.tell(n)
		return
	}
	for _, c := range s.connected() {
		n.Text = frozenBy(c.protocol)
		c.side.Tell(n)
	}
	n.Text = frozenWatched
	for _, side := range s.views() {
		side.Tell(n)
	}
}

func (s *liveSession) connected() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.state.conns))
}

// dropIdle ends connections on which nothing has passed for as long as the hospital
// allows. A frozen session is idle by no fault of its engineer.
func (s *liveSession) dropIdle() {
	limit := s.e.cfg.Idle(s.asset)
	if _, critical := s.e.sections.of(s); limit <= 0 || critical || len(s.gate.frozen()) > 0 {
		return
	}
	for _, c := range s.connected() {
		if c.idle() > limit {
			c.log.Info("idle connection closed", "session", s.id.Session())
			words := "This connection was idle for " + limit.String() + " and is closed. Connect again while the session lasts."
			c.noteSoon(session.Note{Kind: session.NoteIdle, Text: words})
			c.Stop(session.OutOfTime, words)
		}
	}
}
