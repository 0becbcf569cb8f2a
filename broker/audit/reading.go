package audit

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sallyport/sallyport/recordings/witness"
)

// Reading is a log where it lies, as far as it was written when it was opened.
type Reading struct{ tree *tree }

// Read opens a log for reading, also beside the broker that writes it: it takes no lock and
// changes nothing. What it finds is held against the last checkpoint that anybody saw.
func Read(dir string, key ed25519.PublicKey) (*Reading, error) {
	note, err := os.ReadFile(filepath.Join(dir, "checkpoint")) // before the journal, which goes on
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the audit log's checkpoint: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		return nil, fmt.Errorf("read the audit log's journal: %w", err)
	}
	base, groups, _, err := readJournal(b)
	if err != nil {
		return nil, err
	}
	t, err := openTree(dir, base) // its tiles were there before the journal
	if err != nil {
		return nil, err
	}
	for _, entries := range groups {
		for _, entry := range entries {
			t.add(entry)
		}
	}
	if note == nil {
		return &Reading{t}, nil
	}
	c, err := witness.OpenCheckpoint(note, key)
	if err != nil {
		return nil, fmt.Errorf("the audit log's own checkpoint: %w", err)
	}
	if c.Size > t.size {
		return nil, fmt.Errorf("%w: %d were published and %d are here", ErrLost, c.Size, t.size)
	}
	if root, err := tlog.TreeHash(c.Size, t); err != nil || root != c.Root {
		return nil, errors.Join(fmt.Errorf("%w: they are not those of its checkpoint", ErrLost), err)
	}
	return &Reading{t}, nil
}

// Find is Log.Find, of the entries before a number; 0: of all.
func (r *Reading) Find(before int64, fits func(entry []byte) bool) (index int64, found bool, err error) {
	to := r.tree.size
	if before > 0 {
		to = min(to, before)
	}
	return find(to, r.tree.entries, fits)
}
