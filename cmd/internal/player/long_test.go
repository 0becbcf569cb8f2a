package player

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
)

// counted counts what is read of a file.
type counted struct {
	io.ReaderAt
	n atomic.Int64
}

func (c *counted) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, at)
	c.n.Add(int64(n))
	return n, err
}

// A recording of hours opens as one of a minute does: of the file are read the heads of
// its segments and what its picture stands on. A jump reads one stretch. What needs all of it
// is read beside.
func TestALongRecordingOpensAtOnce(t *testing.T) {
	dir, long := filepath.Join(t.TempDir(), "rec"), 15*time.Minute
	if os.Getenv("SALLYPORT_PROVE") != "" {
		long = 8 * time.Hour
	}
	synctest.Test(t, func(t *testing.T) { recordDay(t, dir, dayHeader(), long, pace{1, 8}, 0) })
	file, size := assembled(t, dir)
	src := &counted{ReaderAt: file}
	r, err := recordings.Open(src, size)
	must(t, err)
	t.Cleanup(func() { _ = r.Close() })
	p, err := Open(t.Context(), Config{Recording: r, Signer: "Signed by nobody."})
	must(t, err)
	var x api.Replay
	fetch(t, p, "replay", &x)
	if x.Whole || x.Read != 0 || time.Duration(x.Duration)*time.Microsecond < long {
		t.Errorf("it opens with %d of %d microseconds read", x.Read, x.Duration)
	}
	var first part
	fetch(t, p, "replay/at/1000000", &first)
	if len(first.Events) == 0 {
		t.Error("nothing is shown")
	}
	opened, heads := src.n.Load(), int64(x.Parts)*(208+8)
	t.Logf("of %d kB in %d segments, %d kB were read to the first picture", size/1000, x.Parts, opened/1000)
	if most := 2*heads + 400_000; opened > most || opened > size/2 {
		t.Errorf("%d of %d bytes were read before anything was shown, more than %d", opened, size, most)
	}
	draws := rand.New(rand.NewPCG(1, 1))
	worst := int64(0)
	for range 50 {
		before := src.n.Load()
		var part part
		fetch(t, p, fmt.Sprintf("replay/at/%d", draws.Int64N(x.Duration)), &part)
		if !part.Complete || len(part.Consoles) == 0 && part.N > 0 {
			t.Errorf("at part %d it is not known what stood", part.N)
		}
		worst = max(worst, src.n.Load()-before)
	}
	t.Logf("a jump read %d kB at the most", worst/1000)
	if worst > 400_000 || worst > size/2 { // what a console that is worked at draws anew, and as much again four times
		t.Errorf("a jump read %d bytes of %d", worst, size)
	}
	served(t, p)
	for deadline := time.Now().Add(time.Minute); !x.Whole; time.Sleep(5 * time.Millisecond) {
		if fetch(t, p, "replay", &x); time.Now().After(deadline) {
			t.Fatalf("it is never read to its end: %d of %d", x.Read, x.Duration)
		}
	}
	want := readThrough(t, file, size)
	if x.Read != want.Read || len(x.Markers) != len(want.Markers) || len(x.Channels) != 1 || x.Channels[0].End < 0 || fmt.Sprint(x.Activity, x.Inputs) != fmt.Sprint(want.Activity, want.Inputs) {
		t.Errorf("what was found beside is not what a reading finds: %+v", x)
	}
}

// part is a part as a page reads it.
type part struct {
	N        uint32
	Complete bool
	Consoles []any
	Events   []any
}

func fetch(t *testing.T, p *Player, what string, into any) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://"+p.Address()+p.root+"/"+what, nil)
	w := httptest.NewRecorder()
	p.handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", what, w.Code, w.Body)
	}
	must(t, json.Unmarshal(w.Body.Bytes(), into))
}

func readThrough(t *testing.T, file io.ReaderAt, size int64) replay.Index {
	t.Helper()
	r, err := recordings.Open(file, size)
	must(t, err)
	defer r.Close()
	all := replay.Begin(r)
	for more := true; more; {
		more, err = all.On(1000)
		must(t, err)
	}
	return all.Index()
}
