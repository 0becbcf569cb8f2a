package replay

import (
	"fmt"
	"unicode/utf8"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
)

// Console is a console as it stood: Draw is a screen of recordings/frames, not packed.
type Console struct {
	Stream uint32
	Draw   []byte
}

// consolesOf are the consoles among the snapshots of a recording.
func consolesOf(all []session.Snapshot) (out []Console) {
	for _, x := range all {
		if x.Kind != session.ConsoleSnapshot {
			continue
		}
		if draw, err := frames.Plain(x.Data); err == nil {
			out = append(out, Console{Stream: x.Stream, Draw: draw})
		}
	}
	return out
}

// draws reports whether events of a kind change what a console shows.
func draws(kind session.EventKind) bool {
	return kind == session.ScreenSize || kind == session.ScreenTiles || kind == session.ScreenCursor
}

// consoles are the streams that show no text: what they put out was copied out of the device.
type consoles map[uint32]bool

// consolesAt are those that are open when a scene begins.
func consolesAt(s recordings.Scene, known []Channel) consoles {
	all := consoles{}
	for _, x := range s.Snapshots {
		if x.Kind == session.ConsoleSnapshot {
			all[x.Stream] = true
		}
	}
	for _, c := range known {
		if c.Kind == session.Control && c.At <= s.From && (c.End < 0 || c.End >= s.From) {
			all[c.Stream] = true
		}
	}
	return all
}

// copied reports whether an event is text that was copied out of a device.
func (c consoles) copied(e session.Event) bool {
	if e.Kind == session.ChannelOpened {
		open, ok := readOpen(e)
		delete(c, e.Stream)
		if ok && open.Type == session.Control && len(c) < maxChannels {
			c[e.Stream] = true
		}
	}
	return (e.Kind == session.Output || e.Kind == session.ErrorOutput) && c[e.Stream]
}

// copiedWords is the marker of text that was copied out; what goes on with one has none.
func copiedWords(e session.Event) (Marker, bool) {
	in, err := frames.ParseInput(e.Data)
	if err != nil || in.Kind != frames.Text {
		return Marker{}, false
	}
	n, more := utf8.RuneCountInString(in.Text), ""
	if len(e.Data) == session.MaxEventData {
		more = " or more"
	}
	return Marker{At: e.At, Kind: Note, Text: fmt.Sprintf("Text was copied out of the device, %d characters%s", n, more)}, true
}
