package recordings_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// BenchmarkStall says how long Record keeps its caller while bulk flows: the 99th
// percentile and the longest call, and both as multiples of plain writes of the same size
// to a file on the same disk. Heads are due each second all the while.
func BenchmarkStall(b *testing.B) {
	for _, kind := range []string{"random", "log"} {
		b.Run(kind, func(b *testing.B) {
			data := content(kind)
			f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			const calls = 8192 // 256 MiB
			plain := times(b, calls, func() error { _, err := f.Write(data); return err })
			for b.Loop() {
				heads := 0
				s := newScene(b)
				o := s.options()
				o.OnHead = func(witness.Head) { heads++ }
				w := s.create(func(mine *recordings.Options) { *mine = o })
				began := time.Now()
				took := times(b, calls, func() error {
					return w.Record(session.Event{Kind: session.Output, Stream: 1, Data: data})
				})
				flowed := time.Since(began)
				s.close(w)
				p99, most := took[calls*99/100], took[calls-1]
				b.ReportMetric(p99.Seconds()*1e3, "p99-ms")
				b.ReportMetric(most.Seconds()*1e3, "max-ms")
				b.ReportMetric(float64(p99)/float64(max(plain[calls*99/100], 1)), "p99/plain")
				b.ReportMetric(float64(most)/float64(max(plain[calls-1], 1)), "max/plain")
				b.ReportMetric(float64(heads)/flowed.Seconds(), "heads/s")
				b.ReportMetric(float64(calls*len(data))/1e6/flowed.Seconds(), "MB/s")
			}
		})
	}
}

// times does something again and again and says how long each took, the longest last.
func times(b *testing.B, n int, do func() error) []time.Duration {
	b.Helper()
	all := make([]time.Duration, n)
	for i := range all {
		began := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		all[i] = time.Since(began)
	}
	slices.Sort(all)
	return all
}
