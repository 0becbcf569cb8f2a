package device

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/rdp"
)

// The first certificate of a console without a pin is held on the disk, one file for each
// service. Nothing here ever replaces it: who accepts another one writes it into the
// agent's configuration as the pin, at the hospital.

func (t Target) heldFile() string {
	return filepath.Join(t.Console.Held, t.Asset+"."+t.Service) // no name has a dot
}

// held is the certificate that was shown first; nil where none was.
func (t Target) held() (*[sha256.Size]byte, error) {
	b, err := durable.ReadPrivate(t.heldFile(), maxHeld)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseCertificatePin(strings.TrimSpace(string(b)))
}

// proves is how an RDP console proves who it is. told hears of a certificate that is held
// from now on.
func (t Target) proves(told func(string)) (rdp.TLS, error) {
	if t.Console.Pin == "" {
		return rdp.TLS{Legacy: t.Console.OldTLS, First: func(shown [sha256.Size]byte) error { return t.meets(shown, told) }}, nil
	}
	pin, err := parseCertificatePin(t.Console.Pin)
	return rdp.TLS{Legacy: t.Console.OldTLS, Pin: pin}, err
}

// meets holds the first certificate, and refuses another.
func (t Target) meets(shown [sha256.Size]byte, told func(string)) error {
	held, err := t.held()
	if err == nil && held == nil {
		if err = durable.MakeDir(t.Console.Held); err == nil {
			err = durable.WriteNew(t.heldFile(), fmt.Appendf(nil, "sha256:%x\n", shown))
		}
		if err == nil {
			told(fmt.Sprintf("The console showed its certificate for the first time: sha256:%x. The agent holds it, and refuses another.", shown))
			return nil
		}
		if errors.Is(err, fs.ErrExist) { // another session was quicker
			held, err = t.held()
		}
	}
	if err != nil || held == nil {
		return &session.Error{Kind: session.Refused, Message: "the agent cannot keep or read the certificate that it holds of this console.",
			Next: "Ask the hospital to look at the directory certificates in the state of its agent, and at its disk.", Err: err}
	}
	if *held != shown {
		return session.Errorf(session.Refused, "the console shows another certificate than before: sha256:%x, and sha256:%x is held. Nothing was sent to it.", shown, *held).
			WithNext(fmt.Sprintf("Ask who serves the console whether it was renewed: else somebody may stand in between. If it was, the hospital writes tls: {pin: \"sha256:%x\"} into its agent's configuration and reloads it.", shown))
	}
	return nil
}

// knows says in words how the certificate that a console shows is known.
func (t Target) knows(shown [sha256.Size]byte) (string, error) {
	tls, err := t.proves(func(string) {})
	if err != nil {
		return "", err
	}
	if tls.Pin != nil {
		if *tls.Pin != shown {
			return "", session.Errorf(session.Refused, "it shows another certificate than the pinned one: sha256:%x.", shown).
				WithNext("Ask who serves the console whether it was renewed, and only then write the new pin.")
		}
		return fmt.Sprintf("shows its pinned certificate sha256:%x", shown), nil
	}
	held, err := t.held()
	if err == nil && held == nil {
		return fmt.Sprintf("shows the certificate sha256:%x, which the first session holds", shown), nil
	}
	return fmt.Sprintf("shows the certificate that is held of it, sha256:%x", shown), t.meets(shown, func(string) {})
}
