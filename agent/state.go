package agent

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// state is the agent's directory: long-lived identity, link certificate, the
// input recipient, ledger and spool. Everything in it is 0600 in a 0700 directory.
//
//	identity.key      ed25519, PKCS #8: signs recordings, is the inner SSH host key
//	input.recipient   age recipient to which typed input is sealed; the identity is the hospital's
//	link.json         certificate and key of the link, the broker's CA
//	nodes.json        the broker's nodes that the hospital accepts: log names and keys
//	passkeys.json     the passkeys of the agent's page
//	switches.json     how the operator said that scanners stand
//	checkpoints.json  the newest checkpoint of each one's audit log
//	ledger/ spool/    see their packages
type state struct{ dir string }

func (s state) path(name string) string { return filepath.Join(s.dir, name) }

// identity loads the agent's long-lived key.
func (s state) identity() (ed25519.PrivateKey, error) {
	raw, err := os.ReadFile(s.path("identity.key"))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, notEnrolled(err)
		}
		return nil, fmt.Errorf("read the identity key: %w", err)
	}
	block, rest := pem.Decode(raw)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, fmt.Errorf("the identity key %s is not one PEM block", s.path("identity.key"))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse the identity key: %w", err)
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the identity key is a %T, not ed25519", key)
	}
	return ed, nil
}

func notEnrolled(err error) error {
	return &session.Error{Kind: session.Invalid, Message: "This agent is not enrolled", Next: "Get a join token from the broker's operator and run: sallyport-agent enrol.", Err: err}
}

// makeIdentity loads the identity key, or makes one the first time: it must
// outlive certificates and re-enrolments, because people pin it.
func (s state) makeIdentity() (ed25519.PrivateKey, error) {
	err := durable.Once(s.path("identity.key"), 0o600, func() ([]byte, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
	})
	if err != nil {
		return nil, err
	}
	return s.identity()
}

// inputRecipient is the age recipient to which typed input is sealed.
func (s state) inputRecipient() (string, error) {
	raw, err := os.ReadFile(s.path("input.recipient"))
	if err != nil {
		return "", notEnrolled(err)
	}
	line := strings.TrimSpace(string(raw))
	if _, err := age.ParseX25519Recipient(line); err != nil {
		return "", fmt.Errorf("the input recipient in %s: %w", s.path("input.recipient"), err)
	}
	return line, nil
}

// makeInputIdentity makes the hospital's input identity into out and keeps only
// the recipient. An existing recipient is kept: its identity is already handed out.
func (s state) makeInputIdentity(out string) error {
	if _, err := s.inputRecipient(); err == nil {
		return nil
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	text := fmt.Sprintf("# Opens what engineers typed in recordings. Keep it at the hospital, offline.\n# public key: %s\n%s\n", id.Recipient(), id)
	if err := durable.WriteNew(out, []byte(text)); err != nil {
		return fmt.Errorf("write the hospital's input identity: %w", err)
	}
	return s.write("input.recipient", []byte(id.Recipient().String()+"\n"))
}

func (s state) write(name string, data []byte) error {
	return durable.Write(s.path(name), data)
}
