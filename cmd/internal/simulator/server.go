package simulator

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

var errLogin = errors.New("login refused")

// serverConfig never leaves all methods unset, which would let everybody in.
func (s *Scanner) serverConfig() *ssh.ServerConfig {
	c := &ssh.ServerConfig{ServerVersion: "SSH-2.0-ReconHost_7.4", MaxAuthTries: 6}
	if want := s.cfg.Password; want != "" {
		c.PasswordCallback = func(m ssh.ConnMetadata, got []byte) (*ssh.Permissions, error) {
			s.note(&s.offered, "password %.64q", m.User())
			return s.admit(m, sameSecret(string(got), want))
		}
	}
	if want := s.cfg.Keyboard; want != "" {
		c.KeyboardInteractiveCallback = func(m ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			s.note(&s.offered, "keyboard-interactive %.64q", m.User())
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil {
				return nil, fmt.Errorf("ask for the password: %w", err)
			}
			return s.admit(m, len(answers) == 1 && sameSecret(answers[0], want))
		}
	}
	if len(s.cfg.AuthorizedKeys) > 0 {
		c.PublicKeyCallback = func(m ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			s.note(&s.offered, "publickey %.64q %s", m.User(), ssh.FingerprintSHA256(key))
			ok := false
			for _, k := range s.cfg.AuthorizedKeys {
				ok = ok || string(k.Marshal()) == string(key.Marshal())
			}
			return s.admit(m, ok)
		}
	}
	c.AddHostKey(s.signer)
	return c
}

func (s *Scanner) admit(m ssh.ConnMetadata, proven bool) (*ssh.Permissions, error) {
	if !proven || m.User() != s.cfg.User {
		return nil, errLogin
	}
	return &ssh.Permissions{}, nil
}

func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// Serve answers on l until ctx is done, closes l and every connection, waits for all of
// them and returns nil; or the error that ended listening.
func (s *Scanner) Serve(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	slots := make(chan struct{}, maxConns)
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept at the scanner: %w", err)
		}
		select {
		case slots <- struct{}{}:
			wg.Go(func() {
				defer func() { <-slots }()
				s.serveConn(ctx, conn)
			})
		default:
			conn.Close()
		}
	}
}

func (s *Scanner) serveConn(ctx context.Context, nc net.Conn) {
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	s.mu.Lock()
	s.conns[nc] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, nc)
		s.mu.Unlock()
	}()
	_ = nc.SetDeadline(time.Now().Add(handshakeMax)) // a dead socket shows at the handshake
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wire, config := s.sabotage(ctx, nc)
	if s.cfg.Mode == NoLogin || s.cfg.Mode == Banners {
		timer := time.AfterFunc(handshakeMax, cancel)
		defer timer.Stop()
	}
	conn, channels, globals, err := ssh.NewServerConn(wire, config)
	if err != nil {
		s.cfg.Log.Info("login refused", "target", s.cfg.Asset.Name, "err", err)
		return
	}
	_ = nc.SetDeadline(time.Time{})
	s.record("I", "SRV", "RSV_100", "Remote service session opened by "+conn.User())

	var wg sync.WaitGroup
	if s.cfg.Mode == Intruder {
		wg.Go(func() { s.intrude(ctx, conn) })
	}
	wg.Go(func() {
		for req := range globals {
			s.note(&s.seen, "global %.100s", req.Type)
			if req.WantReply {
				_ = req.Reply(false, nil)
			}
		}
	})
	deafen := func() {}
	if d, ok := wire.(*deafConn); ok {
		deafen = func() { d.deaf.Store(true) }
	}
	s.serveChannels(ctx, &wg, channels, deafen)
	cancel()
	wg.Wait()
	s.record("I", "SRV", "RSV_101", "Remote service session closed by "+conn.User())
}

// serveChannels accepts sessions and nothing else, until the connection ends.
func (s *Scanner) serveChannels(ctx context.Context, wg *sync.WaitGroup, channels <-chan ssh.NewChannel, deafen func()) {
	slots := make(chan struct{}, maxChannels)
	for nch := range channels {
		s.note(&s.seen, "open %.100s", nch.ChannelType())
		if nch.ChannelType() != "session" {
			_ = nch.Reject(ssh.Prohibited, "only sessions are served here")
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			_ = nch.Reject(ssh.ResourceShortage, "too many sessions")
			continue
		}
		ch, reqs, err := nch.Accept()
		if err != nil {
			<-slots
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			s.serveSession(ctx, ch, reqs, deafen)
		})
	}
}

// hangUp closes every connection, as a reboot does.
func (s *Scanner) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.conns {
		_ = nc.Close()
	}
}

// pump carries what a peer sends to a program, and counts it. It reads on after the
// program has ended, so that nothing that arrives goes uncounted.
func (s *Scanner) pump(from io.Reader, to *stdin) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		s.bytesIn.Add(int64(n))
		if to != nil {
			to.push(buf[:n])
		}
		if err != nil {
			if to != nil {
				to.finish()
			}
			return
		}
	}
}
