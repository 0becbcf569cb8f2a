package files

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files/packet"
)

const (
	cutOff    = "the connection ended before the file was closed"
	notOpened = "the file was not opened: "
)

// manner is how an operation is recorded, allowed and answered.
type manner struct {
	action  string // in the record
	changes bool   // needs leave to bring something to the device
	answer  byte   // what the device answers when it did it
}

// mannerOf is the manner of an operation; the zero value for what is none.
func mannerOf(op packet.Op) manner {
	switch op {
	case packet.Open:
		return manner{"open", false, packet.Handle} // allow looks at its flags
	case packet.Close:
		return manner{"close", false, packet.Status}
	case packet.ReadAt:
		return manner{"read", false, packet.Data}
	case packet.WriteAt:
		return manner{"write", true, packet.Status}
	case packet.Lstat:
		return manner{"lstat", false, packet.Attributes}
	case packet.Stat, packet.Fstat:
		return manner{"stat", false, packet.Attributes}
	case packet.Setstat, packet.Fsetstat, packet.Lsetstat:
		return manner{"setstat", true, packet.Status}
	case packet.Opendir:
		return manner{"list", false, packet.Handle}
	case packet.Readdir:
		return manner{"list", false, packet.Name}
	case packet.Remove:
		return manner{"remove", true, packet.Status}
	case packet.Mkdir:
		return manner{"mkdir", true, packet.Status}
	case packet.Rmdir:
		return manner{"rmdir", true, packet.Status}
	case packet.Realpath, packet.ExpandPath:
		return manner{"realpath", false, packet.Name}
	case packet.Readlink:
		return manner{"readlink", false, packet.Name}
	case packet.Rename, packet.PosixRename:
		return manner{"rename", true, packet.Status}
	case packet.Symlink:
		return manner{"symlink", true, packet.Status}
	case packet.Hardlink:
		return manner{"link", true, packet.Status}
	case packet.Statvfs, packet.Fstatvfs:
		return manner{"space", false, packet.ExtendedReply}
	case packet.Fsync:
		return manner{"sync", true, packet.Status}
	case packet.CopyData:
		return manner{"copy", true, packet.Status}
	}
	return manner{}
}

// errTooLong is for what does not fit an event. Nobody tries to record it, because a
// recorder that could not would end the session.
var errTooLong = errors.New("too long to be recorded")

// record puts one event with a JSON document on record.
func (o *Operations) record(kind session.EventKind, stream uint32, document any) error {
	data, err := json.Marshal(document)
	if err != nil {
		return err
	}
	if len(data) > session.MaxEventData {
		return errTooLong
	}
	return o.cfg.Recorder.Record(session.Event{Kind: kind, Stream: stream, Data: data})
}

func (o *Operations) acted(change session.FileChange) error {
	return o.record(session.FileAction, o.cfg.Stream, change)
}

// content puts a chunk of a file on record, in pieces that fit an event.
func (o *Operations) content(kind session.EventKind, stream uint32, offset uint64, data []byte) error {
	event := make([]byte, 0, 8+min(len(data), eventContent))
	for pieces := (len(data) + eventContent - 1) / eventContent; pieces > 0; pieces-- {
		n := (len(data) + pieces - 1) / pieces
		event = append(binary.BigEndian.AppendUint64(event[:0], offset), data[:n]...)
		if err := o.cfg.Recorder.Record(session.Event{Kind: kind, Stream: stream, Data: event}); err != nil {
			return err
		}
		data, offset = data[n:], offset+uint64(n)
	}
	return nil
}

// announce puts on record what the device is about to be asked.
func (o *Operations) announce(s *step) error {
	change := session.FileChange{Action: mannerOf(s.Op).action, Path: s.path, Target: legible(s.Target)}
	switch s.Op {
	case packet.ReadAt, packet.Close, packet.Readdir:
		return nil
	case packet.Open:
		return o.record(session.FileOpened, s.file.stream, session.FileOpen{Path: s.path, Direction: s.file.direction, Asked: asked(s.Request)})
	case packet.WriteAt:
		if err := o.content(session.Upload, s.file.stream, s.Offset, s.Data); err != nil {
			return err
		}
		s.file.digest.add(int64(s.Offset), s.Data)
		return nil
	case packet.Setstat, packet.Fsetstat, packet.Lsetstat:
		for _, value := range values(s.Attrs) {
			change.Target = value
			if err := o.acted(change); err != nil {
				return err
			}
		}
		return nil
	case packet.Mkdir:
		change.Target = strings.Join(values(s.Attrs), ", ")
	case packet.CopyData:
		change.Target = fmt.Sprintf("%s, %d bytes from %d to %d", s.into.path, s.Portion, s.Offset, s.Where)
		s.into.digest.spoil("the device copied into the file itself")
	}
	return o.acted(change)
}

// settle takes the device's answer to a step, puts it on record, and passes it on.
func (o *Operations) settle(s *step, a packet.Response) {
	a = o.checked(s, a)
	if s.announced && a.Kind == packet.Status && a.Code != packet.OK {
		o.failed(s, a.Code)
	}
	// What never reached the device closed nothing: Close says so in the record.
	closed := s.Op == packet.Close && s.announced && a.Code != packet.ConnectionLost
	var err error
	switch {
	case closed:
		if !s.file.directory {
			err = o.summary(s.file)
		}
	case a.Kind != packet.Status:
		err = o.tell(s, &a)
	case s.Op == packet.Open || s.Op == packet.Opendir:
		closed = true // there is no such handle
	}
	if err != nil {
		a = packet.Says(packet.Failure)
	}
	o.done(s, closed)
	s.reply(a)
}

