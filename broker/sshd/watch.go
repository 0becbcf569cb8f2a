package sshd

import (
	"context"
	"net"
	"time"

	"github.com/sallyport/sallyport/session"
)

// place is one engineer at one site.
type place struct {
	engineer session.Identity
	site     string
}

// note remembers an open stream and its site; the returned func forgets it.
func (v *visit) note(stream net.Conn, site string) (forget func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open == nil {
		v.open = map[net.Conn]string{}
	}
	v.open[stream] = site
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.open, stream)
	}
}

// watch cuts the streams of engineers whose access ended while they were connected,
// whichever node of the broker was told. The agents cut by themselves; this is for
// the ones that cannot be reached otherwise, or do not obey.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(s.recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for at := range s.places() {
			asking, cancel := context.WithTimeout(ctx, lookupTime)
			barred, err := s.access.Barred(asking, at.engineer, at.site)
			cancel()
			switch {
			case err != nil && ctx.Err() == nil:
				s.log.Warn("cannot look up whether an engineer may go on", "user", at.engineer.Sub, "site", at.site, "err", err)
			case barred:
				s.log.Info("streams cut", "user", at.engineer.Sub, "site", at.site, "streams", s.DropAt(at.engineer, at.site))
			}
		}
	}
}

// places are the engineers with open streams, and where those lead.
func (s *Server) places() map[place]struct{} {
	all := map[place]struct{}{}
	s.eachStream(func(at place, _ net.Conn) { all[at] = struct{}{} })
	return all
}

// DropAt closes every stream of an engineer to a site and returns how many there
// were. Their connection stays: it may lead to other hospitals, too.
func (s *Server) DropAt(engineer session.Identity, site string) int {
	var cut []net.Conn
	s.eachStream(func(at place, stream net.Conn) {
		if at == (place{engineer, site}) {
			cut = append(cut, stream)
		}
	})
	for _, stream := range cut { // a peer that does not listen may hold this up: no lock is held
		_ = stream.Close()
	}
	return len(cut)
}

func (s *Server) eachStream(f func(place, net.Conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.visits {
		who, ok := v.who()
		if !ok {
			continue
		}
		v.mu.Lock()
		for stream, site := range v.open {
			f(place{who.engineer, site}, stream)
		}
		v.mu.Unlock()
	}
}
