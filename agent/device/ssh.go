package device

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// DialSSH connects to a service of the ticket's asset and logs in, within the target's
// timeout. Errors are *session.Error whose message is fit for the engineer; Err has the rest.
func (d *Devices) DialSSH(ctx context.Context, t ledger.Ticket, service string) (*SSH, error) {
	target, err := d.admitted(t, service, session.SSH)
	if err != nil {
		return nil, err
	}
	client, err := target.dialSSH(ctx)
	if err != nil {
		return nil, err
	}
	return NewSSH(client), nil
}

func (t Target) dialSSH(ctx context.Context) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	client, err := t.connect(ctx)
	if err != nil {
		return nil, t.explainSSH(err)
	}
	return client, nil
}

// checkSSH reports what an SSH target lacks.
func (t Target) checkSSH() error {
	switch {
	case t.Login.User == "" || strings.ContainsAny(t.Login.User, " \x00\r\n"):
		return t.bad("login needs a user", "Write login: {user: service, key: \"file:/path\"}.")
	case !t.Environment.valid():
		return t.bad("environment names a variable that cannot be passed", "Write names like LANG or LC_*; none may be one that decides which programs run.")
	case t.Login.Password.IsZero() && t.Login.Key.IsZero():
		return t.bad("login needs a password or a key", "Write password or key as file:/path, env:NAME or credential:NAME.")
	}
	if _, err := parsePin(t.HostKey); err != nil {
		return t.bad(err.Error(), "Write host_key: \"SHA256:...\" as ssh-keygen -l -f prints it, or the whole public key line.")
	}
	return nil
}

// errHostKey is a device that showed another key than the pinned one.
type errHostKey struct{ pinned, shown string }

func (e *errHostKey) Error() string {
	return fmt.Sprintf("host key is %s, pinned is %s", e.shown, e.pinned)
}

// errSecret is a secret that could not be read.
type errSecret struct{ err error }

func (e *errSecret) Error() string { return e.err.Error() }

// connect tries the families of host keys until the device shows the pinned one.
// No attempt gets as far as the login with a wrong key.
func (t Target) connect(ctx context.Context) (*ssh.Client, error) {
	pinned, err := parsePin(t.HostKey)
	if err != nil {
		return nil, err
	}
	auth, err := t.Login.methods(t.Legacy)
	if err != nil {
		return nil, err
	}
	var mismatch error
	for _, algorithms := range hostKeyFamilies(pinned.kind, t.Legacy) {
		client, err := t.attempt(ctx, pinned, algorithms, auth())
		var other *errHostKey
		switch {
		case err == nil:
			return client, nil
		case errors.As(err, &other):
			mismatch = errors.Join(mismatch, other)
		case strings.Contains(err.Error(), "no common algorithm for host key"):
		default:
			return nil, err
		}
	}
	if mismatch == nil {
		mismatch = &errHostKey{pinned: pinned.fingerprint, shown: "of a kind that this target does not allow"}
	}
	return nil, mismatch
}

func (t Target) attempt(ctx context.Context, pinned pin, algorithms []string, auth []ssh.AuthMethod) (*ssh.Client, error) {
	conn, err := dialer().DialContext(ctx, "tcp", t.hostPort())
	if err != nil {
		return nil, err
	}
	conn = link.Whole(conn)
	// A cancelled dial ends the handshake too.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	config := &ssh.ClientConfig{
		Config: transport(t.Legacy), User: t.Login.User, Auth: auth,
		HostKeyAlgorithms: algorithms, ClientVersion: "SSH-2.0-Sallyport",
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if shown := ssh.FingerprintSHA256(key); shown != pinned.fingerprint {
				return &errHostKey{pinned: pinned.fingerprint, shown: shown}
			}
			return nil
		},
	}
	c, channels, requests, err := ssh.NewClientConn(conn, t.Asset, config)
	if !stop() && err == nil {
		_ = c.Close()
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return nil, err
	}
	// The client refuses every channel and global request that the device opens.
	return ssh.NewClient(c, channels, requests), nil
}

// explainSSH makes an error of a dial readable; see explain.
func (t Target) explainSSH(err error) error {
	where := t.where()
	var other *errHostKey
	var secret *errSecret
	out, explained := t.explain(err)
	switch {
	case errors.As(err, &other):
		out.Kind = session.Refused
		out.Message = fmt.Sprintf("The device at %s shows host key %s, but %s is pinned.", where, other.shown, other.pinned)
		out.Next = "Ask the hospital whether the device was replaced; the agent's host_key must name its key."
	case errors.As(err, &secret):
		out.Kind = session.Refused
		out.Message = fmt.Sprintf("The agent cannot read its login for %s.", where)
		out.Next = "Ask the hospital to check the secret files of this service; the agent's log has the details."
	case errors.Is(err, errPrompt), strings.Contains(err.Error(), "unable to authenticate"), strings.Contains(err.Error(), "authentication failures"):
		out.Kind = session.Refused
		out.Message = fmt.Sprintf("The device did not accept the agent's login for %s.", where)
		out.Next = "Ask the hospital to check user and password or key of this service in the agent's configuration."
	case strings.Contains(err.Error(), "no common algorithm"):
		out.Kind = session.Refused
		out.Message = fmt.Sprintf("The device at %s speaks only algorithms that the agent does not allow.", where)
		out.Next = "If it is too old for better, the hospital can set legacy: true for this service."
	case explained:
	default:
		out.Message = fmt.Sprintf("The device at %s did not complete the SSH handshake.", where)
		out.Next = "Ask the hospital whether its port really speaks SSH."
	}
	return out
}
