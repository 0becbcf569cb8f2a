package witness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Event is one entry of a broker's audit log. It names people by identity only and
// holds no tokens, no secrets and nobody's words except a viewer's own reason.
type Event struct {
	V         int               `json:"v"`
	Seq       int64             `json:"seq"` // its number in the log
	Time      time.Time         `json:"time"`
	Event     string            `json:"event"`
	Site      string            `json:"site,omitempty"` // empty: the broker itself, for its operators alone
	Who       *session.Identity `json:"who,omitempty"`  // who did it
	Of        *session.Identity `json:"of,omitempty"`   // the engineer whose access it is about
	Request   string            `json:"request,omitempty"`
	Session   string            `json:"session,omitempty"`
	Recording string            `json:"recording,omitempty"`
	Details   map[string]string `json:"details,omitempty"`
	Salt      []byte            `json:"salt"` // 16 random bytes: its hash tells nothing to those who may not read it
}

// The events of the log.
const (
	LoggedIn          = "login"
	LoginRefused      = "login-refused"
	LoggedOut         = "logout"
	Requested         = "request"
	Approved          = "approval"
	Denied            = "denial"
	Withdrawn         = "withdrawal"
	Granted           = "grant-admitted"
	SessionOpened     = "session-opened"
	SessionEnded      = "session-ended"
	CertificateShown  = "console-certificate"
	SessionKilled     = "kill"
	CriticalSection   = "critical-section"
	ConsentAsked      = "consent"            // what: asked, wrong-code, or what came of it
	PasskeyRegistered = "passkey-registered" // on an agent's own page
	PasskeyRevoked    = "passkey-revoked"
	RecordingSealed   = "recording-sealed"
	RecordingFetched  = "recording-fetched"
	JoinTokenMade     = "join-token"
	AgentRevoked      = "agent-revoked"
	AgentForgotten    = "agent-forgotten"
	AgentEnrolled     = "agent-enrolled"
	CatalogueChanged  = "configuration"
	BrokerStarted     = "broker-started"
	BrokerReloaded    = "broker-reloaded"
	Activated         = "activation"
	Proposed          = "proposal"
	Froze             = "freeze"
	Thawed            = "thaw"
	Revoked           = "revocation"
	EngineerDisabled  = "engineer-disabled"
	EngineerEnabled   = "engineer-enabled"
	WatchBegan        = "watch-began"
	WatchEnded        = "watch-ended"
	RecordingViewed   = "recording-viewed"
	RecordingReviewed = "recording-reviewed"
)

// Bounds of an event.
const (
	saltSize = 16
)

// Entry is the event's one spelling: what the log holds and hashes. Details are cut
// to their bounds and freed of what could steer a terminal.
func (e Event) Entry() ([]byte, error) {
	e.V, e.Time = 1, e.Time.UTC().Truncate(time.Microsecond)
	if len(e.Details) > maxDetails || len(e.Salt) != saltSize || e.Event == "" || e.Seq < 0 ||
		!shortWho(e.Who) || !shortWho(e.Of) || len(e.Event)+len(e.Site)+len(e.Request)+len(e.Session)+len(e.Recording) > 512 {
		return nil, fmt.Errorf("event %.40q is out of bounds", e.Event)
	}
	details := make(map[string]string, len(e.Details))
	for k, v := range e.Details {
		if !session.ValidName(k) {
			return nil, fmt.Errorf("event %.40q has a detail %.40q", e.Event, k)
		}
		if v = wording.Line(v, maxDetail); v != "" {
			details[k] = v
		}
	}
	e.Details = details
	b, err := spell(e)
	if err == nil && len(b) > MaxEvent {
		err = fmt.Errorf("event %.40q has %d bytes", e.Event, len(b))
	}
	return b, err
}

func shortWho(id *session.Identity) bool {
	return id == nil || len(id.Iss) <= session.MaxIdentity && len(id.Sub) <= session.MaxIdentity
}

func spell(e Event) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("write event %.40q: %w", e.Event, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// ParseEvent reads an entry; anything but the one spelling is refused.
func ParseEvent(entry []byte) (Event, error) {
	var e Event
	if len(entry) > MaxEvent {
		return Event{}, fmt.Errorf("an entry has at most %d bytes", MaxEvent)
	}
	d := json.NewDecoder(bytes.NewReader(entry))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return Event{}, fmt.Errorf("that is not an event: %w", err)
	}
	if again, err := e.Entry(); err != nil || !bytes.Equal(again, entry) {
		return Event{}, fmt.Errorf("that is not an event in its one spelling")
	}
	return e, nil
}

// SeenBy reports whether somebody may read the event: the hospital's people those of
// their sites, an engineer their own. What belongs to no site is the broker's operators',
// who read it where the log is.
func (e Event) SeenBy(who session.Identity, engineer, hospital bool, at func(site string) bool) bool {
	if hospital && e.Site != "" && at(e.Site) {
		return true
	}
	return engineer && (e.Who != nil && *e.Who == who || e.Of != nil && *e.Of == who)
}
