package spool_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/agent/spool"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// notary countersigns what it is given; fail may refuse or forge.
type notary struct {
	key   ed25519.PrivateKey
	mu    sync.Mutex
	heads []witness.Head
	fail  func() error
	forge func(witness.Receipt) witness.Receipt
	held  chan struct{} // while not nil, no answer comes before it is closed
}

func newNotary(t *testing.T) *notary {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &notary{key: key, fail: func() error { return nil }, forge: func(r witness.Receipt) witness.Receipt { return r }}
}

func (n *notary) PutHead(ctx context.Context, recording string, b []byte) ([]byte, error) {
	if n.held != nil {
		select {
		case <-n.held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.fail(); err != nil {
		return nil, err
	}
	h, err := witness.ParseHead(b)
	if err != nil || h.Recording.Recording() != recording {
		return nil, errors.New("not a head of " + recording)
	}
	n.heads = append(n.heads, h)
	r, err := witness.Countersigned(n.key, h, time.Now())
	return n.forge(r).Bytes(), err
}

func (n *notary) seen() []witness.Head {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.heads)
}

func (s *site) heads(n *notary, pin func(ed25519.PublicKey) error) *spool.Heads {
	if pin == nil {
		pin = func(ed25519.PublicKey) error { return nil }
	}
	return spool.NewHeads(spool.HeadsConfig{Dir: s.dir, Putter: n, Signer: s.key, Pin: pin, Log: slog.New(slog.DiscardHandler)})
}

func (s *site) public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

func (s *site) head(t *testing.T, id string, offset uint64) witness.Head {
	t.Helper()
	rec, err := session.ParseRecordingID(id)
	if err != nil {
		t.Fatal(err)
	}
	h, err := witness.Head{Recording: rec, Offset: offset}.Signed(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// list reads the signed list as it was uploaded.
func (s *site) list(t *testing.T, b *broker, id string) []witness.Receipt {
	t.Helper()
	rec, _ := session.ParseRecordingID(id)
	stored, _, _ := b.has()
	all, err := witness.ParseList([]byte(stored[id+"/receipts"]), s.public(), rec)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The papers go after the header; the list of countersignatures, which ends with one
// over the whole recording, goes before the seal.
func TestEvidenceGoesUpBeforeTheSeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b, n := newSite(t), newBroker(t), newNotary(t)
		id := s.finished(2)
		if err := durable.Write(filepath.Join(s.dir, id, recordings.PapersPart), []byte("papers")); err != nil {
			t.Fatal(err)
		}
		s.run(b, func(sp *spool.Spool) { settle(time.Minute) }, spool.Countersigned(s.heads(n, nil)))
		want := []string{id + "/header", id + "/papers", id + "/seg-000000", id + "/seg-000001", id + "/receipts", id + "/seal"}
		if !slices.Equal(b.order, want) {
			t.Fatalf("order %v", b.order)
		}
		seal, err := recordings.ReadSeal([]byte(b.stored[id+"/seal"]))
		if err != nil {
			t.Fatal(err)
		}
		all := s.list(t, b, id)
		if len(all) != 1 || all[0].Head.Segment != seal.Segments || all[0].Head.Offset != 0 || !all[0].Head.Verify(s.public()) {
			t.Errorf("list: %+v", all)
		}
		if left := s.names(); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// Heads are countersigned while the recording is live, and stand in the list.
func TestLiveHeadsAreCountersigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b, n := newSite(t), newBroker(t), newNotary(t)
		s.run(b, func(sp *spool.Spool) {
			w, id := s.begin(sp.Kick)
			for i := range 5 {
				sp.Head(s.head(t, id, uint64(100+i)))
				synctest.Wait()
			}
			if got := n.seen(); len(got) != 5 {
				t.Fatalf("%d heads countersigned", len(got))
			}
			s.say(w, 1)
			if err := w.Close(session.Completed); err != nil {
				t.Fatal(err)
			}
			sp.Kick()
			settle(time.Minute)
			all := s.list(t, b, id)
			rec, _ := session.ParseRecordingID(id)
			if len(all) != 6 || !witness.Sorted(rec, all) {
				t.Errorf("%d receipts in the list", len(all))
			}
		}, spool.Countersigned(s.heads(n, nil)))
	})
}

// A slow link delays no recorder: of the heads that came meanwhile the newest is sent.
func TestTheNewestHeadWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b, n := newSite(t), newBroker(t), newNotary(t)
		n.held = make(chan struct{})
		s.run(b, func(sp *spool.Spool) {
			w, id := s.begin(sp.Kick)
			defer func() { _ = w.Close(session.Completed) }()
			began := time.Now()
			for i := range 1000 {
				sp.Head(s.head(t, id, uint64(i+1)))
				if i == 0 {
					synctest.Wait()
				}
			}
			if took := time.Since(began); took != 0 {
				t.Errorf("the recorder waited %v", took)
			}
			close(n.held)
			synctest.Wait()
			got := n.seen()
			if len(got) != 2 || got[0].Offset != 1 || got[1].Offset != 1000 {
				t.Errorf("%d heads sent", len(got))
			}
		}, spool.Countersigned(s.heads(n, nil)))
	})
}

