package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

const (
	lockName    = "lock"
	reserveName = "reserve"
	suffix      = ".json"
)

// disk is a directory of whole files. After a write that failed the file may hold the
// old content or the new one; sync settles which.
type disk interface {
	write(name string, body []byte) error
	sync() error
	read(name string) ([]byte, error)
	remove(name string) error // which a crash may undo
}

// directory is the disk itself.
type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

func (d directory) write(name string, body []byte) error { return durable.Write(d.path(name), body) }

func (d directory) sync() error { return durable.SyncDir(string(d)) }

func (d directory) read(name string) ([]byte, error) { return durable.Read(d.path(name), maxFile) }

func (d directory) remove(name string) error {
	if err := os.Remove(d.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// openDirectory makes the directory if need be, locks it and removes what a crash left
// half-written, which never counted.
func openDirectory(dir string) (directory, func() error, error) {
	if err := durable.MakeDir(dir); err != nil {
		return "", nil, internal("The ledger's directory cannot be made.", err)
	}
	unlock, err := durable.Lock(filepath.Join(dir, lockName))
	if held, ok := errors.AsType[*durable.Held](err); ok {
		return "", nil, refused("Another agent is using this ledger: "+held.By+".", "Stop it first; two agents must never share a ledger.", err)
	}
	if err != nil {
		return "", nil, internal("The ledger cannot be locked.", err)
	}
	if err := durable.Sweep(dir); err != nil {
		return "", nil, errors.Join(internal("The ledger cannot be tidied.", err), unlock())
	}
	return directory(dir), unlock, nil
}

// load reads every entry; anything that does not belong here stops the start.
func load(d directory) (*Ledger, error) {
	l := &Ledger{
		disk:    d,
		entries: map[session.ID]*entry{},
		grants:  map[session.ID]session.ID{},
		keys:    map[string][]session.ID{},
	}
	files, err := os.ReadDir(string(d))
	if err != nil {
		return nil, internal("The ledger cannot be read.", err)
	}
	var found []*entry
	for _, f := range files {
		name := f.Name()
		if name == lockName || name == reserveName || name == barsName || name == ClockName {
			continue
		}
		e, err := l.readEntry(name)
		if err != nil {
			return nil, unreadable(d.path(name), err)
		}
		found = append(found, e)
	}
	return l, errors.Join(l.adopt(d, found), l.loadBars(d), l.loadClock(d))
}

// adopt indexes what was read, oldest first, and refuses a grant id that stands twice.
func (l *Ledger) adopt(d directory, found []*entry) error {
	slices.SortFunc(found, func(a, b *entry) int { return a.rec.Engineer.Received.Compare(b.rec.Engineer.Received) })
	for _, e := range found {
		if e.admitted() {
			if _, twice := l.grants[e.gid]; twice {
				return unreadable(d.path(e.rid.Request()+suffix), errRecord("its grant id stands in another entry"))
			}
		}
		l.index(e)
		if e.rec.State == closed {
			e.shut = true
			e.slim()
		}
	}
	return nil
}

// readEntry reads the file of an entry.
func (l *Ledger) readEntry(name string) (*entry, error) {
	body, err := l.disk.read(name)
	if err != nil {
		return nil, err
	}
	e, err := parseEntry(body)
	if err != nil {
		return nil, err
	}
	if e.rid.Request()+suffix != name {
		return nil, errRecord("its name is not its request's")
	}
	return e, nil
}

// parseEntry reads an entry in the one spelling in which it was written.
func parseEntry(body []byte) (*entry, error) {
	var rec record
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&rec); err != nil {
		return nil, err
	}
	again, err := encode(rec)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, body) {
		return nil, errRecord("not as the agent wrote it")
	}
	return interpret(rec)
}

func encode(rec record) ([]byte, error) {
	body, err := json.Marshal(rec)
	return append(body, '\n'), err
}

// write puts an entry's next record on disk and only then into memory. When it
// cannot tell whether the disk has it, the entry is unsure and is read again before
// anything else happens to it.
func (l *Ledger) write(e *entry, next record) error {
	read, err := interpret(next)
	if err != nil {
		return internal("The ledger would contradict itself.", err)
	}
	body, err := encode(next)
	if err != nil {
		return internal("The ledger cannot be written.", err)
	}
	if len(body) > maxFile {
		return internal("The ledger cannot be written.", errRecord("too large"))
	}
	name := e.rid.Request() + suffix
	e.unsure = true
	if err := l.put(name, body, narrows(e.rec, next)); err != nil {
		return internal("The ledger cannot be written.", err)
	}
	e.unsure = false
	e.take(read)
	return nil
}

// put writes a file. What narrows takes from the reserve when the disk is full.
func (l *Ledger) put(name string, body []byte, narrows bool) error {
	err := l.disk.write(name, body)
	for narrows && durable.Full(err) && l.reserve.Give(len(body)) {
		err = l.disk.write(name, body)
	}
	if err == nil && !narrows {
		l.reserve.Fill()
	}
	return err
}

// narrows reports whether a step lets somebody do less than before.
func narrows(was, next record) bool {
	return next.State == closed || len(next.Frozen) > len(was.Frozen)
}

// settle makes memory and disk agree after a write that failed half-way.
func (l *Ledger) settle(e *entry) error {
	if !e.unsure {
		return nil
	}
	if err := l.disk.sync(); err != nil {
		return internal("The ledger cannot be written.", err)
	}
	read, err := l.readEntry(e.rid.Request() + suffix)
	if errors.Is(err, fs.ErrNotExist) && e.shut { // it never came to the disk, and what is written next closes it
		e.unsure = false
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return l.write(e, e.rec)
	}
	if err != nil {
		return internal("The ledger cannot be read.", err)
	}
	e.unsure = false
	e.take(read)
	l.index(e)
	if e.rec.State == closed {
		e.slim()
	}
	return nil
}

// full is the entry's whole record, from disk when memory keeps only part of it.
func (l *Ledger) full(e *entry) (record, error) {
	if !e.thin {
		return e.rec, nil
	}
	read, err := l.readEntry(e.rid.Request() + suffix)
	if err != nil {
		return record{}, internal("The ledger cannot be read.", err)
	}
	return read.rec, nil
}

func unreadable(path string, err error) error {
	return &session.Error{
		Kind:    session.Internal,
		Message: fmt.Sprintf("The ledger's file %s cannot be read, so the agent cannot know what was closed.", path),
		Next:    "Restore the file from a backup, or move it away if it does not belong there.",
		Err:     err,
	}
}
