package access

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/session"
)

// The shapes below are what people's scripts read, as JSON. Ids are R-, S- and V-; no list
// is null; times are RFC 3339 UTC or null.

// Request is a request as it stands at one moment, with the terms that hold: the grant's
// once there is one.
type Request struct {
	ID         string            `json:"id"`
	Status     session.Status    `json:"status"`
	Target     string            `json:"target"` // SITE/ASSET/SERVICE; several services with commas
	Asset      string            `json:"asset"`
	Services   []string          `json:"services"`
	Grant      *string           `json:"grant"` // S-..., once granted
	NotBefore  time.Time         `json:"not_before"`
	NotAfter   time.Time         `json:"not_after"`
	MaxSeconds int64             `json:"max_seconds"`
	Approvals  int               `json:"approvals"`
	Needed     int               `json:"needed"`
	Site       string            `json:"site"`
	Class      session.Class     `json:"class"`
	Channels   []session.Channel `json:"channels"`
	Engineer   session.Person    `json:"engineer"`
	Reason     string            `json:"reason"`
	WorkOrder  string            `json:"work_order"`
	Created    time.Time         `json:"created"`
	DeniedBy   string            `json:"denied_by,omitempty"`
	DenyReason string            `json:"deny_reason,omitempty"`
	Kind       string            `json:"kind"`                    // session or extension
	Extends    string            `json:"extends,omitempty"`       // S-... that an extension makes longer
	Missing    []string          `json:"missing"`                 // groups that still have to approve, one entry a place
	Halves     []Half            `json:"halves"`                  // approvals that lack one of two proofs
	Proposal   *Proposal         `json:"proposal,omitempty"`      // another window, by an approver
	RevokedBy  string            `json:"revoked_by,omitempty"`    // who took the approval back
	RevokeWhy  string            `json:"revoke_reason,omitempty"` // and why

	EngineerClass session.ClientClass `json:"engineer_class"` // of the program in which they asked; empty where it is not known
	Approved      []Approved          `json:"approved"`       // in the order in which the agent had them
	// Unwritten are those who got no mail about it; only where one request is asked for.
	Unwritten []Unwritten `json:"unwritten,omitempty"`
}

// Approved is one approver of a request, and in which kind of program they approved it.
type Approved struct {
	By      session.Person      `json:"by"`
	Class   session.ClientClass `json:"class"`
	At      time.Time           `json:"at"`                // received by the agent
	Page    bool                `json:"page,omitempty"`    // on the agent's own page, in the hospital
	Passkey string              `json:"passkey,omitempty"` // K-..., where one was used, as the agent says
	Signed  bool                `json:"signed,omitempty"`  // they signed in beside the passkey
}

// Half is an approval that does not count yet: the scanner asks each approver to sign in, and
// to use a passkey on the agent's own page.
type Half struct {
	By    session.Person `json:"by"`
	Lacks string         `json:"lacks" enum:"passkey,sign-in"`
}

// Proposal is another window for a request, by an approver.
type Proposal struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Documents are the exact bytes and proofs of a request, for a console that checks them itself.
type Documents struct {
	Request   []byte     `json:"request"`
	Token     string     `json:"token"`
	Salt      []byte     `json:"salt"`
	Received  time.Time  `json:"received"`        // when the agent took it, as the broker says
	Grant     []byte     `json:"grant,omitempty"` // pinned: the only bytes that can still be approved
	Approvals []Approval `json:"approvals"`
}

// Approval is one approver's proof: a token with its salt, what a passkey of the agent's own
// page said, or both.
type Approval struct {
	Token    string    `json:"token"`
	Salt     []byte    `json:"salt"`
	Passkey  []byte    `json:"passkey,omitempty"` // JSON: page, key, answer, count, at
	Received time.Time `json:"received"`
}

// Session is a session as it stands at one moment.
type Session struct {
	ID         string             `json:"id"`
	State      session.State      `json:"state"`
	Reason     *session.EndReason `json:"reason"` // null while it lives
	Target     string             `json:"target"` // SITE/ASSET/SERVICE of the first connection
	Asset      string             `json:"asset"`
	Service    string             `json:"service"`  // of the first connection
	Protocol   session.Protocol   `json:"protocol"` // empty where it is not known
	Engineer   string             `json:"engineer"` // e-mail, or the subject where there is none
	Opened     time.Time          `json:"opened" nullable:"true"`
	Deadline   time.Time          `json:"deadline" nullable:"true"`
	Ended      *time.Time         `json:"ended"`
	Recordings []string           `json:"recordings"`
	Request    string             `json:"request"`
	Frozen     []string           `json:"frozen"` // causes; none while it runs
	Site       string             `json:"site"`
	WorkOrder  string             `json:"work_order"`
	Keys       int                `json:"keys"` // that may open connections; 0 when the agent did not say
	// Critical is null while no critical section is on.
	Critical *Critical `json:"critical"`
	// Consent is null where the operator was asked nothing.
	Consent *Consent `json:"consent"`
	// NoDevice is null while the device that was dialled last answered, and did not say why it ended.
	NoDevice *NoDevice `json:"no_device"`
	// Certificates are how its consoles proved who they are, as the agent says; one of a service.
	Certificates []session.Certificate `json:"certificates"`
}

