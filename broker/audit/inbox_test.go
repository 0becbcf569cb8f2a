package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/recordings/witness"
)

func TestABadNoteKeepsNoneWaiting(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l, err := Open(Config{Dir: dir, Key: key, Origin: "broker.example/broker-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Leave(dir, witness.Event{Event: witness.JoinTokenMade, Site: "NGH"}); err != nil {
		t.Fatal(err)
	}
	in := inbox(dir)
	for name, text := range map[string][]byte{"0-none.json": nil, "0-words.json": []byte("hello"), "0-large.json": make([]byte, 1<<20)} {
		if err := os.WriteFile(filepath.Join(in, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A directory that cannot be set aside, because its new name is taken by a full one.
	for _, name := range []string{"0-stuck.json", "0-dir.json", filepath.Join("0-stuck.unreadable", "full")} {
		if err := os.MkdirAll(filepath.Join(in, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var bad *BadNotes
	for range 2 {
		if err := l.TakeNotes(context.Background()); !errors.As(err, &bad) {
			t.Fatalf("a note that stays is not said: %v", err)
		}
	}
	if l.Size() != 5 { // four that cannot be read, each once, and the good one
		t.Errorf("the log has %d entries", l.Size())
	}
	left, err := filepath.Glob(filepath.Join(in, "*.json"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "0-stuck.json" {
		t.Errorf("notes that stay: %v, %v", left, err)
	}
}
