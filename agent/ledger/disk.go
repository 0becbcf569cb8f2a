package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/session"
)

const (
	lockName  = "lock"
	newPrefix = ".new-"
	suffix    = ".json"
	maxFile   = 1 << 20 // 16 approvers with tokens of 16 KiB stay below
)

// disk is a directory of whole files. write returns when the bytes of a new file
// are on disk; sync returns when all names are. Any of them may fail before or after
// it took effect.
type disk interface {
	write(name string, body []byte) error
	rename(from, to string) error
	sync() error
	read(name string) ([]byte, error)
}

// errLocked says that another process holds the lock.
const errLocked = errRecord("locked")

// directory is the disk itself.
type directory string

func (d directory) write(name string, body []byte) (err error) {
	path := filepath.Join(string(d), name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func (d directory) rename(from, to string) error {
	return os.Rename(filepath.Join(string(d), from), filepath.Join(string(d), to))
}

func (d directory) sync() error { return syncDirectory(string(d)) }

func syncDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d directory) read(name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(string(d), name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(body) > maxFile {
		err = errRecord("too large")
	}
	return body, err
}

// openDirectory makes the directory if need be and locks it.
func openDirectory(dir string) (directory, func() error, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, internal("The ledger's directory cannot be made.", err)
	}
	if err := syncDirectory(filepath.Dir(dir)); err != nil {
		return "", nil, internal("The ledger's directory cannot be made to last.", err)
	}
	unlock, err := lock(filepath.Join(dir, lockName))
	switch {
	case errors.Is(err, errLocked):
		return "", nil, refused("Another agent is using this ledger.", "Stop it first; two agents must never share a ledger.", err)
	case err != nil:
		return "", nil, internal("The ledger cannot be locked.", err)
	}
	return directory(dir), unlock, nil
}

// load reads every entry. What a crash left half-written never counted and goes;
// anything else that does not belong here stops the start.
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
		switch {
		case name == lockName:
			continue
		case strings.HasPrefix(name, newPrefix):
			if err := os.Remove(filepath.Join(string(d), name)); err != nil {
				return nil, internal("The ledger cannot be tidied.", err)
			}
			continue
		}
		e, err := l.readEntry(name)
		if err != nil {
			return nil, unreadable(filepath.Join(string(d), name), err)
		}
		found = append(found, e)
	}
	return l, l.adopt(d, found)
}

// adopt indexes what was read, oldest first, and refuses a grant id that stands twice.
func (l *Ledger) adopt(d directory, found []*entry) error {
	sortByReceipt(found)
	for _, e := range found {
		if e.admitted() {
			if _, twice := l.grants[e.gid]; twice {
				return unreadable(filepath.Join(string(d), e.rid.Request()+suffix), errRecord("its grant id stands in another entry"))
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
	if err := l.disk.write(newPrefix+name, body); err != nil {
		return internal("The ledger cannot be written.", fmt.Errorf("write %s: %w", name, err))
	}
	e.unsure = true
	if err := l.disk.rename(newPrefix+name, name); err != nil {
		return internal("The ledger cannot be written.", fmt.Errorf("replace %s: %w", name, err))
	}
	if err := l.disk.sync(); err != nil {
		return internal("The ledger cannot be written.", fmt.Errorf("sync %s: %w", name, err))
	}
	e.unsure = false
	e.take(read)
	return nil
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
