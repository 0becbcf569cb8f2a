package replay_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// tape is a recording that is being made with a clock of its own.
type tape struct {
	t    testing.TB
	dir  string
	w    *recordings.Writer
	now  atomic.Int64
	read int // parts opened
}

func newTape(t testing.TB, change func(*recordings.Options)) *tape {
	t.Helper()
	x := &tape{t: t, dir: filepath.Join(t.TempDir(), "rec")}
	x.now.Store(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).UnixMicro())
	input, err := age.GenerateX25519Identity()
	x.must(err)
	_, key, err := ed25519.GenerateKey(nil)
	x.must(err)
	o := recordings.Options{Signer: key, InputRecipient: input.Recipient().String(), Now: func() time.Time { return time.UnixMicro(x.now.Load()) }}
	if change != nil {
		change(&o)
	}
	x.w, err = recordings.Create(x.dir, recordings.Header{Recording: session.NewID().Recording(), Session: session.NewID().Session(),
		Request: session.NewID().Request(), GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh",
		Protocol: session.SSH, WorkOrder: "WO-1"}, o)
	x.must(err)
	t.Cleanup(func() { _ = x.w.Close(session.Failed) })
	return x
}

func (x *tape) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// await waits until a part is closed.
func (x *tape) await(part string) {
	x.t.Helper()
	for range 1000 {
		if _, err := os.Stat(filepath.Join(x.dir, part)); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	x.t.Fatalf("%s is never closed", part)
}

func (x *tape) wait(d time.Duration) { x.now.Add(d.Microseconds()) }

func (x *tape) rec(kind session.EventKind, stream uint32, data any) {
	x.t.Helper()
	b, ok := data.([]byte)
	if s, is := data.(string); is {
		b, ok = []byte(s), true
	}
	if !ok {
		var err error
		b, err = json.Marshal(data)
		x.must(err)
	}
	x.must(x.w.Record(session.Event{Kind: kind, Stream: stream, Data: b}))
}

func (x *tape) shell(stream uint32) {
	x.rec(session.ChannelOpened, stream, session.ChannelOpen{Type: session.Shell, Term: "xterm", Cols: 100, Rows: 30})
}

func (x *tape) end() { x.t.Helper(); x.must(x.w.Close(session.Completed)) }

func (x *tape) parts() []string {
	entries, err := os.ReadDir(x.dir)
	x.must(err)
	var names []string
	for _, e := range entries {
		if recordings.ValidPart(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

func (x *tape) open(part string) (io.ReadCloser, error) {
	x.read++
	return os.Open(filepath.Join(x.dir, part))
}

func (x *tape) reader() *recordings.Reader {
	x.t.Helper()
	r, err := recordings.OpenParts(x.open)
	x.must(err)
	x.t.Cleanup(func() { r.Close() })
	return r
}

func (x *tape) index() replay.Index {
	x.t.Helper()
	all := replay.Begin(x.reader())
	for more := true; more; {
		var err error
		more, err = all.On(3)
		x.must(err)
	}
	return all.Index()
}

// part reads one, and as little as that takes: header, segment, its head and the next one's.
func (x *tape) part(n uint32, known []replay.Channel) replay.Part {
	x.t.Helper()
	before := x.read
	s, err := x.reader().Scene(n)
	x.must(err)
	if x.read > before+4 {
		x.t.Errorf("part %d opened %d parts", n, x.read-before)
	}
	return replay.PartOf(s, known)
}

// screen is everything shown on a stream, from all parts.
func (x *tape) screen(ix replay.Index, stream uint32) []byte {
	var all []byte
	last := int64(0)
	for n := range ix.Parts {
		p := x.part(n, ix.Channels)
		if p.From < last || p.To < p.From || p.N != n {
			x.t.Fatalf("part %d is %+v", n, p)
		}
		last = p.To
		for _, e := range p.Events {
			if e.At < p.From || e.At > p.To {
				x.t.Fatalf("part %d holds %d, outside %d-%d", p.N, e.At, p.From, p.To)
			}
			if e.Kind != "o" || e.Stream != stream {
				continue
			}
			b, err := base64.StdEncoding.DecodeString(e.Data)
			x.must(err)
			all = append(all, b...)
		}
	}
	return all
}

// plain fails for anything that could act on a page or a terminal.
func plain(t *testing.T, what, s string) {
	t.Helper()
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' {
			t.Errorf("%s holds %U: %q", what, r, s)
			return
		}
	}
	if len([]rune(s)) > 4096 {
		t.Errorf("%s has %d characters", what, len([]rune(s)))
	}
}

// A recording without an event, one that has only begun, and one in which nothing was
// shown are recordings too.
func TestNothingToShow(t *testing.T) {
	x := newTape(t, nil)
	if ix := x.index(); ix.Parts != 0 || ix.Read != 0 || ix.Whole || len(ix.Activity) == 0 || len(ix.Markers) != 0 {
		t.Errorf("live and empty: %+v", ix)
	}
	x.end()
	ix := x.index()
	if ix.Parts != 0 || !ix.Whole || len(ix.Markers) != 1 || ix.Markers[0].Kind != replay.End || ix.Markers[0].Text != "Ended by its people." {
		t.Errorf("sealed and empty: %+v", ix)
	}
	if lines := textOf(t, x.reader()); len(lines) != 0 {
		t.Errorf("its transcript: %v", lines)
	}
}

// What was typed is in nothing that is made of a recording.
func TestTypedInputIsNeverShown(t *testing.T) {
	x := newTape(t, nil)
	x.shell(1)
	x.rec(session.Input, 1, "hunter2secret\r")
	x.rec(session.Upload, 2, "\x00\x00\x00\x00\x00\x00\x00\x00hunter2secret")
	x.rec(session.Output, 1, "welcome\r\n")
	x.end()
	ix := x.index()
	lines := textOf(t, x.reader())
	b, err := json.Marshal([]any{ix, lines, x.part(0, nil)})
	x.must(err)
	if strings.Contains(string(b), "hunter2") || strings.Contains(string(b), base64.StdEncoding.EncodeToString([]byte("hunter2secret"))) {
		t.Errorf("typed input is shown: %s", b)
	}
	if got := x.screen(ix, 1); string(got) != "welcome\r\n" {
		t.Errorf("shown: %q", got)
	}
}

// Names and texts of anybody reach a player short and plain.
func TestHostileWords(t *testing.T) {
	evil := "\x1b]0;pwn\x07\u202egnp.exe\x9b31m\u2028\x00\xff<script>" + strings.Repeat("A", 5000)
	x := newTape(t, nil)
	x.rec(session.ChannelOpened, 1, session.ChannelOpen{Type: session.Exec, Command: evil, Cols: 1 << 31, Rows: 1 << 31})
	x.rec(session.FileClosed, 2, session.FileSummary{Path: evil, Direction: session.FilesIn, Moved: session.Moved{Size: -5, Reason: evil}})
	x.rec(session.FileAction, 2, session.FileChange{Action: "rename", Path: evil, Target: evil, Error: evil})
	x.rec(session.NotAllowed, 0, session.Refusal{What: evil, Detail: evil})
	x.rec(session.Marker, 0, session.Note{Text: evil})
	for _, kind := range []session.EventKind{session.ChannelOpened, session.Resize, session.FileClosed, session.FileAction, session.NotAllowed, session.Marker, session.Exit} {
		x.rec(kind, 1, "{not json\x1b")
		x.rec(kind, 1, `[1,2]`)
	}
	x.rec(session.Resize, 1, session.WindowSize{Cols: 4_000_000_000, Rows: 0})
	x.rec(session.Output, 1, evil[:40]+"\n")
	x.end()
	ix := x.index()
	for _, m := range ix.Markers {
		plain(t, "marker "+string(m.Kind), m.Text)
		if len([]rune(m.Text)) > 301 {
			t.Errorf("marker of %d characters", len([]rune(m.Text)))
		}
	}
	for _, c := range ix.Channels {
		plain(t, "channel", c.Text)
	}
	for _, l := range textOf(t, x.reader()) {
		plain(t, "line", l.Text)
	}
	for _, e := range x.part(0, nil).Events {
		if e.Kind == "r" && e.Data != "1000x24" || e.Kind == "c" && e.Data != "1000x1000" {
			t.Errorf("%s to %s", e.Kind, e.Data)
		}
	}
}

// A flood of remarks, channels and streams stays bounded, and says so.
func TestFloods(t *testing.T) {
	x := newTape(t, nil)
	for i := range 3000 {
		x.shell(uint32(i + 1))
		x.rec(session.Marker, 0, session.Note{Text: fmt.Sprint("remark ", i)})
	}
	x.end()
	ix := x.index()
	if len(ix.Markers) > 2000 || len(ix.Channels) != 500 || !strings.Contains(ix.Markers[len(ix.Markers)-3].Text, "more remarks") ||
		ix.Markers[len(ix.Markers)-2].Text != "2500 more shells and commands cannot be chosen and are not listed here." ||
		ix.Markers[len(ix.Markers)-1].Kind != replay.End {
		t.Errorf("%d markers, %d channels", len(ix.Markers), len(ix.Channels))
	}
}

// What happened is told once each, in plain words, at its time.
func TestMarkersAndDigest(t *testing.T) {
	x := newTape(t, nil)
	x.rec(session.Marker, 0, session.Note{Kind: session.NoteConnected, Text: "The engineer connected from 192.0.2.7, as the broker says."})
	x.shell(1)
	x.rec(session.ChannelOpened, 3, session.ChannelOpen{Type: session.Exec, Command: "evlog -n 3"})
	x.rec(session.ChannelOpened, 5, session.ChannelOpen{Type: session.FilesOut})
	x.rec(session.Output, 3, "one\ntwo\r\n\nthree")
	x.wait(time.Second)
	x.rec(session.FileClosed, 6, session.FileSummary{Path: "/var/log/tube.log", Direction: session.FilesOut, Moved: session.Moved{Size: 14_213, SHA256: "ab"}})
	x.rec(session.FileClosed, 7, session.FileSummary{Path: "/opt/patch.bin", Direction: session.FilesIn, Moved: session.Moved{Size: 12, Reason: "not moved whole"}})
	x.rec(session.FileAction, 7, session.FileChange{Action: "list", Path: "/opt"})
	x.rec(session.FileAction, 7, session.FileChange{Action: "remove", Path: "/opt/old"})
	x.rec(session.NotAllowed, 0, session.Refusal{What: "channel direct-tcpip", Detail: "10.0.0.1:80"})
	x.wait(time.Second)
	x.rec(session.Marker, 0, session.Note{Kind: session.NoteFrozen, Cause: "broker", Text: "Frozen (broker) by ben@hospital: nothing goes to the device."})
	x.rec(session.Marker, 1, session.Note{Kind: session.NoteFrozen, Text: "The hospital froze this session. What you type or send waits; the time runs on."})
	x.wait(time.Second)
	x.rec(session.Marker, 0, session.Note{Kind: session.NoteThawed, Cause: "broker", Text: "Freeze (broker) lifted by ben@hospital."})
	for _, stream := range []uint32{0, 1, 3} { // what happened, and said on both channels
		x.rec(session.Marker, stream, session.Note{Kind: session.NoteWarning, Left: 300, Text: "This session ends in 5 minutes."})
	}
	x.rec(session.Marker, 1, session.Note{Kind: session.NoteTerminal, Text: `terminal "xterm", 80 columns, 24 rows, no modes`})
	x.wait(7 * time.Second)
	x.rec(session.ChannelClosed, 1, "")
	x.must(x.w.Close(session.KilledRemote))
	ix := x.index()
	var got []string
	for _, m := range ix.Markers {
		got = append(got, fmt.Sprintf("%d %s %s", m.At/1e6, m.Kind, m.Text))
	}
	want := `0 note The engineer connected from 192.0.2.7, as the broker says.
0 shell shell
0 exec evlog -n 3
1 file-out /var/log/tube.log, 14.2 kB
1 file-in /opt/patch.bin, 12 B (not moved whole)
1 note remove /opt/old
1 refused channel direct-tcpip: 10.0.0.1:80
2 freeze Frozen (broker) by ben@hospital: nothing goes to the device.
3 thaw Freeze (broker) lifted by ben@hospital.
3 warning This session ends in 5 minutes.
10 end Ended by the hospital, through the broker.`
	if strings.Join(got, "\n") != want {
		t.Errorf("markers:\n%s", strings.Join(got, "\n"))
	}
	if !reflect.DeepEqual(ix.Digest, replay.Digest{Seconds: 10, Lines: 3, FilesIn: 1, FilesOut: 1, Refused: 1, Warnings: 1, Freezes: 1}) {
		t.Errorf("digest %+v", ix.Digest)
	}
	if len(ix.Channels) != 2 || ix.Channels[1].Text != "evlog -n 3" || !ix.Channels[0].Terminal || ix.Channels[0].End != 10e6 || ix.Channels[1].Terminal || ix.Channels[1].End != -1 {
		t.Errorf("channels %+v", ix.Channels)
	}
	if got := x.screen(ix, 3); string(got) != "one\r\ntwo\r\n\r\nthree" {
		t.Errorf("a command without a terminal shows %q", got)
	}
	if lines := textOf(t, x.reader()); len(lines) != 3 || lines[2] != (terminal.Line{Stream: 3, Text: "three"}) {
		t.Errorf("transcript %+v", lines)
	}
}

// How the scanner stood is told without gaps, and a scanner that changes for ever stays
// bounded and says so.
func TestHowTheScannerStood(t *testing.T) {
	x := newTape(t, nil)
	stood := func(s session.ModalityState) {
		t.Helper()
		x.rec(session.Marker, 0, session.Note{Kind: session.NoteModality, State: s, By: "the operator", Text: "The scanner is " + s.Words() + "."})
	}
	stood(session.InService)
	x.wait(time.Second)
	stood(session.InService) // another source says the same
	x.rec(session.Marker, 2, session.Note{Kind: session.NoteModality, State: session.Scanning, Text: "told on a channel"})
	x.wait(time.Second)
	stood(session.PatientOnTable)
	stood("levitating")
	x.end()
	ix := x.index()
	want := []replay.State{{At: 0, Is: session.InService}, {At: 2e6, Is: session.PatientOnTable}, {At: 2e6, Is: session.ModalityUnknown}}
	for i := range ix.States {
		ix.States[i].At -= ix.States[i].At % 1e6
	}
	if !slices.Equal(ix.States, want) {
		t.Errorf("%+v", ix.States)
	}
	if sums := ix.Digest.Stood; len(sums) != 3 || sums[0] != (replay.Spell{State: session.InService, Seconds: 2}) || sums[1] != (replay.Spell{State: session.PatientOnTable}) || sums[2].State != session.ModalityUnknown {
		t.Errorf("in all: %+v", sums)
	}
	if m := ix.Markers[0]; m.Kind != replay.Stood || m.Text != "The scanner is in service." {
		t.Errorf("%+v", m)
	}
	x = newTape(t, nil)
	for range 2000 {
		stood(session.InService)
		stood(session.ModalityIdle)
	}
	x.end()
	if sums := x.index().Digest.Stood; len(sums) != 3 || sums[2].State != "" {
		t.Errorf("in all: %+v", sums)
	}
	if all := x.index().States; len(all) != 1000 || all[999].Is != "" || all[998].Is == "" {
		t.Errorf("%d states, the last %+v", len(all), all[len(all)-1])
	}
}

// A damaged recording is shown up to the damage, and says so; a missing segment before
// the seal is damage; a live one ends where it ends.
func TestDamaged(t *testing.T) {
	for name, hurt := range map[string]func(*tape){
		"truncated": func(x *tape) { x.must(os.Truncate(filepath.Join(x.dir, recordings.SegmentPart(2)), 300)) },
		"emptied":   func(x *tape) { x.must(os.Truncate(filepath.Join(x.dir, recordings.SegmentPart(2)), 0)) },
		"missing":   func(x *tape) { x.must(os.Remove(filepath.Join(x.dir, recordings.SegmentPart(2)))) },
		"swapped": func(x *tape) {
			b, err := os.ReadFile(filepath.Join(x.dir, recordings.SegmentPart(1)))
			x.must(err)
			x.must(os.Remove(filepath.Join(x.dir, recordings.SegmentPart(2))))
			x.must(os.WriteFile(filepath.Join(x.dir, recordings.SegmentPart(2)), b, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTape(t, func(o *recordings.Options) { o.SegmentBytes = 600 })
			x.shell(1)
			for i := range 20 {
				x.rec(session.Output, 1, fmt.Sprintf("line %02d %s\r\n", i, strings.Repeat("x", 200)))
			}
			x.end()
			hurt(x)
			ix := x.index()
			last := ix.Markers[len(ix.Markers)-1]
			if ix.Broken == "" || !ix.Whole || ix.Parts > 2 || last.Kind != replay.End || !strings.Contains(last.Text, "cannot be read") {
				t.Errorf("%+v", ix)
			}
			got := string(x.screen(ix, 1))
			if !strings.Contains(got, "line 00") || strings.Contains(got, "line 19") {
				t.Errorf("shown: %q", got)
			}
			text, err := replay.ReadText(x.reader(), replay.Stretch{Segments: ix.Parts + 1, Over: true})
			if last := len(text.Lines) - 1; err != nil || last < 1 || last > 18 || !text.Whole || !text.Lines[last].Cut || !strings.Contains(text.Lines[last].Text, "cannot be read") {
				t.Errorf("%+v, %v", text, err)
			}
		})
	}
	x := newTape(t, func(o *recordings.Options) { o.SegmentBytes = 600 })
	x.shell(1)
	for i := range 20 {
		x.rec(session.Output, 1, fmt.Sprintf("line %02d %s\r\n", i, strings.Repeat("x", 200)))
	}
	x.await(recordings.SegmentPart(3))
	if ix := x.index(); ix.Whole || ix.Broken != "" || !strings.Contains(string(x.screen(ix, 1)), "line 03") {
		t.Errorf("live: %+v", ix)
	}
	// A vault that cannot be read says nothing of the recording.
	r, err := recordings.OpenParts(func(part string) (io.ReadCloser, error) {
		if part == recordings.SegmentPart(1) {
			return nil, errors.New("disk on fire")
		}
		return x.open(part)
	})
	x.must(err)
	defer r.Close()
	if _, err := replay.Begin(r).On(10); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("an unreadable vault: %v", err)
	}
}

// Two hours and 20 MB: parts stay small, a part is found without reading the others,
// and what they show together is what was recorded.
func TestLongRecording(t *testing.T) {
	const events, chunk = 2600, 8 << 10
	x := newTape(t, nil)
	random := rand.New(rand.NewPCG(1, 2))
	x.shell(1)
	var want []byte
	for i := range events {
		x.wait(2 * time.Hour / events)
		line := make([]byte, chunk)
		for j := range line {
			line[j] = ' ' + byte(random.Uint32()%90)
		}
		copy(line[chunk-2:], "\r\n")
		x.rec(session.Output, 1, line)
		want = append(want, line...)
		if i%100 == 0 {
			x.rec(session.Resize, 1, session.WindowSize{Cols: 80 + uint32(i)/100, Rows: 24})
		}
	}
	x.end()
	x.read = 0
	ix := x.index()
	segments := len(x.parts()) - 2
	if x.read > segments+3 { // header, seal, and the segment that does not follow
		t.Errorf("the index opened %d parts for %d segments", x.read, segments)
	}
	if int(ix.Parts) != segments || ix.Read < 7190*1e6 || len(ix.Activity) != replay.Buckets || ix.Digest.Lines != events {
		t.Errorf("%d parts, %d microseconds, %d buckets, %d lines", ix.Parts, ix.Read, len(ix.Activity), ix.Digest.Lines)
	}
	total := int64(0)
	for i, n := range ix.Activity {
		if total += n; n < 4*chunk/2 || n > 7*chunk { // steady output, steady strip
			t.Errorf("bucket %d holds %d", i, n)
		}
	}
	if total != int64(len(want)) {
		t.Errorf("the strip counts %d of %d bytes", total, len(want))
	}
	if got := x.screen(ix, 1); !bytes.Equal(got, want) {
		t.Errorf("%d bytes are shown, %d were recorded", len(got), len(want))
	}
}

// Many segments are one recording: usually hundreds, with SALLYPORT_PROVE one
// for each of ten thousand events.
func TestManySegments(t *testing.T) {
	bytes, least := 1000, 300
	if os.Getenv("SALLYPORT_PROVE") != "" {
		bytes, least = 1, 10_000
	}
	x := newTape(t, func(o *recordings.Options) { o.SegmentBytes, o.SegmentTime = bytes, 24*time.Hour })
	x.shell(1)
	for i := range 10_000 {
		x.wait(time.Second)
		x.rec(session.Output, 1, fmt.Sprintf("%d\r\n", i))
	}
	x.end()
	if n := len(x.parts()) - 2; n < least {
		t.Fatalf("%d segments", n)
	}
	ix := x.index()
	if !ix.Whole || ix.Broken != "" || ix.Digest.Lines != 10_000 || ix.Digest.Seconds != 10_000 {
		t.Errorf("%d parts, broken %q, %+v", ix.Parts, ix.Broken, ix.Digest)
	}
	x.read = 0
	r := x.reader()
	l, err := r.Length()
	if x.must(err); l != (recordings.Length{Segments: ix.Parts, At: ix.Read, Sealed: true}) || x.read > 2 {
		t.Errorf("%+v of %d parts, %d opened", l, ix.Parts, x.read)
	}
	n, err := r.Find(5_000_500_000)
	if x.must(err); x.read > 2+2*20 {
		t.Errorf("a moment in the middle opened %d parts", x.read)
	}
	if p := x.part(n, nil); p.From > 5_000_500_000 || p.To <= 5_000_500_000 || len(p.Events) == 0 {
		t.Errorf("the moment is not in %+v", p)
	}
}

// Bulk goes to no terminal: of each part its beginning is shown, with a word, and the
// terminal beside it is shown whole; the transcript has all of it, as long as it is text.
func TestBulkIsNoTerminals(t *testing.T) {
	x := newTape(t, nil)
	x.shell(1)
	x.rec(session.ChannelOpened, 2, session.ChannelOpen{Type: session.Exec, Command: "cat /var/log/all"})
	x.rec(session.ChannelOpened, 3, session.ChannelOpen{Type: session.Exec, Command: "top", Term: "xterm", Cols: 80, Rows: 24})
	line, onTerminal := strings.Repeat("z", 8191)+"\n", ""
	for n := range 600 { // 4.7 MiB on each
		x.rec(session.Output, 2, line)
		x.rec(session.Output, 3, line)
		if n%100 == 0 {
			said := fmt.Sprintf("on the terminal %03d\r\n", n)
			onTerminal += said
			x.rec(session.Output, 1, said)
		}
	}
	x.end()
	ix := x.index()
	if got := string(x.screen(ix, 1)); got != onTerminal {
		t.Errorf("the terminal shows %q", got)
	}
	bulk := x.screen(ix, 2)
	said := bytes.Count(bulk, []byte("The recording has all of it.]\r\n"))
	if n := bytes.Count(bulk, []byte("z")); n < 1<<20-200 || n > int(ix.Parts)<<20 || said < 1 || n == 600*8191 {
		t.Errorf("%d bytes of bulk are shown of %d parts, said %d times", n, ix.Parts, said)
	}
	if n := bytes.Count(x.screen(ix, 3), []byte("z")); n != 600*8191 {
		t.Errorf("%d bytes of a command with a terminal are shown", n)
	}
	var z, spoken int
	for _, l := range textOf(t, x.reader()) {
		if l.Stream == 2 {
			z += len(l.Text)
		}
		if spoken += strings.Count(l.Text, "on the terminal"); l.Cut {
			t.Errorf("cut at %q", l.Text)
		}
	}
	if z != 600*8191 || spoken != 6 {
		t.Errorf("%d bytes of text to no terminal in the transcript, %d lines of the terminal", z, spoken)
	}
}

// What is shown behind bulk is read without reading the bulk, and so is what was shown
// before it: see part.
func TestPartsDoNotReadThroughBulk(t *testing.T) {
	x := newTape(t, nil)
	x.shell(1)
	x.rec(session.ChannelOpened, 2, session.ChannelOpen{Type: session.Exec, Command: "cat /dev/sda"})
	x.rec(session.Output, 1, "before\r\n")
	random, block := rand.New(rand.NewPCG(3, 4)), make([]byte, session.MaxEventData)
	for range 24 << 20 / len(block) {
		for i := range block {
			block[i] = byte(random.Uint32())
		}
		x.rec(session.Output, 2, string(block))
	}
	x.rec(session.Output, 1, "after\r\n")
	x.end()
	ix := x.index()
	if got := string(x.screen(ix, 1)); got != "before\r\nafter\r\n" {
		t.Errorf("the terminal shows %q", got)
	}
}
