package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Gate decides whether something of the engineer may go to the device now. Pass
// runs send while the gate is held open, or returns why it is shut. Everything
// that reaches the device - data, end of file, resize, signals, requests - passes it.
//
// While the session is frozen, Pass waits for the thaw and Try fails: the client's
// requests must go on being read, or its connection would stand still and with it
// the device's output.
type Gate interface {
	Pass(send func() error) error
	Try(send func() error) error
}

// Engineer is the engineer's side of a relay.
type Engineer interface {
	// Output passes on what the device said, as session.Output or session.ErrorOutput.
	Output(kind session.EventKind, p []byte) error
	// EndOutput says that no output follows; how it ended is still to come.
	EndOutput()
	// Say shows a word of ours, and gives up when that is still blocked after a time.
	Say(words string, within time.Duration)
	// Leave tells how it ended, nil when the device did not say, and closes this side.
	Leave(x *session.ExitStatus)
}

// Config says what one relay may do and where its record goes.
type Config struct {
	Recorder session.Recorder
	Gate     Gate
	Stream   uint32 // the channel's number within the recording
	// May reports whether a channel is granted.
	May func(session.Channel) bool
	// Passes reports whether the device may be told of a variable of this name.
	Passes func(variable string) bool
	// Device opens one session channel on the device's connection.
	Device func() (ssh.Channel, <-chan *ssh.Request, error)
	// Files serves sftp on an engineer's SSH channel until its client is done.
	Files func(engineer ssh.Channel) error
	// Refused puts on record what the engineer asked for and did not get.
	Refused func(what, detail string)
	// Over reports whether someone ended the session: whoever did says the last
	// words and closes the connections, the relay just stops.
	Over func() bool
	// Parting is what to tell the engineer when the device ended a channel without
	// an exit status; empty for nothing.
	Parting func() string
}

// Relay is a shell or a command on the device, and the engineer who works there. What
// the engineer asks for comes from one goroutine; input and sizes may come from another.
type Relay struct {
	cfg      Config
	engineer Engineer
	device   ssh.Channel
	requests <-chan *ssh.Request // of the device's channel
	pty      *Pty
	env      []variable // for what is started
	started  bool
	recorded bool // ChannelOpened is on record
	deaf     atomic.Bool
	resizes  resizes
	work     sync.WaitGroup
	relayed  chan struct{}
}

// New makes a relay for an engineer. Close must be called in the end.
func New(engineer Engineer, cfg Config) *Relay {
	return &Relay{cfg: cfg, engineer: engineer, relayed: make(chan struct{})}
}

// Close cuts the device's channel off and waits for everything that was started.
func (r *Relay) Close() {
	if r.device != nil {
		_ = r.device.Close()
	}
	r.work.Wait()
	if !r.started {
		r.finished()
	}
}

// Relayed is closed when everything that the device sent has been passed on.
func (r *Relay) Relayed() <-chan struct{} { return r.relayed }

func (r *Relay) finished() {
	if r.recorded {
		_ = r.record(session.ChannelClosed, nil)
	}
	close(r.relayed)
}

// Reply answers what an engineer asked for, before anything follows from it.
type Reply func(ok bool)

// Refuse answers no and puts it on record.
func (r *Relay) Refuse(reply Reply, what, detail string) {
	r.cfg.Refused(what, wording.Line(detail, 200))
	reply(false)
}

// deny refuses what the engineer came for, says why, and ends the channel. The
// request itself is answered "yes", with exit status 1 to follow: OpenSSH shows
// nothing but "request failed" otherwise.
func (r *Relay) deny(reply Reply, what, detail, words string) {
	r.cfg.Refused(what, wording.Line(detail, 200))
	reply(true)
	r.started = true
	r.work.Go(func() {
		defer r.finished()
		r.Say(session.Note{Kind: session.NoteSaid, Text: words}, time.Second)
		r.leave(&session.ExitStatus{Status: 1})
	})
}

