package recordings

import "time"

// owner is the goroutine that does what is due when nobody records: it syncs groups
// of writes, signs heads and closes segments that have become old. Close waits for it.
type owner struct {
	kick chan struct{}
	stop chan struct{}
	done chan struct{}
}

func newOwner() owner {
	return owner{kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

func (o owner) wake() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

// halt stops the owner and waits for it; called once.
func (o owner) halt() {
	close(o.stop)
	<-o.done
}

func (w *Writer) own() {
	defer close(w.owner.done)
	timer := time.NewTimer(w.options.SegmentTime)
	defer timer.Stop()
	for {
		if wait := w.duties(); wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-w.owner.stop:
			return
		case <-w.owner.kick:
		case <-timer.C:
		}
	}
}

// touch notes that bytes were appended, and wakes the owner when it has to know.
func (w *Writer) touch(now time.Time) {
	s := w.open
	first := s.dirty.IsZero()
	if first {
		s.dirty = now
	}
	if s.due.IsZero() {
		s.due = now.Add(w.options.HeadEvery)
	}
	if first || s.offset-s.synced >= syncBytes {
		w.owner.wake()
	}
}

// duties does what is due now and returns how long until the next duty; 0: none.
func (w *Writer) duties() time.Duration {
	w.mu.Lock()
	now := w.options.Now()
	if w.err == nil && !w.closed && w.open != nil {
		_ = w.guarded(func() error { return w.overdue(now) })
	}
	if w.err != nil || w.closed || w.open == nil {
		w.mu.Unlock()
		return 0
	}
	s, f, upTo := w.open, w.open.file, w.open.offset
	due := !s.dirty.IsZero() && (now.Sub(s.dirty) >= syncEvery || upTo-s.synced >= syncBytes)
	if due {
		s.dirty = time.Time{} // what comes while we sync begins the next group
	}
	w.mu.Unlock()
	if due {
		w.synced(s, upTo, f.Sync())
	}
	return w.nextDuty()
}

// overdue signs a head and closes the segment when their time has come.
func (w *Writer) overdue(now time.Time) error {
	if s := w.open; !s.due.IsZero() && !now.Before(s.due) {
		if err := w.head(now); err != nil {
			return err
		}
		if s.dirty.IsZero() {
			s.dirty = now
		}
	}
	if s := w.open; s.events > 0 && now.Sub(s.began) >= w.options.SegmentTime {
		return w.rotate()
	}
	return nil
}

// synced takes note of a sync that ran without the lock. The segment may have been
// closed meanwhile, which synced it all.
func (w *Writer) synced(s *openSegment, upTo int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open != s || s.file == nil {
		return
	}
	if err != nil {
		_ = w.guarded(func() error { return err })
		return
	}
	s.synced = upTo
}

func (w *Writer) nextDuty() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.open
	if w.err != nil || w.closed || s == nil {
		return 0
	}
	next := s.began.Add(w.options.SegmentTime)
	if !s.due.IsZero() && s.due.Before(next) {
		next = s.due
	}
	if !s.dirty.IsZero() && s.dirty.Add(syncEvery).Before(next) {
		next = s.dirty.Add(syncEvery)
	}
	if s.offset-s.synced >= syncBytes {
		next = w.options.Now()
	}
	return max(next.Sub(w.options.Now()), time.Microsecond)
}
