package screen

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/wording"
)

// watch serves somebody who watches until they are gone: a viewer without hands, whom the
// console neither counts nor waits for.
func (l *Line) watch(ctx context.Context, v engine.Visit, b engine.Browser) error {
	l.mu.Lock()
	c, there := l.consoles[place{b.Watch.ID(), v.Service}]
	l.mu.Unlock()
	if there {
		<-c.ready // the time of a dial at most
	}
	if !there || c.err != nil {
		return errShut
	}
	w := newViewer(c, b)
	c.mu.Lock()
	if c.c.Stopped() {
		c.mu.Unlock()
		return errShut
	}
	c.state.watchers[w] = struct{}{}
	welcome := b.Watch.Welcome()
	welcome.Resumed, welcome.Running = true, true
	w.sock.Document(attach.TypeWelcome, welcome)
	w.sock.Document(attach.TypeNotice, attach.Notice{Type: attach.NoticeMasked, Masked: c.state.masked})
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.state.watchers, w)
	}()
	leave, err := b.Watch.Enter(w)
	if err != nil {
		return err
	}
	defer leave()
	defer context.AfterFunc(ctx, func() { w.Farewell(session.AgentLost, wording.Farewell(session.AgentLost)) })()
	err = w.serve()
	l.cfg.Log.Info("watcher left", "session", b.Watch.ID().Session(), "user", b.Watch.Person.Sub, "err", err)
	return nil
}

var errShut = session.Errorf(session.Unreachable, "This console is not open now.").WithNext("It can be watched as soon as its engineer looks at it.")

// Tell says what changed; with the leave to watch the connection ends.
func (w *viewer) Tell(n attach.Notice) {
	w.sock.Notice(n)
	if n.Type == attach.NoticeUnseen {
		w.sock.Finish()
	}
}

// Farewell says the last words and gives the socket a moment to take them.
func (w *viewer) Farewell(reason session.EndReason, words string) {
	w.sock.Notice(attach.Notice{Type: attach.NoticeEnded, Reason: reason, Text: words})
	w.sock.Finish()
	w.linger()
	w.sock.Kill()
}

// linger waits a moment for the socket to end.
func (w *viewer) linger() {
	timer := time.NewTimer(farewellTime)
	defer timer.Stop()
	select {
	case <-w.sock.Dead:
	case <-timer.C:
	}
}

// Close cuts it off.
func (w *viewer) Close() error {
	w.sock.Kill()
	return nil
}

// shut tells who watches that the console is gone while the session goes on; of the
// session's end the engine tells.
func (w *viewer) shut() {
	w.linger()
	w.Tell(attach.Notice{Type: attach.NoticeSaid, Text: "The console was closed. It is shown again as soon as its engineer opens it."})
	w.sock.Finish()
	w.linger()
}
