package replay

import (
	"bytes"
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

// view turns events into what is shown. It is the same for the index and for the parts,
// so that both count alike.
type view struct {
	screens map[uint32]terminal
}

// shown is what a player sees of one event.
type shown struct {
	kind string
	data []byte
}

func (v *view) show(e session.Event) (shown, bool) {
	switch e.Kind {
	case session.ChannelOpened:
		return v.opened(e)
	case session.Resize:
		return v.resized(e)
	case session.Output, session.ErrorOutput:
		return v.output(e)
	case session.ChannelClosed:
		delete(v.screens, e.Stream)
	}
	return shown{}, false
}

func (v *view) opened(e session.Event) (shown, bool) {
	c, ok := readOpen(e)
	if !ok {
		return shown{}, false
	}
	t := terminal{cols: side(c.Cols, defaultCols), rows: side(c.Rows, defaultRows), raw: c.Term == ""}
	v.keep(e.Stream, t)
	return shown{"c", []byte(t.size())}, true
}

// readOpen reads the opening of a shell or a command; of nothing else.
func readOpen(e session.Event) (session.ChannelOpen, bool) {
	var c session.ChannelOpen
	ok := e.Kind == session.ChannelOpened && json.Unmarshal(e.Data, &c) == nil && (c.Type == session.Shell || c.Type == session.Exec)
	return c, ok
}

func (v *view) resized(e session.Event) (shown, bool) {
	var w session.WindowSize
	t, known := v.screens[e.Stream]
	if !known || json.Unmarshal(e.Data, &w) != nil {
		return shown{}, false
	}
	t.cols, t.rows = side(w.Cols, defaultCols), side(w.Rows, defaultRows)
	v.keep(e.Stream, t)
	return shown{"r", []byte(t.size())}, true
}

func (v *view) output(e session.Event) (shown, bool) {
	if len(e.Data) == 0 {
		return shown{}, false
	}
	t, known := v.screens[e.Stream]
	if !known {
		t = terminal{cols: defaultCols, rows: defaultRows}
	}
	data := e.Data
	if t.raw {
		if data = t.few(data); len(data) == 0 {
			return shown{}, false
		}
		data = returns(t.last, data)
	}
	t.last = data[len(data)-1]
	v.keep(e.Stream, t)
	return shown{"o", data}, true
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
func (v *view) keep(stream uint32, t terminal) {
	if _, known := v.screens[stream]; !known && len(v.screens) >= maxStreams {
		delete(v.screens, slices.Min(slices.Collect(maps.Keys(v.screens))))
	}
	v.screens[stream] = t
}

// restore tells a player that begins with a part how large its terminals are.
func (v *view) restore(p Part) []Event {
	events := []Event{}
	for _, stream := range slices.Sorted(maps.Keys(p.screens)) {
		events = append(events, Event{At: p.From, Stream: stream, Kind: "r", Data: p.screens[stream].size()})
	}
	return events
}

func (t terminal) size() string { return fmt.Sprintf("%dx%d", t.cols, t.rows) }

// side keeps a terminal within what players survive.
func side(n, usual uint32) uint32 {
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

func cloneScreens(m map[uint32]terminal) map[uint32]terminal {
	if m == nil {
		return map[uint32]terminal{}
	}
	return maps.Clone(m)
}
