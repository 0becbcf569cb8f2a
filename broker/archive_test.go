package broker

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/bits"
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
	"github.com/alicebob/miniredis/v2"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// scene is a broker without doors, a site's agent and one session of ada's.
type scene struct {
	*Broker
	t     *testing.T
	dir   string // of the vault
	agent *accesstest.Agents
	ada   identity.Caller
	ben   identity.Caller
	of    access.Request
}

func person(sub string, side session.Side, role session.Role) identity.Caller {
	return identity.Caller{Person: session.Person{Identity: session.Identity{Iss: "https://" + string(side), Sub: sub}, Email: sub + "@example.org"},
		Side: side, Roles: []session.Role{role}, Sites: []string{"NGH"}}
}

func newScene(t *testing.T) *scene {
	t.Helper()
	c := &scene{t: t, dir: filepath.Join(t.TempDir(), "vault"), agent: &accesstest.Agents{Site: "NGH", Name: "main", Now: time.Now},
		ada: person("ada", session.VendorSide, session.Engineer), ben: person("ben", session.HospitalSide, session.Approver)}
	v, err := vault.OpenDirectory(c.dir)
	must(t, err)
	t.Cleanup(func() { v.Close() })
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	log, err := audit.Open(audit.Config{Dir: t.TempDir(), Key: key, Origin: "broker.example", Now: time.Now})
	must(t, err)
	t.Cleanup(func() { log.Close() })
	url := "redis://" + miniredis.RunT(t).Addr()
	t.Cleanup(func() { storetest.Described(t, url) })
	st, err := store.Open(t.Context(), store.Config{URL: url, Ephemeral: true})
	must(t, err)
	t.Cleanup(func() { st.Close() })
	a, err := access.New(access.Config{Documents: st, Listing: st, Wholes: st, Agents: c.agent, Audit: log, Now: time.Now})
	must(t, err)
	quiet := slog.New(slog.DiscardHandler)
	r := NewArchive(v, key, alone(log), func() session.Nodes { return session.Nodes{log.Node()} }, a)
	c.Broker = &Broker{vault: v, access: a, among: among{signer: key, audit: log}, log: quiet, archive: r}
	must(t, a.Announce(t.Context(), c.agent.Hello("NGH-PETCT1")))
	raw := accesstest.Bytes(accesstest.Request(c.ada.Identity, "NGH", "NGH-PETCT1", time.Now()))
	c.of, err = a.Submit(t.Context(), c.ada, raw, accesstest.Proof("ada"))
	must(t, err)
	c.of, _, err = a.Approve(t.Context(), c.ben, c.of.ID, accesstest.Bytes(c.agent.Grant(raw)), accesstest.Proof("ben"))
	must(t, err)
	must(t, a.ReportSession(t.Context(), "NGH", "main", link.SessionReport{Session: *c.of.Grant, Request: c.of.ID, Seq: 1,
		Asset: "NGH-PETCT1", Service: "recon-ssh", Opened: time.Now(), Deadline: time.Now().Add(time.Hour)}))
	return c
}

// recorded is a recording at the hospital.
type recorded struct {
	id    session.ID
	dir   string
	key   ed25519.PrivateKey
	w     *recordings.Writer
	heads chan witness.Head
	sent  map[string]bool
}

