package durable

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// unfinished begins the name of a file that has not got its own yet.
const unfinished = ".new-"

// File is a file that appears under its name only when it is complete. It is 0600
// unless Chmod says otherwise.
type File struct {
	*os.File
	dir  *os.Root
	temp string
	name string
}

// Create begins the file at path, whose directory must be there.
func Create(path string) (*File, error) {
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	temp := unfinished + rand.Text()[:16]
	f, err := dir.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, private)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &File{File: f, dir: dir, temp: temp, name: filepath.Base(path)}, nil
}

// Commit syncs the file and gives it its name, replacing what had it.
func (f *File) Commit() error {
	return f.named(func() error { return f.dir.Rename(f.temp, f.name) })
}

// Publish syncs the file and gives it its name; where something has that name already
// it fails with fs.ErrExist. A link, unlike a rename, never replaces.
func (f *File) Publish() error {
	return f.named(func() error { return f.dir.Link(f.temp, f.name) })
}

func (f *File) named(name func() error) error {
	if f.dir == nil {
		return fs.ErrClosed
	}
	defer f.Abort()
	if err := errors.Join(f.Sync(), f.File.Close()); err != nil {
		return err
	}
	if err := name(); err != nil {
		return err
	}
	d, err := f.dir.Open(".")
	if err != nil {
		return err
	}
	return syncOpen(d)
}

// show gives the file its name and leaves it to the system when it reaches the disk.
func (f *File) show() error {
	defer f.Abort()
	if err := f.File.Close(); err != nil {
		return err
	}
	return f.dir.Rename(f.temp, f.name)
}

// Abort removes what was not committed. It may follow Commit and Publish, and then does
// nothing.
func (f *File) Abort() {
	if f.dir == nil {
		return
	}
	_ = f.File.Close()
	_ = f.dir.Remove(f.temp)
	_ = f.dir.Close()
	f.dir = nil
}

// Write puts data at path, 0600, in place of what was there. It is on the disk when
// Write returns; after an error either content may be.
func Write(path string, data []byte) error { return WriteMode(path, data, private) }

// WriteMode is Write with a mode, whatever the umask.
func WriteMode(path string, data []byte, mode fs.FileMode) error {
	return write(path, data, mode, (*File).Commit)
}

// WriteNew is Write where nothing has the name yet; otherwise it fails with fs.ErrExist.
func WriteNew(path string, data []byte) error {
	return write(path, data, private, (*File).Publish)
}

// Show is Write for what nothing depends on after a power cut: readers see the old
// content or the new one, and it reaches the disk when the system pleases.
func Show(path string, data []byte) error { return write(path, data, private, (*File).show) }

func write(path string, data []byte, mode fs.FileMode, finish func(*File) error) error {
	f, err := Create(path)
	if err == nil {
		defer f.Abort()
		_, err = f.Write(data)
		if err == nil {
			err = f.Chmod(mode)
		}
		if err == nil {
			err = finish(f)
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Once makes the file at path from what content returns, if there is none. Several
// processes may do so at once: one of them makes it and nothing is ever replaced.
func Once(path string, mode fs.FileMode, content func() ([]byte, error)) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data, err := content()
	if err != nil {
		return err
	}
	if err := write(path, data, mode, (*File).Publish); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // another process was quicker
}

// Read reads a regular file of at most most bytes.
func Read(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, most)
}

// ReadPrivate is Read for what nobody but the owner may read.
func ReadPrivate(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" { // which has no such modes
		return nil, &Exposed{Path: path, Mode: info.Mode().Perm()}
	}
	return read(f, most)
}

// Exposed says that others can read a file that must be private.
type Exposed struct {
	Path string
	Mode fs.FileMode
}

func (e *Exposed) Error() string {
	return fmt.Sprintf("others can read %s (mode %04o): chmod 600 it", e.Path, e.Mode)
}

func read(f *os.File, most int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", f.Name())
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, fmt.Errorf("%s is larger than %d bytes", f.Name(), most)
	}
	return data, err
}

// MakeDir makes a directory (0700) and those above it that are missing; each is durable
// in the one above it.
func MakeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := MakeDir(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, privateDir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(above)
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return syncOpen(d)
}

func syncOpen(d *os.File) error {
	if runtime.GOOS == "windows" {
		return d.Close() // NTFS keeps a journal of names, and a directory cannot be flushed
	}
	return errors.Join(d.Sync(), d.Close())
}

// Sweep removes what interrupted writes left in a directory. Only who holds the
// directory may: another's write may be under way.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), unfinished) && e.Type().IsRegular() {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
