package terminal

import (
	"io"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Input passes on what the engineer typed: gate, record, write. It waits while the
// session is frozen.
func (r *Relay) Input(data []byte) error {
	return r.cfg.Gate.Pass(func() error {
		if err := r.sendSize(); err != nil { // what follows a new size sees it
			return err
		}
		if err := r.cfg.Recorder.Record(session.Event{Kind: session.Input, Stream: r.cfg.Stream, Data: data}); err != nil {
			return err
		}
		_, err := r.device.Write(data)
		return err
	})
}

// InputEnd passes on that no more input comes.
func (r *Relay) InputEnd() error {
	return r.cfg.Gate.Pass(func() error {
		if err := r.record(session.InputEnd, nil); err != nil {
			return err
		}
		return r.device.CloseWrite()
	})
}

// pump relays what a started shell or command says, and ends the channel when the device
// has said everything.
func (r *Relay) pump() {
	var output sync.WaitGroup
	exit := make(chan session.ExitStatus, 1)
	closed := make(chan struct{})
	output.Go(func() { r.toEngineer(session.Output, r.device) })
	output.Go(func() { r.toEngineer(session.ErrorOutput, r.device.Stderr()) })
	r.work.Go(func() { defer close(closed); r.watch(exit) })
	r.work.Go(func() {
		defer r.finished()
		output.Wait()
		r.end(exit, closed)
	})
}

// toEngineer forwards one of the device's outputs: record, write. Bulk is written by
// a goroutine of its own, so that the next bytes are recorded meanwhile.
func (r *Relay) toEngineer(kind session.EventKind, from io.Reader) {
	b := newBehind(func(p []byte) error { return r.engineer.Output(kind, p) })
	defer b.finish()
	_ = guarded(func() error {
		for {
			buf := b.buffer()
			n, err := from.Read(buf)
			if kind == session.Output && r.deaf.Load() {
				n = 0
			}
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
	timer := time.NewTimer(exitTime)
	defer timer.Stop()
	for {
		select {
		case x := <-exit:
			return &x
		case <-timer.C:
			r.engineer.EndOutput()
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
