package audit

import (
	"context"
	"encoding/json"
	"fmt"
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
// durable; a crash in between writes it twice.
func (l *Log) TakeNotes(ctx context.Context) error {
	dir, err := os.ReadDir(inbox(l.cfg.Dir))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the audit log's inbox: %w", err)
	}
	for _, f := range dir[:min(len(dir), maxNotes)] {
		if !strings.HasSuffix(f.Name(), ".json") || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		name := filepath.Join(inbox(l.cfg.Dir), f.Name())
		b, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // taken beside us
		}
		if err != nil {
			return fmt.Errorf("read a note for the audit log: %w", err)
		}
		var e witness.Event
		if err := json.Unmarshal(b, &e); err != nil {
			e = witness.Event{Event: "unreadable-note", Details: map[string]string{"file": f.Name()}}
		}
		if err := l.Append(ctx, e); err != nil {
			return err
		}
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("remove a note for the audit log: %w", err)
		}
	}
	return nil
}
