package shell

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/agent/engine/socket"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/terminal/mirror"
)

// stage is what can be watched of a service in a session: the screens of its shells, and of
// commands with a terminal, on whichever connections they run.
type stage struct {
	line *Line
	at   place
	used int          // connections and watchers; guarded by line.mu
	last atomic.Int64 // the number of the screen on which the engineer typed last

	mu       sync.Mutex // before a screen's
	count    uint32
	cells    int // of all screens
	screens  map[uint32]*screen
	watchers map[*watcher]struct{}
}

// stage is the one of a place, until leave is called.
func (l *Line) stage(at place) (s *stage, leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.stages[at]
	if !ok {
		s = &stage{line: l, at: at, screens: map[uint32]*screen{}, watchers: map[*watcher]struct{}{}}
		l.stages[at] = s
	}
	s.used++
	return s, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if s.used--; s.used == 0 {
			delete(l.stages, at)
			s.clear()
		}
	}
}

// clear gives back what screens take whose end was not put on record.
func (s *stage) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.screens {
		x.give()
	}
}

// give gives back what a screen takes of the agent's memory. The stage's mu is held.
func (x *screen) give() {
	x.room(x.cost, 0)
	x.cost = 0
}

// open begins a screen.
func (s *stage) open(size session.WindowSize, room func(was, now int) bool) *screen {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	x := &screen{number: s.count, room: room, viewers: map[*watcher]bool{}}
	x.mirror = mirror.NewScreen(s.fit(x, size))
	s.screens[x.number] = x
	s.last.Store(int64(x.number))
	s.changed()
	return x
}

func (s *stage) close(x *screen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.screens, x.number)
	s.cells -= x.cells
	x.give()
	s.last.CompareAndSwap(int64(x.number), int64(s.newest()))
	s.changed()
	x.close()
}

// newest is the screen that was opened last; 0 where there is none. s.mu is held.
func (s *stage) newest() (n uint32) {
	for number := range s.screens {
		n = max(n, number)
	}
	return n
}

// typed notes on which screen the engineer is.
func (s *stage) typed(x *screen) {
	if n := int64(x.number); s.last.Swap(n) != n {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed()
	}
}

// changed has who watches look again. s.mu is held.
func (s *stage) changed() {
	for w := range s.watchers {
		socket.Signal(w.again)
	}
}

// resize gives a screen another size.
func (s *stage) resize(x *screen, size session.WindowSize) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.resize(s.fit(x, size))
}

// fit is the size in which a terminal is drawn: its own, the usual, or a line of it. s.mu is
// held.
func (s *stage) fit(x *screen, size session.WindowSize) (cols, rows int) {
	s.cells -= x.cells
	cols, rows = int(min(size.Cols, attach.MaxCols)), int(min(size.Rows, attach.MaxRows))
	if cols < 1 || rows < 1 || attach.CheckSize(cols, rows) != nil || s.cells+cols*rows > drawCells {
		cols, rows = 80, 24
	}
	for _, try := range [][2]int{{cols, rows}, {80, 24}} {
		cols, rows = try[0], try[1]
		if cost := mirror.ScreenCost(cols, rows); x.room(x.cost, cost) {
			x.cells, x.cost = cols*rows, cost
			s.cells += x.cells
			return cols, rows
		}
	}
	x.give()
	x.cells = 80
	s.cells += x.cells
	return 80, 1
}

// seen is a recorder that lets who watches see what it has recorded: nobody sees a byte
// that is not on record.
type seen struct {
	session.Recorder
	stage  *stage
	screen atomic.Pointer[screen] // nil: what runs has none
	bare   bool                   // it named no terminal; set before screen is
	room   func(was, now int) bool
}

// terminated is what a device said as a terminal has it. Of a shell whose client named no
// terminal the lines may end with a newline alone: a terminal would go on below where it is.
func (r *seen) terminated(p []byte) []byte {
	if !r.bare {
		return p
	}
	return bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))
}

