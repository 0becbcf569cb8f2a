package audit

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A log is read where it lies while it is written, over full tiles and the journal; what is
// not the log that was signed is refused.
func TestReadingBesideTheWriter(t *testing.T) {
	dir := t.TempDir()
	l := openLog(dir)
	defer l.Close()
	for _, n := range []int{1, 255, 300} {
		appendAll(t, l, n)
		r, err := Read(dir, l.Key())
		if err != nil {
			t.Fatal(err)
		}
		seen := int64(0)
		at, found, err := r.Find(0, func([]byte) bool { seen++; return seen == l.Size() })
		if err != nil || !found || at != 0 || seen != l.Size() {
			t.Errorf("%d entries: %d read, down to %d, %v", l.Size(), seen, at, err)
		}
		if at, _, _ := r.Find(1, func([]byte) bool { return true }); at != 0 {
			t.Errorf("before the second: %d", at)
		}
		if _, err := l.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	torn := filepath.Join(dir, "journal")
	b, err := os.ReadFile(torn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, make(ed25519.PublicKey, ed25519.PublicKeySize)); err == nil {
		t.Error("another's checkpoint is taken")
	}
	if err := os.WriteFile(torn, b[:len(b)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, l.Key()); !errors.Is(err, ErrLost) {
		t.Errorf("a log that lost what it signed: %v", err)
	}
}
