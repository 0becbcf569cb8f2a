package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// Kinds of documents in the store.
const (
	requestKind   = "request"   // by rid
	grantKind     = "grant"     // by gid: the rid that it belongs to
	keyKind       = "key"       // by the key line's hash: the rid that brought it
	recordingKind = "recording" // by V-...
	standingKind  = "standing"  // by site and engineer: who disabled or enabled them
	presenceKind  = "presence"  // by site and agent: when it came or left
	passkeysKind  = "passkeys"  // by site and agent: of which the log tells
)

// record is everything known about a request, as it is stored.
type record struct {
	Request  []byte              `json:"request"` // exact bytes
	Proof    proof               `json:"proof"`
	Engineer session.Person      `json:"engineer"`
	Agent    string              `json:"agent"`    // name of the agent that has it
	Identity string              `json:"identity"` // fingerprint of that agent's key
	Created  time.Time           `json:"created"`
	Answer   answer              `json:"answer"`
	Session  sessionFacts        `json:"session"`
	Keys     []joined            `json:"keys,omitempty"` // that came after the request's own
	Proposal *proposal           `json:"proposal,omitempty"`
	Quorum   []session.Quorum    `json:"quorum,omitempty"`       // as the policy was when it was asked
	Passkeys session.ConsoleKeys `json:"console_keys,omitempty"` // so was this
	Owed     *debt               `json:"owed,omitempty"`

	doc grant.Request // of Request
	id  session.ID
}

// proof is an ID token as it was handed in.
type proof struct {
	By       session.Person `json:"by"`
	Token    string         `json:"token"`
	Salt     []byte         `json:"salt"`
	Received time.Time      `json:"received"` // by the agent

	Class   session.ClientClass `json:"class,omitempty"`   // of the client that its audience names
	Passkey []byte              `json:"passkey,omitempty"` // what one said, where one was used (grant.Assertion)
	Here    bool                `json:"here,omitempty"`    // given on the agent's own page, which told of it
	Groups  []string            `json:"groups,omitempty"`  // as the agent says, which the scanner wants; of a token, it says more
}

// passkey is the name of the one that was used; none: none was.
func (p proof) passkey() string {
	if a, err := grant.ParseAssertion(p.Passkey); err == nil {
		return a.Name()
	}
	return ""
}

// answer is what came of a request.
type answer struct {
	Grant      []byte         `json:"grant,omitempty"` // exact bytes, pinned before the agent sees them
	InFlight   int            `json:"in_flight,omitempty"`
	Delivered  time.Time      `json:"delivered,omitzero"` // when the last one in flight set out
	Approvals  []proof        `json:"approvals,omitempty"`
	Count      int            `json:"count,omitempty"` // distinct approvers, as the agent counts
	Needed     int            `json:"needed"`
	Granted    time.Time      `json:"granted,omitzero"`
	Denied     time.Time      `json:"denied,omitzero"`
	DeniedBy   session.Person `json:"denied_by,omitzero"`
	DenyReason string         `json:"deny_reason,omitempty"`
	Withdrawn  time.Time      `json:"withdrawn,omitzero"`
	Revoked    *revocation    `json:"revoked,omitempty"`
}

// sessionFacts is what the agent reported.
type sessionFacts struct {
	Seq        uint64            `json:"seq,omitempty"`
	Service    string            `json:"service,omitempty"`
	Protocol   session.Protocol  `json:"protocol,omitempty"`
	Opened     time.Time         `json:"opened,omitzero"`
	Deadline   time.Time         `json:"deadline,omitzero"`
	Frozen     []string          `json:"frozen_by,omitempty"` // causes
	Keys       int               `json:"keys,omitempty"`
	Ended      time.Time         `json:"ended,omitzero"`
	Reason     session.EndReason `json:"reason,omitempty"`
	Recordings []string          `json:"recordings,omitempty"`
	NoDevice   *NoDevice         `json:"no_device,omitempty"`
	Critical   *Critical         `json:"critical,omitempty"`
	Consent    *Consent          `json:"consent,omitempty"`

	Certificates []session.Certificate `json:"certificates,omitempty"` // one of a service
	Told         int                   `json:"told,omitempty"`         // events of what may change and change again
	ToldConsent  int                   `json:"told_consent,omitempty"` // and of what the operator was asked
}

// debt is what the agent still has to be told.
type debt struct {
	Reason session.EndReason `json:"reason,omitempty"` // of a session to end; empty: the request is over
	Revoke bool              `json:"revoke,omitempty"` // the grant is taken back, opened or not
	By     session.Person    `json:"by"`
}

// facts is the record as the rules see it.
func (r record) facts() session.RequestFacts {
	f := session.RequestFacts{
		NotAfter: time.Unix(r.doc.EXP, 0), Withdrawn: r.Answer.Withdrawn, Denied: r.Answer.Denied,
		Granted: r.Answer.Granted, Session: r.sessionFacts(),
	}
	if g, ok := r.grant(); ok && !r.Answer.Granted.IsZero() {
		f.NotAfter = time.Unix(g.EXP, 0)
	}
	return f
}

