package device

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
	"github.com/sallyport/sallyport/session/vnc"
)

// DialVNC connects to a console of the ticket's asset and logs in, within the target's
// timeout; it draws on s. Of its use nothing counts but what was copied there, and that a
// pinned certificate was shown. Errors are *session.Error whose message is fit for the engineer; Err has the
// rest.
func (d *Devices) DialVNC(ctx context.Context, t ledger.Ticket, service string, s *screen.Screen, use Use) (*vnc.Client, error) {
	target, err := d.admitted(t, service, session.VNC)
	if err != nil {
		return nil, err
	}
	client, err := target.dialVNC(ctx, s, use.Copied)
	if err != nil {
		return nil, target.explainConsole(err)
	}
	if pin, err := parseCertificatePin(target.Console.Pin); err == nil && use.Proved != nil {
		use.Proved(session.Certificate{Service: service, SHA256: hex.EncodeToString(pin[:]), Known: session.KnownPinned})
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
	if t.Login.User != "" && t.Login.Password.IsZero() {
		return t.bad("its login has a user and no password", "Write login: {user: svc, password: \"file:/path\"}.")
	}
	return t.consoleHas()
}

// tryVNC looks whether the port speaks RFB, or logs in and out again.
func (t Target) tryVNC(ctx context.Context, login bool) Checked {
	if !login {
		if err := t.speaksRFB(ctx); err != nil {
			return Checked{Step: Speak, Err: t.explainConsole(err)}
		}
		return Checked{Step: Speak, Shown: "speaks VNC"}
	}
	client, err := t.dialVNC(ctx, screen.New(screen.Masks{}, nil), nil)
	if err != nil {
		return Checked{Step: Enter, Err: t.explainConsole(err)}
	}
	_ = client.Close()
	return Checked{Step: Enter, Shown: "speaks VNC"}
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
