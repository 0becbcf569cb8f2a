// Package screen shows what a console showed, at any moment of its recording: as pixels, as
// thumbnails, and event by event for a player. It reads the tiles of recordings/frames and
// knows no protocol that drew them.
package screen

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/session"
)

// Source is a recording of which any segment can be read.
type Source interface {
	replay.Scenes
	Find(at int64) (uint32, error)
}

// Show is a console as it is replayed. It is of one goroutine.
type Show struct {
	frames.Screen // what stands now; its size is 0 while no console is open
	At            int64

	src    Source
	scene  recordings.Scene
	begun  bool
	next   int // event of the scene that did not happen yet
	stream uint32
	broken bool // something could not be drawn: nothing stands until the next size
}

// Open shows a recording, from its beginning.
func Open(src Source) *Show { return &Show{src: src} }

// Jump shows a moment.
func (s *Show) Jump(at int64) error {
	if !s.begun || at < s.At || at >= s.scene.To {
		n, err := s.src.Find(at)
		if err != nil {
			return err
		}
		if !s.begun || at < s.At || n > s.scene.Segment+ahead {
			if err := s.begin(n); err != nil {
				return err
			}
		}
	}
	for {
		for ; s.next < len(s.scene.Events) && s.scene.Events[s.next].At <= at; s.next++ {
			s.take(s.scene.Events[s.next])
		}
		if s.At = at; at < s.scene.To {
			return nil
		}
		scene, err := s.src.Scene(s.scene.Segment + 1)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		s.scene, s.next = scene, 0
	}
}

// Next is when what is shown changes next; false where nothing follows.
func (s *Show) Next() (at int64, ok bool, err error) {
	for {
		for ; s.next < len(s.scene.Events); s.next++ {
			e := s.scene.Events[s.next]
			if e.Stream == s.stream && Draws(e.Kind) {
				return e.At, true, nil
			}
			s.take(e)
		}
		scene, err := s.src.Scene(s.scene.Segment + 1)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return 0, false, err
		}
		s.scene, s.next = scene, 0
	}
}

// begin takes what stood when a segment began, or one before it.
func (s *Show) begin(n uint32) error {
	scene, err := replay.SceneFrom(s.src, n, back)
	if errors.Is(err, io.EOF) && n == 0 {
		err = nil // nothing was closed yet
	}
	if err != nil {
		return err
	}
	s.scene, s.next, s.begun = scene, 0, true
	s.Screen, s.stream, s.broken = frames.Screen{}, 0, false
	for _, x := range scene.Snapshots {
		if x.Kind != session.ConsoleSnapshot {
			continue
		}
		drawn, err := frames.Unpack(x.Data)
		if err != nil {
			return err
		}
		s.Screen, s.stream = *drawn, x.Stream
	}
	return nil
}

func (s *Show) take(e session.Event) {
	switch {
	case e.Kind == session.ChannelOpened:
		if Opens(e) {
			s.Screen, s.stream, s.broken = frames.Screen{}, e.Stream, false
		}
	case e.Stream != s.stream || s.stream == 0:
	case e.Kind == session.ChannelClosed:
		s.stream = 0 // what it showed stays, for who looks at the end
	case Draws(e.Kind):
		if e.Kind == session.ScreenSize {
			s.broken = false
		}
		if !s.broken && s.Screen.Take(e) != nil {
			s.Screen, s.broken = frames.Screen{}, true
		}
	}
}

// Opens reports whether an event opens a console.
func Opens(e session.Event) bool {
	var c session.ChannelOpen
	return e.Kind == session.ChannelOpened && json.Unmarshal(e.Data, &c) == nil && c.Type == session.Control
}

// Draws reports whether events of a kind change what a console shows.
func Draws(kind session.EventKind) bool {
	return kind == session.ScreenSize || kind == session.ScreenTiles || kind == session.ScreenCursor
}