// Critical is a critical section of a session: while firmware is written, the scanner's
// state raises an alarm in place of a freeze.
type Critical struct {
	Began time.Time `json:"began"`
	Until time.Time `json:"until"`
	Why   string    `json:"why"`   // the engineer's words
	Alarm bool      `json:"alarm"` // a patient may be at the scanner
}

// Consent is what the operator at the scanner was asked last before the session opens, and
// what came of it, as the agent says.
type Consent struct {
	Kind    session.Consent `json:"kind" enum:"operator,code"`
	Service string          `json:"service"` // that was connected to
	Since   time.Time       `json:"since"`
	Until   time.Time       `json:"until"`
	Wrong   int             `json:"wrong"` // codes that were typed, ever
	Outcome session.Outcome `json:"outcome" enum:",given,refused,timed-out,wrong-codes,gone"`
	By      string          `json:"by"` // who answered; empty where nobody did
	How     session.Means   `json:"how" enum:",page,command,code"`
	At      *time.Time      `json:"at"`
}

// NoDevice says why the agent got no connection to a device, could not log in there, or why
// the device ended it.
type NoDevice struct {
	Service string    `json:"service"`
	At      time.Time `json:"at"`
	Message string    `json:"message"` // the agent's words, as the next
	Next    string    `json:"next"`
}

// MarshalJSON writes a time that did not happen as null: a grant that was ended before
// anybody opened it has neither beginning nor deadline.
func (s Session) MarshalJSON() ([]byte, error) {
	type plain Session
	return json.Marshal(struct {
		plain
		Opened   *time.Time `json:"opened"`
		Deadline *time.Time `json:"deadline"`
	}{plain(s), orNull(s.Opened), orNull(s.Deadline)})
}

// Recording is a recording in the vault or on its way there. What arrives before its
// session was reported has a site only, and shows to that site's people.
type Recording struct {
	ID       string           `json:"id"`
	Session  string           `json:"session"`
	State    string           `json:"state"`  // live, sealed, torn
	Target   string           `json:"target"` // SITE/ASSET/SERVICE; what is not known yet is left out
	Asset    string           `json:"asset"`
	Service  string           `json:"service"`
	Protocol session.Protocol `json:"protocol"`      // empty where it is not known
	Engineer string           `json:"engineer"`      // their address
	Name     string           `json:"engineer_name"` // may be empty
	Started  time.Time        `json:"started"`
	Ended    *time.Time       `json:"ended"`
	Bytes    int64            `json:"bytes"` // stored so far

	Request   string         `json:"request"`
	Reason    string         `json:"reason"` // why the session ended; empty while it lives or where that is not known
	Site      string         `json:"site"`
	WorkOrder string         `json:"work_order"`
	Readable  bool           `json:"readable"` // the broker may show it
	Digest    *replay.Digest `json:"digest"`   // null until it is sealed, or where the broker may not read it
	Verdict   *Verdict       `json:"verdict"`  // null: not checked yet
	Reviews   []Review       `json:"reviews"`
	Stuck     *Stuck         `json:"stuck"` // null while everything that came could be stored
}

// Verdict is what the broker found when it checked a recording itself.
type Verdict struct {
	At            time.Time `json:"at"`
	Verdict       string    `json:"verdict" enum:"intact,torn,tampered,unreadable,open"`
	Signer        string    `json:"signer" enum:"known,unknown"`
	Segments      int64     `json:"segments"`
	Countersigned bool      `json:"countersigned"`
	Logged        bool      `json:"logged"` // its seal is in the audit log
	Message       string    `json:"message"`
}

// Review is what one of the hospital's people says of a recording. It stays.
type Review struct {
	By          string    `json:"by"`
	At          time.Time `json:"at"`
	Attestation string    `json:"attestation" enum:"as-agreed,concern"`
	Comment     string    `json:"comment"`
}

// Stuck says that the agent has parts of a recording that are refused again and again.
type Stuck struct {
	Part    string    `json:"part"`  // the first
	Parts   int       `json:"parts"` // how many
	Since   time.Time `json:"since"`
	Message string    `json:"message"` // the agent's words
	Next    string    `json:"next"`
}

