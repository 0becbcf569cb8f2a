package terminal

import (
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Channel is an engineer who came by ssh: a session channel, whose requests (RFC 4254
// section 6) are read strictly and become what the relay does.
type Channel struct {
	relay *Relay
	files func(ssh.Channel) error
	ssh   ssh.Channel
	// voice is held while something writes to the engineer's standard error or
	// closes their channel's sending half; x/crypto wants one writer at a time.
	voice chan struct{}
	over  chan struct{}      // closed when no requests come any more
	typed chan chan struct{} // who has input to pass on, and waits for what was asked before it
}

// Accept makes the relay of an accepted session channel.
func Accept(engineer ssh.Channel, cfg Config) *Channel {
	c := &Channel{files: cfg.Files, ssh: engineer, voice: make(chan struct{}, 1), over: make(chan struct{}), typed: make(chan chan struct{})}
	c.relay = New(c, cfg)
	return c
}

// Run serves the channel's requests until the engineer's side of it is closed and
// everything it started has ended.
//
// Input keeps its order with the requests before it, a new window size for one: what
// came before some input waits in requests by the time that the input is read.
func (c *Channel) Run(requests <-chan *ssh.Request) {
	defer c.relay.Close()
	defer close(c.over)
	for {
		select {
		case req, more := <-requests:
			if !more {
				return
			}
			c.handle(req)
		case turn := <-c.typed:
			for n := len(requests); n > 0; n-- {
				if req, more := <-requests; more {
					c.handle(req)
				}
			}
			turn <- struct{}{}
		}
	}
}

// Relayed is closed when everything that the device sent has been passed on.
func (c *Channel) Relayed() <-chan struct{} { return c.relay.Relayed() }

// Tell says something on the channel, on record first.
func (c *Channel) Tell(n session.Note, within time.Duration) { c.relay.Say(n, within) }

// Hangup closes the engineer's channel from outside, after Tell for instance.
func (c *Channel) Hangup() { _ = c.ssh.Close() }

func (c *Channel) handle(req *ssh.Request) {
	var err error
	reply := func(ok bool) { _ = req.Reply(ok, nil) }
	switch req.Type {
	case endOfWrite:
		c.relay.Deafen()
		reply(true)
	case "pty-req":
		var p Pty
		if p, err = parsePty(req.Payload); err == nil {
			c.relay.Pty(p, reply)
		}
	case "window-change":
		var size session.WindowSize
		if size, err = parseWindow(req.Payload); err == nil {
			c.relay.Resize(size, reply)
		}
	case "signal":
		var name string
		if name, err = parseSignal(req.Payload); err == nil {
			c.relay.Signal(name, reply)
		}
	case "shell":
		if err = parseNothing(req.Payload); err == nil {
			c.typing(c.relay.Shell(reply))
		}
	case "exec":
		c.exec(req, reply)
	case "subsystem":
		c.subsystem(req, reply)
	case "env":
		var v variable
		if v, err = parseVariable(req.Payload); err == nil {
			c.relay.Variable(v.Name, v.Value, reply)
		}
	default:
		if Idle(req.Type) {
			reply(false)
			return
		}
		c.relay.Refuse(reply, wording.Line(req.Type, 64), "")
	}
	if err != nil {
		c.relay.Refuse(reply, req.Type, err.Error())
	}
}

func (c *Channel) exec(req *ssh.Request, reply Reply) {
	command, err := parseCommand(req.Payload)
	if err != nil && !c.relay.started {
		c.relay.deny(reply, "exec", err.Error(), "The command was refused: the "+err.Error()+".")
		return
	}
	c.typing(c.relay.Exec(command, reply))
}

func (c *Channel) subsystem(req *ssh.Request, reply Reply) {
	var s oneString
	err := ssh.Unmarshal(req.Payload, &s)
	switch {
	case err != nil || c.relay.started:
		c.relay.Refuse(reply, "subsystem", "malformed, or something is running already")
	case s.Value != "sftp":
		c.relay.Refuse(reply, "subsystem "+wording.Line(s.Value, 64), "")
	default:
		c.relay.sftp(reply, func() error { return c.files(c.ssh) })
	}
}

// typing passes on what comes by the channel, once something runs.
func (c *Channel) typing(runs bool) {
	if !runs {
		return
	}
	c.relay.work.Go(func() {
		_ = guarded(func() error {
			buf, turn := make([]byte, chunkSize), make(chan struct{}, 1)
			for {
				n, err := c.ssh.Read(buf)
				if n > 0 {
					if err := c.await(turn); err != nil {
						return err
					}
					if err := c.relay.Input(buf[:n]); err != nil {
						return err
					}
				}
				if errors.Is(err, io.EOF) {
					return c.relay.InputEnd()
				}
				if err != nil {
					return err
				}
			}
		})
	})
}

// await returns when everything that was asked before now has been handled.
func (c *Channel) await(turn chan struct{}) error {
	select {
	case c.typed <- turn:
		<-turn
		return nil
	case <-c.over:
		return io.ErrClosedPipe
	}
}

// Output writes to the engineer's standard output or error.
func (c *Channel) Output(kind session.EventKind, p []byte) (err error) {
	if kind == session.Output {
		_, err = c.ssh.Write(p)
		return err
	}
	c.voice <- struct{}{}
	defer func() { <-c.voice }()
	_, err = c.ssh.Stderr().Write(p)
	return err
}

// EndOutput closes the channel's sending half.
func (c *Channel) EndOutput() {
	c.voice <- struct{}{}
	defer func() { <-c.voice }()
	_ = c.ssh.CloseWrite()
}

// Say writes a word of ours to the engineer's standard error.
func (c *Channel) Say(words string, within time.Duration) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case c.voice <- struct{}{}:
	case <-timer.C:
		return
	}
	defer func() { <-c.voice }()
	_, _ = c.ssh.Stderr().Write([]byte("\r\n" + words + "\r\n"))
}

// Leave sends the exit status and closes the channel.
func (c *Channel) Leave(x *session.ExitStatus) {
	if x != nil {
		kind, payload := exitRequest(*x)
		_, _ = c.ssh.SendRequest(kind, false, payload)
	}
	_ = c.ssh.Close()
}

// endOfWrite is what OpenSSH's client says when nobody reads its output any more.
const endOfWrite = "eow@openssh.com"

// Idle reports whether a request only asks whether somebody is there, or is a client's
// way to measure a line: it is answered no, as servers do, and nobody was refused anything.
func Idle(request string) bool {
	name, _, _ := strings.Cut(request, "@")
	return name == "keepalive" || request == "winadj@putty.projects.tartarus.org" || request == "simple@putty.projects.tartarus.org"
}
