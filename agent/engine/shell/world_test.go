package shell

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	gossh "golang.org/x/crypto/ssh"

	devices "github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/held"
	"github.com/sallyport/sallyport/session/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an engine with a ledger, a device and a recorder that can misbehave.
type world struct {
	t       *testing.T
	engine  *engine.Engine
	line    *Line
	rights  *fakeRights
	tickets engine.Tickets // instead of those of rights, if not nil
	addr    string         // where engineers connect
	agent   gossh.PublicKey
	second  gossh.PublicKey // its other host key

	mu      sync.Mutex
	tapes   []*tape
	reports []link.SessionReport
	busy    []int
	make    func(h recordings.Header) (*tape, error)
	// recordings, idle and modality stand for the engine's; nil for the world's own.
	recordings func(h recordings.Header) (session.Recorder, error)
	idle       func(asset string) time.Duration
	modality   func() session.ModalityState // nil: no interlock
	lamp       func(context.Context, string) (func(), error)
	consent    session.Consent
	asking     time.Duration          // 0: the usual
	shut       atomic.Pointer[string] // why nothing opens on the scanner
}

// fakeRights stand for the ledger and the devices.
type fakeRights struct {
	mu        sync.Mutex
	keys      map[string]*engine.Ticket
	facts     map[session.ID]session.SessionFacts
	maxS      time.Duration
	device    func(ctx context.Context) (*gossh.Client, error)
	begun     int
	asked     []string // keys that find was asked for
	endErr    error
	freezeErr error
	tries     map[session.ID]session.Tries
	triesErr  error
}

func (f *fakeRights) Tries(id session.ID) session.Tries {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tries[id]
}

func (f *fakeRights) KeepTries(id session.ID, had session.Tries) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tries == nil {
		f.tries = map[session.ID]session.Tries{}
	}
	if f.triesErr == nil {
		f.tries[id] = had
	}
	return f.triesErr
}

func (f *fakeRights) Find(line, asset, service string, now time.Time) (*engine.Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, line)
	p, ok := f.keys[line]
	if !ok {
		return nil, session.Errorf(session.Denied, "This key opens nothing").WithNext("Request access.")
	}
	if asset != p.Asset || service != "recon-ssh" {
		return nil, session.Errorf(session.Refused, "This grant does not open %s.", service).WithNext("Request it.")
	}
	return p, nil
}

func (f *fakeRights) Begin(p *engine.Ticket, now time.Time) (session.SessionFacts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun++
	facts, ok := f.facts[p.ID]
	if ok && !facts.Ended.IsZero() {
		return facts, session.Errorf(session.Expired, "This session is over.")
	}
	if !ok {
		facts = session.SessionFacts{Opened: now, Deadline: session.Deadline(now, f.maxS, p.NotAfter)}
		f.facts[p.ID] = facts
	}
	return facts, nil
}

func (f *fakeRights) End(id session.ID, reason session.EndReason, now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.endErr != nil {
		return f.endErr
	}
	facts := f.facts[id]
	if facts.Ended.IsZero() {
		facts.Ended, facts.Reason = now, reason
	}
	f.facts[id] = facts
	return nil
}

func (f *fakeRights) Freeze(session.ID, []string, time.Time) error { return f.freezeErr }

func (f *fakeRights) DialSSH(ctx context.Context, _ ledger.Ticket, _ string) (*devices.SSH, error) {
	client, err := f.device(ctx)
	if err != nil {
		return nil, err
	}
	return devices.NewSSH(client), nil
}

func (f *fakeRights) Passes(_, _, variable string) bool {
	return variable == "LANG" || strings.HasPrefix(variable, "LC_")
}

func (f *fakeRights) reason(id session.ID) session.EndReason {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.facts[id].Reason
}

