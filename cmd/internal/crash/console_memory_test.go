package crash

import (
	"bufio"
	"context"
	"crypto/des" // RFC 6143, section 7.2.2
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The largest picture that an agent shows of those that are sold, how many consoles an engineer
// may have open, which is all of a vendor's room at this size, and who looks at each: with one more they are all that one person may have
// at the broker.
const (
	wide, high = 3840, 2160
	consoles   = 3
	lookers    = 5
)

// TestTheAgentStaysWithinItsUnitWithConsoles: a real agent, as it is shipped and with the
// unit's GOMEMLIMIT, whose scanners show noise in the largest pictures there are, as fast as
// it is taken, to five viewers each, of which two read nothing, and come again when they are
// cut off for it. One console more is refused. What the agent ever took is below the unit's MemoryMax, and not near GOMEMLIMIT; and it
// serves on.
func TestTheAgentStaysWithinItsUnitWithConsoles(t *testing.T) {
	t.Parallel()
	c := found(t)
	d := c.noisyDevice()
	a := c.raiseNode("a", nil)
	c.turn(a)
	most := c.raiseShipped(a)
	c.linked()
	c.signIn()
	before := c.peak()
	var viewers []*rfbViewer
	for n := range consoles {
		service := fmt.Sprintf("NGH-PETCT1/console-%d", n)
		c.approved(service)
		at := c.console(service)
		for i := range lookers {
			viewers = append(viewers, at.view(t, i%2 == 0))
		}
	}
	one := fmt.Sprintf("NGH-PETCT1/console-%d", consoles)
	c.approved(one)
	refused := c.console(one)
	if _, err := refused.log(); err == nil {
		t.Error("an engineer had room for one console more than they may have")
	}
	until(t, "the agent says why", patience, often, func() error {
		if said := string(refused.says.text()); !strings.Contains(said, "You have as many sessions at this hospital as it allows one engineer") {
			return fmt.Errorf("said %q", said)
		}
		return nil
	})
	drew := d.drew.Load()
	took := c.staysWithin(most)
	saw := int64(0)
	for _, v := range viewers {
		saw += v.got.Load()
	}
	if d.drew.Load() == drew || saw < consoles*wide*high {
		t.Errorf("the consoles drew %d pictures, of which viewers got %d bytes", d.drew.Load()-drew, saw)
	}
	t.Logf("ATTACK | a real agent: %d consoles of %d x %d that show noise, %d viewers each, of which two read nothing and come again; one console more is refused | below nine tenths of the unit's GOMEMLIMIT, %d MiB | %d MiB at the most, %d before, %d pictures | holds",
		consoles, wide, high, lookers, most>>20, took>>20, before>>20, d.drew.Load())
}

// approved is a session of a service for which both people have said yes.
func (c *cluster) approved(service string) {
	c.t.Helper()
	id := idOf(c.t, c.as("engineer", "sallyport", "request", "new", service, "--reason", "crash", "--work-order", "WO-1", "--for", "1h", "-o", "json"))
	c.as("approver", "sallyport", "approve", id, "--yes")
}

// noise is a device whose console shows nothing else.
type noise struct {
	pictures [2][]byte
	drew     atomic.Int64
}

// noisyDevice has the scanner show noise, as one console more than a vendor may open.
func (c *cluster) noisyDevice() *noise {
	c.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = l.Close() })
	d, random := &noise{}, rand.NewChaCha8([32]byte{1})
	for i := range d.pictures {
		d.pictures[i] = make([]byte, 4*wide*high)
		_, _ = random.Read(d.pictures[i])
	}
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go d.serve(conn)
		}
	}()
	text, err := os.ReadFile(c.path("assets.yaml"))
	if err != nil {
		c.t.Fatal(err)
	}
	services := ""
	for n := range consoles + 1 {
		services += fmt.Sprintf("    - {name: console-%d, protocol: vnc, port: %d, class: non-disruptive}\n", n, l.Addr().(*net.TCPAddr).Port)
	}
	c.write("assets.yaml", strings.Replace(strings.Replace(string(text), "channels: [shell, exec]", "channels: [shell, exec, control]", 1), "    services:\n", "    services:\n"+services, 1))
	return d
}

// serve is one connection: RFB 3.8 without security, and a whole raw picture for whatever is
// asked.
func (d *noise) serve(conn net.Conn) {
	defer conn.Close()
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	hello := binary.BigEndian.AppendUint32(nil, wide<<16|high)
	hello = append(hello, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0)
	hello = append(binary.BigEndian.AppendUint32(hello, 5), "noise"...)
	_, err := out.WriteString("RFB 003.008\n")
	say := func(b []byte, expect int) {
		if err == nil {
			_, err = out.Write(b)
		}
		if err = errors.Join(err, out.Flush()); err == nil && expect > 0 {
			_, err = io.ReadFull(in, make([]byte, expect))
		}
	}
	say(nil, 12)
	say([]byte{1, 1}, 1)
	say(make([]byte, 4), 1)
	say(hello, 0)
	update := append([]byte{0, 0, 0, 1, 0, 0, 0, 0}, hello[:4]...)
	update = append(update, 0, 0, 0, 0)
	for err == nil {
		var asked bool
		if asked, err = hears(in); asked {
			say(update, 0)
			say(d.pictures[d.drew.Add(1)%2], 0)
		}
	}
}

