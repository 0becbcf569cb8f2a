package witness_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

func seeded(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func checkpoint(size int64, root byte) witness.Checkpoint {
	return witness.Checkpoint{Origin: "broker.example.org:8443", Size: size, Root: [32]byte{root}}
}

func signed(t testing.TB, c witness.Checkpoint, key ed25519.PrivateKey) []byte {
	t.Helper()
	b, err := c.Signed(key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Others' tools read our checkpoints: this is a note as x/mod opens it.
func TestACheckpointIsASignedNote(t *testing.T) {
	key, c := seeded(1), checkpoint(7, 9)
	b := signed(t, c, key)
	vkey, err := note.NewEd25519VerifierKey(c.Origin, public(key))
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(b, note.VerifierList(v))
	if err != nil || n.Text != "broker.example.org:8443\n7\n"+base64.StdEncoding.EncodeToString(c.Root[:])+"\n" {
		t.Errorf("%q, %v", n.Text, err)
	}
	if got, err := witness.OpenCheckpoint(b, public(key)); err != nil || got != c {
		t.Errorf("%+v became %+v, %v", c, got, err)
	}
	if _, err := witness.OpenCheckpoint(b, public(seeded(2))); err == nil {
		t.Error("another key opens it")
	}
	for _, origin := range []string{"", "two words", "a+b", "a\x1bb", "ä", strings.Repeat("a", 256)} {
		if _, err := (witness.Checkpoint{Origin: origin}).Signed(key); err == nil {
			t.Errorf("signed for %q", origin)
		}
	}
}

func TestEveryBitOfACheckpointCounts(t *testing.T) {
	key := seeded(1)
	b := signed(t, checkpoint(70000, 9), key)
	for i := range len(b) * 8 {
		bent := bytes.Clone(b)
		bent[i/8] ^= 1 << (i % 8)
		if c, err := witness.OpenCheckpoint(bent, public(key)); err == nil {
			t.Errorf("bit %d: %+v", i, c)
		}
	}
	for _, bent := range [][]byte{nil, b[:len(b)-1], append(bytes.Clone(b), b...), append([]byte("\n"), b...)} {
		if _, err := witness.OpenCheckpoint(bent, public(key)); err == nil {
			t.Errorf("%q", bent)
		}
	}
}

func TestWhatDoesNotFollowIsAFork(t *testing.T) {
	for name, c := range map[string]struct {
		older, newer witness.Checkpoint
		proof        witness.Consistency
		fork, good   bool
	}{
		"first":           {older: checkpoint(0, 0), newer: checkpoint(5, 1), good: true},
		"the same":        {older: checkpoint(5, 1), newer: checkpoint(5, 1), good: true},
		"two of one size": {older: checkpoint(5, 1), newer: checkpoint(5, 2), fork: true},
		"shrunk":          {older: checkpoint(5, 1), newer: checkpoint(4, 1), fork: true},
		"to nothing":      {older: checkpoint(5, 1), newer: checkpoint(0, 0), fork: true},
		"unproved":        {older: checkpoint(5, 1), newer: checkpoint(6, 2), proof: witness.Consistency{Old: 5}, fork: true},
		"from elsewhere":  {older: checkpoint(5, 1), newer: checkpoint(6, 2), proof: witness.Consistency{Old: 4}},
		"renamed":         {older: checkpoint(5, 1), newer: witness.Checkpoint{Origin: "x", Size: 6}, fork: true},
	} {
		err := witness.Follows(c.older, c.newer, c.proof)
		if (err == nil) != c.good || errors.Is(err, witness.ErrForked) != c.fork {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func event() witness.Event {
	return witness.Event{Seq: 3, Time: time.Unix(1, 2345000), Event: witness.Requested, Site: "NGH", Salt: make([]byte, 16),
		Who: &session.Identity{Iss: "https://idp", Sub: "<jana>"}, Details: map[string]string{"b": "2", "a": "1 & 1"}}
}

func TestAnEventHasOneSpelling(t *testing.T) {
	entry, err := event().Entry()
	want := `{"v":1,"seq":3,"time":"1970-01-01T00:00:01.002345Z","event":"request","site":"NGH","who":{"iss":"https://idp","sub":"<jana>"},"details":{"a":"1 & 1","b":"2"},"salt":"AAAAAAAAAAAAAAAAAAAAAA=="}`
	if err != nil || string(entry) != want {
		t.Errorf("%s, %v", entry, err)
	}
	if e, err := witness.ParseEvent(entry); err != nil || e.Seq != 3 || e.Who.Sub != "<jana>" {
		t.Errorf("%+v, %v", e, err)
	}
	for _, bad := range []string{
		"", "{}", " " + want, want + want, strings.Replace(want, `"v":1`, `"v":2`, 1), strings.Replace(want, `"v":1`, `"V":1`, 1),
		strings.Replace(want, `"v":1`, `"v":1,"x":1`, 1), strings.Replace(want, "1 & 1", "1 \\u0026 1", 1), strings.Replace(want, "1 & 1", "\\u001b[2J", 1),
	} {
		if e, err := witness.ParseEvent([]byte(bad)); err == nil {
			t.Errorf("%s is %+v", bad, e)
		}
	}
}

func TestDetailsAreBoundedAndSteerNothing(t *testing.T) {
	e := event()
	e.Details = map[string]string{"why": "a\x1b[31mb\u202ec\n" + strings.Repeat("x", 1000), "gone": ""}
	entry, err := e.Entry()
	if err != nil {
		t.Fatal(err)
	}
	back, err := witness.ParseEvent(entry)
	if err != nil || !strings.HasPrefix(back.Details["why"], "a\ufffd[31mb\ufffdc x") || len(back.Details["why"]) != 400 || len(back.Details) != 1 {
		t.Errorf("%q, %v", back.Details, err)
	}
	e.Details = map[string]string{}
	for i := range 17 {
		e.Details["k"+strings.Repeat("a", i)] = "v"
	}
	long := event()
	long.Who = &session.Identity{Sub: strings.Repeat("a", 600)}
	unsalted := event()
	unsalted.Salt = nil
	for name, e := range map[string]witness.Event{"17 details": e, "a long subject": long, "no salt": unsalted, "no name": {Salt: make([]byte, 16)}} {
		if _, err := e.Entry(); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

func TestWhoReadsWhat(t *testing.T) {
	jana, luis := session.Identity{Iss: "v", Sub: "jana"}, session.Identity{Iss: "v", Sub: "luis"}
	at := func(site string) bool { return site == "NGH" }
	own, elsewhere, global := witness.Event{Site: "NGH", Of: &jana}, witness.Event{Site: "XYZ", Who: &jana}, witness.Event{}
	for _, c := range []struct {
		e                  witness.Event
		who                session.Identity
		engineer, hospital bool
		want               bool
	}{
		{own, jana, true, false, true}, {own, luis, true, false, false}, {own, luis, false, true, true}, {own, jana, false, false, false},
		{elsewhere, jana, true, false, true}, {elsewhere, luis, false, true, false}, {global, luis, false, true, false}, {global, luis, true, false, false},
	} {
		if got := c.e.SeenBy(c.who, c.engineer, c.hospital, at); got != c.want {
			t.Errorf("%+v by %s (engineer %v, hospital %v): %v", c.e, c.who.Sub, c.engineer, c.hospital, got)
		}
	}
}

// proved is a log of three entries and the proof of the second.
func proved(t testing.TB, key ed25519.PrivateKey) witness.Inclusion {
	t.Helper()
	entry, err := event().Entry()
	if err != nil {
		t.Fatal(err)
	}
	x, y, z := witness.LeafHash([]byte("x")), witness.LeafHash(entry), witness.LeafHash([]byte("z"))
	roots, err := witness.Roots([][32]byte{x, y, z}, 3)
	if err != nil {
		t.Fatal(err)
	}
	c := witness.Checkpoint{Origin: "broker.example.org", Size: 3, Root: roots[0]}
	return witness.Inclusion{Index: 1, Entry: entry, Hashes: []tlog.Hash{x, z}, Checkpoint: signed(t, c, key)}
}

func TestEveryBitOfAProofCounts(t *testing.T) {
	key := seeded(1)
	text := proved(t, key).Text()
	if p, err := witness.ParseInclusion(text); err != nil {
		t.Fatal(err)
	} else if c, err := p.Included(public(key)); err != nil || c.Size != 3 {
		t.Fatal(err)
	}
	for i := range len(text) * 8 {
		bent := bytes.Clone(text)
		bent[i/8] ^= 1 << (i % 8)
		p, err := witness.ParseInclusion(bent)
		if err == nil {
			_, err = p.Included(public(key))
		}
		if err == nil {
			t.Errorf("bit %d of %q", i, text[max(0, i/8-10):i/8+1])
		}
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(signed(f, checkpoint(7, 9), seeded(1)))
	f.Add([]byte("a\n0\n\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := witness.ReadCheckpoint(b); err == nil {
			if again, err := witness.OpenCheckpoint(signed(t, c, seeded(1)), public(seeded(1))); err != nil || again != c {
				t.Fatalf("%q became %+v, %v", b, again, err)
			}
		}
	})
}

func FuzzInclusion(f *testing.F) {
	f.Add(proved(f, seeded(1)).Text())
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := witness.ParseInclusion(b); err == nil {
			if !bytes.Equal(p.Text(), b) {
				t.Fatalf("%q became %q", b, p.Text())
			}
			_, _ = p.Included(nil)
		}
	})
}

func FuzzConsistency(f *testing.F) {
	f.Add(witness.Consistency{Old: 5, Hashes: []tlog.Hash{{1}, {2}}}.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := witness.ParseConsistency(b); err == nil {
			if !bytes.Equal(p.Bytes(), b) {
				t.Fatalf("%x became %x", b, p.Bytes())
			}
			_ = witness.Follows(checkpoint(5, 1), checkpoint(9, 2), p)
		}
	})
}

func FuzzEvent(f *testing.F) {
	entry, err := event().Entry()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(entry)
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := witness.ParseEvent(b); err == nil {
			if again, err := e.Entry(); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%s became %s", b, again)
			}
		}
	})
}
