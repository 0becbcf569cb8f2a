package mirror

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/sallyport/sallyport/session"
)

const (
	mostOpen  = 64
	mostCells = 1 << 17 // of all terminals that are drawn: 64 of the usual size; others are known and not drawn
)

// Streams are the mirrors of a recording's terminals, drawn from its events: what an
// agent writes into a recording, and what a replay compares with it. A command without
// a terminal is none. Not safe for concurrent use.
type Streams struct {
	open map[uint32]*Mirror // nil: it is open and not drawn
	room func(was, now int) bool
}

// NewStreams makes the mirrors of a recording that begins. Close them.
func NewStreams() *Streams { return NewStreamsWithin(func(int, int) bool { return true }) }

// NewStreamsWithin makes them where there is room: it is asked when a mirror changes its size
// to so many bytes, and always gives less. What finds no room is known and not drawn.
func NewStreamsWithin(room func(was, now int) bool) *Streams {
	return &Streams{open: map[uint32]*Mirror{}, room: room}
}

// Take follows one event.
func (s *Streams) Take(e session.Event) {
	if e.Kind == session.ChannelOpened {
		s.opened(e)
		return
	}
	one := s.open[e.Stream]
	switch {
	case e.Kind == session.ChannelClosed:
		s.leave(e.Stream)
		delete(s.open, e.Stream)
	case one == nil:
	case e.Kind == session.Output, e.Kind == session.ErrorOutput:
		one.Write(e.Data)
	case e.Kind == session.Resize:
		var w session.WindowSize
		if json.Unmarshal(e.Data, &w) == nil {
			cols, rows := side(w.Cols, 80), side(w.Rows, 24)
			if s.cells()-one.cols*one.rows+cols*rows > mostCells || !s.room(Cost(one.cols, one.rows), Cost(cols, rows)) {
				s.leave(e.Stream)
				return
			}
			one.Resize(cols, rows)
		}
	}
}

func (s *Streams) opened(e session.Event) {
	var c session.ChannelOpen
	if json.Unmarshal(e.Data, &c) != nil || c.Type != session.Shell && c.Type != session.Exec || c.Term == "" {
		return
	}
	if _, known := s.open[e.Stream]; known {
		return
	}
	s.open[e.Stream] = nil
	if cols, rows := side(c.Cols, 80), side(c.Rows, 24); len(s.open) <= mostOpen && s.cells()+cols*rows <= mostCells && s.room(0, Cost(cols, rows)) {
		s.open[e.Stream] = New(cols, rows)
	}
}

// leave draws a terminal no more.
func (s *Streams) leave(stream uint32) {
	if one := s.open[stream]; one != nil {
		s.room(Cost(one.cols, one.rows), 0)
		s.open[stream] = nil
	}
}

// cells are how many are drawn.
func (s *Streams) cells() (n int) {
	for _, one := range s.open {
		if one != nil {
			n += one.cols * one.rows
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

// Snapshots are what the terminals show; complete says whether all that are open are there.
func (s *Streams) Snapshots() (all []session.Snapshot, complete bool) {
	complete = true
	for _, n := range slices.Sorted(maps.Keys(s.open)) {
		one := s.open[n]
		if one == nil {
			complete = false
			continue
		}
		cols, rows, data := one.Snapshot()
		all = append(all, session.Snapshot{Stream: n, Kind: session.TerminalSnapshot,
			Data: session.Screen{Cols: uint32(cols), Rows: uint32(rows), Draw: data}.Bytes()})
	}
	return all, complete
}

// Forget draws what is open no more.
func (s *Streams) Forget() {
	for n := range s.open {
		s.leave(n)
	}
}

// Close forgets everything.
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
		drawn, open := c.open[r.Stream]
		switch {
		case r.Kind != session.TerminalSnapshot || i < 0 && open && drawn == nil: // not drawn here
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
	cols, rows, data := m.Snapshot()
	return session.Screen{Cols: uint32(cols), Rows: uint32(rows), Draw: data}.Bytes()
}

// Restore makes a mirror that shows a screen.
func Restore(s session.Screen) *Mirror {
	m := New(int(s.Cols), int(s.Rows))
	m.Write(s.Draw)
	return m
}
