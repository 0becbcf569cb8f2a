package attached

import (
	"crypto"
	"fmt"
	"image"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
	"github.com/sallyport/sallyport/session/vnc"
)

// cable lies between the agent and a console, and comes out once so many bytes of what the
// console says have passed.
type cable struct {
	port  string
	after atomic.Int64 // bytes; less than 0: it holds
}

func layCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cable{}
	c.after.Store(-1)
	_, c.port, err = net.SplitHostPort(l.Addr().String())
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(near, to)
		}
	}()
	return c
}

func (c *cable) carry(near net.Conn, to string) {
	defer near.Close()
	far, err := net.Dial("tcp", "127.0.0.1:"+to)
	if err != nil {
		return
	}
	defer far.Close()
	go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
	if n := c.after.Load(); n >= 0 {
		_, _ = io.CopyN(near, far, n)
		return
	}
	_, _ = io.Copy(near, far)
}

// trouble is a hospital with three consoles: one at the end of a cable, one whose size never
// stays, one that never stands still.
type trouble struct {
	t                  *testing.T
	engineer, approver *person
	calm               *console
	cable              *cable
}

const (
	stormy   = "NGH-CT2"
	flooding = "NGH-MR3"
)

func startTrouble(t *testing.T) *trouble {
	x := &trouble{t: t, calm: startConsole(t, simulator.ConsoleConfig{})}
	x.cable = layCable(t, x.calm.Port())
	storm := startConsole(t, simulator.ConsoleConfig{Mode: simulator.ConsoleResizing})
	flood := startConsole(t, simulator.ConsoleConfig{Mode: simulator.ConsoleFlood, Size: image.Pt(320, 240)})
	ready := demo(t, "--agent-config", assets(t, "", map[string]string{scanner: "port: " + x.cable.port, stormy: "port: " + storm.Port(), flooding: "port: " + flood.Port()}))
	x.engineer, x.approver = signIn(t, ready.Web, "engineer"), signIn(t, ready.Web, "approver")
	return x
}

// What goes wrong at one end of a console, through a real agent and broker, is over with that
// end: the next one who looks sees all of it.
func TestConsolesInTrouble(t *testing.T) {
	x := startTrouble(t)
	x.resizes()
	x.slowViewer()
	key, id := agreedOn(x.engineer, x.approver, scanner, "console-vnc", session.Control)
	x.deviceGoes(key, id)
	x.viewerGoes(key, id)
}

// resizes: whoever looks is told of every size that they take.
func (x *trouble) resizes() {
	key, id := agreedOn(x.engineer, x.approver, stormy, "console-vnc", session.Control)
	w := x.engineer.look(key, id, stormy, "console-vnc")
	w.until("has seen a storm of sizes", func() bool { return w.sizes > 30 })
	late := x.engineer.look(key, id, stormy, "console-vnc")
	late.until("sees it too", func() bool { return late.sizes > 5 })
	_, _ = w.conn.Close(), late.conn.Close()
}

// slowViewer: one who takes nothing slows neither the console nor who looks beside them, and
// sees what stands once they go on.
func (x *trouble) slowViewer() {
	key, id := agreedOn(x.engineer, x.approver, flooding, "console-vnc", session.Control)
	first, slow := x.engineer.look(key, id, flooding, "console-vnc"), x.engineer.look(key, id, flooding, "console-vnc")
	slow.mu.Lock() // its next picture waits for this, and all behind it
	from := slow.changes
	seen := first.seen()
	first.until("sees a hundred pictures beside one who takes none", func() bool { return first.changes > seen+100 })
	held := slow.changes
	slow.mu.Unlock()
	if held != from {
		x.t.Errorf("who takes nothing was shown %d pictures", held-from)
	}
	slow.until("goes on", func() bool { return slow.changes > from+10 })
	_, _ = first.conn.Close(), slow.conn.Close()
}