// Asset is a scanner as the catalogue shows it.
type Asset struct {
	Target   string            `json:"target"` // SITE/ASSET
	Name     string            `json:"name"`
	Site     string            `json:"site"`
	Label    string            `json:"label"`
	Modality string            `json:"modality"`
	Online   bool              `json:"online"` // its agent is connected
	Needed   int               `json:"needed"` // approvals
	Longest  int64             `json:"longest_seconds"`
	Channels []session.Channel `json:"channels"`
	Accept   session.Accept    `json:"accept"`
	Services []session.Service `json:"services"`
	Critical int64             `json:"critical_seconds"`                  // of critical sections in one session; 0: none
	Consent  session.Consent   `json:"consent" enum:"none,operator,code"` // what the operator is asked before a session opens
	// ConsoleKeys is what passkeys of the agent's own page count for in approvals.
	ConsoleKeys session.ConsoleKeys `json:"console_keys" enum:"none,instead,both"`
	Window      int64               `json:"window_seconds"` // widest not-before to not-after
	Zone        string              `json:"zone"`           // the site's time zone, as in Europe/Berlin
	Quorum      []session.Quorum    `json:"quorum"`         // who the approvers must be; none: anyone who may approve

	Agent string `json:"agent"` // fingerprint of its agent's identity key, which a grant names
	Typical
	Live []string `json:"live"` // sessions that are on it now, of those that the caller may know

	Standing AssetState `json:"standing"` // how it stands, as its agent says
}

// Typical is how long the hospital usually takes to decide.
type Typical struct {
	Median  int64 `json:"typical_seconds"` // 0: not known
	Decided int   `json:"decided"`         // decisions behind it
}

// Engineer is an engineer as a site's approvers know them.
type Engineer struct {
	session.Person
	Site     string     `json:"site"`
	Disabled bool       `json:"disabled"`
	By       string     `json:"by,omitempty"` // who disabled or enabled them last
	At       *time.Time `json:"at"`
	Reason   string     `json:"reason,omitempty"`
	Waiting  []string   `json:"waiting"` // agents that have still to hear of it
	Asked    *time.Time `json:"asked"`   // their latest request
}

// Answer says whether an engineer may connect now and, if not, what is missing.
type Answer struct {
	Site    string       `json:"site"` // with asset and service: what was asked about, by its full name
	Asset   string       `json:"asset"`
	Service string       `json:"service"`
	Ready   bool         `json:"ready"`
	Pending bool         `json:"pending"` // waiting for the hospital
	Kind    session.Kind `json:"kind,omitempty"`
	Message string       `json:"message,omitempty"` // one sentence
	Next    string       `json:"next,omitempty"`
	Request string       `json:"request,omitempty"`
	Session string       `json:"session,omitempty"`
}

// Context is what a decision about a request should know.
type Context struct {
	Agent      string        `json:"agent"` // fingerprint that the grant must name
	Zone       string        `json:"zone"`
	Sessions   int           `json:"sessions"` // of this engineer on this scanner before
	Since      *time.Time    `json:"since"`    // the first of them
	Unreviewed int           `json:"unreviewed"`
	Recent     []PastSession `json:"recent"` // newest first
	Denied     int           `json:"denied"`
	Typical
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
	Reviewed   bool       `json:"reviewed"` // all of them
}

// list is s, and never null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// orNull is nil for a time that did not happen.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := t.UTC()
	return &u
}

// view derives a request from its record.
func (r record) view(now time.Time) Request {
	q := r.doc
	v := Request{
		ID: r.id.Request(), Status: r.status(now), Target: r.target(q.Services...), Asset: q.Asset, Services: list(q.Services), Site: q.Site, Class: q.Class,
		Channels: list(q.Channels), NotBefore: time.Unix(q.NBF, 0).UTC(), NotAfter: time.Unix(q.EXP, 0).UTC(), MaxSeconds: q.MaxS,
		Approvals: r.Answer.Count, Needed: r.Answer.Needed, Engineer: r.Engineer, Reason: q.Reason, WorkOrder: q.Ref,
		Created: r.Created.UTC(), DeniedBy: r.Answer.DeniedBy.Shown(), DenyReason: r.Answer.DenyReason,
		Kind: q.Kind, Missing: []string{}, Halves: []Half{}, EngineerClass: r.Proof.Class, Approved: []Approved{},
	}
	if g, ok := r.grant(); ok && !r.Answer.Granted.IsZero() {
		id := r.sessionID().Session()
		v.Grant, v.Services, v.Class, v.Channels = &id, list(g.Services), g.Class, list(g.Channels)
		v.Target = r.target(g.Services...)
		v.NotBefore, v.NotAfter, v.MaxSeconds = time.Unix(g.NBF, 0).UTC(), time.Unix(g.EXP, 0).UTC(), g.MaxS
	}
	if x := r.Answer.Revoked; x != nil {
		v.RevokedBy, v.RevokeWhy = x.By.Shown(), x.Reason
	}
	if v.Status == session.Pending {
		v.Missing = list(r.missing())
		for _, p := range r.Answer.Approvals {
			if lacks := p.half(r.Passkeys); lacks != "" {
				v.Halves = append(v.Halves, Half{By: p.By, Lacks: lacks})
			}
		}
		if p := r.Proposal; p != nil {
			v.Proposal = &Proposal{From: p.From, Until: p.Until, Reason: p.Reason, By: p.By.Shown(), At: p.At}
		}
	}
	for _, p := range r.Answer.Approvals {
		v.Approved = append(v.Approved, Approved{By: p.By, Class: p.Class, At: p.Received.UTC(), Passkey: p.passkey(), Signed: len(p.Passkey) > 0 && p.Token != "", Page: p.Here})
	}
	if r.extension() {
		if id, err := session.ParseText(q.Parent); err == nil {
			v.Extends = id.Session()
		}
	}
	return v
}

