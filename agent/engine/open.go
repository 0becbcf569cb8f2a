package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// Open returns the connection's device; the first call makes it: the operator consents
// where that is asked for, the session begins, then its recording, then the device is dialled. What fails leaves nothing half open,
// and the recording says why. ctx is the connection's.
func (c *Conn) Open(ctx context.Context, t *Ticket, dial func(context.Context) (Device, error)) (d Device, err error) {
	c.opening.Lock()
	defer c.opening.Unlock()
	c.mu.Lock()
	s, stopped := c.state.session, c.state.stopped
	d = c.state.device
	c.mu.Unlock()
	switch {
	case stopped || s == nil || s.id != t.ID:
		return nil, ErrOver
	case len(s.gate.frozen()) > 0 && !s.mayLook(c.protocol):
		return nil, s.notWorking()
	case d != nil:
		return d, nil
	}
	if t, err = c.consented(ctx, t); err != nil {
		return nil, err
	}
	if len(s.gate.frozen()) > 0 && !s.mayLook(c.protocol) { // meanwhile
		return nil, s.notWorking()
	}
	if err := s.barred(); err != nil {
		return nil, err
	}
	if err := c.light(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil { // nobody is connected to the scanner
			c.darken()
		}
	}()
	facts, err := c.e.cfg.Tickets.Begin(t, c.e.cfg.Now())
	if err != nil {
		return nil, err
	}
	s.askedOf(c.e.consentTold(t.ID))
	if err := s.opened(facts, c.visit.Service); err != nil {
		return nil, err
	}
	c.e.beganWith(t.ID)
	if err := s.keepCold(); err != nil {
		return nil, err
	}
	tap, err := c.record(s, t)
	if err != nil {
		return nil, err
	}
	if d, err = c.reach(ctx, s, dial); err == nil {
		err = c.joined(ctx, d, tap)
	}
	if err != nil {
		_ = tap.note(session.Note{Kind: session.NoteDevice, Text: "No device connection: " + Words(err)})
		c.seal(tap, c.whyNot())
		c.log.Warn("device not opened", "session", s.id.Session(), "err", err)
		s.dialled(c.noDevice(err))
		return nil, err
	}
	s.dialled(nil)
	return d, nil
}

// light shows at the scanner that somebody is connected; an opening that fails puts it out, or
// the connection's end.
func (c *Conn) light(ctx context.Context) error {
	if c.dark != nil {
		return nil
	}
	off, err := c.e.cfg.Lamp(ctx, c.visit.Asset)
	if err == nil {
		c.dark = off
	}
	return err
}

// darken puts the lamp out. It is called with opening held.
func (c *Conn) darken() {
	if c.dark != nil {
		c.dark()
		c.dark = nil
	}
}

