package cast

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// writeJSON writes all events, one JSON object per line. Characters that could drive
// a terminal stand in it as escapes only.
func writeJSON(w io.Writer, src Source, o Options) error {
	out := bufio.NewWriter(w)
	for {
		e, err := src.Next()
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return fmt.Errorf("write events: %w", err)
		}
		if o.Stream != 0 && e.Stream != o.Stream {
			continue
		}
		b, err := json.Marshal(eventOf(e, src, o))
		if err != nil {
			return fmt.Errorf("write events: %w", err)
		}
		if _, err := out.Write(append(wording.Escape(b), '\n')); err != nil {
			return fmt.Errorf("write events: %w", err)
		}
	}
}

// Event is one line of the JSON export. Data is the event's exact bytes; Text is the
// same for reading, with what is not UTF-8 replaced. Of sealed events that were not
// unlocked there is the length alone.
type Event struct {
	At     int64           `json:"at"` // microseconds since the recording began
	Kind   string          `json:"kind"`
	Stream uint32          `json:"stream"`
	Bytes  int             `json:"bytes"`
	Sealed bool            `json:"sealed,omitempty"` // and not unlocked, or not asked for
	Text   string          `json:"text,omitempty"`
	Data   []byte          `json:"data,omitempty"`
	Detail json.RawMessage `json:"detail,omitempty"`
}

// locker tells how long a sealed event is whose content is not there.
type locker interface {
	Locked() (length int, locked bool)
}

func eventOf(e session.Event, src Source, o Options) Event {
	v := Event{At: e.At, Kind: KindWord(e.Kind), Stream: e.Stream, Bytes: len(e.Data)}
	if l, ok := src.(locker); ok && e.Kind.Sealed() {
		if n, locked := l.Locked(); locked {
			v.Bytes, v.Sealed = n, true
			return v
		}
	}
	switch e.Kind {
	case session.Input, session.Upload:
		if !o.Input {
			v.Sealed = true
			return v
		}
		v.Text, v.Data = strings.ToValidUTF8(string(e.Data), "\uFFFD"), e.Data
	case session.Output, session.ErrorOutput, session.Signal, session.Download:
		v.Text, v.Data = strings.ToValidUTF8(string(e.Data), "\uFFFD"), e.Data
	default:
		if json.Valid(e.Data) {
			v.Detail = e.Data
		}
	}
	return v
}

// KindWord names a kind of event for people and programs.
func KindWord(k session.EventKind) string {
	words := map[session.EventKind]string{
		session.ChannelOpened: "channel-opened", session.ChannelClosed: "channel-closed", session.Output: "output",
		session.ErrorOutput: "error-output", session.Input: "input", session.InputEnd: "input-end", session.Resize: "resize",
		session.Signal: "signal", session.Exit: "exit", session.FileOpened: "file-opened", session.Download: "download",
		session.Upload: "upload", session.FileClosed: "file-closed", session.FileAction: "file-action",
		session.NotAllowed: "not-allowed", session.Marker: "marker", session.CommandLine: "command-line",
	}
	if w, ok := words[k]; ok {
		return w
	}
	return string(rune(k))
}
