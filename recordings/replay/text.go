package replay

import (
	"errors"
	"io"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// Text is a stretch of a transcript: what some segments show, as lines. Whoever reads on at
// Next has all of it, and what a stretch costs does not depend on where it is.
type Text struct {
	Lines []terminal.Line
	To    int64  // up to when it was read
	Next  uint32 // the segment at which to read on
	Whole bool   // nothing follows
}

// Stretch says what is to be read.
type Stretch struct {
	From     uint32
	Segments uint32    // that there are
	Over     bool      // and there will be no others
	Broken   string    // why no other can be read
	Known    []Channel // as far as somebody read the recording
}

// Scenes is a recording of which any segment can be read.
type Scenes interface {
	Scene(n uint32) (recordings.Scene, error)
}

// ReadText reads a stretch. It ends where a segment begins at which all that stands is
// known, so that nothing is lost between two; or, where none comes, in the middle of lines.
func ReadText(src Scenes, what Stretch) (Text, error) {
	x := Text{Lines: []terminal.Line{}, Next: what.From}
	var t *terminal.Text
	var screens consoles
	for begun, size := time.Now(), 0; x.Next < what.Segments; x.Next++ {
		s, err := src.Scene(x.Next)
		if err != nil {
			return x.spoilt(t, err)
		}
		if t == nil {
			screens = consolesAt(s, what.Known)
			t = terminal.TextFrom(terminal.Drawn(s.Snapshots), plainAt(what.Known, s.From), s.From)
		} else if n := x.Next - what.From; n >= stretchSegments || size >= stretchBytes || time.Since(begun) > stretchTime {
			if s.Complete {
				t.Pause()
				x.add(t)
				return x, nil
			}
			if n >= 4*stretchSegments || size >= 4*stretchBytes {
				break
			}
		}
		for _, e := range s.Events {
			if !screens.copied(e) {
				t.Take(e)
			}
		}
		x.To = s.To
		size += x.add(t)
	}
	if t != nil {
		t.Flush()
		x.add(t)
	}
	if x.Whole = what.Over && x.Next >= what.Segments; x.Whole && what.Broken != "" {
		x.broken(what.Broken)
	}
	return x, nil
}

// add takes the lines that are whole, and counts their bytes.
func (x *Text) add(t *terminal.Text) (size int) {
	for _, l := range t.Lines() {
		size += len(l.Text)
		x.Lines = append(x.Lines, l)
	}
	return size
}

// spoilt ends a transcript where the recording cannot be read any further.
func (x *Text) spoilt(t *terminal.Text, err error) (Text, error) {
	var d *recordings.Damage
	if !errors.As(err, &d) && !errors.Is(err, io.EOF) {
		return *x, err
	}
	if t != nil {
		t.Flush()
		x.add(t)
	}
	x.Whole = true
	x.broken(err.Error())
	return *x, nil
}

func (x *Text) broken(why string) {
	x.Lines = append(x.Lines, terminal.Line{At: x.To, Cut: true, Text: "What follows cannot be read: " + cast.Clean(why, maxWords) + "."})
}

// plainAt are the streams that are open at a moment and have no terminal.
func plainAt(known []Channel, at int64) (streams []uint32) {
	for _, c := range known {
		if !c.Terminal && c.Kind != session.Control && c.At <= at && (c.End < 0 || c.End >= at) {
			streams = append(streams, c.Stream)
		}
	}
	return streams
}
