package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/terminal/mirror"
)

// soughtRecording is a recording that begins in the middle: at the last segment before a moment that
// says all that stood when it began. What is before that segment is not read.
type soughtRecording struct {
	openRecording
	stood []session.Snapshot
	at    int64 // microseconds
}

// seek begins a recording at a moment; one that cannot seek stays at its beginning.
func seek(t openRecording, at time.Duration) (soughtRecording, error) {
	s := soughtRecording{openRecording: t, at: at.Microseconds()}
	r, ok := t.(*recordings.Reader)
	if !ok || at == 0 {
		return s, nil
	}
	n, err := r.Find(s.at)
	for err == nil {
		var stood recordings.Standing
		if stood, err = r.Begin(n); err != nil || stood.Complete {
			s.stood = stood.Snapshots
			break
		}
		n--
	}
	if err == nil {
		err = s.reached(r)
	}
	if err == nil {
		_, err = r.Begin(n)
	}
	if d := (*recordings.Damage)(nil); errors.As(err, &d) && d.Segment != nil {
		err = &session.Error{Kind: session.Invalid, Message: fmt.Sprintf("Segment %d of this recording is damaged, and what was there at %s cannot be shown", *d.Segment, offset(s.at)),
			Next: "Play it without --at up to there, or from a later moment; sallyport verify says what is damaged.", Err: err}
	}
	return s, err
}

// reached refuses a moment after everything that the recording holds.
func (s soughtRecording) reached(r *recordings.Reader) error {
	for last := int64(0); ; {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return usage("Nothing was recorded at %s or later: the last of it is from %s", offset(s.at), offset(last)).
				WithNext(fmt.Sprintf("Try --at %s.", (time.Duration(last) * time.Microsecond).Truncate(time.Second)))
		}
		if err != nil || e.At >= s.at {
			return err
		}
		last = e.At
	}
}

// rest leaves out what happened before the moment: for what is no picture.
func (s soughtRecording) Next() (session.Event, error) {
	for {
		e, err := s.openRecording.Next()
		if err != nil || e.At >= s.at {
			return e, err
		}
	}
}

// checkedRecording draws what is played and compares it with the pictures that the recording holds.
type checkedRecording struct {
	openRecording
	check *mirror.Checked
}

func (c checkedRecording) Next() (session.Event, error) {
	e, err := c.openRecording.Next()
	if err == nil {
		c.check.Take(e)
	}
	return e, err
}

// checked compares what is played from its beginning with the recording's own snapshots.
// done says where they show something else, once all was played.
func (p *program) checked(t openRecording) (_ openRecording, done func()) {
	r, ok := t.(*recordings.Reader)
	if !ok {
		return t, func() {}
	}
	lies, first := 0, uint32(0)
	check := mirror.NewChecked(func(segment, _ uint32) {
		if lies++; lies == 1 {
			first = segment
		}
	})
	r.Watch(func(s recordings.Standing) { check.Stood(s.Segment, s.Snapshots) })
	return checkedRecording{t, check}, func() {
		check.Close()
		if lies > 0 {
			p.say("%d of the recording's own pictures, the first at segment %d, do not show what was recorded. Do not jump in it; play it from the beginning.", lies, first)
		}
	}
}
