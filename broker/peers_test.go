package broker

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// village is one store and a clock that nodes share.
type village struct {
	t     *testing.T
	store *store.Store
	now   time.Time
}

func newVillage(t *testing.T) *village {
	t.Helper()
	url := "redis://" + miniredis.RunT(t).Addr()
	t.Cleanup(func() { storetest.Described(t, url) })
	st, err := store.Open(t.Context(), store.Config{URL: url, Ephemeral: true, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = st.Close() })
	return &village{t: t, store: st, now: time.Unix(1_780_000_000, 0)}
}

// node is a node with a log and a key of its own, in a directory.
func (v *village) node(name string, seed byte, dir string, out *bytes.Buffer) *peers {
	v.t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	log, err := audit.Open(audit.Config{Dir: filepath.Join(dir, "audit"), Key: key, Origin: "broker.example/" + name, Now: func() time.Time { return v.now }})
	must(v.t, err)
	v.t.Cleanup(func() { _ = log.Close() })
	p, err := openPeers(&peers{board: v.store, log: log, file: filepath.Join(dir, "peers.json"), now: func() time.Time { return v.now }, out: slog.New(slog.NewTextHandler(out, nil)),
		sign: func(c witness.Checkpoint, at time.Time) ([]byte, error) {
			return witness.Cosign(c, log.Node().Origin, key, at)
		}})
	must(v.t, err)
	return p
}

func write(t *testing.T, p *peers, n int) {
	t.Helper()
	for range n {
		must(t, p.log.Append(t.Context(), witness.Event{Event: witness.LoggedIn}))
	}
}

func turns(t *testing.T, n int, all ...*peers) {
	t.Helper()
	for range n {
		for _, p := range all {
			must(t, p.turn(t.Context()))
		}
	}
}

// Nodes behind one store cosign each other's checkpoints as the logs grow; the names are
// under what agents get, and under proofs.
func TestNodesCosignEachOther(t *testing.T) {
	v := newVillage(t)
	var said bytes.Buffer
	a, b := v.node("a", 1, t.TempDir(), &said), v.node("b", 2, t.TempDir(), &said)
	both := session.Nodes{a.log.Node(), b.log.Node()}
	for round := range 3 {
		write(t, a, 2)
		write(t, b, 3)
		v.now = v.now.Add(patience)
		turns(t, 4, a, b)
		for _, p := range []*peers{a, b} {
			note, _, err := p.log.Consistency(0)
			must(t, err)
			if found := witness.Cosigners(note, both); len(found) != 1 || found[0].Node.Origin == p.log.Node().Origin {
				t.Errorf("round %d: the newest checkpoint of %s is cosigned by %+v", round, p.log.Node().Origin, found)
			}
			write(t, p, 1)
			proof, err := p.log.Prove(0)
			must(t, err)
			if _, err := proof.Included(p.log.Key()); err != nil || len(witness.Cosigners(proof.Checkpoint, both)) != 1 {
				t.Errorf("round %d: a proof of %s, %v", round, p.log.Node().Origin, err)
			}
		}
	}
	if len(a.Nodes()) != 2 || a.Nodes().Check() != nil {
		t.Errorf("%+v", a.Nodes())
	}
	if said.Len() > 0 {
		t.Errorf("said: %s", &said)
	}
}

// A node that was seen once is known by its key before it showed a checkpoint, also after a
// restart: it may be lost at any moment, and its copy is read by that key.
func TestANodeIsKnownAtFirstSight(t *testing.T) {
	v := newVillage(t)
	var said bytes.Buffer
	dir := t.TempDir()
	a, b := v.node("a", 1, t.TempDir(), &said), v.node("b", 2, dir, &said)
	turns(t, 1, a, b)
	for range 2 {
		if all := b.Nodes(); len(all) != 2 || all[1] != a.log.Node() {
			t.Fatalf("%+v", all)
		}
		must(t, b.log.Close())
		b = v.node("b", 2, dir, &said)
	}
	other := v.node("a", 3, t.TempDir(), &said) // the same name, another key
	write(t, other, 2)
	turns(t, 3, other, b)
	if all := b.Nodes(); len(all) != 2 || all[1] != a.log.Node() || len(b.mine.Seen) > 0 || !strings.Contains(said.String(), "another key") {
		t.Errorf("%+v, %+v\n%s", all, b.mine.Seen, &said)
	}
	write(t, a, 2)
	turns(t, 3, a, b)
	if b.mine.Seen[a.log.Node().Origin].Size != 2 {
		t.Errorf("%+v", b.mine.Seen)
	}
}

// A node that is alone says so once and signs alone.
func TestANodeAloneChangesNothing(t *testing.T) {
	v := newVillage(t)
	var said bytes.Buffer
	a := v.node("a", 1, t.TempDir(), &said)
	turns(t, 1, a)
	first := bytes.Clone(a.posted)
	write(t, a, 3)
	v.now = v.now.Add(time.Hour)
	turns(t, 3, a)
	note, err := a.log.Checkpoint()
	must(t, err)
	if !bytes.Equal(a.posted, first) || bytes.Count(note, []byte("— ")) != 1 || said.Len() > 0 {
		t.Errorf("%s\n%s\n%s", a.posted, note, &said)
	}
}

// A node whose log tells two histories, or comes with another key, is not cosigned any
// more, whatever it shows later and also after a restart.
func TestAForkedNodeIsNotCosigned(t *testing.T) {
	for name, again := range map[string]struct {
		seed byte
		says string
	}{"a fork": {2, "the log was rewritten"}, "another key": {3, "another key"}} {
		t.Run(name, func(t *testing.T) {
			v := newVillage(t)
			var said bytes.Buffer
			dir := t.TempDir()
			a, b := v.node("a", 1, dir, &said), v.node("b", 2, t.TempDir(), &said)
			write(t, b, 3)
			turns(t, 3, a, b)
			seen := a.mine.Seen[b.log.Node().Origin]
			if seen.Size != 3 {
				t.Fatalf("%+v", seen)
			}
			evil := v.node("b", again.seed, t.TempDir(), &said)
			write(t, evil, 5)
			turns(t, 3, evil, a)
			if got := a.mine.Seen[b.log.Node().Origin]; got.Size != 3 || !strings.Contains(said.String(), again.says) || !strings.Contains(said.String(), "broker.example/b") {
				t.Errorf("%+v\n%s", got, &said)
			}
			must(t, a.log.Close())
			a = v.node("a", 1, dir, &said)
			turns(t, 2, evil, a)
			if got := a.mine.Seen[b.log.Node().Origin]; len(got.Line) != 0 {
				t.Errorf("after a restart: %+v", got)
			}
		})
	}
}

// Names under what is not this log's are not taken.
func TestALogTakesBackOnlyItsOwnCheckpoints(t *testing.T) {
	v := newVillage(t)
	var said bytes.Buffer
	a, b, other := v.node("a", 1, t.TempDir(), &said), v.node("b", 2, t.TempDir(), &said), v.node("a", 1, t.TempDir(), &said)
	write(t, a, 2)
	write(t, b, 2)
	write(t, other, 2)
	for _, p := range []*peers{b, other} {
		note, err := p.log.Checkpoint()
		must(t, err)
		if err := a.log.Cosigned(note); err == nil || errors.Is(err, witness.ErrForked) {
			t.Errorf("%s: %v", p.log.Node().Origin, err)
		}
	}
}
