package files

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pkg/sftp"

	"github.com/sallyport/sallyport/session"
)

// record puts one event with a JSON document on record.
func (h *handlers) record(kind session.EventKind, stream uint32, document any) error {
	data, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return h.cfg.Recorder.Record(session.Event{Kind: kind, Stream: stream, Data: data})
}

// content puts a chunk of a file on record, in pieces that fit an event.
func (h *handlers) content(kind session.EventKind, stream uint32, offset int64, data []byte) error {
	const most = session.MaxEventData - 8
	pieces := (len(data) + most - 1) / most
	for ; pieces > 0; pieces-- {
		n := (len(data) + pieces - 1) / pieces
		event := make([]byte, 8, 8+n)
		binary.BigEndian.PutUint64(event, uint64(offset))
		if err := h.cfg.Recorder.Record(session.Event{Kind: kind, Stream: stream, Data: append(event, data[:n]...)}); err != nil {
			return err
		}
		data, offset = data[n:], offset+int64(n)
	}
	return nil
}

// ask puts a question on record and lets it pass the gate to the device; a failure
// is put on record before the engineer hears of it.
func (h *handlers) ask(change session.FileChange, question func() error) error {
	change.Path, change.Target = legible(change.Path), legible(change.Target)
	err := h.cfg.Gate.Pass(func() error {
		if err := h.record(session.FileAction, h.cfg.Stream, change); err != nil {
			return recorderError{err}
		}
		return question()
	})
	if err == nil {
		return nil
	}
	plain := plainError(err)
	change.Error = plain.Error()
	if err := h.record(session.FileAction, h.cfg.Stream, change); err != nil {
		return sftp.ErrSSHFxFailure
	}
	return plain
}

// answer puts on record what the device said, before the engineer sees it.
func (h *handlers) answer(action, path, found string) error {
	err := h.record(session.FileAction, h.cfg.Stream, session.FileChange{Action: action, Path: legible(path), Target: legible(found)})
	if err != nil {
		return sftp.ErrSSHFxFailure
	}
	return nil
}

// recorderError is a question that was not asked because it could not be recorded.
type recorderError struct{ error }

// plainError keeps the code of a device's error and drops its text.
func plainError(err error) error {
	var status *sftp.StatusError
	var lost recorderError
	switch {
	case errors.As(err, &lost):
		return sftp.ErrSSHFxFailure
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, os.ErrNotExist):
		return sftp.ErrSSHFxNoSuchFile
	case errors.Is(err, os.ErrPermission):
		return sftp.ErrSSHFxPermissionDenied
	case errors.As(err, &status):
		switch code := status.FxCode(); code {
		case sftp.ErrSSHFxNoSuchFile, sftp.ErrSSHFxPermissionDenied, sftp.ErrSSHFxBadMessage, sftp.ErrSSHFxOpUnsupported:
			return code
		}
	}
	return sftp.ErrSSHFxFailure
}

// legible makes a path fit for JSON without losing a byte: text stays, anything else
// is quoted as Go does it.
func legible(s string) string {
	if utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError) && !strings.HasPrefix(s, `"`) {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// describe says everything of an entry that the engineer is told.
func describe(info os.FileInfo) string {
	s := fmt.Sprintf("%s %d bytes, %s", info.Mode(), info.Size(), info.ModTime().UTC().Format("2006-01-02T15:04:05Z"))
	if owner, ok := info.(sftp.FileInfoUidGid); ok {
		s += fmt.Sprintf(", %d:%d", owner.Uid(), owner.Gid())
	}
	return s
}

// entry is a device's answer about one file: what describe says, and no more (no
// extended attributes).
type entry struct{ os.FileInfo }

func (e entry) Uid() uint32 { return e.stat().UID }
func (e entry) Gid() uint32 { return e.stat().GID }
func (e entry) Sys() any    { return nil }

func (e entry) stat() sftp.FileStat {
	if s, ok := e.FileInfo.Sys().(*sftp.FileStat); ok {
		return *s
	}
	return sftp.FileStat{}
}
