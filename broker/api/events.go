package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

// Event is the data of an event: something that the caller may read has changed.
type Event struct {
	Kind string `json:"kind" enum:"request,session,recording,asset,engineer"`
	ID   string `json:"id"`
}

type lastEvent struct {
	ID string `header:"Last-Event-ID" maxLength:"600" doc:"the id of the last event that was seen"`
}

// follow answers with the events that the caller may know of, until the login ends.
func (d *door) follow(ctx context.Context, who signedIn, in *lastEvent) (*huma.StreamResponse, error) {
	l := d.Live
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	depart, ok := l.streams.enter(who.Identity, end)
	if !ok {
		end()
		leave()
		return nil, &session.Error{Kind: session.Unreachable, Message: "Too many people watch this broker just now.", Next: "Try again in a minute."}
	}
	over := func() { depart(); end(); leave() }
	joining, cancel := context.WithTimeout(ctx, noticeTime)
	defer cancel()
	f, err := l.cfg.Changes.Follow(joining, in.ID, access.Followed()...)
	if err != nil {
		over()
		return nil, err
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		defer over()
		defer f.Close()
		_, w := humago.Unwrap(out)
		s := stream{live: l, who: who.Caller, changes: f, out: w, control: http.NewResponseController(w)}
		if err := s.run(ctx); err != nil && ctx.Err() == nil {
			d.Log.Info("an event stream ended", "user", who.Sub, "err", err)
		}
	}}, nil
}

// stream is one event stream. One goroutine runs it.
type stream struct {
	live    *Live
	who     identity.Caller
	changes *store.Follower
	out     http.ResponseWriter
	control *http.ResponseController
	place   string // that the client knows
}

// errLeft says that the login of a stream is over.
var errLeft = errors.New("the login is over")

func (s *stream) run(ctx context.Context) error {
	pace := s.live.cfg.Pace
	h := s.out.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	s.out.WriteHeader(http.StatusOK)
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }() // the connection may serve other calls
	hello := "event: hello\ndata: {}\n"
	if s.place = s.changes.At(); s.place != "" {
		hello += "id: " + s.place + "\n"
	}
	if err := s.send(hello + "\n"); err != nil {
		return err
	}
	beat := time.Now().Add(pace.Beat)
	for {
		waiting, cancel := context.WithDeadline(ctx, beat)
		news, err := s.changes.Next(waiting)
		cancel()
		switch {
		case err == nil:
			err = s.tell(ctx, news)
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			err = nil
		}
		if err != nil {
			return err
		}
		if !time.Now().Before(beat) {
			if err := s.beat(ctx); err != nil {
				return err
			}
			beat = time.Now().Add(pace.Beat)
		}
		if len(news.Changes) > 0 { // the next events of these wait
			if err := rest(ctx, pace.Calm); err != nil {
				return err
			}
		}
	}
}

// beat is a sign of life, with the place that was come to in silence. It looks
// whether the login is still there; it does not count as its use.
func (s *stream) beat(ctx context.Context) error {
	who, err := s.live.cfg.Logins.Alive(ctx, s.who)
	switch {
	case err == nil:
		s.who = who
	case errors.Is(err, identity.ErrNotSignedIn):
		return errLeft
	default:
		s.live.cfg.Log.Warn("cannot look up whether a login goes on", "user", s.who.Sub, "err", err)
	}
	at := s.changes.At()
	if at == s.place {
		return s.send(":\n\n")
	}
	s.place = at
	return s.send(":\nid: " + at + "\n\n")
}

// tell sends what the caller may know of news. Only the last event carries the
// place, so that a client that is cut off in between hears all of it again.
func (s *stream) tell(ctx context.Context, news store.News) error {
	var events bytes.Buffer
	told := map[access.Subject]bool{}
	for _, c := range news.Changes {
		n, err := s.live.notices.of(ctx, c)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.live.cfg.Log.Warn("cannot say whom a change concerns", "kind", c.Kind, "err", err)
			news.Gap = true
			continue
		}
		for _, subject := range n.For(s.who) {
			if told[subject] {
				continue
			}
			told[subject] = true
			data, err := json.Marshal(Event{Kind: subject.Kind, ID: subject.ID})
			if err != nil {
				return fmt.Errorf("write an event: %w", err)
			}
			fmt.Fprintf(&events, "event: change\ndata: %s\n\n", data)
		}
	}
	if news.Gap {
		events.WriteString("event: reset\ndata: {}\n\n")
	}
	if events.Len() == 0 {
		return nil
	}
	s.place = news.At
	events.Truncate(events.Len() - 1)
	fmt.Fprintf(&events, "id: %s\n\n", s.place)
	return s.send(events.String())
}

// send writes and flushes; a client that does not take it in time is cut off.
func (s *stream) send(text string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.live.cfg.Pace.Write)); err != nil {
		return fmt.Errorf("limit a write: %w", err)
	}
	if _, err := io.WriteString(s.out, text); err != nil {
		return err
	}
	return s.control.Flush()
}

// rest waits for d.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// notices remembers whom the newest changes concern: thousands of streams ask about
// each at the same moment.
type notices struct {
	access *access.Access

	mu    sync.Mutex // guards known
	known map[store.Change]*noted
}

// noted is an audience that is being looked up, or was.
type noted struct {
	once     sync.Once
	audience access.Audience
	err      error
}

// of is the audience of a change. What it reads is at least as new as the change.
func (n *notices) of(ctx context.Context, c store.Change) (access.Audience, error) {
	n.mu.Lock()
	k := n.known[c]
	if k == nil {
		for old := range n.known {
			if len(n.known) < maxNotices {
				break
			}
			delete(n.known, old)
		}
		k = &noted{}
		n.known[c] = k
	}
	n.mu.Unlock()
	k.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noticeTime)
		defer cancel()
		if k.audience, k.err = n.access.Audience(ctx, c.Kind, c.ID); k.err != nil {
			n.mu.Lock()
			delete(n.known, c) // the next one may be luckier
			n.mu.Unlock()
		}
	})
	return k.audience, k.err
}
