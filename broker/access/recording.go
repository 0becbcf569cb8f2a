package access

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// stuckAs is what an agent reports, in words that are fit to be shown.
func stuckAs(x *link.Stuck) *Stuck {
	return &Stuck{Part: wording.Line(x.Part, maxText), Parts: max(x.Parts, 1), Since: x.Since.UTC(),
		Message: wording.Line(x.Message, maxStuck), Next: wording.Line(x.Next, maxStuck)}
}

// recording is what is kept of one.
type recording struct {
	ID       string           `json:"id"`
	Site     string           `json:"site"`
	Agent    string           `json:"agent"`
	Session  string           `json:"session,omitempty"`
	Asset    string           `json:"asset,omitempty"`
	Service  string           `json:"service,omitempty"`
	Protocol session.Protocol `json:"protocol,omitempty"`
	Engineer session.Person   `json:"engineer,omitzero"`
	Started  time.Time        `json:"started,omitzero"`
	Stored   stored           `json:"stored,omitzero"`
	Sealed   time.Time        `json:"sealed,omitzero"`
	Torn     bool             `json:"torn,omitempty"`
	Viewed   []viewing        `json:"viewed,omitempty"` // the newest, oldest first

	Request   string            `json:"request,omitempty"`
	WorkOrder string            `json:"work_order,omitempty"`
	Reason    session.EndReason `json:"reason,omitempty"`     // of the session's end
	Closed    session.EndReason `json:"closed,omitempty"`     // of this connection's end, as the seal says
	Unseen    bool              `json:"unreadable,omitempty"` // its content is sealed to others
	Digest    *replay.Digest    `json:"digest,omitempty"`
	Verdict   *Verdict          `json:"verdict,omitempty"`
	Reviews   []review          `json:"reviews,omitempty"`
	Stuck     *Stuck            `json:"stuck,omitempty"`
}

// viewing is one look at a recording that was announced before.
type viewing struct {
	By     session.Person `json:"by"`
	At     time.Time      `json:"at"`
	Input  bool           `json:"input,omitempty"`
	Reason string         `json:"reason"`
}

// state is live, sealed or torn.
func (x recording) state() string {
	switch {
	case x.Sealed.IsZero():
		return "live"
	case x.Torn:
		return "torn"
	}
	return "sealed"
}

// ended is why the session ended, or this connection of it; empty while that is not known.
func (x recording) ended() session.EndReason { return cmp.Or(x.Reason, x.Closed) }

func (x recording) view() Recording {
	v := Recording{ID: x.ID, Session: x.Session, Request: x.Request, State: x.state(), Target: session.Target{Site: x.Site, Asset: x.Asset, Service: x.Service}.String(), Site: x.Site, Asset: x.Asset, Service: x.Service,
		Protocol: x.Protocol, Engineer: x.Engineer.Shown(), Name: x.Engineer.Name, Started: x.Started.UTC(), Ended: orNull(x.Sealed), Bytes: x.Stored.bytes(),
		WorkOrder: x.WorkOrder, Reason: string(x.ended()), Readable: x.Stored.has(recordings.HeaderPart) && !x.Unseen,
		Digest: x.Digest, Verdict: x.Verdict, Stuck: x.Stuck, Reviews: []Review{}}
	for _, r := range x.Reviews {
		v.Reviews = append(v.Reviews, Review{By: r.By.Shown(), At: r.At.UTC(), Attestation: r.Attestation, Comment: r.Comment})
	}
	return v
}

// event is something that somebody did with a recording.
func (x recording) event(what string, by session.Identity, details map[string]string) witness.Event {
	e := witness.Event{Event: what, Site: x.Site, Who: &by, Recording: x.ID, Session: x.Session, Details: details}
	details["asset"] = session.Target{Site: x.Site, Asset: x.Asset}.String()
	if x.Engineer.Sub != "" {
		e.Of = &x.Engineer.Identity
	}
	return e
}

func (x recording) seenBy(c Caller) bool {
	if c.Is(session.Engineer) && x.Engineer.Sub != "" && c.Who().Identity == x.Engineer.Identity {
		return true
	}
	return c.At(x.Site) && (c.Is(session.Approver) || c.Is(session.Auditor))
}

// StartRecording lists a recording, by itself and under its session, before its
// first part arrives. ReportSession does it for every recording that it names; an
// agent that died before it could report has the recording to show for it.
func (a *Access) StartRecording(ctx context.Context, site, agent string, of session.ID, x link.RecordingReport) error {
	r, err := a.bySession(ctx, of)
	if err != nil {
		return err
	}
	if r.doc.Site != site || r.Agent != agent {
		return unknown("session", of.Session())
	}
	listed := slices.Contains(r.Session.Recordings, x.Recording)
	if !listed && len(r.Session.Recordings) >= maxRecordings {
		return refusal(session.Refused, "Look into the agent's log.", "A session has at most %d recordings, and %s has them.", maxRecordings, of.Session())
	}
	if err := a.startRecording(ctx, r, x); err != nil || listed {
		return err
	}
	_, err = a.edit(ctx, r.id, func(r *record) error {
		if r.sessionID() != of {
			return unknown("session", of.Session())
		}
		r.Session.list(x.Recording)
		return nil
	})
	return err
}

