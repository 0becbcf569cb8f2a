package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
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
	Nodes     []Node     `json:"nodes"` // of the broker, that the hospital accepts
	Strangers []Stranger `json:"strangers,omitempty"`
	Stuck     []Stuck    `json:"stuck,omitempty"`
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

// Freeze names the session to freeze or thaw.
type Freeze struct {
	Session string `json:"session"` // S-...
}

// Frozen says why a session is frozen now; no cause means that it is not.
type Frozen struct {
	Session string   `json:"session"`
	Frozen  []string `json:"frozen"`
}

// Kill says what to end: exactly one of the three.
type Kill struct {
	Session string `json:"session,omitempty"` // S-...
	Asset   string `json:"asset,omitempty"`
	All     bool   `json:"all,omitempty"`
}

// Killed lists the sessions that were ended.
type Killed struct {
	Sessions []string `json:"sessions"` // S-...
}

// Problem is an error on the wire.
type Problem struct {
	Kind    session.Kind `json:"kind"`
	Message string       `json:"message"`
	Next    string       `json:"next,omitempty"`
}

// parseKill reads a kill strictly: one object, known fields once each, one target.
func parseKill(body []byte) (Kill, error) {
	bad := func(message string) (Kill, error) {
		return Kill{}, session.Errorf(session.Invalid, "%s", message).
			WithNext(`Send {"session": "S-..."}, {"asset": "NAME"} or {"all": true}.`)
	}
	var k Kill
	if flat(body, "session", "asset", "all") != nil || json.Unmarshal(body, &k) != nil {
		return bad("The kill request is not one plain JSON object.")
	}
	if (k.Session != "" && k.Asset != "") || (k.Session != "" || k.Asset != "") == k.All {
		return bad("A kill names exactly one of session, asset and all.")
	}
	if k.Session != "" {
		if _, err := session.ParseSessionID(k.Session); err != nil {
			return Kill{}, err
		}
	}
	if k.Asset != "" && !session.ValidName(k.Asset) {
		return bad("That is not the name of an asset.")
	}
	return k, nil
}

// parseFreeze reads what to freeze or thaw, as strictly.
func parseFreeze(body []byte) (Freeze, error) {
	var f Freeze
	if flat(body, "session") != nil || json.Unmarshal(body, &f) != nil {
		return Freeze{}, session.Errorf(session.Invalid, "The request is not one plain JSON object.").WithNext(`Send {"session": "S-..."}.`)
	}
	_, err := session.ParseSessionID(f.Session)
	return f, err
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