func (c *scene) record(key ed25519.PrivateKey) *recorded {
	c.t.Helper()
	input, err := age.GenerateX25519Identity()
	must(c.t, err)
	f := &recorded{id: session.NewID(), dir: filepath.Join(c.t.TempDir(), "rec"), key: key, heads: make(chan witness.Head, 10_000), sent: map[string]bool{}}
	f.w, err = recordings.Create(f.dir, recordings.Header{Recording: f.id.Recording(), Session: *c.of.Grant, Request: c.of.ID,
		GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Protocol: session.SSH, Engineer: c.ada.Person},
		recordings.Options{Signer: key, InputRecipient: input.Recipient().String(), SegmentBytes: 2000, HeadEvery: time.Nanosecond,
			OnHead: func(h witness.Head) { f.heads <- h }})
	must(c.t, err)
	c.t.Cleanup(func() { _ = f.w.Close(session.Failed) })
	must(c.t, f.w.Record(session.Event{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm","cols":90,"rows":30}`)}))
	return f
}

func (c *scene) lines(f *recorded, n int) {
	c.t.Helper()
	for i := range n {
		must(c.t, f.w.Record(session.Event{Kind: session.Output, Stream: 1, Data: fmt.Appendf(nil, "line %03d %s\r\n", i, strings.Repeat("x", 180))}))
	}
	f.heads <- <-f.heads // there is one
}

// settled waits until no segment but the last is open.
func (c *scene) settled(f *recorded) {
	c.t.Helper()
	for range 1000 {
		open, err := filepath.Glob(filepath.Join(f.dir, "open-*"))
		if must(c.t, err); len(open) <= 1 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.t.Fatal("segments are never closed")
}

// send uploads what is closed and was not sent yet, in order.
func (c *scene) send(f *recorded) {
	c.t.Helper()
	c.settled(f)
	names, err := filepath.Glob(filepath.Join(f.dir, "seg-*"))
	must(c.t, err)
	names = slices.Concat([]string{recordings.HeaderPart}, names, []string{recordings.SealPart})
	for _, n := range names {
		n = filepath.Base(n)
		b, err := os.ReadFile(filepath.Join(f.dir, n))
		if f.sent[n] || n == recordings.SealPart && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(c.t, err)
		must(c.t, c.put(f, n, b))
		f.sent[n] = true
	}
}

func (c *scene) put(f *recorded, name string, b []byte) error {
	sum := sha256.Sum256(b)
	return c.Put(c.t.Context(), "NGH", "main", link.Put{Recording: f.id.Recording(), Part: name, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}, bytes.NewReader(b))
}

// list has heads countersigned and the agent's list stored, as the spool does.
func (c *scene) list(f *recorded) {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.dir, recordings.SealPart))
	must(c.t, err)
	seal, err := recordings.ReadSeal(b)
	must(c.t, err)
	chain, err := hex.DecodeString(seal.Chain)
	must(c.t, err)
	closing, err := witness.ClosingHead(f.id, seal.Segments, [32]byte(chain), seal.At, seal.Ended.UnixMicro(), seal.Boot).Signed(f.key)
	must(c.t, err)
	var all []witness.Receipt
	for _, h := range []witness.Head{<-f.heads, closing} {
		raw, err := c.Countersign(c.t.Context(), "NGH", "main", f.id.Recording(), h.Bytes())
		must(c.t, err)
		r, err := witness.ParseReceipt(raw)
		must(c.t, err)
		all = append(all, r)
	}
	signed, err := witness.SignList(f.key, f.id, all)
	must(c.t, err)
	must(c.t, c.put(f, recordings.ReceiptsPart, signed))
}

// whole is a whole recording of some segments, sealed, sent and countersigned.
func (c *scene) whole() *recorded {
	c.t.Helper()
	f := c.record(c.agent.Key())
	c.lines(f, 40)
	must(c.t, f.w.Close(session.Completed))
	c.send(f)
	c.list(f)
	return f
}

func (c *scene) known(f *recorded) access.Recording {
	c.t.Helper()
	r, err := c.access.Recording(c.t.Context(), c.ben, f.id.Recording())
	must(c.t, err)
	return r
}

// readOn reads all that waits to be read, for whom ever.
func (c *scene) readOn() (steps int) {
	c.t.Helper()
	for r := c.archive.next(); r != nil; r = c.archive.next() {
		must(c.t, c.archive.step(c.t.Context(), r))
		steps++
	}
	return steps
}

// sumUp has it read for a listing.
func (c *scene) sumUp(f *recorded) {
	c.t.Helper()
	c.archive.Digest("NGH", f.id.Recording())
	c.readOn()
}

func (c *scene) refused(what string, err error, words string) {
	c.t.Helper()
	var e *session.Error
	if !errors.As(err, &e) || e.Kind != session.Refused || !strings.Contains(e.Message+" "+e.Next, words) || e.Next == "" {
		c.t.Errorf("%s: %v", what, err)
	}
}

// With the seal comes the reason, and once somebody lists it the digest.
func TestADigestComesWhenItIsListed(t *testing.T) {
	c := newScene(t)
	f := c.record(c.agent.Key())
	c.lines(f, 40)
	c.send(f)
	if r := c.known(f); r.State != "live" || r.Digest != nil || !r.Readable || r.Reason != "" || r.WorkOrder != "WO-1" || r.Request != c.of.ID || len(c.archive.listed) != 0 {
		t.Errorf("live: %+v", r)
	}
	must(t, f.w.Close(session.KilledRemote))
	c.send(f)
	before := c.known(f)
	if len(c.archive.listed) != 0 {
		t.Error("a recording is read that nobody asked for")
	}
	c.sumUp(f)
	r := c.known(f)
	if r.Digest == nil || r.Digest.Lines != 40 || r.Reason != string(session.KilledRemote) || r.Bytes != before.Bytes || r.Bytes < 1000 {
		t.Errorf("sealed: %+v", r)
	}
	first, err := os.ReadFile(filepath.Join(f.dir, recordings.SegmentPart(0)))
	must(t, err)
	must(t, c.put(f, recordings.SegmentPart(0), first)) // an answer was lost
	if again := c.known(f); again.Bytes != r.Bytes {
		t.Errorf("%d bytes after a part came twice, %d before", again.Bytes, r.Bytes)
	}
	// Asking twice is asking once; what reads ends with its context.
	for range 3 {
		c.archive.Digest("NGH", f.id.Recording())
	}
	if len(c.archive.listed) != 1 {
		t.Errorf("%d wait", len(c.archive.listed))
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.archive.Run(ctx, c.log) }()
	cancel()
	must(t, <-done)
}

// Parts together show what was recorded, from the vault, live and sealed.
func TestReplayFromTheVault(t *testing.T) {
	c := newScene(t)
	f := c.record(c.agent.Key())
	site, id := "NGH", f.id.Recording()
	_, _, err := c.archive.Replay(t.Context(), site, id)
	c.refused("before anything arrived", err, "has arrived")
	c.lines(f, 40)
	c.send(f)
	live, tag, err := c.archive.Replay(t.Context(), site, id)
	if must(t, err); tag != "" || live.Sealed || live.Segments < 3 || live.Length.At == 0 || live.Whole || live.Index.Parts != 0 {
		t.Errorf("before any of it was read: %q %+v", tag, live)
	}
	c.readOn()
	live, tag, err = c.archive.Replay(t.Context(), site, id)
	if must(t, err); tag != "" || live.Whole || live.Index.Parts != live.Segments || live.Digest.Lines == 0 {
		t.Errorf("live: %q %+v", tag, live)
	}
	must(t, f.w.Close(session.Completed))
	c.send(f)
	if _, err := c.archive.Part(t.Context(), site, id, 0); err != nil {
		t.Error(err)
	}
	if x, tag, err := c.archive.Replay(t.Context(), site, id); err != nil || tag != "" || !x.Sealed || x.Segments <= live.Segments || x.Index.Parts != live.Segments {
		t.Errorf("sealed, and not read any further: %q %+v, %v", tag, x, err)
	}
	c.readOn()
	x, tag, err := c.archive.Replay(t.Context(), site, id)
	if must(t, err); tag == "" || !x.Whole || x.Digest.Lines != 40 || x.Read != x.Length.At || len(x.Channels) != 1 {
		t.Errorf("sealed: %q %+v", tag, x)
	}
	shown, last := "", replay.Part{}
	for n := range x.Segments {
		p, err := c.archive.Part(t.Context(), site, id, int(n))
		must(t, err)
		if p.N != n || p.From < last.From || n > 0 && p.From != last.To {
			t.Errorf("part %d is %+v", n, p)
		}
		last = p
		for _, e := range p.Events {
			if e.Kind == "o" {
				b, err := base64.StdEncoding.DecodeString(e.Data)
				must(t, err)
				shown += string(b)
			}
		}
	}
	if strings.Count(shown, "line 0") != 40 {
		t.Errorf("shown: %.200q", shown)
	}
	text, _, err := c.archive.Transcript(t.Context(), site, id, 0)
	if must(t, err); len(text.Lines) != 40 || !text.Whole {
		t.Errorf("%d lines, whole %v", len(text.Lines), text.Whole)
	}
	for _, n := range []int{-1, int(x.Segments), 1 << 40} {
		if _, err := c.archive.Part(t.Context(), site, id, n); !errors.Is(err, access.ErrUnknown) {
			t.Errorf("part %d: %v", n, err)
		}
	}
	for what, at := range map[string][2]string{"another site": {"XYZ", id}, "nothing": {site, session.NewID().Recording()}} {
		_, _, err := c.archive.Transcript(t.Context(), at[0], at[1], 0)
		c.refused(what, err, "has arrived")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.archive.Transcript(gone, site, id, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more: %v", err)
	}
}

// The readings that are kept are few, and the ones that were looked at last.
func TestFewReadingsAreKept(t *testing.T) {
	r := NewArchive(nil, nil, nil, nil, nil)
	for i := range 3 * keptIndexes {
		r.look(place{"NGH", fmt.Sprint(i)})
		r.look(place{"NGH", "0"})
		if k := r.known[r.find(place{"NGH", "0"})]; i > 0 {
			k.index.Parts = 8
		}
		if i > 0 && r.seen(place{"NGH", "0"}).Parts != 8 {
			t.Fatal("the one that is looked at all the time is forgotten")
		}
	}
	if r.find(place{"NGH", "1"}) >= 0 || len(r.known) != keptIndexes {
		t.Errorf("%d are kept", len(r.known))
	}
}

// counted is a vault that counts what is asked of it, and how much of which part is read.
type counted struct {
	Vault
	calls atomic.Int64
	mu    sync.Mutex
	read  map[string]int
}

func (v *counted) Open(ctx context.Context, site, recording, part string) (io.ReadCloser, error) {
	v.calls.Add(1)
	f, err := v.Vault.Open(ctx, site, recording, part)
	return counting{f, v, part}, err
}

type counting struct {
	io.ReadCloser
	of   *counted
	part string
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.read[c.part] += n
	return n, err
}

// since returns of how many segments heads alone were read, and of how many all, since it
// was asked last.
func (v *counted) since() (heads, contents int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for part, n := range v.read {
		if _, segment := recordings.Segment(part); segment && n > 0 {
			if heads++; n > 2*recordings.SegmentHead {
				heads, contents = heads-1, contents+1
			}
		}
	}
	v.read = map[string]int{}
	return heads, contents
}

func (v *counted) Size(ctx context.Context, site, recording, part string) (int64, error) {
	v.calls.Add(1)
	return v.Vault.Size(ctx, site, recording, part)
}

// A recording that grows is read on from where its reading ended. What a player asks for
// is answered from heads and the part that it wants, however long the recording is.
func TestAGrowingRecordingIsReadOn(t *testing.T) {
	c := newScene(t)
	v := &counted{Vault: c.vault, read: map[string]int{}}
	c.archive.vault = v
	f := c.record(c.agent.Key())
	site, id, stored := "NGH", f.id.Recording(), 0
	ask := func(what string, most int64, do func()) {
		t.Helper()
		before := v.calls.Load()
		do()
		if n := v.calls.Load() - before; n > most {
			t.Errorf("%s: the vault was asked %d times", what, n)
		}
	}
	for round := range 4 {
		if c.lines(f, 40); round == 3 {
			must(t, f.w.Close(session.Completed))
		}
		c.send(f)
		more := len(f.sent) - stored
		stored = len(f.sent)
		var x replay.Overview
		ask("opened", 30, func() {
			var err error
			x, _, err = c.archive.Replay(t.Context(), site, id)
			must(t, err)
		})
		ask("read on", int64(4*more+10), func() { c.readOn() })
		ask("read on, and there is nothing", 8, func() { c.readOn() })
		ask("a part", 30, func() {
			_, err := c.archive.Part(t.Context(), site, id, int(x.Segments)-1)
			must(t, err)
		})
		if y := c.archive.seen(place{site, id}); y.Parts != x.Segments || y.Whole != (round == 3) {
			t.Errorf("of %d parts %+v", x.Segments, y)
		}
	}
}

// tally is a recorder's picture: it shows how many events it took, and is lost in between.
type tally int

func (p *tally) Take(session.Event) { *p++ }
func (p *tally) Forget()            {}
func (p *tally) Close()             {}

func (p *tally) Snapshots() ([]session.Snapshot, bool) {
	if lost(int(*p)) {
		return nil, false
	}
	return []session.Snapshot{{Stream: 1, Kind: session.TerminalSnapshot, Data: session.Screen{Cols: 90, Rows: 30, Draw: fmt.Appendf(nil, "%d taken", *p)}.Bytes()}}, true
}

func lost(segment int) bool { return segment >= 20 && segment < 40 }

// drawn is a sealed recording in the vault, of so many segments of one event, ten seconds
// apart, that say what stood when they began.
func (c *scene) drawn(segments int) *recorded {
	c.t.Helper()
	f := &recorded{id: session.NewID(), dir: filepath.Join(c.t.TempDir(), "rec"), key: c.agent.Key()}
	input, err := age.GenerateX25519Identity()
	must(c.t, err)
	var now atomic.Int64
	f.w, err = recordings.Create(f.dir, recordings.Header{Recording: f.id.Recording(), Session: *c.of.Grant, Request: c.of.ID,
		GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Protocol: session.SSH, Engineer: c.ada.Person},
		recordings.Options{Signer: f.key, InputRecipient: input.Recipient().String(), SegmentBytes: 1, SegmentTime: time.Hour, HeadEvery: time.Hour, Picture: new(tally),
			Now: func() time.Time { return time.UnixMicro(1_800_000_000_000_000 + now.Load()) }})
	must(c.t, err)
	c.t.Cleanup(func() { _ = f.w.Close(session.Failed) })
	for n := range segments {
		e := session.Event{Kind: session.Output, Stream: 1, Data: fmt.Appendf(nil, "line %d\r\n", n)}
		if n == 0 {
			e = session.Event{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm","cols":90,"rows":30}`)}
		}
		must(c.t, f.w.Record(e))
		now.Add((10 * time.Second).Microseconds())
		for tries := 0; n > 0 && !lost(n) && !c.says(filepath.Join(f.dir, fmt.Sprintf("open-%06d", n)), fmt.Sprintf("%d taken", n)); tries++ {
			if tries > 20_000 {
				c.t.Fatalf("segment %d never says what stood", n)
			}
			time.Sleep(time.Millisecond)
		}
	}
	must(c.t, f.w.Close(session.Completed))
	must(c.t, os.CopyFS(filepath.Join(c.dir, "NGH", f.id.Recording()), os.DirFS(f.dir)))
	return f
}

func (c *scene) says(file, text string) bool {
	b, err := os.ReadFile(file)
	return err == nil && bytes.Contains(b, []byte(text))
}

// However long a recording is, to open it and to jump anywhere in it reads one segment,
// and of others their heads: twice as many as their number has binary digits.
func TestAJumpReadsOneSegment(t *testing.T) {
	segments := 200
	if os.Getenv("SALLYPORT_PROVE") != "" {
		segments = 5000
	}
	c := newScene(t)
	f := c.drawn(segments)
	v := &counted{Vault: c.vault, read: map[string]int{}}
	c.archive.vault = v
	site, id := "NGH", f.id.Recording()
	x, _, err := c.archive.Replay(t.Context(), site, id)
	must(t, err)
	if heads, contents := v.since(); heads+contents > 0 || int(x.Segments) != segments || x.Length.At < int64(segments-1)*10e6 || x.Whole {
		t.Errorf("to open it %d heads and %d segments were read: %+v", heads, contents, x)
	}
	most := 2*bits.Len(uint(segments)) + 2
	for _, n := range []int{segments - 1, 0, 1, segments / 2, 19, 40, segments - 2} {
		at := int64(n)*10e6 + 3e6
		p, err := c.archive.Moment(t.Context(), site, id, at)
		must(t, err)
		heads, contents := v.since()
		if heads > most || contents != 1 {
			t.Errorf("to jump to segment %d %d heads and %d segments were read", n, heads, contents)
		}
		if int(p.N) != n || !p.Complete || p.From > at || p.To < at && n < segments-1 || len(p.Events) != 1 ||
			n > 0 && (len(p.Screens) != 1 || string(p.Screens[0].Draw) != fmt.Sprintf("%d taken", n)) {
			t.Errorf("segment %d is %+v", n, p)
		}
		t.Logf("segment %d of %d: %d heads, %d segments read", n, segments, heads, contents)
	}
	// Where the recorder drew nothing, one begins before, and what happened since comes with it.
	p, err := c.archive.Moment(t.Context(), site, id, 30*10e6+1)
	if must(t, err); p.N != 30 || p.From != 190e6 || p.To != 310e6 || len(p.Events) != 12 || !p.Complete || string(p.Screens[0].Draw) != "19 taken" {
		t.Errorf("begins at %+v", p)
	}
	if p, err := c.archive.Part(t.Context(), site, id, 30); err != nil || p.Complete || len(p.Screens) != 0 || len(p.Events) != 1 {
		t.Errorf("segment 30 is %+v, %v", p, err)
	}
}

// Damage is said where it is met, before the recording was read and afterwards; what
// stands before it is shown, and nothing behind it once it is known.
func TestDamageIsMet(t *testing.T) {
	for name, hurt := range map[string]func(path string) error{
		"missing":   os.Remove,
		"truncated": func(path string) error { return os.Truncate(path, 100) },
		"cut":       func(path string) error { return os.Truncate(path, 230) },
	} {
		c := newScene(t)
		f := c.drawn(12)
		id := f.id.Recording()
		path := filepath.Join(c.dir, "NGH", id, recordings.SegmentPart(5))
		must(t, os.Chmod(path, 0o600))
		must(t, hurt(path))
		for _, when := range []string{"before", "after"} {
			_, err := c.archive.Part(t.Context(), "NGH", id, 5)
			if when == "before" {
				c.refused(name, err, "sallyport recordings verify "+id)
			} else if !errors.Is(err, access.ErrUnknown) {
				t.Errorf("%s: %v", name, err)
			}
			if p, err := c.archive.Part(t.Context(), "NGH", id, 4); err != nil || len(p.Events) != 1 {
				t.Errorf("%s: what stands before it: %+v, %v", name, p, err)
			}
			p, err := c.archive.Moment(t.Context(), "NGH", id, 45e6)
			if must(t, err); p.N != 4 {
				t.Errorf("%s: before it is %d", name, p.N)
			}
			_, _, err = c.archive.Replay(t.Context(), "NGH", id)
			must(t, err)
			c.readOn()
		}
		x, tag, err := c.archive.Replay(t.Context(), "NGH", id)
		if must(t, err); tag != "" || !x.Whole || x.Segments != 5 || x.Length.At != x.Read || !strings.Contains(x.Markers[len(x.Markers)-1].Text, "cannot be read") {
			t.Errorf("%s: %q %+v", name, tag, x)
		}
	}
}

// While a person waits for a recording, no part is read for a digest.
func TestDigestsGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, err := vault.OpenDirectory(t.TempDir())
		must(t, err)
		defer dir.Close()
		a := NewArchive(dir, nil, nil, nil, nil)
		a.Digest("NGH", session.NewID().Recording())
		first, second := a.heavy(), a.heavy()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx, slog.New(slog.DiscardHandler)) }()
		waiting := func() int {
			synctest.Wait()
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(a.listed)
		}
		first()
		if waiting() != 1 {
			t.Error("a recording is read while a person waits")
		}
		second()
		if waiting() != 0 {
			t.Error("nobody waits, and nothing is read")
		}
		stop()
		must(t, <-done)
	})
}

