//go:build bench

package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
	"github.com/sallyport/sallyport/session/vnc"
)

var full = image.Pt(1920, 1080)

// shows counts the pictures of a screen.
type shows func(c screen.Change)

func (s shows) Keep(c screen.Change) error { s(c); return nil }

// heard keeps what a server says.
type heard struct {
	net.Conn
	mu   sync.Mutex
	said bytes.Buffer
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said.Write(p[:n])
	return n, err
}

// length is how much was heard.
func (h *heard) length() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.said.Len()
}

// again says it again, as fast as it is read.
type again struct {
	net.Conn
	said io.Reader
}

func (a again) Read(p []byte) (int, error)     { return a.said.Read(p) }
func (again) Write(p []byte) (int, error)      { return len(p), nil }
func (again) SetDeadline(time.Time) error      { return nil }
func (again) SetWriteDeadline(time.Time) error { return nil }
func (again) Close() error                     { return nil }

// contents are what full-screen changes look like.
func contents() map[string]func(pix []uint32, n int) {
	return map[string]func(pix []uint32, n int){
		"a console's pages, 1920×1080": func(pix []uint32, n int) { // rows of words on a few grounds
			r := rand.New(rand.NewPCG(1, uint64(n)))
			for y := range full.Y {
				row := pix[y*full.X : (y+1)*full.X]
				ground := []uint32{0xffffff, 0xf4f6f8, 0xd9e6f4}[(y/90+n)%3]
				for x := range row {
					row[x] = ground
				}
				if y%18 < 12 {
					for x := 20; x < full.X-300; x += 1 + r.IntN(6) {
						row[x] = []uint32{0x1d2733, 0x5b6b7c, 0x8fa3b7}[r.IntN(3)]
					}
				}
			}
		},
		"pictures in greys, 1920×1080": func(pix []uint32, n int) {
			for i := range pix {
				x, y := i%full.X%128-64, i/full.X%128-64
				g := uint32(n*3+(x*x+y*y)/64) & 0xff
				pix[i] = g<<16 | g<<8 | g
			}
		},
	}
}

// worked is the processor time that this process has taken.
func worked(t *testing.T) time.Duration {
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// decoding is how fast the agent's client draws what a console sends, by processor time: other
// people's work on this machine is not counted.
func decoding(t *testing.T, tb *table) {
	for name, draw := range contents() {
		said, ends := saidBy(t, draw)
		n := len(ends)
		var rates []float64
		for range 5 {
			pictures := 0
			at := worked(t)
			c, err := vnc.Connect(t.Context(), again{said: bytes.NewReader(said)}, screen.New(screen.Masks{}, shows(func(screen.Change) { pictures++ })), vnc.Config{})
			if err == nil {
				err = c.Run()
			}
			if err != io.EOF || pictures < n {
				t.Fatalf("%d of %d pictures: %v", pictures, n, err)
			}
			rates = append(rates, float64(pictures*full.X*full.Y)/1e6/(worked(t)-at).Seconds())
		}
		tb.atLeast("decode "+name, median(rates), 150, "Mpx/s")
	}
}

// saidBy is what an RFB server says that shows 20 pictures to a client of ours, and where
// each of them ends.
func saidBy(t *testing.T, draw func([]uint32, int)) (said []byte, ends []int) {
	const n = 20
	s := screen.New(screen.Masks{}, shows(func(screen.Change) {}))
	must(t, s.Resize(full.X, full.Y), s.Show())
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = rfb.Serve(ctx, far, s, nil, rfb.Config{}) }()
	shown := make(chan struct{}, 100)
	conn := &heard{Conn: near}
	c, err := vnc.Connect(ctx, conn, screen.New(screen.Masks{}, shows(func(c screen.Change) {
		if c.Resized || len(c.Tiles) > 0 { // a cursor alone is no picture
			shown <- struct{}{}
		}
	})), vnc.Config{})
	must(t, err)
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run() }()
	<-shown
	pix := make([]uint32, full.X*full.Y)
	for i := range n {
		draw(pix, i+1)
		s.Draw(image.Rectangle{Max: full}, pix, full.X)
		must(t, s.Show())
		<-shown
		ends = append(ends, conn.length())
	}
	_ = c.Close()
	<-done
	fmt.Printf("%d pictures are %.1f MB as they are sent\n", n, float64(conn.said.Len())/1e6)
	return conn.said.Bytes()[:ends[n-1]], ends
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func screens(t *testing.T, tb *table) {
	decoding(t, tb)
	recording(t, tb)
}

