package link

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/session"
)

var oneNode = []Node{{Name: "node1", Address: "10.1.1.1:443"}}

// live runs c inside a bubble until the returned function is called.
func live(t *testing.T, c *Client) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	}()
	return func() {
		cancel()
		<-done
		time.Sleep(time.Minute) // the brokers of the test see their connections end
		synctest.Wait()
	}
}

// What a broker that was taken over might ask for: none of it is dialled.
func TestAHostileOpenIsRefusedAndNothingIsDialled(t *testing.T) {
	opens := map[string]Open{
		"an address for a node":       {Token: aSecret, Node: "10.0.0.5:22", Asset: "A", Service: "s"},
		"an IP for a node":            {Token: aSecret, Node: "127.0.0.1", Asset: "A", Service: "s"},
		"a node's address":            {Token: aSecret, Node: oneNode[0].Address, Asset: "A", Service: "s"},
		"an unknown node":             {Token: aSecret, Node: "node9", Asset: "A", Service: "s"},
		"a node in other case":        {Token: aSecret, Node: "NODE1", Asset: "A", Service: "s"},
		"a domain":                    {Token: aSecret, Node: "node1.evil.example", Asset: "A", Service: "s"},
		"no node":                     {Token: aSecret, Asset: "A", Service: "s"},
		"no token":                    {Node: "node1", Asset: "A", Service: "s"},
		"a short token":               {Token: "AAAA", Node: "node1", Asset: "A", Service: "s"},
		"an address for an asset":     {Token: aSecret, Node: "node1", Asset: "192.168.1.1:3389", Service: "s"},
		"a path for a service":        {Token: aSecret, Node: "node1", Asset: "A", Service: "../../etc"},
		"a name with a line break":    {Token: aSecret, Node: "node1", Asset: "A\nB", Service: "s"},
		"an unknown door":             {Token: aSecret, Node: "node1", Asset: "A", Service: "s", Door: "vnc"},
		"no door":                     {Token: aSecret, Node: "node1", Asset: "A", Service: "s"},
		"a door in other case":        {Token: aSecret, Node: "node1", Asset: "A", Service: "s", Door: "Attach"},
		"an overlong address of peer": {Token: aSecret, Node: "node1", Asset: "A", Service: "s", Peer: strings.Repeat("9", 65)},
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		h := &idleHandler{}
		asked := make(chan int, 1)
		c, _ := w.client(h, oneNode, func(_ string, conn *tls.Conn) {
			f, role := welcome(conn)
			if role != RoleControl {
				t.Errorf("a %s connection was opened", role)
				return
			}
			n := 0
			for name, o := range opens {
				n++
				if err := write(f, verbOpen, uint32(n), o); err != nil {
					t.Error(err)
					return
				}
				got, err := readFrame(conn, verbVerdict)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				v, err := decode[Verdict](got.payload)
				if err != nil || v.OK || v.Kind == "" || v.Message == "" {
					t.Errorf("%s: %+v, %v", name, v, err)
				}
			}
			asked <- n
			_, _ = io.Copy(io.Discard, conn)
		})
		stop := live(t, c)
		if n := <-asked; n != len(opens) {
			t.Errorf("%d of %d were asked", n, len(opens))
		}
		synctest.Wait()
		if d := w.dialled(); len(d) != 1 || d[0] != oneNode[0].Address || h.count() != 0 {
			t.Errorf("dialled %v, %d streams", d, h.count())
		}
		stop()
	})
}

func TestAHostileOpenOnASpareIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		h := &idleHandler{}
		verdicts := make(chan Verdict, 64)
		c, _ := w.client(h, oneNode, func(_ string, conn *tls.Conn) {
			f, role := welcome(conn)
			if role == RoleSpare {
				_ = write(f, verbOpen, 1, Open{Token: aSecret, Node: "10.0.0.5", Asset: "A", Service: "s", Door: DoorSSH})
				if got, err := readFrame(conn, verbVerdict); err == nil {
					v, _ := decode[Verdict](got.payload)
					verdicts <- v
				}
				return
			}
			answerPings(f, conn)
		})
		c.KeepSpares(1)
		stop := live(t, c)
		if v := <-verdicts; v.OK {
			t.Error("the agent agreed")
		}
		// It goes on to keep a spare, with a back-off: not a busy loop.
		time.Sleep(5 * time.Minute)
		if n := len(w.dialled()); n < 3 || n > 60 {
			t.Errorf("%d dials in five minutes of a hostile broker", n)
		}
		if h.count() != 0 {
			t.Error("a stream was served")
		}
		stop()
	})
}

func answerPings(f *framer, conn *tls.Conn) {
	for {
		got, err := readFrame(conn, verbPing, verbVerdict, verbReport)
		if err != nil {
			return
		}
		if got.verb == verbPing && f.ping() != nil {
			return
		}
	}
}

func TestFramesThatNoBrokerSendsEndTheConnection(t *testing.T) {
	for name, bytes := range map[string]string{
		"HTTP":                     "HTTP/1.1 400 Bad Request\r\n\r\n",
		"an unknown verb":          "\xee\x00\x00\x00\x01\x00\x00\x00\x00",
		"a verb of the agent's":    string(frame{verb: verbReport, payload: []byte("{}")}.append(nil)),
		"a deliver of 4 GiB":       "\x04\x00\x00\x00\x01\xff\xff\xff\xff",
		"a deliver one too large":  "\x04\x00\x00\x00\x01\x00\x04\x00\x01",
		"an open with an address":  string(frame{verb: verbOpen, payload: []byte(`{"token":"","node":"","asset":"","service":"","address":"10.0.0.1:22"}`)}.append(nil)),
		"an open with null":        string(frame{verb: verbOpen, payload: []byte(`null`)}.append(nil)),
		"a ping with a payload":    string(frame{verb: verbPing, payload: []byte(`x`)}.append(nil)),
		"an end with two sessions": string(frame{verb: verbEnd, payload: []byte(`{"session":"a","session":"b","reason":"","by":{"iss":"","sub":"","email":"","name":""}}`)}.append(nil)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				ended := make(chan error, 64)
				c, _ := w.client(&idleHandler{}, oneNode, func(_ string, conn *tls.Conn) {
					welcome(conn)
					_, _ = io.WriteString(conn, bytes)
					_, err := readFrame(conn, verbPing)
					ended <- err
				})
				stop := live(t, c)
				if err := <-ended; err == nil {
					t.Error("the agent went on and pinged")
				}
				stop()
			})
		})
	}
}

func TestAFloodOfQuestionsIsAnsweredBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		h := &idleHandler{block: make(chan struct{})}
		answers := make(chan Verdict, 256)
		const flood = 100
		c, _ := w.client(h, oneNode, func(_ string, conn *tls.Conn) {
			f, _ := welcome(conn)
			var writer sync.WaitGroup
			writer.Go(func() {
				for i := range flood {
					_ = write(f, verbDeliver, uint32(i+1), Deliver{Kind: "request"})
				}
			})
			for {
				got, err := readFrame(conn, verbVerdict, verbPing)
				if err != nil {
					break
				}
				if got.verb == verbVerdict {
					v, _ := decode[Verdict](got.payload)
					answers <- v
				} else {
					_ = f.ping()
				}
			}
			writer.Wait()
		})
		stop := live(t, c)
		for range flood - MaxWork {
			if v := <-answers; v.OK || v.Kind != session.Unreachable {
				t.Fatalf("an answer before the work was done: %+v", v)
			}
		}
		close(h.block)
		for range MaxWork {
			if v := <-answers; !v.OK {
				t.Fatalf("work was lost: %+v", v)
			}
		}
		stop()
	})
}

