package recordings_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

func TestMain(m *testing.M) {
	if os.Getenv(limitedChild) != "" {
		os.Exit(recordUntilTheLimit())
	}
	goleak.VerifyTestMain(m)
}

func TestWhatWasRecordedComesBack(t *testing.T) {
	base := newScene(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := *base
		s.dir = filepath.Join(filepath.Dir(base.dir), session.NewID().Text())
		w := s.create(func(o *recordings.Options) {
			o.SegmentBytes = rapid.SampledFrom([]int{1, 300, 2000, 1 << 20}).Draw(rt, "segment")
		})
		kinds := []session.EventKind{session.Output, session.ErrorOutput, session.Input, session.Upload, session.Resize, session.Exit, 'y'}
		events := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) session.Event {
			return session.Event{
				Kind:   rapid.SampledFrom(kinds).Draw(rt, "kind"),
				Stream: rapid.Uint32().Draw(rt, "stream"),
				Data:   rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "data"),
			}
		}), 0, 25).Draw(rt, "events")
		s.record(w, events...)
		s.close(w)
		file := s.file()
		if got := s.verify(file); got.Result != recordings.VerdictIntact {
			rt.Fatalf("verify: %+v", got)
		}
		back, err := s.events(file, s.input)
		if err != nil {
			rt.Fatal(err)
		}
		sameEvents(rt, events, back)
	})
}

type fataler interface{ Fatalf(string, ...any) }

// sameEvents compares what was recorded with what came back; times are the recorder's.
func sameEvents(t fataler, recorded, back []session.Event) {
	if len(recorded) != len(back) {
		t.Fatalf("%d events came back of %d", len(back), len(recorded))
	}
	at := int64(0)
	for i, e := range back {
		want := recorded[i]
		if e.Kind != want.Kind || e.Stream != want.Stream || !bytes.Equal(e.Data, want.Data) {
			t.Fatalf("event %d: %+v came back for %+v", i, e, want)
		}
		if e.At < at {
			t.Fatalf("event %d is earlier than the one before", i)
		}
		at = e.At
	}
}

func TestTypedInputIsNowhereInClear(t *testing.T) {
	s := newScene(t)
	const secret = "canary-7f31-correct-horse"
	heads := make(chan witness.Head, 100)
	w := s.create(func(o *recordings.Options) {
		o.SegmentBytes, o.HeadEvery = 2000, time.Nanosecond
		o.OnHead = func(h witness.Head) { heads <- h }
	})
	for i := range 40 {
		s.record(w, typed(secret), session.Event{Kind: session.Upload, Stream: 2, Data: []byte("01234567" + secret)}, output("ok\r\n"))
		if i == 20 {
			<-heads
			scan(t, s.dir, secret) // the open segment is there now
		}
	}
	s.close(w)
	scan(t, s.dir, secret)
	if bytes.Contains(s.file(), []byte(secret)) {
		t.Fatal("typed input in the assembled file")
	}
	locked, err := recordings.Open(bytes.NewReader(s.file()), int64(len(s.file())))
	if err != nil {
		t.Fatal(err)
	}
	defer locked.Close()
	e, err := locked.Next()
	n, isLocked := locked.Locked()
	if err != nil || e.Kind != session.Input || e.Data != nil || !isLocked || n != len(secret) {
		t.Fatalf("locked input: %+v, %d, %v, %v", e, n, isLocked, err)
	}
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := locked.Unlock(stranger); session.KindOf(err) != session.Denied {
		t.Fatalf("a stranger's identity: %v", err)
	}
	events, err := s.events(s.file(), s.input)
	if err != nil || len(events) != 120 || string(events[0].Data) != secret || string(events[118].Data) != "01234567"+secret {
		t.Fatalf("unlocked: %d events, %v", len(events), err)
	}
}

