package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
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

// Config says what one relay may do and where its record goes.
type Config struct {
	Recorder session.Recorder
	Gate     Gate
	Stream   uint32 // the channel's number within the recording
	// May reports whether a channel is granted.
	May func(session.Channel) bool
	// Device opens one session channel on the device's connection.
	Device func() (ssh.Channel, <-chan *ssh.Request, error)
	// Files serves sftp on the engineer's channel until its client is done.
	Files func(engineer ssh.Channel) error
	// Refused puts on record what the engineer's client asked for and did not get.
	Refused func(what, detail string)
	// Said tells the engineer a word of ours, which is on record then; nil: on their
	// standard error.
	Said func(line string)
	// Over reports whether someone ended the session: whoever did says the last
	// words and closes the connections, the relay just stops.
	Over func() bool
	// Parting is what to tell the engineer when the device ended a channel without
	// an exit status; empty for nothing.
	Parting func() string
}

// Relay is one engineer's session channel and what it started on the device.
type Relay struct {
	cfg      Config
	engineer ssh.Channel
	// voice is held while something writes to the engineer's standard error or
	// closes their channel's sending half; x/crypto wants one writer at a time.
	voice    chan struct{}
	device   ssh.Channel
	requests <-chan *ssh.Request // of the device's channel
	pty      *ptyRequest
	started  bool
	recorded bool // ChannelOpened is on record
	resizes  resizes
	work     sync.WaitGroup
	relayed  chan struct{}
}

// New makes the relay of an accepted session channel.
func New(engineer ssh.Channel, cfg Config) *Relay {
	return &Relay{cfg: cfg, engineer: engineer, voice: make(chan struct{}, 1), relayed: make(chan struct{})}
}

