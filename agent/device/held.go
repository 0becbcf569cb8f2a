package device

import (
	"crypto/sha256"
	"encoding/hex"
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

// proves is how an RDP console proves who it is. told hears each time how the certificate
// that it shows is known, also of one that is refused.
func (t Target) proves(told func(session.Certificate)) (rdp.TLS, error) {
	var pin *[sha256.Size]byte
	if t.Console.Pin != "" {
		var err error
		if pin, err = parseCertificatePin(t.Console.Pin); err != nil {
			return rdp.TLS{}, err
		}
	}
	return rdp.TLS{Legacy: t.Console.OldTLS, First: func(shown [sha256.Size]byte) error {
		known, err := t.knownAs(shown, pin)
		if known != "" {
			told(session.Certificate{Service: t.Service, SHA256: hex.EncodeToString(shown[:]), Known: known})
		}
		return err
	}}, nil
}

// knownAs says by what a certificate is known, against the pin where there is one. Without a
// word of that it is not known whether it is known.
func (t Target) knownAs(shown [sha256.Size]byte, pin *[sha256.Size]byte) (session.Known, error) {
	switch {
	case pin == nil:
		return t.meets(shown)
	case *pin != shown:
		return session.KnownRefused, session.Errorf(session.Refused, "the console's certificate is not the pinned one: it is sha256:%x.", shown).
			WithNext("Ask who serves the console whether it was renewed, and only then write the new pin.")
	}
	return session.KnownPinned, nil
}

// meets holds the first certificate, and refuses another.
func (t Target) meets(shown [sha256.Size]byte) (session.Known, error) {
	held, err := t.held()
	if err == nil && held == nil {
		if err = durable.MakeDir(t.Console.Held); err == nil {
			err = durable.WriteNew(t.heldFile(), fmt.Appendf(nil, "sha256:%x\n", shown))
		}
		if err == nil {
			return session.KnownFirst, nil
		}
		if errors.Is(err, fs.ErrExist) { // another session was quicker
			held, err = t.held()
		}
	}
	if err != nil || held == nil {
		return "", &session.Error{Kind: session.Refused, Message: "the agent cannot keep or read the certificate that it holds of this console.",
			Next: "Ask the hospital to look at the directory certificates in the state of its agent, and at its disk.", Err: err}
	}
	if *held != shown {
		return session.KnownRefused, session.Errorf(session.Refused, "the console shows another certificate than before: sha256:%x, and sha256:%x is held. Nothing was sent to it.", shown, *held).
			WithNext("Ask who serves the console whether it was renewed: else somebody may stand in between. If it was, the hospital writes the new one as the service's pin (tls: {pin: …}) and reloads its agent.")
	}
	return session.KnownHeld, nil
}

// knows says in words how the certificate that a console shows is known, and holds none.
func (t Target) knows(shown [sha256.Size]byte) (string, error) {
	if t.Console.Pin == "" {
		if held, err := t.held(); err == nil && held == nil {
			return fmt.Sprintf("shows the certificate sha256:%x, which the first session holds", shown), nil
		}
		_, err := t.meets(shown)
		return fmt.Sprintf("shows the certificate that is held of it, sha256:%x", shown), err
	}
	pin, err := parseCertificatePin(t.Console.Pin)
	if err == nil {
		_, err = t.knownAs(shown, pin)
	}
	return fmt.Sprintf("shows its pinned certificate sha256:%x", shown), err
}
