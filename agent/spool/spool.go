// Package spool carries the parts of recordings from the agent's disk to the broker:
// each as it is closed, header first and seal last, again and again until it is
// acknowledged. It knows directories that package recordings writes and one way to
// hand a part over; it never touches a recording that has no seal, and decides
// nothing about sessions.
//
// Local copies: every part of a recording stays until all of it, the seal included,
// was acknowledged; then the recording is deleted at once, or after the time that
// Keep sets. A recording with a part that cannot be uploaded stays for good.
package spool

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// Putter hands one part over. It returns nil only when the part is stored for good;
// the same part again with the same hash must succeed. When the broker cannot be
// reached the error is of kind Unreachable; every other error is about the part.
type Putter interface {
	Put(ctx context.Context, p link.Put, body io.Reader) error
}

const (
	ackFile    = "acked"
	donePrefix = "done-"
)

// Option changes how a Spool works.
type Option func(*Spool)

// Keep sets how long a recording stays on the agent's disk after all of it was
// acknowledged. The default is 0: it is deleted at once.
func Keep(d time.Duration) Option { return func(s *Spool) { s.keep = d } }

// Countersigned has every sealed recording countersigned as a whole before its seal is
// uploaded: where there is a seal, there is a list of receipts.
func Countersigned(h *Heads) Option { return func(s *Spool) { s.heads = h } }

// Refused has f told what cannot be stored, whenever that changes. f must not block.
func Refused(f func(Trouble)) Option { return func(s *Spool) { s.told = f } }

// Spool uploads what is in one directory: a recording per directory, named V-....
type Spool struct {
	dir    string
	putter Putter
	log    *slog.Logger
	keep   time.Duration
	heads  *Heads // nil: nothing is countersigned
	kick   chan struct{}
	bulk   *bulk
	told   func(Trouble)
	troubles

	mu      sync.Mutex // one Run at a time
	records map[string]*record
	failed  int // attempts in a row that did not reach the broker
	stored  int // times that a part was, since the start
	scanned time.Time
}

// New makes a Spool of the recordings in dir; nothing happens before Run. dir must
// exist when Run is called, and no other Spool may work in it.
func New(dir string, putter Putter, log *slog.Logger, options ...Option) *Spool {
	s := &Spool{dir: dir, putter: putter, log: log, kick: make(chan struct{}, 1), bulk: &bulk{}, told: func(Trouble) {}, records: map[string]*record{}}
	for _, o := range options {
		o(s)
	}
	return s
}

// Head hands a head over to be countersigned. It never blocks.
func (s *Spool) Head(h witness.Head) {
	if s.heads != nil {
		s.heads.Add(h)
	}
}

// Kick says that a part was closed or that the broker can be reached again. It never
// blocks and may be called from anywhere.
func (s *Spool) Kick() {
	s.bulk.closed(time.Now())
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Run uploads until ctx is over and returns its error, or at once when the directory
// cannot be opened. There is no time after which it gives up.
func (s *Spool) Run(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return &session.Error{Kind: session.Internal, Message: "The spool of recordings cannot be opened", Err: err,
			Next: "Check that " + s.dir + " exists and belongs to the agent."}
	}
	defer root.Close()
	if s.heads != nil {
		var heads sync.WaitGroup
		defer heads.Wait()
		heads.Go(func() { _ = s.heads.Run(ctx) }) // it ends with ctx, as we do
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := s.round(ctx, root)
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-s.kick:
			if s.failed > 0 { // the pause holds for everybody
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-timer.C:
				}
			}
		}
	}
}

// round uploads one part of each recording in turn, so that a long backlog of one
// delays no other, until nothing is left that can be tried now. It returns how long
// to wait.
func (s *Spool) round(ctx context.Context, root *os.Root) time.Duration {
	s.scan(root)
	for {
		worked := false
		for _, r := range s.inOrder() {
			if ctx.Err() != nil {
				return 0
			}
			if err := s.finish(ctx, root, r); err != nil && session.KindOf(err) == session.Unreachable {
				s.failed++
				return jitter(s.failed, pauseMost)
			}
			p := r.choose(root, time.Now(), s.yields(root, r))
			if p == nil {
				s.retire(root, r)
				continue
			}
			worked = true
			if err := s.upload(ctx, root, r, p); err != nil && session.KindOf(err) == session.Unreachable {
				s.failed++
				return jitter(s.failed, pauseMost)
			}
			s.failed = 0
		}
		if !worked {
			return min(s.untilNext(time.Now()), s.bulk.left(time.Now()))
		}
		if time.Since(s.scanned) >= time.Second { // more may have been closed meanwhile
			s.scan(root)
		}
	}
}

// finish has a recording countersigned as a whole once all but its seal is uploaded.
func (s *Spool) finish(ctx context.Context, root *os.Root, r *record) error {
	if s.heads == nil || r.finished || time.Now().Before(r.closing.after) || !r.onlySealLeft() {
		return nil
	}
	err := s.heads.Finish(ctx, r.id)
	if err == nil {
		r.finished = true
		s.settled(r, &r.closing)
		return r.list(root)
	}
	s.failedOn(ctx, root, r, &r.closing, err)
	return err
}

// upload hands one part over and remembers the answer. One that broke the connection is
// held against something else that passes. Where nothing else did since, the header, which
// the broker has, goes once more before every other try: a bad part would look for ever
// like a broker that is away, and hold up everything that pauses with it.
func (s *Spool) upload(ctx context.Context, root *os.Root, r *record, p *part) error {
	if header := r.few[recordings.HeaderPart]; p.attempts > 0 && p.attempts%2 == 0 && p.stored == s.stored && header.acked {
		if err := s.try(ctx, root, r, header); err != nil {
			return err
		}
		s.stored++
		s.failed = 0
	}
	err := s.try(ctx, root, r, p)
	defer r.tried(p)
	if err != nil {
		s.failedOn(ctx, root, r, p, err)
		return err
	}
	p.acked = true
	s.stored++
	s.settled(r, p)
	if err := r.remember(root, p, time.Now()); err != nil {
		s.log.Warn("acknowledged part not noted, it will be sent again after a restart", "recording", r.id, "part", p.name, "err", err)
	}
	return nil
}

// failedOn says when a part is tried again. Of one that breaks the connection again and
// again, while others pass, the broker says no in its way.
func (s *Spool) failedOn(ctx context.Context, root *os.Root, r *record, p *part, err error) {
	if ctx.Err() != nil {
		return
	}
	breaks := p.attempts > 0 && s.stored > p.stored
	p.attempts, p.stored = p.attempts+1, s.stored
	if session.KindOf(err) == session.Unreachable && !breaks {
		p.after = time.Now().Add(jitter(p.attempts, pauseMost))
		s.log.Debug("broker not reached", "recording", r.id, "part", p.name, "err", err)
		return
	}
	p.refusals++
	p.after = time.Now().Add(jitter(p.refusals, deferMost))
	s.log.Error("part not uploaded, will be tried again", "recording", r.id, "part", p.name, "refusals", p.refusals, "err", err)
	s.refused(root, r, p, err)
}

func (s *Spool) try(ctx context.Context, root *os.Root, r *record, p *part) error {
	put, body, err := r.open(root, p)
	if err != nil {
		return err
	}
	defer body.Close()
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	err = s.putter.Put(ctx, put, body)
	if errors.Is(err, context.DeadlineExceeded) {
		return session.Errorf(session.Unreachable, "upload a part: %w", err)
	}
	return err
}
