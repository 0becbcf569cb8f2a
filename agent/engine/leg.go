package engine

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/terminal"
)

// leg is the device side of a connection: one login, one recording.
type leg struct {
	client  *gossh.Client
	tap     *tap
	gone    chan struct{} // closed when the device hung up
	streams atomic.Uint32 // channel and file numbers given out
}

// channel opens a session channel on the device. x/crypto never answers for a channel
// that is opened at the very moment in which its connection dies, so the wait for the
// answer ends with the connection.
func (l *leg) channel() (gossh.Channel, <-chan *gossh.Request, error) {
	type answer struct {
		ch   gossh.Channel
		reqs <-chan *gossh.Request
		err  error
	}
	got := make(chan answer, 1)
	go func() { // ends with the answer; in the case above it is lost with the connection
		ch, reqs, err := l.client.OpenChannel("session", nil)
		got <- answer{ch, reqs, err}
	}()
	select {
	case a := <-got:
		return a.ch, a.reqs, a.err
	case <-l.gone:
		return nil, nil, session.Errorf(session.Unreachable, "The device closed the connection.")
	}
}

// open returns the connection's device leg; the first channel makes it: the session
// begins, then its recording, then the device is dialled. What fails leaves nothing
// half open, and the recording says why.
func (c *conn) open(p *permit) (*leg, error) {
	c.opening.Lock()
	defer c.opening.Unlock()
	c.mu.Lock()
	l, s, stopped := c.state.leg, c.state.session, c.state.stopped
	c.mu.Unlock()
	if stopped || s == nil || s.id != p.id {
		return nil, errOver
	}
	if len(s.gate.frozen()) > 0 {
		return nil, errFrozen
	}
	if l != nil {
		return l, nil
	}
	facts, err := c.e.rights.begin(p, c.e.cfg.Now())
	if err != nil {
		return nil, err
	}
	if err := s.opened(facts, c.service); err != nil {
		return nil, err
	}
	l = &leg{gone: make(chan struct{})}
	if l.tap, err = c.record(s, p); err != nil {
		return nil, err
	}
	if l.client, err = c.dial(p); err == nil {
		err = c.joined(l)
	}
	if err != nil {
		_ = l.tap.note(session.Note{Kind: session.NoteDevice, Text: "No device connection: " + words(err)})
		c.seal(l, c.whyNot())
		c.log.Warn("device not opened", "session", s.id.Session(), "err", err)
		return nil, err
	}
	return l, nil
}

// record begins the recording of the device connection that is about to be made.
func (c *conn) record(s *liveSession, p *permit) (*tap, error) {
	id, now := session.NewID().Recording(), c.e.cfg.Now().UTC().Truncate(time.Microsecond)
	recorder, err := c.e.cfg.Recordings(recordings.Header{
		Recording: id, Session: p.id.Session(), Request: p.request, GrantHash: p.grantHash,
		Site: c.e.cfg.Site, Agent: session.Fingerprint(c.e.cfg.Identity.Public().(ed25519.PublicKey)),
		Asset: c.asset, Service: c.service, Protocol: session.SSH,
		Engineer: p.engineer, Approvers: p.approvers, WorkOrder: p.workOrder, Started: now,
	})
	if err != nil {
		return nil, &session.Error{Kind: session.Unreachable, Message: "The session cannot be recorded, so it was not opened.",
			Next: "Tell the hospital to look at the disk of its agent.", Err: err}
	}
	t := &tap{id: id, recorder: recorder, passed: c.touch, lost: func(err error) {
		c.log.Error("recorder lost", "session", s.id.Session(), "err", err)
		s.end(session.RecorderLost)
	}}
	s.recording(link.RecordingReport{Recording: id, Service: c.service, Started: now})
	if c.peer != "" {
		_ = t.note(session.Note{Kind: session.NoteConnected, From: c.peer, Text: "The engineer connected from " + c.peer + ", as the broker says."})
	}
	c.refused.to(t)
	return t, nil
}

// dial logs in to the device; the end of the connection ends that too.
func (c *conn) dial(p *permit) (*gossh.Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	c.mu.Lock()
	c.state.abort = cancel
	stopped := c.state.stopped
	c.mu.Unlock()
	if stopped {
		return nil, errOver
	}
	defer func() {
		c.mu.Lock()
		c.state.abort = nil
		c.mu.Unlock()
	}()
	return c.e.rights.dial(ctx, p, c.service)
}

// joined makes the leg the connection's, unless that was stopped in the meantime.
func (c *conn) joined(l *leg) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.stopped {
		_ = l.client.Close()
		return errOver
	}
	c.state.leg = l
	c.work.Go(func() { _ = l.client.Wait(); close(l.gone) })
	c.work.Go(func() { c.watchDevice(l) })
	return nil
}

