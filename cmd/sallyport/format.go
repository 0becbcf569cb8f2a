package main

import (
	"context"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/recordings/exchange"
	"github.com/sallyport/sallyport/session"
)

// recordingFormat reads recordings from a file: a recording alone, or its evidence pack.
type recordingFormat interface {
	Open(r io.ReaderAt, size int64) (openRecording, error)
	Verify(r io.ReaderAt, size int64, trust []session.Trust) verdict
	Export(w io.Writer, t openRecording, o cast.Options) error
}

// openRecording is a recording's events in order; Next ends with io.EOF. Its header says
// which one it is, and SignedBy whether one of the bundles names who signs it.
type openRecording interface {
	Header() recordings.Header
	SignedBy(trust []session.Trust) bool
	Next() (session.Event, error)
	Close() error
}

// verdict is what a verification found, with its words for people.
type verdict struct {
	Result  string `json:"result"`
	Segment *int   `json:"segment"`
	Offset  *int64 `json:"offset"`
	Reason  string `json:"reason"`
	// What it is about, as the recording's own header says; empty where that cannot be read.
	Recording string   `json:"recording"`
	Site      string   `json:"site"`
	Agent     string   `json:"agent"` // the fingerprint of the key that signs
	Explain   []string `json:"-"`
}

// The verdicts that are not a failure by themselves.
const (
	intact = string(recordings.VerdictIntact)
	live   = string(recordings.VerdictLive)
	torn   = string(recordings.VerdictTorn)

	tampered = string(recordings.VerdictTampered)
)

// containers are the recordings of the package recordings.
type containers struct{}

func (containers) Open(r io.ReaderAt, size int64) (openRecording, error) {
	return exchange.Open(r, size)
}

func (containers) Verify(r io.ReaderAt, size int64, trust []session.Trust) verdict {
	v := exchange.Verify(context.Background(), r, size, trust)
	h := v.Header()
	return verdict{Result: string(v.Result), Segment: v.Segment, Offset: v.Offset, Reason: v.Reason, Recording: h.Recording, Site: h.Site, Agent: h.Agent, Explain: v.Explain()}
}

func (containers) Export(w io.Writer, t openRecording, o cast.Options) error {
	source, ok := t.(cast.Source)
	if !ok {
		return fmt.Errorf("a %T cannot be exported", t)
	}
	return cast.Write(w, source, o)
}
