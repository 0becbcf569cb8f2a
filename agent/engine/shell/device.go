package shell

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files"
	"github.com/sallyport/sallyport/session/terminal"
	"github.com/sallyport/sallyport/session/wording"
)

// device is the SSH connection to a device.
type device struct {
	client  *gossh.Client
	hung    chan struct{} // closed when the device hung up
	gone    chan struct{} // closed when all that it said is passed on, too
	streams atomic.Uint32 // channel and file numbers given out
}

// dial logs in to the device of a ticket, for a connection on which runs what runs.
func (l *Line) dial(t *engine.Ticket, service string, c *engine.Conn, on *channels) func(context.Context) (engine.Device, error) {
	return func(ctx context.Context) (engine.Device, error) {
		client, err := l.cfg.Devices.DialSSH(ctx, t.Admitted, service)
		if err != nil {
			return nil, err
		}
		d := &device{client: client, hung: make(chan struct{}), gone: make(chan struct{})}
		on.on(d)
		c.Go(func() {
			_ = client.Wait()
			close(d.hung)
			on.drain()
			close(d.gone)
		})
		return d, nil
	}
}

func (d *device) Gone() <-chan struct{} { return d.gone }

// Release has nothing to let go of: a shell holds no key down.
func (d *device) Release() error { return nil }

func (d *device) Close() error { return d.client.Close() }

// channel opens a session channel on the device. x/crypto never answers for a channel
// that is opened at the very moment in which its connection dies, so the wait for the
// answer ends with the connection.
func (d *device) channel() (gossh.Channel, <-chan *gossh.Request, error) {
	type answer struct {
		ch   gossh.Channel
		reqs <-chan *gossh.Request
		err  error
	}
	got := make(chan answer, 1)
	go func() { // ends with the answer; in the case above it is lost with the connection
		ch, reqs, err := d.client.OpenChannel("session", nil)
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
// gone is closed.
func relayConfig(gone <-chan struct{}, c *engine.Conn, t *engine.Ticket, d *device) terminal.Config {
	stream := d.streams.Add(1)
	return terminal.Config{
		Recorder: c.Recorder(), Gate: c.Gate(gone), Stream: stream, May: t.May,
		Device: d.channel,
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
	return files.Config{
		Recorder: c.Recorder(), Gate: c.Gate(gone), Stream: stream,
		Device: d.channel, Next: func() uint32 { return d.streams.Add(1) },
		In: t.May(session.FilesIn), Out: t.May(session.FilesOut), Refused: c.Refuse,
	}
}

// channels are what runs on one connection: shells, commands, transfers.
type channels struct {
	mu      sync.Mutex
	count   int // open, or being opened
	running map[*terminal.Relay]struct{}
	device  *device
	over    bool
	reason  session.EndReason
	words   string // the last, for who comes late
}

// take counts a channel in, unless there are too many; give counts it out.
func (r *channels) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count >= maxChannels {
		return false
	}
	r.count++
	return true
}

func (r *channels) give() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count--
}

// run serves a relay's requests to their end, or hangs up with the last words where
// these were said already.
func (r *channels) run(relay *terminal.Relay, requests <-chan *gossh.Request) {
	r.mu.Lock()
	over, reason, words := r.over, r.reason, r.words
	if !over {
		if r.running == nil {
			r.running = map[*terminal.Relay]struct{}{}
		}
		r.running[relay] = struct{}{}
	}
	r.mu.Unlock()
	if over {
		if words != "" {
			relay.Say(session.Note{Kind: session.NoteEnded, Reason: reason, Text: words}, farewellTime)
		}
		relay.Hangup()
	}
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.running, relay)
	}()
	relay.Run(requests)
}

func (r *channels) all() []*terminal.Relay {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list()
}

func (r *channels) list() []*terminal.Relay {
	out := make([]*terminal.Relay, 0, len(r.running))
	for relay := range r.running {
		out = append(out, relay)
	}
	return out
}

// end lets nothing begin any more and returns what runs.
func (r *channels) end(reason session.EndReason, words string) []*terminal.Relay {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over, r.reason, r.words = true, reason, words
	return r.list()
}

func (r *channels) on(d *device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.device = d
}

// whoLeft is the reason for a connection that nobody ended. An engineer's client goes as
// soon as it hears that the device went, and is often faster than we are.
func (r *channels) whoLeft() session.EndReason {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.device != nil {
		select {
		case <-r.device.hung:
			return session.DeviceClosed
		default:
		}
	}
	return session.Completed
}

// drain waits until all that the device said has been passed on.
func (r *channels) drain() {
	for _, relay := range r.all() {
		<-relay.Relayed()
	}
}
