package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// Directory is a Vault in a directory of a local file system that has hard links:
// SITE/RECORDING/PART, parts read-only. A part arrives in incoming/ and is linked to
// its name when it is whole and synced; a link, unlike a rename, never replaces.
type Directory struct {
	root *os.Root
}

var (
	_ Vault    = (*Directory)(nil)
	_ Receipts = (*Directory)(nil)
)

// incoming can be no site: names have no dot.
const incoming = ".incoming"

// OpenDirectory opens the vault in dir and makes it where it does not exist. The nodes of
// a broker share one. What an interrupted Put left behind is removed once no node can still
// be writing it.
func OpenDirectory(dir string) (*Directory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the vault: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the vault: %w", err)
	}
	d := &Directory{root: root}
	if err := root.Mkdir(incoming, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, errors.Join(fmt.Errorf("open the vault: %w", err), root.Close())
	}
	if err := d.sweep(time.Now().Add(-abandoned)); err != nil {
		return nil, errors.Join(fmt.Errorf("tidy the vault: %w", err), root.Close())
	}
	return d, nil
}

// sweep removes what arrived and was not written to since before.
func (d *Directory) sweep(before time.Time) error {
	entries, err := fs.ReadDir(d.root.FS(), incoming)
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.ModTime().Before(before) {
			err = d.root.RemoveAll(path.Join(incoming, e.Name()))
		}
		if err != nil {
			return err
		}
	}
	return err
}

// Close frees the directory. Nothing is lost without it.
func (d *Directory) Close() error { return d.root.Close() }

// Put stores a part. See Vault.
func (d *Directory) Put(ctx context.Context, p Part, body io.Reader) error {
	if err := checkName(p.Site, p.Recording, p.Name); err != nil {
		return err
	}
	if sum, err := hex.DecodeString(p.SHA256); p.SHA256 != "" && (err != nil || len(sum) != sha256.Size) {
		return session.Errorf(session.Invalid, "%.70q is not a SHA-256 in hex", p.SHA256)
	}
	if p.Size <= 0 || p.Size > recordings.Largest(p.Name) {
		return session.Errorf(session.Invalid, "a part of %d bytes is out of bounds", p.Size)
	}
	arrived := path.Join(incoming, rand.Text())
	defer func() { _ = d.root.Remove(arrived) }()
	if err := d.receive(ctx, arrived, p, body); err != nil {
		return err
	}
	if err := d.publish(arrived, p); err != nil {
		return fmt.Errorf("store %s of %s: %w", p.Name, p.Recording, err)
	}
	return nil
}

// receive writes the body to a file of its own and syncs it.
func (d *Directory) receive(ctx context.Context, name string, p Part, body io.Reader) error {
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o400)
	if err != nil {
		return err
	}
	hash, to := sha256.New(), io.Writer(f)
	if p.SHA256 != "" {
		to = io.MultiWriter(f, hash)
	}
	n, err := io.CopyBuffer(to, struct{ io.Reader }{io.LimitReader(body, p.Size+1)}, make([]byte, copyBytes))
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("receive a part: %w", err)
	}
	if n != p.Size || p.SHA256 != "" && hex.EncodeToString(hash.Sum(nil)) != strings.ToLower(p.SHA256) {
		return session.Errorf(session.Invalid, "the part that arrived is not the one that was announced").
			WithNext("Send it again.")
	}
	return nil
}

// publish gives a received file its name, unless something else has it.
func (d *Directory) publish(arrived string, p Part) error {
	folder := filepath.Join(d.root.Name(), p.Site, p.Recording)
	if err := durable.MakeDir(folder); err != nil {
		return err
	}
	name := path.Join(p.Site, p.Recording, p.Name)
	err := d.root.Link(arrived, name)
	if errors.Is(err, fs.ErrExist) {
		err = d.compare(name, arrived)
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(folder)
}

// compare refuses what arrived unless it is what stands under its name already.
func (d *Directory) compare(name, arrived string) error {
	var sums [2][]byte
	for i, n := range []string{name, arrived} {
		f, err := d.root.Open(n)
		if err != nil {
			return err
		}
		hash := sha256.New()
		_, err = io.Copy(hash, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		sums[i] = hash.Sum(nil)
	}
	if !bytes.Equal(sums[0], sums[1]) {
		return &session.Error{Kind: session.Refused, Message: "This part is in the vault already, with another content", Err: ErrConflict,
			Next: "Nothing in the vault is ever replaced; look for two agents with one identity."}
	}
	return nil
}

// Open reads a part. See Vault.
func (d *Directory) Open(_ context.Context, site, recording, part string) (io.ReadCloser, error) {
	if err := checkName(site, recording, part); err != nil {
		return nil, err
	}
	f, err := d.root.Open(path.Join(site, recording, part))
	if err != nil {
		return nil, fmt.Errorf("open %s of %s: %w", part, recording, err)
	}
	return f, nil
}

// Used is how many bytes the parts of a site's recordings have. It looks at each.
func (d *Directory) Used(ctx context.Context, site string) (n int64, err error) {
	if !session.ValidName(site) {
		return 0, session.Errorf(session.Invalid, "%.60q is not the name of a site", site)
	}
	err = fs.WalkDir(d.root.FS(), site, func(_ string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("measure what %s has stored: %w", site, err)
	}
	return n, nil
}

// Size is how many bytes a part has. See Vault.
func (d *Directory) Size(_ context.Context, site, recording, part string) (int64, error) {
	if err := checkName(site, recording, part); err != nil {
		return 0, err
	}
	info, err := d.root.Stat(path.Join(site, recording, part))
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		return 0, fmt.Errorf("measure %s of %s: %w", part, recording, err)
	}
	return info.Size(), nil
}