// Record records an event, and then shows it.
func (r *seen) Record(e session.Event) error {
	if err := r.Recorder.Record(e); err != nil {
		return err
	}
	x := r.screen.Load()
	switch {
	case e.Kind == session.ChannelOpened:
		var c session.ChannelOpen
		if json.Unmarshal(e.Data, &c) == nil && (c.Term != "" || c.Type == session.Shell) {
			r.bare = c.Term == ""
			r.screen.Store(r.stage.open(session.WindowSize{Cols: c.Cols, Rows: c.Rows}, r.room))
		}
	case x == nil:
	case e.Kind == session.Output, e.Kind == session.ErrorOutput:
		x.write(r.terminated(e.Data))
	case e.Kind == session.Resize:
		var size session.WindowSize
		if json.Unmarshal(e.Data, &size) == nil {
			r.stage.resize(x, size)
		}
	case e.Kind == session.Input:
		r.stage.typed(x)
	case e.Kind == session.ChannelClosed:
		r.stage.close(x)
	}
	return nil
}

// screen is one terminal that can be watched. What its device says goes to the viewers as
// it is, and waits to be drawn until somebody needs the picture, or for a moment: so a
// flood that nobody watches costs a copy, and the engineer waits for no picture. Of more
// than a mirror draws in that time only the end is drawn.
type screen struct {
	number uint32
	room   func(was, now int) bool // of the agent's memory
	cells  int                     // the stage's mu guards it, as what follows
	cost   int                     // of the agent's memory

	drawing sync.Mutex // before mu; guards mirror
	mirror  *mirror.Mirror

	mu      sync.Mutex
	waiting []byte // to be drawn
	cut     bool   // something before it was left out
	later   *time.Timer
	viewers map[*watcher]bool // true: sees all; false: needs a snapshot first
	over    bool
}

func (x *screen) write(p []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	for w, all := range x.viewers {
		if all && !w.show(p) {
			x.viewers[w] = false
			socket.Signal(w.again)
		}
	}
	if x.waiting = append(x.waiting, p...); len(x.waiting) > drawMost {
		x.waiting, x.cut = append(x.waiting[:0], x.waiting[len(x.waiting)-drawMost/2:]...), true
	}
	if x.later == nil {
		x.later = time.AfterFunc(drawEvery, x.drawLater)
	}
}

func (x *screen) drawLater() {
	x.drawing.Lock()
	defer x.drawing.Unlock()
	x.mu.Lock()
	x.later = nil
	p, cut := x.take()
	x.mu.Unlock()
	x.draw(p, cut)
}

// take takes what waits to be drawn. x.mu is held.
func (x *screen) take() (p []byte, cut bool) {
	p, cut = x.waiting, x.cut
	x.waiting, x.cut = nil, false
	return p, cut
}

// draw is called with x.drawing held.
func (x *screen) draw(p []byte, cut bool) {
	if cut {
		x.mirror.Write([]byte{0x18}) // CAN: a sequence that was cut says nothing
	}
	x.mirror.Write(p)
}

// resize draws what came before, and then in another size.
func (x *screen) resize(cols, rows int) {
	x.drawing.Lock()
	defer x.drawing.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.draw(x.take())
	x.mirror.Resize(cols, rows)
	for w := range x.viewers {
		x.viewers[w] = false
		socket.Signal(w.again)
	}
}

// snapshot shows a viewer the whole screen, from which on it sees all. Most is drawn
// before the device's output waits for it.
func (x *screen) snapshot(w *watcher) {
	x.drawing.Lock()
	defer x.drawing.Unlock()
	x.mu.Lock()
	p, cut := x.take()
	x.mu.Unlock()
	x.draw(p, cut)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	x.draw(x.take())
	cols, rows, data := x.mirror.Snapshot()
	n := min(len(data), attach.MaxPayload-4)
	w.sock.Send(attach.TypeSnapshot, attach.AppendSize(nil, cols, rows), data[:n])
	for p := range slices.Chunk(data[n:], attach.MaxPayload) {
		w.sock.Send(attach.TypeOutput, p)
	}
	x.viewers[w] = true
}

// behind reports whether a viewer needs a snapshot.
func (x *screen) behind(w *watcher) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.over && !x.viewers[w]
}

func (x *screen) leave(w *watcher) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.viewers, w)
}

func (x *screen) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over, x.waiting = true, nil
	if x.later != nil {
		x.later.Stop()
	}
}

// numbers are those of the screens, the oldest first. s.mu is held.
func (s *stage) numbers() []uint32 { return slices.Sorted(maps.Keys(s.screens)) }
