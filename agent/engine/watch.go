package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/wording"
)

// Watch is somebody's leave to see a session and nothing else. It has no ticket, and so
// opens nothing; a line gives who holds it what an engineer's side would show, and takes
// nothing from them.
type Watch struct {
	Person session.Person
	s      *liveSession
	leave  *leave
	visit  Visit
}

// leave is what stands behind a Watch: a token that the agent checked, or the last of
// several for one key.
type leave struct {
	key    string
	person session.Person
	until  countdown
	views  map[Side]struct{}
	left   time.Time // when the last of them went
}

// AllowWatch lets a key watch a live session until a time. It is called when a token of
// the hospital's was checked, and never on the broker's word. The same key of the same
// person again prolongs it; for another session or person it is refused.
func (e *Engine) AllowWatch(id session.ID, key string, who session.Person, until time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, ok := e.sessions[id]
	if !ok || e.closing || !s.isOpen() {
		return errNotLive()
	}
	all, own, here := 0, 0, 0
	for _, other := range e.sessions {
		other.mu.Lock()
		for _, l := range other.state.leaves {
			switch {
			case l.key == key && (other != s || l.person.Identity != who.Identity):
				other.mu.Unlock()
				return session.Errorf(session.Denied, "This key watches another session, or somebody else has it.").WithNext("Open the session again, with a key of its own.")
			case l.key == key:
				if until.After(l.until.deadline) { // an older token, shown again, changes nothing
					l.until = countdown{until, e.clock.read()}
				}
				other.mu.Unlock()
				return nil
			}
			all++
			if l.person.Identity == who.Identity {
				own++
			}
			if other == s {
				here++
			}
		}
		other.mu.Unlock()
	}
	if err := crowded(all, own, here, maxLeaves); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.leaves[key] = &leave{key: key, person: who, until: countdown{until, e.clock.read()}, views: map[Side]struct{}{}}
	e.cfg.Log.Info("may watch", "session", id.Session(), "user", who.Sub, "until", until.UTC())
	return nil
}

// crowded refuses one more who watches where a person, a session or the agent has enough.
func crowded(all, own, here, most int) error {
	switch {
	case own >= most/4:
		return session.Errorf(session.Refused, "You watch in %d places already.", own).WithNext("Close some of them first.")
	case here >= most/2:
		return session.Errorf(session.Refused, "%d people watch this session already.", here).WithNext("Try again when somebody has left.")
	case all >= most:
		return session.Errorf(session.Refused, "Too many people watch sessions of this hospital.").WithNext("Try again in a moment.")
	}
	return nil
}

func errNotLive() error {
	return session.Errorf(session.Expired, "This session is not live at this hospital's agent.").WithNext("See what is live with sallyport sessions ls, or on the live board.")
}

// watching finds the leave of a key that was proven, for what a visit is to.
func (e *Engine) watching(p attach.Proof, v Visit) (*Watch, error) {
	id, err := session.ParseSessionID(p.Session)
	if err != nil {
		return nil, err
	}
	s := e.session(id)
	if s == nil || !s.isOpen() {
		return nil, errNotLive()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.state.leaves[p.Key]
	switch {
	case !ok || l.until.left(e.clock.read()) <= 0:
		return nil, session.Errorf(session.Denied, "The hospital's agent has not let this key watch this session, or no longer.").WithNext("Open the session from the live board, and sign in.")
	case s.asset != v.Asset:
		return nil, session.Errorf(session.Refused, "This session is not on %.64s.", v.Asset).WithNext("Open it from the live board.")
	case !s.worked(v.Service):
		return nil, session.Errorf(session.Refused, "Nobody has worked on %.64s in this session.", v.Service).WithNext("Watch a service that its engineer opened.")
	}
	return &Watch{Person: l.person, s: s, leave: l, visit: v}, nil
}

// worked reports whether a service of the session was opened. s.mu is held.
func (s *liveSession) worked(service string) bool {
	for _, r := range s.state.recordings {
		if r.Service == service {
			return true
		}
	}
	return false
}

// ID is the session's.
func (w *Watch) ID() session.ID { return w.s.id }

// Welcome says where somebody is who watches.
func (w *Watch) Welcome() attach.Welcome { return w.s.welcome(w.visit) }

// Enter lets a side see the session: it hears what the engineer's hear, and the engineer
// hears who it is. The session's end and that of the leave are told to it. go has to be
// called when it is gone.
func (w *Watch) Enter(side Side) (leave func(), err error) {
	e, s, l := w.s.e, w.s, w.leave
	e.mu.Lock()
	all, own, here := 0, 0, 0
	for _, other := range e.sessions {
		other.mu.Lock()
		for _, o := range other.state.leaves {
			all += len(o.views)
			if o.person.Identity == l.person.Identity {
				own += len(o.views)
			}
			if other == s {
				here += len(o.views)
			}
		}
		other.mu.Unlock()
	}
	err = crowded(all, own, here, maxViews)
	s.mu.Lock()
	switch {
	case err != nil:
	case e.closing || !s.state.facts.Ended.IsZero() || s.state.leaves[l.key] != l:
		err = errNotLive()
	default:
		l.views[side] = struct{}{}
	}
	s.mu.Unlock()
	e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	w.visit.place.Leave()
	s.watchersChanged()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(l.views, side)
		l.left = time.Now()
	}, nil
}

