package simulator

import (
	"context"
	"errors"
	"sync"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// errHungUp ends programs whose channel is gone: nobody is left to tell a status.
var errHungUp = errors.New("hung up")

// killed ends a program by a signal of RFC 4254 6.9.
type killed string

func (k killed) Error() string { return "killed by SIG" + string(k) }

// sessionChannel is one session channel and the program on it.
type sessionChannel struct {
	s      *Scanner
	ch     ssh.Channel
	in     *stdin
	wg     sync.WaitGroup // the pumps and the program
	cancel context.CancelCauseFunc
	once   sync.Once // finish

	// Owned by the loop over requests.
	started bool
	tty     *ttyline // after a pty-req
	launch  func()   // the program that the present request starts, after its reply
}

// serveSession answers a channel's requests until it closes.
// deafen is called when its program runs.
func (s *Scanner) serveSession(ctx context.Context, ch ssh.Channel, reqs <-chan *ssh.Request, deafen func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	c := &sessionChannel{s: s, ch: ch, in: newStdin(), cancel: cancel}
	c.wg.Go(func() { s.pump(ch, c.in) })
	c.wg.Go(func() { s.pump(ch.Stderr(), nil) }) // extended data means nothing here, but counts
	for req := range reqs {
		ok := c.request(ctx, req)
		if req.WantReply {
			_ = req.Reply(ok, nil)
		}
		if c.launch != nil {
			c.wg.Go(c.launch)
			c.launch = nil
			deafen()
		}
	}
	cancel(errHungUp)
	c.in.close()
	c.wg.Wait()
	_ = ch.Close()
}

// request answers one channel request; false refuses it.
func (c *sessionChannel) request(ctx context.Context, req *ssh.Request) bool {
	var text struct{ Value string }
	switch req.Type {
	case "pty-req":
		return c.pty(req.Payload)
	case "window-change":
		return c.resize(req.Payload)
	case "shell":
		c.s.note(&c.s.seen, "request shell")
		return len(req.Payload) == 0 && c.start(ctx, c.shell)
	case "exec", "subsystem", "signal":
		err := ssh.Unmarshal(req.Payload, &text)
		c.s.note(&c.s.seen, "request %s %s", req.Type, clip(text.Value))
		if err != nil {
			return false
		}
	case "env":
		var env struct{ Name, Value string }
		_ = ssh.Unmarshal(req.Payload, &env) // refused in any case
		c.s.note(&c.s.seen, "request env %s", clip(env.Name+"="+env.Value))
		return false
	default:
		c.s.note(&c.s.seen, "request %.100s", req.Type)
		return false
	}
	switch {
	case req.Type == "exec":
		if !c.started { // before the reply: a Ctrl-C may follow it at once
			c.in.foreground(func() { c.cancel(killed("INT")); c.in.close() })
		}
		return c.start(ctx, func(ctx context.Context) int { return c.exec(ctx, text.Value) })
	case req.Type == "signal":
		return c.signal(text.Value)
	case text.Value == "sftp":
		return c.start(ctx, c.sftp)
	}
	return false
}

func clip(s string) string { return s[:min(len(s), maxDetail)] }

type ptyRequest struct {
	Term               string
	Cols, Rows, PW, PH uint32
	Modes              string
}

func (c *sessionChannel) pty(payload []byte) bool {
	var r ptyRequest
	err := ssh.Unmarshal(payload, &r)
	c.s.note(&c.s.seen, "request pty-req %s %dx%d", clip(r.Term), r.Cols, r.Rows)
	if err != nil || c.started || c.tty != nil || r.Cols > maxSide || r.Rows > maxSide {
		return false
	}
	c.in.set(func() { c.in.tty = true })
	c.tty = newTTYLine(c, int(r.Cols), int(r.Rows))
	return true
}

func (c *sessionChannel) resize(payload []byte) bool {
	var r struct{ Cols, Rows, PW, PH uint32 }
	err := ssh.Unmarshal(payload, &r)
	c.s.note(&c.s.seen, "request window-change %dx%d", r.Cols, r.Rows)
	if err != nil || c.tty == nil || r.Cols > maxSide || r.Rows > maxSide {
		return false
	}
	c.tty.resize(int(r.Cols), int(r.Rows))
	return true
}

// signal delivers one: INT to the command in front, the others to all of it.
func (c *sessionChannel) signal(name string) bool {
	if !c.started {
		return false
	}
	switch name {
	case "INT":
		c.in.interrupt()
	case "TERM", "KILL", "HUP", "QUIT":
		c.cancel(killed(name))
		c.in.close()
		if name == "KILL" { // also when the program hangs in a write
			c.finish(killed(name), 0)
		}
	default:
		return false
	}
	return true
}

// start prepares the channel's one program. It runs once the request is answered: a
// fast one would else close the channel before the answer.
func (c *sessionChannel) start(ctx context.Context, program func(context.Context) int) bool {
	if c.started {
		return false
	}
	c.started = true
	if c.s.cfg.Mode != Honest {
		program = c.misbehave
	}
	c.launch = func() {
		status := program(ctx)
		c.in.close()
		c.finish(context.Cause(ctx), status)
	}
	return true
}

// finish tells how the program ended, once, and closes the channel. Writes fail when the
// peer is gone, and then nobody wants to know.
func (c *sessionChannel) finish(cause error, status int) {
	c.once.Do(func() {
		var sig killed
		if errors.As(cause, &sig) {
			_, _ = c.ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
				Signal string
				Core   bool
				Text   string
				Lang   string
			}{Signal: string(sig)}))
		} else {
			_, _ = c.ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
		}
		_ = c.ch.CloseWrite()
		_ = c.ch.Close()
	})
}

// sftp serves the home directory.
func (c *sessionChannel) sftp(context.Context) int {
	h := handlers{c.s.home}
	srv := sftp.NewRequestServer(duplex{c.in, c.ch}, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h},
		sftp.WithStartDirectory(c.s.home.base))
	err := srv.Serve()
	_ = srv.Close()
	if err != nil {
		c.s.cfg.Log.Debug("sftp ended", "target", c.s.cfg.Asset.Name, "err", err)
	}
	return 0
}

// duplex joins what came in with the way out. Closing it is finish's business.
type duplex struct {
	*stdin
	ssh.Channel
}

func (d duplex) Read(p []byte) (int, error) { return d.stdin.Read(p) }
func (d duplex) Close() error               { d.stdin.close(); return nil }
