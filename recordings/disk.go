package recordings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// disk is where one recording is written. commit is all or nothing and on stable
// storage when it returns; a missing file is fs.ErrNotExist.
type disk interface {
	create(name string) (file, error) // must not exist
	read(name string) ([]byte, error)
	commit(name string, part []byte) error
	remove(name string) error
}

// file is an open segment. A short write is an error.
type file interface {
	io.WriteCloser
	Sync() error
}

// directory is a disk in a directory of its own.
type directory struct{ root *os.Root }

// newDirectory makes dir, which must not exist.
func newDirectory(dir string) (*directory, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return openDirectory(dir)
}

func openDirectory(dir string) (*directory, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &directory{root: root}, nil
}

func (d *directory) create(name string) (file, error) {
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := d.sync(); err != nil {
		return nil, errors.Join(err, f.Close(), d.root.Remove(name))
	}
	return f, nil
}

// read reads a file that may not be larger than a part.
func (d *directory) read(name string) ([]byte, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	if info.Size() > MaxPart {
		return nil, fmt.Errorf("%s is %w", name, errTooLong)
	}
	b := make([]byte, info.Size())
	n, err := io.ReadFull(f, b)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

const unfinished = ".tmp"

func (d *directory) commit(name string, part []byte) (err error) {
	tmp := name + unfinished
	f, err := d.root.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(d.root.Remove(tmp)))
		}
	}()
	_, err = f.Write(part)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = d.root.Rename(tmp, name); err != nil {
		return err
	}
	return d.sync()
}

func (d *directory) remove(name string) error { return d.root.Remove(name) }

func (d *directory) sync() error {
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// sweep removes what an interrupted commit left behind.
func (d *directory) sweep() error {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), unfinished); ok && ValidPart(name) {
			err = errors.Join(err, d.root.Remove(e.Name()))
		}
	}
	return err
}

func (d *directory) close() error { return d.root.Close() }

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