// unsee ends the leaves whose time is over, and tells the engineer who has gone. Who
// comes back at once has not.
func (s *liveSession) unsee() {
	var over []Side
	s.mu.Lock()
	now := s.e.clock.read()
	for key, l := range s.state.leaves {
		if l.until.left(now) <= 0 {
			over = slices.AppendSeq(over, maps.Keys(l.views))
			delete(s.state.leaves, key)
		}
	}
	s.mu.Unlock()
	for _, side := range over {
		side.Tell(attach.Notice{Type: attach.NoticeUnseen, Text: unseenWords})
	}
	s.watchersChanged()
}

// dismiss tells everybody who watches that it is over. It is called by the session's own
// goroutine, which the engine waits for.
func (s *liveSession) dismiss(reason session.EndReason) {
	for _, side := range s.views() {
		s.e.work.Go(func() { side.Farewell(reason, wording.Farewell(reason)) })
	}
}

func (s *liveSession) views() (all []Side) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.state.leaves {
		all = slices.AppendSeq(all, maps.Keys(l.views))
	}
	return all
}

// watchersChanged tells the engineer and the recordings who watches, where that is news.
func (s *liveSession) watchersChanged() {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.mu.Lock()
	before := s.state.watchers
	now := s.state.seen()
	news := !slices.Equal(before, now)
	s.state.watchers = now
	s.mu.Unlock()
	if !news {
		return
	}
	n := watchersNotice(now, before)
	for _, c := range s.connected() {
		c.noteSoon(session.Note{Kind: session.NoteWatching, By: strings.Join(now, ", "), Text: n.Text})
	}
	s.tell(n)
}

// seen are the names of those who watch, or did a moment ago.
func (st *liveState) seen() []string {
	var names []string
	for _, l := range st.leaves {
		if len(l.views) > 0 || time.Since(l.left) < lingerTime {
			names = append(names, wording.Line(cmp.Or(l.person.Name, l.person.Shown()), maxName))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// watchersNotice says who watches now, and who came or went.
func watchersNotice(now, before []string) attach.Notice {
	var words []string
	add := func(names, others []string, what string) {
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(others, n) })
		if len(names) > 0 {
			words = append(words, fmt.Sprintf("%s of the hospital %s.", strings.Join(names, ", "), what))
		}
	}
	add(now, before, "watches this session")
	add(before, now, "watches no more")
	return attach.Notice{Type: attach.NoticeWatchers, People: append([]string{}, now...), Text: strings.Join(words, " ")}
}

// Watchers is the notice of who watches the connection's session now; false where nobody
// does. It is for whom an engineer opens when that was told already.
func (c *Conn) Watchers() (attach.Notice, bool) {
	c.mu.Lock()
	s := c.state.session
	c.mu.Unlock()
	if s == nil {
		return attach.Notice{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return watchersNotice(s.state.watchers, nil), len(s.state.watchers) > 0
}