// scan unpacks what is packed, too: every closed segment is read back through the reader.
func scan(t *testing.T, dir, secret string) {
	t.Helper()
	open := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", d.Name(), info.Mode())
		}
		if strings.HasPrefix(d.Name(), "open-") {
			open++
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("typed input in %s", d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := recordings.Follow(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	events, err := drain(r)
	if err != nil || len(events) == 0 {
		t.Fatalf("follow: %d events, %v", len(events), err)
	}
	for _, e := range events {
		if bytes.Contains(e.Data, []byte(secret)) {
			t.Errorf("typed input in event %c", e.Kind)
		}
	}
	if _, sealed := r.Seal(); sealed == (open > 0) {
		t.Errorf("%d open segments, sealed: %v", open, sealed)
	}
}

func TestFollowSeesEveryEventAsItComes(t *testing.T) {
	s := newScene(t)
	w := s.create(func(o *recordings.Options) { o.SegmentBytes = 1000 })
	r, err := recordings.Follow(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var recorded, seen []session.Event
	for i := range 200 {
		e := output(fmt.Sprintf("line %d %s\r\n", i, strings.Repeat("-", i%90)))
		s.record(w, e)
		recorded = append(recorded, e)
		if i%3 == 0 { // what follows a segment that ended shows once that is closed
			for began := time.Now(); len(seen) < len(recorded) && time.Since(began) < time.Minute; {
				more, err := drain(r)
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, more...)
			}
			sameEvents(t, recorded, seen)
		}
	}
	if _, sealed := r.Seal(); sealed {
		t.Fatal("a seal before the end")
	}
	s.close(w)
	more, err := drain(r)
	if err != nil {
		t.Fatal(err)
	}
	sameEvents(t, recorded, append(seen, more...))
	if info, sealed := r.Seal(); !sealed || info.State != recordings.Sealed || info.Reason != session.Completed {
		t.Fatalf("seal: %+v %v", info, sealed)
	}
}

func TestTimeRotatesSignsAndSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		var heads []witness.Head
		parts := 0
		w := s.create(func(o *recordings.Options) {
			o.OnHead = func(h witness.Head) { heads = append(heads, h) }
			o.OnPart = func() { parts++ }
		})
		settle := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		settle(time.Minute)
		if parts != 1 || len(heads) != 0 {
			t.Fatalf("nothing happened, yet %d parts and %d heads", parts, len(heads))
		}
		s.record(w, output("a"))
		settle(900 * time.Millisecond)
		s.record(w, output("b"))
		settle(200 * time.Millisecond)
		if len(heads) != 1 || !heads[0].Verify(s.public()) {
			t.Fatalf("%d heads a second after the first byte", len(heads))
		}
		settle(5 * time.Second)
		if len(heads) != 1 {
			t.Fatalf("%d heads though no byte flowed", len(heads))
		}
		settle(4 * time.Second)
		if parts != 2 {
			t.Fatalf("%d parts ten seconds after the first byte", parts)
		}
		settle(time.Hour)
		if parts != 2 {
			t.Fatalf("%d parts though nothing happened", parts)
		}
		for range 30 {
			s.record(w, output("tick"))
			settle(time.Second)
		}
		if len(heads) < 25 || parts < 4 {
			t.Fatalf("%d heads, %d parts after 30 busy seconds", len(heads), parts)
		}
		s.close(w)
		if got := s.verify(s.file()); got.Result != recordings.VerdictIntact {
			t.Fatalf("%+v", got)
		}
		events, err := s.events(s.file(), nil)
		if err != nil || events[1].At-events[0].At != 900_000 {
			t.Fatalf("times %+v, %v", events[:2], err)
		}
	})
}

// countingFile counts syncs.
type countingFile struct {
	recordings.File
	syncs *atomic.Int64
}

func (f countingFile) Sync() error {
	f.syncs.Add(1)
	return f.File.Sync()
}

func TestWritesAreSyncedInGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		real, err := recordings.NewDisk(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		var syncs atomic.Int64
		w, err := recordings.CreateOn(recordings.DiskMethods{Disk: real, CreateFunc: func(name string) (recordings.File, error) {
			f, err := recordings.CreateFile(real, name)
			return countingFile{File: f, syncs: &syncs}, err
		}}, s.header, s.options())
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			s.record(w, output("a keystroke's echo"))
		}
		time.Sleep(40 * time.Millisecond)
		synctest.Wait()
		if n := syncs.Load(); n != 0 {
			t.Fatalf("%d syncs before the group was full", n)
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if n := syncs.Load(); n != 1 {
			t.Fatalf("%d syncs of one group", n)
		}
		for range 3 { // bulk is no reason to sync more often
			s.record(w, output(strings.Repeat("x", 32<<10)))
		}
		synctest.Wait()
		if n := syncs.Load(); n != 1 {
			t.Fatalf("%d syncs before the second group was due", n)
		}
		time.Sleep(60 * time.Millisecond)
		synctest.Wait()
		if n := syncs.Load(); n != 2 {
			t.Fatalf("%d syncs of two groups", n)
		}
		s.close(w)
	})
}

