package screen

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"image"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/held"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
	"github.com/sallyport/sallyport/session/vnc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is an engine with one console at a device that is an RFB server.
type world struct {
	t      *testing.T
	engine *engine.Engine
	line   *Line
	masks  screen.Masks
	key    ed25519.PrivateKey
	ticket *engine.Ticket
	device *desk

	state atomic.Value // how the scanner stands; nothing: it has no interlock
	shut  string       // why nothing opens

	mu    sync.Mutex
	facts session.SessionFacts
	tapes []*tape
	told  link.SessionReport // last
}

func (w *world) report(r link.SessionReport) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = r
}

// desk is the device: what it shows, and what was done at it.
type desk struct {
	*screen.Screen
	addr  string
	texts chan string

	mu   sync.Mutex
	done []string
}

func (*desk) Keep(screen.Change) error { return nil }

func (d *desk) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = append(d.done, fmt.Sprintf(format, args...))
}

func (d *desk) Press(k screen.Key) error     { d.note("key %d %v", k.Sym, k.Down); return nil }
func (d *desk) Point(p screen.Pointer) error { d.note("pointer %v %d", p.At, p.Buttons); return nil }
func (d *desk) Paste(text string) error      { d.note("paste %s", text); return nil }

func (d *desk) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.done)
}

func startDesk(t *testing.T, size image.Point) *desk {
	d := &desk{texts: make(chan string, 1)}
	d.Screen = screen.New(screen.Masks{}, d)
	must(t, d.Resize(size.X, size.Y))
	must(t, d.Show())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	d.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { _ = rfb.Serve(ctx, c, d.Screen, d, rfb.Config{Name: "desk", Texts: d.texts}) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); cancel(); served.Wait() })
	return d
}

// tape is a recording in memory.
type tape struct {
	mu     sync.Mutex
	events []session.Event
	broken bool
	closed session.EndReason
	done   chan struct{}
}

func (r *tape) Record(e session.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return io.ErrShortWrite
	}
	e.Data = slices.Clone(e.Data)
	r.events = append(r.events, e)
	return nil
}

func (r *tape) Close(reason session.EndReason) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = reason
	close(r.done)
	return nil
}

// inputs are what stands on the recording of what was done by hand.
func (r *tape) inputs(t *testing.T) (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind != session.Input {
			continue
		}
		in, err := frames.ParseInput(e.Data)
		must(t, err)
		switch in.Kind {
		case frames.Key:
			all = append(all, fmt.Sprintf("key %d %v", in.Sym, in.Down))
		case frames.Pointer:
			all = append(all, fmt.Sprintf("pointer %v %d", in.At, in.Buttons))
		default:
			all = append(all, "paste "+in.Text)
		}
	}
	return all
}

// shown is the screen that the recording's events draw.
func (r *tape) shown(t *testing.T) *frames.Screen {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := frames.NewPicture()
	defer p.Close()
	for _, e := range r.events {
		if !e.Kind.Sealed() {
			p.Take(e)
		}
	}
	all, complete := p.Snapshots()
	if len(all) != 1 || !complete {
		t.Fatalf("%d consoles on the recording, complete %v", len(all), complete)
	}
	s, err := frames.Unpack(all[0].Data)
	must(t, err)
	return s
}

func (r *tape) notes(kind session.NoteKind) (all []session.Note) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if n, ok := noteOf(e); ok && n.Kind == kind {
			all = append(all, n)
		}
	}
	return all
}

func newWorld(t *testing.T, size image.Point, masks screen.Masks, class session.Class, channels ...session.Channel) *world {
	t.Helper()
	w := &world{t: t, masks: masks, device: startDesk(t, size)}
	_, w.key, _ = ed25519.GenerateKey(rand.Reader)
	w.ticket = &engine.Ticket{ID: session.NewID(), Request: session.NewID().Request(), Asset: "NGH-PETCT1", Class: class,
		Engineer: session.Person{Identity: session.Identity{Iss: "https://vendor", Sub: "ann"}}, NotAfter: time.Now().Add(time.Hour), Channels: map[session.Channel]bool{}}
	for _, c := range channels {
		w.ticket.Channels[c] = true
	}
	log := slog.New(slog.DiscardHandler)
	var err error
	w.line, err = New(Config{Protocol: session.VNC, Dial: w.dial, Masks: func(string, string) screen.Masks { return masks }, Memory: held.NewMemory(1 << 30), Log: log})
	must(t, err)
	_, identity, _ := ed25519.GenerateKey(rand.Reader)
	inner, err := attach.InnerServer(identity)
	must(t, err)
	w.engine, err = engine.New(engine.Config{
		Tickets: w, Lines: []engine.Line{w.line}, Protocol: func(string, string) session.Protocol { return session.VNC },
		Agent: "SHA256:x", Site: "NGH", Inner: inner, Log: log, Now: time.Now, Report: w.report,
		Modality: func(string) (engine.Modality, bool) {
			state, some := w.state.Load().(session.ModalityState)
			return engine.Modality{State: state, Says: "the operator", Shut: w.shut}, some
		},
		Recordings: func(recordings.Header, recordings.Picture) (session.Recorder, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			r := &tape{done: make(chan struct{})}
			w.tapes = append(w.tapes, r)
			return r, nil
		},
	})
	must(t, err)
	t.Cleanup(w.engine.Close)
	return w
}

