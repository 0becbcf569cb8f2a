package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// Source is a recording from its beginning, as recordings.Reader gives it: io.EOF is the
// end of what there is, and more may come.
type Source interface {
	Next() (session.Event, error)
	Segments() uint32
	Seal() (recordings.SealInfo, bool)
}

// Reading makes the index of a recording, event by event, and goes on where it ended when
// there is more.
type Reading struct {
	src       Source
	ix        Index
	open      map[uint32]int // channels that are open, by stream
	screens   *terminal.Screens
	consoles  consoles
	histogram histogram
	inputs    histogram
	unlisted  int // markers beyond the bound
	unshown   int // channels beyond theirs
}

// Begin makes the reading of a recording of which nothing was read yet.
func Begin(src Source) *Reading {
	return &Reading{src: src, open: map[uint32]int{}, screens: terminal.Stood(nil, false), consoles: consoles{}}
}

// On reads up to so many segments further. more tells whether it should be called again at
// once: not when there is nothing (more) yet, nor when it is over. Where the recording is
// damaged it is over, and Broken says why; an error is one of reading.
func (r *Reading) On(segments uint32) (more bool, err error) {
	for end := r.src.Segments() + segments; !r.ix.Whole; {
		e, err := r.src.Next()
		r.ix.Parts = r.src.Segments()
		var d *recordings.Damage
		switch {
		case errors.Is(err, io.EOF):
			seal, sealed := r.src.Seal()
			if sealed {
				r.over(seal.At, ending(seal))
			}
			return false, nil
		case errors.As(err, &d):
			r.ix.Broken = d.Error()
			r.over(r.ix.Read, "What follows cannot be read: "+cast.Clean(r.ix.Broken, maxWords)+".")
			return false, nil
		case err != nil:
			return false, fmt.Errorf("read a recording for replay: %w", err)
		}
		r.take(e)
		if r.ix.Parts >= end {
			return true, nil
		}
	}
	return false, nil
}

// over ends the index.
func (r *Reading) over(at int64, words string) {
	r.ix.Read, r.ix.Whole = max(r.ix.Read, at), true
	for _, left := range []struct {
		n    int
		what string
	}{{r.unlisted, "remarks are"}, {r.unshown, "shells and commands cannot be chosen and are"}} {
		if left.n > 0 {
			r.ix.Markers = append(r.ix.Markers, Marker{At: r.ix.Read, Kind: Note, Text: fmt.Sprintf("%d more %s not listed here.", left.n, left.what)})
		}
	}
	r.ix.Markers = append(r.ix.Markers, Marker{At: r.ix.Read, Kind: End, Text: words})
}

// Index is what was found so far.
func (r *Reading) Index() Index {
	x := r.ix
	x.Channels, x.Markers, x.States = slices.Clone(x.Channels), slices.Clone(x.Markers), slices.Clone(x.States)
	x.Activity, x.Inputs = r.histogram.over(x.Read), r.inputs.over(x.Read)
	x.Digest.Seconds, x.Digest.Stood = x.Read/microsSecond, spells(x.States, x.Read)
	return x
}

// spells sum up how long a scanner was in each state until a moment.
func spells(all []State, until int64) (sums []Spell) {
	for i, s := range all {
		end := until
		if i+1 < len(all) {
			end = all[i+1].At
		}
		at := slices.IndexFunc(sums, func(x Spell) bool { return x.State == s.Is })
		if at < 0 {
			at, sums = len(sums), append(sums, Spell{State: s.Is})
		}
		sums[at].Seconds += max(end-s.At, 0)
	}
	for i := range sums {
		sums[i].Seconds /= microsSecond
	}
	return sums
}

func (r *Reading) take(e session.Event) {
	r.ix.Read = e.At
	if r.consoles.copied(e) {
		if m, ok := copiedWords(e); ok {
			r.mark(m)
		}
		return
	}
	if s, visible := r.screens.Show(e); visible && s.Kind == "o" {
		r.histogram.add(e.At, int64(len(s.Data)))
		r.ix.Digest.Lines += int64(bytes.Count(s.Data, []byte{'\n'}))
	}
	switch {
	case draws(e.Kind):
		r.histogram.add(e.At, int64(len(e.Data)))
	case e.Kind == session.Input:
		r.inputs.add(e.At, 1)
	}
	if c, ok := readOpen(e); ok {
		r.opened(e, c)
	}
	if i, ok := r.open[e.Stream]; ok && e.Kind == session.ChannelClosed {
		r.ix.Channels[i].End = e.At
		delete(r.open, e.Stream)
	}
	r.stood(e)
	if m, ok := markerOf(e); ok && !r.repeated(m) {
		r.mark(m)
	}
}

// stood keeps how the scanner stood, where an event tells of another state than before.
func (r *Reading) stood(e session.Event) {
	var n session.Note
	if e.Kind != session.Marker || e.Stream != 0 || json.Unmarshal(e.Data, &n) != nil || n.Kind != session.NoteModality {
		return
	}
	all := r.ix.States
	switch {
	case len(all) > 0 && all[len(all)-1].Is == n.State, len(all) >= maxStates:
		return
	case !n.State.Known():
		n.State = session.ModalityUnknown
	}
	if len(all) == maxStates-1 {
		n.State = ""
	}
	r.ix.States = append(all, State{At: e.At, Is: n.State})
}

// mark counts a marker and lists it, if there is room.
func (r *Reading) mark(m Marker) {
	switch m.Kind {
	case FileIn:
		r.ix.Digest.FilesIn++
	case FileOut:
		r.ix.Digest.FilesOut++
	case Refused:
		r.ix.Digest.Refused++
	case Warning:
		r.ix.Digest.Warnings++
	case Freeze:
		r.ix.Digest.Freezes++
	}
	if len(r.ix.Markers) >= maxMarkers-3 { // three are kept for the end
		r.unlisted++
		return
	}
	r.ix.Markers = append(r.ix.Markers, m)
}

// repeated reports whether a remark was just made on another channel: warnings are
// said on each.
func (r *Reading) repeated(m Marker) bool {
	if m.Kind != Warning && m.Kind != Note {
		return false
	}
	all := r.ix.Markers
	for i := len(all) - 1; i >= 0 && m.At-all[i].At <= sameMoment && i > len(all)-40; i-- {
		if all[i].Kind == m.Kind && all[i].Text == m.Text {
			return true
		}
	}
	return false
}

// readOpen reads the opening of what is looked at: a shell, a command or a console.
func readOpen(e session.Event) (session.ChannelOpen, bool) {
	c, ok := terminal.ReadOpen(e)
	if !ok && e.Kind == session.ChannelOpened && json.Unmarshal(e.Data, &c) == nil {
		ok = c.Type == session.Control
	}
	return c, ok
}

func (r *Reading) opened(e session.Event, c session.ChannelOpen) {
	if len(r.ix.Channels) >= maxChannels {
		r.unshown++
		return
	}
	text := string(c.Type)
	if c.Command != "" {
		text = cast.Clean(c.Command, maxWords)
	}
	r.open[e.Stream] = len(r.ix.Channels)
	r.ix.Channels = append(r.ix.Channels, Channel{Stream: e.Stream, Kind: c.Type, Text: text, Terminal: c.Term != "", At: e.At, End: -1})
}
