// Package cast writes a recording's terminal as asciicast, for the players that
// people have. A cast is a view: it carries no signature, and what is not valid
// UTF-8 in the recording is replaced in it. It knows recordings' events and the
// asciicast formats, and nothing of where either is kept.
package cast

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// Source is a recording from its beginning, as recordings.Reader gives it.
type Source interface {
	Header() recordings.Header
	Next() (session.Event, error)
}

// Format is a version of asciicast.
type Format string

// V2 is what Debian's asciinema 2.2.0 and everything newer opens; V3 what asciinema 3
// writes. Text is a transcript for people, JSON all events for programs.
const (
	V2   Format = "asciicast-v2"
	V3   Format = "asciicast-v3"
	Text Format = "text"
	JSON Format = "json"
)

// Formats lists what Write can write.
func Formats() []Format { return []Format{V2, V3, Text, JSON} }

// Options say what to write.
type Options struct {
	Format Format // default V2
	Stream uint32 // the channel to show; 0: the first shell or command of the recording
	Input  bool   // also write typed input; the source must have been unlocked
}

// encoder writes one format. at is microseconds since the recording began.
type encoder interface {
	head(h head) error
	event(at int64, code, data string) error
}

// head is what every format says at its beginning.
type head struct {
	cols, rows uint32
	term       string
	title      string
	started    time.Time
}

// Write writes a recording in a format. A cast shows one terminal; a recording without
// shell or command is refused there, so that nobody takes an empty cast for an idle
// session.
func Write(w io.Writer, src Source, o Options) error {
	out := bufio.NewWriter(w)
	var enc encoder
	switch o.Format {
	case V2, "":
		enc = &v2{w: out}
	case V3:
		enc = &v3{w: out}
	case Text:
		return writeText(w, src, o)
	case JSON:
		return writeJSON(w, src, o)
	default:
		return session.Errorf(session.Invalid, "%.40q is not a format that can be exported", o.Format).
			WithNext("Use " + string(V2) + ", " + string(V3) + ", text or json.")
	}
	v := view{enc: enc, options: o, header: src.Header()}
	for {
		e, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = v.take(e)
		}
		if err != nil {
			return fmt.Errorf("write a cast: %w", err)
		}
	}
	if !v.begun {
		return session.Errorf(session.Refused, "this recording holds no terminal").
			WithNext("Files and refused requests are listed by sallyport recordings play.")
	}
	if err := v.flush(); err != nil {
		return err
	}
	return out.Flush()
}

// view follows one channel of a recording.
type view struct {
	enc     encoder
	options Options
	header  recordings.Header
	begun   bool
	stream  uint32
	raw     bool // no terminal on the far side: line feeds need carriage returns
	out     text // output and error output each carry their own split characters
	errs    text
	in      text
	at      int64
}

func (v *view) take(e session.Event) error {
	if !v.begun {
		return v.wait(e)
	}
	v.at = e.At
	if e.Kind == session.Marker && (e.Stream == 0 || e.Stream == v.stream) {
		return v.marker(e)
	}
	if e.Stream != v.stream {
		return nil
	}
	switch e.Kind {
	case session.Output:
		return v.show("o", &v.out, e.Data)
	case session.ErrorOutput:
		return v.show("o", &v.errs, e.Data)
	case session.Input:
		if v.options.Input {
			return v.emit("i", v.in.take(e.Data))
		}
	case session.Resize:
		return v.resize(e.Data)
	case session.Exit:
		return v.exit(e.Data)
	}
	return nil
}

// wait looks for the channel to show. What comes before it is not shown.
func (v *view) wait(e session.Event) error {
	if e.Kind != session.ChannelOpened || v.options.Stream != 0 && e.Stream != v.options.Stream {
		return nil
	}
	var c session.ChannelOpen
	if err := json.Unmarshal(e.Data, &c); err != nil {
		return fmt.Errorf("read how channel %d was opened: %w", e.Stream, err)
	}
	if c.Type != session.Shell && c.Type != session.Exec {
		return nil
	}
	v.begun, v.stream, v.raw, v.at = true, e.Stream, c.Term == "", e.At
	h := head{cols: size(c.Cols, 80), rows: size(c.Rows, 24), term: c.Term, started: v.header.Started,
		title: v.header.Asset + "/" + v.header.Service}
	if c.Command != "" {
		h.title += ": " + c.Command
	}
	return v.enc.head(h)
}

// size keeps a terminal within what players survive.
func size(n, usual uint32) uint32 {
	if n == 0 {
		return usual
	}
	return min(n, 1000)
}

func (v *view) show(code string, t *text, data []byte) error {
	s := t.take(data)
	if v.raw {
		s = t.returns(s)
	}
	return v.emit(code, s)
}

func (v *view) emit(code, s string) error {
	if s == "" {
		return nil
	}
	return v.enc.event(v.at, code, s)
}

func (v *view) resize(data []byte) error {
	var w session.WindowSize
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("read a new window size: %w", err)
	}
	return v.emit("r", fmt.Sprintf("%dx%d", size(w.Cols, 80), size(w.Rows, 24)))
}

// exit ends a v3 cast with the status; v2 has no such event.
func (v *view) exit(data []byte) error {
	var x session.ExitStatus
	if err := json.Unmarshal(data, &x); err != nil {
		return fmt.Errorf("read how a command ended: %w", err)
	}
	if _, ok := v.enc.(*v3); !ok {
		return nil
	}
	if err := v.flush(); err != nil {
		return err
	}
	return v.emit("x", strconv.FormatUint(uint64(x.Status), 10))
}

func (v *view) marker(e session.Event) error {
	var n session.Note
	if err := json.Unmarshal(e.Data, &n); err != nil {
		return fmt.Errorf("read a marker: %w", err)
	}
	return v.emit("m", n.Text)
}

// flush shows what was left of a character that never became whole.
func (v *view) flush() error {
	for _, t := range []*text{&v.out, &v.errs} {
		if err := v.emit("o", t.rest()); err != nil {
			return err
		}
	}
	return v.emit("i", v.in.rest())
}