func (a *Access) startRecording(ctx context.Context, r record, x link.RecordingReport) error {
	id, err := session.ParseRecordingID(x.Recording)
	if err != nil {
		return err
	}
	return a.editRecording(ctx, r.doc.Site, r.Agent, id, func(now *recording) error {
		of := r.sessionID().Session()
		if now.Session != "" && now.Session != of {
			return unknown("recording", id.Recording())
		}
		if now.Session == "" {
			now.Started = between(x.Started, r.Created.Add(-clockSlack), a.now().Add(clockSlack)).UTC()
		}
		now.Session, now.Asset, now.Service, now.Protocol, now.Engineer = of, r.doc.Asset, x.Service, x.Protocol, r.Engineer
		now.Request, now.WorkOrder = r.id.Request(), r.doc.Ref
		now.Reason = r.Session.Reason
		if x.Stuck != nil {
			now.Stuck = stuckAs(x.Stuck)
		}
		return nil
	})
}

// Storable refuses a part of a recording that the broker has never heard of: that comes
// from a session that was granted, and its header or the agent's report says so. A few may
// be ahead of both.
func (a *Access) Storable(ctx context.Context, site, agent string, id session.ID) error {
	d, err := a.docs.Get(ctx, recordingKind, id.Text())
	if err == nil {
		x, err := readRecording(d.Body, id)
		if err == nil && (x.Site != site || x.Agent != agent) {
			err = unknown("recording", id.Recording())
		}
		return err
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	n, _, err := a.list.Extent(ctx, recordingKind, ofSite(site)+unheardOf)
	if err == nil && n >= maxUnheard {
		err = refusal(session.Refused, "Look for the sessions of these recordings in the agent's log; it keeps what it has.",
			"%d recordings of %s belong to no session that was granted here, and there can be no more.", n, site)
	}
	return err
}

// AppendPart notes that a part of a recording is in the vault. Noting it twice
// counts it once.
func (a *Access) AppendPart(ctx context.Context, site, agent string, id session.ID, part string, size int64) error {
	if len(part) == 0 || len(part) > 100 || !wording.Plain(part) || size < 0 {
		return refusal(session.Invalid, "Look into the agent's log.", "The part of a recording is out of bounds.")
	}
	return a.editRecording(ctx, site, agent, id, func(x *recording) error {
		x.Stored.add(part, size)
		if x.Stuck != nil && x.Stuck.Part == part {
			x.Stuck = nil // where another is, the agent says so
		}
		return nil
	})
}

// Seal is what is noted of a recording that is complete.
type Seal struct {
	Ended  time.Time
	Torn   bool
	SHA256 string // of the seal's part, hex

	Reason session.EndReason // of the connection's end
}

// SealRecording notes that a recording is complete. The first seal counts.
func (a *Access) SealRecording(ctx context.Context, site, agent string, id session.ID, ended time.Time, torn bool) error {
	return a.Seal(ctx, site, agent, id, Seal{Ended: ended, Torn: torn})
}

// Seal is SealRecording with the seal's hash, which the audit log keeps.
func (a *Access) Seal(ctx context.Context, site, agent string, id session.ID, s Seal) error {
	ended := between(s.Ended, time.Unix(0, 0), a.now().Add(clockSlack))
	s.Ended = ended
	if err := a.enterSeal(ctx, site, agent, id, s); err != nil {
		return err // the agent sends the seal again
	}
	torn := s.Torn
	return a.editRecording(ctx, site, agent, id, func(x *recording) error {
		if x.Sealed.IsZero() {
			x.Sealed, x.Torn, x.Closed = between(ended, x.Started, ended).UTC(), torn, s.Reason
		}
		return nil
	})
}

// enterSeal writes the first seal of a recording into the audit log.
func (a *Access) enterSeal(ctx context.Context, site, agent string, id session.ID, s Seal) error {
	e := witness.Event{Event: witness.RecordingSealed, Site: site, Recording: id.Recording(), Details: map[string]string{
		"agent": agent, "ended": s.Ended.UTC().Format(time.RFC3339), "seal": s.SHA256, "state": "sealed"}}
	if s.Torn {
		e.Details["state"] = "torn"
	}
	d, err := a.docs.Get(ctx, recordingKind, id.Text())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return a.enter(ctx, e)
	case err != nil:
		return err
	}
	x, err := readRecording(d.Body, id)
	if err != nil || x.Site != site || x.Agent != agent || !x.Sealed.IsZero() {
		return err // editRecording says what is wrong
	}
	e.Session = x.Session
	if x.Asset != "" {
		e.Details["asset"] = session.Target{Site: x.Site, Asset: x.Asset}.String()
	}
	if x.Engineer.Sub != "" {
		e.Of = &x.Engineer.Identity
	}
	return a.enter(ctx, e)
}

// editRecording changes what is kept of an agent's own recording, or begins to keep it.
func (a *Access) editRecording(ctx context.Context, site, agent string, id session.ID, change func(*recording) error) error {
	return a.putRecording(ctx, id, &recording{ID: id.Recording(), Site: site, Agent: agent, Started: a.utc()}, func(x *recording) error {
		if x.Site != site || x.Agent != agent {
			return unknown("recording", id.Recording())
		}
		return change(x)
	})
}