func TestConcurrentRecordsKeepEachStreamsOrder(t *testing.T) {
	s := newScene(t)
	w := s.create(func(o *recordings.Options) { o.SegmentBytes, o.HeadEvery = 3000, time.Microsecond })
	const streams, each = 8, 150
	var all sync.WaitGroup
	for n := range streams {
		all.Go(func() {
			for i := range each {
				kind := session.Output
				if i%2 == 1 {
					kind = session.Input
				}
				if err := w.Record(session.Event{Kind: kind, Stream: uint32(n), Data: binary.BigEndian.AppendUint32(nil, uint32(i))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s.close(w)
	if got := s.verify(s.file()); got.Result != recordings.VerdictIntact {
		t.Fatalf("%+v", got)
	}
	events, err := s.events(s.file(), s.input)
	if err != nil || len(events) != streams*each {
		t.Fatalf("%d events, %v", len(events), err)
	}
	next := map[uint32]uint32{}
	for _, e := range events {
		if i := binary.BigEndian.Uint32(e.Data); i != next[e.Stream] {
			t.Fatalf("stream %d: %d where %d should be", e.Stream, i, next[e.Stream])
		}
		next[e.Stream]++
	}
}

func TestCloseIsOneThing(t *testing.T) {
	s := newScene(t)
	w := s.create(nil)
	s.record(w, output("x"))
	var all sync.WaitGroup
	for _, reason := range []session.EndReason{session.Completed, session.KilledLocal, session.OutOfTime} {
		all.Go(func() {
			if err := w.Close(reason); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := w.Record(output("late")); session.KindOf(err) != session.Refused {
		t.Fatalf("recorded after the seal: %v", err)
	}
	if got := s.verify(s.file()); got.Result != recordings.VerdictIntact {
		t.Fatalf("%+v", got)
	}
}

func TestARecordingOfNothingIsSealedToo(t *testing.T) {
	s := newScene(t)
	s.close(s.create(nil))
	if got := s.verify(s.file()); got.Result != recordings.VerdictIntact || len(s.parts()) != 2 {
		t.Fatalf("%+v, parts %v", got, s.parts())
	}
}

func TestCreateRefusesWhatCannotBeEvidence(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*recordings.Header, *recordings.Options){
		"no signer":         func(_ *recordings.Header, o *recordings.Options) { o.Signer = nil },
		"wrong kind of key": func(_ *recordings.Header, o *recordings.Options) { o.Signer = ec },
		"no recipient":      func(_ *recordings.Header, o *recordings.Options) { o.InputRecipient = "" },
		"bad recipient":     func(_ *recordings.Header, o *recordings.Options) { o.InputRecipient = "age1xyz" },
		"huge segments":     func(_ *recordings.Header, o *recordings.Options) { o.SegmentBytes = 64 << 20 },
		"negative size":     func(_ *recordings.Header, o *recordings.Options) { o.SegmentBytes = -1 },
		"no id":             func(h *recordings.Header, _ *recordings.Options) { h.Recording = "" },
		"a session's id":    func(h *recordings.Header, _ *recordings.Options) { h.Recording = h.Session },
		"no session":        func(h *recordings.Header, _ *recordings.Options) { h.Session = "" },
		"no request":        func(h *recordings.Header, _ *recordings.Options) { h.Request = "" },
		"no grant":          func(h *recordings.Header, _ *recordings.Options) { h.GrantHash = "" },
		"no site":           func(h *recordings.Header, _ *recordings.Options) { h.Site = "" },
		"an asset's path":   func(h *recordings.Header, _ *recordings.Options) { h.Asset = "../x" },
		"another agent":     func(h *recordings.Header, _ *recordings.Options) { h.Agent = "SHA256:other" },
		"endless header":    func(h *recordings.Header, _ *recordings.Options) { h.WorkOrder = strings.Repeat("w", 70_000) },
	} {
		s := newScene(t)
		h, o := s.header, s.options()
		spoil(&h, &o)
		if _, err := recordings.Create(s.dir, h, o); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something half-done stays behind: %v", name, err)
		}
	}
	s := newScene(t)
	s.close(s.create(nil))
	before := s.file()
	if _, err := recordings.Create(s.dir, s.header, s.options()); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("an existing recording: %v", err)
	}
	if !bytes.Equal(before, s.file()) {
		t.Fatal("an existing recording was touched")
	}
}

func TestEventsOutOfBoundsAreRefusedAndHarmless(t *testing.T) {
	s := newScene(t)
	w := s.create(nil)
	for _, e := range []session.Event{
		{Kind: 'H', Data: []byte("a head of my own")}, {Kind: 0}, {Kind: 'B'}, {Kind: '~'},
		{Kind: session.Output, Data: make([]byte, session.MaxEventData+1)},
	} {
		if err := w.Record(e); session.KindOf(err) != session.Invalid {
			t.Errorf("kind %q with %d bytes: %v", e.Kind, len(e.Data), err)
		}
	}
	biggest := []session.Event{typed(strings.Repeat("k", session.MaxEventData)), output(strings.Repeat("k", session.MaxEventData))}
	s.record(w, biggest...)
	s.close(w)
	back, err := s.events(s.file(), s.input)
	if err != nil {
		t.Fatal(err)
	}
	sameEvents(t, biggest, back)
}

func TestPartsAreCheckedAgainstThemselves(t *testing.T) {
	s := small(t)
	h, err := recordings.ReadHeader(s.part("header"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, s.header); diff != "" {
		t.Fatalf("header came back changed: %s", diff)
	}
	info, err := recordings.ReadSeal(s.part("seal"))
	if err != nil || info.State != recordings.Sealed || info.Reason != session.Completed || info.Segments != 3 ||
		info.Stored+int64(len(s.part("seal"))) != int64(len(s.file())) {
		t.Fatalf("sealed as %+v, %v", info, err)
	}
	for _, n := range s.parts() {
		if err := recordings.CheckPart(n, s.part(n)); err != nil {
			t.Errorf("%s: %v", n, err)
		}
		bad := s.part(n)
		bad[len(bad)/2] ^= 1
		if n != "seal" && recordings.CheckPart(n, bad) == nil {
			t.Errorf("%s: a flipped byte was not found", n)
		}
	}
	if recordings.CheckPart("seg-000001", s.part("seg-000000")) == nil {
		t.Error("a segment under another's name was not found")
	}
}

func TestPartNamesAreStrict(t *testing.T) {
	for _, n := range []string{"", "seg-1", "seg-0000001", "seg-00000x", "seg-+00001", "seg--00001", "SEAL", "seal ", "header/", "../header", "open-000000", "seg-000000.tmp", "seg-٠٠٠"} {
		if recordings.ValidPart(n) {
			t.Errorf("%q is taken for a part", n)
		}
	}
}

// Segments may overtake each other on their way: a live recording is served up to
// the first one that is missing, a sealed one is served whole and found out.
func TestAssembleWithHoles(t *testing.T) {
	s := small(t)
	only := func(parts ...string) (open func(string) (io.ReadCloser, error), size func(string) (int64, error)) {
		return func(n string) (io.ReadCloser, error) {
				if !slices.Contains(parts, n) {
					return nil, fs.ErrNotExist
				}
				return s.openPart(n)
			}, func(n string) (int64, error) {
				if !slices.Contains(parts, n) {
					return 0, fs.ErrNotExist
				}
				return s.partSize(n)
			}
	}
	assemble := func(parts ...string) recordings.Result {
		v, err := recordings.TakeInventory(only(parts...))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := v.Assemble(&b, s.openPart); err != nil { // the rest arrived meanwhile
			t.Fatal(err)
		}
		if int64(b.Len()) != v.Size {
			t.Errorf("%d bytes, %d announced", b.Len(), v.Size)
		}
		return s.verify(b.Bytes())
	}
	if got := assemble("header", "seg-000000", "seg-000002"); got.Result != recordings.VerdictLive || got.Reason != "nothing proves what follows segment 0" {
		t.Errorf("live: %+v", got)
	}
	if got := assemble("header", "seg-000000", "seg-000002", "seal"); got.Result != recordings.VerdictTampered || *got.Segment != 1 {
		t.Errorf("sealed: %+v", got)
	}
	if got := assemble("header", "seg-000000", "seal"); got.Result != recordings.VerdictTampered || *got.Segment != 1 {
		t.Errorf("sealed, its tail missing: %+v", got)
	}
	if _, err := recordings.TakeInventory(only("seg-000000", "seal")); session.KindOf(err) != session.Invalid {
		t.Errorf("without a header: %v", err)
	}
}
