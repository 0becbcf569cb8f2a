package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Files keeps copies of logs by their names. A file is written once and for good, and
// vault.LogHead alone is replaced; both are durable when they return. What does not exist is
// fs.ErrNotExist.
type Files interface {
	PutLog(ctx context.Context, log, file string, content []byte) error
	Log(ctx context.Context, log, file string) ([]byte, error)
}

// head is what a copy has beside full tiles: a checkpoint, and the entries since the last
// full bundle. Its tiles are there before it is.
type head struct {
	Checkpoint []byte   `json:"checkpoint"`
	Entries    [][]byte `json:"entries,omitempty"`
}

// CopyTo brings a copy of the log up to date, so that it can be proved from when this node
// is lost. What is there already is not written again.
func (l *Log) CopyTo(ctx context.Context, to Files) error {
	note, c, err := l.checkpoint()
	if err != nil {
		return err
	}
	had, err := l.copied(ctx, to)
	if err != nil || had == c.Size {
		return err
	}
	for _, name := range fullTiles(had, c.Size) {
		content, err := os.ReadFile(filepath.Join(l.cfg.Dir, name))
		if err == nil {
			err = to.PutLog(ctx, l.cfg.Origin, name, content)
		}
		if err != nil {
			return fmt.Errorf("copy the audit log: %w", err)
		}
	}
	tail, err := l.Entries(c.Size/width*width, c.Size)
	if err != nil {
		return err
	}
	content, err := json.Marshal(head{Checkpoint: note, Entries: tail})
	if err == nil {
		err = to.PutLog(ctx, l.cfg.Origin, vault.LogHead, content)
	}
	if err != nil {
		return fmt.Errorf("copy the audit log: %w", err)
	}
	return nil
}

// copied is how many entries the copy of this log has; a copy that is not its own is
// written over by nobody.
func (l *Log) copied(ctx context.Context, to Files) (int64, error) {
	c, err := OpenCopy(ctx, to, l.Node())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if root, err := tlog.TreeHash(min(c.at.Size, l.tree.size), l.tree); err != nil || root != c.at.Root {
		return 0, errors.Join(fmt.Errorf("%w: its copy knows %d entries that are not here", ErrLost, c.at.Size), err)
	}
	return c.at.Size, nil
}

// fullTiles are the files that a log of size entries has in full and one of had entries
// has not.
func fullTiles(had, size int64) []string {
	var names []string
	for n := had / width; n < size/width; n++ {
		names = append(names, tilePath("entries", n, 0))
	}
	for level := 0; size >= width; level++ {
		had, size = had/width, size/width
		for n := had; n < size; n++ {
			names = append(names, tilePath(strconv.Itoa(level), n, 0))
		}
	}
	return names
}

// Copy is the log of a node as far as its copy goes. Safe for concurrent use.
type Copy struct {
	at   witness.Checkpoint
	note []byte
	tree *tree
}

// OpenCopy opens the copy of a node's log, if that node's key signed it. What is read from
// it afterwards is checked against the signed checkpoint.
func OpenCopy(ctx context.Context, from Files, node session.Node) (*Copy, error) {
	pub, err := session.ParseKeyLine(node.Key)
	if err != nil {
		return nil, err
	}
	content, err := from.Log(ctx, node.Origin, vault.LogHead)
	if err != nil {
		return nil, err
	}
	var h head
	if err := json.Unmarshal(content, &h); err != nil {
		return nil, fmt.Errorf("the copy of the audit log %s: %w", node.Origin, err)
	}
	at, err := witness.OpenCheckpoint(h.Checkpoint, pub)
	if err != nil || at.Origin != node.Origin || int64(len(h.Entries)) != at.Size%width {
		return nil, errors.Join(fmt.Errorf("the copy of the audit log %s is not its own", node.Origin), err)
	}
	read := func(name string) ([]byte, error) { return from.Log(ctx, node.Origin, name) }
	t, err := readTree(&tree{read: read, size: at.Size / width * width})
	if err != nil {
		return nil, err
	}
	for _, entry := range h.Entries {
		t.add(entry)
	}
	if root, err := tlog.TreeHash(at.Size, t); err != nil || root != at.Root {
		return nil, errors.Join(fmt.Errorf("%w: the copy of %s is not what it signed", ErrLost, node.Origin), err)
	}
	return &Copy{at: at, note: h.Checkpoint, tree: t}, nil
}

// Checkpoint is the newest that was copied.
func (c *Copy) Checkpoint() ([]byte, error) { return c.note, nil }

// Entries is Log.Entries.
func (c *Copy) Entries(from, to int64) ([][]byte, error) {
	return c.tree.entries(from, min(to, c.at.Size))
}

// Leaves is Log.Leaves.
func (c *Copy) Leaves(from, to int64) ([]byte, error) { return c.tree.leaves(from, min(to, c.at.Size)) }

// Find is Log.Find.
func (c *Copy) Find(fits func(entry []byte) bool) (index int64, found bool, err error) {
	return find(c.at.Size, c.tree.entries, fits)
}

// Reading is the copy as a log that is only read.
func (c *Copy) Reading() *Reading { return &Reading{c.tree} }

// Prove is Log.Prove.
func (c *Copy) Prove(index int64) (witness.Inclusion, error) {
	return c.tree.prove(index, c.note, c.at)
}
