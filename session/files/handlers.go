package files

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/pkg/sftp"

	"github.com/sallyport/sallyport/session"
)

// handlers answer an sftp client's requests by asking the device.
type handlers struct {
	cfg  Config
	far  *remote
	mu   sync.Mutex
	open int // files and directories
}

// allowed refuses an operation that is not granted, or whose path is too long.
func (h *handlers) allowed(ok bool, what, path string) error {
	if len(path) > maxPath || strings.ContainsRune(path, 0) {
		h.cfg.Refused("sftp "+what, "path too long or malformed")
		return sftp.ErrSSHFxFailure
	}
	if !ok {
		h.cfg.Refused("sftp "+what, path)
		return sftp.ErrSSHFxPermissionDenied
	}
	return nil
}

func (h *handlers) take() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open >= maxOpen {
		return sftp.ErrSSHFxFailure
	}
	h.open++
	return nil
}

func (h *handlers) give() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
}

// Fileread opens a file for reading.
func (h *handlers) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	if err := h.allowed(h.cfg.Out, "read", r.Filepath); err != nil {
		return nil, err
	}
	return h.openFile(r, session.FilesOut, os.O_RDONLY)
}

// Filewrite opens a file for writing.
func (h *handlers) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	if err := h.allowed(h.cfg.In, "write", r.Filepath); err != nil {
		return nil, err
	}
	return h.openFile(r, session.FilesIn, os.O_WRONLY|flags(r.Pflags()))
}

// OpenFile opens a file for both.
func (h *handlers) OpenFile(r *sftp.Request) (sftp.WriterAtReaderAt, error) {
	if err := h.allowed(h.cfg.In && h.cfg.Out, "read and write", r.Filepath); err != nil {
		return nil, err
	}
	return h.openFile(r, session.FilesIn, os.O_RDWR|flags(r.Pflags()))
}

func flags(p sftp.FileOpenFlags) int {
	f := 0
	for _, x := range []struct {
		set  bool
		flag int
	}{{p.Append, os.O_APPEND}, {p.Creat, os.O_CREATE}, {p.Trunc, os.O_TRUNC}, {p.Excl, os.O_EXCL}} {
		if x.set {
			f |= x.flag
		}
	}
	return f
}

// Filecmd changes something other than content.
func (h *handlers) Filecmd(r *sftp.Request) error {
	action := strings.ToLower(r.Method)
	if err := h.allowed(h.cfg.In && len(r.Target) <= maxPath, action, r.Filepath); err != nil {
		return err
	}
	c := h.far.client
	change := session.FileChange{Action: action, Path: r.Filepath, Target: r.Target}
	switch r.Method {
	case "Setstat":
		return h.setstat(r)
	case "Rename":
		return h.ask(change, func() error { return c.Rename(r.Filepath, r.Target) })
	case "Rmdir":
		return h.ask(change, func() error { return c.RemoveDirectory(r.Filepath) })
	case "Remove":
		return h.ask(change, func() error { return c.Remove(r.Filepath) })
	case "Mkdir":
		return h.ask(change, func() error { return c.Mkdir(r.Filepath) })
	case "Link":
		return h.ask(change, func() error { return c.Link(r.Filepath, r.Target) })
	case "Symlink":
		return h.ask(change, func() error { return c.Symlink(r.Filepath, r.Target) })
	}
	h.cfg.Refused("sftp "+action, r.Filepath)
	return sftp.ErrSSHFxOpUnsupported
}

// PosixRename renames over an existing file.
func (h *handlers) PosixRename(r *sftp.Request) error {
	if err := h.allowed(h.cfg.In && len(r.Target) <= maxPath, "rename", r.Filepath); err != nil {
		return err
	}
	return h.ask(session.FileChange{Action: "rename", Path: r.Filepath, Target: r.Target}, func() error {
		return h.far.client.PosixRename(r.Filepath, r.Target)
	})
}

