package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// Logs keeps copies of the nodes' audit logs, so that one outlives its node. A file is
// written once and for good; LogHead alone is replaced. Both are durable when they
// return. What does not exist is fs.ErrNotExist.
type Logs interface {
	PutLog(ctx context.Context, log, file string, content []byte) error
	Log(ctx context.Context, log, file string) ([]byte, error)
}

var _ Logs = (*Directory)(nil)

// LogHead is the one file of a log that is replaced.
const LogHead = "head"

// logs can be no site, as incoming.
const logs = ".logs"

// logFile is where a file of a log stands. The log's name is any text; its hash is a name.
func logFile(log, file string) (string, error) {
	if !session.ValidOrigin(log) || !fs.ValidPath(file) || file == "." {
		return "", session.Errorf(session.Invalid, "%.80q of %.80q is no file of an audit log", file, log)
	}
	sum := sha256.Sum256([]byte(log))
	return path.Join(logs, hex.EncodeToString(sum[:]), file), nil
}

// PutLog stores a file of a log. See Logs.
func (d *Directory) PutLog(_ context.Context, log, file string, content []byte) error {
	name, err := logFile(log, file)
	if err != nil {
		return err
	}
	if len(content) > maxLogFile {
		return session.Errorf(session.Invalid, "a file of %d bytes is out of bounds for an audit log", len(content))
	}
	arrived := path.Join(incoming, rand.Text())
	defer func() { _ = d.root.Remove(arrived) }()
	folder := filepath.Join(d.root.Name(), path.Dir(name))
	err = d.writeSynced(arrived, content)
	if err == nil {
		err = durable.MakeDir(folder)
	}
	switch {
	case err != nil:
	case file == LogHead:
		err = d.root.Rename(arrived, name)
	default:
		if err = d.root.Link(arrived, name); errors.Is(err, fs.ErrExist) {
			err = d.compare(name, arrived)
		}
	}
	if err == nil {
		err = durable.SyncDir(folder)
	}
	if err != nil {
		return fmt.Errorf("copy %s of the audit log %s: %w", file, log, err)
	}
	return nil
}

func (d *Directory) writeSynced(name string, content []byte) error {
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o400)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Log reads a file of a log. See Logs.
func (d *Directory) Log(_ context.Context, log, file string) ([]byte, error) {
	name, err := logFile(log, file)
	if err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read %s of the audit log %s: %w", file, log, err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxLogFile))
}
