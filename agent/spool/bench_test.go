package spool_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/spool"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session/link"
)

// taker takes everything and says when the last segment came.
type taker struct {
	last string
	done chan struct{}
}

func (k taker) Put(_ context.Context, p link.Put, body io.Reader) error {
	_, err := io.Copy(io.Discard, body)
	if p.Part == k.last {
		close(k.done)
	}
	return err
}

// BenchmarkSegments says what a segment costs in a recording of so many: it must not
// depend on how many there are.
func BenchmarkSegments(b *testing.B) {
	for _, many := range []uint32{1000, 10_000, 50_000} {
		b.Run(fmt.Sprint(many), func(b *testing.B) {
			for b.Loop() {
				at := b.TempDir()
				dir := filepath.Join(at, "V-aaaaaaaaaaaaaaaaaaaaaaaaaa")
				for n := range many {
					if n == 0 {
						if err := os.Mkdir(dir, 0o700); err != nil {
							b.Fatal(err)
						}
						golden(b, filepath.Join(dir, recordings.HeaderPart))
					}
					if err := os.WriteFile(filepath.Join(dir, recordings.SegmentPart(n)), segment(n), 0o600); err != nil {
						b.Fatal(err)
					}
				}
				ctx, cancel := context.WithCancel(b.Context())
				k := taker{recordings.SegmentPart(many - 1), make(chan struct{})}
				began, over := time.Now(), make(chan error, 1)
				go func() { over <- spool.New(at, k, slog.New(slog.DiscardHandler)).Run(ctx) }()
				<-k.done
				b.ReportMetric(float64(time.Since(began).Microseconds())/float64(many), "us/segment")
				cancel()
				<-over
			}
		})
	}
}

// golden copies the header of the recording that the format's own tests keep.
func golden(b testing.TB, to string) {
	b.Helper()
	file, err := os.ReadFile("../../recordings/testdata/v1.rec")
	if err != nil {
		b.Fatal(err)
	}
	size := 12 + binary.BigEndian.Uint32(file[8:]) + 64
	if err := os.WriteFile(to, file[:size], 0o600); err != nil {
		b.Fatal(err)
	}
}

// segment is a raw one, as FORMAT.md says; nobody looks at its signature here.
func segment(n uint32) []byte {
	content := fmt.Appendf(nil, "what happened in segment %d", n)
	sum := sha256.Sum256(content)
	head := make([]byte, recordings.SegmentHead)
	copy(head, "SALYSEG1")
	binary.BigEndian.PutUint32(head[8:], n)
	binary.BigEndian.PutUint32(head[20:], uint32(len(content)))
	copy(head[72:], sum[:])
	binary.BigEndian.PutUint32(head[108:], uint32(len(content)))
	copy(head[112:], sum[:])
	return append(head, content...)
}