// setstat changes attributes, each on record with its value.
func (h *handlers) setstat(r *sftp.Request) error {
	set, stat := r.AttrFlags(), r.Attributes()
	if stat == nil {
		return sftp.ErrSSHFxBadMessage
	}
	c, path := h.far.client, r.Filepath
	for _, step := range []struct {
		do    bool
		value string
		ask   func() error
	}{
		{set.Size, fmt.Sprintf("size %d", stat.Size), func() error { return c.Truncate(path, int64(stat.Size)) }},
		{set.Permissions, fmt.Sprintf("mode %o", stat.Mode), func() error { return c.Chmod(path, stat.FileMode()) }},
		{set.UidGid, fmt.Sprintf("owner %d:%d", stat.UID, stat.GID), func() error { return c.Chown(path, int(stat.UID), int(stat.GID)) }},
		{set.Acmodtime, fmt.Sprintf("times %d %d", stat.Atime, stat.Mtime), func() error {
			return c.Chtimes(path, stat.AccessTime(), stat.ModTime())
		}},
	} {
		if !step.do {
			continue
		}
		if err := h.ask(session.FileChange{Action: "setstat", Path: path, Target: step.value}, step.ask); err != nil {
			return err
		}
	}
	return nil
}

// Filelist lists a directory or tells of a file.
func (h *handlers) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	if err := h.allowed(true, strings.ToLower(r.Method), r.Filepath); err != nil {
		return nil, err
	}
	switch r.Method {
	case "List":
		return h.list(r.Filepath)
	case "Stat":
		return h.tell("stat", r.Filepath, h.far.client.Stat)
	}
	return nil, sftp.ErrSSHFxOpUnsupported
}

// Lstat tells of a link itself.
func (h *handlers) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	if err := h.allowed(true, "lstat", r.Filepath); err != nil {
		return nil, err
	}
	return h.tell("lstat", r.Filepath, h.far.client.Lstat)
}

func (h *handlers) tell(action, path string, stat func(string) (os.FileInfo, error)) (sftp.ListerAt, error) {
	var info os.FileInfo
	err := h.ask(session.FileChange{Action: action, Path: path}, func() (err error) {
		info, err = stat(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	e := entry{info}
	if err := h.answer("found", path, describe(e)); err != nil {
		return nil, err
	}
	return &lister{h: h, entries: []entry{e}}, nil
}

func (h *handlers) list(path string) (sftp.ListerAt, error) {
	if err := h.take(); err != nil {
		return nil, err
	}
	var entries []entry
	err := h.ask(session.FileChange{Action: "list", Path: path}, func() (err error) {
		entries, err = h.far.readDir(path)
		return err
	})
	if err != nil {
		h.give()
		return nil, err
	}
	return &lister{h: h, dir: path, entries: entries, release: sync.OnceFunc(h.give)}, nil
}

// lister hands out the entries of a directory, each on record before it is told.
type lister struct {
	h       *handlers
	dir     string // empty for a single file, which is on record already
	entries []entry
	release func()
}

func (l *lister) ListAt(into []os.FileInfo, offset int64) (int, error) {
	if offset < 0 || offset >= int64(len(l.entries)) {
		return 0, io.EOF
	}
	n := 0
	for _, e := range l.entries[offset:] {
		if n == len(into) {
			return n, nil
		}
		if l.dir != "" {
			if err := l.h.answer("entry", strings.TrimSuffix(l.dir, "/")+"/"+e.Name(), describe(e)); err != nil {
				return n, err
			}
		}
		into[n] = e
		n++
	}
	return n, io.EOF
}

func (l *lister) Close() error {
	if l.release != nil {
		l.release()
	}
	return nil
}

// RealPath resolves a path at the device.
func (h *handlers) RealPath(path string) (string, error) {
	return h.resolve("realpath", path, h.far.client.RealPath)
}

// Readlink tells where a link points.
func (h *handlers) Readlink(path string) (string, error) {
	return h.resolve("readlink", path, h.far.client.ReadLink)
}

func (h *handlers) resolve(action, path string, ask func(string) (string, error)) (string, error) {
	if err := h.allowed(true, action, path); err != nil {
		return "", err
	}
	var found string
	err := h.ask(session.FileChange{Action: action, Path: path}, func() (err error) {
		found, err = ask(path)
		return err
	})
	if err != nil {
		return "", err
	}
	if len(found) > maxPath {
		return "", sftp.ErrSSHFxFailure
	}
	return found, h.answer("found", path, found)
}
