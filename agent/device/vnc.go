package device

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
	"github.com/sallyport/sallyport/session/vnc"
)

// Masks are what is hidden of a service's console.
func (d *Devices) Masks(asset, service string) screen.Masks {
	return d.at(asset, service).Console.Masks
}

// DialVNC connects to a console of the ticket's asset and logs in, within the target's
// timeout; it draws on s. copied is called with what was copied there, nil where that is
// not wanted. Errors are *session.Error whose message is fit for the engineer; Err has the
// rest.
func (d *Devices) DialVNC(ctx context.Context, t ledger.Ticket, service string, s *screen.Screen, copied func(string)) (*vnc.Client, error) {
	target, err := d.admitted(t, service, session.VNC)
	if err != nil {
		return nil, err
	}
	client, err := target.dialVNC(ctx, s, copied)
	if err != nil {
		return nil, target.explainVNC(err)
	}
	return client, nil
}

func (t Target) dialVNC(ctx context.Context, s *screen.Screen, copied func(string)) (*vnc.Client, error) {
	login, err := t.loginVNC()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	conn, err := dialer().DialContext(ctx, "tcp", t.hostPort())
	if err != nil {
		return nil, err
	}
	client, err := vnc.Connect(ctx, conn, s, vnc.Config{Login: login, Masked: t.Console.Masks.Any(), Copied: copied})
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return nil, err
	}
	return client, nil
}

// loginVNC reads the secrets.
func (t Target) loginVNC() (vnc.Login, error) {
	login := vnc.Login{User: t.Login.User}
	var err error
	if !t.Login.Password.IsZero() {
		if login.Password, err = t.Login.Password.Line(); err != nil {
			return vnc.Login{}, &errSecret{err}
		}
	}
	if t.Console.Pin != "" {
		login.Pin, err = parseCertificatePin(t.Console.Pin)
	}
	return login, err
}

// checkVNC reports what a VNC target has that it cannot use, or lacks.
func (t Target) checkVNC() error {
	switch {
	case !t.Login.Key.IsZero() || !t.Login.Passphrase.IsZero() || t.HostKey != "":
		return t.bad("a VNC console has no ssh key", "Leave key, passphrase and host_key out.")
	case t.Environment != nil || t.Legacy:
		return t.bad("a VNC console has no environment and no legacy algorithms", "Leave environment and legacy out.")
	case t.Login.User != "" && t.Login.Password.IsZero():
		return t.bad("its login has a user and no password", "Write login: {user: svc, password: \"file:/path\"}.")
	}
	if t.Console.Pin != "" {
		if _, err := parseCertificatePin(t.Console.Pin); err != nil {
			return t.bad(err.Error(), "Write tls: {pin: \"sha256:...\"} as openssl x509 -fingerprint -sha256 prints it.")
		}
	}
	return nil
}

// parseCertificatePin reads "sha256:" and 64 hex digits, with or without colons.
func parseCertificatePin(s string) (*[sha256.Size]byte, error) {
	digits, ok := strings.CutPrefix(strings.ToLower(s), "sha256:")
	b, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if !ok || err != nil || len(b) != sha256.Size {
		return nil, session.Errorf(session.Invalid, "the pin is not the SHA-256 of a certificate")
	}
	return (*[sha256.Size]byte)(b), nil
}

// tryVNC looks whether the port speaks RFB, or logs in and out again.
func (t Target) tryVNC(ctx context.Context, login bool) Checked {
	if !login {
		if err := t.speaksRFB(ctx); err != nil {
			return Checked{Speak, t.explainVNC(err)}
		}
		return Checked{Step: Speak}
	}
	client, err := t.dialVNC(ctx, screen.New(screen.Masks{}, nil), nil)
	if err != nil {
		return Checked{Enter, t.explainVNC(err)}
	}
	_ = client.Close()
	return Checked{Step: Enter}
}

func (t Target) speaksRFB(ctx context.Context) error {
	conn, err := dialer().DialContext(ctx, "tcp", t.hostPort())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var version [12]byte
	if _, err := io.ReadFull(conn, version[:]); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if !strings.HasPrefix(string(version[:]), "RFB ") {
		return rfb.ErrWire
	}
	return nil
}

// explainVNC makes an error of a dial readable; see explain.
func (t Target) explainVNC(err error) error {
	where := t.where()
	out, explained := t.explain(err)
	var secret *errSecret
	var said *session.Error
	var opErr *net.OpError
	switch {
	case errors.As(err, &secret):
		out.Kind = session.Refused
		out.Message = fmt.Sprintf("The agent cannot read its login for %s.", where)
		out.Next = "Ask the hospital to check the secret files of this service; the agent's log has the details."
	case errors.As(err, &said):
		out.Kind, out.Message, out.Next = said.Kind, fmt.Sprintf("%s: %s", where, said.Message), said.Next
	case errors.As(err, &opErr) && opErr.Op == "read": // it answered, and hung up in the middle
		out.Message = fmt.Sprintf("The device at %s hung up before its console could be shown.", where)
		out.Next = "Ask the hospital whether the console's VNC server is set up; it may let nobody in just now."
	case explained:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		out.Message = fmt.Sprintf("The device at %s hung up before its console could be shown.", where)
		out.Next = "Ask the hospital whether the console's VNC server is set up; it may let nobody in just now."
	default:
		out.Message = fmt.Sprintf("The device at %s does not speak VNC as it should.", where)
		out.Next = "Ask the hospital whether its port is really that of a VNC server."
	}
	return out
}
