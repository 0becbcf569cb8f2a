package agent

import (
	"bytes"
	"crypto/ed25519"
	"errors"
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

// tell is a delivery of node a's log of n entries, of which number first differs by salt.
func tell(t *testing.T, key ed25519.PrivateKey, n int, salt string, old int64) link.Deliver {
	t.Helper()
	return tellAs(t, "broker/a", "a", key, n, salt, old)
}

func tellAs(t *testing.T, origin, node string, key ed25519.PrivateKey, n int, salt string, old int64) link.Deliver {
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
	note, err := witness.Checkpoint{Origin: origin, Size: int64(n), Root: roots[0]}.Signed(key)
	if err != nil {
		t.Fatal(err)
	}
	return link.Deliver{Kind: link.DeliverCheckpoint, Request: note, Grant: witness.Consistency{Old: old}.Bytes(), Node: node}
}

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func keeper(t *testing.T, dir string) *checkpoints {
	t.Helper()
	c, err := openCheckpoints(state{dir}, func() time.Time { return noon }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// accept makes the agent in dir accept logs, each by the key of its number.
func accept(t *testing.T, dir string, at time.Time, origins ...string) {
	t.Helper()
	for i, origin := range origins {
		if _, err := AcceptNode(Config{State: dir}, origin, line(logKey(byte(i+1))), at); err != nil {
			t.Fatal(err)
		}
	}
}

func forget(t *testing.T, dir, origin string) {
	t.Helper()
	if _, err := ForgetNode(Config{State: dir}, origin); err != nil {
		t.Fatal(err)
	}
}

func taken(t *testing.T, c *checkpoints, d link.Deliver, size int) {
	t.Helper()
	if v, err := c.take(t.Context(), d); err != nil || !v.OK || v.Count != size {
		t.Errorf("%+v, %v", v, err)
	}
}

// What the agent holds against a broker outlives restarts, until an operator says
// otherwise; and the evidence outlives the operator.
func TestTroubleOutlivesARestartUntilItIsForgotten(t *testing.T) {
	dir := t.TempDir()
	accept(t, dir, noon, "broker/a")
	c := keeper(t, dir)
	if v, err := c.take(t.Context(), tell(t, logKey(1), 4, "", 0)); err != nil || v.Count != 4 || v.Received == nil {
		t.Fatalf("%+v, %v", v, err)
	}
	c = keeper(t, dir)
	taken(t, c, tell(t, logKey(1), 4, "", 4), 4)
	forked := tell(t, logKey(1), 4, "forked", 4)
	if _, err := c.take(t.Context(), forked); session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), "broker/a was rewritten") {
		t.Fatalf("a fork: %v", err)
	}
	c = keeper(t, dir)
	for _, node := range []string{"a", "b"} {
		if session.KindOf(c.trouble(node)) != session.Refused {
			t.Error("a restart made the agent forget, or another node is taken instead")
		}
	}
	if l := c.kept.Logs["broker/a"]; l.at().Size != 4 || !bytes.Equal(l.Refused, forked.Request) || !strings.Contains(l.Trouble, "two histories") {
		t.Errorf("%+v", l)
	}
	if _, err := c.take(t.Context(), tell(t, logKey(1), 4, "", 4)); err == nil {
		t.Error("an honest checkpoint healed it")
	}
	forget(t, dir, "broker/a")
	if c.trouble("a") != nil {
		t.Error("not forgotten")
	}
	evidence, err := filepath.Glob(filepath.Join(dir, "checkpoints-forgotten-*.json"))
	if err != nil || len(evidence) != 1 {
		t.Errorf("%v %v", evidence, err)
	}
	if _, err := AcceptNode(Config{State: dir}, "broker/a", line(logKey(2)), noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	taken(t, keeper(t, dir), tell(t, logKey(2), 1, "new", 0), 1)
}

// A second node is an addition: each accepted log has a history of its own, and the agent
// moves from one to the other and back.
func TestEachAcceptedLogHasItsOwnHistory(t *testing.T) {
	dir := t.TempDir()
	accept(t, dir, noon, "broker/a", "broker/b")
	a := func(n int, old int64) link.Deliver { return tell(t, logKey(1), n, "", old) }
	b := func(n int, old int64) link.Deliver { return tellAs(t, "broker/b", "b", logKey(2), n, "b's", old) }
	c := keeper(t, dir)
	taken(t, c, a(4, 0), 4)
	taken(t, c, b(2, 0), 2)
	c = keeper(t, dir)
	taken(t, c, a(4, 4), 4)
	taken(t, c, b(2, 2), 2)
	for _, node := range []string{"a", "b"} {
		if err := c.trouble(node); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.take(t.Context(), tellAs(t, "broker/b", "b", logKey(2), 2, "forked", 2)); err == nil || !strings.Contains(err.Error(), "broker/b was rewritten") {
		t.Errorf("a fork is not named: %v", err)
	}
	if c.trouble("a") == nil || c.trouble("b") == nil {
		t.Error("the broker is believed although one of its logs forked")
	}
	forget(t, dir, "broker/b")
	if err := c.trouble("a"); err != nil {
		t.Errorf("the other log suffers from a forgotten one: %v", err)
	}
	taken(t, c, a(4, 4), 4)
}

// A cosignature of another accepted node is kept and shown, though the log did not grow.
func TestACosignatureOfAnAcceptedNodeIsKept(t *testing.T) {
	dir := t.TempDir()
	accept(t, dir, noon, "broker/a", "broker/b")
	c, d := keeper(t, dir), tell(t, logKey(1), 4, "", 0)
	taken(t, c, d, 4)
	at, err := witness.ReadCheckpoint(d.Request)
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []struct {
		origin string
		key    byte
		count  int
	}{{"broker/c", 3, 0}, {"broker/b", 3, 0}, {"broker/b", 2, 1}} {
		line, err := witness.Cosign(at, by.origin, logKey(by.key), noon)
		if err != nil {
			t.Fatal(err)
		}
		more := d
		more.Request = append(bytes.Clone(d.Request), line...)
		taken(t, c, more, 4)
		accepted, kept, err := c.look()
		if found := witness.Cosigners(kept.Logs["broker/a"].Note, accepted); err != nil || len(found) != by.count {
			t.Errorf("%+v: %+v, %v", by, found, err)
		}
	}
	taken(t, keeper(t, dir), d, 4) // and is not lost to the bare one
	if found := witness.Cosigners(keeper(t, dir).kept.Logs["broker/a"].Note, session.Nodes{{Origin: "broker/b", Key: line(logKey(2))}}); len(found) != 1 {
		t.Errorf("%+v", found)
	}
}

// Nothing new is taken from a node whose log the hospital has not accepted; the others go
// on, and the operator's word counts at once.
func TestALogThatIsNotAcceptedConcernsItsNodeAlone(t *testing.T) {
	dir := t.TempDir()
	accept(t, dir, noon, "broker/a")
	c := keeper(t, dir)
	taken(t, c, tell(t, logKey(1), 4, "", 0), 4)
	unknown := tellAs(t, "broker/b", "b", logKey(2), 2, "", 0)
	for range 2 {
		_, err := c.take(t.Context(), unknown)
		var e *session.Error
		if !errors.As(err, &e) || e.Kind != session.Refused || !strings.Contains(e.Message, "broker/b") || !strings.Contains(e.Next, "sallyport-agent trust accept broker/b") {
			t.Fatalf("%v", err)
		}
	}
	c = keeper(t, dir)
	if c.trouble("b") == nil || c.trouble("a") != nil {
		t.Errorf("b: %v, a: %v", c.trouble("b"), c.trouble("a"))
	}
	taken(t, c, tell(t, logKey(1), 4, "", 4), 4)
	accept(t, dir, noon.Add(time.Hour), "broker/a", "broker/b")
	if err := c.trouble("b"); err != nil {
		t.Error(err)
	}
	taken(t, c, unknown, 2)

	c.now = func() time.Time { return noon.Add(2 * time.Hour) }
	// What a node showed once is not forgiven because it shows something else now.
	if _, err := c.take(t.Context(), tellAs(t, "broker/c", "b", logKey(3), 2, "", 0)); err == nil || c.trouble("b") == nil {
		t.Error("another log of the same node is taken")
	}
	if _, err := c.take(t.Context(), unknown); err == nil || c.trouble("b") == nil {
		t.Error("an accepted checkpoint healed it")
	}
	forget(t, dir, "broker/b")
	if _, err := AcceptNode(Config{State: dir}, "broker/b", line(logKey(2)), noon.Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	taken(t, c, unknown, 2)
}

// An accepted name without its key is never forgiven by the broker's own doing.
func TestAnAcceptedNameWithoutItsKeyTakesAnOperator(t *testing.T) {
	dir := t.TempDir()
	accept(t, dir, noon, "broker/a")
	c := keeper(t, dir)
	taken(t, c, tell(t, logKey(1), 4, "", 0), 4)
	if _, err := c.take(t.Context(), tellAs(t, "broker/a", "b", logKey(9), 4, "", 4)); session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), "without the key") {
		t.Fatalf("%v", err)
	}
	c = keeper(t, dir)
	if _, err := c.take(t.Context(), tellAs(t, "broker/a", "b", logKey(1), 4, "", 4)); err == nil || c.trouble("b") == nil {
		t.Error("an honest checkpoint healed it")
	}
	if c.trouble("a") != nil {
		t.Errorf("the true node suffers: %v", c.trouble("a"))
	}
	forget(t, dir, "broker/a")
	accept(t, dir, noon.Add(time.Hour), "broker/a")
	taken(t, c, tellAs(t, "broker/a", "b", logKey(1), 4, "", 0), 4)
}

func TestWhatIsNoCheckpointChangesNothing(t *testing.T) {
	good := tell(t, logKey(1), 4, "", 0)
	for name, bend := range map[string]func(*link.Deliver){
		"no note":               func(d *link.Deliver) { d.Request = nil },
		"half a note":           func(d *link.Deliver) { d.Request = d.Request[:20] },
		"no proof":              func(d *link.Deliver) { d.Grant = nil },
		"a proof of odd length": func(d *link.Deliver) { d.Grant = make([]byte, 9) },
	} {
		dir := t.TempDir()
		accept(t, dir, noon, "broker/a")
		c, d := keeper(t, dir), good
		bend(&d)
		if v, err := c.take(t.Context(), d); err == nil || v.OK {
			t.Errorf("%s: %+v", name, v)
		}
		if len(c.kept.Logs)+len(c.kept.Strangers) != 0 || c.trouble("a") != nil {
			t.Errorf("%s: %+v", name, c.kept)
		}
	}
}

func TestWhatCannotBeKeptIsNotTaken(t *testing.T) {
	dir := t.TempDir()
	accept(t, dir, noon, "broker/a")
	c := keeper(t, dir)
	if err := os.Mkdir(filepath.Join(dir, checkpointsFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if v, err := c.take(t.Context(), tell(t, logKey(1), 4, "", 0)); err == nil || v.OK {
		t.Errorf("%+v", v)
	}
	if err := os.Remove(filepath.Join(dir, checkpointsFile)); err != nil {
		t.Fatal(err)
	}
	taken(t, c, tell(t, logKey(1), 4, "", 0), 4)
	if err := os.WriteFile(filepath.Join(dir, checkpointsFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openCheckpoints(state{dir}, time.Now, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a damaged memory is no memory")
	}
	if err := os.WriteFile(filepath.Join(dir, nodesFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.trouble("a") == nil {
		t.Error("a damaged list of nodes is a list")
	}
}

// Only what narrows is taken while the log is not believed; a kind that nobody
// knows counts as widening.
func TestOnlyWhatNarrowsIsTakenInTrouble(t *testing.T) {
	d := &deliveries{checkpoints: &checkpoints{}}
	for kind, want := range map[link.Delivery]bool{
		link.DeliverRequest: true, link.DeliverApproval: true, link.DeliverActivate: true, link.DeliverWithdraw: false, link.DeliverRevoke: false,
		link.DeliverFreeze: false, link.DeliverThaw: false, link.DeliverDisable: false, link.DeliverCheckpoint: false, "deny": true, "": true,
	} {
		if _, widens := d.handler(kind); widens != want {
			t.Errorf("%s: %v", kind, !want)
		}
	}
}
