package api

import (
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// Approved is one approver of a request, and in which kind of program they approved it.
type Approved struct {
	By    session.Person      `json:"by"`
	Class session.ClientClass `json:"class"`
	At    time.Time           `json:"at"` // received by the agent
}

// Context is what a decision about a request should know.
type Context struct {
	Agent      string        `json:"agent"` // fingerprint that the grant must name
	Zone       string        `json:"zone"`
	Sessions   int           `json:"sessions"` // of this engineer on this scanner before
	Since      *time.Time    `json:"since"`    // the first of them
	Unreviewed int           `json:"unreviewed"`
	Recent     []PastSession `json:"recent"`
	Denied     int           `json:"denied"`
	Typical    int64         `json:"typical_seconds"` // median time to a decision here; 0: not known
	Decided    int           `json:"decided"`         // decisions behind it
}

// PastSession is an earlier session of an engineer on a scanner. Reason is why they asked.
type PastSession struct {
	Session    string     `json:"session"`
	Request    string     `json:"request"`
	Opened     time.Time  `json:"opened"`
	Ended      *time.Time `json:"ended"`
	Reason     string     `json:"reason"`
	WorkOrder  string     `json:"work_order"`
	Recordings []string   `json:"recordings"`
	Reviewed   bool       `json:"reviewed"`
}

// Digest sums a recording up.
type Digest replay.Digest

// Stuck says that parts of a recording are refused again and again; the agent keeps them.
type Stuck access.Stuck

// Verdict is what the broker found when it checked a recording.
type Verdict struct {
	At            time.Time `json:"at"`
	Verdict       string    `json:"verdict" enum:"intact,torn,tampered,unreadable,open"`
	Signer        string    `json:"signer" enum:"known,unknown"`
	Segments      int64     `json:"segments"`
	Countersigned bool      `json:"countersigned"`
	Logged        bool      `json:"logged"` // its seal is in the audit log
	Message       string    `json:"message"`
}

// Review is what one of the hospital's people says of a recording.
type Review struct {
	By          string    `json:"by"`
	At          time.Time `json:"at"`
	Attestation string    `json:"attestation" enum:"as-agreed,concern"`
	Comment     string    `json:"comment"`
}

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

func replayView(r access.Recording, x replay.Index, zone string) Replay {
	return Replay{Recording: r.ID.Recording(), Cols: x.Cols, Rows: x.Rows, Duration: x.Duration, Started: x.Header.Started.UTC(), Zone: zone,
		Channels: each(x.Channels, func(c replay.Channel) ReplayChannel {
			return ReplayChannel{Stream: c.Stream, Kind: string(c.Kind), Text: c.Text, At: c.At}
		}),
		Markers: list(x.Markers), Activity: list(x.Activity),
		Parts: each(x.Parts, func(p replay.Part) ReplayRange {
			return ReplayRange{N: p.N, From: p.From, To: p.To, Bytes: p.Bytes}
		})}
}

func verdictView(v *access.Verdict) *Verdict {
	if v == nil {
		return nil
	}
	return &Verdict{At: v.At.UTC(), Verdict: v.Verdict, Signer: v.Signer, Segments: v.Segments, Countersigned: v.Countersigned,
		Logged: v.Logged, Message: v.Message}
}

// recordingView also asks for a digest that is not there yet.
func (d *door) recordingView(r access.Recording) Recording {
	v := Recording{ID: r.ID.Recording(), State: r.State, Asset: r.Asset, Service: r.Service, Protocol: r.Protocol, Engineer: known(r.Engineer),
		Started: r.Started.UTC(), Ended: orNull(r.Ended), Bytes: r.Bytes, Site: r.Site, WorkOrder: r.WorkOrder, Reason: string(r.Reason),
		Readable: r.Readable, Verdict: verdictView(r.Verdict), Digest: (*Digest)(r.Digest), Stuck: (*Stuck)(r.Stuck),
		Reviews: each(r.Reviews, func(x access.Review) Review {
			return Review{By: known(x.By), At: x.At.UTC(), Attestation: x.Attestation, Comment: x.Comment}
		})}
	if !r.Session.IsZero() {
		v.Session = r.Session.Session()
	}
	if !r.Request.IsZero() {
		v.Request = r.Request.Request()
	}
	if r.State != "live" && r.Readable && r.Digest == nil && d.Digest != nil {
		d.Digest(r.Site, v.ID)
	}
	return v
}

func contextView(x access.Context) Context {
	return Context{Agent: x.Agent, Zone: x.Zone, Sessions: x.Sessions, Since: orNull(x.Since), Unreviewed: x.Unreviewed, Denied: x.Denied,
		Typical: int64(x.Median / time.Second), Decided: x.Decided,
		Recent: each(x.Recent, func(p access.PastSession) PastSession {
			return PastSession{Session: p.ID.Session(), Request: p.Request.Request(), Opened: p.Opened.UTC(), Ended: orNull(p.Ended),
				Reason: p.Asked, WorkOrder: p.WorkOrder, Recordings: list(p.Recordings), Reviewed: p.Reviewed}
		})}
}
