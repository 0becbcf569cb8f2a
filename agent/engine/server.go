package engine

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// permitKey is where the proven permit stands in the connection's Permissions.
type permitKey struct{}

// ServeSSH serves one engineer's connection to a service of an asset until it ends,
// and closes conn. peer is the engineer's network address as the broker tells it, for
// the record only. When ctx is cancelled the connection ends as with Close.
func (e *Engine) ServeSSH(ctx context.Context, asset, service, peer string, nc net.Conn) {
	c := e.newConn(ctx, asset, service, peer, nc)
	if c == nil {
		_ = nc.Close()
		return
	}
	defer c.finish()
	defer context.AfterFunc(ctx, func() { c.stop(session.AgentLost, lastWords(session.AgentLost)) })()
	// A handshake that takes too long is cut; gliderlabs resets deadlines, so a timer does it.
	c.handshake = time.AfterFunc(handshakeTime, func() { _ = nc.Close() })
	defer c.handshake.Stop()
	c.server().HandleConn(nc)
}

// server is the SSH server of one connection. gliderlabs/ssh leaves traps open for
// whoever sets less than this:
//   - some handler must be set, or everybody is let in (PublicKeyHandler);
//   - PublicKeyHandler replaces a PublicKeyCallback and also answers for keys that
//     nobody has proven, so it decides nothing; VerifiedPublicKeyCallback does;
//   - its context and permissions are shared by all keys that were offered, so
//     identity is read from ServerConn.Permissions alone;
//   - without a host key it makes one up;
//   - its own session handler accepts env and agent forwarding, so ours stands there,
//     and "default" refuses all other channels and global requests.
func (c *conn) server() *ssh.Server {
	return &ssh.Server{
		Version:     "Sallyport",
		HostSigners: []ssh.Signer{c.e.signer},
		PublicKeyHandler: func(_ ssh.Context, key ssh.PublicKey) bool {
			return acceptable(key)
		},
		ServerConfigCallback: func(ssh.Context) *gossh.ServerConfig { return c.config() },
		ChannelHandlers: map[string]ssh.ChannelHandler{
			"session": func(_ *ssh.Server, sc *gossh.ServerConn, nc gossh.NewChannel, _ ssh.Context) { c.channel(sc, nc) },
			"default": func(_ *ssh.Server, _ *gossh.ServerConn, nc gossh.NewChannel, _ ssh.Context) { c.otherChannel(nc) },
		},
		RequestHandlers: map[string]ssh.RequestHandler{
			"default": func(_ ssh.Context, _ *ssh.Server, req *gossh.Request) (bool, []byte) {
				c.globalRequest(req)
				return false, nil
			},
		},
		SubsystemHandlers: map[string]ssh.SubsystemHandler{},
		Handler:           func(s ssh.Session) { _ = s.Exit(1) }, // never reached: the session handler is ours
	}
}

// config is the transport of the engineer's leg and the decision about keys.
func (c *conn) config() *gossh.ServerConfig {
	return &gossh.ServerConfig{
		Config: gossh.Config{
			KeyExchanges: []string{gossh.KeyExchangeMLKEM768X25519, gossh.KeyExchangeCurve25519},
			Ciphers:      []string{gossh.CipherAES128GCM, gossh.CipherAES256GCM, gossh.CipherChaCha20Poly1305},
			MACs:         []string{gossh.HMACSHA256ETM, gossh.HMACSHA512ETM},
		},
		PublicKeyAuthAlgorithms:   []string{gossh.KeyAlgoED25519, gossh.KeyAlgoECDSA256},
		MaxAuthTries:              maxTries,
		VerifiedPublicKeyCallback: c.verified,
	}
}

// acceptable is the same for everybody: the kinds of keys that grants may carry, and
// no certificates, because no authority is trusted here.
func acceptable(key gossh.PublicKey) bool {
	if _, cert := key.(*gossh.Certificate); cert {
		return false
	}
	return key.Type() == gossh.KeyAlgoED25519 || key.Type() == gossh.KeyAlgoECDSA256
}

// verified decides about a key whose owner has signed with it. What it returns is
// new and carries nothing of keys that were offered before.
func (c *conn) verified(_ gossh.ConnMetadata, key gossh.PublicKey, _ *gossh.Permissions, _ string) (*gossh.Permissions, error) {
	if !acceptable(key) {
		return nil, fmt.Errorf("key of type %s is not acceptable", key.Type())
	}
	line := strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key)))
	p, err := c.e.rights.find(line, c.asset, c.service, c.e.cfg.Now())
	if err == nil {
		err = c.admit(p)
	}
	if err != nil {
		c.log.Info("key refused", "key", gossh.FingerprintSHA256(key), "err", err)
		return nil, c.banner(err)
	}
	c.handshake.Stop()
	return &gossh.Permissions{ExtraData: map[any]any{permitKey{}: p}}, nil
}

// banner makes a refusal that the engineer reads, each text once per connection: a
// client offers several keys, and one of them may still be right.
func (c *conn) banner(err error) error {
	text := words(err)
	if c.said == text {
		return err
	}
	c.said = text
	return &gossh.BannerError{Err: err, Message: "Sallyport: " + text + "\r\n"}
}

// proven is the permit of the key that signed, from the one place where nothing else
// can write.
func proven(sc *gossh.ServerConn) (*permit, bool) {
	if sc == nil || sc.Permissions == nil {
		return nil, false
	}
	p, ok := sc.Permissions.ExtraData[permitKey{}].(*permit)
	return p, ok && p != nil
}

// otherChannel refuses forwarding, tunnels and everything else that is no session.
func (c *conn) otherChannel(nc gossh.NewChannel) {
	if !c.enter() {
		_ = nc.Reject(gossh.Prohibited, "connection is closing")
		return
	}
	defer c.leave()
	c.refused.add("channel "+nc.ChannelType(), "")
	c.reject(nc, gossh.Prohibited, "Sallyport refuses this channel: only shell, exec and sftp pass.")
}

// globalRequest refuses, not faster than a person's client would ask.
func (c *conn) globalRequest(req *gossh.Request) {
	c.refused.add("request "+req.Type, "")
	if wait := c.pace.Reserve().Delay(); wait > 0 {
		timer := time.NewTimer(min(wait, time.Second))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.over:
		}
	}
}

// reject refuses a channel and closes a connection that was refused too often.
func (c *conn) reject(nc gossh.NewChannel, reason gossh.RejectionReason, text string) {
	_ = nc.Reject(reason, text)
	if c.rejected.Add(1) >= maxRejected {
		c.stop(session.Failed, "Too many refused channels: the connection is closed.")
	}
}