// checked is the answer that the device should have given. One that answers something
// else is not talked to any more.
func (o *Operations) checked(s *step, a packet.Response) packet.Response {
	wanted := mannerOf(s.Op).answer
	switch {
	case a.Kind == packet.Status && !a.Code.Known(), a.Kind == packet.Status && a.Code == packet.OK && wanted != packet.Status:
		return packet.Says(packet.Failure)
	case a.Kind == packet.Status:
		return a
	case a.Kind != wanted, uint32(len(a.Data)) > s.Length && a.Kind == packet.Data,
		a.Kind == packet.Name && s.Op != packet.Readdir && (len(a.Names) != 1 || len(a.Names[0].Name) > maxPath):
		o.far.hangup()
		return packet.Says(packet.Failure)
	}
	return a
}

// failed puts on record that the device did not do something.
func (o *Operations) failed(s *step, code packet.Code) {
	switch {
	case s.Op == packet.Open:
		s.file.spoil(notOpened + code.String())
		_ = o.summary(s.file)
	case code == packet.EOF && (s.Op == packet.ReadAt || s.Op == packet.Readdir):
	case code == packet.ConnectionLost && s.file != nil:
		s.file.spoil(cutOff)
	case s.Op == packet.WriteAt:
		s.file.digest.failed(s.Length, "the device failed to write: "+code.String())
	case s.Op == packet.Close:
		s.file.spoil("the device failed to close: " + code.String())
	case s.Op == packet.ReadAt:
		s.file.way(s.Op).spoil("the device failed to read: " + code.String())
	default:
		_ = o.acted(session.FileChange{Action: mannerOf(s.Op).action, Path: s.path, Target: legible(s.Target), Error: code.String()})
	}
}

// tell puts on record what the device answered.
func (o *Operations) tell(s *step, a *packet.Response) error {
	found := session.FileChange{Action: "found", Path: s.path}
	switch a.Kind {
	case packet.Handle:
		a.Handle = o.opened(s.file, a.Handle)
		return nil
	case packet.Data:
		if err := o.content(session.Download, s.file.stream, s.Offset, a.Data); err != nil {
			return err
		}
		s.file.way(s.Op).add(int64(s.Offset), a.Data)
		return nil
	case packet.Attributes:
		found.Target = describe(a.Attrs)
	case packet.ExtendedReply:
		space, err := packet.ParseSpace(*a)
		if err != nil {
			return err
		}
		found.Target = fmt.Sprintf("%d of %d blocks of %d bytes are free", space.Available, space.Blocks, space.Fragment)
	case packet.Name:
		if s.Op == packet.Readdir {
			return o.entries(s.file, a.Names)
		}
		found.Target = legible(a.Names[0].Name)
	}
	return o.acted(found)
}

// entries puts on record what a directory has, as long as it ends somewhere.
func (o *Operations) entries(f *file, names []packet.Entry) error {
	for _, e := range names {
		if f.listed += len(f.typed) + len(e.Name) + len(e.Long) + entryCost; f.listed > maxListing {
			return errTooLong
		}
		path := legible(strings.TrimSuffix(f.typed, "/") + "/" + e.Name)
		long := strings.TrimSpace(strings.TrimSuffix(e.Long, e.Name))
		err := o.acted(session.FileChange{Action: "entry", Path: path, Target: legible(describe(e.Attrs) + "; " + long)})
		if err != nil {
			return err
		}
	}
	return nil
}

// summary closes a file in the record.
func (o *Operations) summary(f *file) error {
	s := session.FileSummary{Path: f.path, Direction: f.direction, Moved: f.digest.result()}
	if f.back != nil {
		if back := f.back.result(); back.Size > 0 {
			s.Back = &back
		}
	}
	return o.record(session.FileClosed, f.stream, s)
}

// legible makes a path fit for JSON without losing a byte: text stays, anything else
// is quoted as Go does it.
func legible(s string) string {
	if utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError) && !strings.HasPrefix(s, `"`) {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// asked says what a client wants of a file that it opens.
func asked(r packet.Request) string {
	var all []string
	for _, flag := range []struct {
		bit  uint32
		name string
	}{{packet.Append, "append"}, {packet.Create, "create"}, {packet.Truncate, "truncate"}, {packet.Exclusive, "new"}} {
		if r.Flags&flag.bit != 0 {
			all = append(all, flag.name)
		}
	}
	return strings.Join(append(all, values(r.Attrs)...), ", ")
}

// values says what attributes are to become.
func values(a packet.Attrs) []string {
	var all []string
	for _, one := range []struct {
		bit  uint32
		text string
	}{
		{packet.HasSize, fmt.Sprintf("size %d", a.Size)}, {packet.HasMode, fmt.Sprintf("mode %o", a.Mode)},
		{packet.HasOwner, fmt.Sprintf("owner %d:%d", a.UID, a.GID)}, {packet.HasTimes, fmt.Sprintf("times %d %d", a.Atime, a.Mtime)},
	} {
		if a.Has&one.bit != 0 {
			all = append(all, one.text)
		}
	}
	return all
}

// describe says every attribute that the engineer is told.
func describe(a packet.Attrs) string {
	var all []string
	if a.Has&packet.HasMode != 0 {
		all = append(all, a.FileMode().String())
	}
	if a.Has&packet.HasSize != 0 {
		all = append(all, fmt.Sprintf("%d bytes", a.Size))
	}
	if a.Has&packet.HasTimes != 0 {
		when := func(s uint32) string { return time.Unix(int64(s), 0).UTC().Format("2006-01-02T15:04:05Z") }
		all = append(all, "of "+when(a.Mtime), "read "+when(a.Atime))
	}
	if a.Has&packet.HasOwner != 0 {
		all = append(all, fmt.Sprintf("%d:%d", a.UID, a.GID))
	}
	return strings.Join(all, " ")
}
