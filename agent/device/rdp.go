package device

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/rdp"
	"github.com/sallyport/sallyport/session/screen"
)

// Use is how a console is used.
type Use struct {
	Copied func(string)              // is told what was copied at the console; nil where that is not wanted
	Pastes bool                      // texts may be pasted there
	Said   func(string)              // is told what people should know of the connection
	Proved func(session.Certificate) // is told how the console proved who it is, or did not
	// Again refuses that a broken connection is dialled once more, where that may not be now.
	Again func() error
}

// keyboards are layouts of Windows by what people call them; any other is written as its
// number, "0x407".
func keyboards() map[string]uint32 {
	return map[string]uint32{
		"be": 0x80c, "br": 0x416, "ch-de": 0x807, "ch-fr": 0x100c, "cz": 0x405, "de": 0x407, "dk": 0x406, "es": 0x40a, "fi": 0x40b,
		"fr": 0x40c, "it": 0x410, "jp": 0x411, "nl": 0x413, "no": 0x414, "pl": 0x415, "pt": 0x816, "se": 0x41d, "tr": 0x41f, "uk": 0x809, "us": 0x409,
	}
}

// DialRDP connects to a console of the ticket's asset and logs in, within the target's
// timeout; it draws on s. Errors are as those of DialVNC.
func (d *Devices) DialRDP(ctx context.Context, t ledger.Ticket, service string, s *screen.Screen, use Use) (*rdp.Client, error) {
	target, err := d.admitted(t, service, session.RDP)
	if err != nil {
		return nil, err
	}
	var shown session.Certificate
	tls, err := target.proves(func(c session.Certificate) {
		if shown = c; c.Known == session.KnownRefused || c.Known == session.KnownFirst {
			use.Proved(c) // whatever becomes of the login
		}
	})
	if err != nil {
		return nil, target.explainConsole(err)
	}
	client, err := target.dialRDP(ctx, s, rdp.Config{TLS: tls, Copied: use.Copied, Pastes: use.Pastes, Again: target.again(use)})
	if err != nil {
		return nil, target.explainConsole(err)
	}
	shown.Old = client.Legacy()
	use.Proved(shown)
	if shown.Known == session.KnownFirst {
		use.Said(fmt.Sprintf("The console showed its certificate for the first time: sha256:%s. The agent holds it, and refuses another.", shown.SHA256))
	}
	if shown.Old != "" {
		use.Said(fmt.Sprintf("The console speaks TLS of the past (%s), which the hospital allows for it: who reads its network might read this.", shown.Old))
	}
	return client, nil
}

// again dials once more for a connection that broke.
func (t Target) again(use Use) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		if err := use.Again(); err != nil {
			return nil, err
		}
		use.Said("The connection to the console broke; the agent dials it again.")
		return dialer().DialContext(ctx, "tcp", t.hostPort())
	}
}

func (t Target) dialRDP(ctx context.Context, s *screen.Screen, cfg rdp.Config) (*rdp.Client, error) {
	password, err := t.Login.Password.Line()
	if err != nil {
		return nil, &errSecret{err}
	}
	cfg.Login = rdp.Login{User: t.Login.User, Domain: t.Login.Domain, Password: password}
	return t.connectRDP(ctx, s, cfg)
}

func (t Target) connectRDP(ctx context.Context, s *screen.Screen, cfg rdp.Config) (*rdp.Client, error) {
	cfg.Size, cfg.Name = t.Console.size(), "sallyport"
	cfg.Keyboard, _ = keyboard(t.Console.Keyboard)
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	conn, err := dialer().DialContext(ctx, "tcp", t.hostPort())
	if err != nil {
		return nil, err
	}
	client, err := rdp.Connect(ctx, conn, s, cfg)
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return nil, err
	}
	return client, nil
}

// size is the screen that is asked for: the first that the masks name, because one of
// another size would be hidden.
func (c Console) size() image.Point {
	if len(c.Masks.Rules) > 0 {
		return c.Masks.Rules[0].Screen
	}
	return image.Point{}
}

// keyboard reads a layout; none is that of the USA.
func keyboard(name string) (uint32, bool) {
	if name == "" {
		return 0, true
	}
	if layout, ok := keyboards()[name]; ok {
		return layout, true
	}
	n, err := strconv.ParseUint(name, 0, 32)
	return uint32(n), err == nil && n > 0 && strings.HasPrefix(name, "0x")
}

// checkRDP reports what an RDP target has that it cannot use, or lacks.
func (t Target) checkRDP() error {
	_, known := keyboard(t.Console.Keyboard)
	switch {
	case t.Login.User == "" || t.Login.Password.IsZero():
		return t.bad("its login needs a user and a password", "Write login: {user: svc, domain: \"\", password: \"file:/path\"}.")
	case !known:
		return t.bad("the keyboard is not known", "Write one of "+strings.Join(slices.Sorted(maps.Keys(keyboards())), ", ")+", or the layout's number as Windows has it: keyboard: \"0x407\".")
	}
	return t.consoleHas()
}

// tryRDP looks which certificate the console shows, and says nothing to it; or logs in and
// out again.
func (t Target) tryRDP(ctx context.Context, login bool) Checked {
	shown, err := t.certificate(ctx)
	if err != nil {
		return Checked{Step: Speak, Err: t.explainConsole(err)}
	}
	says, err := t.knows(shown)
	if err != nil {
		return Checked{Step: Certificate, Err: t.explainConsole(err)}
	}
	if !login {
		return Checked{Step: Certificate, Shown: says}
	}
	client, err := t.dialRDP(ctx, screen.New(screen.Masks{}, nil), rdp.Config{TLS: rdp.TLS{Pin: &shown, Legacy: t.Console.OldTLS}})
	if err != nil {
		return Checked{Step: Enter, Err: t.explainConsole(err)}
	}
	_ = client.Close()
	return Checked{Step: Enter, Shown: says}
}

// errShown ends a connection that was made to see a certificate.
var errShown = session.Errorf(session.Refused, "the certificate was seen")

// certificate is the one that the console shows now.
func (t Target) certificate(ctx context.Context) (shown [sha256.Size]byte, err error) {
	_, err = t.connectRDP(ctx, screen.New(screen.Masks{}, nil), rdp.Config{
		Login: rdp.Login{User: t.Login.User},
		TLS: rdp.TLS{Legacy: t.Console.OldTLS, First: func(pin [sha256.Size]byte) error {
			shown = pin
			return errShown
		}},
	})
	if errors.Is(err, errShown) {
		err = nil
	}
	return shown, err
}