// tape is a recorder in memory. It fails once more than failAfter bytes of data came.
type tape struct {
	header    recordings.Header
	mu        sync.Mutex
	events    []session.Event
	size      int
	failAfter int   // 0: never
	full      error // what it says then; nil: that the disk is full
	closed    []session.EndReason
	done      chan struct{}
	stall     chan struct{} // when set, Record blocks until it is closed
}

func newTape(h recordings.Header) *tape { return &tape{header: h, done: make(chan struct{})} }

func (r *tape) Record(e session.Event) error {
	if r.stall != nil {
		<-r.stall
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.closed) > 0 {
		return errors.New("record after close")
	}
	if len(e.Data) > session.MaxEventData {
		return errors.New("too large")
	}
	if e.Kind == session.Input || e.Kind == session.Output || e.Kind == session.ErrorOutput || e.Kind == session.Upload || e.Kind == session.Download {
		if r.failAfter > 0 && r.size+len(e.Data) > r.failAfter {
			return cmp.Or(r.full, errors.New("disk full"))
		}
		r.size += len(e.Data)
	}
	e.Data = append([]byte(nil), e.Data...)
	r.events = append(r.events, e)
	return nil
}

func (r *tape) Close(reason session.EndReason) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = append(r.closed, reason)
	if len(r.closed) == 1 {
		close(r.done)
	}
	return nil
}

// data is everything of some kinds, in order.
func (r *tape) data(kinds ...session.EventKind) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []byte
	for _, e := range r.events {
		for _, k := range kinds {
			if e.Kind == k {
				d := e.Data
				if k == session.Upload || k == session.Download {
					d = d[8:]
				}
				out = append(out, d...)
			}
		}
	}
	return out
}

// documents decodes the events of one kind.
func documents[T any](t *testing.T, r *tape, kind session.EventKind) []T {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []T
	for _, e := range r.events {
		if e.Kind == kind {
			var d T
			if err := json.Unmarshal(e.Data, &d); err != nil {
				t.Fatalf("event %c does not decode: %v", kind, err)
			}
			out = append(out, d)
		}
	}
	return out
}

func (r *tape) wait(t *testing.T) session.EndReason {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(10 * time.Second):
		t.Fatal("the recording was not closed")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.closed) != 1 {
		t.Errorf("recording closed %d times: %v", len(r.closed), r.closed)
	}
	return r.closed[0]
}

func newWorld(t *testing.T, device func(context.Context) (*gossh.Client, error)) *world {
	t.Helper()
	w := &world{t: t, rights: &fakeRights{
		keys: map[string]*engine.Ticket{}, facts: map[session.ID]session.SessionFacts{}, maxS: time.Hour, device: device,
	}}
	w.consent = session.ConsentNone
	w.furnish()
	w.listen()
	return w
}

