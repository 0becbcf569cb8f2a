package session

import (
	"slices"
	"time"
)

// Class says how much a session may disturb a scanner.
type Class string

const (
	Observe       Class = "observe"
	NonDisruptive Class = "non-disruptive"
	Disruptive    Class = "disruptive"
)

// Classes lists them from the mildest to the strongest.
func Classes() []Class { return []Class{Observe, NonDisruptive, Disruptive} }

// Known reports whether c is one of Classes.
func (c Class) Known() bool { return slices.Contains(Classes(), c) }

// Within reports whether c asks for no more than limit. Unknown classes are within nothing.
func (c Class) Within(limit Class) bool {
	i, j := slices.Index(Classes(), c), slices.Index(Classes(), limit)
	return i >= 0 && j >= 0 && i <= j
}

// Channel is one way in which bytes may pass during a session.
type Channel string

const (
	Shell        Channel = "shell"
	Exec         Channel = "exec"
	FilesIn      Channel = "files-in"  // towards the device
	FilesOut     Channel = "files-out" // from the device
	ClipboardIn  Channel = "clipboard-in"
	ClipboardOut Channel = "clipboard-out"
	Control      Channel = "control"
)

// Channels lists all of them, sorted.
func Channels() []Channel {
	return []Channel{ClipboardIn, ClipboardOut, Control, Exec, FilesIn, FilesOut, Shell}
}

// Known reports whether c is one of Channels.
func (c Channel) Known() bool { return slices.Contains(Channels(), c) }

// Carries reports whether c moves things to or from the device, beside working on it.
func (c Channel) Carries() bool {
	switch c {
	case FilesIn, FilesOut, ClipboardIn, ClipboardOut:
		return true
	}
	return false
}

// ClientClass is the kind of program in which a person proved something; the
// agent derives it from the token's audience.
type ClientClass string

const (
	CLI     ClientClass = "cli"     // the engineer's own command line
	Console ClientClass = "console" // the hospital's own machine: nothing from the broker is trusted for display
	Web     ClientClass = "web"     // a page served by the broker
)

// Protocol is what a service speaks.
type Protocol string

// The protocols.
const (
	SSH Protocol = "ssh"
	VNC Protocol = "vnc"
	RDP Protocol = "rdp"
)

// Protocols lists those that Sallyport speaks.
func Protocols() []Protocol { return []Protocol{SSH, VNC, RDP} }

// Known reports whether p is one of Protocols.
func (p Protocol) Known() bool { return slices.Contains(Protocols(), p) }

// Shows reports whether p shows a screen and takes hands: whether it is a console's.
func (p Protocol) Shows() bool { return p == VNC || p == RDP }

// Channels lists the ways in which bytes may pass over p, sorted. A protocol that is
// not known has none.
func (p Protocol) Channels() []Channel {
	switch p {
	case SSH:
		return []Channel{Exec, FilesIn, FilesOut, Shell}
	case VNC, RDP:
		return []Channel{ClipboardIn, ClipboardOut, Control}
	}
	return nil
}

// Service is one protocol on one port of a scanner's host, as everyone may know
// it. The address and the login stay with the agent.
type Service struct {
	Name     string   `json:"name"`
	Endpoint string   `json:"endpoint"`
	Protocol Protocol `json:"protocol"`
	Port     int      `json:"port"`
	Class    Class    `json:"class"` // the strongest class in which it may be used
	// LegacyTLS: the agent may speak TLS of the past to it, because it knows nothing newer.
	LegacyTLS bool `json:"legacy_tls,omitempty"`
}

// Accept lists the client classes that an asset's policy accepts, per role.
type Accept struct {
	Engineer []ClientClass `json:"engineer" yaml:"engineer"`
	Approver []ClientClass `json:"approver" yaml:"approver"`
}

// Policy is what a hospital allows on one asset. The agent enforces its own copy;
// the broker's is for display.
type Policy struct {
	Approvals   int           // distinct approvers needed, >= 1
	Accept      Accept        //
	Longest     time.Duration // longest session
	Window      time.Duration // widest not-before to not-after
	Channels    []Channel     //
	Quorum      []Quorum      // who the approvers must be; empty: anyone with the approvers' group
	Idle        time.Duration // a connection without a byte for this long ends; 0: never
	Sessions    int           // live sessions of one engineer on the asset at a time; 0: no limit
	Critical    time.Duration // longest critical section of a session; 0: none
	Consent     Consent       // what the operator is asked before a session opens; empty: nothing
	ConsoleKeys ConsoleKeys   // what passkeys of the agent's page count for; empty: nothing
	Zone        string        // the site's time zone, "Europe/Berlin"; empty: UTC
}

// Quorum asks for a number of distinct approvers of one group.
type Quorum struct {
	Group string `json:"group" yaml:"group"`
	Count int    `json:"count" yaml:"count"`
}

// Asset is one scanner, as biomed tags it.
type Asset struct {
	Name     string // "NGH-PETCT1"
	Label    string // "Helion 64"
	Modality string // "PT/CT"
	Services []Service
	Policy   Policy
}

// Service finds a service of the asset by name.
func (a Asset) Service(name string) (Service, bool) {
	for _, s := range a.Services {
		if s.Name == name {
			return s, true
		}
	}
	return Service{}, false
}

// ValidName reports whether s can name a site, agent, asset, endpoint or service:
// 1 to 64 letters, digits and inner hyphens. Names are compared whole; no two may
// differ only in case, because host names cannot.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > 64 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
		default:
			return false
		}
	}
	return true
}
