package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// The agent starts by recovering, whether it was stopped, killed or lost its power:
// there is one way up.

// found is what the spool holds, by session.
type found map[string][]link.RecordingReport

// recover seals the recordings that a crash left open, and lists all that are here.
func (a *Agent) recover() (found, error) {
	dirs, err := os.ReadDir(a.state.path("spool"))
	if err != nil {
		return nil, fmt.Errorf("look for unfinished recordings: %w", err)
	}
	all := found{}
	for _, d := range dirs {
		if _, err := session.ParseRecordingID(d.Name()); err != nil {
			continue
		}
		dir := filepath.Join(a.state.path("spool"), d.Name())
		if err := a.recoverOne(dir, all); err != nil {
			// One damaged recording must not keep the hospital from the others.
			a.log.Error("a recording could not be sealed after a crash", "recording", d.Name(), "err", err)
			if refusedByDisk(err) {
				a.unsealed.add(dir, session.AgentLost)
			}
		}
	}
	return all, nil
}

func (a *Agent) recoverOne(dir string, all found) error {
	info, err := recordings.Recover(dir, a.identity, session.AgentLost)
	if errors.Is(err, fs.ErrNotExist) && os.Remove(dir) == nil {
		// The crash came before the header: nothing was recorded, nothing was opened.
		a.log.Info("a recording that was never begun is removed", "recording", filepath.Base(dir))
		return nil
	}
	if err != nil {
		return err
	}
	a.log.Info("recording found at start", "recording", info.Recording, "state", info.State)
	part, err := os.ReadFile(filepath.Join(dir, recordings.HeaderPart))
	if err != nil {
		return err
	}
	h, err := recordings.ReadHeader(part)
	if err != nil {
		return err
	}
	all[h.Session] = append(all[h.Session], link.RecordingReport{Recording: h.Recording, Service: h.Service, Protocol: h.Protocol, Started: h.Started})
	return nil
}

// resume takes up the sessions that were live when the agent stopped, so that each
// still ends at its deadline. The broker counts as away until it answers, so that a
// session cannot go on for longer than the grace without it.
func (a *Agent) resume(here found) {
	now := a.now()
	a.engine.LinkState(false, now)
	var open []engine.Resumed
	for _, e := range a.ledger.Entries(now) {
		if e.Session.IsZero() || e.Facts.Session.Opened.IsZero() || !e.Facts.Session.Ended.IsZero() {
			continue
		}
		frozen := e.Frozen
		if a.ledger.Barred(e.Asset, e.Engineer) && !slices.Contains(frozen, causeLocal) {
			frozen = append(frozen, causeLocal)
		}
		open = append(open, engine.Resumed{
			ID: e.Session, Request: e.Request.Request(), Asset: e.Asset, Service: e.Services[0], Class: e.Class,
			Engineer: e.Engineer, Facts: e.Facts.Session, Frozen: frozen, Recordings: here[e.Session.Session()],
		})
	}
	a.engine.Resume(open)
}
