// Package recordings is the container in which evidence is kept: header,
// segments, signed heads, seal. It writes, follows, reads, verifies and assembles
// recordings without knowing the protocol inside, the agent or the broker.
// FORMAT.md is the specification.
package recordings

import (
	"crypto"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Header is what is known when a recording begins. It is the recording's first part.
type Header struct {
	Recording string           `json:"recording"` // V-...
	Session   string           `json:"session"`   // S-...
	Request   string           `json:"request"`   // R-...
	GrantHash string           `json:"grant"`     // hex gh
	Site      string           `json:"site"`
	Agent     string           `json:"agent"` // fingerprint of the identity key
	Asset     string           `json:"asset"`
	Service   string           `json:"service"`
	Protocol  session.Protocol `json:"protocol"`
	Engineer  session.Person   `json:"engineer"`
	Approvers []session.Person `json:"approvers"`
	WorkOrder string           `json:"work_order"`
	Started   time.Time        `json:"started"` // wall clock, microseconds
}

// Options say how to write.
type Options struct {
	Signer         crypto.Signer // the agent's ed25519 identity key
	InputRecipient string        // age recipient (age1...) of the site's input identity
	SegmentBytes   int           // plain bytes per segment; default 1 MiB
	SegmentTime    time.Duration // default 10 s
	HeadEvery      time.Duration // default 1 s
	OnPart         func()        // a part was closed and can be uploaded; must not block
}

// Writer records into a directory of its own. It implements session.Recorder.
type Writer struct{}

// Create begins a recording in dir (which must not exist). The header is on disk
// when it returns.
func Create(dir string, h Header, o Options) (*Writer, error) {
	return nil, session.Errorf(session.Internal, "not built")
}

// Record appends an event. See session.Recorder.
func (w *Writer) Record(e session.Event) error { return session.Errorf(session.Internal, "not built") }

// Close seals the recording with the reason for which its connection ended.
// Closing twice does nothing and returns the first result.
func (w *Writer) Close(reason session.EndReason) error { return nil }

// Lost is closed when the recorder can no longer record (disk full, I/O error).
func (w *Writer) Lost() <-chan struct{} { return nil }
