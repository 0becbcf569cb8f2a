package terminal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/session"
)

// Source is a recording from its beginning, as recordings.Reader gives it.
type Source interface {
	Header() recordings.Header
	Next() (session.Event, error)
}

// Line is a line that was shown. Text is plain.
type Line struct {
	At     int64  `json:"at"` // when it began
	Stream uint32 `json:"stream"`
	Text   string `json:"text"`
	Cut    bool   `json:"cut,omitempty"` // says that something is left out here
}

// Transcript is what was shown, line by line, in the order in which the lines began.
// A line that was drawn over shows everything that was drawn. Damage ends it; so does
// its bound, and its last line says so.
func Transcript(src Source) ([]Line, error) {
	t := lines{all: []Line{}, open: map[source]*line{}, raw: map[uint32]*terminal{}}
	for t.size < maxText && len(t.all) < maxLines {
		e, err := src.Next()
		var d *recordings.Damage
		if errors.Is(err, io.EOF) || errors.As(err, &d) {
			return t.close(), nil
		}
		if err != nil {
			return nil, fmt.Errorf("read a recording's transcript: %w", err)
		}
		t.take(e)
	}
	t.close()
	return append(t.all, Line{At: t.last, Cut: true, Text: "The transcript is longer than a page can hold. Export the whole: sallyport recordings export " +
		src.Header().Recording + " --format text"}), nil
}

// source is one direction of one channel: each has its own unfinished line.
type source struct {
	stream uint32
	kind   session.EventKind
}

type line struct {
	plain cast.Plain
	at    int64
	text  strings.Builder
}

type lines struct {
	all  []Line
	open map[source]*line
	raw  map[uint32]*terminal // streams without a terminal
	size int
	last int64
}

func (t *lines) take(e session.Event) {
	t.last = e.At
	if c, ok := ReadOpen(e); ok && c.Term == "" && len(t.raw) < maxStreams {
		t.raw[e.Stream] = &terminal{}
	}
	if e.Kind == session.ChannelClosed {
		delete(t.raw, e.Stream)
		for _, kind := range []session.EventKind{session.Output, session.ErrorOutput} {
			t.end(source{e.Stream, kind})
			delete(t.open, source{e.Stream, kind})
		}
	}
	if e.Kind != session.Output && e.Kind != session.ErrorOutput {
		return
	}
	if raw := t.raw[e.Stream]; raw != nil {
		if e.Data = raw.few(e.Data); len(e.Data) == 0 {
			return
		}
	}
	from := source{e.Stream, e.Kind}
	l := t.open[from]
	if l == nil {
		if len(t.open) >= 2*maxStreams {
			t.close()
			clear(t.open)
		}
		l = &line{}
		t.open[from] = l
	}
	for _, r := range l.plain.Take(e.Data) {
		if l.text.Len() == 0 {
			l.at = e.At
		}
		if r == '\n' || l.text.Len()+utf8.RuneLen(r) > maxLine {
			t.end(from)
			l.at = e.At
		}
		if r != '\n' {
			l.text.WriteRune(r)
		}
	}
}

// end puts a line down. Empty ones are left out.
func (t *lines) end(from source) {
	l := t.open[from]
	if l == nil {
		return
	}
	if text := strings.TrimRight(strings.ReplaceAll(l.text.String(), "\t", "    "), " "); text != "" {
		cut := t.raw[from.stream] != nil && text == strings.TrimSpace(unshownBulk)
		t.all = append(t.all, Line{At: l.at, Stream: from.stream, Text: text, Cut: cut})
		t.size += len(text)
	}
	l.text.Reset()
}

// close puts all unfinished lines down and everything in order.
func (t *lines) close() []Line {
	for from := range t.open {
		t.end(from)
	}
	slices.SortStableFunc(t.all, func(x, y Line) int { return cmp.Or(cmp.Compare(x.At, y.At), cmp.Compare(x.Stream, y.Stream)) })
	return t.all
}
