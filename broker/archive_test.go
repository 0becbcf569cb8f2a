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
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	st, err := store.Open(t.Context(), store.Config{URL: "redis://" + miniredis.RunT(t).Addr(), Ephemeral: true})
	must(t, err)
	t.Cleanup(func() { st.Close() })
	a, err := access.New(access.Config{Documents: st, Listing: st, Wholes: st, Agents: c.agent, Audit: log, Now: time.Now})
	must(t, err)
	quiet := slog.New(slog.DiscardHandler)
	r := NewArchive(v, key, alone(log), func() session.Nodes { return session.Nodes{log.Node()} }, a)
	c.Broker = &Broker{vault: v, signer: key, access: a, audit: log, log: quiet, archive: r, digests: newDigests(r, quiet)}
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

// sumUp does what waits to be computed.
func (c *scene) sumUp(f *recorded) {
	c.t.Helper()
	c.digests.ask("NGH", f.id.Recording()) // as a listing does
	for len(c.digests.asked) > 0 {
		must(c.t, c.digests.compute(c.t.Context(), <-c.digests.asked))
	}
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
	if r := c.known(f); r.State != "live" || r.Digest != nil || !r.Readable || r.Reason != "" || r.WorkOrder != "WO-1" || r.Request != c.of.ID || len(c.digests.asked) != 0 {
		t.Errorf("live: %+v", r)
	}
	must(t, f.w.Close(session.KilledRemote))
	c.send(f)
	before := c.known(f)
	if len(c.digests.asked) != 0 {
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
	// Asking twice is asking once; what computes ends with its context.
	for range 3 {
		c.digests.ask("NGH", f.id.Recording())
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.digests.run(ctx) }()
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
	if must(t, err); tag != "" || live.Sealed || len(live.Parts) != 1 || live.Digest.Lines == 0 {
		t.Errorf("live: %q %+v", tag, live)
	}
	must(t, f.w.Close(session.Completed))
	c.send(f)
	if _, err := c.archive.Part(t.Context(), site, id, 0); err != nil { // of the index that was shown
		t.Error(err)
	}
	x, tag, err := c.archive.Replay(t.Context(), site, id)
	if must(t, err); tag == "" || !x.Sealed || x.Digest.Lines != 40 || x.Cols != 90 {
		t.Errorf("sealed: %q %+v", tag, x)
	}
	shown := ""
	for n := range x.Parts {
		events, err := c.archive.Part(t.Context(), site, id, n)
		must(t, err)
		for _, e := range events {
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
	lines, _, err := c.archive.Transcript(t.Context(), site, id)
	if must(t, err); len(lines) != 40 {
		t.Errorf("%d lines", len(lines))
	}
	for _, n := range []int{-1, 1, 1 << 40} {
		if _, err := c.archive.Part(t.Context(), site, id, n); !errors.Is(err, access.ErrUnknown) {
			t.Errorf("part %d: %v", n, err)
		}
	}
	for what, at := range map[string][2]string{"another site": {"XYZ", id}, "nothing": {site, session.NewID().Recording()}} {
		_, _, err := c.archive.Transcript(t.Context(), at[0], at[1])
		c.refused(what, err, "has arrived")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.archive.Transcript(gone, site, id); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more: %v", err)
	}
}

// The indexes that are remembered are few, and the ones used last.
func TestFewIndexesAreKept(t *testing.T) {
	r := NewArchive(nil, nil, nil, nil, nil)
	for i := range 3 * keptIndexes {
		for _, segments := range []uint32{7, 8} { // it grew
			r.remember(indexed{place: place{"NGH", fmt.Sprint(i)}, segments: segments})
		}
		if k, ok := r.recall(place{"NGH", "0"}); !ok || k.segments != 8 {
			t.Fatal("the one that is used all the time is forgotten")
		}
	}
	if _, ok := r.recall(place{"NGH", "1"}); ok || len(r.known) != keptIndexes {
		t.Errorf("%d are kept", len(r.known))
	}
}

// counted is a vault that counts what is asked of it.
type counted struct {
	Vault
	calls atomic.Int64
}

func (v *counted) Open(ctx context.Context, site, recording, part string) (io.ReadCloser, error) {
	v.calls.Add(1)
	return v.Vault.Open(ctx, site, recording, part)
}

func (v *counted) Size(ctx context.Context, site, recording, part string) (int64, error) {
	v.calls.Add(1)
	return v.Vault.Size(ctx, site, recording, part)
}

// An index is computed when there is more of a recording, and not before; to know that,
// or to show a part, the vault is asked the same few things however long it is.
func TestAnIndexIsComputedWhenThereIsMore(t *testing.T) {
	c := newScene(t)
	v := &counted{Vault: c.vault}
	c.archive.vault = v
	f := c.record(c.agent.Key())
	ask := func(what string, least, most int64) {
		t.Helper()
		before := v.calls.Load()
		_, _, err := c.archive.Replay(t.Context(), "NGH", f.id.Recording())
		must(t, err)
		if n := v.calls.Load() - before; n < least || n > most {
			t.Errorf("%s: the vault was asked %d times", what, n)
		}
	}
	for round := range 3 {
		c.lines(f, 40)
		c.send(f)
		ask("it grew", 10, 1000)
		ask("it did not", 1, 5)
		before := v.calls.Load()
		_, err := c.archive.Part(t.Context(), "NGH", f.id.Recording(), 0)
		must(t, err)
		if n := v.calls.Load() - before; n > int64(2*(round+1)*40) {
			t.Errorf("a part: the vault was asked %d times", n)
		}
	}
	must(t, f.w.Close(session.Completed))
	c.send(f)
	ask("it was sealed", 10, 1000)
	ask("it is sealed", 1, 3)
}

// While a person waits for a recording, no part is read for a digest.
func TestDigestsGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, err := vault.OpenDirectory(t.TempDir())
		must(t, err)
		defer dir.Close()
		at := place{"NGH", session.NewID().Recording()}
		must(t, dir.Put(t.Context(), vault.Part{Site: at.site, Recording: at.recording, Name: "header", Size: 1}, strings.NewReader("h")))
		d := newDigests(NewArchive(dir, nil, nil, nil, nil), nil)
		first, err := d.archive.heavy(t.Context())
		must(t, err)
		second, err := d.archive.heavy(t.Context())
		must(t, err)
		var opened atomic.Bool
		go func() {
			f, err := d.opener(t.Context(), at)(recordings.HeaderPart)
			must(t, errors.Join(err, f.Close()))
			opened.Store(true)
		}()
		first()
		synctest.Wait()
		if opened.Load() {
			t.Error("a part was read while a person waits")
		}
		second()
		synctest.Wait()
		if !opened.Load() {
			t.Error("nobody waits, and nothing is read")
		}
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
		"part":       func() error { _, err := c.archive.Part(t.Context(), "NGH", f.id.Recording(), 0); return err },
		"transcript": func() error { _, _, err := c.archive.Transcript(t.Context(), "NGH", f.id.Recording()); return err },
	} {
		c.refused(what, ask(), "sallyport recordings play "+f.id.Recording())
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
	_, err := recordings.Recover(copied, f.key)
	must(t, err)
	f.dir = copied
	c.send(f)
	c.list(f)
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
