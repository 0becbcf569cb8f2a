package stories

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/recordings"
	nouns "github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/terminal/mirror"
)

// seeks RECORDING vault-site FILE...: each of the recording's later segments says all that
// stood when it began. Played from a moment in any of them, the vault's directory and the
// files show on a terminal what playing them through shows, with every other segment
// before it in pieces.
func cmdSeeks(ts *testscript.TestScript, _ bool, args []string) {
	dir := filepath.Join(ts.MkAbs(args[1]), args[0])
	r, err := recordings.Follow(dir)
	ts.Check(err)
	defer r.Close()
	var events []nouns.Event
	begins := []int64{0} // of each segment, the moment of its first event
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		ts.Check(err)
		if n := int(r.Segments()); n == len(begins) {
			begins = append(begins, e.At)
		}
		events = append(events, e)
	}
	segments := int(r.Segments())
	if segments < 4 || len(begins) < segments-1 {
		ts.Fatalf("%d segments, of which %d hold events", segments, len(begins))
	}
	whole := played(ts, dir, 0)
	for n := 1; n < len(begins); n++ {
		stood, err := r.Begin(uint32(n))
		ts.Check(err)
		if !stood.Complete || len(stood.Snapshots) != 1 {
			ts.Fatalf("segment %d: %d snapshots, complete %v", n, len(stood.Snapshots), stood.Complete)
		}
		at := begins[n] + 1 // microseconds; in the segment, behind its first event
		if n+1 < len(begins) {
			at = (begins[n] + begins[n+1]) / 2
		}
		want := screenAt(events, at)
		if n < len(begins)-1 && (!bytes.Contains(want, []byte("GANTRY SERVICE, unit 4")) || !bytes.Contains(want, []byte("of the procedure"))) {
			ts.Fatalf("at %d is shown %q", at, want)
		}
		alone := onlySegment(ts, dir, n, segments)
		for _, from := range append([]string{dir, alone}, args[2:]...) {
			out := played(ts, from, time.Duration(at)*time.Microsecond)
			before, through := apart(out, whole)
			if got := altScreen(before); n < len(begins)-1 && !bytes.Equal(got, altScreen(through)) {
				ts.Fatalf("%s from %d on: its picture shows\n%q\nand a play-through\n%q", from, at, got, altScreen(through))
			}
			if got := altScreen(cut(out, events, at)); n < len(begins)-1 && !bytes.Equal(got, want) {
				ts.Fatalf("%s at %d shows\n%q\nwant\n%q", from, at, got, want)
			}
		}
	}
	ts.Logf("%d segments, %d events", segments, len(events))
}

// played is what a terminal is given by a replay.
func played(ts *testscript.TestScript, from string, at time.Duration) []byte {
	command := "sallyport recordings play " + ts.MkAbs(from) + " --idle 1ms"
	if at > 0 {
		command += " --at " + at.String()
	}
	ts.Check(ts.Exec("script", "-qec", command, "/dev/null"))
	return []byte(ts.ReadFile("stdout"))
}

// apart leaves out of two replays what both end with.
func apart(a, b []byte) (x, y []byte) {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return a[:len(a)-n], b[:len(b)-n]
}

// cut is a replay up to a moment: everything without what its recording shows later.
func cut(out []byte, events []nouns.Event, at int64) []byte {
	for _, e := range events {
		if e.Kind == nouns.Output && e.At > at {
			if i := bytes.LastIndex(out, e.Data); i >= 0 {
				return out[:i]
			}
		}
	}
	return out
}

// screenAt is what stands at a moment, of a recording with one terminal.
func screenAt(events []nouns.Event, at int64) []byte {
	var b []byte
	for _, e := range events {
		if e.Kind == nouns.Output && e.At <= at {
			b = append(b, e.Data...)
		}
	}
	return altScreen(b)
}

// altScreen is what a full-screen program shows after these bytes; what stands behind it,
// where a replay's own remarks are, is left out.
func altScreen(b []byte) []byte {
	m := mirror.New(80, 24)
	m.Write(b)
	_, _, data := m.Snapshot()
	if i := bytes.LastIndex(data, []byte("\x1b[?1049h")); i >= 0 {
		return data[i:]
	}
	return nil
}

// onlySegment copies a recording and spoils the content of each segment before one.
func onlySegment(ts *testscript.TestScript, dir string, n, segments int) string {
	to := ts.MkAbs(fmt.Sprintf("only-%d", n))
	ts.Check(os.Mkdir(to, 0o700))
	names := []string{recordings.HeaderPart, recordings.SealPart}
	for i := range segments {
		names = append(names, recordings.SegmentPart(uint32(i)))
	}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(dir, name))
		ts.Check(err)
		if i, ok := recordings.Segment(name); ok && int(i) < n {
			copy(b[recordings.SegmentHead:], strings.Repeat("spoilt ", len(b)))
		}
		ts.Check(os.WriteFile(filepath.Join(to, name), b, 0o600))
	}
	return to
}
