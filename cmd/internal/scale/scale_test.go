package scale

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/session"
)

// proving: the recordings are as long as a day of work.
var proving = os.Getenv("SALLYPORT_PROVE") != ""

const (
	flat   = 1.2             // what a segment at the end costs at most, of one at the beginning
	others = 8               // calls of a reading that are for no segment: header, seal, what follows
	back   = 128 * 3         // calls for segments before a moment, with their heads and those that follow
	ages   = 4 * time.Minute // is longer than any step of the small recordings takes
)

// A session that types and reads all day: every segment is small, and there are many.
func TestManySegments(t *testing.T) {
	segments := 600
	if proving {
		segments = 50_000
	}
	w := newWorld(t)
	line := []byte("gantry temperature 31.4 C, coincidences 12904, block 57 ok\r\n")
	carry(t, w, segments, recordings.Options{SegmentBytes: 1}, func(rec *recordings.Writer) error {
		return rec.Record(session.Event{Kind: session.Output, Stream: 2, Data: line})
	})
}

// A session that moves data all day: 20 GB that do not shrink, in segments of 4 MiB.
func TestManyBytes(t *testing.T) {
	segments := 20
	if proving {
		segments = 20_000_000_000 / (4 << 20)
	}
	w := newWorld(t)
	data := make([]byte, session.MaxEventData)
	_, _ = rand.Read(data)
	carry(t, w, segments, recordings.Options{SegmentBytes: 4 << 20}, func(rec *recordings.Writer) error {
		for n := range 4 << 20 / session.MaxEventData {
			data[0], data[1] = byte(n), data[1]+1
			if err := rec.Record(session.Event{Kind: session.Output, Stream: 1, Data: data}); err != nil {
				return err
			}
		}
		return nil
	})
}