// While the broker is away the seal stays here too; afterwards all goes up.
func TestNoSealWithoutItsCountersignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b, n := newSite(t), newBroker(t), newNotary(t)
		id := s.finished(2)
		n.fail = unreachable
		s.run(b, func(sp *spool.Spool) {
			settle(time.Hour)
			if stored, _, _ := b.has(); len(stored) != 3 {
				t.Fatalf("stored %d", len(stored))
			}
			n.mu.Lock()
			n.fail = func() error { return nil }
			n.mu.Unlock()
			settle(10 * time.Minute)
			if stored, _, _ := b.has(); stored[id+"/seal"] == "" || stored[id+"/receipts"] == "" {
				t.Errorf("not uploaded: %d", len(stored))
			}
		}, spool.Countersigned(s.heads(n, nil)))
	})
}

// A countersignature that is not under this head, or with another key than the pinned
// one, is not kept; the recording stays here.
func TestBadCountersignaturesAreRefused(t *testing.T) {
	other := newNotary(t)
	for name, f := range map[string]struct {
		forge func(witness.Receipt) witness.Receipt
		pin   func(ed25519.PublicKey) error
	}{
		"wrong signature": {forge: func(r witness.Receipt) witness.Receipt { r.At++; return r }},
		"another head": {forge: func(r witness.Receipt) witness.Receipt {
			r.Head.Wall++
			r, _ = witness.Countersigned(other.key, r.Head, time.Now())
			return r
		}},
		"another key": {pin: func(ed25519.PublicKey) error { return session.Errorf(session.Refused, "another key") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b, n := newSite(t), newBroker(t), newNotary(t)
				if f.forge != nil {
					n.forge = f.forge
				}
				id := s.finished(2)
				s.run(b, func(sp *spool.Spool) {
					sp.Head(s.head(t, id, 7))
					settle(time.Hour)
				}, spool.Countersigned(s.heads(n, f.pin)))
				if _, ok := b.stored[id+"/receipts"]; ok {
					t.Error("a list was uploaded")
				}
				if !slices.Contains(s.names(), id) {
					t.Error("the recording is gone")
				}
				if kept, err := os.ReadFile(filepath.Join(s.dir, id, "countersigned")); err == nil && len(kept) > 0 {
					t.Errorf("%d bytes kept", len(kept))
				}
			})
		})
	}
}

// A crash in the middle of writing spoils nothing that was whole, and finishing twice
// makes one list.
func TestFinishAfterACrash(t *testing.T) {
	s, n := newSite(t), newNotary(t)
	id := s.finished(2)
	h := s.heads(n, nil)
	r, err := witness.Countersigned(n.key, s.head(t, id, 9), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	torn := append(r.Bytes(), bytes.Repeat([]byte{7}, 100)...)
	if err := os.WriteFile(filepath.Join(s.dir, id, "countersigned"), torn, 0o600); err != nil {
		t.Fatal(err)
	}
	var first []byte
	for range 3 {
		if err := h.Finish(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadFile(filepath.Join(s.dir, id, "receipts"))
		if err != nil || first != nil && !bytes.Equal(first, list) {
			t.Fatalf("the list changed: %v", err)
		}
		first = list
	}
	rec, _ := session.ParseRecordingID(id)
	if all, err := witness.ParseList(first, s.public(), rec); err != nil || len(all) != 2 {
		t.Errorf("%d receipts, %v", len(all), err)
	}
}
