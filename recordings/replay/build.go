package replay

import (
	"bytes"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// builder makes an index, event by event.
type builder struct {
	ix        Index
	screens   terminal.Screens
	histogram histogram
	last      int64
	shown     int // events shown in the part in hand
	skipped   int // bytes since the last event that is shown
	coarser   int // times that parts were joined
	unlisted  int // markers beyond the bound
}

func (b *builder) take(e session.Event, at recordings.Mark) error {
	b.last = e.At
	before, known := b.screens[e.Stream]
	s, visible := b.screens.Show(e)
	size := 0
	if visible && s.Kind == "o" {
		size = len(s.Data)
	}
	if b.full(visible, size) {
		begins := b.screens.Clone()
		if known { // the part begins before this event
			begins[e.Stream] = before
		} else {
			delete(begins, e.Stream)
		}
		if err := b.begin(e.At, at, begins); err != nil {
			return err
		}
	}
	p := &b.ix.Parts[len(b.ix.Parts)-1]
	p.events++
	if b.skipped += len(e.Data); visible {
		b.shown++
		p.took, b.skipped = p.events, 0
	}
	if size > 0 {
		p.Bytes += int64(size)
		b.histogram.add(e.At, int64(size))
		b.ix.Digest.Lines += int64(bytes.Count(s.Data, []byte{'\n'}))
	}
	b.note(e)
	return nil
}

// full reports whether an event begins another part.
func (b *builder) full(visible bool, size int) bool {
	if len(b.ix.Parts) == 0 {
		return true
	}
	p := b.ix.Parts[len(b.ix.Parts)-1]
	return visible && (p.Bytes > 0 && p.Bytes+int64(size) > PartBytes<<b.coarser || b.skipped > skippedBytes<<b.coarser ||
		p.events-p.took >= partEvents<<b.coarser || b.shown >= partEvents<<b.coarser)
}

func (b *builder) begin(from int64, at recordings.Mark, screens terminal.Screens) error {
	if len(b.ix.Parts) >= maxParts {
		if b.coarser >= maxCoarser {
			return ErrTooLong
		}
		b.join()
	}
	n := len(b.ix.Parts)
	if n == 0 {
		from = 0
	} else {
		b.ix.Parts[n-1].To = from
	}
	b.ix.Parts = append(b.ix.Parts, Part{N: n, From: from, at: at, screens: screens})
	b.shown = 0
	return nil
}

// join makes one part of every two, so that a long recording has no more parts than others.
func (b *builder) join() {
	half := b.ix.Parts[:0]
	for i := 0; i < len(b.ix.Parts); i += 2 {
		p := b.ix.Parts[i]
		if i+1 < len(b.ix.Parts) {
			q := b.ix.Parts[i+1]
			p.To, p.Bytes = q.To, p.Bytes+q.Bytes
			if q.took > 0 {
				p.took = p.events + q.took
			}
			p.events += q.events
		}
		p.N = len(half)
		half = append(half, p)
	}
	clear(b.ix.Parts[len(half):])
	b.ix.Parts = half
	b.coarser++
}

// note keeps what an event means for the digest, the channels and the markers.
func (b *builder) note(e session.Event) {
	if c, ok := terminal.ReadOpen(e); ok {
		b.opened(e, c)
	}
	m, ok := markerOf(e)
	if !ok || b.repeated(m) {
		return
	}
	switch m.Kind {
	case FileIn:
		b.ix.Digest.FilesIn++
	case FileOut:
		b.ix.Digest.FilesOut++
	case Refused:
		b.ix.Digest.Refused++
	case Warning:
		b.ix.Digest.Warnings++
	case Freeze:
		b.ix.Digest.Freezes++
	}
	b.mark(m)
}

func (b *builder) mark(m Marker) {
	if len(b.ix.Markers) >= maxMarkers-2 { // two are kept for the end
		b.unlisted++
		return
	}
	b.ix.Markers = append(b.ix.Markers, m)
}

// repeated reports whether a remark was just made on another channel: warnings are
// said on each.
func (b *builder) repeated(m Marker) bool {
	if m.Kind != Warning && m.Kind != Note {
		return false
	}
	for i := len(b.ix.Markers) - 1; i >= 0 && m.At-b.ix.Markers[i].At <= sameMoment && i > len(b.ix.Markers)-40; i-- {
		if b.ix.Markers[i].Kind == m.Kind && b.ix.Markers[i].Text == m.Text {
			return true
		}
	}
	return false
}

func (b *builder) opened(e session.Event, c session.ChannelOpen) {
	if len(b.ix.Channels) == 0 {
		b.ix.Cols, b.ix.Rows = terminal.Side(c.Cols, terminal.Cols), terminal.Side(c.Rows, terminal.Rows)
	}
	if len(b.ix.Channels) < maxChannels {
		text := "shell"
		if c.Command != "" {
			text = cast.Clean(c.Command, maxWords)
		}
		b.ix.Channels = append(b.ix.Channels, Channel{Stream: e.Stream, Kind: c.Type, Text: text, At: e.At})
	}
}

// finish closes the index over what was read.
func (b *builder) finish(seal recordings.SealInfo, sealed bool) Index {
	b.ix.Duration = b.last
	if sealed {
		b.ix.Duration, b.ix.Sealed = max(b.last, seal.At), true
	}
	if n := len(b.ix.Parts); n > 0 {
		b.ix.Parts[n-1].To = b.ix.Duration
	}
	if b.unlisted > 0 {
		b.ix.Markers = append(b.ix.Markers, Marker{At: b.last, Kind: Note, Text: more(b.unlisted)})
	}
	switch {
	case b.ix.Broken != "":
		b.ix.Markers = append(b.ix.Markers, Marker{At: b.ix.Duration, Kind: End,
			Text: "What follows cannot be read: " + cast.Clean(b.ix.Broken, maxWords) + "."})
	case sealed:
		b.ix.Markers = append(b.ix.Markers, Marker{At: b.ix.Duration, Kind: End, Text: ending(seal)})
	}
	b.ix.Digest.Seconds = b.ix.Duration / microsSecond
	b.ix.Activity = b.histogram.over(b.ix.Duration)
	return b.ix
}
