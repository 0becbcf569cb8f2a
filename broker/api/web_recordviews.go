package api

import (
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
)

// Attestation is a review to be.
type Attestation struct {
	Attestation string `json:"attestation" maxLength:"20"`
	Comment     string `json:"comment" maxLength:"4000"`
}

// Replay is what a player knows before it fetches the first part. Times are microseconds
// since the recording began. Channels, markers and activity are of what was read so far.
type Replay struct {
	Recording string          `json:"recording"`
	Duration  int64           `json:"duration"`
	Started   time.Time       `json:"started"`
	Zone      string          `json:"zone"`
	Parts     uint32          `json:"parts"`
	Read      int64           `json:"read"`  // up to when it was read
	Whole     bool            `json:"whole"` // all that is there was read
	Channels  []ReplayChannel `json:"channels"`
	Markers   []replay.Marker `json:"markers"`
	States    []replay.State  `json:"states"`   // how the scanner stood, each until the next; none where it has no interlock
	Activity  []int64         `json:"activity"` // bytes shown in each of at most 600 equal parts of what was read
	Inputs    []int64         `json:"inputs"`   // how often something was typed or pointed at, in each of them
}

// ReplayChannel is a shell, a command or a console. End is -1 where it was not closed.
type ReplayChannel struct {
	Stream   uint32 `json:"stream"`
	Kind     string `json:"kind"`
	Text     string `json:"text"`
	Terminal bool   `json:"terminal"`
	At       int64  `json:"at"`
	End      int64  `json:"end"`
}

// ReplayPart is a part that is fetched in one piece: what stood when it began, and what
// happens in it. Where it is not complete, something stood that is not known.
type ReplayPart struct {
	N        uint32            `json:"n"`
	From     int64             `json:"from"`
	To       int64             `json:"to"` // when the next part begins
	Complete bool              `json:"complete"`
	Screens  []terminal.Screen `json:"screens"`  // draw is in base64
	Consoles []ReplayConsole   `json:"consoles"` // that stood
	Events   []ReplayEvent     `json:"events"`
}

// ReplayConsole is a console as it stood: draw is a screen of recordings/frames in base64.
type ReplayConsole struct {
	Stream uint32 `json:"stream"`
	Draw   []byte `json:"draw"`
}

// ReplayEvent is [microseconds, stream, kind, data]: "o" output in base64, "r" resize as
// "80x24", "c" a new screen of that size; "w" size, "t" tiles and "k" cursor of a console, in
// base64, as recordings/frames has them.
type ReplayEvent struct{ replay.Event }

// Schema describes the array.
func (ReplayEvent) Schema(huma.Registry) *huma.Schema {
	whole := map[string]any{"type": "integer"}
	four := 4
	return &huma.Schema{Type: huma.TypeArray, MinItems: &four, MaxItems: &four, Items: &huma.Schema{}, Extensions: map[string]any{
		"prefixItems": []any{whole, whole, map[string]any{"type": "string", "enum": []string{"o", "r", "c", "w", "t", "k"}}, map[string]any{"type": "string"}}}}
}

// TranscriptLine is a line that was shown, as plain text.
type TranscriptLine terminal.Line

// Transcript is a stretch of what was shown, as lines. It goes on at the part next, unless
// it is whole; what is read of it so far is read up to read.
type Transcript struct {
	Lines []TranscriptLine `json:"lines"`
	Read  int64            `json:"read"`
	Next  uint32           `json:"next"`
	Whole bool             `json:"whole"`
}

func transcriptView(x replay.Text) Transcript {
	return Transcript{Lines: each(x.Lines, func(l terminal.Line) TranscriptLine { return TranscriptLine(l) }), Read: x.To, Next: x.Next, Whole: x.Whole}
}

// ReplayOf is a recording as players read it.
func ReplayOf(recording string, x replay.Overview, zone string) Replay {
	return Replay{Recording: recording, Duration: x.At, Started: x.Started.UTC(), Zone: zone, Parts: x.Segments, Read: x.Read,
		Whole: x.Whole || !x.Sealed && x.Index.Parts == x.Segments,
		Channels: each(x.Channels, func(c replay.Channel) ReplayChannel {
			return ReplayChannel{Stream: c.Stream, Kind: string(c.Kind), Text: c.Text, Terminal: c.Terminal, At: c.At, End: c.End}
		}),
		Markers: list(x.Markers), States: list(x.States), Activity: list(x.Activity), Inputs: list(x.Inputs)}
}

// PartOf is a part as players read it.
func PartOf(p replay.Part) ReplayPart {
	return ReplayPart{N: p.N, From: p.From, To: p.To, Complete: p.Complete,
		Screens: list(p.Screens), Consoles: each(p.Consoles, func(c replay.Console) ReplayConsole { return ReplayConsole(c) }),
		Events: each(p.Events, func(e replay.Event) ReplayEvent { return ReplayEvent{e} })}
}
