package mirror

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/sallyport/sallyport/session"
)

const (
	heldOutput = 128 << 10 // bytes that are drawn at once: of plain text only the end is
	mostOpen   = 64
	mostCells  = 1 << 17 // of all terminals that are drawn: 64 of the usual size; others are known and not drawn
)

// Streams are the mirrors of a recording's terminals, drawn from its events: what an
// agent writes into a recording, and what a replay compares with it. A command without
// a terminal is none. Not safe for concurrent use.
type Streams struct {
	open map[uint32]*stream
}

type stream struct {
	screen *Mirror // nil: it is open and not drawn
	undone []byte  // output that is not drawn yet
}

// NewStreams makes the mirrors of a recording that begins. Close them.
func NewStreams() *Streams { return &Streams{open: map[uint32]*stream{}} }

// Take follows one event.
func (s *Streams) Take(e session.Event) {
	if e.Kind == session.ChannelOpened {
		s.opened(e)
		return
	}
	one := s.open[e.Stream]
	switch {
	case one == nil:
	case e.Kind == session.ChannelClosed:
		one.close()
		delete(s.open, e.Stream)
	case one.screen == nil:
	case e.Kind == session.Output, e.Kind == session.ErrorOutput:
		if one.undone = append(one.undone, e.Data...); len(one.undone) >= heldOutput {
			one.draw()
		}
	case e.Kind == session.Resize:
		var w session.WindowSize
		if json.Unmarshal(e.Data, &w) == nil {
			one.draw()
			one.screen.Resize(side(w.Cols, 80), side(w.Rows, 24))
			if s.cells() > mostCells {
				one.close()
			}
		}
	}
}

func (s *Streams) opened(e session.Event) {
	var c session.ChannelOpen
	if json.Unmarshal(e.Data, &c) != nil || c.Type != session.Shell && c.Type != session.Exec || c.Term == "" || s.open[e.Stream] != nil {
		return
	}
	one := &stream{}
	if cols, rows := side(c.Cols, 80), side(c.Rows, 24); len(s.open) < mostOpen && s.cells()+cols*rows <= mostCells {
		one.screen = New(cols, rows)
	}
	s.open[e.Stream] = one
}

// cells are how many are drawn.
func (s *Streams) cells() (n int) {
	for _, one := range s.open {
		if one.screen != nil {
			n += one.screen.cols * one.screen.rows
		}
	}
	return n
}

// side is a terminal's size as players take it.
func side(n uint32, usual int) int {
	if n == 0 {
		return usual
	}
	return int(min(n, session.LargestSide))
}

func (s *stream) draw() {
	if len(s.undone) > 0 {
		s.screen.Write(s.undone)
		s.undone = s.undone[:0]
	}
}

func (s *stream) close() {
	if s.screen != nil {
		s.screen.Close()
		s.screen, s.undone = nil, nil
	}
}

// Snapshots are what the terminals show; complete says whether all that are open are there.
func (s *Streams) Snapshots() (all []session.Snapshot, complete bool) {
	complete = true
	for _, n := range slices.Sorted(maps.Keys(s.open)) {
		one := s.open[n]
		if one.screen == nil {
			complete = false
			continue
		}
		one.draw()
		cols, rows, data := one.screen.Snapshot()
		all = append(all, session.Snapshot{Stream: n, Kind: session.TerminalSnapshot,
			Data: session.Screen{Cols: uint32(cols), Rows: uint32(rows), Draw: data}.Bytes()})
	}
	return all, complete
}

// Forget draws what is open no more.
func (s *Streams) Forget() {
	for _, one := range s.open {
		one.close()
	}
}

// Close ends what the mirrors started.
func (s *Streams) Close() {
	s.Forget()
	clear(s.open)
}

// Checked compares the snapshots of a recording with what a replay from its beginning
// draws. Hand it all events, and at each segment's end what is said to have stood at its
// begin.
type Checked struct {
	*Streams
	lies  func(segment, stream uint32)
	stood []session.Snapshot
}

// NewChecked calls lies for each snapshot that shows something else. Close it.
func NewChecked(lies func(segment, stream uint32)) *Checked {
	return &Checked{Streams: NewStreams(), lies: lies}
}

// Stood takes the snapshots of a segment that was read to its end.
func (c *Checked) Stood(segment uint32, recorded []session.Snapshot) {
	for _, r := range recorded {
		i := slices.IndexFunc(c.stood, func(d session.Snapshot) bool { return d.Stream == r.Stream })
		drawn := c.open[r.Stream]
		switch {
		case r.Kind != session.TerminalSnapshot || i < 0 && drawn != nil && drawn.screen == nil: // not drawn here
		case i < 0 || !bytes.Equal(r.Data, c.stood[i].Data) && !bytes.Equal(again(r), again(c.stood[i])):
			c.lies(segment, r.Stream)
		}
	}
	c.stood, _ = c.Snapshots()
}

// again draws a snapshot and takes one of that: two that show the same become the same.
func again(s session.Snapshot) []byte {
	screen, err := session.ParseScreen(s.Data)
	if err != nil {
		return nil
	}
	m := Restore(screen)
	defer m.Close()
	cols, rows, data := m.Snapshot()
	return session.Screen{Cols: uint32(cols), Rows: uint32(rows), Draw: data}.Bytes()
}

// Restore makes a mirror that shows a screen. Close it.
func Restore(s session.Screen) *Mirror {
	m := New(int(s.Cols), int(s.Rows))
	m.Write(s.Draw)
	return m
}
