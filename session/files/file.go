package files

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/pkg/sftp"

	"github.com/sallyport/sallyport/session"
)

// file is one open file: content is on record before it moves.
type file struct {
	h         *handlers
	far       *sftp.File
	stream    uint32
	path      string
	direction session.Channel
	digest    *digest
	closing   sync.Once
	closed    error
}

// openFile opens a file at the device, on record first. New files get the mode that
// the client asked for.
func (h *handlers) openFile(r *sftp.Request, direction session.Channel, how int) (*file, error) {
	if err := h.take(); err != nil {
		return nil, err
	}
	f := &file{h: h, stream: h.cfg.Next(), path: legible(r.Filepath), direction: direction, digest: newDigest()}
	if how&os.O_APPEND != 0 {
		f.digest.spoil("the file was opened for appending")
	}
	if how&os.O_RDWR != 0 {
		f.digest.spoil("the file was opened for reading and writing")
	}
	mode, fresh := h.newMode(r, how)
	err := h.cfg.Gate.Pass(func() (err error) {
		if err := h.record(session.FileOpened, f.stream, session.FileOpen{Path: f.path, Direction: direction}); err != nil {
			return recorderError{err}
		}
		f.far, err = h.far.client.OpenFile(r.Filepath, how)
		return err
	})
	if err != nil {
		f.digest.spoil("the file was not opened: " + plainError(err).Error())
		_ = f.finish()
		return nil, plainError(err)
	}
	if fresh {
		f.setMode(mode)
	}
	return f, nil
}

// newMode is the mode that a client asked for in opening a file that does not exist
// yet. pkg/sftp drops the flags of those attributes; four bytes can only be a mode.
func (h *handlers) newMode(r *sftp.Request, how int) (os.FileMode, bool) {
	if how&os.O_CREATE == 0 || len(r.Attrs) != 4 {
		return 0, false
	}
	err := h.ask(session.FileChange{Action: "stat", Path: r.Filepath}, func() error {
		_, err := h.far.client.Stat(r.Filepath)
		return err
	})
	return os.FileMode(binary.BigEndian.Uint32(r.Attrs)) & 0o777, errors.Is(err, sftp.ErrSSHFxNoSuchFile)
}

// setMode gives a new file its mode as far as the device's umask allows, which
// shows in the mode that the device gave it.
func (f *file) setMode(mode os.FileMode) {
	var info os.FileInfo
	err := f.h.cfg.Gate.Pass(func() (err error) {
		info, err = f.far.Stat()
		return err
	})
	if err != nil {
		return
	}
	got := info.Mode().Perm()
	umask := 0o666 &^ got
	umask |= umask & 0o444 >> 2 // who may not read may not execute either
	want := mode &^ umask
	if want == got {
		return
	}
	_ = f.h.ask(session.FileChange{Action: "setstat", Path: f.path, Target: fmt.Sprintf("mode %o", want)}, func() error {
		return f.far.Chmod(want)
	})
}

// ReadAt moves content from the device to the engineer.
func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, sftp.ErrSSHFxFailure
	}
	n := 0
	err := f.h.cfg.Gate.Pass(func() (err error) {
		n, err = f.far.ReadAt(p, offset)
		return err
	})
	f.h.far.out.Add(int64(n))
	if n > 0 {
		if err := f.h.content(session.Download, f.stream, offset, p[:n]); err != nil {
			return 0, sftp.ErrSSHFxFailure
		}
		f.digest.add(offset, p[:n])
	}
	if err != nil && !errors.Is(err, io.EOF) {
		f.failed("read", err)
		return n, plainError(err)
	}
	if err != nil {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt moves content from the engineer to the device.
func (f *file) WriteAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, sftp.ErrSSHFxFailure
	}
	n := 0
	err := f.h.cfg.Gate.Pass(func() (err error) {
		if err := f.h.content(session.Upload, f.stream, offset, p); err != nil {
			return recorderError{err}
		}
		n, err = f.far.WriteAt(p, offset)
		return err
	})
	if err != nil {
		f.failed("write", err)
		return n, plainError(err)
	}
	f.digest.add(offset, p)
	return n, nil
}

// failed says why there is no hash. What the gate did not let pass never reached the
// device: its words are ours, and they mean that somebody went or ended it.
func (f *file) failed(what string, err error) {
	var ours *session.Error
	if errors.As(err, &ours) {
		f.TransferError(err)
		return
	}
	f.digest.spoil("the device failed to " + what + ": " + plainError(err).Error())
}

// TransferError is told when the client went away with the file open.
func (f *file) TransferError(error) {
	f.digest.spoil("the connection ended before the file was closed")
}

// Close closes the file at the device and its record.
func (f *file) Close() error {
	f.closing.Do(func() {
		err := f.h.cfg.Gate.Pass(f.far.Close)
		if err != nil {
			f.digest.spoil("the device failed to close the file")
			f.closed = plainError(err)
		}
		if err := f.finish(); err != nil {
			f.closed = sftp.ErrSSHFxFailure
		}
	})
	return f.closed
}

// finish puts the summary on record.
func (f *file) finish() error {
	f.h.give()
	size, sum, reason := f.digest.result()
	return f.h.record(session.FileClosed, f.stream, session.FileSummary{
		Path: f.path, Direction: f.direction, Size: size, SHA256: sum, Reason: reason,
	})
}
