package sshd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

func direct(host string, port uint32) []byte {
	return gossh.Marshal(directTCPIP{Host: host, Port: port, OriginHost: "127.0.0.1", OriginPort: 4242})
}

// Every channel type of RFC 4254 and of OpenSSH except direct-tcpip to a granted
// name is refused in words, logged, and reaches no agent.
func TestChannelsThatAreRefused(t *testing.T) {
	o := openDoor(t)
	for _, c := range []struct {
		name, kind string
		payload    []byte
		want       string
	}{
		{"session", "session", nil, "no shell"},
		{"x11", "x11", gossh.Marshal(struct {
			A string
			P uint32
		}{"127.0.0.1", 6000}), "only leads to granted scanners"},
		{"forwarded-tcpip", "forwarded-tcpip", direct(granted, 22), "only leads"},
		{"direct-streamlocal", "direct-streamlocal@openssh.com", gossh.Marshal(struct {
			P, R string
			N    uint32
		}{"/run/sallyport.sock", "", 0}), "only leads"},
		{"forwarded-streamlocal", "forwarded-streamlocal@openssh.com", nil, "only leads"},
		{"agent", "auth-agent@openssh.com", nil, "only leads"},
		{"agent-connect", "agent-connect", nil, "only leads"},
		{"tun", "tun@openssh.com", gossh.Marshal(struct{ M, U uint32 }{1, 0}), "only leads"},
		{"default", "default", direct(granted, 22), "only leads"},
		{"empty type", "", direct(granted, 22), "only leads"},
		{"other case", "Direct-TCPIP", direct(granted, 22), "only leads"},
		{"no payload", "direct-tcpip", nil, "name of a scanner's service"},
		{"truncated", "direct-tcpip", direct(granted, 22)[:9], "name of a scanner's service"},
		{"trailing bytes", "direct-tcpip", append(direct(granted, 22), 0), "name of a scanner's service"},
		{"other port", "direct-tcpip", direct(granted, 3389), "port 22"},
		{"port beyond 16 bits", "direct-tcpip", direct(granted, 65536+22), "port 22"},
		{"address", "direct-tcpip", direct("10.40.12.12", 22), "name of a scanner's service"},
		{"metadata address", "direct-tcpip", direct("169.254.169.254", 22), "name of a scanner's service"},
		{"v6 address", "direct-tcpip", direct("::1", 22), "name of a scanner's service"},
		{"localhost", "direct-tcpip", direct("localhost", 22), "name of a scanner's service"},
		{"empty", "direct-tcpip", direct("", 22), "name of a scanner's service"},
		{"trailing dot", "direct-tcpip", direct(granted+".", 22), "name of a scanner's service"},
		{"control characters", "direct-tcpip", direct("recon-ssh.\x1b[2J", 22), "name of a scanner's service"},
		{"NUL", "direct-tcpip", direct(granted+"\x00", 22), "name of a scanner's service"},
		{"homoglyph", "direct-tcpip", direct("rec\u043en-ssh.ngh-petct1", 22), "name of a scanner's service"},
		{"far too long", "direct-tcpip", direct(strings.Repeat("a", 20000)+"."+granted, 22), "name of a scanner's service"},
		{"not granted", "direct-tcpip", direct("recon-ssh.ngh-mr1", 22), "you have no grant for recon-ssh.ngh-mr1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := o.signedIn(t, jana).OpenChannel(c.kind, c.payload)
			refused := refusedChannel(t, err)
			if refused.Reason != gossh.Prohibited || !strings.Contains(refused.Message, c.want) {
				t.Errorf("refused with %v %q, want %q", refused.Reason, refused.Message, c.want)
			}
			if refused.Message != wording.Line(refused.Message, 700) {
				t.Errorf("%q is not one plain line", refused.Message)
			}
		})
	}
	if len(o.opened()) != 0 {
		t.Errorf("streams were opened: %v", o.opened())
	}
	if n := strings.Count(o.log.String(), "msg=refused"); n != 27 {
		t.Errorf("%d refusals in the log, want 27", n)
	}
}

func (o *opened) opened() []link.Open {
	o.desk.mu.Lock()
	defer o.desk.mu.Unlock()
	return append([]link.Open(nil), o.desk.opened...)
}

// Global requests are refused; a keepalive gets the answer that keeps OpenSSH
// alive and is no offence however often it comes.
func TestGlobalRequests(t *testing.T) {
	o := openDoor(t)
	for _, name := range []string{
		"tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com",
		"cancel-streamlocal-forward@openssh.com", "hostkeys-prove-00@openssh.com", "default", "",
	} {
		ok, _, err := o.signedIn(t, jana).SendRequest(name, true, direct("0.0.0.0", 0))
		if err != nil || ok {
			t.Errorf("%q: ok %v, err %v", name, ok, err)
		}
	}
	c := o.signedIn(t, jana)
	for range 3 * maxRefusals {
		if ok, _, err := c.SendRequest("keepalive@openssh.com", true, nil); ok || err != nil {
			t.Fatalf("keepalive: ok %v, err %v", ok, err)
		}
	}
	if n := strings.Count(o.log.String(), "msg=refused"); n != 7 {
		t.Errorf("%d refusals in the log, want 7", n)
	}
}