// hears reads one message of a viewer, and whether it asks for a picture.
func hears(in *bufio.Reader) (asked bool, err error) {
	kind, err := in.ReadByte()
	if err != nil {
		return false, err
	}
	more := map[byte]int{0: 19, 2: 3, 3: 9, 4: 7, 5: 5, 6: 7}[kind]
	if more == 0 {
		return false, fmt.Errorf("a message of kind %d", kind)
	}
	b := make([]byte, more)
	if _, err = io.ReadFull(in, b); err != nil {
		return false, err
	}
	switch kind {
	case 2:
		_, err = in.Discard(4 * int(binary.BigEndian.Uint16(b[1:])))
	case 6:
		_, err = in.Discard(int(binary.BigEndian.Uint32(b[3:])))
	}
	return kind == 3, err
}

// raiseShipped starts the agent as it is shipped, with the unit's GOMEMLIMIT - a race detector
// takes more - and returns what its unit leaves it, in bytes.
func (c *cluster) raiseShipped(n *node) (most int64) {
	c.t.Helper()
	most, soft := c.unit()
	build := exec.Command("go", "build", "-o", c.path("bin", "sallyport-agent"), "../../sallyport-agent")
	if out, err := build.CombinedOutput(); err != nil {
		c.t.Fatalf("build the agent as it is shipped: %v\n%s", err, out)
	}
	c.raiseAgent(n)
	c.agent.end()
	c.agent = c.run("agent", "env", "GOMEMLIMIT="+soft, c.path("bin", "sallyport-agent"), "serve", "--config", c.agentConfig)
	return most
}

// connected is a port of this machine that sallyport connect has opened for viewers.
type connected struct {
	Listen   string `json:"listen"`
	Password string `json:"password"`
	says     *screen
}

// console runs sallyport connect until the test ends.
func (c *cluster) console(service string) *connected {
	c.t.Helper()
	at, printed := &connected{says: &screen{}}, &screen{}
	cmd := exec.Command("sallyport", "connect", service, "-o", "json")
	cmd.Dir, cmd.Env = c.dir, c.env(c.ready.Personas["engineer"].Home)
	cmd.Stdout, cmd.Stderr = printed, at.says
	p, err := launch(cmd)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(p.end)
	until(c.t, "a port for viewers of "+service, patience, often, func() error {
		if p.over() {
			c.t.Fatalf("sallyport connect %s: %s", service, at.says.text())
		}
		return json.Unmarshal(printed.text(), at)
	})
	return at
}

// rfbViewer is a viewer, and how many bytes it was sent.
type rfbViewer struct{ got atomic.Int64 }

// view opens a viewer that asks on and on, and reads what comes, or none of it.
func (at *connected) view(t *testing.T, reads bool) *rfbViewer {
	t.Helper()
	conn, err := at.log()
	if err != nil {
		t.Fatalf("a viewer: %v; %s", err, at.says.text())
	}
	v := &rfbViewer{}
	go func() {
		for ; err == nil; conn, err = at.log() {
			if reads {
				go func(from net.Conn) { _, _ = io.Copy(v, from) }(conn)
			}
			asks(t, conn)
			_ = conn.Close()
		}
	}()
	return v
}

// asks asks for the whole picture until nobody hears it or the test ends.
func asks(t *testing.T, conn net.Conn) {
	stop := context.AfterFunc(t.Context(), func() { _ = conn.Close() })
	defer stop()
	ask := append([]byte{3, 0, 0, 0, 0, 0}, wide>>8, wide&255, high>>8, high&255)
	for _, err := conn.Write(ask); err == nil; _, err = conn.Write(ask) {
		time.Sleep(20 * time.Millisecond)
	}
}

func (v *rfbViewer) Write(b []byte) (int, error) {
	v.got.Add(int64(len(b)))
	return len(b), nil
}

// log logs a viewer in with the port's password and reads the console's size.
func (at *connected) log() (conn net.Conn, err error) {
	if conn, err = net.Dial("tcp", at.Listen); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, 24)
	talk := func(say []byte, expect int) []byte {
		if _, no := conn.Write(say); err == nil {
			err = no
		}
		if err == nil {
			_, err = io.ReadFull(conn, got[:expect])
		}
		return got[:expect]
	}
	talk(nil, 12)
	if offers := talk([]byte("RFB 003.008\n"), 2); err == nil && (offers[0] != 1 || offers[1] != 2) {
		return nil, fmt.Errorf("offers %v", offers)
	}
	if answer := talk(vncAnswer(at.Password, talk([]byte{2}, 16)), 4); err == nil && binary.BigEndian.Uint32(answer) != 0 {
		return nil, errors.New("the password is not taken")
	}
	size := talk([]byte{1}, 24)
	if err == nil && binary.BigEndian.Uint32(size) != wide<<16|high {
		err = fmt.Errorf("a console of %v", size[:4])
	}
	return conn, errors.Join(err, conn.SetReadDeadline(time.Time{}))
}

// vncAnswer encrypts a challenge by the password, whose bytes have their bits turned round.
func vncAnswer(password string, challenge []byte) []byte {
	key, out := make([]byte, 8), make([]byte, len(challenge))
	for i := range key[:min(len(password), 8)] {
		key[i] = bits.Reverse8(password[i])
	}
	block, err := des.NewCipher(key)
	if err != nil {
		panic(err)
	}
	for i := 0; i+8 <= len(out); i += 8 {
		block.Encrypt(out[i:], challenge[i:])
	}
	return out
}
