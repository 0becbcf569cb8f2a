package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

func inbox(dir string) string { return filepath.Join(dir, "inbox") }

// Leave puts an event into the inbox of a log that another process may have open. It
// is durable when Leave returns; whoever has the log takes it in.
func Leave(dir string, e witness.Event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("leave a note for the audit log: %w", err)
	}
	if err := durable.MakeDir(inbox(dir)); err != nil {
		return fmt.Errorf("leave a note for the audit log: %w", err)
	}
	return durable.Write(filepath.Join(inbox(dir), session.NewID().Text()+".json"), b)
}

// TakeNotes brings what was left into the log. A note is removed after its event is
// durable; a crash in between writes it twice. A note that cannot be read is set aside
// under another name, which is in the log, and keeps none behind it waiting: only an error
// of the log itself ends the round before the last note.
func (l *Log) TakeNotes(ctx context.Context) error {
	dir, err := os.ReadDir(inbox(l.cfg.Dir))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return &BadNotes{fmt.Errorf("look into the audit log's inbox: %w", err)}
	}
	var bad []error
	taken := 0
	for _, f := range dir {
		if !strings.HasSuffix(f.Name(), ".json") || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		if taken++; taken > maxNotes {
			break
		}
		stuck, err := l.takeNote(ctx, f.Name())
		if err != nil {
			return err
		}
		if stuck != nil {
			bad = append(bad, stuck)
			taken--
		}
	}
	if len(bad) > 0 {
		return &BadNotes{errors.Join(bad[:min(len(bad), 10)]...)}
	}
	return nil
}

// BadNotes says that notes stay in the inbox. The log itself is sound.
type BadNotes struct{ Err error }

func (b *BadNotes) Error() string { return b.Err.Error() }
func (b *BadNotes) Unwrap() error { return b.Err }

// takeNote takes one note. stuck says why it stays; err is of the log.
func (l *Log) takeNote(ctx context.Context, name string) (stuck, err error) {
	path := filepath.Join(inbox(l.cfg.Dir), name)
	var e witness.Event
	b, err := durable.Read(path, witness.MaxEvent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // taken beside us
	}
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err != nil {
		aside := strings.TrimSuffix(name, ".json") + ".unreadable"
		if moved := os.Rename(path, filepath.Join(inbox(l.cfg.Dir), aside)); moved != nil {
			return fmt.Errorf("set an unreadable note aside: %w", errors.Join(err, moved)), nil
		}
		return nil, l.Append(ctx, witness.Event{Event: "unreadable-note", Details: map[string]string{"file": aside}})
	}
	if err := l.Append(ctx, e); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a note for the audit log: %w", err), nil
	}
	return nil, nil
}
