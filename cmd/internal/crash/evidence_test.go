package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// promised is the time within which an orphaned recording is sealed and listed.
const promised = 60 * time.Second

// orphans are the recordings on the agent's disk, and whether each was sealed. One
// without a header was never begun.
func (g *ground) orphans() map[string]bool {
	dirs, err := os.ReadDir(g.path("state", "agent", "spool"))
	if err != nil {
		g.t.Fatal(err)
	}
	found := map[string]bool{}
	for _, d := range dirs {
		if !strings.HasPrefix(d.Name(), "V-") {
			continue
		}
		there := func(part string) bool {
			_, err := os.Stat(g.path("state", "agent", "spool", d.Name(), part))
			return err == nil
		}
		sealed := there(recordings.SealPart)
		if sealed || there(recordings.HeaderPart) {
			found[d.Name()] = sealed
		}
	}
	return found
}

// settled waits until every orphan is listed and whole. One that was not sealed when
// its agent was killed has to say so.
func (g *ground) settled(since time.Time, orphans map[string]bool, torn bool) {
	g.t.Helper()
	auditor := g.asks("auditor")
	until(g.t, "every recording is sealed, uploaded and listed", time.Until(since.Add(promised)), seldom, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		all, err := client.Recordings.All(ctx, auditor)
		if err != nil {
			return err
		}
		listed := map[string]string{}
		for _, r := range all {
			listed[r.ID] = r.State
		}
		for id, sealed := range orphans {
			switch state := listed[id]; {
			case state == "", state == "live":
				return fmt.Errorf("%s is listed as %q", id, state)
			case torn && !sealed && state != "torn":
				g.t.Fatalf("%s was cut off by the crash and is listed as %s", id, state)
			}
		}
		return nil
	})
}

// tape is a recording as its auditor and the hospital together read it.
type tape struct {
	id      string
	state   string
	command string
	output  []byte
	input   []byte
}

// tapes fetches what is whole and was not listed before.
func (g *ground) tapes(before []api.Recording) []tape {
	g.t.Helper()
	var all []tape
	for _, r := range g.recordings() {
		if r.State != "live" && !slices.ContainsFunc(before, func(old api.Recording) bool { return old.ID == r.ID }) {
			all = append(all, g.tape(r))
		}
	}
	return all
}

func (g *ground) recordings() []api.Recording {
	g.t.Helper()
	return listed(g, "the recordings are listed", client.Recordings)
}

func (g *ground) sessions() []api.Session {
	g.t.Helper()
	return listed(g, "the sessions are listed", client.Sessions)
}

func listed[T any](g *ground, what string, from client.List[T]) (list []T) {
	g.t.Helper()
	auditor := g.asks("auditor")
	until(g.t, what, patience, seldom, func() (err error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		list, err = from.All(ctx, auditor)
		return err
	})
	return list
}

func (g *ground) tape(rec api.Recording) tape {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var file bytes.Buffer
	until(g.t, rec.ID+" is fetched", patience, seldom, func() error {
		file.Reset()
		_, err := client.RecordingFile.Copy(ctx, g.asks("auditor"), rec.ID, "evidence", &file)
		return err
	})
	result := recordings.Verify(bytes.NewReader(file.Bytes()), int64(file.Len()), nil)
	if result.Result == recordings.VerdictTampered || result.Result == recordings.VerdictLive {
		g.t.Fatalf("%s is %s: %s", rec.ID, result.Result, result.Reason)
	}
	r, err := recordings.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		g.t.Fatal(err)
	}
	defer r.Close()
	if err := r.Unlock(g.inputIdentity()); err != nil {
		g.t.Fatal(err)
	}
	x := tape{id: rec.ID, state: rec.State}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return x
		}
		if err != nil {
			g.t.Fatalf("read %s: %v", rec.ID, err)
		}
		x.take(g, e)
	}
}

func (x *tape) take(g *ground, e session.Event) {
	switch e.Kind {
	case session.ChannelOpened:
		var c session.ChannelOpen
		if err := json.Unmarshal(e.Data, &c); err != nil {
			g.t.Fatal(err)
		}
		x.command = c.Command
	case session.Output:
		x.output = append(x.output, e.Data...)
	case session.Input:
		x.input = append(x.input, e.Data...)
	}
}

func (g *ground) inputIdentity() age.Identity {
	raw, err := os.ReadFile(g.path("state", "hospital-input-identity.txt"))
	if err != nil {
		g.t.Fatal(err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(raw))
	if err != nil {
		g.t.Fatal(err)
	}
	return ids[0]
}

// proves compares what people saw and the device got with what is on record.
func (g *ground) proves(all []tape, v *visit) {
	g.t.Helper()
	shown, reached := v.screen.text(), g.reached(v.name)
	i := slices.IndexFunc(all, func(x tape) bool { return strings.Contains(x.command, " "+v.name+" ") })
	if i < 0 {
		if len(shown) > 0 || len(reached) > 0 {
			g.t.Errorf("%s: %d bytes were shown and %d reached the device, and there is no recording", v.name, len(shown), len(reached))
		}
		return
	}
	x := all[i]
	if !bytes.HasPrefix(x.output, shown) {
		g.t.Errorf("%s (%s, %s): the screen had %d bytes, of which the recording holds %d", v.name, x.id, x.state, len(shown), common(x.output, shown))
	}
	if !bytes.HasPrefix(x.input, reached) {
		g.t.Errorf("%s (%s, %s): %d bytes reached the device, of which the recording holds %d", v.name, x.id, x.state, len(reached), common(x.input, reached))
	}
}

func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// kept makes sure that what was listed before a crash is listed after it, the same
// but for its state.
func (g *ground) kept(sessions []api.Session, recs []api.Recording) {
	g.t.Helper()
	now := map[string]api.Session{}
	for _, s := range g.sessions() {
		now[s.ID] = s
	}
	for _, was := range sessions {
		is, ok := now[was.ID]
		if !ok || is.Asset != was.Asset || is.Engineer != was.Engineer || is.Request != was.Request || is.Service != was.Service ||
			!is.Opened.Equal(was.Opened) || !is.Deadline.Equal(was.Deadline) || !endsAs(was, is) {
			g.t.Errorf("session %s was %+v and is %+v", was.ID, was, is)
		}
		for _, v := range was.Recordings {
			if !slices.Contains(is.Recordings, v) {
				g.t.Errorf("session %s lost its recording %s", was.ID, v)
			}
		}
	}
	list := map[string]api.Recording{}
	for _, r := range g.recordings() {
		list[r.ID] = r
	}
	for _, was := range recs {
		is := list[was.ID]
		if is.Session != was.Session || is.Asset != was.Asset || is.Service != was.Service || is.Engineer != was.Engineer || !is.Started.Equal(was.Started) || is.Bytes < was.Bytes {
			g.t.Errorf("recording %s was %+v and is %+v", was.ID, was, is)
		}
	}
}

// endsAs reports whether what ended stayed so. A session whose time is over ends at its
// deadline until the agent tells, a moment later, when it did: that may lie in between.
func endsAs(was, is api.Session) bool {
	switch {
	case was.Ended == nil:
		return true
	case is.Ended == nil || *is.Reason != *was.Reason:
		return false
	case *was.Reason == session.OutOfTime && was.Ended.Equal(was.Deadline):
		return !is.Ended.After(was.Deadline.Add(2 * time.Second))
	}
	return is.Ended.Equal(*was.Ended)
}
