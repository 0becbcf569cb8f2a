package recordings_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// crashed is what the disk holds when the agent was killed: closed segments and an
// open one.
func crashed(t *testing.T) (s *scene, open string) {
	t.Helper()
	s = newScene(t)
	heads := make(chan witness.Head, 1)
	w := s.create(func(o *recordings.Options) {
		o.SegmentBytes, o.HeadEvery = 900, time.Nanosecond
		o.OnHead = func(h witness.Head) { heads <- h }
	})
	copied := filepath.Join(filepath.Dir(s.dir), "killed")
	defer func() { s.dir = copied }()
	for _, e := range []session.Event{output("first"), typed("second"), output("third"), output("fourth"), typed("fifth"), output("sixth"), output("seventh")} {
		s.record(w, e)
		<-heads
	}
	s.await("seg-000000")
	copyDir(t, s.dir, copied)
	s.close(w)
	return s, filepath.Join(copied, "open-000001")
}

// frames reads what stands in an open segment behind the room for its head.
func frames(t *testing.T, open string) []byte {
	t.Helper()
	b, err := os.ReadFile(open)
	if err != nil || len(b) < recordings.Room {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	return b[recordings.Room:]
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func TestACrashIsSealedTorn(t *testing.T) {
	s, _ := crashed(t)
	info, err := recordings.Recover(s.dir, s.key, session.AgentLost)
	if err != nil {
		t.Fatal(err)
	}
	if info.State != recordings.Torn || info.Reason != session.AgentLost || info.Dropped != 0 || info.Events != 7 || info.Segments != 2 {
		t.Fatalf("seal: %+v", info)
	}
	if got := s.verify(s.file()); got.Result != recordings.VerdictTorn || got.Segment != nil {
		t.Fatalf("%+v", got)
	}
	before := s.file()
	again, err := recordings.Recover(s.dir, s.key, session.AgentLost)
	if err != nil || again != info || !bytes.Equal(before, s.file()) {
		t.Fatalf("a second repair changed something: %+v, %v", again, err)
	}
	if len(s.verify(before).Explain()) < 3 {
		t.Fatal("not explained")
	}
}

func TestATornTailRecoversTheLongestSoundPrefix(t *testing.T) {
	s, open := crashed(t)
	whole := frames(t, open)
	d := chainAfterFirst(t, s)
	ends, events := recordings.FrameEnds(s.part("header"), whole, 1, d)
	if len(ends) < 4 || ends[len(ends)-1] != int64(len(whole)) {
		t.Fatalf("the open segment has %d sound frames", len(ends))
	}
	for cut := range len(whole) + 1 {
		sound, count := int64(0), uint32(0)
		for i, end := range ends {
			if end <= int64(cut) {
				sound, count = end, events[i]
			}
		}
		if gotSound, gotCount := recordings.ScanSegment(s.part("header"), whole[:cut], 1, d); gotSound != sound || gotCount != count {
			t.Fatalf("cut at %d: %d bytes, %d events; want %d, %d", cut, gotSound, gotCount, sound, count)
		}
		if cut%41 != 0 && cut != len(whole) {
			continue
		}
		// The whole way: repair, assemble, verify.
		torn := *s
		torn.dir = filepath.Join(t.TempDir(), "rec")
		copyDir(t, s.dir, torn.dir)
		if err := os.WriteFile(filepath.Join(torn.dir, "open-000001"), slices.Concat(make([]byte, recordings.Room), whole[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := recordings.Recover(torn.dir, s.key, session.AgentLost)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		wantDropped := int64(cut) - sound
		if got := torn.verify(torn.file()); got.Result != recordings.VerdictTorn || info.Dropped != wantDropped {
			t.Fatalf("cut at %d: %+v, dropped %d, want %d", cut, got, info.Dropped, wantDropped)
		}
	}
}

func chainAfterFirst(t *testing.T, s *scene) [32]byte {
	t.Helper()
	open := s.part("open-000001")[recordings.Room:]
	return [32]byte(open[18+20:]) // data of the opening frame: recording, index, prev
}

// Power cuts leave zeros or old blocks behind, not only short files.
func TestRubbishBehindTheSoundPrefixIsDropped(t *testing.T) {
	s, open := crashed(t)
	whole := frames(t, open)
	for name, tail := range map[string][]byte{
		"zeros": make([]byte, 4096), "a frame again": whole[:112], "text": []byte(strings.Repeat("lost block ", 40)),
	} {
		torn := *s
		torn.dir = filepath.Join(t.TempDir(), "rec")
		copyDir(t, s.dir, torn.dir)
		if err := os.WriteFile(filepath.Join(torn.dir, "open-000001"), slices.Concat(make([]byte, recordings.Room), whole, tail), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := recordings.Recover(torn.dir, s.key, session.AgentLost)
		if err != nil || info.Dropped != int64(len(tail)) || info.Events != 7 {
			t.Fatalf("%s: %+v, %v", name, info, err)
		}
	}
}

// Somebody edits the open segment of a dead agent and mends the checksums: the
// signed heads still stand against it.
func TestAnEditedOpenSegmentIsNotSealedOver(t *testing.T) {
	s, open := crashed(t)
	whole := frames(t, open)
	d := chainAfterFirst(t, s)
	for i := range whole {
		whole[i] ^= 0x10
		sound, _ := recordings.ScanSegment(s.part("header"), whole, 1, d)
		whole[i] ^= 0x10
		if sound > int64(i) {
			t.Fatalf("byte %d changed, yet %d bytes pass as sound", i, sound)
		}
	}
}

func TestRecoverRefusesTheWrongKeyAndABadSegment(t *testing.T) {
	s, _ := crashed(t)
	if _, err := recordings.Recover(s.dir, newScene(t).key, session.AgentLost); err == nil {
		t.Fatal("sealed with a stranger's key")
	}
	if _, err := os.Stat(filepath.Join(s.dir, "seal")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a seal was written: %v", err)
	}
	bad := s.part("seg-000000")
	bad[100] ^= 1 // of its head
	if err := os.WriteFile(filepath.Join(s.dir, "seg-000000"), bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := recordings.Recover(s.dir, s.key, session.AgentLost); err == nil || !strings.Contains(err.Error(), "segment 0") {
		t.Fatalf("sealed over a bad segment: %v", err)
	}
	// What a segment holds is not read again: that it is bad must not keep the rest unsealed,
	// and whoever verifies finds it.
	bad[100] ^= 1
	bad[len(bad)-1] ^= 1
	if err := os.WriteFile(filepath.Join(s.dir, "seg-000000"), bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := recordings.Recover(s.dir, s.key, session.AgentLost); err != nil {
		t.Fatal(err)
	}
	if got := s.verify(s.file()); got.Result != recordings.VerdictTampered || got.Segment == nil || *got.Segment != 0 {
		t.Fatalf("a spoiled segment: %+v", got)
	}
	if _, err := recordings.Recover(t.TempDir(), s.key, session.AgentLost); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("an empty directory: %v", err)
	}
}

// brokenFile fails, or worse, at its nth write.
type brokenFile struct {
	recordings.File
	writes *int
	at     int
	how    string
}

var errDisk = errors.New("no space left on device")

func (f brokenFile) Write(b []byte) (int, error) {
	*f.writes++
	if *f.writes < f.at {
		return f.File.Write(b)
	}
	switch f.how {
	case "full":
		return 0, errDisk
	case "half":
		n, _ := f.File.Write(b[:len(b)/2])
		return n, errDisk
	case "short":
		return f.File.Write(b[:len(b)-1])
	case "panic":
		panic("the disk driver went away")
	}
	return f.File.Write(b)
}

func (f brokenFile) Sync() error {
	if f.how == "sync" && *f.writes >= f.at {
		return errDisk
	}
	return f.File.Sync()
}

// broken makes a recording whose disk fails in some way at the nth write.
func broken(t *testing.T, s *scene, how string, at int) *recordings.Writer {
	t.Helper()
	real, err := recordings.NewDisk(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	writes := new(int)
	disk := recordings.DiskMethods{Disk: real}
	disk.CreateFunc = func(name string) (recordings.File, error) {
		if how == "create" {
			return nil, errDisk
		}
		f, err := recordings.CreateFile(real, name)
		return brokenFile{File: f, writes: writes, at: at, how: how}, err
	}
	o := s.options()
	o.SegmentBytes, o.HeadEvery = 1<<20, time.Hour
	w, err := recordings.CreateOn(disk, s.header, o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestNothingIsAcknowledgedThatIsNotOnDisk(t *testing.T) {
	for _, how := range []string{"full", "half", "short", "create", "panic"} {
		for at := 1; at < 6; at++ {
			s := newScene(t)
			w := broken(t, s, how, at)
			acked := 0
			for range 10 {
				if recordOrPanic(w, output("a line of output\r\n")) != nil {
					break
				}
				acked++
			}
			select {
			case <-w.Lost():
			default:
				t.Fatalf("%s at %d: the recorder does not say that it is lost", how, at)
			}
			for range 3 {
				if w.Record(output("again")) == nil {
					t.Fatalf("%s at %d: recorded after the loss", how, at)
				}
			}
			if err := w.Close(session.RecorderLost); err == nil {
				t.Fatalf("%s at %d: Close hides the loss", how, at)
			}
			got := s.verify(s.file())
			events, err := s.events(s.file(), nil)
			if got.Result != recordings.VerdictTorn || err != nil || len(events) != acked {
				t.Fatalf("%s at %d: %d acknowledged, %d on record, %+v, %v", how, at, acked, len(events), got, err)
			}
		}
	}
}

func recordOrPanic(w *recordings.Writer, e session.Event) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panic")
		}
	}()
	return w.Record(e)
}

func TestAFailingSyncEndsTheRecording(t *testing.T) {
	s := newScene(t)
	w := broken(t, s, "sync", 1)
	s.record(w, output("written, but will it stay?"))
	select {
	case <-w.Lost():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
	if w.Record(output("more")) == nil {
		t.Fatal("recorded on")
	}
	if err := w.Close(session.RecorderLost); !errors.Is(err, errDisk) {
		t.Fatalf("Close: %v", err)
	}
}

func TestASegmentThatCannotBeClosedEndsTheRecording(t *testing.T) {
	s := newScene(t)
	real, err := recordings.NewDisk(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	var full atomic.Bool
	disk := recordings.DiskMethods{Disk: real, CommitFunc: func(name string, part []byte) error {
		if full.Load() {
			return errDisk
		}
		return recordings.CommitPart(real, name, part)
	}, RenameFunc: func(from, to string) error {
		if full.Load() {
			return errDisk
		}
		return recordings.RenamePart(real, from, to)
	}}
	o := s.options()
	o.SegmentBytes = 100
	w, err := recordings.CreateOn(disk, s.header, o)
	if err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	s.record(w, output("first"), output("second"), output("third"))
	select {
	case <-w.Lost():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
	if w.Record(output("fourth")) == nil {
		t.Fatal("recorded though the segment could not be closed")
	}
	if err := w.Close(session.RecorderLost); !errors.Is(err, errDisk) {
		t.Fatalf("Close: %v", err)
	}
	if got := s.verify(s.file()); got.Result != recordings.VerdictLive {
		t.Fatalf("%+v", got)
	}
	// There is room again at the next start.
	if _, err := recordings.Recover(s.dir, s.key, session.AgentLost); err != nil {
		t.Fatal(err)
	}
	events, err := s.events(s.file(), nil)
	if got := s.verify(s.file()); got.Result != recordings.VerdictTorn || err != nil || len(events) != 3 {
		t.Fatalf("%+v, %d events, %v", got, len(events), err)
	}
}

const (
	limitedChild = "SALLYPORT_TEST_RECORD_UNTIL_LIMIT"
	childKey     = "SALLYPORT_TEST_KEY"
	childInput   = "SALLYPORT_TEST_INPUT"
)

// A real limit of the kernel: the child may not write files beyond 150 kB and prints a
// dot for each acknowledged event.
func TestARealFullDisk(t *testing.T) {
	s := newScene(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe, "-test.run=^$")
	child.Env = append(os.Environ(), limitedChild+"="+s.dir, childKey+"="+hex.EncodeToString(s.key.Seed()), childInput+"="+s.input.Recipient().String())
	out, err := child.Output()
	if err != nil {
		t.Fatalf("child: %v", err)
	}
	acked := bytes.Count(out, []byte("."))
	if acked == 0 || !bytes.HasSuffix(out, []byte("lost")) {
		t.Fatalf("child said %q", out)
	}
	if _, err := recordings.Recover(s.dir, s.key, session.AgentLost); err != nil {
		t.Fatal(err)
	}
	events, err := s.events(s.file(), nil)
	if got := s.verify(s.file()); got.Result != recordings.VerdictTorn || err != nil || len(events) != acked {
		t.Fatalf("%d acknowledged, %d on record, %+v, %v", acked, len(events), got, err)
	}
}

func recordUntilTheLimit() int {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 150_000, Max: 150_000}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return 2
	}
	seed, err := hex.DecodeString(os.Getenv(childKey))
	if err != nil {
		return 2
	}
	w, err := recordings.Create(os.Getenv(limitedChild), header(), recordings.Options{
		Signer: ed25519.NewKeyFromSeed(seed), InputRecipient: os.Getenv(childInput), SegmentTime: time.Hour,
	})
	if err != nil {
		return 3
	}
	for w.Record(output(strings.Repeat("0123456789", 100))) == nil {
		_, _ = os.Stdout.WriteString(".")
	}
	<-w.Lost()
	_, _ = os.Stdout.WriteString("lost")
	return 0
}
