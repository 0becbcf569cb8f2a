package simulator

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Mode is how a device misbehaves. Devices like these exist: broken firmware, a full
// disk, somebody who took the scanner over.
type Mode string

const (
	Honest     Mode = ""
	Flood      Mode = "flood"       // output without end, as fast as it is taken
	Escapes    Mode = "escapes"     // terminal control sequences without end
	Painter    Mode = "painter"     // what is most work for whoever draws its terminal
	EndlessRow Mode = "endless-row" // one line that never ends
	HalfClosed Mode = "half-closed" // ends its output and never the channel
	NoLogin    Mode = "no-login"    // never answers the login
	Deaf       Mode = "deaf"        // stops reading from the network once a program runs
	Intruder   Mode = "intruder"    // opens channels and asks for things by itself
	Banners    Mode = "banners"     // banners without end before the login
	Quits      Mode = "quits"       // hangs up in the middle of its output
)

// Connections is how many peers are connected.
func (s *Scanner) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// storm are sequences that do something to a terminal that believes them: title,
// clipboard, answerback, device control, hyperlink, mouse, resize, 8-bit and split ones.
func storm() string {
	return "\x1b]0;owned\x07\x1b]52;c;cm0gLXJmIC8=\x07\x1b]52;c;?\x1b\\\x1bP+q544e\x1b\\\x1bP$qm\x1b\\\x1b[6n\x1b[c\x1b[>c\x1b[21t" +
		"\x1b]8;;http://evil.example\x1b\\x\x1b]8;;\x1b\\\x1b[?1000h\x1b[8;1;1t\x9b31m\x9d0;owned\x9c\x90x\x9c\x1b[?1049h\x1b#8\x05\x1b_x\x1b\\\x1b^x\x1b\\" +
		"\xff\xfe\xc0\x80\xed\xa0\x80\x00\x1b[\x1b]" + strings.Repeat("\x1b[1;", 20)
}

// painting scrolls, erases, inserts and repeats what fills a screen, in a few bytes each.
func painting() string {
	return "\x1b[?1049h\x1b[48;2;9;8;7m\x1b[9999;9999H" + strings.Repeat("\n", 8<<10) + strings.Repeat("\x1b[2Jx", 1<<10) +
		strings.Repeat("\x1b[999L\x1b[999M", 512) + "x" + strings.Repeat("\x1b[9999b", 512) + strings.Repeat("\x1b[?1049l\x1b[?1049h", 256)
}

// misbehave is the program of a device that has a mode of its own.
func (c *sessionChannel) misbehave(ctx context.Context) int {
	line := strings.Repeat("0123456789abcdef", 64) + "\r\n"
	switch c.s.cfg.Mode {
	case Escapes:
		line = strings.Repeat(storm(), 16)
	case Painter:
		line = painting()
	case EndlessRow:
		line = strings.Repeat("x", 32<<10)
	case HalfClosed:
		_, _ = c.ch.Write([]byte("the output ends here\r\n"))
		_ = c.ch.CloseWrite()
		<-ctx.Done()
		return 0
	case Deaf, Intruder:
		_, _ = c.ch.Write([]byte("ready\r\n"))
		<-ctx.Done()
		return 0
	case Quits:
		for range 64 {
			_, _ = c.ch.Write([]byte(line))
		}
		c.s.hangUp()
		<-ctx.Done()
		return 0
	}
	for ctx.Err() == nil {
		if _, err := c.ch.Write([]byte(line)); err != nil {
			break
		}
	}
	return 0
}

// sabotage changes how a connection is set up, for the modes that start there.
func (s *Scanner) sabotage(ctx context.Context, nc net.Conn) (net.Conn, *ssh.ServerConfig) {
	config := *s.ssh
	switch s.cfg.Mode {
	case NoLogin:
		wait := func() { <-ctx.Done() }
		if config.PasswordCallback != nil {
			config.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { wait(); return nil, errLogin }
		}
		if config.PublicKeyCallback != nil {
			config.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
				wait()
				return nil, errLogin
			}
		}
	case Banners:
		config.PreAuthConnCallback = func(c ssh.ServerPreAuthConn) {
			text := strings.Repeat(storm(), 64)
			for ctx.Err() == nil && c.SendAuthBanner(text) == nil {
			}
		}
	case Deaf:
		return &deafConn{Conn: nc, over: ctx.Done()}, &config
	}
	return nc, &config
}

// intrude asks for everything that a server has no business asking for, until nobody
// listens any more.
func (s *Scanner) intrude(ctx context.Context, conn ssh.Conn) {
	for _, kind := range []string{"forwarded-tcpip", "x11", "auth-agent@openssh.com", "session", "direct-tcpip", "tun@openssh.com"} {
		if ch, requests, err := conn.OpenChannel(kind, []byte("let me in")); err == nil {
			s.note(&s.seen, "ADMITTED %s", kind)
			go ssh.DiscardRequests(requests) // ends with the connection
			_ = ch.Close()
		}
	}
	for ctx.Err() == nil {
		for _, kind := range []string{"tcpip-forward", "hostkeys-00@openssh.com", "no-more-sessions@openssh.com", strings.Repeat("k", 4<<10)} {
			ok, _, err := conn.SendRequest(kind, true, make([]byte, 16<<10))
			if err != nil {
				return
			}
			if ok {
				s.note(&s.seen, "GRANTED %.40s", kind)
			}
		}
	}
}

// deafConn stops reading for good once it is told to.
type deafConn struct {
	net.Conn
	deaf atomic.Bool
	over <-chan struct{}
}

func (d *deafConn) Read(p []byte) (int, error) {
	for d.deaf.Load() {
		select {
		case <-d.over:
			return 0, net.ErrClosed
		case <-time.After(50 * time.Millisecond):
		}
	}
	return d.Conn.Read(p)
}
