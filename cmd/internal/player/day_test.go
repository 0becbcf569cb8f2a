package player

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"image"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/vnc"
)

// A day is a session of hours at the scanner's console, as an agent records it: the simulator's
// own console is served by RFB, our client draws it, and the recorder writes what is shown and
// done. Only time is quick: segments, heads and pictures come when they are due.
type day struct {
	t       testing.TB
	rec     *recordings.Writer
	encoder *frames.Encoder
	client  *vnc.Client
	began   time.Time
	looks   []look // that are still to come
	seen    []look
	now     []byte // what the screen shows, as a canvas has it
}

// look is what the framebuffer held at a moment, while it was live.
type look struct {
	At     int64  `json:"at"` // microseconds from the beginning
	SHA256 string `json:"sha256"`
}

const dayStream = 1

// pace is how somebody works: for so many minutes at a time, or up to twice as many, with about
// so many between.
type pace struct{ work, rest int }

// recordDay records so long a session into dir, and tells what its screen showed at so many
// moments. It is called in a bubble.
func recordDay(t *testing.T, dir string, head recordings.Header, long time.Duration, how pace, looks int) []look {
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	input, err := age.GenerateX25519Identity()
	must(t, err)
	d := &day{t: t, encoder: frames.NewEncoder(), began: time.Now(), looks: looksInto(long, looks)}
	d.rec, err = recordings.Create(dir, head, recordings.Options{Signer: key, InputRecipient: input.Recipient().String(), Picture: frames.NewPicture()})
	must(t, err)
	d.record(session.ChannelOpened, []byte(`{"type":"control"}`))

	s, err := simulator.New(simulator.Config{Asset: session.Asset{Name: head.Asset, Label: "PET/CT 1", Modality: "PT/CT"}, Dir: filepath.Join(t.TempDir(), "scanner"), Password: "x", Pace: -1})
	must(t, err)
	console, err := s.Console(simulator.ConsoleConfig{})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	l := newPipes()
	served, ran := make(chan error, 1), make(chan error, 1)
	go func() { served <- console.Serve(ctx, l) }()
	masks := screen.Masks{}
	d.client, err = vnc.Connect(ctx, l.dial(), screen.New(masks, d), vnc.Config{})
	must(t, err)
	go func() { ran <- d.client.Run() }()
	d.work(long, how)
	_ = d.client.Close()
	<-ran
	cancel()
	must(t, <-served)
	d.looked(long)
	d.record(session.ChannelClosed, nil)
	must(t, d.rec.Close(session.Completed))
	return d.seen
}

// looksInto are moments of a session, anywhere in it, in their order. They are between two
// milliseconds, at which things happen, and after the first picture.
func looksInto(long time.Duration, n int) []look {
	r := rand.New(rand.NewPCG(1, 8))
	all := make([]look, n)
	for i := range all {
		all[i].At = 1_000_000 + 1000*r.Int64N(long.Milliseconds()-2000) + 500
	}
	slices.SortFunc(all, func(a, b look) int { return cmp.Compare(a.At, b.At) })
	return all
}

// looked keeps what the screen has shown at the moments until now.
func (d *day) looked(until time.Duration) {
	for ; len(d.looks) > 0 && d.looks[0].At < until.Microseconds(); d.looks = d.looks[1:] {
		d.seen = append(d.seen, look{d.looks[0].At, fmt.Sprintf("%x", sha256.Sum256(d.now))})
	}
}

// canvas is what a browser's canvas holds of pixels.
func canvas(to []byte, pix []uint32) []byte {
	to = to[:0]
	for _, p := range pix {
		to = append(to, byte(p>>16), byte(p>>8), byte(p), 0xff)
	}
	return to
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (d *day) record(kind session.EventKind, data []byte) {
	if err := d.rec.Record(session.Event{Kind: kind, Stream: dayStream, Data: data}); err != nil {
		d.t.Error(err)
	}
}

// Keep implements screen.Keeper, as the agent's does.
func (d *day) Keep(c screen.Change) error {
	d.looked(time.Since(d.began))
	if c.Resized {
		d.record(session.ScreenSize, frames.SizeData(c.Size, c.Hidden))
	}
	err := d.encoder.Sheets(c.Was, c.Now, c.Tiles, c.Boxes, func(b []byte) error { d.record(session.ScreenTiles, b); return nil })
	if err == nil && c.Cursor != nil {
		d.record(session.ScreenCursor, frames.CursorData(frames.Cursor{Size: c.Cursor.Size, Hot: c.Cursor.Hot, Pix: c.Cursor.Pix}))
	}
	d.now = canvas(d.now, c.Pix)
	return err
}

func (d *day) work(long time.Duration, how pace) {
	r := rand.New(rand.NewPCG(8, 5))
	end := time.Now().Add(long)
	for time.Now().Before(end) {
		for stop := time.Now().Add(time.Duration(how.work+r.IntN(how.work)) * time.Minute); time.Now().Before(stop) && time.Now().Before(end); {
			d.point(image.Pt(900+r.IntN(370), 560+r.IntN(200)), r.IntN(3) == 0) // among the buttons
			for _, c := range []string{"coolstat", "dettemp", "evlog", "dbstat"}[r.IntN(4)] {
				d.press(uint32(c))
				d.pass(time.Duration(120+r.IntN(200)) * time.Millisecond)
			}
			d.press(0xff0d)
			d.pass(time.Duration(1+r.IntN(9)) * time.Second)
		}
		d.pass(min(time.Until(end), time.Duration(how.rest+r.IntN(how.rest))*time.Minute))
	}
}

func (d *day) pass(long time.Duration) {
	time.Sleep(max(0, long))
	synctest.Wait()
}

func (d *day) press(sym uint32) {
	for _, down := range []bool{true, false} {
		d.record(session.Input, frames.KeyData(sym, 0, down))
		must(d.t, d.client.Press(screen.Key{Sym: sym, Down: down}))
	}
}

func (d *day) point(at image.Point, click bool) {
	all := []uint16{0}
	if click {
		all = []uint16{0, 1, 0}
	}
	for _, buttons := range all {
		d.record(session.Input, frames.PointerData(at, buttons))
		must(d.t, d.client.Point(screen.Pointer{At: at, Buttons: buttons}))
	}
}

// pipes listens in this process, where a bubble's time is kept.
type pipes struct {
	conns chan net.Conn
	over  chan struct{}
	once  *sync.Once
}

func newPipes() pipes { return pipes{make(chan net.Conn), make(chan struct{}), new(sync.Once)} }

func (p pipes) dial() net.Conn {
	near, far := net.Pipe()
	p.conns <- far
	return near
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	p.once.Do(func() { close(p.over) })
	return nil
}

func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func dayHeader() recordings.Header {
	return recordings.Header{Recording: session.NewID().Recording(), Session: session.NewID().Session(), Request: session.NewID().Request(),
		GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "console-vnc", Protocol: session.VNC}
}
