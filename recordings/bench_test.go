package recordings_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// content is what bulk output looks like: a log, and bytes that do not compress.
func content(kind string) []byte {
	b := make([]byte, 0, 32<<10)
	r := rand.New(rand.NewPCG(1, 2))
	if kind == "random" {
		for len(b) < 32<<10 {
			b = binary.LittleEndian.AppendUint64(b, r.Uint64())
		}
		return b
	}
	for len(b) < 32<<10-100 {
		b = append(b, "2026-11-23 08:14:"...)
		b = append(b, byte('0'+r.IntN(6)), byte('0'+r.IntN(10)))
		b = append(b, " detector block temperature within limits, sample "...)
		b = append(b, byte('a'+r.IntN(26)), byte('a'+r.IntN(26)), '\r', '\n')
	}
	return b
}

func BenchmarkRecord(b *testing.B) {
	for _, kind := range []string{"log", "random", "keystroke"} {
		data, what := content(kind), session.Output
		if kind == "keystroke" {
			data, what = []byte("x"), session.Input
		}
		b.Run(kind, func(b *testing.B) {
			s := newScene(b)
			w := s.create(nil)
			benchmark(b, w, session.Event{Kind: what, Stream: 1, Data: data})
			s.close(w)
		})
	}
	b.Run("discard", func(b *testing.B) {
		benchmark(b, discard{}, session.Event{Kind: session.Output, Stream: 1, Data: content("log")})
	})
}

// discard is a recorder that keeps nothing.
type discard struct{}

func (discard) Record(session.Event) error    { return nil }
func (discard) Close(session.EndReason) error { return nil }

func benchmark(b *testing.B, r session.Recorder, e session.Event) {
	b.SetBytes(int64(len(e.Data)))
	for b.Loop() {
		if err := r.Record(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	s := newScene(b)
	w := s.create(nil)
	for range 1000 {
		s.record(w, session.Event{Kind: session.Output, Stream: 1, Data: content("log")})
	}
	s.close(w)
	file := s.file()
	b.SetBytes(1000 * 32 << 10)
	for b.Loop() {
		if got := recordings.Verify(bytes.NewReader(file), int64(len(file)), s.trust()); got.Result != recordings.VerdictIntact {
			b.Fatal(got)
		}
	}
}