// deviceGoes: the console hangs up after so many bytes, which is in every state of the protocol
// once: version, security, its result, size and name, the first picture. Who looks is told.
func (x *trouble) deviceGoes(key crypto.Signer, id string) {
	for _, n := range []int64{0, 5, 12, 13, 14, 16, 18, 30, 42, 60, 80, 100, 1000, 20000} {
		x.cable.after.Store(n)
		err := x.engineer.glance(key, id)
		if err == nil {
			x.t.Errorf("after %d bytes of the console nobody was told", n)
		}
		x.t.Logf("after %5d bytes of the console: %v", n, err)
	}
	x.cable.after.Store(-1)
	w := x.engineer.look(key, id, scanner, "console-vnc")
	x.calm.same(w, nil)
	_ = w.conn.Close()
}

// glance looks until the console is gone, and returns what was said of it, or how it ended.
func (p *person) glance(key crypto.Signer, id string) error {
	ws, conn := p.dial(scanner, "console-vnc")
	defer ws.CloseNow()
	must(p.t, conn.SetDeadline(time.Now().Add(patience)))
	c, err := attach.NewClient(conn)
	if err != nil {
		return err
	}
	if _, err := c.Begin(key, attach.Proof{Session: id, Opening: attach.ConsoleOpening()}); err != nil {
		return err
	}
	var said error
	stream := &attach.Stream{Client: c, Told: func(n attach.Notice) {
		if n.Type == attach.NoticeEnded {
			said = fmt.Errorf("%s: %s", n.Reason, n.Text)
		}
	}}
	v, err := vnc.Connect(p.t.Context(), &framed{conn, stream}, screen.New(screen.Masks{}, &window{t: p.t}), vnc.Config{})
	if err == nil {
		err = v.Run()
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		p.t.Errorf("the console is gone, and who looks waits: %v", err)
		return nil
	}
	if said == nil { // on a busy machine the last words may come too late
		said = err
	}
	return said
}

// viewerGoes: one who looks hangs up after so many bytes, in every state of the protocol once,
// with keys held at the end. Who looks beside them sees and types on, and the keys are let go
// of.
func (x *trouble) viewerGoes(key crypto.Signer, id string) {
	stays := x.engineer.look(key, id, scanner, "console-vnc")
	said := []byte("RFB 003.008\n\x01\x01")
	said = append(append(said, rfb.SetPixelFormat, 0, 0, 0), rfb.Native().Bytes()...)
	said = append(said, rfb.SetEncodings, 0, 0, 1, 0, 0, 0, rfb.Tight)
	said = append(said, rfb.UpdateRequest, 0, 0, 0, 0, 0, 5, 0, 4, 0)
	const hold = "\x04\x01\x00\x00\x00\x00\xff\xe1"
	ends := []int{0, 6, 12, 13, 14, 20, 34, 38, 42, 47, 52, len(said), len(said) + 3, len(said) + len(hold)}
	said = append(said, hold...)
	held := x.calm.count("console key 0xffe1 0x0 true")
	for i, n := range ends {
		p := x.engineer
		ws, conn := p.dial(scanner, "console-vnc")
		c, err := attach.NewClient(conn)
		must(x.t, err)
		if _, err := c.Begin(key, attach.Proof{Session: id, Opening: attach.ConsoleOpening()}); err != nil {
			x.t.Fatalf("before %d bytes: %v", n, err)
		}
		stream := &attach.Stream{Client: c, Told: func(attach.Notice) {}}
		_, err = stream.Write(said[:n])
		must(x.t, err)
		if n == len(said) {
			x.calm.did(x.t, "console key 0xffe1 0x0 true", held+1)
		}
		_ = ws.CloseNow()
		stays.types(uint32('a' + i))
		x.calm.did(x.t, fmt.Sprintf("console key %#x 0x0 false", 'a'+i), 1)
	}
	x.calm.did(x.t, "console key 0xffe1 0x0 false", held+1)
	x.calm.same(stays, nil)
	x.approver.sees(id)
	x.approver.call(http.MethodPost, "/api/v1/sessions/"+id+"/kill", struct{}{}, nil)
	if n := stays.told(attach.NoticeEnded); !slices.Contains([]session.EndReason{session.KilledRemote}, n.Reason) {
		x.t.Errorf("%+v", n)
	}
}
