package crash

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// flood are strangers who hold connections to both ports from many networks, and come
// back when they are hung up on.
type flood struct {
	web, ssh string
	made     atomic.Int64
	refused  atomic.Int64
}

// again is how soon a stranger comes back.
const again = 3 * time.Second

// stranger holds one connection for as long as it is let.
func (f *flood) stranger(ctx context.Context, source, kind int, wait time.Duration) {
	addr := f.web
	if kind >= 6 {
		addr = f.ssh
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(source), byte(1+kind))}, Timeout: 10 * time.Second}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = again
		if c, err := d.DialContext(ctx, "tcp", addr); err != nil {
			f.refused.Add(1)
		} else {
			f.made.Add(1)
			f.hold(ctx, c, kind)
		}
	}
}

// hold says as little as its kind does and waits to be hung up on.
func (f *flood) hold(ctx context.Context, c net.Conn, kind int) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	switch kind {
	case 0: // shakes hands as an agent does, and is none
		t := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{link.ALPN}})
		if t.HandshakeContext(ctx) == nil {
			_, _ = io.Copy(io.Discard, t)
		}
		return
	case 1, 2: // asks for pages and takes none; by another name, or by the broker's own
		host := map[int]string{1: "x", 2: f.web}[kind]
		_, _ = io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n", 20))
		<-ctx.Done()
		return
	case 3: // begins a hello
		_, _ = c.Write([]byte{0x16})
	case 6: // says what it is
		_, _ = io.WriteString(c, "SSH-2.0-x\r\n")
	}
	_, _ = io.Copy(io.Discard, c)
}

// TestFloodFromManyNetworks: ten thousand connections of a hundred networks against both
// ports drop no session, and keep neither a person nor the agent out. Usually there are
// fewer, for a moment, and nobody looks at the clock.
func TestFloodFromManyNetworks(t *testing.T) {
	t.Parallel()
	each, lasts, limit := 12, time.Second, patience
	if os.Getenv("SALLYPORT_PROVE") != "" {
		each, lasts, limit = 100, time.Minute, 2*time.Second
	}
	g := raise(t, newGround(t))
	id := g.granted("NGH-PETCT1", "1h")
	v := g.connect("flooded", scanner, "drip")
	g.shows(v, "line 3\n")

	turn := 0 // how often one person, and all from one place, may sign in is bounded as well
	signIn := func() {
		who := []string{"auditor", "approver"}[turn%2]
		g.as(who, "sallyport", "login", "--hint", g.ready.Personas[who].LoginHint)
		turn++
	}
	calm := g.within("a sign-in", patience, signIn)

	f := &flood{web: strings.TrimPrefix(g.ready.Web, "http://"), ssh: g.ready.SSH}
	ctx, cancel := context.WithCancel(t.Context())
	var strangers sync.WaitGroup
	stop := sync.OnceFunc(func() { cancel(); strangers.Wait() })
	t.Cleanup(stop)
	began := time.Now()
	for n := range 100 * each {
		strangers.Go(func() { f.stranger(ctx, 1+n%100, n/100%10, again*time.Duration(n)/time.Duration(100*each)) })
	}
	for range 700 { // one network that wants it all
		strangers.Go(func() { f.stranger(ctx, 200, 4, 0) })
	}
	var slowest time.Duration
	for time.Since(began) < lasts {
		slowest = max(slowest, g.within("a sign-in", limit, signIn))
		next := g.connect(fmt.Sprintf("another-%d", time.Since(began).Milliseconds()), scanner, "once")
		g.ended(next)
		if !bytes.Contains(next.screen.text(), []byte("connection another")) {
			t.Errorf("no session opened: %v: %s", next.err, next.stderr.text())
		}
		select {
		case <-time.After(lasts / 5):
		case <-t.Context().Done():
		}
	}
	if v.over() {
		t.Fatalf("the session was dropped: %v: %s", v.err, v.stderr.text())
	}
	if s := g.session(id); s.State != session.Live {
		t.Errorf("the session is %+v", s)
	}
	seen := bytes.Count(v.screen.text(), []byte("\n"))
	until(t, "the session goes on", patience, often, func() error {
		if bytes.Count(v.screen.text(), []byte("\n")) == seen {
			return errors.New("nothing new on the screen")
		}
		return nil
	})
	v.leave()
	g.kill("agent", syscall.SIGKILL, func() {})
	back := g.within("the agent's way back", limit, g.linked)
	open := g.descriptors()
	stop()
	t.Logf("%d connections made, %d refused; the slowest sign-in took %v (%v in peace), the agent's way back %v; the broker had %d files open",
		f.made.Load(), f.refused.Load(), slowest, calm, back, open["broker"])
}

// within does something that has a limit.
func (g *ground) within(what string, limit time.Duration, do func()) time.Duration {
	g.t.Helper()
	began := time.Now()
	do()
	took := time.Since(began)
	if took > limit {
		g.t.Errorf("%s took %v, longer than %v", what, took, limit)
	}
	return took
}
