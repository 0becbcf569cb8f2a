package recordings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/session/durable"
)

// disk is where one recording is written. A missing file is fs.ErrNotExist.
type disk interface {
	create(name string) (file, error) // must not exist; waits for no sync
	read(name string) ([]byte, error)
	remove(name string) error
	publisher
}

// publisher gives parts their names, all or nothing and on stable storage when it returns.
type publisher interface {
	commit(name string, part []byte) error
	rename(from, to string) error
}

// file is an open segment, with room for its head at its beginning. A short write is
// an error.
type file interface {
	io.WriteCloser
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// framesOf is what stands in an open segment's file behind the room for its head.
func framesOf(b []byte) []byte { return b[min(segmentHead, len(b)):] }

// directory is a disk in a directory of its own.
type directory struct{ root *os.Root }

// newDirectory makes dir, which must not exist.
func newDirectory(dir string) (*directory, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := durable.SyncDir(filepath.Dir(dir)); err != nil {
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
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(segmentHead, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close(), d.root.Remove(name))
	}
	return &openFile{File: f, dir: d}, nil
}

// openFile is an open segment whose name is on stable storage once its content is.
type openFile struct {
	*os.File
	dir   *directory
	named bool
}

func (f *openFile) Sync() error {
	err := f.File.Sync()
	if err == nil && !f.named {
		f.named, err = true, f.dir.sync()
	}
	return err
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

// head reads the first bytes of a segment, and how long all of it is.
func (d *directory) head(name string) ([]byte, int64, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	b := make([]byte, segmentHead)
	n, err := io.ReadFull(f, b)
	if ended(err) {
		err = nil
	}
	return b[:n], info.Size(), err
}

func (d *directory) commit(name string, part []byte) error {
	return durable.Write(filepath.Join(d.root.Name(), name), part)
}

func (d *directory) rename(from, to string) error {
	if err := d.root.Rename(from, to); err != nil {
		return err
	}
	return d.sync()
}

func (d *directory) remove(name string) error { return d.root.Remove(name) }

func (d *directory) sync() error { return durable.SyncDir(d.root.Name()) }

func (d *directory) close() error { return d.root.Close() }

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
