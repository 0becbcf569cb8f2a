package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Status is how the agent stands.
type Status struct {
	Site      string     `json:"site"`
	Agent     string     `json:"agent"`
	Version   string     `json:"version"`
	Identity  string     `json:"identity"` // fingerprint of the long-lived key
	Assets    []string   `json:"assets"`
	Link      Link       `json:"link"`
	Sessions  []Session  `json:"sessions"`
	Admitted  []Grant    `json:"admitted"` // and not opened
	Barred    []Target   `json:"barred"`   // frozen by name: nothing opens there
	Nodes     []Node     `json:"nodes"`    // of the broker, that the hospital accepts
	Strangers []Stranger `json:"strangers,omitempty"`
	Stuck     []Stuck    `json:"stuck,omitempty"`
	Clock     string     `json:"clock,omitempty"` // what is wrong with it
	Page      *Page      `json:"page,omitempty"`  // of the agent's own; nil: there is none
	Readings  []Reading  `json:"readings,omitempty"`
}

// Reading is what one source of a scanner's state says, or how its lamp does.
type Reading struct {
	Asset  string                `json:"asset"`
	Source string                `json:"source"` // "operator", "key-switch", "lamp"
	State  session.ModalityState `json:"state,omitempty"`
	Says   string                `json:"says,omitempty"` // in the source's words
	At     time.Time             `json:"at,omitzero"`    // when it was heard; zero: never
}

// Page is where the people at the scanners find the agent's page, and by what they know it.
type Page struct {
	URL         string `json:"url"`
	Certificate string `json:"certificate"` // fingerprint, as browsers show it
}

// Stuck is a recording of which something is refused again and again, while everything
// else goes on.
type Stuck struct {
	Recording string    `json:"recording"` // V-...
	Session   string    `json:"session,omitempty"`
	Part      string    `json:"part"`  // the first
	Parts     int       `json:"parts"` // how many
	Since     time.Time `json:"since"`
	Message   string    `json:"message"`
	Next      string    `json:"next"`
}

// Node is a node of the broker that the hospital accepts, and what the agent keeps of its
// audit log.
type Node struct {
	Origin   string    `json:"origin"`
	Key      string    `json:"key"` // fingerprint
	Accepted time.Time `json:"accepted,omitzero"`
	Size     int64     `json:"size"` // entries of the kept checkpoint
	Taken    time.Time `json:"taken,omitzero"`
	Cosigned []string  `json:"cosigned,omitempty"` // other accepted nodes that put their names to it
	Trouble  string    `json:"trouble,omitempty"`  // why nothing new is taken from the broker
	Since    time.Time `json:"since,omitzero"`     // of the trouble
}

// Stranger is a node of the configuration from which nothing new is taken, because its
// audit log is not accepted.
type Stranger struct {
	Name   string    `json:"name"`
	Origin string    `json:"origin"` // as it calls its log
	Forged bool      `json:"forged"` // an accepted name, without its key
	Since  time.Time `json:"since"`
}

// Link is the connection to the broker.
type Link struct {
	Up    bool      `json:"up"`
	Since time.Time `json:"since,omitzero"`
}

// Session is one live session.
type Session struct {
	ID          string         `json:"id"` // S-...
	Asset       string         `json:"asset"`
	Service     string         `json:"service"`
	Engineer    session.Person `json:"engineer"`
	Opened      time.Time      `json:"opened"`
	Deadline    time.Time      `json:"deadline"`
	Connections int            `json:"connections"`
	Recordings  []string       `json:"recordings,omitempty"` // V-...
	Frozen      []string       `json:"frozen,omitempty"`     // causes
}

// Grant is one that was admitted and that nobody opened.
type Grant struct {
	ID       string         `json:"id"`      // S-...
	Request  string         `json:"request"` // R-...
	Asset    string         `json:"asset"`
	Services []string       `json:"services"`
	Engineer session.Person `json:"engineer"`
	NotAfter time.Time      `json:"notAfter"`
}

// Target is what is killed, frozen or thawed: exactly one of the four.
type Target struct {
	Session  string `json:"session,omitempty"` // S-...
	Asset    string `json:"asset,omitempty"`
	Engineer string `json:"engineer,omitempty"` // e-mail address or subject
	All      bool   `json:"all,omitempty"`
}

// Frozen says how what was named stands now.
type Frozen struct {
	Target
	Frozen   []string `json:"frozen"`   // causes that hold the one session; none: it goes on
	Sessions []string `json:"sessions"` // that were frozen, or that go on, with an asset, an engineer or all
}

// Killed lists what was ended: live sessions, grants that nobody had opened, and
// requests that waited for an answer.
type Killed struct {
	Sessions []string `json:"sessions"` // S-...
	Grants   []Grant  `json:"grants"`
	Requests []string `json:"requests"` // R-...
}

// Problem is an error on the wire.
type Problem struct {
	Kind    session.Kind `json:"kind"`
	Message string       `json:"message"`
	Next    string       `json:"next,omitempty"`
}

// parseTarget reads a target strictly: one object, known fields once each.
func parseTarget(body []byte) (Target, error) {
	var t Target
	err := flat(body, "session", "asset", "engineer", "all")
	if err == nil {
		err = json.Unmarshal(body, &t)
	}
	if err != nil {
		return Target{}, session.Errorf(session.Invalid, "The request is not one plain JSON object.").
			WithNext(`Send {"session": "S-..."}, {"asset": "NAME"}, {"engineer": "E-MAIL"} or {"all": true}.`)
	}
	if err := t.Check(); err != nil {
		return Target{}, err
	}
	return t, nil
}

// Check refuses what does not name exactly one thing.
func (t Target) Check() error {
	named := 0
	for _, is := range []bool{t.Session != "", t.Asset != "", t.Engineer != "", t.All} {
		if is {
			named++
		}
	}
	switch {
	case named != 1:
		return session.Errorf(session.Invalid, "Say one thing: a session, an asset, an engineer, or all").
			WithNext("See what is live and what is admitted with sallyport-agent status.")
	case t.Asset != "" && !session.ValidName(t.Asset):
		return session.Errorf(session.Invalid, "That is not the name of an asset.").WithNext("See sallyport-agent status.")
	case len(t.Engineer) > maxEngineer || wording.Clean(t.Engineer) != t.Engineer:
		return session.Errorf(session.Invalid, "That names no engineer.").WithNext("Give the e-mail address that sallyport-agent status shows.")
	case t.Session != "":
		_, err := session.ParseSessionID(t.Session)
		return err
	}
	return nil
}

// flat checks that body is one JSON object whose names are exact and stand once each.
func flat(body []byte, names ...string) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("not an object")
	}
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		key, ok := name.(string)
		if err != nil || !ok || seen[key] || !slices.Contains(names, key) {
			return errors.New("a name is unknown or stands twice")
		}
		seen[key] = true
		if value, err := d.Token(); err != nil {
			return err
		} else if _, nested := value.(json.Delim); nested || value == nil {
			return errors.New("a value is not plain")
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}