// furnish makes the world's engine.
func (w *world) furnish() {
	w.t.Helper()
	_, identity, err := ed25519.GenerateKey(rand.Reader)
	must(w.t, err)
	w.make = func(h recordings.Header) (*tape, error) { return newTape(h), nil }
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w.line, err = New(Config{Identity: identity, Devices: w.rights, Memory: held.NewMemory(1 << 30), Log: log})
	must(w.t, err)
	inner, err := attach.InnerServer(identity)
	must(w.t, err)
	cfg := engine.Config{
		Inner:   inner,
		Tickets: cmp.Or[engine.Tickets](w.tickets, w.rights), Lines: []engine.Line{w.line}, Protocol: func(string, string) session.Protocol { return session.SSH },
		Agent: session.Fingerprint(identity.Public().(ed25519.PublicKey)), Site: "NGH", Log: log, Now: time.Now,
		Recordings: func(h recordings.Header, _ recordings.Picture) (session.Recorder, error) {
			if w.recordings != nil {
				return w.recordings(h)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			r, err := w.make(h)
			if err != nil {
				return nil, err
			}
			w.tapes = append(w.tapes, r)
			return r, nil
		},
		Report: func(r link.SessionReport) { w.mu.Lock(); defer w.mu.Unlock(); w.reports = append(w.reports, r) },
		Idle: func(asset string) time.Duration {
			if w.idle == nil {
				return 0
			}
			return w.idle(asset)
		},
		Modality: func(string) (engine.Modality, bool) {
			if w.modality == nil {
				return engine.Modality{}, false
			}
			m := engine.Modality{State: w.modality(), Says: "the operator"}
			if why := w.shut.Load(); why != nil {
				m.Shut = *why
			}
			return m, true
		},
		Asking: w.asking, Tries: w.rights,
		Consent: func(string) session.Consent {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.consent
		},
		Busy: func(n int) { w.mu.Lock(); defer w.mu.Unlock(); w.busy = append(w.busy, n) },
		Lamp: func(ctx context.Context, asset string) (func(), error) {
			if w.lamp == nil {
				return func() {}, nil
			}
			return w.lamp(ctx, asset)
		},
	}
	w.engine, err = engine.New(cfg)
	must(w.t, err)
	w.agent, err = gossh.NewPublicKey(identity.Public())
	must(w.t, err)
	second, err := session.HostKeyEC(identity)
	must(w.t, err)
	w.second, err = gossh.NewPublicKey(&second.PublicKey)
	must(w.t, err)
}

// listen serves engineers on a loopback port until the test ends.
func (w *world) listen() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	w.addr = l.Addr().String()
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				w.engine.Serve(context.Background(), engine.Visit{Door: link.DoorSSH, Asset: "NGH-PETCT1", Service: "recon-ssh", Peer: "192.0.2.7"}, c)
			})
		}
	})
	w.t.Cleanup(func() {
		_ = l.Close()
		w.engine.Close()
		served.Wait()
	})
}

// grant admits a new key for some channels.
func (w *world) grant(channels ...session.Channel) (gossh.Signer, *engine.Ticket) {
	w.t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(w.t, err)
	signer, err := gossh.NewSignerFromKey(key)
	must(w.t, err)
	return signer, w.admit(signer.PublicKey(), channels...)
}

func (w *world) admit(key gossh.PublicKey, channels ...session.Channel) *engine.Ticket {
	p := &engine.Ticket{
		ID: session.NewID(), Request: session.NewID().Request(), Asset: "NGH-PETCT1", Class: session.NonDisruptive, Channels: map[session.Channel]bool{},
		Engineer: session.Person{Identity: session.Identity{Iss: "https://vendor", Sub: "ann"}},
		NotAfter: time.Now().Add(4 * time.Hour),
	}
	for _, c := range channels {
		p.Channels[c] = true
	}
	w.rights.mu.Lock()
	defer w.rights.mu.Unlock()
	w.rights.keys[keyLine(key)] = p
	return p
}

func keyLine(key gossh.PublicKey) string {
	b := gossh.MarshalAuthorizedKey(key)
	return string(b[:len(b)-1])
}

func all() []session.Channel {
	return []session.Channel{session.Shell, session.Exec, session.FilesIn, session.FilesOut}
}

// connect is an engineer's connection made with x/crypto.
func (w *world) connect(signer gossh.Signer) (*gossh.Client, error) {
	return gossh.Dial("tcp", w.addr, &gossh.ClientConfig{
		User: "sallyport", Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)},
		HostKeyCallback: gossh.FixedHostKey(w.agent), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519}, Timeout: 10 * time.Second,
	})
}

func (w *world) mustConnect(signer gossh.Signer) *gossh.Client {
	w.t.Helper()
	c, err := w.connect(signer)
	must(w.t, err)
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (w *world) tape(i int) *tape {
	w.t.Helper()
	var r *tape
	w.until("a recording begins", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.tapes) <= i {
			return false
		}
		r = w.tapes[i]
		return true
	})
	return r
}