// Run serves the channel's requests until the engineer's side of it is closed and
// everything it started has ended.
func (r *Relay) Run(requests <-chan *ssh.Request) {
	for req := range requests {
		r.handle(req)
	}
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

func (r *Relay) handle(req *ssh.Request) {
	switch req.Type {
	case "pty-req":
		r.handlePty(req)
	case "window-change":
		r.handleWindow(req)
	case "signal":
		r.handleSignal(req)
	case "shell":
		r.handleShell(req)
	case "exec":
		r.handleExec(req)
	case "subsystem":
		r.handleSubsystem(req)
	default:
		detail := ""
		if req.Type == "env" {
			detail = envName(req.Payload)
		}
		r.refuse(req, wording.Line(req.Type, 64), detail)
	}
}

// refuse answers no and puts it on record.
func (r *Relay) refuse(req *ssh.Request, what, detail string) {
	r.cfg.Refused(what, wording.Line(detail, 200))
	_ = req.Reply(false, nil)
}

// deny refuses what the engineer came for, says why, and ends the channel. The
// request itself is answered "yes", with exit status 1 to follow: OpenSSH shows
// nothing but "request failed" otherwise.
func (r *Relay) deny(req *ssh.Request, what, detail, words string) {
	r.cfg.Refused(what, wording.Line(detail, 200))
	_ = req.Reply(true, nil)
	r.started = true
	r.work.Go(func() {
		defer r.finished()
		r.Say(session.Note{Kind: session.NoteSaid, Text: words}, time.Second)
		r.leave(&session.ExitStatus{Status: 1})
	})
}

func (r *Relay) handlePty(req *ssh.Request) {
	p, err := parsePty(req.Payload)
	switch {
	case err != nil:
		r.refuse(req, "pty-req", err.Error())
		return
	case r.started || r.pty != nil:
		r.refuse(req, "pty-req", "too late")
		return
	case !r.cfg.May(session.Shell) && !r.cfg.May(session.Exec):
		// Answered yes, although nothing was done: OpenSSH gives up on a no here, and
		// would never read the words that answer its shell request.
		r.cfg.Refused("pty-req", "neither shell nor exec is granted")
		_ = req.Reply(true, nil)
		return
	}
	ok, err := r.ask("pty-req", ssh.Marshal(p), func() error {
		return r.record(session.Marker, session.Note{Kind: session.NoteTerminal, Text: p.note()})
	})
	if ok {
		r.pty = &p
	}
	_ = req.Reply(ok && err == nil, nil)
}

func (r *Relay) handleWindow(req *ssh.Request) {
	size, err := parseWindow(req.Payload)
	if err != nil || r.pty == nil {
		r.refuse(req, "window-change", "no terminal")
		return
	}
	r.resize(size)
	_ = req.Reply(true, nil)
}

func (r *Relay) handleSignal(req *ssh.Request) {
	name, err := parseSignal(req.Payload)
	if err != nil || r.device == nil || !r.started {
		r.refuse(req, "signal", "nothing is running")
		return
	}
	err = r.tell("signal", ssh.Marshal(oneString{name}), func() error {
		return r.cfg.Recorder.Record(session.Event{Kind: session.Signal, Stream: r.cfg.Stream, Data: []byte(name)})
	})
	if err != nil {
		r.refuse(req, "signal", "did not pass")
		return
	}
	_ = req.Reply(true, nil)
}

func (r *Relay) handleShell(req *ssh.Request) {
	switch {
	case len(req.Payload) != 0 || r.started:
		r.refuse(req, "shell", "malformed, or something is running already")
	case !r.cfg.May(session.Shell):
		r.deny(req, "shell", "not granted", "This grant does not include a shell. "+r.instead("Request the shell channel to get one."))
	default:
		r.start(req, session.ChannelOpen{Type: session.Shell}, nil)
	}
}

func (r *Relay) handleExec(req *ssh.Request) {
	command, err := parseCommand(req.Payload)
	files := r.cfg.May(session.FilesIn) || r.cfg.May(session.FilesOut)
	switch {
	case r.started:
		r.refuse(req, "exec", "something is running already")
	case err != nil:
		r.deny(req, "exec", err.Error(), "The command was refused: the "+err.Error()+".")
	case oldSCP(command):
		r.deny(req, "exec", command, r.noSCP(files))
	case rsyncServer(command) != "" && !(r.cfg.May(session.Exec) && r.cfg.May(rsyncServer(command))):
		r.deny(req, "exec", command, r.noRsync(rsyncServer(command)))
	case r.cfg.May(session.Exec):
		r.start(req, session.ChannelOpen{Type: session.Exec, Command: command}, ssh.Marshal(oneString{command}))
	default:
		r.deny(req, "exec", command, "This grant does not include running commands. "+r.instead("Request the exec channel to run them."))
	}
}

// noSCP refuses scp's old protocol, which would pass files that are neither hashed
// nor listed.
func (r *Relay) noSCP(files bool) string {
	if files {
		return "This is scp's old protocol, whose files would not be listed. Use scp without -O, or sftp."
	}
	return "This is scp's old protocol. Request file transfer with --files in,out, then use scp without -O, or sftp."
}

// noRsync says what rsync lacks: it is a command that moves files.
func (r *Relay) noRsync(way session.Channel) string {
	if !r.cfg.May(session.Exec) {
		return "rsync runs a command on the device, and this grant does not include commands. " + r.instead("Request the exec channel for rsync.")
	}
	if way == session.FilesIn {
		return "rsync would copy files to the device, which this grant does not include. Request it with --files in."
	}
	return "rsync would copy files from the device, which this grant does not include. Request it with --files out."
}

func (r *Relay) handleSubsystem(req *ssh.Request) {
	var s oneString
	err := ssh.Unmarshal(req.Payload, &s)
	name := wording.Line(s.Value, 64)
	switch {
	case err != nil || r.started:
		r.refuse(req, "subsystem", "malformed, or something is running already")
	case s.Value != "sftp":
		r.refuse(req, "subsystem "+name, "")
	case !r.cfg.May(session.FilesIn) && !r.cfg.May(session.FilesOut):
		r.deny(req, "subsystem sftp", "not granted", "This grant does not include file transfer. Request it with --files in,out.")
	default:
		r.startFiles(req)
	}
}

// instead adds what the engineer can do with the channels there are.
func (r *Relay) instead(otherwise string) string {
	if r.cfg.May(session.FilesIn) || r.cfg.May(session.FilesOut) {
		return "It moves files: use scp or sftp. " + otherwise
	}
	return otherwise
}

// start asks the device for a shell or a command and begins to relay it.
func (r *Relay) start(req *ssh.Request, open session.ChannelOpen, payload []byte) {
	if r.pty != nil {
		open.Term, open.Cols, open.Rows = r.pty.Term, r.pty.Cols, r.pty.Rows
	}
	ok, err := r.ask(string(open.Type), payload, func() error {
		err := r.record(session.ChannelOpened, open)
		r.recorded = r.recorded || err == nil
		return err
	})
	var shut *session.Error
	switch {
	case errors.As(err, &shut) && shut.Kind == session.Refused:
		r.deny(req, string(open.Type), "not started", shut.Message+" "+shut.Next)
	case err != nil:
		r.deny(req, string(open.Type), "not started", "The device opened no channel for it. Close other sessions of this connection, or try again.")
	case !ok:
		r.deny(req, string(open.Type), "the device refused", "The device refused to start it. Ask the hospital whether its login may do this.")
	default:
		r.started = true
		_ = req.Reply(true, nil)
		r.pump()
	}
}

func (r *Relay) startFiles(req *ssh.Request) {
	kind := session.FilesOut
	if r.cfg.May(session.FilesIn) {
		kind = session.FilesIn
	}
	if err := r.record(session.ChannelOpened, session.ChannelOpen{Type: kind, Command: "sftp"}); err != nil {
		_ = req.Reply(false, nil)
		return
	}
	r.recorded, r.started = true, true
	_ = req.Reply(true, nil)
	r.work.Go(func() {
		defer r.finished()
		status := session.ExitStatus{}
		if err := guarded(func() error { return r.cfg.Files(r.engineer) }); err != nil {
			status.Status = 1
			var plain *session.Error
			if errors.As(err, &plain) {
				r.Say(session.Note{Kind: session.NoteSaid, Text: plain.Message + " " + plain.Next}, time.Second)
			}
		}
		r.leave(&status)
	})
}

// attach opens the device's channel when the first request needs it, so that what
// is refused never costs the device anything.
func (r *Relay) attach() error {
	if r.device != nil {
		return nil
	}
	device, requests, err := r.cfg.Device()
	if err != nil {
		return fmt.Errorf("open a session channel on the device: %w", err)
	}
	r.device, r.requests = device, requests
	return nil
}

// ask sends the device a request that it answers, recorded first.
func (r *Relay) ask(kind string, payload []byte, record func() error) (ok bool, err error) {
	err = r.cfg.Gate.Try(func() error {
		if err := r.attach(); err != nil {
			return err
		}
		if err := record(); err != nil {
			return err
		}
		ok, err = r.device.SendRequest(kind, true, payload)
		return err
	})
	return ok, err
}

// tell sends the device a request without an answer, recorded first.
func (r *Relay) tell(kind string, payload []byte, record func() error) error {
	return r.cfg.Gate.Try(func() error { return r.request(kind, payload, record) })
}

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

func envName(payload []byte) string {
	var kv struct{ Name, Value string }
	_ = ssh.Unmarshal(payload, &kv)
	return kv.Name
}
