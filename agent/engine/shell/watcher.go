package shell

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/engine/socket"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/held"
	"github.com/sallyport/sallyport/session/wording"
)

// watcher is somebody who sees a session's shells, one at a time, and does nothing. The
// engineer and the device never wait for them: who takes less than comes is shown the
// screen as it is, once they have room again.
type watcher struct {
	sock   *socket.Socket
	stage  *stage
	again  chan struct{} // one signal: look what is to be shown
	wanted uint32        // the screen that was asked for; 0: where the engineer is. The stage's mu guards it
}

var _ engine.Side = (*watcher)(nil)

// watch serves somebody who watches until they are gone.
func (l *Line) watch(ctx context.Context, v engine.Visit, b engine.Browser) error {
	if err := attach.ParseConsole(b.Proof.Opening); err != nil {
		return err
	}
	stage, free := l.stage(place{b.Watch.ID(), v.Service})
	defer free()
	w := &watcher{sock: socket.New(b.Conn, l.patience.stall).Within(l.waiting.By(held.Owner{Session: b.Watch.ID(), Who: b.Watch.Person.Identity})), stage: stage, again: make(chan struct{}, 1)}
	w.sock.Document(attach.TypeWelcome, b.Watch.Welcome())
	leave, err := b.Watch.Enter(w)
	if err != nil {
		return err
	}
	defer leave()
	stop := context.AfterFunc(ctx, func() { w.Farewell(session.AgentLost, wording.Farewell(session.AgentLost)) })
	defer stop()
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(w.sock.Write)
	working.Go(w.look)
	working.Go(w.sock.Close)
	err = w.listen(b.In)
	if !w.sock.Gone() { // else the writer closes it after the last word
		w.sock.Kill()
	}
	l.cfg.Log.Info("watcher left", "session", b.Watch.ID().Session(), "user", b.Watch.Person.Sub, "err", err)
	return nil
}

// listen takes what somebody may say who watches. All else ends the connection: there is
// no way from here to a device.
func (w *watcher) listen(in *attach.Reader) error {
	for {
		f, err := in.Read()
		if err != nil {
			return err
		}
		switch f.Type {
		case attach.TypePing:
			w.sock.Pong(f.Payload)
		case attach.TypeLook:
			w.stage.mu.Lock()
			w.wanted = binary.BigEndian.Uint32(f.Payload)
			w.stage.mu.Unlock()
			socket.Signal(w.again)
		default:
			return attach.ErrFrame
		}
	}
}

// look shows what is to be shown, whenever that may have changed, until the socket is dead.
func (w *watcher) look() {
	w.stage.mu.Lock()
	w.stage.watchers[w] = struct{}{}
	w.stage.mu.Unlock()
	socket.Signal(w.again)
	var told []uint32
	var shown *screen
	defer func() {
		w.stage.mu.Lock()
		delete(w.stage.watchers, w)
		w.stage.mu.Unlock()
		if shown != nil {
			shown.leave(w)
		}
	}()
	first := true
	for {
		select {
		case <-w.again:
		case <-w.sock.Dead:
			return
		}
		all, now := w.choose()
		if now != shown && shown != nil {
			shown.leave(w)
		}
		if first || now != shown || !slices.Equal(all, told) {
			w.sock.Notice(shellsNotice(all, now))
			first, told, shown = false, all, now
		}
		if shown == nil || !shown.behind(w) {
			continue
		}
		if full := w.sock.Full(); full != nil {
			select {
			case <-full:
			case <-w.sock.Dead:
				return
			}
		}
		shown.snapshot(w)
	}
}

// choose finds the screens that there are and the one to be shown.
func (w *watcher) choose() (all []uint32, now *screen) {
	s := w.stage
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.screens[w.wanted]
	if now == nil {
		now = s.screens[uint32(s.last.Load())]
	}
	if now == nil {
		now = s.screens[s.newest()]
	}
	return s.numbers(), now
}

func shellsNotice(all []uint32, now *screen) attach.Notice {
	n := attach.Notice{Type: attach.NoticeShells, Shells: all}
	if now == nil {
		n.Text = "No shell is open. What the engineer opens next is shown here; commands and files without a terminal are in the recording."
	} else {
		n.Shown = now.number
	}
	return n
}

// show passes output on; false when there is no room for it.
func (w *watcher) show(p []byte) bool {
	if w.sock.Full() != nil {
		return false
	}
	for part := range slices.Chunk(p, attach.MaxPayload) {
		w.sock.Send(attach.TypeOutput, part)
	}
	return true
}

// Tell says what changed; with the leave to watch the connection ends.
func (w *watcher) Tell(n attach.Notice) {
	w.sock.Notice(n)
	if n.Type == attach.NoticeUnseen {
		w.sock.Finish()
	}
}

// Farewell says the last words and gives the socket a moment to take them.
func (w *watcher) Farewell(reason session.EndReason, words string) {
	w.sock.Notice(attach.Notice{Type: attach.NoticeEnded, Reason: reason, Text: words})
	w.sock.Finish()
	timer := time.NewTimer(2 * farewellTime)
	defer timer.Stop()
	select {
	case <-w.sock.Dead:
	case <-timer.C:
	}
	w.sock.Kill()
}

// Close cuts it off.
func (w *watcher) Close() error {
	w.sock.Kill()
	return nil
}
