package recordings_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// album is a picture of what was shown: all of it.
type album struct {
	shown  map[uint32]string
	change func(all []session.Snapshot) ([]session.Snapshot, bool)
	wait   chan struct{} // what draws waits for it; nil: for nothing
	drawn  chan int      // how many bytes of the first stream
	forgot bool
	closed chan struct{}
}

func newAlbum() *album {
	return &album{shown: map[uint32]string{}, drawn: make(chan int, 1000), closed: make(chan struct{})}
}

func (a *album) Take(e session.Event) {
	if a.wait != nil {
		<-a.wait
	}
	if e.Kind == session.Output || e.Kind == session.ChannelOpened && a.shown[e.Stream] == "" {
		a.shown[e.Stream] += strings.TrimPrefix(string(e.Data), `{"type":"shell"}`)
	}
	if e.Kind == session.Input || e.Kind == session.Upload {
		panic("what was typed is none of a picture's business")
	}
}

func (a *album) Snapshots() (all []session.Snapshot, complete bool) {
	for stream, s := range a.shown {
		all = append(all, session.Snapshot{Stream: stream, Kind: 'z', Data: []byte(s)})
	}
	complete = true
	if a.change != nil {
		all, complete = a.change(all)
	}
	a.drawn <- len(a.shown[1])
	return all, complete
}

func (a *album) Forget() { a.forgot = true }
func (a *album) Close()  { close(a.closed) }

// opened begins a stream.
func opened(stream uint32) session.Event {
	return session.Event{Kind: session.ChannelOpened, Stream: stream, Data: []byte(`{"type":"shell"}`)}
}

// The heads of a snapshot's frame and of the one that says that all are there. What is shorter
// stands in a random byte and a length now and then.
var (
	aSnapshot = regexp.MustCompile(`(?s)\x00\x00..K\x00\x00\x00\x00`)
	allThere  = regexp.MustCompile(`\x00\x00\x00\x06K\x00\x00\x00\x00\x00`)
)

