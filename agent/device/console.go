package device

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
)

// Console is what is only said of a target with a screen.
type Console struct {
	// Pin is the SHA-256 of the certificate that it shows, "sha256:" and 64 hex digits. With
	// one, nothing is sent that is not encrypted for it.
	Pin   string
	Masks screen.Masks
	// Keyboard is the layout of Windows at a console that speaks RDP, "de"; see keyboards.
	Keyboard string
	// Held is the directory of the certificates that consoles without a pin showed first.
	Held string
	// OldTLS lets TLS of the past be enough; see session/rdp/oldtls.
	OldTLS bool
}

// Masks are what is hidden of a service's console.
func (d *Devices) Masks(asset, service string) screen.Masks {
	return d.at(asset, service).Console.Masks
}

// consoleHas reports what a target has that no console of its protocol can use.
func (t Target) consoleHas() error {
	name := strings.ToUpper(string(t.Protocol))
	switch {
	case !t.Login.Key.IsZero() || !t.Login.Passphrase.IsZero() || t.HostKey != "":
		return t.bad(fmt.Sprintf("a console that speaks %s has no ssh key", name), "Leave key, passphrase and host_key out.")
	case t.Environment != nil || t.Legacy:
		return t.bad(fmt.Sprintf("a console that speaks %s has no environment and no legacy algorithms of ssh", name), "Leave environment and legacy out.")
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

// explainConsole makes an error of a dial readable; see explain.
func (t Target) explainConsole(err error) error {
	where, speaks := t.where(), strings.ToUpper(string(t.Protocol))
	hungUp := fmt.Sprintf("The device at %s hung up before its console could be shown.", where)
	ask := fmt.Sprintf("Ask the hospital whether the console's %s server is set up; it may let nobody in just now.", speaks)
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
		out.Message, out.Next = hungUp, ask
	case explained:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		out.Message, out.Next = hungUp, ask
	default:
		out.Message = fmt.Sprintf("The device at %s does not speak %s as it should.", where, speaks)
		out.Next = fmt.Sprintf("Ask the hospital whether its port is really that of a server for %s.", speaks)
	}
	return out
}