// watchDevice ends the connection when the device hung up and all it said has been
// passed on, and the session when the recorder is lost while nothing flows.
func (c *conn) watchDevice(l *leg) {
	var lost <-chan struct{}
	if r, ok := l.tap.recorder.(interface{ Lost() <-chan struct{} }); ok {
		lost = r.Lost()
	}
	select {
	case <-c.over:
		return
	case <-lost:
		l.tap.fail(errRecorder)
		return
	case <-l.gone:
	}
	c.mu.Lock()
	relays := keys(c.state.relays)
	c.mu.Unlock()
	for _, r := range relays {
		select {
		case <-r.Relayed():
		case <-c.over:
			return
		}
	}
	c.stop(session.DeviceClosed, lastWords(session.DeviceClosed))
}

// whyNot is the reason for sealing a recording whose device never came.
func (c *conn) whyNot() session.EndReason {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.stopped {
		return c.state.reason
	}
	return session.Failed
}

// seal closes a recording; nothing is recorded after.
func (c *conn) seal(l *leg, reason session.EndReason) {
	if n := c.refused.more(); n > 0 {
		_ = l.tap.note(session.Note{Kind: session.NoteRefused, Count: n, Text: fmt.Sprintf("%d more requests were refused.", n)})
	}
	c.refused.to(nil)
	l.tap.failed.Store(true)
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("recorder panicked in closing", "err", p)
		}
	}()
	if err := l.tap.recorder.Close(reason); err != nil {
		c.log.Error("recording not closed", "err", err)
	}
}

// channel serves one session channel of the engineer's client.
func (c *conn) channel(sc *gossh.ServerConn, nc gossh.NewChannel) {
	if !c.enter() {
		_ = nc.Reject(gossh.Prohibited, "connection is closing")
		return
	}
	defer c.leave()
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in channel", "err", p, "stack", string(debug.Stack()))
			c.stop(session.Failed, lastWords(session.Failed))
		}
	}()
	p, ok := proven(sc)
	if !ok {
		c.reject(nc, gossh.Prohibited, "This connection proved no key.")
		return
	}
	if !c.takeChannel() {
		c.refused.add("channel session", "too many")
		c.reject(nc, gossh.ResourceShortage, fmt.Sprintf("A connection has at most %d channels.", maxChannels))
		return
	}
	defer c.giveChannel()
	l, err := c.open(p)
	if err != nil {
		c.reject(nc, gossh.ConnectionFailed, words(err))
		return
	}
	engineer, requests, err := nc.Accept()
	if err != nil {
		return
	}
	r := terminal.New(engineer, c.relayConfig(p, l, c.over))
	if !c.add(r) {
		why := c.whyNot()
		r.Say(session.Note{Kind: session.NoteEnded, Reason: why, Text: lastWords(why)}, farewellTime)
		r.Hangup()
	}
	defer c.remove(r)
	r.Run(requests)
}

// relayConfig is for one channel. What waits at its gate gives up when gone is closed.
func (c *conn) relayConfig(p *permit, l *leg, gone <-chan struct{}) terminal.Config {
	s := c.sessionOf()
	stream, way := l.streams.Add(1), connGate{&s.gate, gone}
	return terminal.Config{
		Recorder: l.tap.channelRecorder(), Gate: way, Stream: stream, May: p.may,
		Device: l.channel,
		Files: func(engineer gossh.Channel) error {
			return files.Serve(engineer, files.Config{
				Recorder: l.tap.channelRecorder(), Gate: way, Stream: stream,
				Device: l.channel, Next: func() uint32 { return l.streams.Add(1) },
				In: p.may(session.FilesIn), Out: p.may(session.FilesOut), Refused: c.refused.add,
			})
		},
		Refused: c.refused.add, Over: c.stopped,
		Parting: func() string {
			select {
			case <-l.gone:
				return lastWords(session.DeviceClosed)
			case <-time.After(50 * time.Millisecond):
				return ""
			}
		},
	}
}

func (c *conn) sessionOf() *liveSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.session
}

func (c *conn) takeChannel() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.channels >= maxChannels {
		return false
	}
	c.state.channels++
	return true
}

func (c *conn) giveChannel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.channels--
}

// add registers a relay for last words; false when the connection is ending.
func (c *conn) add(r *terminal.Relay) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.stopped {
		return false
	}
	c.state.relays[r] = struct{}{}
	return true
}

func (c *conn) remove(r *terminal.Relay) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.state.relays, r)
}
