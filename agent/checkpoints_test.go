package agent

import (
	"bytes"
	"crypto/ed25519"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

func logKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

// tell is a delivery of a log of n entries, of which number first differs by salt.
func tell(t *testing.T, key ed25519.PrivateKey, n int, salt string, old int64) link.Deliver {
	t.Helper()
	var leaves [][32]byte
	for i := range n {
		leaves = append(leaves, witness.LeafHash([]byte{byte(i)}))
	}
	if n > 0 && salt != "" {
		leaves[0] = witness.LeafHash([]byte(salt))
	}
	roots, err := witness.Roots(leaves, int64(n))
	if err != nil {
		t.Fatal(err)
	}
	note, err := witness.Checkpoint{Origin: "broker", Size: int64(n), Root: roots[0]}.Signed(key)
	if err != nil {
		t.Fatal(err)
	}
	return link.Deliver{Kind: "checkpoint", Request: note, Grant: witness.Consistency{Old: old}.Bytes(), Key: session.KeyLine(key.Public().(ed25519.PublicKey))}
}

func keeper(t *testing.T, dir string) *checkpoints {
	t.Helper()
	now := func() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) }
	c, err := openCheckpoints(state{dir}, now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What the agent holds against a broker outlives restarts, until an operator says
// otherwise; and the evidence outlives the operator.
func TestTroubleOutlivesARestartUntilItIsForgotten(t *testing.T) {
	dir := t.TempDir()
	c := keeper(t, dir)
	if v, err := c.take(t.Context(), tell(t, logKey(1), 4, "", 0)); err != nil || v.Count != 4 || v.Received == nil {
		t.Fatalf("%+v, %v", v, err)
	}
	c = keeper(t, dir)
	if v, err := c.take(t.Context(), tell(t, logKey(1), 4, "", 4)); err != nil || v.Count != 4 {
		t.Fatalf("the same again: %+v, %v", v, err)
	}
	forked := tell(t, logKey(1), 4, "forked", 4)
	if _, err := c.take(t.Context(), forked); session.KindOf(err) != session.Refused {
		t.Fatalf("a fork: %v", err)
	}
	c = keeper(t, dir)
	if session.KindOf(c.trouble()) != session.Refused {
		t.Error("a restart made the agent forget")
	}
	if kept, at := c.look(); at.Size != 4 || !bytes.Equal(kept.Refused, forked.Request) || !strings.Contains(kept.Trouble, "two histories") {
		t.Errorf("%+v %+v", kept, at)
	}
	if _, err := c.take(t.Context(), tell(t, logKey(1), 4, "", 4)); err == nil {
		t.Error("an honest checkpoint healed it")
	}
	if err := c.forget(); err != nil {
		t.Fatal(err)
	}
	if c.trouble() != nil {
		t.Error("not forgotten")
	}
	evidence, err := filepath.Glob(filepath.Join(dir, "checkpoint-forgotten-*.json"))
	if err != nil || len(evidence) != 1 {
		t.Errorf("%v %v", evidence, err)
	}
	if v, err := keeper(t, dir).take(t.Context(), tell(t, logKey(2), 1, "new", 0)); err != nil || v.Count != 1 {
		t.Errorf("a new beginning: %+v, %v", v, err)
	}
}

func TestWhatIsNoCheckpointChangesNothing(t *testing.T) {
	good := tell(t, logKey(1), 4, "", 0)
	for name, bend := range map[string]func(*link.Deliver){
		"no key":                func(d *link.Deliver) { d.Key = "" },
		"another's signature":   func(d *link.Deliver) { d.Key = session.KeyLine(logKey(2).Public().(ed25519.PublicKey)) },
		"no note":               func(d *link.Deliver) { d.Request = nil },
		"no proof":              func(d *link.Deliver) { d.Grant = nil },
		"a proof of odd length": func(d *link.Deliver) { d.Grant = make([]byte, 9) },
	} {
		c, d := keeper(t, t.TempDir()), good
		bend(&d)
		if v, err := c.take(t.Context(), d); err == nil || v.OK {
			t.Errorf("%s: %+v", name, v)
		}
		if kept, _ := c.look(); kept.Key != "" || c.trouble() != nil {
			t.Errorf("%s: %+v", name, kept)
		}
	}
}

func TestWhatCannotBeKeptIsNotTaken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	c := keeper(t, dir)
	if v, err := c.take(t.Context(), tell(t, logKey(1), 4, "", 0)); err == nil || v.OK {
		t.Errorf("%+v", v)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if v, err := c.take(t.Context(), tell(t, logKey(1), 4, "", 0)); err != nil || v.Count != 4 {
		t.Errorf("%+v, %v", v, err)
	}
	if err := os.WriteFile(filepath.Join(dir, checkpointFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openCheckpoints(state{dir}, time.Now, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a damaged memory is no memory")
	}
}

// Only what narrows passes the desk while the log is not believed; a kind that nobody
// knows counts as widening.
func TestOnlyWhatNarrowsIsTakenInTrouble(t *testing.T) {
	d := &desk{checkpoints: &checkpoints{}}
	for kind, want := range map[link.Delivery]bool{
		link.DeliverRequest: true, link.DeliverApproval: true, link.DeliverActivate: true, link.DeliverWithdraw: false, link.DeliverRevoke: false,
		link.DeliverFreeze: false, link.DeliverThaw: false, link.DeliverDisable: false, link.DeliverCheckpoint: false, "deny": true, "": true,
	} {
		if _, widens := d.handler(kind); widens != want {
			t.Errorf("%s: %v", kind, !want)
		}
	}
}