func (r record) sessionFacts() session.SessionFacts {
	s := r.Session
	f := session.SessionFacts{Opened: s.Opened, Deadline: s.Deadline, Frozen: len(s.Frozen) > 0, Ended: s.Ended, Reason: s.Reason}
	if c := s.Consent; c != nil {
		f.Asked = c.Since
		if c.Outcome == session.Asking {
			f.Asking = c.Until
		}
	}
	return f
}

// status is where the request stands. A grant that was taken back is revoked from
// then on, though its session lives until the agent has heard of it.
func (r record) status(now time.Time) session.Status {
	if r.Answer.Revoked != nil && r.Session.Ended.IsZero() {
		return session.Revoked
	}
	return r.facts().Status(now)
}

// extension reports whether the request asks for more time of a session. It never
// becomes a session itself.
func (r record) extension() bool { return r.doc.Kind == grant.KindExtension }

// target is the full name of the request's scanner.
func (r record) target(services ...string) string {
	return session.Target{Site: r.doc.Site, Asset: r.doc.Asset, Service: strings.Join(services, ",")}.String()
}

// grant is the pinned grant; whether it was admitted is Answer.Granted.
func (r record) grant() (grant.Grant, bool) {
	if len(r.Answer.Grant) == 0 {
		return grant.Grant{}, false
	}
	g, err := grant.ParseGrant(r.Answer.Grant)
	return g, err == nil
}

// sessionID is the id of the pinned grant and its session, zero without one.
func (r record) sessionID() session.ID {
	g, _ := r.grant()
	id, _ := session.ParseText(g.GID)
	return id
}

// seenBy reports whether a person may know of the request: its engineer, and the
// hospital's people.
func (r record) seenBy(c Caller) bool {
	if c.Is(session.Engineer) && c.Who().Identity == r.Engineer.Identity {
		return true
	}
	return c.At(r.doc.Site) && (c.Is(session.Approver) || c.Is(session.Auditor))
}

// readRecord reads a stored request and makes sure that it is the one asked for.
func readRecord(d store.Doc) (record, error) {
	var r record
	if err := json.Unmarshal(d.Body, &r); err != nil {
		return record{}, session.Errorf(session.Internal, "read request %s: %w", d.ID, err)
	}
	var err error
	if r.doc, err = grant.ParseRequest(r.Request); err != nil {
		return record{}, session.Errorf(session.Internal, "read the document of request %s: %w", d.ID, err)
	}
	if r.doc.RID != d.ID {
		return record{}, session.Errorf(session.Internal, "request %s holds another's document", d.ID)
	}
	r.id, err = session.ParseText(r.doc.RID)
	return r, err
}

// load reads a request that the caller may know of; anything else is unknown.
func (a *Access) load(ctx context.Context, c Caller, name string) (record, error) {
	id, err := session.ParseRequestID(name)
	if err != nil {
		return record{}, err
	}
	r, err := a.fetch(ctx, id)
	if err == nil && !r.seenBy(c) {
		err = unknownRequest(id)
	}
	if err != nil {
		return record{}, err
	}
	return r, nil
}

func (a *Access) fetch(ctx context.Context, id session.ID) (record, error) {
	d, err := a.docs.Get(ctx, requestKind, id.Text())
	if errors.Is(err, os.ErrNotExist) {
		return record{}, unknownRequest(id)
	}
	if err != nil {
		return record{}, err
	}
	return readRecord(d)
}

// pointer is a document that only names a request.
type pointer struct {
	Of      string `json:"of"` // what points
	Request string `json:"request"`
}

// point makes a pointer, or finds the one that is there. It reports whether the
// pointer leads to the request.
func (a *Access) point(ctx context.Context, kind, from string, to session.ID, ttl time.Duration) (bool, error) {
	body, err := json.Marshal(pointer{Of: from, Request: to.Text()})
	if err != nil {
		return false, fmt.Errorf("write a pointer: %w", err)
	}
	err = a.docs.Create(ctx, kind, hashed(from), body, ttl)
	if !errors.Is(err, store.ErrExists) {
		return err == nil, err
	}
	at, err := a.follow(ctx, kind, from)
	return at == to, err
}

// lasting says how long a pointer lives that is there, or ended too early; for good where
// ttl is 0.
func (a *Access) lasting(ctx context.Context, kind, from string, to session.ID, ttl time.Duration) error {
	err := a.docs.Expire(ctx, kind, hashed(from), ttl)
	if errors.Is(err, os.ErrNotExist) {
		_, err = a.point(ctx, kind, from, to, ttl)
	}
	return err
}

// follow reads where a pointer leads; os.ErrNotExist when there is none.
func (a *Access) follow(ctx context.Context, kind, from string) (session.ID, error) {
	d, err := a.docs.Get(ctx, kind, hashed(from))
	if err != nil {
		return session.ID{}, err
	}
	var p pointer
	if err := json.Unmarshal(d.Body, &p); err != nil || p.Of != from {
		return session.ID{}, session.Errorf(session.Internal, "a pointer of %s leads astray", kind)
	}
	return session.ParseText(p.Request)
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
