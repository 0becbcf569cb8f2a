package recordings

import "time"

// A Writer has three goroutines beside those that record. The clock does what is due at a
// time and never waits for the disk's syncs, so heads are signed whatever the segments
// do. The closer does everything that waits for the disk. The painter draws what closed
// segments show, and nobody waits for it. Close waits for all to stop.

// duty is one of them.
type duty struct {
	kick chan struct{}
	stop chan struct{}
	done chan struct{}
}

func newDuty() duty {
	return duty{kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

func (d duty) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// halt stops it and waits; called once.
func (d duty) halt() {
	close(d.stop)
	<-d.done
}

// keep does what is due, again and again; do returns how long until the next, 0 when only
// a wake can tell.
func (d duty) keep(do func() time.Duration) {
	defer close(d.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if wait := do(); wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-d.stop:
			return
		case <-d.kick:
		case <-timer.C:
		}
	}
}

// touch notes that bytes were appended, and wakes who has to know.
func (w *Writer) touch(now time.Time) {
	if w.open.dirty.IsZero() {
		w.open.dirty = now
		w.closer.wake()
	}
	if w.due.IsZero() {
		w.due = now.Add(w.options.HeadEvery)
		w.clock.wake()
	}
}

// tick signs a head and ends the open segment when their time has come.
func (w *Writer) tick() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && !w.closed && w.open != nil {
		_ = w.guarded(func() error { return w.overdue(w.options.Now()) })
	}
	if w.err != nil || w.closed || w.open == nil {
		return 0
	}
	next := w.open.began.Add(w.options.SegmentTime)
	if !w.due.IsZero() && w.due.Before(next) {
		next = w.due
	}
	return max(next.Sub(w.options.Now()), time.Microsecond)
}

// overdue does what is due. A segment that ends by its age ends with a head.
func (w *Writer) overdue(now time.Time) error {
	s := w.open
	old := s.events > 0 && now.Sub(s.began) >= w.options.SegmentTime
	if !w.due.IsZero() && (old || !now.Before(w.due)) {
		if err := w.head(now); err != nil {
			return err
		}
		if s.dirty.IsZero() {
			s.dirty = now
			w.closer.wake()
		}
	}
	if old {
		w.rotate()
	}
	return nil
}

// settle closes the oldest segment that ended, or else syncs the open one when that is
// due. After a failure there is nothing to settle.
func (w *Writer) settle() time.Duration {
	w.mu.Lock()
	if w.err != nil || w.closed {
		w.mu.Unlock()
		return 0
	}
	if len(w.queue.segments) > 0 {
		s := w.queue.segments[0]
		w.mu.Unlock()
		w.settled(s, w.binder.closeSegment(s))
		return time.Microsecond
	}
	s, wait := w.open, time.Duration(0)
	if s != nil && !s.dirty.IsZero() {
		if wait = s.dirty.Add(syncEvery).Sub(w.options.Now()); wait <= 0 {
			s.dirty = time.Time{} // what comes while we sync begins the next group
			w.mu.Unlock()
			w.settled(nil, s.file.Sync())
			return time.Microsecond
		}
	}
	w.mu.Unlock()
	return wait
}

// settled takes note of what was done without the lock: closed, if not nil, is closed.
func (w *Writer) settled(closed *openSegment, err error) {
	w.mu.Lock()
	if err != nil {
		if w.err == nil {
			_ = w.guarded(func() error { return err })
		}
		w.mu.Unlock()
		return
	}
	if closed != nil {
		w.queue.segments, w.queue.bytes = w.queue.segments[1:], w.queue.bytes-closed.offset
		w.queue.room.Broadcast()
		w.painter.hand(closed)
	}
	w.mu.Unlock()
	if closed != nil {
		w.options.OnPart()
	}
}