// reach dials the device and logs in, which passes the gate like all that goes there: a
// freeze cuts it off and waits for it, an end does as well, and neither lets it begin.
func (c *Conn) reach(ctx context.Context, s *liveSession, dial func(context.Context) (Device, error)) (d Device, err error) {
	within, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	c.mu.Lock()
	c.state.dialling = cancel
	c.mu.Unlock()
	pass := s.gate.Try
	if s.mayLook(c.protocol) {
		pass = s.gate.look
	}
	err = pass(func() (err error) {
		if d, err = dial(within); err == nil && within.Err() != nil {
			err = errors.Join(within.Err(), d.Close())
		}
		return err
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.dialling = nil
	if err != nil && ctx.Err() == nil && len(s.gate.frozen()) > 0 {
		err = s.notWorking()
	}
	return d, err
}

// noDevice tells the hospital why a device was not opened; nil where that is nobody's fault.
func (c *Conn) noDevice(err error) *link.NoDevice {
	var e *session.Error
	if errors.Is(err, ErrOver) || errors.Is(err, errFrozen) || errors.Is(err, context.Canceled) {
		return nil
	}
	if !errors.As(err, &e) {
		e = &session.Error{Message: Words(err)}
	}
	return &link.NoDevice{Service: c.visit.Service, At: c.e.cfg.Now().UTC(), Message: wording.Sentence(wording.Line(e.Message, maxWords)), Next: wording.Line(e.Next, maxWords)}
}

// Parted tells the hospital why a device that was open ended the connection, where it said so.
func (c *Conn) Parted(err error) {
	c.mu.Lock()
	s := c.state.session
	c.mu.Unlock()
	if no := c.noDevice(err); s != nil && no != nil {
		s.dialled(no)
	}
}

// record begins the recording of the device connection that is about to be made.
func (c *Conn) record(s *liveSession, t *Ticket) (*tap, error) {
	id, now := session.NewID().Recording(), c.e.cfg.Now().UTC().Truncate(time.Microsecond)
	recorder, err := c.e.cfg.Recordings(recordings.Header{
		Recording: id, Session: t.ID.Session(), Request: t.Request, GrantHash: t.GrantHash,
		Site: c.e.cfg.Site, Agent: c.e.cfg.Agent,
		Asset: c.visit.Asset, Service: c.visit.Service, Protocol: c.protocol,
		Engineer: t.Engineer, Approvers: t.Approvers, WorkOrder: t.WorkOrder, Started: now,
	}, c.e.picture(c.protocol, t))
	if err != nil {
		no := &session.Error{Kind: session.Unreachable, Message: "The session cannot be recorded, so it was not opened.",
			Next: "Tell the hospital to look at the disk of its agent.", Err: err}
		if why := (*session.Error)(nil); errors.As(err, &why) && why.Kind == session.Refused {
			no.Message, no.Next = no.Message+" "+why.Message, why.Next
		}
		return nil, no
	}
	tap := &tap{id: id, recorder: recorder, passed: c.touch, lost: func(err error) {
		c.log.Error("recorder lost", "session", s.id.Session(), "err", err)
		words := wording.Farewell(session.RecorderLost)
		if why := (*session.Error)(nil); errors.As(err, &why) && why.Kind == session.Refused {
			words = unrecordedWords + " " + Words(why)
		}
		s.endSaying(session.RecorderLost, words)
	}}
	s.recording(link.RecordingReport{Recording: id, Service: c.visit.Service, Protocol: c.protocol, Started: now})
	if c.visit.Peer != "" {
		_ = tap.note(session.Note{Kind: session.NoteConnected, From: c.visit.Peer, Text: "The engineer connected from " + c.visit.Peer + ", as the broker says."})
	}
	if n, some := c.Watchers(); some {
		_ = tap.note(session.Note{Kind: session.NoteWatching, By: strings.Join(n.People, ", "), Text: n.Text})
	}
	if !t.Consent.IsZero() {
		_ = tap.note(session.Note{Kind: session.NoteConsent, By: t.Consent.By, Text: t.Consent.Words()})
	}
	if m, some := s.modality(); some {
		_ = tap.note(m.note())
	}
	c.refused.to(tap)
	return tap, nil
}

// joined makes the device the connection's, unless that was stopped in the meantime.
func (c *Conn) joined(ctx context.Context, d Device, tap *tap) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.stopped {
		_ = d.Close()
		return ErrOver
	}
	c.state.device, c.state.tap = d, tap
	c.work.Go(func() { c.watch(ctx, d, tap) })
	return nil
}

// watch ends the connection when the device is gone, and the session when the recorder
// is lost while nothing flows.
func (c *Conn) watch(ctx context.Context, d Device, tap *tap) {
	var lost <-chan struct{}
	if r, ok := tap.recorder.(interface{ Lost() <-chan struct{} }); ok {
		lost = r.Lost()
	}
	select {
	case <-ctx.Done():
	case <-lost:
		tap.fail(errRecorder)
	case <-d.Gone():
		c.Stop(session.DeviceClosed, wording.Farewell(session.DeviceClosed))
	}
}

// whyNot is the reason for sealing a recording whose device never came.
func (c *Conn) whyNot() session.EndReason {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.stopped {
		return c.state.reason
	}
	return session.Failed
}

// seal closes a recording; nothing is recorded after.
func (c *Conn) seal(tap *tap, reason session.EndReason) {
	if n := c.refused.more(); n > 0 {
		_ = tap.note(session.Note{Kind: session.NoteRefused, Count: n, Text: fmt.Sprintf("%d more requests were refused.", n)})
	}
	c.refused.to(nil)
	tap.failed.Store(true)
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("recorder panicked in closing", "err", p)
		}
	}()
	if err := tap.recorder.Close(reason); err != nil {
		c.log.Error("recording not closed", "err", err)
	}
}