// Pty asks the device for a terminal.
func (r *Relay) Pty(p Pty, reply Reply) {
	switch {
	case r.started || r.pty != nil:
		r.Refuse(reply, "pty-req", "too late")
		return
	case !r.cfg.May(session.Shell) && !r.cfg.May(session.Exec):
		// Answered yes, although nothing was done: OpenSSH gives up on a no here, and
		// would never read the words that answer its shell request.
		r.cfg.Refused("pty-req", "neither shell nor exec is granted")
		reply(true)
		return
	}
	ok, err := r.ask("pty-req", ssh.Marshal(p), func() error {
		return r.record(session.Marker, session.Note{Kind: session.NoteTerminal, Text: p.note()})
	})
	if ok {
		r.pty = &p
	}
	reply(ok && err == nil)
}

// Variable keeps a variable for what will be started.
func (r *Relay) Variable(name, value string, reply Reply) {
	switch {
	case r.started:
		r.Refuse(reply, "env "+name, "too late")
	case !r.cfg.Passes(name):
		r.Refuse(reply, "env "+name, "")
	case len(r.env) >= maxVariables:
		r.Refuse(reply, "env "+name, "too many")
	default:
		r.env = append(r.env, variable{name, value})
		reply(true)
	}
}

// Deafen passes on that the engineer's client takes no more output (OpenSSH's PROTOCOL,
// 2.1). What the device still says goes nowhere, and so is not on record.
func (r *Relay) Deafen() {
	if r.device == nil || !r.started || r.deaf.Swap(true) {
		return
	}
	r.work.Go(func() {
		_ = guarded(func() error {
			return r.cfg.Gate.Pass(func() error {
				return r.request(endOfWrite, nil, func() error {
					return r.record(session.Marker, session.Note{Kind: session.NoteDeaf, Text: "The engineer's client reads no more output."})
				})
			})
		})
	})
}

// Resize gives the terminal another size, now or after a thaw.
func (r *Relay) Resize(size session.WindowSize, reply Reply) {
	if r.pty == nil {
		r.Refuse(reply, "window-change", "no terminal")
		return
	}
	r.NextSize(size)
	r.SendSize()
	reply(true)
}

// Signal sends a signal to what runs.
func (r *Relay) Signal(name string, reply Reply) {
	if r.device == nil || !r.started {
		r.Refuse(reply, "signal", "nothing is running")
		return
	}
	err := r.cfg.Gate.Try(func() error {
		return r.request("signal", ssh.Marshal(oneString{name}), func() error {
			return r.cfg.Recorder.Record(session.Event{Kind: session.Signal, Stream: r.cfg.Stream, Data: []byte(name)})
		})
	})
	if err != nil {
		r.Refuse(reply, "signal", "did not pass")
		return
	}
	reply(true)
}

// Shell starts a shell; true when one runs, and input may follow.
func (r *Relay) Shell(reply Reply) bool {
	switch {
	case r.started:
		r.Refuse(reply, "shell", "something is running already")
	case !r.cfg.May(session.Shell):
		r.deny(reply, "shell", "not granted", "This grant does not include a shell. "+r.instead("Request the shell channel to get one."))
	default:
		return r.start(reply, session.ChannelOpen{Type: session.Shell}, "")
	}
	return false
}

// Exec starts a command; true when it runs, and input may follow.
func (r *Relay) Exec(command string, reply Reply) bool {
	files := r.cfg.May(session.FilesIn) || r.cfg.May(session.FilesOut)
	way := rsyncServer(command)
	switch {
	case r.started:
		r.Refuse(reply, "exec", "something is running already")
	case oldSCP(command):
		r.deny(reply, "exec", command, noSCP(files))
	case way != "" && !(r.cfg.May(session.Exec) && r.cfg.May(way)):
		r.deny(reply, "exec", command, r.noRsync(way))
	case r.cfg.May(session.Exec):
		return r.start(reply, commandOpen(command), command)
	default:
		r.deny(reply, "exec", command, "This grant does not include running commands. "+r.instead("Request the exec channel to run them."))
	}
	return false
}

// sftp runs serve as the engineer's file transfer.
func (r *Relay) sftp(reply Reply, serve func() error) {
	kind := session.FilesOut
	switch {
	case r.cfg.May(session.FilesIn):
		kind = session.FilesIn
	case !r.cfg.May(session.FilesOut):
		r.deny(reply, "subsystem sftp", "not granted", "This grant does not include file transfer. Request it with --files in,out.")
		return
	}
	if err := r.record(session.ChannelOpened, session.ChannelOpen{Type: kind, Command: "sftp"}); err != nil {
		reply(false)
		return
	}
	r.recorded, r.started = true, true
	reply(true)
	r.work.Go(func() {
		defer r.finished()
		status := session.ExitStatus{}
		if err := guarded(serve); err != nil {
			status.Status = 1
			var plain *session.Error
			if errors.As(err, &plain) {
				r.Say(session.Note{Kind: session.NoteSaid, Text: plain.Message + " " + plain.Next}, time.Second)
			}
		}
		r.leave(&status)
	})
}

