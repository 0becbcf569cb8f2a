package attached

import (
	"bytes"
	"crypto"
	"fmt"
	"image"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/world"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/vnc"
)

// window is a page on a console: what it shows, and what it was told.
type window struct {
	*vnc.Client
	t       *testing.T
	conn    net.Conn
	welcome attach.Welcome
	first   time.Duration // from the ticket to the first whole picture

	mu      sync.Mutex
	size    image.Point
	pix     []uint32
	sizes   int
	changes int
	notices []attach.Notice
	closed  bool
	copied  []string
}

// Keep takes what the window is about to show.
func (w *window) Keep(c screen.Change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.size, w.pix = c.Size, slices.Clone(c.Pix)
	w.changes++
	if c.Resized {
		w.sizes++
	}
	return nil
}

// framed is a connection of which RFB lies between frames.
type framed struct {
	net.Conn
	stream *attach.Stream
}

func (f *framed) Read(p []byte) (int, error)  { return f.stream.Read(p) }
func (f *framed) Write(p []byte) (int, error) { return f.stream.Write(p) }

// look opens a window on a console and waits for its first picture.
func (p *person) look(key crypto.Signer, id, scanner, service string) *window {
	p.t.Helper()
	w := &window{t: p.t}
	start := time.Now()
	ws, conn := p.dial(scanner, service)
	w.conn = conn
	c, err := attach.NewClient(conn)
	must(p.t, err)
	w.welcome, err = c.Begin(key, attach.Proof{Session: id, Opening: attach.ConsoleOpening()})
	must(p.t, err)
	stream := &attach.Stream{Client: c, Told: func(n attach.Notice) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notices = append(w.notices, n)
	}}
	w.Client, err = vnc.Connect(p.t.Context(), &framed{conn, stream}, screen.New(screen.Masks{}, w), vnc.Config{Copied: func(text string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.copied = append(w.copied, text)
	}})
	must(p.t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.closed = true
	}()
	p.t.Cleanup(func() { _ = ws.CloseNow(); <-done })
	w.until("shows something", func() bool { return w.changes > 0 })
	w.first = time.Since(start)
	return w
}

// until waits for something of the window.
func (w *window) until(what string, ok func() bool) {
	w.t.Helper()
	until(w.t, "the window: "+what, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case ok():
			return nil
		case w.closed:
			w.t.Fatalf("the window was closed before it %s; it was told %+v", what, w.notices)
		}
		return errNotYet
	})
}

func (w *window) seen() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes
}

// told waits for a notice.
func (w *window) told(kind attach.NoticeType) (n attach.Notice) {
	w.t.Helper()
	w.until("is told "+string(kind), func() bool {
		i := slices.IndexFunc(w.notices, func(n attach.Notice) bool { return n.Type == kind })
		if i >= 0 {
			n = w.notices[i]
		}
		return i >= 0
	})
	return n
}

func (w *window) types(syms ...uint32) {
	w.t.Helper()
	for _, k := range syms {
		must(w.t, w.Press(screen.Key{Sym: k, Down: true}))
		must(w.t, w.Press(screen.Key{Sym: k}))
	}
}

// painted is a picture as masks leave it.
func painted(size image.Point, pix []uint32, boxes []image.Rectangle) []uint32 {
	pix = slices.Clone(pix)
	for _, b := range boxes {
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				pix[y*size.X+x] = maskColour
			}
		}
	}
	return pix
}

// maskColour is what stands in the place of what is hidden.
const maskColour = 0x3a4450

// tape is a recording of a console, all of it.
type tape struct {
	events []session.Event
	input  []frames.Input
}

// sealed waits for a recording in the broker's vault, closed, and reads it with the
// hospital's own key for what was typed.
func sealed(t *testing.T, ready world.Ready, auditor *person, id string) *tape {
	t.Helper()
	until(t, "the recording is sealed", func() error {
		var r api.Recording
		auditor.call(http.MethodGet, "/api/v1/recordings/"+id, nil, &r)
		if r.State != "sealed" {
			time.Sleep(200 * time.Millisecond) // there is a bound to how often one may ask
			return fmt.Errorf("it is %s", r.State)
		}
		return nil
	})
	state := filepath.Dir(ready.AgentConfig)
	r, err := recordings.Follow(filepath.Join(state, "broker", "vault", "NGH", id))
	must(t, err)
	defer r.Close()
	raw, err := os.ReadFile(filepath.Join(state, "hospital-input-identity.txt"))
	must(t, err)
	keys, err := age.ParseIdentities(bytes.NewReader(raw))
	must(t, err)
	must(t, r.Unlock(keys[0]))
	tp := &tape{}
	for {
		e, err := r.Next()
		if err != nil {
			break
		}
		e.Data = bytes.Clone(e.Data)
		tp.events = append(tp.events, e)
		if e.Kind == session.Input {
			in, err := frames.ParseInput(e.Data)
			must(t, err)
			tp.input = append(tp.input, in)
		}
	}
	return tp
}

// pictures calls each with what the recording shows after every change.
func (tp *tape) pictures(t *testing.T, each func(s *frames.Screen)) {
	t.Helper()
	p := frames.NewPicture()
	defer p.Close()
	for _, e := range tp.events {
		if e.Kind.Sealed() {
			continue
		}
		p.Take(e)
		if e.Kind != session.ScreenTiles && e.Kind != session.ScreenSize {
			continue
		}
		all, _ := p.Snapshots()
		if len(all) != 1 {
			t.Fatalf("%d consoles", len(all))
		}
		s, err := frames.Unpack(all[0].Data)
		must(t, err)
		each(s)
	}
}