func (w *world) dial(ctx context.Context, _ ledger.Ticket, _ string, use Use) (Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.device.addr)
	if err != nil {
		return nil, err
	}
	c, err := vnc.Connect(ctx, conn, use.Screen, vnc.Config{Masked: w.masks.Any(), Copied: use.Copied})
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// What the engine asks of the ledger.
func (w *world) Find(string, string, string, time.Time) (*engine.Ticket, error) { return w.ticket, nil }

func (w *world) Begin(_ *engine.Ticket, now time.Time) (session.SessionFacts, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.facts.Opened.IsZero() {
		w.facts = session.SessionFacts{Opened: now, Deadline: now.Add(time.Hour)}
	}
	return w.facts, nil
}

func (w *world) End(_ session.ID, reason session.EndReason, now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.facts.Ended, w.facts.Reason = now, reason
	return nil
}

func (w *world) Freeze(session.ID, []string, time.Time) error { return nil }

func (w *world) tape() *tape {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tapes[len(w.tapes)-1]
}

// until waits for something.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not in time: %s", what)
		}
	}
}

// window is a viewer that attached: its screen, its hands and what it was told.
type window struct {
	*vnc.Client
	w       *world
	screen  *screen.Screen
	welcome attach.Welcome
	near    net.Conn
	copied  chan string

	mu  sync.Mutex
	pix []uint32
	on  image.Point
	was []attach.Notice
}

// Keep takes what the viewer shows.
func (v *window) Keep(c screen.Change) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.on, v.pix = c.Size, slices.Clone(c.Pix)
	return nil
}

func (v *window) told(kind attach.NoticeType) (last attach.Notice, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, n := range v.was {
		if n.Type == kind {
			last, ok = n, true
		}
	}
	return last, ok
}

func (v *window) shows(size image.Point, pix []uint32) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.on == size && slices.Equal(v.pix, pix)
}

// look opens a window, by the door that browsers come by or inside of TLS.
func (w *world) look(inside bool) *window {
	w.t.Helper()
	return w.lookAs(inside, w.key, attach.Proof{})
}

// lookAs connects with a key, for a role.
func (w *world) lookAs(inside bool, key crypto.Signer, as attach.Proof) *window {
	w.t.Helper()
	as.Session, as.Opening = w.ticket.ID.Session(), attach.ConsoleOpening()
	near, far := tcpPipe(w.t)
	door := link.DoorAttach
	if inside {
		door = link.DoorTLS
	}
	var served sync.WaitGroup
	served.Go(func() {
		w.engine.Serve(context.Background(), engine.Visit{Door: door, Asset: "NGH-PETCT1", Service: "console-vnc", Peer: "192.0.2.7"}, far)
	})
	v := &window{w: w, near: near, copied: make(chan string, 8)}
	w.t.Cleanup(func() { v.near.Close(); served.Wait() })
	if inside {
		v.near = tls.Client(near, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"sallyport-inner/1"}})
	}
	c, err := attach.NewClient(v.near)
	must(w.t, err)
	v.welcome, err = c.Begin(key, as)
	must(w.t, err)
	v.screen = screen.New(screen.Masks{}, v)
	stream := &attach.Stream{Client: c, Told: func(n attach.Notice) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.was = append(v.was, n)
	}}
	v.Client, err = vnc.Connect(context.Background(), &framed{v.near, stream}, v.screen, vnc.Config{Copied: func(s string) { v.copied <- s }})
	must(w.t, err)
	served.Go(func() { _ = v.Run() })
	return v
}

// framed is a connection whose bytes lie between frames.
type framed struct {
	net.Conn
	stream *attach.Stream
}

func (f *framed) Read(p []byte) (int, error)  { return f.stream.Read(p) }
func (f *framed) Write(p []byte) (int, error) { return f.stream.Write(p) }

func tcpPipe(t *testing.T) (near, far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	near, err = net.Dial("tcp", l.Addr().String())
	must(t, err)
	far, err = l.Accept()
	must(t, err)
	return near, far
}
