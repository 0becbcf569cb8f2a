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
// since the recording began.
type Replay struct {
	Recording string          `json:"recording"`
	Cols      uint32          `json:"cols"`
	Rows      uint32          `json:"rows"`
	Duration  int64           `json:"duration"`
	Started   time.Time       `json:"started"`
	Zone      string          `json:"zone"`
	Channels  []ReplayChannel `json:"channels"`
	Markers   []replay.Marker `json:"markers"`
	Activity  []int64         `json:"activity"` // bytes shown in each of at most 600 equal parts of the duration
	Parts     []ReplayRange   `json:"parts"`
}

// ReplayChannel is a shell or a command.
type ReplayChannel struct {
	Stream uint32 `json:"stream"`
	Kind   string `json:"kind"`
	Text   string `json:"text"`
	At     int64  `json:"at"`
}

// ReplayRange is a range that is fetched in one piece.
type ReplayRange struct {
	N     int   `json:"n"`
	From  int64 `json:"from"`
	To    int64 `json:"to"`
	Bytes int64 `json:"bytes"`
}

// ReplayPart is what happens in a range.
type ReplayPart struct {
	N      int           `json:"n"`
	Events []ReplayEvent `json:"events"`
}

// ReplayEvent is [microseconds, stream, kind, data]: "o" output in base64, "r" resize as
// "80x24", "c" a new screen of that size.
type ReplayEvent struct{ replay.Event }

// Schema describes the array.
func (ReplayEvent) Schema(huma.Registry) *huma.Schema {
	whole := map[string]any{"type": "integer"}
	four := 4
	return &huma.Schema{Type: huma.TypeArray, MinItems: &four, MaxItems: &four, Items: &huma.Schema{}, Extensions: map[string]any{
		"prefixItems": []any{whole, whole, map[string]any{"type": "string", "enum": []string{"o", "r", "c"}}, map[string]any{"type": "string"}}}}
}

// TranscriptLine is a line that was shown, as plain text.
type TranscriptLine terminal.Line

func replayView(r Recording, x replay.Index, zone string) Replay {
	return Replay{Recording: r.ID, Cols: x.Cols, Rows: x.Rows, Duration: x.Duration, Started: x.Header.Started.UTC(), Zone: zone,
		Channels: each(x.Channels, func(c replay.Channel) ReplayChannel {
			return ReplayChannel{Stream: c.Stream, Kind: string(c.Kind), Text: c.Text, At: c.At}
		}),
		Markers: list(x.Markers), Activity: list(x.Activity),
		Parts: each(x.Parts, func(p replay.Part) ReplayRange {
			return ReplayRange{N: p.N, From: p.From, To: p.To, Bytes: p.Bytes}
		})}
}
