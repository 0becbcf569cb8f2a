package screen

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/engine/socket"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

// viewer is one window on a console: for RFB a connection, and the hands of who sits
// there, unless they watch.
type viewer struct {
	c     *console
	nc    net.Conn
	in    *attach.Reader
	sock  *socket.Socket
	gate  engine.Gate
	texts chan string   // the last that was copied at the device
	watch *engine.Watch // of who watches; nil for the engineer

	left   atomic.Bool // it hung up, or said what nobody may say
	rest   []byte      // of a frame, not read by RFB yet
	held   screen.Held // under the console's hands
	denied sync.Once
}

var (
	_ rfb.Hands = (*viewer)(nil)
	_ net.Conn  = (*wire)(nil)
)

func newViewer(c *console, b engine.Browser) *viewer {
	sock := socket.New(b.Conn, stallTime)
	return &viewer{c: c, nc: b.Conn, in: b.In, sock: sock, gate: c.c.Gate(sock.Dead, c.gone), texts: make(chan string, 1), watch: b.Watch}
}

// serve serves RFB to the viewer until it is gone or the console is over.
func (w *viewer) serve() error {
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(w.sock.Write)
	working.Go(w.sock.Close)
	cfg, hands := rfb.Config{Name: w.c.title()}, rfb.Hands(w)
	switch {
	case w.watch != nil:
		hands = nil
	case w.c.t.May(session.ClipboardOut):
		cfg.Texts = w.texts
	}
	err := rfb.Serve(context.Background(), &wire{w}, w.c.screen, hands, cfg) // ends with the socket
	if !w.left.Load() && !errors.Is(err, rfb.ErrWire) {
		// The console is over. The engine says the last words and cuts.
		if w.watch != nil {
			working.Go(w.shut)
		}
		_ = w.nc.SetReadDeadline(time.Now().Add(stallTime))
		_, _ = io.Copy(io.Discard, w.nc)
	}
	w.sock.Kill()
	return err
}

// Press passes a key on.
func (w *viewer) Press(k screen.Key) error {
	return w.do(session.Control, func() error {
		if !w.held.Press(k) {
			return nil
		}
		return w.c.press(k)
	})
}

// Point passes the pointer on.
func (w *viewer) Point(p screen.Pointer) error {
	return w.do(session.Control, func() error {
		w.held.Point(p)
		return w.c.point(p)
	})
}

// Paste passes a text on.
func (w *viewer) Paste(text string) error {
	return w.do(session.ClipboardIn, func() error { return w.c.paste(text) })
}

// do lets something pass that is done by hand, or drops and counts it.
func (w *viewer) do(by session.Channel, send func() error) error {
	if !w.c.may(by) {
		w.c.hands.drops.Add(1)
		w.denied.Do(func() { w.c.c.Refuse(string(by), "done by hand in a window that may only look") })
		return nil
	}
	passed := false
	err := w.gate.Try(func() error {
		passed = true
		w.c.hands.Lock()
		defer w.c.hands.Unlock()
		return send()
	})
	if !passed && !errors.Is(err, engine.ErrOver) { // frozen
		w.c.hands.drops.Add(1)
		return nil
	}
	return err
}

// release lets go of what the viewer holds, under the console's hands.
func (w *viewer) release() error {
	keys, pointer := w.held.Release()
	var errs []error
	for _, k := range keys {
		errs = append(errs, w.c.press(k))
	}
	if pointer != nil {
		errs = append(errs, w.c.point(*pointer))
	}
	return errors.Join(errs...)
}

// may reports whether a channel is granted, and what is done over it may disturb.
func (c *console) may(by session.Channel) bool { return c.t.Class != session.Observe && c.t.May(by) }

// press, point and paste put on record what is done, and then do it; the hands are held.
func (c *console) press(k screen.Key) error {
	if err := c.keeper.input(frames.KeyData(k.Sym, k.Code, k.Down)); err != nil {
		return err
	}
	return c.client.Press(k)
}

func (c *console) point(p screen.Pointer) error {
	if err := c.keeper.input(frames.PointerData(p.At, p.Buttons)); err != nil {
		return err
	}
	return c.client.Point(p)
}

func (c *console) paste(text string) error {
	if err := frames.TextData(text, c.keeper.input); err != nil {
		return err
	}
	return c.client.Paste(text)
}

// copied gives viewers what was copied at the device, unless something is hidden there:
// what may not be seen may not be copied.
func (c *console) copied(text string) {
	c.mu.Lock()
	masked := c.state.masked
	c.mu.Unlock()
	if masked != attach.MaskedNothing {
		c.c.Refuse(string(session.ClipboardOut), "copied while the hospital hides part of the console")
		if now := time.Now().UnixNano(); now-c.withheld.Swap(now) < int64(sayEvery) { // a device may copy as fast as it likes
			return
		}
		c.Tell(attach.Notice{Type: attach.NoticeSaid, Text: "What was copied at the console stays there, because the hospital hides part of it."})
		return
	}
	if err := frames.TextData(text, c.keeper.output); err != nil {
		return // the recorder is lost, and with it the session
	}
	for _, w := range c.viewers() {
		select {
		case <-w.texts: // an older one that nobody has taken
		default:
		}
		select {
		case w.texts <- text:
		default:
		}
	}
}

// wire is a viewer's connection as RFB has it: the bytes between the frames.
type wire struct{ *viewer }

// Read returns what a viewer says in RFB, and does the rest that it asks for.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.rest) == 0 {
		f, err := w.in.Read()
		if err == nil {
			err = w.handle(f)
		}
		if err != nil {
			w.left.Store(!errors.Is(err, os.ErrDeadlineExceeded)) // that is Close's
			return 0, err
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

func (w *wire) handle(f attach.Frame) error {
	switch {
	case f.Type == attach.TypeInput:
		w.rest = f.Payload // valid until the next frame is read
	case f.Type == attach.TypePing:
		w.sock.Pong(f.Payload)
	case f.Type == attach.TypeCode: // the operator had accepted by then
	case f.Type == attach.TypeClose && w.watch == nil:
		w.c.c.Stop(session.Completed, closeWords)
	default:
		return attach.ErrFrame
	}
	return nil
}

const closeWords = "The console was closed. The session stays open until its limit."

// Write sends frames, and waits while the viewer is slow.
func (w *wire) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		for full := w.sock.Full(); full != nil; full = w.sock.Full() {
			select {
			case <-full:
			case <-w.sock.Dead:
				return done, net.ErrClosed
			}
		}
		if w.sock.Gone() {
			return done, net.ErrClosed
		}
		n := min(len(p)-done, attach.MaxPayload)
		w.sock.Send(attach.TypeOutput, p[done:done+n])
		done += n
	}
	return len(p), nil
}

// Close stops reading; the socket has last words to say yet.
func (w *wire) Close() error { return w.nc.SetReadDeadline(time.Unix(1, 0)) }

// SetDeadline bounds what the viewer says; the socket bounds what it takes.
func (w *wire) SetDeadline(t time.Time) error      { return w.nc.SetReadDeadline(t) }
func (w *wire) SetReadDeadline(t time.Time) error  { return w.nc.SetReadDeadline(t) }
func (w *wire) SetWriteDeadline(t time.Time) error { return nil }
func (w *wire) LocalAddr() net.Addr                { return w.nc.LocalAddr() }
func (w *wire) RemoteAddr() net.Addr               { return w.nc.RemoteAddr() }