// putRecording changes what is kept of a recording, which begins as first; without one
// it has to be there.
func (a *Access) putRecording(ctx context.Context, id session.ID, first *recording, change func(*recording) error) error {
	return a.docs.Put(ctx, recordingKind, id.Text(), func(old []byte) ([]byte, []store.Under, error) {
		var x recording
		var err error
		switch {
		case old != nil:
			x, err = readRecording(old, id)
		case first != nil:
			x = *first
		default:
			err = unknown("recording", id.Recording())
		}
		if err == nil {
			err = change(&x)
		}
		if err != nil {
			return nil, nil, err
		}
		body, err := json.Marshal(x)
		return body, x.under(), err
	})
}

// Indexes of recordings.
const (
	reviewedOf   = ":reviewed"
	unreviewedOf = ":unreviewed" // its session is over and nobody has reviewed it
	stuckOf      = ":stuck"      // parts of it cannot be stored
	unheardOf    = ":unheard"    // no session of it is known yet
)

func ofSession(id session.ID) string { return "session:" + id.Session() }

// under is where a recording stands.
func (x recording) under() []store.Under {
	names := []string{ofSite(x.Site)}
	if x.Engineer.Sub != "" {
		names = append(names, ofEngineer(x.Engineer.Identity))
	}
	if x.Stuck != nil {
		for _, n := range names {
			names = append(names, n+stuckOf)
		}
	}
	switch {
	case x.Session == "":
		names = append(names, ofSite(x.Site)+unheardOf)
	case len(x.Reviews) > 0:
		names = append(names, "session:"+x.Session+reviewedOf)
	case x.Reason != "":
		names = append(names, onScanner(x.Engineer.Identity, x.Site, x.Asset)+unreviewedOf)
	}
	return store.Names(names...)
}

// decodeRecording is readRecording of a document that a list has.
func decodeRecording(d store.Doc) (recording, error) {
	id, err := session.ParseText(d.ID)
	if err != nil {
		return recording{}, err
	}
	return readRecording(d.Body, id)
}

func readRecording(body []byte, id session.ID) (recording, error) {
	var x recording
	if err := json.Unmarshal(body, &x); err != nil {
		return recording{}, session.Errorf(session.Internal, "read recording %s: %w", id.Recording(), err)
	}
	if x.ID != id.Recording() {
		return recording{}, session.Errorf(session.Internal, "recording %s holds another's facts", id.Recording())
	}
	return x, nil
}

// NoteViewing keeps with a recording that the caller looks at it, and why.
func (a *Access) NoteViewing(ctx context.Context, c Caller, id string, input bool, reason string) error {
	if !sentence(reason, maxWhy) {
		return unexplained()
	}
	x, key, err := a.loadRecording(ctx, c, id)
	if err != nil {
		return err
	}
	details := map[string]string{"reason": reason, "input": strconv.FormatBool(input)}
	if err := a.enter(ctx, x.event(witness.RecordingViewed, c.Who().Identity, details)); err != nil {
		return err
	}
	return a.putRecording(ctx, key, nil, func(x *recording) error {
		x.Viewed = append(x.Viewed, viewing{By: c.Who(), At: a.utc(), Input: input, Reason: reason})
		x.Viewed = x.Viewed[max(0, len(x.Viewed)-maxViewings):]
		return nil
	})
}

func unexplained() error {
	return refusal(session.Invalid, "Say in a few plain words why.", "A recording is looked at, or taken away, for a reason.")
}

// Recording reads one recording that the caller may know of.
func (a *Access) Recording(ctx context.Context, c Caller, id string) (Recording, error) {
	x, _, err := a.loadRecording(ctx, c, id)
	return x.view(), err
}

// FetchRecording is Recording for somebody who takes it away and says why; the audit log has it first.
func (a *Access) FetchRecording(ctx context.Context, c Caller, id, reason string) (Recording, error) {
	x, _, err := a.loadRecording(ctx, c, id)
	if err == nil && !sentence(reason, maxWhy) {
		return Recording{}, unexplained()
	}
	if err == nil {
		err = a.enter(ctx, x.event(witness.RecordingFetched, c.Who().Identity, map[string]string{"reason": reason}))
	}
	return x.view(), err
}

// loadRecording reads what is kept of a recording that the caller may know of.
func (a *Access) loadRecording(ctx context.Context, c Caller, name string) (recording, session.ID, error) {
	id, err := session.ParseRecordingID(name)
	if err != nil {
		return recording{}, id, err
	}
	d, err := a.docs.Get(ctx, recordingKind, id.Text())
	if errors.Is(err, os.ErrNotExist) {
		return recording{}, id, unknown("recording", name)
	}
	if err != nil {
		return recording{}, id, err
	}
	x, err := readRecording(d.Body, id)
	if err == nil && !x.seenBy(c) {
		err = unknown("recording", name)
	}
	if err != nil {
		return recording{}, id, err
	}
	return x, id, nil
}
