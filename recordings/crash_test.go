package recordings_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// killing copies the directory at every step that the closer takes, before it and after:
// what a killed agent would leave there. shown is what had been acknowledged by then.
type killing struct {
	s      *scene
	mu     sync.Mutex
	acked  bytes.Buffer
	points []point
}

type point struct {
	dir   string
	step  string
	shown []byte
}

// around takes a step and keeps what the disk holds on both sides of it. Nothing is
// recorded meanwhile, so shown is exact.
func (k *killing) around(step string, do func() error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keep("before " + step)
	err := do()
	k.keep("after " + step)
	return err
}

func (k *killing) keep(step string) {
	dir := filepath.Join(filepath.Dir(k.s.dir), fmt.Sprint("killed-", len(k.points)))
	if err := os.CopyFS(dir, os.DirFS(k.s.dir)); err != nil {
		k.s.t.Error(err)
	}
	k.points = append(k.points, point{dir, step, bytes.Clone(k.acked.Bytes())})
}

func (k *killing) record(w *recordings.Writer, data []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.s.record(w, output(string(data)))
	k.acked.Write(data)
}

type steppedFile struct {
	recordings.File
	k *killing
}

func (f steppedFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.k.around("writing a head", func() (err error) { n, err = f.File.WriteAt(b, at); return err })
	return n, err
}

func (f steppedFile) Sync() error { return f.k.around("a sync", f.File.Sync) }

func (k *killing) disk(real recordings.Disk) recordings.Disk {
	return recordings.DiskMethods{Disk: real,
		CreateFunc: func(name string) (recordings.File, error) {
			f, err := recordings.CreateFile(real, name)
			return steppedFile{f, k}, err
		},
		CommitFunc: func(name string, part []byte) error {
			if name == recordings.HeaderPart {
				return recordings.CommitPart(real, name, part)
			}
			return k.around("packing "+name, func() error { return recordings.CommitPart(real, name, part) })
		},
		RenameFunc: func(from, to string) error {
			return k.around("naming "+to, func() error { return recordings.RenamePart(real, from, to) })
		},
		RemoveFunc: func(name string) error {
			return k.around("removing "+name, func() error { return recordings.RemovePart(real, name) })
		}}
}

// Wherever an agent is killed while it closes segments beside the data path, the next
// start seals exactly what had been shown.
func TestAKillAtAnyStepOfClosingLosesNothing(t *testing.T) {
	s := newScene(t)
	real, err := recordings.NewDisk(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	k := &killing{s: s}
	o := s.options()
	o.SegmentBytes = 3000
	room := make(chan struct{}, 30) // segments that are not closed, well below the bound
	o.OnPart = func() {
		select {
		case <-room:
		default:
		}
	}
	w, err := recordings.CreateOn(k.disk(real), s.header, o)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 48 { // segments that shrink, and segments that do not
		data := bytes.Repeat([]byte("gantry ok\r\n"), 150)
		if n%3 != 0 {
			data = make([]byte, 2500)
			_, _ = rand.Read(data)
		}
		room <- struct{}{}
		k.record(w, data)
	}
	s.close(w)
	if len(k.points) < 200 {
		t.Fatalf("%d points", len(k.points))
	}
	for i, p := range k.points {
		if i%7 == 0 || i < 40 || os.Getenv("SALLYPORT_PROVE") != "" || len(k.points) < 250 {
			p.holds(t, s)
		}
	}
}

// holds repairs what is there and reads it back.
func (p point) holds(t *testing.T, s *scene) {
	t.Helper()
	killed := *s
	killed.dir = p.dir
	if _, err := recordings.Recover(p.dir, s.key, session.AgentLost); err != nil {
		t.Fatalf("%s: %v", p.step, err)
	}
	file := killed.file()
	if got := killed.verify(file); got.Result != recordings.VerdictTorn && got.Result != recordings.VerdictIntact {
		t.Fatalf("%s: %+v", p.step, got)
	}
	events, err := killed.events(file, nil)
	var back bytes.Buffer
	for _, e := range events {
		if e.Kind == session.Output {
			back.Write(e.Data)
		}
	}
	if err != nil || !bytes.Equal(back.Bytes(), p.shown) {
		t.Fatalf("%s: %d bytes were shown, %d are on record, %v", p.step, len(p.shown), back.Len(), err)
	}
}

// A power cut takes the end of an earlier open segment: what hangs on it goes, too, and
// is counted.
func TestWhatHangsOnALostEndIsDropped(t *testing.T) {
	s := newScene(t)
	real, err := recordings.NewDisk(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	stuck, copied := make(chan struct{}), filepath.Join(filepath.Dir(s.dir), "cut")
	disk := recordings.DiskMethods{Disk: real, CommitFunc: func(name string, part []byte) error {
		if name == "seg-000000" {
			<-stuck
		}
		return recordings.CommitPart(real, name, part)
	}}
	o := s.options()
	o.SegmentBytes = 300
	w, err := recordings.CreateOn(disk, s.header, o)
	if err != nil {
		t.Fatal(err)
	}
	for range 6 { // two to a segment
		s.record(w, output("one line of some sixty characters, to fill a segment with two."))
	}
	if err := os.CopyFS(copied, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	close(stuck)
	s.close(w)
	s.dir = copied
	lost := int64(0)
	for n, cut := range map[string]int64{"open-000000": 0, "open-000001": 5, "open-000002": -1} {
		info, err := os.Stat(filepath.Join(copied, n))
		if err != nil {
			t.Fatal(err)
		}
		if cut > 0 {
			if err := os.Truncate(filepath.Join(copied, n), info.Size()-cut); err != nil {
				t.Fatal(err)
			}
			lost += 62 + 22 - cut // of the frame that is not whole
		} else if cut < 0 {
			lost += info.Size() - recordings.Room
		}
	}
	info, err := recordings.Recover(copied, s.key, session.AgentLost)
	if err != nil || info.Segments != 2 || info.Events != 3 || info.Dropped != lost {
		t.Fatalf("%+v, %d lost, %v", info, lost, err)
	}
	if got := s.verify(s.file()); got.Result != recordings.VerdictTorn {
		t.Fatalf("%+v", got)
	}
}