// carry takes a recording all the way and holds every step against its own beginning.
func carry(t *testing.T, w *world, segments int, o recordings.Options, fill func(*recordings.Writer) error) {
	marks := make([]mark, 0, segments+4)
	o.OnPart = func() { marks = append(marks, w.now()) } // by one at a time
	rec, id := w.record(o)
	must(t, rec.Record(session.Event{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"exec","command":"cat"}`)}))
	must(t, rec.Record(session.Event{Kind: session.ChannelOpened, Stream: 2, Data: []byte(`{"type":"shell","term":"xterm"}`)}))
	for range segments {
		must(t, fill(rec))
	}
	must(t, rec.Record(session.Event{Kind: session.Output, Stream: 2, Data: []byte("done\r\n")})) // is sought past all of it
	must(t, rec.Close(session.Completed))
	w.steady("written", marks)

	before := w.now()
	_, stop := w.upload()
	select {
	case <-w.sealed:
	case <-w.longest():
		t.Fatal("it is never uploaded")
	}
	stop()
	w.mu.Lock()
	stored := slices.Clone(w.stored)
	w.mu.Unlock()
	w.steady("uploaded", append([]mark{before}, stored...))
	here := len(stored)                                   // the last may hold what closed it alone
	if here < segments || here > segments+segments/50+5 { // frames have heads of their own
		t.Fatalf("%d segments of %d are stored", here, segments)
	}
	w.listed(id, here)
	w.verified(id, here)
	w.sought(id, here)
	w.packed(id, here)
	w.restarted(id, here)
}

// steady compares what a segment costs in the first and in the last tenth: the vault's
// calls always, the processor's time where there is enough of it to be measured.
func (w *world) steady(what string, marks []mark) {
	w.t.Helper()
	n := len(marks) - 1
	tenth := max(n/10, 1)
	calls := func(from, to int) float64 { return float64(marks[to].calls-marks[from].calls) / float64(to-from) }
	if first, last := calls(0, tenth), calls(n-tenth, n); last > first*flat {
		w.t.Errorf("%s: the vault is asked %.2f times per segment at first, and %.2f at last", what, first, last)
	}
	first, firstYards := least(marks[:tenth+1])
	last, lastYards := least(marks[n-tenth:])
	ratio := lastYards / firstYards
	w.t.Logf("%s: %d segments, processor time per segment %v in the first tenth, %v in the last; against fixed work beside it %.2f; %.1f calls of the vault",
		what, n, first, last, ratio, calls(0, n))
	if raw := float64(last) / float64(first); proving && ratio > flat && raw > flat { // what grows, grows by either measure
		w.t.Errorf("%s: a segment costs %.2f of what it cost at the beginning, %.2f against fixed work", what, raw, ratio)
	}
}

// least is what a segment costs in the best of twenty stretches of them, because what else
// the machine does meanwhile only ever adds to it, and the best in fixed pieces of work,
// because it adds to those as well.
func least(marks []mark) (cost time.Duration, yards float64) {
	cost, yards = time.Hour, math.Inf(1)
	step := max((len(marks)-1)/20, 1)
	for at := 0; at+step < len(marks); at += step {
		stretch, yard := marks[at:at+step+1], time.Duration(0)
		for _, m := range stretch {
			yard += m.yard
		}
		each := max(stretch[step].cpu-stretch[0].cpu, 1) / time.Duration(step)
		cost, yards = min(cost, each), min(yards, float64(each)*float64(len(stretch))/float64(yard))
	}
	return cost, yards
}

// listed: the broker knows all of it, in a document that did not grow with it.
func (w *world) listed(id session.ID, segments int) {
	all, _, err := w.access.Recordings(w.t.Context(), w.ben, access.Filter{}, access.Stretch{})
	must(w.t, err)
	if len(all) != 1 || all[0].ID != id.Recording() || all[0].State != "sealed" {
		w.t.Fatalf("listed %+v", all)
	}
	bytes := int64(0)
	for _, name := range append([]string{recordings.HeaderPart, recordings.SealPart, recordings.ReceiptsPart}, names(segments)...) {
		n, err := w.vault.Size(w.t.Context(), "NGH", id.Recording(), name)
		must(w.t, err)
		bytes += n
	}
	if all[0].Bytes != bytes {
		w.t.Errorf("listed with %d bytes, %d are stored", all[0].Bytes, bytes)
	}
}

func names(segments int) []string {
	var all []string
	for n := range segments {
		all = append(all, recordings.SegmentPart(uint32(n)))
	}
	return all
}

// verified: part for part, as the broker's own check and a stranger do it.
func (w *world) verified(id session.ID, segments int) {
	var marks []mark
	trust := session.Trust{V: 1, Site: "NGH", Identity: w.agent.Hello().Identity}
	result, err := recordings.VerifyParts(func(part string) (io.ReadCloser, error) {
		if _, segment := recordings.Segment(part); segment {
			marks = append(marks, w.now())
		}
		return w.vault.Open(w.t.Context(), "NGH", id.Recording(), part)
	}, []session.Trust{trust}, nil)
	must(w.t, err)
	if n, _ := result.Extent(); result.Result != recordings.VerdictIntact || int(n) != segments {
		w.t.Fatalf("verified %d segments: %+v", n, result)
	}
	w.steady("verified", marks)
	v, err := w.archive.Check(w.t.Context(), "NGH", id.Recording())
	must(w.t, err)
	if v.Verdict != "intact" || !v.Countersigned || !v.Logged || int(v.Segments) != segments {
		w.t.Errorf("the broker's check: %+v", v)
	}
}

// sought: what a player asks for costs heads, as many as the number of segments has digits,
// and a part; where nothing was drawn, as here, those in which one is looked for that says
// what stood. Markers and activity are read in one pass, beside that.
func (w *world) sought(id session.ID, segments int) {
	ctx := w.t.Context()
	heads := int64(2 * bits.Len(uint(segments)))
	ask := func(what string, most int64, do func() error) {
		w.t.Helper()
		before := w.now()
		must(w.t, do())
		after := w.now()
		w.t.Logf("%s asked the vault %d times, processor time %v", what, after.calls-before.calls, after.cpu-before.cpu)
		if n := after.calls - before.calls; n > most {
			w.t.Errorf("%s of %d segments asked the vault %d times", what, segments, n)
		}
	}
	var x replay.Overview
	open := func() (err error) { x, _, err = w.archive.Replay(ctx, "NGH", id.Recording()); return err }
	ask("to open it", others, open)
	if !x.Sealed || int(x.Segments) != segments || x.Length.At == 0 || x.Whole {
		w.t.Fatalf("replay: %+v", x)
	}
	for _, n := range []int{0, segments / 2, segments - 1} {
		ask(fmt.Sprintf("part %d", n), others, func() error { _, err := w.archive.Part(ctx, "NGH", id.Recording(), n); return err })
	}
	ask("a jump to the end", others+heads+back, func() error { _, err := w.archive.Moment(ctx, "NGH", id.Recording(), x.Length.At); return err })

	before, opened := w.now(), int64(0)
	ctx, stop := context.WithCancel(ctx)
	over := make(chan error)
	go func() { over <- w.archive.Run(ctx, slog.New(slog.DiscardHandler)) }()
	for end := w.longest(); !x.Whole; opened++ {
		select {
		case <-end:
			w.t.Fatal("it is never read")
		case <-time.After(10 * time.Millisecond):
		}
		must(w.t, open())
	}
	stop()
	must(w.t, <-over)
	if n := w.now().calls - before.calls - opened*3; x.Broken != "" || n > int64(segments+others) {
		w.t.Errorf("broken %q; to read %d segments the vault was asked %d times", x.Broken, segments, n)
	}
}

// packed: the evidence pack asks for each segment twice, for its size and for itself.
func (w *world) packed(id session.ID, segments int) {
	before := w.now()
	var size counter
	must(w.t, w.archive.Pack(w.t.Context(), "NGH", id.Recording(), &size))
	after := w.now()
	w.t.Logf("packed: %d bytes, processor time per segment %v", size, (after.cpu-before.cpu)/time.Duration(segments))
	if n := after.calls - before.calls; n > int64(2*segments+2*others) {
		w.t.Errorf("a pack of %d segments asked the vault %d times", segments, n)
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// restarted: an agent that died before the seal reads the heads again, and not the content.
func (w *world) restarted(id session.ID, segments int) {
	dir := filepath.Join(w.spool, id.Recording())
	must(w.t, os.Remove(filepath.Join(dir, recordings.SealPart)))
	before, began := processor(w.t), time.Now()
	info, err := recordings.Recover(dir, w.agent.Key(), session.AgentLost)
	must(w.t, err)
	cpu := processor(w.t) - before
	w.t.Logf("restarted: %d segments counted in %v, processor time per segment %v", info.Segments, time.Since(began).Round(time.Millisecond), cpu/time.Duration(segments))
	if int(info.Segments) != segments || info.State != recordings.Torn {
		w.t.Errorf("sealed again as %+v", info)
	}
}

// longest is when a step that does not end is given up.
func (w *world) longest() <-chan struct{} {
	limit := ages
	if proving {
		limit = time.Hour
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	w.t.Cleanup(cancel)
	return ctx.Done()
}
