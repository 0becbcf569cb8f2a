package terminal

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
)

// pump relays a started shell or command, each way in a goroutine of its own, and
// ends the channel when the device has said everything.
func (r *Relay) pump() {
	var output sync.WaitGroup
	exit := make(chan session.ExitStatus, 1)
	closed := make(chan struct{})
	output.Go(func() { r.toEngineer(session.Output, r.device, r.engineer) })
	output.Go(func() { r.toEngineer(session.ErrorOutput, r.device.Stderr(), lockedWriter{r}) })
	r.work.Go(func() { r.toDevice() })
	r.work.Go(func() { defer close(closed); r.watch(exit) })
	r.work.Go(func() {
		defer r.finished()
		output.Wait()
		r.end(exit, closed)
	})
}

// end passes the exit status on once the last byte of output is through. A device
// that never closes its channel after its exit status is not waited for.
func (r *Relay) end(exit <-chan session.ExitStatus, closed <-chan struct{}) {
	if r.cfg.Over() {
		return
	}
	status := r.exit(exit, closed)
	if r.cfg.Over() {
		return
	}
	if status == nil {
		if words := r.cfg.Parting(); words != "" {
			r.Say(session.Note{Kind: session.NoteSaid, Text: words}, time.Second)
		}
	}
	r.leave(status)
	_ = r.device.Close()
}

// exit waits for the exit status, or nil when the device closed without one. Output
// usually ends together with the channel; when it does not, its end is passed on.
func (r *Relay) exit(exit <-chan session.ExitStatus, closed <-chan struct{}) *session.ExitStatus {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	for {
		select {
		case x := <-exit:
			return &x
		case <-timer.C:
			r.quiet(func() { _ = r.engineer.CloseWrite() })
		case <-closed:
			select {
			case x := <-exit:
				return &x
			default:
				return nil
			}
		}
	}
}

// leave tells the exit status and closes the engineer's channel.
func (r *Relay) leave(status *session.ExitStatus) {
	if r.cfg.Over() {
		return
	}
	if status != nil && r.record(session.Exit, *status) == nil {
		kind, payload := exitRequest(*status)
		_, _ = r.engineer.SendRequest(kind, false, payload)
	}
	_ = r.engineer.Close()
}

// toDevice forwards the engineer's input: gate, record, write.
func (r *Relay) toDevice() {
	_ = guarded(func() error {
		buf := make([]byte, session.MaxEventData)
		for {
			n, err := r.engineer.Read(buf)
			if n > 0 {
				if err := r.input(buf[:n]); err != nil {
					return err
				}
			}
			if errors.Is(err, io.EOF) {
				return r.inputEnd()
			}
			if err != nil {
				return err
			}
		}
	})
}

func (r *Relay) input(data []byte) error {
	return r.cfg.Gate.Pass(func() error {
		if err := r.cfg.Recorder.Record(session.Event{Kind: session.Input, Stream: r.cfg.Stream, Data: data}); err != nil {
			return err
		}
		_, err := r.device.Write(data)
		return err
	})
}

func (r *Relay) inputEnd() error {
	return r.cfg.Gate.Pass(func() error {
		if err := r.record(session.InputEnd, nil); err != nil {
			return err
		}
		return r.device.CloseWrite()
	})
}

// toEngineer forwards one of the device's outputs: record, write. Bulk is written by
// a goroutine of its own, so that the next bytes are recorded meanwhile.
func (r *Relay) toEngineer(kind session.EventKind, from io.Reader, to io.Writer) {
	b := newBehind(to)
	defer b.finish()
	_ = guarded(func() error {
		for {
			buf := b.buffer()
			n, err := from.Read(buf)
			if n > 0 {
				if err := r.cfg.Recorder.Record(session.Event{Kind: kind, Stream: r.cfg.Stream, Data: buf[:n]}); err != nil {
					return err
				}
			}
			if werr := b.write(buf, n); werr != nil {
				return werr
			}
			if err != nil {
				return err
			}
		}
	})
}

// watch serves what the device asks on its channel: its exit is taken, all else is
// answered no and goes nowhere.
func (r *Relay) watch(exit chan<- session.ExitStatus) {
	for req := range r.requests {
		if req.Type == "exit-status" || req.Type == "exit-signal" {
			if x, err := parseExit(req.Type, req.Payload); err == nil {
				select {
				case exit <- x:
				default: // a second one counts for nothing
				}
			}
		}
		_ = req.Reply(false, nil)
	}
}

// Say tells the engineer something, on their standard error where no other way is
// configured, on record first. It
// gives up when that is still blocked after the given time.
func (r *Relay) Say(n session.Note, within time.Duration) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case r.voice <- struct{}{}:
	case <-timer.C:
		return
	}
	defer func() { <-r.voice }()
	// Our own words go out even when the record of them is lost: they are how the
	// engineer learns that it is.
	_ = r.record(session.Marker, n)
	if r.cfg.Said != nil {
		r.cfg.Said(n.Text)
		return
	}
	_, _ = r.engineer.Stderr().Write([]byte("\r\n" + n.Text + "\r\n"))
}

// Hangup closes the engineer's channel from outside, after Say for instance.
func (r *Relay) Hangup() { _ = r.engineer.Close() }

// quiet runs do while nothing writes to the engineer's standard error.
func (r *Relay) quiet(do func()) {
	r.voice <- struct{}{}
	defer func() { <-r.voice }()
	do()
}

// lockedWriter writes to the engineer's standard error under the voice lock.
type lockedWriter struct{ r *Relay }

func (w lockedWriter) Write(p []byte) (n int, err error) {
	w.r.quiet(func() { n, err = w.r.engineer.Stderr().Write(p) })
	return n, err
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