// stood waits until an open segment holds such a frame.
func (s *scene) stood(segment int, frame *regexp.Regexp) {
	s.t.Helper()
	for range 6000 {
		b, _ := os.ReadFile(filepath.Join(s.dir, fmt.Sprintf("open-%06d", segment)))
		if frame.Match(b) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.t.Fatalf("segment %d has no %q", segment, frame)
}

// drawnScene is a recording of five segments with what stood at the begin of each.
func drawnScene(t *testing.T, a *album) *scene {
	t.Helper()
	s := newScene(t)
	w := s.create(func(o *recordings.Options) { o.SegmentBytes, o.Picture = 1, a })
	s.record(w, opened(1))
	for n := range 4 {
		s.record(w, output(strings.Repeat(fmt.Sprint(n), 100)))
		s.stood(n+1, allThere)
	}
	s.close(w)
	<-a.closed
	return s
}

// What stood at a segment's begin is what all segments before it show, and nothing of its own.
func TestASnapshotIsOfASegmentsBegin(t *testing.T) {
	s := drawnScene(t, newAlbum())
	file := s.file()
	if got := s.verify(file); got.Result != recordings.VerdictIntact {
		t.Fatalf("%+v", got)
	}
	for name, open := range map[string]func() (*recordings.Reader, error){
		"file":   func() (*recordings.Reader, error) { return recordings.Open(bytes.NewReader(file), int64(len(file))) },
		"parts":  func() (*recordings.Reader, error) { return recordings.OpenParts(s.openPart) },
		"folder": func() (*recordings.Reader, error) { return recordings.Follow(s.dir) },
	} {
		r, err := open()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []uint32{3, 1, 4, 0, 2, 2} {
			stood, err := r.Begin(n)
			if err != nil || !stood.Complete || stood.Segment != n {
				t.Fatalf("%s: segment %d: %+v, %v", name, n, stood, err)
			}
			got := ""
			for _, x := range stood.Snapshots {
				got += string(x.Data)
			}
			rest, err := drain(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range rest {
				if e.Kind == session.Output {
					got += string(e.Data)
				}
			}
			if want := strings.Repeat("0", 100) + strings.Repeat("1", 100) + strings.Repeat("2", 100) + strings.Repeat("3", 100); got != want {
				t.Errorf("%s: from segment %d on %q is shown", name, n, got)
			}
			if _, sealed := r.Seal(); !sealed {
				t.Errorf("%s: from segment %d on there is no seal", name, n)
			}
		}
		if _, err := r.Begin(5); !errors.Is(err, io.EOF) {
			t.Errorf("%s: a sixth segment: %v", name, err)
		}
		for at, want := range map[int64]uint32{0: 0, 1 << 40: 4} {
			if n, err := r.Find(at); err != nil || n != want {
				t.Errorf("%s: at %d is segment %d, %v", name, at, n, err)
			}
		}
		r.Close()
	}
}

// Nobody who records waits for a picture, and closing does not, either: a segment that
// ended before its begin was drawn stays without.
func TestRecordingWaitsForNoPicture(t *testing.T) {
	s, a := newScene(t), newAlbum()
	a.wait = make(chan struct{})
	w := s.create(func(o *recordings.Options) { o.SegmentBytes, o.Picture = 1, a })
	for n := range 60 {
		s.record(w, opened(uint32(n+1)), typed("hunter2"))
	}
	s.await(recordings.SegmentPart(80))
	go func() { close(a.wait) }() // what is being drawn is drawn to its end, and no more is
	s.close(w)
	<-a.closed
	file := s.file()
	if got := s.verify(file); got.Result != recordings.VerdictIntact {
		t.Fatalf("%+v", got)
	}
}

// A picture that fails is asked no more, however long the recording goes on.
func TestAFailedPictureIsGivenUp(t *testing.T) {
	s, a := newScene(t), newAlbum()
	asked := make(chan struct{}, 100)
	a.change = func([]session.Snapshot) ([]session.Snapshot, bool) {
		asked <- struct{}{}
		panic("picture")
	}
	w := s.create(func(o *recordings.Options) { o.SegmentBytes, o.Picture = 1, a })
	s.record(w, opened(1), output("one"))
	<-asked
	for n := range 20 {
		s.record(w, output("more"))
		s.await(recordings.SegmentPart(uint32(n + 1)))
	}
	s.close(w)
	<-a.closed
	if n := len(asked); n != 0 {
		t.Errorf("asked %d times more", n)
	}
	if got := s.verify(s.file()); got.Result != recordings.VerdictIntact {
		t.Errorf("%+v", got)
	}
}

// Whatever a picture says, or does, the recording can be read.
func TestABadPictureHarmsNothing(t *testing.T) {
	for name, change := range map[string]func([]session.Snapshot) ([]session.Snapshot, bool){
		"twice": func(all []session.Snapshot) ([]session.Snapshot, bool) { return append(all, all...), true },
		"connection": func(all []session.Snapshot) ([]session.Snapshot, bool) {
			return append(all, session.Snapshot{Kind: 'z'}), true
		},
		"bad kind": func([]session.Snapshot) ([]session.Snapshot, bool) {
			return []session.Snapshot{{Stream: 1, Kind: '.'}}, true
		},
		"large": func([]session.Snapshot) ([]session.Snapshot, bool) {
			return []session.Snapshot{{Stream: 1, Kind: 'z', Data: make([]byte, 3<<20+1)}}, true
		},
		"many": func([]session.Snapshot) (all []session.Snapshot, _ bool) {
			for n := range 60 {
				all = append(all, session.Snapshot{Stream: uint32(60 - n), Kind: 'z', Data: make([]byte, 100_000)})
			}
			return all, true
		},
		"pieces": func([]session.Snapshot) (all []session.Snapshot, _ bool) {
			for n, size := range []int{0, 1, 32765, 32766, 32767, 65532, 65533, 256 << 10} {
				all = append(all, session.Snapshot{Stream: uint32(n + 1), Kind: 'z', Data: bytes.Repeat([]byte{byte(n)}, size)})
			}
			return all, true
		},
		"panic": func([]session.Snapshot) ([]session.Snapshot, bool) { panic("picture") },
	} {
		t.Run(name, func(t *testing.T) {
			s, a := newScene(t), newAlbum()
			a.change = change
			if name == "panic" {
				a.drawn = nil
			}
			w := s.create(func(o *recordings.Options) { o.SegmentBytes, o.Picture = 1, a })
			s.record(w, opened(1), output("one"))
			if name != "panic" && name != "bad kind" && name != "large" {
				s.stood(1, aSnapshot)
			}
			s.record(w, output("two"))
			s.close(w)
			file := s.file()
			if got := s.verify(file); got.Result != recordings.VerdictIntact {
				t.Fatalf("%+v", got)
			}
			r, err := recordings.Open(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			stood, err := r.Begin(1)
			if err != nil {
				t.Fatal(err)
			}
			if stood.Complete != (name == "pieces") && name != "panic" || name == "pieces" && len(stood.Snapshots) != 8 {
				t.Fatalf("%d snapshots, complete %v", len(stood.Snapshots), stood.Complete)
			}
			if name == "pieces" {
				all, _ := change(nil)
				for i, x := range stood.Snapshots {
					if x.Stream != all[i].Stream || !bytes.Equal(x.Data, all[i].Data) {
						t.Errorf("snapshot %d came back as another", i)
					}
				}
			}
		})
	}
}