// step lets a reader come to the end of one picture after another.
type step struct {
	said []byte
	ends []int
	next <-chan struct{}
	at   int
}

func (s *step) Read(p []byte) (int, error) {
	if len(s.ends) == 0 {
		return 0, io.EOF
	}
	if s.at == s.ends[0] {
		<-s.next
		if s.ends = s.ends[1:]; len(s.ends) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, s.said[s.at:s.ends[0]])
	s.at += n
	return n, nil
}

// recording is the processor time that a console takes which is drawn by its device and shown
// to one viewer, with a recorder and without: all that a recorder does is counted, also what it
// does beside.
func recording(t *testing.T, tb *table) {
	for name, draw := range contents() {
		said, ends := saidBy(t, draw)
		var with, without []float64
		for range 5 {
			without = append(without, console(t, said, ends, func(screen.Change) {}))
			with = append(with, recorded(t, said, ends))
		}
		tb.versus("drawing and showing alone, with a recorder: "+name, "ms", with, without, 1.10, true)
	}
	withoutARecorder(t, tb)
}

// recorded is console with a recorder.
func recorded(t *testing.T, said []byte, ends []int) float64 {
	_, signer, err := ed25519.GenerateKey(nil)
	must(t, err)
	id, err := age.GenerateX25519Identity()
	must(t, err)
	name := session.NewID().Recording()
	rec, err := recordings.Create(filepath.Join(t.TempDir(), name), recordings.Header{Recording: name, Session: session.NewID().Session(),
		Request: session.NewID().Request(), GrantHash: strings.Repeat("0", 64), Site: "NGH", Asset: "NGH-PETCT1", Service: "console-vnc", Protocol: session.VNC},
		recordings.Options{Signer: signer, InputRecipient: id.Recipient().String(), Picture: frames.NewPicture()})
	must(t, err)
	open, err := json.Marshal(session.ChannelOpen{Type: session.Control})
	must(t, err)
	say := func(kind session.EventKind, data []byte) error {
		return rec.Record(session.Event{Kind: kind, Stream: 1, Data: data})
	}
	must(t, say(session.ChannelOpened, open))
	e := frames.NewEncoder()
	at := worked(t)
	took := console(t, said, ends, func(c screen.Change) {
		if c.Resized {
			must(t, say(session.ScreenSize, frames.SizeData(c.Size, false)))
		}
		must(t, e.Sheets(c.Was, c.Now, c.Tiles, c.Boxes, func(b []byte) error { return say(session.ScreenTiles, b) }))
	})
	before := worked(t) - at
	must(t, rec.Close(session.Completed))
	return took + float64((worked(t)-at-before).Microseconds())/1000
}

// console draws what a device said, picture by picture, for one viewer who takes each, and
// returns the processor time that it took, in ms.
func console(t *testing.T, said []byte, ends []int, keep func(screen.Change)) float64 {
	s := screen.New(screen.Masks{}, shows(keep))
	next := make(chan struct{})
	c, err := vnc.Connect(t.Context(), again{said: &step{said: said, ends: ends, next: next}}, s, vnc.Config{})
	must(t, err)
	must(t, s.Show())
	v := newDrain()
	served := make(chan struct{})
	go func() { defer close(served); _ = rfb.Serve(t.Context(), v, s, nil, rfb.Config{}) }()
	<-v.took // black
	at := worked(t)
	run := make(chan error, 1)
	go func() { run <- c.Run() }()
	for range ends {
		v.ask <- struct{}{}
		<-v.took
		next <- struct{}{}
	}
	if err := <-run; err != io.EOF {
		t.Fatal(err)
	}
	ms := float64((worked(t) - at).Microseconds()) / 1000
	_ = v.Close()
	<-served
	return ms
}

