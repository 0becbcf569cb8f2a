package agent

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// A recording that a full disk left without a seal is sealed once there is room, by the
// agent that runs, and says why it ended.
func TestSealedOnceThereIsRoom(t *testing.T) {
	a, _ := spooled(t)
	dir := a.crashed(t, session.NewID().Session())
	full, told := 2, 0
	u := &unsealed{log: slog.New(slog.NewTextHandler(io.Discard, nil)), sealed: func() { told++ }, dirs: map[string]session.EndReason{},
		recover: func(dir string, reason session.EndReason) error {
			if full--; full >= 0 {
				return &os.PathError{Op: "write", Path: dir, Err: syscall.ENOSPC}
			}
			_, err := recordings.Recover(dir, a.identity, reason)
			return err
		}}
	u.add(dir, session.RecorderLost)
	for range 2 {
		if u.round(); told != 0 || len(u.dirs) != 1 {
			t.Fatalf("told %d times, %v", told, u.dirs)
		}
	}
	for range 2 {
		if u.round(); told != 1 || len(u.dirs) != 0 {
			t.Fatalf("told %d times, %v", told, u.dirs)
		}
	}
	part, err := os.ReadFile(filepath.Join(dir, recordings.SealPart))
	if err != nil {
		t.Fatal(err)
	}
	seal, err := recordings.ReadSeal(part)
	if err != nil || seal.State != recordings.Torn || seal.Reason != session.RecorderLost || seal.Events != 1 {
		t.Errorf("%+v, %v", seal, err)
	}
	if u.add(dir, session.RecorderLost); len(u.dirs) != 0 {
		t.Error("what has its seal is taken up again")
	}
}

// What ends without a seal is taken up; what is sealed is not.
func TestOnlyWhatIsUnsealedIsTakenUp(t *testing.T) {
	a, _ := spooled(t)
	u := &unsealed{dirs: map[string]session.EndReason{}}
	dir, w := a.begin(t, session.NewID().Session())
	if err := (watched{w, dir, u, nil}).Close(session.Completed); err != nil || len(u.dirs) != 0 {
		t.Errorf("%v, %v", err, u.dirs)
	}
	dir, w = a.begin(t, session.NewID().Session())
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := (watched{w, dir, u, nil}).Close(session.Completed); err == nil || errors.Is(err, os.ErrExist) || u.dirs[dir] != session.Completed {
		t.Errorf("%v, %v", err, u.dirs)
	}
}
