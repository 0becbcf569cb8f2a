package shell

import (
	"context"
	"sync/atomic"
	"time"

	gossh "golang.org/x/crypto/ssh"

	devices "github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files"
	"github.com/sallyport/sallyport/session/held"
	"github.com/sallyport/sallyport/session/terminal"
	"github.com/sallyport/sallyport/session/wording"
)

// device is the SSH connection to a device.
type device struct {
	ssh     *devices.SSH
	passes  func(variable string) bool
	hung    chan struct{} // closed when the device hung up
	gone    chan struct{} // closed when all that it said is passed on, too
	streams atomic.Uint32 // channel and file numbers given out
	share   *held.Share   // of what the session's files hold
	room    func(was, now int) bool
	stage   *stage // where its shells can be watched
}

// dial logs in to the device of a ticket, for a connection on which runs what runs.
func (l *Line) dial(t *engine.Ticket, service string, c *engine.Conn, on interface {
	join(*device)
	drain()
}) func(context.Context) (engine.Device, error) {
	return func(ctx context.Context) (engine.Device, error) {
		ssh, err := l.cfg.Devices.DialSSH(ctx, t.Admitted, service)
		if err != nil {
			return nil, err
		}
		d := &device{
			ssh: ssh, passes: func(v string) bool { return l.cfg.Devices.Passes(t.Asset, service, v) },
			hung: make(chan struct{}), gone: make(chan struct{}), share: l.held.By(ownerOf(t)), room: l.room(t),
		}
		var leave func()
		d.stage, leave = l.stage(place{t.ID, service})
		on.join(d)
		if !c.Go(func() {
			defer leave()
			ssh.Wait()
			close(d.hung)
			on.drain()
			close(d.gone)
		}) {
			leave()
		}
		return d, nil
	}
}

func (d *device) Gone() <-chan struct{} { return d.gone }

// Release has nothing to let go of: a shell holds no key down.
func (d *device) Release() error { return nil }

func (d *device) Close() error { return d.ssh.Close() }

// channel opens a session channel on the device. x/crypto never answers for a channel
// that is opened at the very moment in which its connection dies, so the wait for the
// answer ends with the connection. What passes the gate with it may be sent on it.
func (d *device) channel(gate engine.Gate) (gossh.Channel, <-chan *gossh.Request, error) {
	type answer struct {
		ch   gossh.Channel
		reqs <-chan *gossh.Request
		err  error
	}
	got := make(chan answer, 1)
	go func() { // ends with the answer; in the case above it is lost with the connection
		ch, reqs, err := d.ssh.Open(gate.Held)
		got <- answer{ch, reqs, err}
	}()
	select {
	case a := <-got:
		return a.ch, a.reqs, a.err
	case <-d.hung:
		return nil, nil, session.Errorf(session.Unreachable, "The device closed the connection.")
	}
}

// relayConfig is for one channel of a connection. What waits at its gate gives up when
// gone is closed, or the device hung up.
func relayConfig(gone <-chan struct{}, c *engine.Conn, t *engine.Ticket, d *device) terminal.Config {
	stream, gate := d.streams.Add(1), c.Gate(gone, d.hung)
	return terminal.Config{
		Recorder: &seen{Recorder: c.Recorder(), stage: d.stage, room: d.room}, Gate: gate, Stream: stream, May: t.May, Passes: d.passes,
		Device: func() (gossh.Channel, <-chan *gossh.Request, error) { return d.channel(gate) },
		Files: func(engineer gossh.Channel) error {
			return files.Serve(engineer, filesConfig(gone, c, t, d, stream))
		},
		Refused: c.Refuse, Over: c.Stopped,
		Parting: func() string {
			select {
			case <-d.hung:
				return wording.Farewell(session.DeviceClosed)
			case <-time.After(50 * time.Millisecond):
				return ""
			}
		},
	}
}

// filesConfig is for one transfer of files on a connection, as relayConfig.
func filesConfig(gone <-chan struct{}, c *engine.Conn, t *engine.Ticket, d *device, stream uint32) files.Config {
	gate := c.Gate(gone, d.hung)
	return files.Config{
		Recorder: c.Recorder(), Gate: gate, Stream: stream,
		Device: func() (gossh.Channel, <-chan *gossh.Request, error) { return d.channel(gate) },
		Next:   func() uint32 { return d.streams.Add(1) },
		In:     t.May(session.FilesIn), Out: t.May(session.FilesOut), Refused: c.Refuse, Share: d.share,
	}
}