// drain is a viewer that looks at nothing, but sees where an update ends.
type drain struct {
	again
	says []byte
	into *io.PipeWriter // what it is sent
	ask  chan struct{}
	took chan struct{} // an update, whole
	gone chan struct{}
}

func newDrain() *drain {
	from, into := io.Pipe()
	d := &drain{into: into, ask: make(chan struct{}), took: make(chan struct{}, 1), gone: make(chan struct{}), says: []byte("RFB 003.008\n\x01\x01")}
	go func() { _ = from.CloseWithError(d.follow(bufio.NewReaderSize(from, 64<<10))) }()
	d.says = append(d.says, rfb.SetEncodings, 0, 0, 1, 0, 0, 0, rfb.Tight)
	d.says = append(d.says, request(0)...)
	return d
}

// request asks for what changes, or for everything.
func request(changes byte) []byte {
	return []byte{rfb.UpdateRequest, changes, 0, 0, 0, 0, byte(full.X >> 8), byte(full.X & 0xff), byte(full.Y >> 8), byte(full.Y & 0xff)}
}

func (d *drain) Read(p []byte) (int, error) {
	if len(d.says) == 0 {
		select {
		case <-d.ask:
			d.says = request(1)
		case <-d.gone:
			return 0, io.EOF
		}
	}
	n := copy(p, d.says)
	d.says = d.says[n:]
	return n, nil
}

func (d *drain) Write(p []byte) (int, error) { return d.into.Write(p) }

// follow reads updates of Tight rectangles.
func (d *drain) follow(in *bufio.Reader) error {
	u := updates{in: in}
	u.skip(12 + 2 + 4) // version, security and its result
	u.skip(int(binary.BigEndian.Uint32(u.read(24)[20:])))
	for u.err == nil {
		for n := binary.BigEndian.Uint16(u.read(4)[2:]); n > 0 && u.err == nil; n-- {
			head := u.read(12)
			u.tight(int(binary.BigEndian.Uint16(head[4:])), int(binary.BigEndian.Uint16(head[6:])))
		}
		d.took <- struct{}{}
	}
	return u.err
}

// updates is what a viewer is sent; the first error stays.
type updates struct {
	in  *bufio.Reader
	buf [24]byte
	err error
}

func (u *updates) read(n int) []byte {
	if u.err == nil {
		_, u.err = io.ReadFull(u.in, u.buf[:n])
	}
	return u.buf[:n]
}

func (u *updates) skip(n int) {
	if u.err == nil {
		_, u.err = u.in.Discard(n)
	}
}

// tight passes over a rectangle's content (rfbproto, Tight Encoding).
func (u *updates) tight(wide, high int) {
	size := 3 * wide * high
	switch control := u.read(1)[0]; {
	case control == 0x80: // one colour
		u.skip(3)
		return
	case control&0x40 != 0: // a palette
		n := int(u.read(2)[1]) + 1
		u.skip(3 * n)
		if size = wide * high; n == 2 {
			size = (wide + 7) / 8 * high
		}
	}
	if size < 12 {
		u.skip(size)
		return
	}
	n := 0
	for shift := 0; shift <= 14; shift += 7 {
		c := u.read(1)[0]
		if shift < 14 {
			c &= 0x7f
		}
		n |= int(c) << shift
		if u.buf[0] < 0x80 {
			break
		}
	}
	u.skip(n)
}

func (d *drain) SetReadDeadline(time.Time) error { return nil }

func (d *drain) Close() error {
	select {
	case <-d.gone:
	default:
		close(d.gone)
	}
	return nil
}