func TestAHalfOpenConnectionIsSeenWithinThirtySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		states := make(chan bool, 16)
		_, cfg := w.client(&idleHandler{}, oneNode, func(_ string, conn *tls.Conn) {
			welcome(conn)
			_, _ = io.Copy(io.Discard, conn) // takes every ping and answers none
		})
		cfg.OnState = func(up bool) { states <- up }
		c, err := NewClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		stop := live(t, c)
		if !<-states {
			t.Fatal("down before it was up")
		}
		up := time.Now()
		if <-states {
			t.Fatal("up twice")
		}
		if d := time.Since(up); d < 29*time.Second || d > 31*time.Second {
			t.Errorf("seen after %v", d)
		}
		if !<-states {
			t.Fatal("it did not come back")
		}
		stop()
	})
}

func TestPingsKeepAConnectionUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, _ := w.client(&idleHandler{}, oneNode, func(_ string, conn *tls.Conn) {
			f, _ := welcome(conn)
			answerPings(f, conn)
		})
		c.KeepSpares(2)
		stop := live(t, c)
		time.Sleep(6 * time.Hour)
		if up, since := c.Connected(); !up || time.Since(since) < 5*time.Hour || len(w.dialled()) != 3 {
			t.Errorf("up %v since %v, %d dials", up, since, len(w.dialled()))
		}
		stop()
	})
}

func TestReconnectsForEverWithJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, _ := w.client(&idleHandler{}, oneNode, nil) // nobody is there
		stop := live(t, c)
		time.Sleep(time.Minute)
		early := len(w.dialled())
		time.Sleep(10 * time.Hour)
		late := len(w.dialled()) - early
		// Evenly between 0 and 30 s: 15 s on average.
		if early < 5 || early > 60 || late < 2000 || late > 3000 {
			t.Errorf("%d dials in the first minute, %d in ten hours", early, late)
		}
		if up, _ := c.Connected(); up {
			t.Error("connected to nobody")
		}
		stop()
	})
}

func TestBackoffDoublesToThirtySecondsAndResetsAfterAStableMinute(t *testing.T) {
	var b backoff
	want := []time.Duration{250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000}
	for i, ms := range want {
		if w := b.next(59 * time.Second); w < 0 || w >= ms*time.Millisecond || b.ceiling != ms*time.Millisecond {
			t.Errorf("failure %d: wait %v of %v, want a ceiling of %v", i, w, b.ceiling, ms*time.Millisecond)
		}
	}
	if b.next(time.Minute); b.ceiling != backoffFirst {
		t.Errorf("after a stable minute the ceiling is %v", b.ceiling)
	}
	seen := make(map[time.Duration]bool)
	for range 100 {
		b.ceiling = backoffMost
		seen[b.next(0)/time.Second] = true
	}
	if len(seen) < 15 {
		t.Errorf("100 waits fall into %d seconds only", len(seen))
	}
}

func TestTwoNodesAreHeldAndEitherMayAskForAStream(t *testing.T) {
	nodes := []Node{{Name: "node1", Address: "10.1.1.1:443"}, {Name: "node2", Address: "10.1.1.2:443"}}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		h := &idleHandler{}
		var states []bool
		firstDown := make(chan struct{})
		tokens := make(chan string, 2)
		_, cfg := w.client(h, nodes, func(address string, conn *tls.Conn) {
			f := &framer{conn: conn}
			got, err := readFrame(conn, verbRole)
			if err != nil {
				return
			}
			r, _ := decode[Role](got.payload)
			if r.Role == RoleStream {
				tokens <- address + " " + r.Token
				_, _ = io.Copy(io.Discard, conn)
				return
			}
			if got, err = readFrame(conn, verbHello); err != nil {
				return
			}
			_ = write(f, verbAck, got.id, Ack{Time: time.Now()})
			if address == nodes[1].Address {
				_ = write(f, verbOpen, 1, Open{Token: aSecret, Node: "node2", Asset: "A", Service: "s", Door: DoorSSH})
				answerPings(f, conn)
				return
			}
			go func() {
				<-firstDown
				conn.NetConn().Close()
			}()
			answerPings(f, conn)
		})
		cfg.OnState = func(up bool) { states = append(states, up) }
		c, err := NewClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		stop := live(t, c)
		if got := <-tokens; got != nodes[1].Address+" "+aSecret {
			t.Errorf("dialled back: %s", got)
		}
		synctest.Wait()
		close(firstDown)
		time.Sleep(10 * time.Second)
		if up, _ := c.Connected(); !up || !slices.Equal(states, []bool{true}) {
			t.Errorf("one of two nodes went away: states %v", states)
		}
		if h.count() != 1 {
			t.Errorf("%d streams", h.count())
		}
		stop()
		if !slices.Equal(states, []bool{true, false}) {
			t.Errorf("states %v", states)
		}
	})
}

