package simulator

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pkg/sftp"
)

// home is the directory that people see at base; nothing outside it can be reached,
// whatever the name and whatever links somebody plants.
type home struct {
	root *os.Root
	base string // "/home/svc_meridian"
}

// resolve makes a name absolute, as seen from cwd.
func (h home) resolve(cwd, name string) string {
	if name == "~" || strings.HasPrefix(name, "~/") {
		return path.Join(h.base, name[1:])
	}
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(cwd, name)
}

// rel is the name inside the root of an absolute path; false outside the home.
func (h home) rel(abs string) (string, bool) {
	if abs == h.base {
		return ".", true
	}
	return strings.CutPrefix(abs, h.base+"/")
}

func (h home) short(abs string) string {
	if rel, ok := h.rel(abs); ok {
		return strings.TrimSuffix("~/"+rel, "/.")
	}
	return abs
}

// virtual reports whether abs is a directory on the way to the home.
func (h home) virtual(abs string) bool {
	return abs == "/" || abs != h.base && strings.HasPrefix(h.base, abs+"/")
}

func (h home) stat(abs string) (fs.FileInfo, error) {
	if h.virtual(abs) {
		return virtualDir(path.Base(abs)), nil
	}
	rel, ok := h.rel(abs)
	if !ok {
		return nil, fs.ErrNotExist
	}
	return h.root.Stat(rel)
}

// list is a directory's entries by name.
func (h home) list(abs string) ([]fs.FileInfo, error) {
	if h.virtual(abs) {
		next, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(h.base, abs), "/"), "/")
		return []fs.FileInfo{virtualDir(next)}, nil
	}
	rel, ok := h.rel(abs)
	if !ok {
		return nil, fs.ErrNotExist
	}
	entries, err := fs.ReadDir(h.root.FS(), rel)
	if err != nil {
		return nil, err
	}
	out := make([]fs.FileInfo, 0, len(entries))
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else it has gone meanwhile
			out = append(out, info)
		}
	}
	return out, nil
}

// open opens a regular file for reading.
func (h home) open(abs string) (*os.File, error) {
	rel, ok := h.rel(abs)
	if !ok {
		return nil, fs.ErrNotExist
	}
	return h.root.Open(rel)
}

// virtualDir is a directory that exists only as a name.
type virtualDir string

func (d virtualDir) Name() string       { return string(d) }
func (d virtualDir) Size() int64        { return 0 }
func (d virtualDir) Mode() fs.FileMode  { return fs.ModeDir | 0o755 }
func (d virtualDir) ModTime() time.Time { return time.Time{} }
func (d virtualDir) IsDir() bool        { return true }
func (d virtualDir) Sys() any           { return nil }

// handlers serve a home over sftp.
type handlers struct{ home }

// writable is the inner name of a path that may be changed.
func (h handlers) writable(abs string) (string, error) {
	rel, ok := h.rel(path.Clean(abs))
	if !ok || rel == "." {
		return "", fs.ErrPermission
	}
	return rel, nil
}

func (h handlers) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	f, err := h.open(path.Clean(r.Filepath))
	if err != nil {
		return nil, plain(err)
	}
	return f, nil
}

func (h handlers) Filewrite(r *sftp.Request) (io.WriterAt, error) { return h.OpenFile(r) }

// OpenFile opens for writing, or reading and writing. Appending clients send offsets,
// so the flag itself is not needed.
func (h handlers) OpenFile(r *sftp.Request) (sftp.WriterAtReaderAt, error) {
	rel, err := h.writable(r.Filepath)
	if err != nil {
		return nil, err
	}
	asked, flags := r.Pflags(), os.O_WRONLY
	if asked.Read {
		flags = os.O_RDWR
	}
	if asked.Creat {
		flags |= os.O_CREATE
	}
	if asked.Trunc {
		flags |= os.O_TRUNC
	}
	if asked.Excl {
		flags |= os.O_EXCL
	}
	f, err := h.root.OpenFile(rel, flags, 0o644)
	if err != nil {
		return nil, plain(err)
	}
	return f, nil
}

func (h handlers) Filecmd(r *sftp.Request) error {
	rel, err := h.writable(r.Filepath)
	if err != nil && r.Method != "Setstat" {
		return err
	}
	switch r.Method {
	case "Setstat":
		return plain(h.setstat(r))
	case "Mkdir":
		return plain(h.root.Mkdir(rel, 0o755))
	case "Remove", "Rmdir":
		return h.remove(rel, r.Method == "Rmdir")
	case "Rename":
		return h.rename(r, false)
	}
	return sftp.ErrSSHFxOpUnsupported // links of both kinds
}

// PosixRename replaces its target, Rename does not.
func (h handlers) PosixRename(r *sftp.Request) error { return h.rename(r, true) }

func (h handlers) rename(r *sftp.Request, replace bool) error {
	from, err := h.writable(r.Filepath)
	if err != nil {
		return err
	}
	to, err := h.writable(r.Target)
	if err != nil {
		return err
	}
	if _, err := h.root.Lstat(to); err == nil && !replace {
		return fs.ErrExist
	}
	return plain(h.root.Rename(from, to))
}

func (h handlers) remove(rel string, dir bool) error {
	info, err := h.root.Lstat(rel)
	if err != nil {
		return plain(err)
	}
	if info.IsDir() != dir {
		return errors.New("a directory and a file are removed in different ways")
	}
	return plain(h.root.Remove(rel))
}

func (h handlers) setstat(r *sftp.Request) error {
	rel, err := h.writable(r.Filepath)
	if err != nil {
		return err
	}
	flags, attrs := r.AttrFlags(), r.Attributes()
	if flags.Size {
		f, err := h.root.OpenFile(rel, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Truncate(int64(attrs.Size)), f.Close()); err != nil {
			return err
		}
	}
	if flags.Permissions {
		if err := h.root.Chmod(rel, attrs.FileMode().Perm()); err != nil {
			return err
		}
	}
	if flags.Acmodtime {
		return h.root.Chtimes(rel, attrs.AccessTime(), attrs.ModTime())
	}
	return nil
}

func (h handlers) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	abs := path.Clean(r.Filepath)
	switch r.Method {
	case "List":
		infos, err := h.list(abs)
		return infoList(infos), plain(err)
	case "Stat":
		info, err := h.stat(abs)
		return infoList{info}, plain(err)
	}
	return nil, sftp.ErrSSHFxOpUnsupported
}

type infoList []fs.FileInfo

func (l infoList) ListAt(into []fs.FileInfo, offset int64) (int, error) {
	if offset < 0 || offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(into, l[offset:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

// plain reduces an error to what a stranger may know: no path of this machine.
func plain(err error) error {
	for _, known := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission} {
		if errors.Is(err, known) {
			return known
		}
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// names lists a directory for people.
func (h home) names(abs string) ([]fs.FileInfo, error) {
	infos, err := h.list(abs)
	if err != nil {
		return nil, plain(err)
	}
	return slices.DeleteFunc(infos, func(i fs.FileInfo) bool { return strings.HasPrefix(i.Name(), ".") }), nil
}