func (w *world) lastReport() (last link.SessionReport) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.reports { // two may overtake each other; their numbers tell, as the broker has it
		if r.Seq > last.Seq {
			last = r
		}
	}
	return last
}

// until waits for something that must come about.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain until %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// oracle is a device that counts: every byte and every request that reaches it.
type oracle struct {
	addr   string
	signer gossh.Signer

	mu       sync.Mutex
	input    []byte
	requests []string // channel requests, type and payload
	channels []string
	globals  []string
	conns    map[net.Conn]struct{}
	files    bool                                        // serves sftp
	noFiles  bool                                        // refuses it
	deaf     bool                                        // does not read input
	exec     func(ch gossh.Channel, command string) bool // true: handled, exit status sent
	accepted chan *gossh.ServerConn
}

func newOracle(t *testing.T) *oracle {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := gossh.NewSignerFromKey(key)
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	o := &oracle{addr: l.Addr().String(), signer: signer, conns: map[net.Conn]struct{}{}, accepted: make(chan *gossh.ServerConn, 100)}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			o.mu.Lock()
			o.conns[c] = struct{}{}
			o.mu.Unlock()
			work.Go(func() { o.serve(c, &work) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		o.mu.Lock()
		for c := range o.conns {
			_ = c.Close()
		}
		o.mu.Unlock()
		work.Wait()
	})
	return o
}

func (o *oracle) dial(ctx context.Context) (*gossh.Client, error) {
	return gossh.Dial("tcp", o.addr, &gossh.ClientConfig{User: "service", HostKeyCallback: gossh.FixedHostKey(o.signer.PublicKey())})
}

func (o *oracle) serve(c net.Conn, work *sync.WaitGroup) {
	config := &gossh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(o.signer)
	sc, channels, requests, err := gossh.NewServerConn(c, config)
	if err != nil {
		return
	}
	select {
	case o.accepted <- sc:
	default:
	}
	work.Go(func() {
		for r := range requests {
			o.mu.Lock()
			o.globals = append(o.globals, r.Type)
			o.mu.Unlock()
			_ = r.Reply(false, nil)
		}
	})
	for nc := range channels {
		o.mu.Lock()
		o.channels = append(o.channels, nc.ChannelType())
		o.mu.Unlock()
		if nc.ChannelType() != "session" {
			_ = nc.Reject(gossh.UnknownChannelType, "")
			continue
		}
		ch, reqs, err := nc.Accept()
		if err != nil {
			return
		}
		work.Go(func() { o.channel(ch, reqs, work) })
	}
}

func (o *oracle) channel(ch gossh.Channel, reqs <-chan *gossh.Request, work *sync.WaitGroup) {
	for r := range reqs {
		o.mu.Lock()
		o.requests = append(o.requests, r.Type+" "+string(r.Payload))
		exec, deaf := o.exec, o.deaf
		o.mu.Unlock()
		_ = r.Reply(r.Type != "subsystem" || !o.noFiles, nil)
		switch r.Type {
		case "subsystem":
			if o.files {
				work.Go(func() { serveFiles(ch) })
			}
		case "shell", "exec":
			command := ""
			if r.Type == "exec" {
				command = string(r.Payload[4:])
			}
			work.Go(func() {
				if exec != nil && exec(ch, command) {
					return
				}
				if deaf {
					return
				}
				o.echo(ch)
			})
		}
	}
}

// echo answers every byte with itself and ends with status 0.
func (o *oracle) echo(ch gossh.Channel) {
	buf := make([]byte, 64<<10)
	for {
		n, err := ch.Read(buf)
		o.mu.Lock()
		o.input = append(o.input, buf[:n]...)
		o.mu.Unlock()
		if n > 0 {
			if _, err := ch.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			break
		}
	}
	_, _ = ch.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, 0))
	_ = ch.Close()
}

func (o *oracle) seen() (requests []string, input []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.requests...), append([]byte(nil), o.input...)
}
