package device

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// pin is a device's pinned host key: a whole key, or only its fingerprint.
type pin struct {
	fingerprint string
	kind        string // key type when the whole key is pinned
}

func parsePin(s string) (pin, error) {
	if digest, ok := strings.CutPrefix(s, "SHA256:"); ok {
		if b, err := base64.RawStdEncoding.Strict().DecodeString(digest); err == nil && len(b) == 32 {
			return pin{fingerprint: s}, nil
		}
		return pin{}, session.Errorf(session.Invalid, "host_key is not a SHA256 fingerprint")
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(s))
	if err != nil || len(options) > 0 || len(rest) > 0 {
		return pin{}, session.Errorf(session.Invalid, "host_key is missing or not a key")
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return pin{}, session.Errorf(session.Invalid, "host_key is a certificate, not a key")
	}
	return pin{fingerprint: ssh.FingerprintSHA256(key), kind: key.Type()}, nil
}

// errSeen ends a handshake once the right host key has been shown.
var errSeen = errors.New("seen the host key")

// pinnedKey is what a device did that is who it should be.
const pinnedKey = "shows its pinned host key"

// trySSH looks at the host key, or logs in and out again.
func (t Target) trySSH(ctx context.Context, login bool) Checked {
	if !login {
		return Checked{Pin, t.showsPin(ctx), pinnedKey}
	}
	client, err := t.connect(ctx)
	if err == nil {
		_ = client.Close()
		_ = client.Wait()
		return Checked{Step: Enter, Shown: pinnedKey}
	}
	var other *errHostKey
	var secret *errSecret
	step := Pin
	if !errors.As(err, &other) && (errors.As(err, &secret) || refusedLogin(err)) {
		step = Enter
	}
	if step == Pin && !errors.As(err, &other) && t.showsPin(ctx) == nil {
		step = Enter // the key was right, so it was the login that went wrong
	}
	return Checked{Step: step, Err: t.explainSSH(err)}
}

// showsPin shakes hands until the host key shows, and goes no further.
func (t Target) showsPin(ctx context.Context) error {
	pinned, err := parsePin(t.HostKey)
	if err != nil {
		return err
	}
	var failed error
	for _, algorithms := range hostKeyFamilies(pinned.kind, t.Legacy) {
		err := t.glance(ctx, pinned, algorithms)
		if errors.Is(err, errSeen) {
			return nil
		}
		var other *errHostKey
		if failed == nil || errors.As(err, &other) {
			failed = err
		}
	}
	return t.explainSSH(failed)
}

func (t Target) glance(ctx context.Context, pinned pin, algorithms []string) error {
	conn, err := dialer().DialContext(ctx, "tcp", t.hostPort())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	_, _, _, err = ssh.NewClientConn(conn, t.Asset, &ssh.ClientConfig{
		Config: transport(t.Legacy), User: t.Login.User, HostKeyAlgorithms: algorithms, ClientVersion: "SSH-2.0-Sallyport",
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if shown := ssh.FingerprintSHA256(key); shown != pinned.fingerprint {
				return &errHostKey{pinned: pinned.fingerprint, shown: shown}
			}
			return errSeen
		},
	})
	if err != nil && ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return err
}

func refusedLogin(err error) bool {
	return errors.Is(err, errPrompt) || strings.Contains(err.Error(), "unable to authenticate") ||
		strings.Contains(err.Error(), "authentication failures")
}