// What is sealed to others stays closed, and the words say where it opens.
func TestSealedToOthers(t *testing.T) {
	c := newScene(t)
	f := c.whole()
	path := filepath.Join(c.dir, "NGH", f.id.Recording(), recordings.HeaderPart)
	b, err := os.ReadFile(path)
	must(t, err)
	doc := bytes.Replace(b[12:len(b)-64], []byte(`"outputs":[]`), []byte(`"outputs":["age1hospital"]`), 1)
	signed := append(binary.BigEndian.AppendUint32(append([]byte{}, b[:8]...), uint32(len(doc))), doc...)
	sig, err := witness.Sign(f.key, witness.Header, signed)
	must(t, err)
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, append(signed, sig[:]...), 0o400))
	for what, ask := range map[string]func() error{
		"replay":     func() error { _, _, err := c.archive.Replay(t.Context(), "NGH", f.id.Recording()); return err },
		"moment":     func() error { _, err := c.archive.Moment(t.Context(), "NGH", f.id.Recording(), 0); return err },
		"part":       func() error { _, err := c.archive.Part(t.Context(), "NGH", f.id.Recording(), 0); return err },
		"transcript": func() error { _, _, err := c.archive.Transcript(t.Context(), "NGH", f.id.Recording(), 0); return err },
	} {
		c.refused(what, ask(), "sallyport recordings play "+f.id.Recording()+" --reason WHY")
	}
	c.sumUp(f)
	if r := c.known(f); r.Readable || r.Digest != nil {
		t.Errorf("%+v", r)
	}
	if v := c.check(f); v.Verdict != "unreadable" || !strings.Contains(v.Message, "sealed to the hospital") {
		t.Errorf("%+v", v)
	}
}

