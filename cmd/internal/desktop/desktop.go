// Package desktop lets the VNC viewers of this machine look at a console far away: a port
// on loopback, behind a password that is made anew each time, so that nobody else who is
// logged in here gets there. A viewer costs nothing far away before it knew the password.
package desktop

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

// Config is how viewers are served.
type Config struct {
	Listen string // "127.0.0.1:0"
	// Open opens the console for a viewer: RFB that asks for no password.
	Open func(ctx context.Context) (io.ReadWriteCloser, error)
	// Failed is told why a viewer was not served, or is no more.
	Failed func(error)
}

// Port is a port where viewers are served. New makes one.
type Port struct {
	cfg      Config
	listener net.Listener
	password string
	guess    sync.Mutex // held while a viewer is asked, so that guessing takes long
	viewers  chan struct{}
}

// New opens the port. Only loopback addresses are taken.
func New(cfg Config) (*Port, error) {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil || !session.Loopback(host) {
		return nil, session.Errorf(session.Invalid, "%.80q is no address of this machine alone.", cfg.Listen).
			WithNext("Use 127.0.0.1:PORT; viewers elsewhere have no business here.")
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, session.Errorf(session.Unreachable, "%.80s cannot be listened on", cfg.Listen).WithNext("Choose another port, or leave it out.")
	}
	return &Port{cfg: cfg, listener: l, password: strings.ToLower(rand.Text()[:8]), viewers: make(chan struct{}, maxViewers)}, nil
}

// Address is where viewers connect, and Password what they are asked for.
func (p *Port) Address() string  { return p.listener.Addr().String() }
func (p *Port) Password() string { return p.password }

// Serve serves viewers until ctx ends.
func (p *Port) Serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = p.listener.Close() })()
	var serving sync.WaitGroup
	defer serving.Wait()
	defer p.listener.Close()
	for {
		conn, err := p.listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if err != nil {
			return session.Errorf(session.Internal, "the port for viewers: %w", err)
		}
		select {
		case p.viewers <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		serving.Go(func() {
			defer func() { <-p.viewers }()
			if err := p.serve(ctx, conn); err != nil && ctx.Err() == nil {
				p.cfg.Failed(err)
			}
		})
	}
}

// serve asks a viewer for the password, opens the console, and passes bytes on.
func (p *Port) serve(ctx context.Context, viewer net.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer viewer.Close()
	defer context.AfterFunc(ctx, func() { _ = viewer.Close() })()
	in, err := p.admit(ctx, viewer)
	if err != nil {
		return err
	}
	console, err := p.cfg.Open(ctx)
	if err != nil {
		return err
	}
	defer console.Close()
	if err := rfb.Enter(console); err != nil {
		return gone(err)
	}
	var passing sync.WaitGroup
	defer passing.Wait()
	passing.Go(func() { // the viewer's leaving ends both
		_, _ = io.Copy(console, in)
		_ = console.Close()
	})
	_, err = io.Copy(viewer, console)
	_ = viewer.Close()
	return gone(err)
}

// admit is one viewer at a time; a wrong password keeps the next waiting.
func (p *Port) admit(ctx context.Context, viewer net.Conn) (io.Reader, error) {
	p.guess.Lock()
	defer p.guess.Unlock()
	in, err := rfb.Admit(viewer, p.password)
	if session.KindOf(err) != session.Denied {
		return in, gone(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(guessTime):
	}
	return nil, err
}

// gone is nil for the ends of a connection that need no words.
func gone(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
