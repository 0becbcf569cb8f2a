package witness_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

func nodes() session.Nodes {
	return session.Nodes{{Origin: "broker/a", Key: session.KeyLine(public(seeded(1)))}, {Origin: "broker/b", Key: session.KeyLine(public(seeded(2)))}}
}

// Another accepted node's cosignature is found, dated and named, and every bit of it
// counts; the log's own signature still opens the note.
func TestAnAcceptedNodesCosignatureIsFound(t *testing.T) {
	at := time.Unix(1_780_000_000, 0).UTC()
	c := witness.Checkpoint{Origin: "broker/a", Size: 7, Root: [32]byte{9}}
	note := signed(t, c, seeded(1))
	line, err := witness.Cosign(c, "broker/b", seeded(2), at)
	if err != nil {
		t.Fatal(err)
	}
	both := append(bytes.Clone(note), line...)
	if got, err := witness.OpenCheckpoint(both, public(seeded(1))); err != nil || got != c {
		t.Fatalf("%+v, %v", got, err)
	}
	found := witness.Cosigners(both, nodes())
	if len(found) != 1 || found[0].Node.Origin != "broker/b" || !found[0].At.Equal(at) {
		t.Fatalf("%+v", found)
	}
	for i := range line {
		for bit := range 8 {
			bent := bytes.Clone(both)
			bent[len(note)+i] ^= 1 << bit
			if found := witness.Cosigners(bent, nodes()); len(found) != 0 && i < len(line)-1 {
				t.Fatalf("bit %d of byte %d does not count", bit, i)
			}
		}
	}
}

// Nobody cosigns by another's name, by an unknown key, for another checkpoint, or its own log.
func TestWhatIsNoCosignature(t *testing.T) {
	now := time.Unix(1_780_000_000, 0)
	c := witness.Checkpoint{Origin: "broker/a", Size: 7, Root: [32]byte{9}}
	longer := c
	longer.Size = 8
	for name, make := range map[string]func() ([]byte, error){
		"by another key":     func() ([]byte, error) { return witness.Cosign(c, "broker/b", seeded(3), now) },
		"by a stranger":      func() ([]byte, error) { return witness.Cosign(c, "broker/c", seeded(3), now) },
		"of another size":    func() ([]byte, error) { return witness.Cosign(longer, "broker/b", seeded(2), now) },
		"of its own log":     func() ([]byte, error) { return witness.Cosign(c, "broker/a", seeded(1), now) },
		"the log's own note": func() ([]byte, error) { return nil, nil },
	} {
		line, err := make()
		if err != nil {
			t.Fatal(err)
		}
		if found := witness.Cosigners(append(signed(t, c, seeded(1)), line...), nodes()); len(found) != 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
	if _, err := witness.Cosign(c, "two words", seeded(1), now); err == nil {
		t.Error("a name in words cosigns")
	}
}
