package replay

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Kind says what a marker is about.
type Kind string

// The kinds of markers.
const (
	FileIn  Kind = "file-in"
	FileOut Kind = "file-out"
	Refused Kind = "refused"
	Warning Kind = "warning"
	Freeze  Kind = "freeze"
	Thaw    Kind = "thaw"
	Stood   Kind = "modality" // the scanner came into another state
	Shell   Kind = "shell"
	Exec    Kind = "exec"
	Note    Kind = "note"
	End     Kind = "end"
)

// Marker is a moment worth jumping to. Text is plain.
type Marker struct {
	At   int64  `json:"at"`
	Kind Kind   `json:"kind" enum:"file-in,file-out,refused,warning,freeze,thaw,modality,shell,exec,note,end"`
	Text string `json:"text"`
}

// markerOf is the marker of an event; most have none. What cannot be read has one that
// says no more than its kind.
func markerOf(e session.Event) (Marker, bool) {
	kind, text := Kind(""), ""
	switch e.Kind {
	case session.ChannelOpened:
		kind, text = openWords(e)
	case session.FileClosed:
		kind, text = fileWords(e)
	case session.FileAction:
		kind, text = actionWords(e)
	case session.NotAllowed:
		var r session.Refusal
		if kind, text = Refused, "something"; json.Unmarshal(e.Data, &r) == nil {
			text = joined(": ", r.What, r.Detail)
		}
	case session.Marker:
		var n session.Note
		if kind, text = Note, "a remark of the agent"; json.Unmarshal(e.Data, &n) == nil {
			kind, text = noteKind(e.Stream, n.Kind), n.Text
		}
	}
	return Marker{At: e.At, Kind: kind, Text: cast.Clean(text, maxWords)}, kind != ""
}

func openWords(e session.Event) (Kind, string) {
	c, ok := terminal.ReadOpen(e)
	switch {
	case !ok:
		return "", ""
	case c.Type == session.Shell:
		return Shell, "shell"
	}
	return Exec, c.Command
}

func fileWords(e session.Event) (Kind, string) {
	var s session.FileSummary
	if json.Unmarshal(e.Data, &s) != nil {
		return Note, "a file was closed"
	}
	text := joined(", ", cast.Clean(s.Path, maxWords/2), size(s.Size))
	if s.SHA256 == "" && s.Reason != "" {
		text += " (" + s.Reason + ")"
	}
	if s.Direction == session.FilesIn {
		return FileIn, text
	}
	return FileOut, text
}

// actionWords are those of what changed files; looking at them is no marker.
func actionWords(e session.Event) (Kind, string) {
	var a session.FileChange
	if json.Unmarshal(e.Data, &a) != nil {
		return "", ""
	}
	switch strings.ToLower(a.Action) {
	case "remove", "rename", "mkdir", "rmdir", "symlink", "link":
		text := joined(" ", a.Action, cast.Clean(a.Path, maxWords/3), cast.Clean(a.Target, maxWords/3))
		if a.Error != "" {
			text += " (failed: " + a.Error + ")"
		}
		return Note, text
	}
	return "", ""
}

// noteKind is the kind of marker that a remark becomes. What was told on a channel about
// the whole session is no marker: the connection's own remark (stream 0) is.
func noteKind(stream uint32, kind session.NoteKind) Kind {
	if kind == session.NoteTerminal || kind == session.NoteVariable {
		return ""
	}
	marker, known := map[session.NoteKind]Kind{session.NoteFrozen: Freeze, session.NoteThawed: Thaw, session.NoteModality: Stood,
		session.NoteWarning: Warning, session.NoteExtended: Note, session.NoteCritical: Warning, session.NoteWatching: Note}[kind]
	switch {
	case !known:
		return Note
	case stream != 0:
		return ""
	}
	return marker
}

// ending says how a recording ended.
func ending(seal recordings.SealInfo) string {
	words := wording.Ended(seal.Reason)
	if seal.State == recordings.Torn {
		return "The recorder was lost here; the agent sealed what it had (" + words + ")."
	}
	return strings.ToUpper(words[:1]) + words[1:] + "."
}

func joined(between string, words ...string) string {
	var some []string
	for _, w := range words {
		if w != "" {
			some = append(some, w)
		}
	}
	return strings.Join(some, between)
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", max(n, 0))
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