// start asks the device for a shell or a command and begins to relay it.
func (r *Relay) start(reply Reply, open session.ChannelOpen, command string) bool {
	var payload []byte
	if open.Type == session.Exec {
		payload = ssh.Marshal(oneString{command})
	}
	if r.pty != nil {
		open.Term, open.Cols, open.Rows = r.pty.Term, r.pty.Cols, r.pty.Rows
	}
	ok, err := r.ask(string(open.Type), payload, func() error { return r.opened(open, command) })
	var shut *session.Error
	switch {
	case errors.As(err, &shut) && shut.Kind == session.Refused:
		r.deny(reply, string(open.Type), "not started", shut.Message+" "+shut.Next)
	case err != nil:
		r.deny(reply, string(open.Type), "not started", "The device opened no channel for it. Close other sessions of this connection, or try again.")
	case !ok:
		r.deny(reply, string(open.Type), "the device refused", "The device refused to start it. Ask the hospital whether its login may do this.")
	default:
		r.started = true
		reply(true)
		r.pump()
		return true
	}
	return false
}

// opened puts on record what begins, and tells the device the variables of it.
func (r *Relay) opened(open session.ChannelOpen, command string) error {
	if err := r.record(session.ChannelOpened, open); err != nil {
		return err
	}
	r.recorded = true
	for rest := []byte(command); open.Bytes > 0 && len(rest) > 0; {
		n := min(len(rest), session.MaxEventData)
		if err := r.cfg.Recorder.Record(session.Event{Kind: session.CommandLine, Stream: r.cfg.Stream, Data: rest[:n]}); err != nil {
			return err
		}
		rest = rest[n:]
	}
	for _, v := range r.env {
		err := r.request("env", ssh.Marshal(v), func() error {
			return r.record(session.Marker, session.Note{Kind: session.NoteVariable, Text: v.Name + "=" + v.Value})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ask sends the device a request that it answers, recorded first. The first one opens
// the device's channel, so that what is refused never costs the device anything.
func (r *Relay) ask(kind string, payload []byte, record func() error) (ok bool, err error) {
	err = r.cfg.Gate.Try(func() error {
		if r.device == nil {
			device, requests, err := r.cfg.Device()
			if err != nil {
				return fmt.Errorf("open a session channel on the device: %w", err)
			}
			r.device, r.requests = device, requests
		}
		if err := record(); err != nil {
			return err
		}
		ok, err = r.device.SendRequest(kind, true, payload)
		return err
	})
	return ok, err
}

// request sends the device a request without an answer, recorded first.
func (r *Relay) request(kind string, payload []byte, record func() error) error {
	if err := record(); err != nil {
		return err
	}
	_, err := r.device.SendRequest(kind, false, payload)
	return err
}

// record puts one event with a JSON document on record; nil for none.
func (r *Relay) record(kind session.EventKind, document any) error {
	var data []byte
	if document != nil {
		var err error
		if data, err = json.Marshal(document); err != nil {
			return err
		}
	}
	return r.cfg.Recorder.Record(session.Event{Kind: kind, Stream: r.cfg.Stream, Data: data})
}

// Say tells the engineer something, on record first. Our own words go out even when the
// record of them is lost: they are how the engineer learns that it is.
func (r *Relay) Say(n session.Note, within time.Duration) {
	_ = r.record(session.Marker, n)
	r.engineer.Say(n.Text, within)
}

// leave tells how it ended and closes the engineer's side.
func (r *Relay) leave(x *session.ExitStatus) {
	if r.cfg.Over() {
		return
	}
	if x != nil && r.record(session.Exit, *x) != nil {
		x = nil
	}
	r.engineer.Leave(x)
}

// guarded turns a panic over foreign bytes into an error.
func guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in relay: %v", p)
		}
	}()
	return do()
}
