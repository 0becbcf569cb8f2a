package terminal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	"github.com/sallyport/sallyport/session"
)

// Line is a line that was shown. Text is plain.
type Line struct {
	At     int64  `json:"at"` // when it began; of a screen, when it came to rest
	Stream uint32 `json:"stream"`
	Text   string `json:"text"`
	Screen bool   `json:"screen,omitempty"` // a row of a screen that was drawn on, as it stood
	Cut    bool   `json:"cut,omitempty"`    // says that something is left out here
}

// Text makes a transcript of events. What scrolls by is in it line by line; a line that was
// drawn over shows everything that was drawn. Where a program draws on its screen - an
// editor, a pager, a monitor - it is what stood when the screen rested, was cleared or was
// left, and what scrolled away: of a screen most of which is new all rows, otherwise those
// that are. It is one pass, in memory that is bounded by the terminals' sizes.
type Text struct {
	open    map[source]*writing
	drawing []*writing // of those, that may come to rest
	done    []Line
}

// source is one direction of one channel.
type source struct {
	stream uint32
	kind   session.EventKind
}

// NewText makes the transcript of a recording from its beginning.
func NewText() *Text { return &Text{open: map[source]*writing{}} }

// TextFrom makes one that begins where a segment does: with the terminals that stood, and the
// streams that are open and have none.
func TextFrom(all []Screen, plain []uint32, at int64) *Text {
	t := NewText()
	for _, s := range all {
		w := t.add(s.Stream, Side(s.Cols, Cols), Side(s.Rows, Rows))
		if w.grid == nil {
			continue
		}
		w.say = func(Line) {} // it was said when it was written
		w.now = at
		w.bytes.take(s.Draw, w)
		w.say, w.drawing, w.told, w.said = t.say, false, 0, false
		w.grid.tell()
		if w.grid.main == nil {
			w.resume()
		} else {
			w.line.Reset()
		}
	}
	for _, stream := range plain {
		t.of(source{stream, session.Output}).raw = true
		t.of(source{stream, session.ErrorOutput}).raw = true
	}
	return t
}

func (t *Text) say(l Line) { t.done = append(t.done, l) }

// Lines are those that are whole by now, in the order in which they began. They are handed
// over once.
func (t *Text) Lines() []Line {
	all := t.done
	t.done = nil
	slices.SortStableFunc(all, func(x, y Line) int { return cmp.Or(cmp.Compare(x.At, y.At), cmp.Compare(x.Stream, y.Stream)) })
	return all
}

// Take lets an event happen.
func (t *Text) Take(e session.Event) {
	t.drawing = slices.DeleteFunc(t.drawing, func(w *writing) bool {
		if e.At-w.now >= restsAfter {
			w.rests()
			return true
		}
		return false
	})
	switch e.Kind {
	case session.ChannelOpened:
		if c, ok := ReadOpen(e); ok {
			t.opened(e.Stream, c)
		}
	case session.ChannelClosed:
		t.closed(e.Stream)
	case session.Resize:
		var s session.WindowSize
		if w := t.open[source{e.Stream, session.Output}]; w != nil && w.grid != nil && json.Unmarshal(e.Data, &s) == nil {
			t.resize(w, int(Side(s.Cols, Cols)), int(Side(s.Rows, Rows)))
		}
	case session.Output, session.ErrorOutput:
		t.output(e)
	}
}

func (t *Text) opened(stream uint32, c session.ChannelOpen) {
	t.closed(stream)
	if c.Term != "" {
		t.add(stream, Side(c.Cols, Cols), Side(c.Rows, Rows))
		return
	}
	t.of(source{stream, session.Output}).raw = true
	t.of(source{stream, session.ErrorOutput}).raw = true
}

// add makes a terminal, drawn as long as there are not too many.
func (t *Text) add(stream, cols, rows uint32) *writing {
	w := t.of(source{stream, session.Output})
	if t.cells()+int(cols*rows) <= mostCells {
		w.grid = newGrid(int(cols), int(rows))
		w.grid.gone = w.scrolled
	}
	return w
}

func (t *Text) cells() (n int) {
	for _, w := range t.open {
		if w.grid != nil {
			n += w.grid.cols * w.grid.rows
		}
	}
	return n
}

func (t *Text) resize(w *writing, cols, rows int) {
	if t.cells()-w.grid.cols*w.grid.rows+cols*rows > mostCells {
		w.finish()
		w.grid, w.drawing = nil, false
		return
	}
	w.grid.resize(cols, rows)
}

// of is what writes there; of too many, all others end.
func (t *Text) of(from source) *writing {
	w := t.open[from]
	if w == nil {
		if len(t.open) >= 2*maxStreams {
			t.Flush()
			clear(t.open)
			t.drawing = nil
		}
		w = &writing{stream: from.stream, say: t.say, credit: mostSaved}
		t.open[from] = w
	}
	return w
}

func (t *Text) output(e session.Event) {
	w := t.of(source{e.Stream, e.Kind})
	w.now = e.At
	w.earn(len(e.Data))
	if w.raw && bytes.IndexByte(e.Data, 0) >= 0 { // an archive, an image
		w.end()
		if !w.said {
			w.said = true
			w.say(Line{At: e.At, Stream: e.Stream, Cut: true, Text: "[What this command wrote to no terminal is no text, in part, and that is left out. The recording has all of it.]"})
		}
		return
	}
	w.bytes.take(e.Data, w)
	if w.draws() && !slices.Contains(t.drawing, w) {
		t.drawing = append(t.drawing, w)
	}
}

// closed ends what a channel writes.
func (t *Text) closed(stream uint32) {
	for _, kind := range []session.EventKind{session.Output, session.ErrorOutput} {
		from := source{stream, kind}
		if w := t.open[from]; w != nil {
			w.finish()
			delete(t.open, from)
			t.drawing = slices.DeleteFunc(t.drawing, func(d *writing) bool { return d == w })
		}
	}
}

// finish puts down what stands and the line that has not ended.
func (w *writing) finish() {
	if w.draws() {
		w.show(-1)
	} else {
		w.end()
	}
}

// Flush puts down everything that stands and has not ended.
func (t *Text) Flush() {
	for _, w := range t.open {
		w.finish()
	}
}

// Pause is Flush for what does not come again when a segment begins at which all that
// stands is known: lines of terminals are left for whoever begins there.
func (t *Text) Pause() {
	for _, w := range t.open {
		if w.grid == nil || w.draws() {
			w.finish()
		}
	}
}
