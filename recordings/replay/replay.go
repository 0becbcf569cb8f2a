// Package replay prepares a recording for a player. A player begins anywhere: what a
// segment holds is a part, with the screens that stood when it began. What needs all of a
// recording - markers, a histogram of activity, a digest - is an index, which is made in
// one pass and can be looked at on the way. Package replay/terminal says what a terminal
// shows of a recording.
// It knows recordings and their events; it knows neither where they are kept nor who
// looks. Typed input is never in what it makes, and everything that somebody could have
// named or written is bounded and cleaned, but for the terminal's own output.
package replay

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// Overview is what a player knows before its first part: what heads tell, and the index as
// far as there is one.
type Overview struct {
	Started time.Time
	recordings.Length
	Index
}

// Index is what there is in a recording, as far as it was read. Times are microseconds
// since the recording began.
type Index struct {
	Read     int64  // up to when
	Whole    bool   // nothing follows: it is sealed, or cannot be read any further
	Broken   string // why what follows cannot be read; empty: everything could
	Parts    uint32 // that were read
	Channels []Channel
	Markers  []Marker
	States   []State // how the scanner stood, each until the next; none: it has no interlock
	Activity []int64 // bytes shown in each of at most Buckets equal parts of what was read
	Inputs   []int64 // times that something was typed, pointed at or pasted, in each of them
	Digest   Digest
}

// Channel is a shell, a command or a console.
type Channel struct {
	Stream   uint32
	Kind     session.Channel
	Text     string
	Terminal bool
	At       int64
	End      int64 // when it was closed; -1: it was not, as far as was read
}

// State is how the scanner stood from a moment on. Without one it is not told any further:
// there are more changes than are listed.
type State struct {
	At int64                 `json:"at"`
	Is session.ModalityState `json:"is" enum:",idle,patient-on-table,scanning,in-service,down,unknown"`
}

// Digest sums a recording up.
type Digest struct {
	Seconds  int64 `json:"seconds"`
	Lines    int64 `json:"lines"`
	FilesIn  int64 `json:"files_in"`
	FilesOut int64 `json:"files_out"`
	Refused  int64 `json:"refused"`
	Warnings int64 `json:"warnings"`
	Freezes  int64 `json:"freezes"`
	// Stood is how long the scanner was in each state, that first which it was in first; none:
	// it has no interlock.
	Stood []Spell `json:"stood,omitempty"`
}

// Spell is how long the scanner was in a state, in all. Without one it was not told.
type Spell struct {
	State   session.ModalityState `json:"state" enum:",idle,patient-on-table,scanning,in-service,down,unknown"`
	Seconds int64                 `json:"seconds"`
}

// Part is what a player shows of one segment.
type Part struct {
	N        uint32
	From     int64
	To       int64 // when the next one begins
	Complete bool  // who begins here shows all that stood; otherwise only the screens that are there
	Screens  []terminal.Screen
	Consoles []Console
	Events   []Event
}

// Event is one thing that a player does.
type Event struct {
	At     int64
	Stream uint32
	Kind   string // "o" output in base64, "r" resize as "80x24", "c" a new screen; "w", "t", "k" a console's, as in recordings/frames, in base64
	Data   string
}

// MarshalJSON writes the event as the array that players read.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{e.At, e.Stream, e.Kind, e.Data})
}

// PartOf is what a player shows of a segment. known are the recording's channels, as far
// as somebody read it: they tell what has no terminal where the segment itself does not.
func PartOf(s recordings.Scene, known []Channel) Part {
	p := Part{N: s.Segment, From: s.From, To: s.To, Complete: s.Complete, Screens: terminal.Drawn(s.Snapshots), Consoles: consolesOf(s.Snapshots), Events: []Event{}}
	v := terminal.Stood(p.Screens, p.Complete)
	for _, stream := range plainAt(known, s.From) {
		v.Plain(stream)
	}
	screens := consolesAt(s, known)
	for _, e := range s.Events {
		if screens.copied(e) {
			continue
		}
		switch shown, ok := v.Show(e); {
		case ok:
			p.Events = append(p.Events, Event{At: e.At, Stream: e.Stream, Kind: shown.Kind, Data: shown.Text()})
		case draws(e.Kind):
			p.Events = append(p.Events, Event{At: e.At, Stream: e.Stream, Kind: string(rune(e.Kind)), Data: base64.StdEncoding.EncodeToString(e.Data)})
		}
	}
	return p
}
