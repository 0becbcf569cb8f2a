package player

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"image"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
)

// Nobody else on this machine, and no name that was rebound to it, gets at a recording; the
// page has the strictest policy, and nothing but the recording is served.
func TestOnlyTheAddressThatWasToldPlays(t *testing.T) {
	p := opened(t, false)
	get := func(host, path string) (int, http.Header, string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, "http://"+p.Address()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, string(b)
	}
	for path, want := range map[string]int{
		p.root + "/": 200, p.root + "/replay": 200, p.root + "/replay/0": 200, p.root + "/replay/at/1500000": 200, p.root + "/replay/thumb/3000000": 200,
		"/": 404, "/replay": 404, "/replay/0": 404, p.root + "x/replay": 404, p.root + "/replay/99": 404, p.root + "/replay/-1": 404, p.root + "/replay/at/x": 404,
		p.root + "/recordings": 404, "/api/v1/me": 404, "/index.html": 404, "/play.html": 404,
	} {
		status, h, body := get(p.Address(), path)
		if status != want {
			t.Errorf("%s: %d instead of %d: %.200s", path, status, want, body)
		}
		policy := h.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if got, _, _ := get("evil.example:80", path); got != http.StatusMisdirectedRequest {
			t.Errorf("%s by another name: %d", path, got)
		}
	}
	if len(p.root) != 27 || strings.Contains(p.Address(), "0.0.0.0") {
		t.Errorf("played at %s%s", p.Address(), p.root)
	}
}

// Where the pointer was is among what was typed: it is handed out only where that was opened.
func TestThePointerIsShownWhereTypedInputWasOpened(t *testing.T) {
	for _, typed := range []bool{false, true} {
		p := opened(t, typed)
		res, err := http.Get(p.URL + "replay/0")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var part struct{ Events [][]any }
		if err := json.NewDecoder(res.Body).Decode(&part); err != nil {
			t.Fatal(err)
		}
		kinds, last := "", 0.0
		for _, e := range part.Events {
			kinds += e[2].(string)
			if at := e[0].(float64); at < last {
				t.Errorf("%v comes after %v", at, last)
			} else {
				last = at
			}
		}
		if want := map[bool]string{false: "wt", true: "wti"}[typed]; kinds != want {
			t.Errorf("opened %v: events %q instead of %q", typed, kinds, want)
		}
	}
}

// opened plays a recording of a console on which a key was pressed and the pointer moved.
func opened(t *testing.T, typed bool) *Player {
	t.Helper()
	r := recorded(t, typed)
	p, err := Open(t.Context(), Config{Recording: r, Signer: "Signed by nobody.", Typed: typed})
	if err != nil {
		t.Fatal(err)
	}
	served(t, p)
	return p
}

// served plays until the test is over.
func served(t *testing.T, p *Player) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- p.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}

func recorded(t *testing.T, unlock bool) *recordings.Reader {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	input, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	dir := filepath.Join(t.TempDir(), "rec")
	w, err := recordings.Create(dir, recordings.Header{Recording: session.NewID().Recording(), Session: session.NewID().Session(),
		Request: session.NewID().Request(), GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "console-vnc", Protocol: session.VNC},
		recordings.Options{Signer: key, InputRecipient: input.Recipient().String(), SegmentTime: time.Hour, HeadEvery: time.Hour, Picture: frames.NewPicture(),
			Now: func() time.Time { now = now.Add(time.Millisecond); return now }})
	if err != nil {
		t.Fatal(err)
	}
	record := func(kind session.EventKind, data []byte) {
		t.Helper()
		if err := w.Record(session.Event{Kind: kind, Stream: 1, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	size := image.Pt(61, 40)
	record(session.ChannelOpened, []byte(`{"type":"control"}`))
	record(session.ScreenSize, frames.SizeData(size, false))
	if err := frames.NewEncoder().Tiles(size, nil, make([]uint32, size.X*size.Y), []image.Point{{}}, func(b []byte) error { record(session.ScreenTiles, b); return nil }); err != nil {
		t.Fatal(err)
	}
	record(session.Input, frames.KeyData('p', 0, true))
	record(session.Input, frames.PointerData(image.Pt(7, 9), 1))
	if err := w.Close(session.Completed); err != nil {
		t.Fatal(err)
	}
	if !unlock {
		return single(t, dir)
	}
	r, err := recordings.Follow(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if err := r.Unlock(input); err != nil {
		t.Fatal(err)
	}
	return r
}

// single is a recording in the one file that is fetched.
func single(t *testing.T, dir string) *recordings.Reader {
	t.Helper()
	r, err := recordings.Open(assembled(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func assembled(t *testing.T, dir string) (io.ReaderAt, int64) {
	t.Helper()
	part := func(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(dir, name)) }
	all, err := recordings.TakeInventory(part, func(name string) (int64, error) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := all.Assemble(&b, part); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes()), int64(b.Len())
}
