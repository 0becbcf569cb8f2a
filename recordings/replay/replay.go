// Package replay prepares a recording for a player: what there is, in ranges that can
// be fetched one by one, with markers, a histogram of activity, and a digest; package
// replay/terminal says what a terminal shows of it.
// It knows recordings and their events; it knows neither where they are kept nor who
// looks. Typed input is never in what it makes, and everything that somebody could have
// named or written is bounded and cleaned, but for the terminal's own output.
package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// Source is a recording from its beginning, as recordings.Reader gives it.
type Source interface {
	Header() recordings.Header
	Next() (session.Event, error)
	Seal() (recordings.SealInfo, bool)
	Mark() recordings.Mark
}

// Index is what a player knows before it fetches the first part. Times are microseconds
// since the recording began.
type Index struct {
	Header   recordings.Header
	Cols     uint32 // of the first terminal
	Rows     uint32
	Duration int64
	Channels []Channel
	Markers  []Marker
	Activity []int64 // bytes shown in each of at most Buckets equal parts of the duration
	Parts    []Part
	Digest   Digest
	Sealed   bool
	Broken   string // why what follows cannot be read; empty: everything could
}

// Channel is a shell or a command.
type Channel struct {
	Stream uint32
	Kind   session.Channel
	Text   string
	At     int64
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
}

// Part is a range of a recording that is shown in one piece.
type Part struct {
	N     int
	From  int64
	To    int64
	Bytes int64 // of output

	at      recordings.Mark
	events  int              // of the recording, in it
	took    int              // of those, up to the last that is shown
	screens terminal.Screens // as they were when it begins
}

// Event is one thing that a player does.
type Event struct {
	At     int64
	Stream uint32
	Kind   string // "o" output in base64, "r" resize as "80x24", "c" a new screen
	Data   string
}

// MarshalJSON writes the event as the array that players read.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{e.At, e.Stream, e.Kind, e.Data})
}

// ErrTooLong is in the chain when a recording is too long to be shown part by part.
var ErrTooLong = errors.New("too long to be shown in parts")

// Read makes the index of a recording in one pass. Where the recording is damaged it
// ends there and Broken says why; an error is one of reading.
func Read(src Source) (Index, error) {
	b := builder{ix: Index{Header: src.Header(), Cols: terminal.Cols, Rows: terminal.Rows}, screens: terminal.Screens{}}
	for {
		at := src.Mark()
		e, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var d *recordings.Damage
		if errors.As(err, &d) {
			b.ix.Broken = d.Error()
			break
		}
		if err == nil {
			err = b.take(e, at)
		}
		if err != nil {
			return Index{}, fmt.Errorf("read a recording for replay: %w", err)
		}
	}
	seal, sealed := src.Seal()
	return b.finish(seal, sealed), nil
}

// Events are what a player does in a part. open opens the recording at its beginning.
func (p Part) Events(open func(at recordings.Mark) (Source, error)) ([]Event, error) {
	src, err := open(p.at)
	if err != nil {
		return nil, err
	}
	v := p.screens.Clone()
	events := p.sizes()
	for range p.took {
		e, err := src.Next()
		if err != nil {
			return nil, fmt.Errorf("read part %d of a replay: %w", p.N, err)
		}
		if shown, ok := v.Show(e); ok {
			events = append(events, Event{At: e.At, Stream: e.Stream, Kind: shown.Kind, Data: shown.Text()})
		}
	}
	return events, nil
}

// sizes tell a player that begins with a part how large its terminals are.
func (p Part) sizes() []Event {
	events := []Event{}
	for _, stream := range slices.Sorted(maps.Keys(p.screens)) {
		events = append(events, Event{At: p.From, Stream: stream, Kind: "r", Data: p.screens[stream].Size()})
	}
	return events
}
