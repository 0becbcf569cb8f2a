package mirror

import (
	"bufio"
	"crypto/ed25519"
	"encoding/binary"
	"path/filepath"
	"sync/atomic"
	"time"

	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"testing"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// worked is a session as somebody had it: listings, less, vim, top, tmux, other sizes. Its
// output and resizes, as a recorder is given them.
func worked(t testing.TB) []session.Event {
	t.Helper()
	f, err := os.Open("testdata/session.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	events := []session.Event{{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm-256color","cols":80,"rows":24}`)}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var kind, text string
		var size []uint32
		var data json.RawMessage
		if err := json.Unmarshal(lines.Bytes(), &[]any{&kind, &data}); err != nil {
			t.Fatal(err)
		}
		if kind == "r" {
			if err := json.Unmarshal(data, &size); err != nil {
				t.Fatal(err)
			}
			events = append(events, session.Event{Kind: session.Resize, Stream: 1, Data: fmt.Appendf(nil, `{"cols":%d,"rows":%d}`, size[0], size[1])})
			continue
		}
		if err := json.Unmarshal(data, &text); err != nil {
			t.Fatal(err)
		}
		var b []byte
		for _, r := range text { // Latin-1: a byte a character
			b = append(b, byte(r))
		}
		events = append(events, session.Event{Kind: session.Output, Stream: 1, Data: b})
	}
	return events
}

// without are the lines of a picture that another has not.
func without(a, b string) string {
	var out []string
	other := strings.Split(b, "\n")
	for _, l := range strings.Split(a, "\n") {
		if !slices.Contains(other, l) {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// follow lets an event happen on a mirror.
func follow(m *Mirror, e session.Event) {
	switch e.Kind {
	case session.Output:
		m.Write(e.Data)
	case session.Resize:
		var w session.WindowSize
		_ = json.Unmarshal(e.Data, &w)
		m.Resize(int(w.Cols), int(w.Rows))
	}
}

// Wherever the screen was kept, who begins there sees what who began at the beginning
// sees, then and at everything that follows.
func TestAnySnapshotGoesOnAsTheWholeDoes(t *testing.T) {
	var cut []session.Event // in pieces of any length, so that snapshots fall anywhere
	r := rand.New(rand.NewPCG(7, 7))
	for _, e := range worked(t) {
		for e.Kind == session.Output && len(e.Data) > 100 {
			n := 1 + r.IntN(100)
			cut = append(cut, session.Event{Kind: e.Kind, Stream: e.Stream, Data: e.Data[:n]})
			e.Data = e.Data[n:]
		}
		cut = append(cut, e)
	}
	whole, kept := New(80, 24), New(80, 24)
	part, points := New(80, 24), 0
	for i, e := range cut {
		follow(whole, e)
		follow(kept, e)
		follow(part, e)
		if x, y := picture(part), picture(whole); x != y {
			t.Fatalf("event %d, %q: only from a snapshot\n%s\nonly from the beginning\n%s", i, e.Data, without(x, y), without(y, x))
		}
		if r.IntN(5) == 0 {
			part, points = copied(kept), points+1
		}
	}
	if whole.behind || points < 200 {
		t.Errorf("%d points", points)
	}
}

// recorded makes a recording of a session with the mirrors of its terminals, in segments
// of some thousand bytes, each with its snapshots.
func recorded(t *testing.T, events []session.Event, p recordings.Picture) (dir string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	input, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var clock atomic.Int64
	dir = filepath.Join(t.TempDir(), "rec")
	w, err := recordings.Create(dir, recordings.Header{Recording: session.NewID().Recording(), Session: session.NewID().Session(),
		Request: session.NewID().Request(), GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh",
		Protocol: session.SSH, WorkOrder: "WO-1"},
		recordings.Options{Signer: key, InputRecipient: input.Recipient().String(), SegmentBytes: 22_000, SegmentTime: 24 * time.Hour, HeadEvery: 24 * time.Hour,
			Picture: p, Now: func() time.Time { return time.UnixMicro(1_800_000_000_000_000 + clock.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	for segment, i := 0, 0; i < len(events); i++ {
		clock.Add(1_000_000)
		if err := w.Record(events[i]); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, fmt.Sprintf("open-%06d", segment+1))); err == nil {
			segment++
			for tries := 0; !stands(filepath.Join(dir, fmt.Sprintf("open-%06d", segment))); tries++ {
				if tries > 2000 {
					t.Fatalf("segment %d never gets its snapshots", segment)
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
	if err := w.Close(session.Completed); err != nil {
		t.Fatal(err)
	}
	return dir
}

// stands reports whether an open segment holds the end of its snapshots.
func stands(file string) bool {
	b, _ := os.ReadFile(file)
	for b = b[min(len(b), recordings.SegmentHead):]; len(b) > 22; {
		n := int(binary.BigEndian.Uint32(b))
		if len(b) < n+22 {
			return false
		}
		if b[4] == 'K' && b[18] == '.' {
			return true
		}
		b = b[n+22:]
	}
	return false
}

// counted is a recording in parts that knows how many bytes of which were read.
type counted struct {
	t    *testing.T
	dir  string
	read map[string]int
}

func (c *counted) open(part string) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(c.dir, part))
	return counting{f, c, part}, err
}

type counting struct {
	*os.File
	of   *counted
	part string
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	c.of.read[c.part] += n
	return n, err
}

func (c *counted) reader() *recordings.Reader {
	c.t.Helper()
	c.read = map[string]int{}
	r, err := recordings.OpenParts(c.open)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// At any moment of a recording, who begins at the segment of that moment sees what who
// watched from the beginning sees, and read that one segment and heads alone.
func TestSeekingReadsOneSegment(t *testing.T) {
	c := &counted{t: t, dir: recorded(t, worked(t), NewStreams())}
	var moments []int64
	var screens []string
	whole := c.reader()
	defer whole.Close()
	m := New(80, 24)
	for {
		e, err := whole.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		follow(m, e)
		moments, screens = append(moments, e.At), append(screens, picture(m))
	}
	segments := int(whole.Segments())
	if segments < 8 || len(moments) < 200 {
		t.Fatalf("%d segments, %d moments", segments, len(moments))
	}
	for i, at := range moments {
		r := c.reader()
		n, err := r.Find(at)
		if err != nil {
			t.Fatal(err)
		}
		stood, err := r.Begin(n)
		if err != nil || !stood.Complete {
			t.Fatalf("segment %d: %v, complete %v", n, err, stood.Complete)
		}
		got := New(80, 24)
		for _, s := range stood.Snapshots {
			screen, err := session.ParseScreen(s.Data)
			if err != nil {
				t.Fatal(err)
			}
			got = Restore(screen)
		}
		for {
			e, err := r.Next()
			if errors.Is(err, io.EOF) || e.At > at {
				break
			}
			follow(got, e)
			if e.At == at {
				break
			}
		}
		if x := picture(got); x != screens[i] {
			t.Fatalf("at %d: sought only\n%s\nwatched only\n%s", at, without(x, screens[i]), without(screens[i], x))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		for part, bytes := range c.read {
			if index, ok := recordings.Segment(part); ok && index != n && bytes > recordings.SegmentHead {
				t.Fatalf("at %d: %d bytes of %s were read to begin at segment %d", at, bytes, part, n)
			}
		}
		if len(c.read) > 8 {
			t.Fatalf("at %d: %v were read", at, c.read)
		}
	}
}

// liar is a recorder's picture that shows something else once.
type liar struct {
	*Streams
	asked int
}

func (l *liar) Snapshots() ([]session.Snapshot, bool) {
	all, complete := l.Streams.Snapshots()
	if l.asked++; l.asked == 3 {
		all[0].Data = append(all[0].Data, "\x1b[Hnothing happened"...)
	}
	return all, complete
}

// Who plays a recording through finds a snapshot that lies, and no other.
func TestALyingSnapshotIsFound(t *testing.T) {
	for name, p := range map[string]recordings.Picture{"honest": NewStreams(), "lying": &liar{Streams: NewStreams()}} {
		c := &counted{t: t, dir: recorded(t, worked(t), p)}
		r := c.reader()
		defer r.Close()
		var lies []uint32
		checked := 0
		check := NewChecked(func(segment, stream uint32) { lies = append(lies, segment) })
		r.Watch(func(s recordings.Standing) { checked += len(s.Snapshots); check.Stood(s.Segment, s.Snapshots) })
		for {
			e, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			check.Take(e)
		}
		check.Close()
		if checked < 8 || name == "honest" && len(lies) != 0 || name == "lying" && (len(lies) != 1 || lies[0] != 3) {
			t.Errorf("%s: of %d snapshots %v lie", name, checked, lies)
		}
	}
}
