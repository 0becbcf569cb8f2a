package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/exchange"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/terminal/mirror"
)

// studio makes a recording by a clock of its own.
type studio struct {
	t     *testing.T
	dir   string
	clock atomic.Int64 // seconds since it began
	w     *recordings.Writer
	key   ed25519.PrivateKey
}

func newStudio(t *testing.T, o recordings.Options) *studio {
	t.Helper()
	return newStudioOf(t, session.SSH, o)
}

func newStudioOf(t *testing.T, protocol session.Protocol, o recordings.Options) *studio {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	input, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	s := &studio{t: t, dir: filepath.Join(t.TempDir(), "rec"), key: key}
	o.Signer, o.InputRecipient, o.SegmentTime, o.HeadEvery = key, input.Recipient().String(), time.Hour*1000, time.Hour*1000
	o.Now = func() time.Time { return began.Add(time.Duration(s.clock.Load()) * time.Second) }
	s.w, err = recordings.Create(s.dir, recordings.Header{Recording: session.NewID().Recording(), Session: session.NewID().Session(),
		Request: session.NewID().Request(), GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh",
		Protocol: protocol}, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// record is what happened a second after what was before.
func (s *studio) record(kind session.EventKind, stream uint32, data string) {
	s.t.Helper()
	s.clock.Add(1)
	if err := s.w.Record(session.Event{Kind: kind, Stream: stream, Data: []byte(data)}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *studio) shell(stream uint32) {
	s.t.Helper()
	s.record(session.ChannelOpened, stream, `{"type":"shell","term":"xterm","cols":80,"rows":24}`)
}

// stands waits until an open segment holds the end of its pictures.
func (s *studio) stands(segment int) {
	s.t.Helper()
	for range 4000 {
		b, _ := os.ReadFile(filepath.Join(s.dir, fmt.Sprintf("open-%06d", segment)))
		for b = b[min(len(b), recordings.SegmentHead):]; len(b) > 22; {
			n := int(binary.BigEndian.Uint32(b))
			if len(b) < n+22 {
				break
			}
			if b[4] == 'K' && b[18] == '.' {
				return
			}
			b = b[n+22:]
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.t.Fatalf("segment %d never gets its pictures", segment)
}

func (s *studio) close() {
	s.t.Helper()
	if err := s.w.Close(session.Completed); err != nil {
		s.t.Fatal(err)
	}
}

// file is the recording in its single-file form.
func (s *studio) file() []byte {
	s.t.Helper()
	open := func(part string) (io.ReadCloser, error) { return os.Open(filepath.Join(s.dir, part)) }
	v, err := recordings.TakeInventory(open, func(part string) (int64, error) {
		info, err := os.Stat(filepath.Join(s.dir, part))
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := v.Assemble(&b, open); err != nil {
		s.t.Fatal(err)
	}
	return b.Bytes()
}

// runs gives the command line something and returns its status, its answer and its words.
func runs(t *testing.T, args ...string) (status int, answer, words string) {
	t.Helper()
	var out, said bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &said, env: []string{"SALLYPORT_HOME=" + t.TempDir()}, now: time.Now, format: containers{}}
	status = p.run(t.Context(), args)
	return status, out.String(), said.String()
}

// ward is a session of ten segments on two terminals, a line a second on either.
func ward(t *testing.T) *studio {
	s := newStudio(t, recordings.Options{SegmentBytes: 6000, Picture: mirror.NewStreams()})
	s.shell(1)
	s.shell(3)
	s.record(session.Output, 1, "\x1b[?1049h\x1b[2J\x1b[HGANTRY SERVICE\x1b[24;1Hq quit")
	for segment := 1; segment < 10; {
		now := s.clock.Load()
		s.record(session.Output, 1+2*uint32(now%2), fmt.Sprintf("\x1b[%d;5Hsecond %d%s\r\n", 3+now%20, now+1, strings.Repeat(" .", 20)))
		if _, err := os.Stat(filepath.Join(s.dir, fmt.Sprintf("open-%06d", segment))); err == nil {
			s.stands(segment)
			segment++
		}
	}
	s.close()
	return s
}

// One recording, whatever it is kept as, plays from any moment as it plays through from
// there, on all of its terminals.
func TestARecordingPlaysFromAMoment(t *testing.T) {
	s := ward(t)
	dir := t.TempDir()
	single, pack := filepath.Join(dir, "single.sally"), filepath.Join(dir, "pack.sally")
	var b bytes.Buffer
	file := s.file()
	if err := exchange.Write(&b, exchange.Contents{Recording: bytes.NewReader(file), Size: int64(len(file))}, s.key); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(single, file, 0o600), os.WriteFile(pack, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	var all []playedEvent
	if status, out, said := runs(t, "recordings", "play", single, "-o", "json"); status != 0 || json.Unmarshal([]byte(out), &all) != nil || len(all) < 100 {
		t.Fatalf("%d: %d events, %s", status, len(all), said)
	}
	end := s.clock.Load()
	for form, path := range map[string]string{"single file": single, "pack": pack, "directory": s.dir} {
		for _, at := range []int64{1, 2, 3, end / 3, end / 2, end - 1, end} {
			moment := fmt.Sprintf("%ds", at)
			status, out, said := runs(t, "recordings", "play", path, "--at", moment, "--json")
			var from []playedEvent
			if err := json.Unmarshal([]byte(out), &from); status != 0 || err != nil || !strings.HasPrefix(said, "Signer unknown: ") || strings.Count(said, "\n") != 1 {
				t.Fatalf("%s at %s: %d %v %s", form, moment, status, err, said)
			}
			if want := all[at-1:]; len(from) != len(want) || from[0].At != at*1e6 || from[0].Text != want[0].Text || from[0].Stream != want[0].Stream {
				t.Errorf("%s at %s: %d events from %+v on, want %d", form, moment, len(from), from[0], len(want))
			}
			_, out, _ = runs(t, "recordings", "play", path, "--at", moment)
			if at > 3 && (strings.Contains(out, fmt.Sprintf("second %d ", at-1)) || !strings.Contains(out, fmt.Sprintf("second %d ", at))) {
				t.Errorf("%s at %s:\n%s", form, moment, out)
			}
		}
	}
}

// A moment that cannot be shown is refused in words that say what can be.
func TestAMomentThatCannotBeShown(t *testing.T) {
	s := ward(t)
	end := s.clock.Load()
	refused := func(what, at string, words ...string) {
		t.Helper()
		for _, more := range [][]string{{"--plain"}, {"-o", "json"}} {
			status, out, said := runs(t, append([]string{"recordings", "play", s.dir, "--at", at}, more...)...)
			if status != exitUsage || out != "" {
				t.Errorf("%s: %d\n%s%s", what, status, out, said)
			}
			for _, w := range words {
				if !strings.Contains(said, w) {
					t.Errorf("%s: %q says nothing of %q", what, said, w)
				}
			}
		}
	}
	refused("before the beginning", "-3s", "before the beginning", "--at 50m")
	refused("no time", "soon", "soon")
	refused("beyond the end", fmt.Sprintf("%ds", end+1), "Nothing was recorded at "+offset((end+1)*1e6)+" or later: the last of it is from "+offset(end*1e6),
		fmt.Sprintf("Try --at %s", time.Duration(end)*time.Second))
	refused("far beyond the end", "9000h", "Nothing was recorded at 9000:00:00")

	r, err := recordings.Follow(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const bad = 5
	first := map[uint32]int64{} // second in which a segment begins
	for at := range end + 1 {
		if n, err := r.Find(at * 1e6); err != nil {
			t.Fatal(err)
		} else if _, seen := first[n]; !seen {
			first[n] = at
		}
	}
	part := filepath.Join(s.dir, recordings.SegmentPart(bad))
	b, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := errors.Join(os.Chmod(part, 0o600), os.WriteFile(part, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	refused("in a damaged segment", fmt.Sprintf("%ds", first[bad]), fmt.Sprintf("Segment %d of this recording is damaged", bad), "from a later moment", "sallyport verify")
	if status, out, said := runs(t, "recordings", "play", s.dir, "--at", fmt.Sprintf("%ds", first[bad+1])); status != 0 || !strings.Contains(out, fmt.Sprintf("second %d ", end)) {
		t.Errorf("behind the damage: %d %s", status, said)
	}
	status, out, said := runs(t, "recordings", "play", s.dir, "--at", fmt.Sprintf("%ds", first[bad-1]))
	if status != exitUsage || !strings.Contains(out, fmt.Sprintf("second %d ", first[bad-1])) || strings.Contains(out, fmt.Sprintf("second %d ", first[bad])) || !strings.Contains(said, "not a sound recording") {
		t.Errorf("before the damage: %d %s\n%s", status, said, out)
	}

	for what, want := range map[string]string{t.TempDir(): "holds no recording", part: "not a sound recording"} {
		if status, _, said := runs(t, "recordings", "play", what, "--at", "1s"); status != exitUsage || !strings.Contains(said, want) {
			t.Errorf("%s: %d %s", what, status, said)
		}
	}
	id, err := age.GenerateX25519Identity()
	identity := filepath.Join(t.TempDir(), "identity")
	if err := errors.Join(err, os.WriteFile(identity, []byte(id.String()+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if status, out, said := runs(t, "recordings", "play", s.dir, "--with-input", "--identity", identity, "--reason", "audit"); status != exitDenied || out != "" || !strings.Contains(said, "by its id") {
		t.Errorf("what was typed, from a file: %d %s", status, said)
	}
}

// held are mirrors that stop drawing for a while.
type held struct {
	*mirror.Streams
	wait   chan struct{} // taking the event that says "wait" lasts until it is closed
	forgot chan struct{}
	once   sync.Once
	asked  chan bool // each time what stands is asked for: whether that is all
}

func (h *held) Take(e session.Event) {
	if e.Kind == session.Output && bytes.Equal(e.Data, []byte("wait")) {
		<-h.wait
	}
	h.Streams.Take(e)
}

func (h *held) Forget() { h.once.Do(func() { close(h.forgot) }); h.Streams.Forget() }

func (h *held) Snapshots() ([]session.Snapshot, bool) {
	all, complete := h.Streams.Snapshots()
	h.asked <- complete
	return all, complete
}

// Pictures that fall too far behind are given up for what is open then. The recording is
// whole, whoever seeks sees the right thing from the last segment that had them all, and
// what is opened afterwards is drawn again.
func TestPicturesFarBehindAreGivenUp(t *testing.T) {
	parts := make(chan struct{}, 1000)
	h := &held{Streams: mirror.NewStreams(), wait: make(chan struct{}), forgot: make(chan struct{}), asked: make(chan bool, 1000)}
	s := newStudio(t, recordings.Options{SegmentBytes: 4 << 20, Picture: h, OnPart: func() { parts <- struct{}{} }})
	block := strings.Repeat("\x00", session.MaxEventData)
	fill := func(mebibytes int) { // beside the terminals, in seconds of its own
		for range mebibytes << 20 / session.MaxEventData {
			s.record(session.Output, 2, block)
		}
	}
	s.record(session.ChannelOpened, 2, `{"type":"exec","command":"cat"}`)
	s.shell(1)
	s.record(session.Output, 1, "\x1b[?1049h\x1b[2J\x1b[HGANTRY SERVICE\x1b[24;1Hq quit")
	fill(5)
	s.stands(1)
	s.record(session.Output, 1, "\x1b[5;5Hstep one")
	s.record(session.Output, 2, "wait")
	fill(92)
	for range 1 + 22 { // the header, and more segments than the bound holds
		<-parts
	}
	close(h.wait)
	s.record(session.Output, 1, "\x1b[6;5Hstep two")
	gaveUp := s.clock.Load()
	fill(5)
	<-h.forgot
	for <-h.asked { // what stood before
	}
	s.record(session.Output, 1, "\x1b[7;5Hstep three")
	middle := s.clock.Load()
	fill(5)
	s.record(session.Output, 1, "\x1b[8;5Hstep four")
	s.record(session.ChannelClosed, 1, "")
	s.shell(5)
	s.record(session.Output, 5, "another shell")
	fill(9)
	for !<-h.asked {
	}
	s.close()

	if v := recordings.Verify(bytes.NewReader(s.file()), int64(len(s.file())), nil); v.Result == recordings.VerdictTampered {
		t.Fatalf("%+v", v)
	}
	r, err := recordings.Follow(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for at, complete := range map[int64]bool{gaveUp - 300: false, gaveUp: false, middle: false} {
		n, err := r.Find(at * 1e6)
		if err != nil {
			t.Fatal(err)
		}
		if stood, err := r.Begin(n); err != nil || stood.Complete != complete {
			t.Errorf("segment %d, at %d: complete %v, %v", n, at, stood.Complete, err)
		}
	}
	if stood, err := r.Begin(1); err != nil || !stood.Complete || len(stood.Snapshots) != 1 {
		t.Errorf("segment 1: %+v, %v", stood, err)
	}
	for _, at := range []int64{gaveUp, middle} {
		if got, want := shown(t, s.dir, at), played(t, s.dir, at); got != want || !strings.Contains(got, "GANTRY SERVICE") {
			t.Errorf("at %d sought\n%q\nplayed\n%q", at, got, want)
		}
	}
}

// shown is the screen of terminal 1 at a moment, for who seeks it.
func shown(t *testing.T, dir string, at int64) string {
	t.Helper()
	r, err := recordings.Follow(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	from, err := seek(r, time.Duration(at)*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	m := mirror.New(80, 24)
	for _, s := range from.stood {
		screen, err := session.ParseScreen(s.Data)
		if err != nil {
			t.Fatal(err)
		}
		m = mirror.Restore(screen)
	}
	return draws(t, m, from.openRecording, at)
}

// played is the same for who plays it from the beginning.
func played(t *testing.T, dir string, at int64) string {
	t.Helper()
	r, err := recordings.Follow(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return draws(t, mirror.New(80, 24), r, at)
}

func draws(t *testing.T, m *mirror.Mirror, from openRecording, at int64) string {
	t.Helper()
	err := each(from, func(e session.Event) error {
		if e.At > at*1e6 {
			return io.EOF
		}
		if e.Kind == session.Output && e.Stream == 1 {
			m.Write(e.Data)
		}
		return nil
	})
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	_, _, data := m.Snapshot()
	return string(data)
}

// A recording that is played through finds its recording's pictures honest.
func TestAPlayThroughChecksThePictures(t *testing.T) {
	r, err := recordings.Follow(ward(t).dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var said bytes.Buffer
	p := &program{stderr: &said}
	whole, done := p.checked(r)
	events := 0
	if err := each(whole, func(session.Event) error { events++; return nil }); err != nil || events < 100 {
		t.Fatalf("%d events, %v", events, err)
	}
	if done(); said.Len() > 0 {
		t.Errorf("said: %s", said.String())
	}
}
