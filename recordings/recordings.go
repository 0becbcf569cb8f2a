// Package recordings is the container in which evidence is kept: header,
// segments, signed heads, seal. It writes, follows, reads, verifies and assembles
// recordings without knowing the protocol inside, the agent or the broker.
// FORMAT.md is the specification.
package recordings

import (
	"crypto"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
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

// check refuses a header that does not say what it is about.
func (h Header) check() error {
	if _, err := session.ParseRecordingID(h.Recording); err != nil {
		return err
	}
	if _, err := session.ParseSessionID(h.Session); err != nil {
		return err
	}
	if _, err := session.ParseRequestID(h.Request); err != nil {
		return err
	}
	for _, n := range []string{h.Site, h.Asset, h.Service} {
		if !session.ValidName(n) {
			return fmt.Errorf("%.80q is not the name of a site, asset or service", n)
		}
	}
	if b, err := hex.DecodeString(h.GrantHash); err != nil || len(b) != 32 || hex.EncodeToString(b) != h.GrantHash {
		return fmt.Errorf("%.80q is not the hash of a grant", h.GrantHash)
	}
	if h.Started.IsZero() || !h.Started.Equal(h.Started.Truncate(time.Microsecond)) || h.Started.Location() != time.UTC {
		return fmt.Errorf("the start is not a time in UTC and whole microseconds")
	}
	return nil
}

// State is where a recording stands, as far as its parts tell.
type State string

const (
	Live   State = "live"   // no seal: it may still grow
	Sealed State = "sealed" // closed by the writer: complete
	Torn   State = "torn"   // closed by repair: complete up to where the recorder was lost
)

// Options say how to write.
type Options struct {
	Signer         crypto.Signer      // the agent's ed25519 identity key
	InputRecipient string             // age recipient (age1...) of the site's input identity
	SegmentBytes   int                // plain bytes per segment, at most 4 MiB; default 1 MiB, and 4 MiB in bulk
	SegmentTime    time.Duration      // default 10 s
	HeadEvery      time.Duration      // default 1 s
	OnPart         func()             // a part was closed and can be uploaded; must neither block nor call the Writer
	OnHead         func(witness.Head) // a head was signed and written; the same rules
	Picture        Picture            // draws what stands at each segment's begin; nil: nothing is drawn. The Writer closes it
	Now            func() time.Time   // default time.Now

	bulk int // plain bytes of a segment that fills quickly
}

func (o Options) withDefaults() (Options, error) {
	o.bulk = o.SegmentBytes
	if o.SegmentBytes == 0 {
		o.SegmentBytes, o.bulk = segmentBytes, bulkBytes
	}
	if o.SegmentTime == 0 {
		o.SegmentTime = segmentTime
	}
	if o.HeadEvery == 0 {
		o.HeadEvery = headEvery
	}
	if o.OnPart == nil {
		o.OnPart = func() {}
	}
	if o.OnHead == nil {
		o.OnHead = func(witness.Head) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SegmentBytes < 1 || o.SegmentBytes > MaxSegmentPlain/2 || o.SegmentTime < 0 || o.HeadEvery < 0 {
		return o, fmt.Errorf("segment size, segment time or head interval is out of range")
	}
	return o, nil
}