func (c *scene) check(f *recorded) access.Verdict {
	c.t.Helper()
	v, err := c.archive.Check(c.t.Context(), "NGH", f.id.Recording())
	must(c.t, err)
	if v.Message == "" || strings.ContainsAny(v.Message, "\n\x1b") {
		c.t.Errorf("message %q", v.Message)
	}
	return v
}

// The broker's own check says what it found, and no more.
func TestCheck(t *testing.T) {
	c := newScene(t)
	want := func(what string, v access.Verdict, verdict, signer string, countersigned, logged bool, words string) {
		t.Helper()
		if v.Verdict != verdict || v.Signer != signer || v.Countersigned != countersigned || v.Logged != logged || !strings.Contains(v.Message, words) {
			t.Errorf("%s: %+v", what, v)
		}
	}
	f := c.whole()
	v := c.check(f)
	want("whole", v, "intact", "known", true, true,
		fmt.Sprintf("The broker checked %d segments: the chain and every signature are right. You can check without trusting the broker: sallyport verify FILE.", v.Segments))
	if v.Segments < 3 {
		t.Errorf("%d segments", v.Segments)
	}

	running := c.record(c.agent.Key())
	c.lines(running, 40)
	c.send(running)
	want("live", c.check(running), "open", "known", false, false, "no seal yet")

	_, stranger, err := ed25519.GenerateKey(nil)
	must(t, err)
	strange := c.record(stranger)
	c.lines(strange, 5)
	must(t, strange.w.Close(session.Completed))
	c.send(strange)
	want("of a stranger", c.check(strange), "intact", "unknown", false, true, "no agent that the broker knows")

	// Bytes that change in the vault are found.
	part := func(f *recorded, name string) string { return filepath.Join(c.dir, "NGH", f.id.Recording(), name) }
	for name, hurt := range map[string]func(path string) error{
		"truncated": func(path string) error { return os.Truncate(path, 250) },
		"changed": func(path string) error {
			b, err := os.ReadFile(path)
			if err == nil {
				b[len(b)-1] ^= 1
				err = os.WriteFile(path, b, 0o600)
			}
			return err
		},
		"removed": os.Remove,
	} {
		f := c.whole()
		must(t, os.Chmod(part(f, recordings.SegmentPart(1)), 0o600))
		must(t, hurt(part(f, recordings.SegmentPart(1))))
		want(name, c.check(f), "tampered", "known", false, false, "egment 1")
	}

	// The agent's key cannot write another history once it was countersigned and logged.
	other := c.record(c.agent.Key())
	c.lines(other, 3)
	must(t, other.w.Close(session.Completed))
	c.send(other)
	first := c.whole()
	must(t, os.RemoveAll(part(other, recordings.SealPart)))
	seal, err := os.ReadFile(part(first, recordings.SealPart))
	must(t, err)
	must(t, os.WriteFile(part(other, recordings.SealPart), seal, 0o600))
	want("another's seal", c.check(other), "tampered", "known", false, false, "not what the agent signed")

	twice := c.record(c.agent.Key())
	c.lines(twice, 3)
	foreign, err := witness.Head{Recording: twice.id, Offset: 99}.Signed(c.agent.Key())
	must(t, err)
	must(t, twice.w.Close(session.Completed))
	c.send(twice)
	_, err = c.Countersign(t.Context(), "NGH", "main", twice.id.Recording(), foreign.Bytes())
	must(t, err)
	want("another history", c.check(twice), "tampered", "known", false, false, "countersigned another content")

	must(t, c.audit.Append(t.Context(), witness.Event{Event: witness.RecordingSealed, Site: "NGH", Recording: f.id.Recording(),
		Details: map[string]string{"seal": strings.Repeat("00", 32)}}))
	want("another seal in the log", c.check(f), "tampered", "known", true, false, "audit log knows another seal")

	// What cannot be read is no verdict.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := c.archive.Check(gone, "NGH", first.id.Recording()); !errors.Is(err, context.Canceled) || v.Verdict != "" {
		t.Errorf("%+v, %v", v, err)
	}
}

// A recorder that died leaves a torn recording, which is shown to its end.
func TestTorn(t *testing.T) {
	c := newScene(t)
	f := c.record(c.agent.Key())
	c.lines(f, 40)
	c.settled(f)
	copied := filepath.Join(t.TempDir(), "rec") // as the disk was when the agent died
	must(t, os.CopyFS(copied, os.DirFS(f.dir)))
	_, err := recordings.Recover(copied, f.key, session.AgentLost)
	must(t, err)
	f.dir = copied
	c.send(f)
	c.list(f)
	c.archive.look(place{"NGH", f.id.Recording()})
	c.sumUp(f)
	x, _, err := c.archive.Replay(t.Context(), "NGH", f.id.Recording())
	must(t, err)
	if last := x.Markers[len(x.Markers)-1]; x.Digest.Lines != 40 || last.Kind != replay.End || !strings.Contains(last.Text, "recorder was lost") {
		t.Errorf("%+v, %+v", x.Digest, last)
	}
	if v, r := c.check(f), c.known(f); v.Verdict != "torn" || !v.Countersigned || !v.Logged || r.State != "torn" || r.Digest == nil {
		t.Errorf("%+v, %+v", v, r)
	}
}
