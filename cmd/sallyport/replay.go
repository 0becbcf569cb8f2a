package main

// SWAP HERE. Everything that this command needs of recordings and recordings/cast is
// in this file: replace the bodies of containers' methods by the calls named beside them.

import (
	"io"

	"github.com/sallyport/sallyport/session"
)

// tapes reads recordings in their single-file form.
type tapes interface {
	Open(r io.ReaderAt, size int64) (tape, error)
	Verify(r io.ReaderAt, size int64, trust []session.Trust) verdict
	WriteCast(w io.Writer, t tape) error
}

// tape is a recording's events in order; Next ends with io.EOF.
type tape interface {
	Next() (session.Event, error)
	Close() error
}

// verdict is what a verification found. The JSON is recordings.Result's.
type verdict struct {
	Result  string   `json:"result"`
	Segment *int     `json:"segment"`
	Offset  *int64   `json:"offset"`
	Reason  string   `json:"reason"`
	Explain []string `json:"-"`
}

// The verdicts.
const (
	intact = "intact"
	live   = "live"
	torn   = "torn"
)

// containers are the recordings of the package recordings.
type containers struct{}

func (containers) Open(io.ReaderAt, int64) (tape, error) { // recordings.Open(r, size)
	return nil, session.Errorf(session.Internal, "Recordings cannot be read yet")
}

func (containers) Verify(io.ReaderAt, int64, []session.Trust) verdict { // recordings.Verify(r, size, trust), Explain: result.Explain()
	return verdict{Result: "tampered", Reason: "recordings cannot be read yet", Explain: []string{"Recordings cannot be read yet."}}
}

func (containers) WriteCast(io.Writer, tape) error { // cast.WriteV2(w, t.(*recordings.Reader))
	return session.Errorf(session.Internal, "Recordings cannot be exported yet")
}