// Nothing can be asked within a stream.
func TestChannelRequestsAreRefused(t *testing.T) {
	o := openDoor(t)
	ch, reqs, err := o.signedIn(t, jana).OpenChannel("direct-tcpip", direct(granted, 22))
	if err != nil {
		t.Fatal(err)
	}
	go gossh.DiscardRequests(reqs)
	for _, name := range []string{"shell", "exec", "subsystem", "pty-req", "env", "auth-agent-req@openssh.com", "x11-req", "window-change"} {
		if ok, err := ch.SendRequest(name, true, str([]byte("id"))); ok || err != nil {
			t.Errorf("%s: ok %v, err %v", name, ok, err)
		}
	}
	if _, err := ch.Write([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 10)
	if _, err := io.ReadFull(ch, got); err != nil || string(got) != "still here" {
		t.Errorf("echo %q, %v: requests must not disturb the stream", got, err)
	}
}

// The sentence of a *session.Error arrives whole; what it wraps never does.
func TestReasonsOfRoute(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		code gossh.RejectionReason
		want string
	}{
		{"pending", session.Errorf(session.Refused, "The hospital has not answered R-abc yet.").WithNext("Wait, or call them."),
			gossh.Prohibited, "The hospital has not answered R-abc yet. Wait, or call them."},
		{"over", session.Errorf(session.Expired, "The session is over."), gossh.Prohibited, "The session is over."},
		{"details stay", &session.Error{Kind: session.Unreachable, Message: "The agent of NGH is not connected.", Err: errors.New("dial 10.0.0.9: secret")},
			gossh.ConnectionFailed, "The agent of NGH is not connected."},
		{"our fault", session.Errorf(session.Internal, "nil map in access.go"), gossh.ConnectionFailed, wordsFault},
		{"any error", errors.New("redis: password is hunter2"), gossh.ConnectionFailed, wordsFault},
		{"hostile text", session.Errorf(session.Refused, "line\r\nforged: \x1b]0;x\x07 ü"), gossh.Prohibited, "line  forged: \ufffd]0;x\ufffd ü"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, where := range []string{"route", "open"} {
				o := openDoor(t)
				if where == "route" {
					o.refusal = c.err
				} else {
					o.openErr = c.err
				}
				_, _, err := o.signedIn(t, jana).OpenChannel("direct-tcpip", direct(granted, 22))
				refused := refusedChannel(t, err)
				if refused.Reason != c.code || refused.Message != c.want {
					t.Errorf("%s: %v %q", where, refused.Reason, refused.Message)
				}
			}
		})
	}
}

func TestTenRefusalsEndTheConnection(t *testing.T) {
	o := openDoor(t)
	c := o.signedIn(t, jana)
	for i := range maxRefusals {
		_, _, err := c.OpenChannel("session", nil)
		var refused *gossh.OpenChannelError
		if i < maxRefusals-1 && !errors.As(err, &refused) {
			t.Fatalf("refusal %d: %v", i+1, err)
		}
	}
	if err := c.Wait(); err == nil {
		t.Error("the connection ended without an error")
	}
	o.signedIn(t, jana) // the next one is welcome
}

func TestSixteenStreamsPerConnection(t *testing.T) {
	o := openDoor(t)
	c := o.signedIn(t, jana)
	var first gossh.Channel
	for i := range maxStreams {
		ch, reqs, err := c.OpenChannel("direct-tcpip", direct(granted, 22))
		if err != nil {
			t.Fatalf("stream %d: %v", i+1, err)
		}
		go gossh.DiscardRequests(reqs)
		if first == nil {
			first = ch
		}
	}
	_, _, err := c.OpenChannel("direct-tcpip", direct(granted, 22))
	if refused := refusedChannel(t, err); refused.Reason != gossh.ResourceShortage {
		t.Errorf("stream 17 was refused with %v", refused.Reason)
	}
	first.CloseWrite() // the echo ends, and its place is free again
	if _, err := io.Copy(io.Discard, first); err != nil {
		t.Fatal(err)
	}
	o.eventually(t, "a free place", func(v *visit) bool { return v.streams == maxStreams-1 })
	if _, _, err = c.OpenChannel("direct-tcpip", direct(granted, 22)); err != nil {
		t.Errorf("the place of an ended stream stays taken: %v", err)
	}
}

// What the wire says in a route's names comes from access, not from the client.
func TestWhatTheAgentIsTold(t *testing.T) {
	o := openDoor(t)
	c := o.signedIn(t, luis)
	if _, _, err := c.OpenChannel("direct-tcpip", direct("RECON-SSH.NGH-PETCT1.NGH", 22)); err != nil {
		t.Fatal(err)
	}
	got := o.opened()
	want := link.Open{Asset: "NGH-PETCT1", Service: "recon-ssh", Peer: c.LocalAddr().String(), By: luis, Door: link.DoorSSH}
	if len(got) != 1 || got[0] != want {
		t.Errorf("opened %+v, want %+v", got, want)
	}
}

func FuzzDestination(f *testing.F) {
	f.Add(direct(granted, 22))
	f.Add(direct("RECON-ssh.NGH-petct1.NGH", 22))
	f.Add(direct("recon-ssh.ngh-petct1", 22))
	f.Add(direct("10.0.0.1", 22))
	f.Add(direct(granted, 22)[:5])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, payload []byte) {
		to, err := destination(payload)
		if err != nil {
			if to != (session.Target{}) {
				t.Errorf("a refused destination %q", to)
			}
			return
		}
		host := to.Host()
		if !to.Valid() || net.ParseIP(host) != nil {
			t.Errorf("accepted %q", host)
		}
		if !bytes.Contains(bytes.ToLower(payload), []byte(host)) {
			t.Errorf("%q was not asked for", host)
		}
	})
}