// documents are the bytes and proofs of a record.
func (r record) documents() Documents {
	d := Documents{Request: r.Request, Grant: r.Answer.Grant, Received: r.Proof.Received.UTC(), Token: r.Proof.Token, Salt: r.Proof.Salt,
		Approvals: []Approval{}}
	for _, p := range r.Answer.Approvals {
		d.Approvals = append(d.Approvals, Approval{Token: p.Token, Salt: p.Salt, Passkey: p.Passkey, Received: p.Received.UTC()})
	}
	return d
}

// session derives the session of a record.
func (r record) session(now time.Time) Session {
	f := r.sessionFacts()
	s := Session{
		ID: r.sessionID().Session(), State: f.State(now), Target: r.target(r.Session.Service), Asset: r.doc.Asset, Service: r.Session.Service, Protocol: r.Session.Protocol,
		Engineer: r.Engineer.Shown(), Opened: f.Opened.UTC(), Deadline: f.Deadline.UTC(), Ended: orNull(f.Ended),
		Recordings: list(r.Session.Recordings), Request: r.id.Request(), Consent: r.Session.Consent, Frozen: []string{}, Keys: r.Session.Keys, Certificates: list(r.Session.Certificates), Site: r.doc.Site, WorkOrder: r.doc.Ref,
	}
	if s.State != session.Ended {
		s.NoDevice, s.Critical = r.Session.NoDevice, r.Session.Critical
	}
	if s.State == session.Frozen {
		s.Frozen = list(r.Session.Frozen)
	}
	if s.State == session.Ended {
		if why := f.WhyEnded(now); why != "" {
			s.Reason = &why
		}
		if s.Ended == nil {
			s.Ended = orNull(f.Deadline)
		}
	}
	if s.Consent != nil && f.Opened.IsZero() {
		s.Target, s.Service = r.target(s.Consent.Service), s.Consent.Service
	}
	return s
}

// past is the session of a record as an earlier one.
func (r record) past(now time.Time) PastSession {
	s := r.session(now)
	return PastSession{Session: s.ID, Request: s.Request, Opened: s.Opened, Ended: s.Ended, Reason: r.doc.Reason, WorkOrder: s.WorkOrder,
		Recordings: s.Recordings}
}

// view is a scanner with what its site's requests tell.
func (x scanner) view(now time.Time) Asset {
	p := x.Policy
	zone := p.Zone
	if zone == "" {
		zone = "UTC"
	}
	return Asset{Target: x.full("").String(), Name: x.Name, Site: x.Site, Label: x.Label, Modality: x.Modality, Online: x.Online, Needed: p.Approvals,
		Longest: int64(p.Longest / time.Second), Channels: list(p.Channels), Services: list(x.Services),
		Accept:   session.Accept{Engineer: list(p.Accept.Engineer), Approver: list(p.Accept.Approver)},
		Critical: int64(p.Critical / time.Second), Consent: cmp.Or(p.Consent, session.ConsentNone), ConsoleKeys: cmp.Or(p.ConsoleKeys, session.KeysNone),
		Window: int64(p.Window / time.Second), Zone: zone, Quorum: list(p.Quorum), Agent: x.Identity, Live: []string{}, Standing: x.state(now)}
}

func (s standing) view() Engineer {
	return Engineer{Person: s.Person, Site: s.Site, Disabled: s.Disabled, By: s.By.Shown(), At: orNull(s.At), Reason: s.Reason, Waiting: list(s.Owed)}
}
