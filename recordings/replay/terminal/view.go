package terminal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport/sallyport/session"
)

// terminal is the far end of a stream as far as a player has to know it.
type terminal struct {
	cols, rows uint32
	raw        bool // no terminal there: line feeds need carriage returns
	plain      int  // bytes of what had no terminal that were shown
	last       byte // that was shown, for returns
}

// Screens turn the events of one segment into what is shown. They know what stood when it
// began and nothing of what was before, so that a segment shows the same to who comes to
// it from the one before and to who begins there.
type Screens struct {
	open  map[uint32]terminal
	plain bool // what else is open has no terminal
}

// Stood are the terminals that stood when a segment began. complete: there were no others.
func Stood(all []Screen, complete bool) *Screens {
	v := &Screens{open: map[uint32]terminal{}, plain: complete}
	for _, s := range all {
		v.keep(s.Stream, terminal{cols: s.Cols, rows: s.Rows})
	}
	return v
}

// Plain says that a stream is open and has no terminal.
func (v *Screens) Plain(stream uint32) { v.keep(stream, terminal{cols: Cols, rows: Rows, raw: true}) }

// Screen is a terminal as it stood: a player that makes one of this size and writes Draw
// to it shows the same.
type Screen struct {
	Stream uint32 `json:"stream"`
	Cols   uint32 `json:"cols"`
	Rows   uint32 `json:"rows"`
	Draw   []byte `json:"draw"`
}

// Drawn are the terminals among the snapshots of a recording.
func Drawn(all []session.Snapshot) []Screen {
	out := []Screen{}
	for _, s := range all {
		if screen, err := session.ParseScreen(s.Data); err == nil && s.Kind == session.TerminalSnapshot {
			out = append(out, Screen{Stream: s.Stream, Cols: screen.Cols, Rows: screen.Rows, Draw: screen.Draw})
		}
	}
	return out
}

// Shown is what a player sees of one event: "o" output, "r" another size, "c" a new screen.
type Shown struct {
	Kind string
	Data []byte
}

// Text is the data as players read it: output in base64, sizes as "80x24".
func (s Shown) Text() string {
	if s.Kind == "o" {
		return base64.StdEncoding.EncodeToString(s.Data)
	}
	return string(s.Data)
}

// Show lets an event happen and returns what is seen of it, if anything.
func (v *Screens) Show(e session.Event) (Shown, bool) {
	switch e.Kind {
	case session.ChannelOpened:
		return v.opened(e)
	case session.Resize:
		return v.resized(e)
	case session.Output, session.ErrorOutput:
		return v.output(e)
	case session.ChannelClosed:
		delete(v.open, e.Stream)
	}
	return Shown{}, false
}

func (v *Screens) opened(e session.Event) (Shown, bool) {
	c, ok := ReadOpen(e)
	if !ok {
		return Shown{}, false
	}
	t := terminal{cols: Side(c.Cols, Cols), rows: Side(c.Rows, Rows), raw: c.Term == ""}
	v.keep(e.Stream, t)
	return Shown{"c", []byte(t.Size())}, true
}

// ReadOpen reads the opening of a shell or a command; of nothing else.
func ReadOpen(e session.Event) (session.ChannelOpen, bool) {
	var c session.ChannelOpen
	ok := e.Kind == session.ChannelOpened && json.Unmarshal(e.Data, &c) == nil && (c.Type == session.Shell || c.Type == session.Exec)
	return c, ok
}

func (v *Screens) resized(e session.Event) (Shown, bool) {
	var w session.WindowSize
	t, known := v.open[e.Stream]
	if !known || json.Unmarshal(e.Data, &w) != nil {
		return Shown{}, false
	}
	t.cols, t.rows = Side(w.Cols, Cols), Side(w.Rows, Rows)
	v.keep(e.Stream, t)
	return Shown{"r", []byte(t.Size())}, true
}

func (v *Screens) output(e session.Event) (Shown, bool) {
	if len(e.Data) == 0 {
		return Shown{}, false
	}
	t, known := v.open[e.Stream]
	if !known {
		t = terminal{cols: Cols, rows: Rows, raw: v.plain}
	}
	data := e.Data
	if t.raw {
		if data = t.few(data); len(data) == 0 {
			return Shown{}, false
		}
		data = returns(t.last, data)
	}
	t.last = data[len(data)-1]
	v.keep(e.Stream, t)
	return Shown{"o", data}, true
}

// few is what is shown of output that went to no terminal: a command's answer, and of
// bulk - a copy, an archive - its beginning and a word that there was more.
func (t *terminal) few(data []byte) []byte {
	if t.plain > plainBytes {
		return nil
	}
	if t.plain += len(data); t.plain > plainBytes {
		return append(bytes.Clone(data[:len(data)-(t.plain-plainBytes)]), unshownBulk...)
	}
	return data
}

// unshownBulk stands where the output of a command is not shown any further.
const unshownBulk = "\r\n[This command wrote more than is shown here, and to no terminal. The recording has all of it.]\r\n"

// keep remembers a stream, and forgets the lowest of too many.
func (v *Screens) keep(stream uint32, t terminal) {
	if _, known := v.open[stream]; !known && len(v.open) >= maxStreams {
		delete(v.open, slices.Min(slices.Collect(maps.Keys(v.open))))
	}
	v.open[stream] = t
}

// Size is as players read it.
func (t terminal) Size() string { return fmt.Sprintf("%dx%d", t.cols, t.rows) }

// Side keeps a terminal within what players survive.
func Side(n, usual uint32) uint32 {
	if n == 0 {
		return usual
	}
	return min(n, session.LargestSide)
}

// returns puts a carriage return before every line feed that has none.
func returns(last byte, data []byte) []byte {
	if bytes.IndexByte(data, '\n') < 0 {
		return data
	}
	out := make([]byte, 0, len(data)+len(data)/16+16)
	for {
		n := bytes.IndexByte(data, '\n')
		if n < 0 {
			return append(out, data...)
		}
		if n > 0 {
			last = data[n-1]
		}
		out = append(out, data[:n]...)
		if last != '\r' {
			out = append(out, '\r')
		}
		out, data, last = append(out, '\n'), data[n+1:], '\n'
	}
}
