package device

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/rdp"
	"github.com/sallyport/sallyport/session/screen"
)

// Texts are those that pass between a console's clipboard and the engineer's.
type Texts struct {
	Copied func(string) // is told what was copied at the console; nil where that is not wanted
	Pastes bool         // texts may be pasted there
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
func (d *Devices) DialRDP(ctx context.Context, t ledger.Ticket, service string, s *screen.Screen, texts Texts) (*rdp.Client, error) {
	target, err := d.admitted(t, service, session.RDP)
	if err != nil {
		return nil, err
	}
	client, err := target.dialRDP(ctx, s, texts)
	if err != nil {
		return nil, target.explainConsole(err)
	}
	return client, nil
}

func (t Target) dialRDP(ctx context.Context, s *screen.Screen, texts Texts) (*rdp.Client, error) {
	password, err := t.Login.Password.Line()
	if err != nil {
		return nil, &errSecret{err}
	}
	pin, err := parseCertificatePin(t.Console.Pin)
	if err != nil {
		return nil, err
	}
	return t.connectRDP(ctx, s, rdp.Config{
		Login: rdp.Login{User: t.Login.User, Domain: t.Login.Domain, Password: password}, TLS: rdp.TLS{Pin: pin},
		Copied: texts.Copied, Pastes: texts.Pastes,
	})
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
	case t.Console.Pin == "":
		return t.bad("the certificate that it shows is not known", "Write tls: {pin: \"sha256:...\"} as openssl x509 -fingerprint -sha256 prints it.")
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
	pin, err := parseCertificatePin(t.Console.Pin)
	if err == nil && *pin != shown {
		err = session.Errorf(session.Refused, "it shows another certificate than the pinned one: sha256:%x.", shown).
			WithNext("Ask who serves the console whether it was renewed, and only then write the new pin.")
	}
	if err != nil {
		return Checked{Step: Certificate, Err: t.explainConsole(err)}
	}
	says := fmt.Sprintf("shows its pinned certificate sha256:%x", shown)
	if !login {
		return Checked{Step: Certificate, Shown: says}
	}
	client, err := t.dialRDP(ctx, screen.New(screen.Masks{}, nil), Texts{})
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
		TLS: rdp.TLS{First: func(pin [sha256.Size]byte) error {
			shown = pin
			return errShown
		}},
	})
	if errors.Is(err, errShown) {
		err = nil
	}
	return shown, err
}