// The agent's name check is of the node's name, whatever the address.
func TestANodeWithAnotherNamesCertificateIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, cfg := w.client(&idleHandler{}, oneNode, func(string, *tls.Conn) {})
		cfg.Nodes = []Node{{Name: "node2", Address: oneNode[0].Address}}
		c, err := NewClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.dial(t.Context(), c.nodes[0], Role{Role: RoleControl})
		if session.KindOf(err) != session.Denied {
			t.Errorf("got %v", err)
		}
		_, err = c.Relay(t.Context(), "https://idp.example")
		if session.KindOf(err) != session.Denied {
			t.Errorf("got %v", err)
		}
	})
}

func TestABrokersRefusalIsShownAndMadeFitToShow(t *testing.T) {
	payload, err := encode(Ack{Kind: session.Denied, Message: "No\x1b[31m\n!\u202e" + strings.Repeat("x", 1000), Next: "\x00Go"})
	if err != nil {
		t.Fatal(err)
	}
	err = readAck(frame{verb: verbAck, payload: payload})
	var e *session.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Message, "No\ufffd[31m !\ufffdx") || len(e.Message) > 300 || e.Next != "\ufffdGo" {
		t.Errorf("%q", err)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	w := newWorld(t)
	_, good := w.client(&idleHandler{}, oneNode, nil)
	for name, change := range map[string]func(*ClientConfig){
		"no node":           func(c *ClientConfig) { c.Nodes = nil },
		"three nodes":       func(c *ClientConfig) { c.Nodes = []Node{{"a", "a:1"}, {"b", "b:1"}, {"c", "c:1"}} },
		"a node twice":      func(c *ClientConfig) { c.Nodes = []Node{{"a", "a:1"}, {"A", "b:1"}} },
		"an address a name": func(c *ClientConfig) { c.Nodes = []Node{{"10.0.0.1", "10.0.0.1:443"}} },
		"no address":        func(c *ClientConfig) { c.Nodes = []Node{{"a", ""}} },
		"no handler":        func(c *ClientConfig) { c.Handler = nil },
		"no log":            func(c *ClientConfig) { c.Log = nil },
	} {
		cfg := good
		change(&cfg)
		if _, err := NewClient(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Whatever a broker says on a control connection, the agent dials configured nodes
// only and never panics.
func FuzzBrokerSpeaks(f *testing.F) {
	w := newWorld(f)
	for v, messages := range samples() {
		for _, m := range messages {
			payload, err := encode(m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(frame{verb: v, id: 1, payload: payload}.append(nil))
		}
	}
	_, cfg := w.client(&idleHandler{}, oneNode, nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg := cfg
		cfg.Dial = func(_ context.Context, address string) (net.Conn, error) {
			if address != oneNode[0].Address {
				t.Errorf("dialled %q", address)
			}
			return nil, io.EOF
		}
		c, err := NewClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		l := &control{framer: &framer{conn: script(string(b))}, client: c, node: c.nodes[0], calls: newCalls(), work: make(chan struct{}, MaxWork)}
		if err := l.serve(t.Context(), t.Context()); err == nil {
			t.Error("the end of the connection went unnoticed")
		}
		l.tasks.Wait()
		c.tasks.Wait()
	})
}
