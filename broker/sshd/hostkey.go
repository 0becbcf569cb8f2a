package sshd

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// hostKeys reads the ed25519 host key, or makes it on first use, and derives the other. A
// key that changed with each start would teach people to ignore ssh's warning.
func hostKeys(path string) ([]gossh.Signer, error) {
	if path == "" {
		return nil, errors.New("sshd: Config needs HostKeyFile")
	}
	if err := durable.Once(path, 0o600, makeHostKey); err != nil {
		return nil, fmt.Errorf("make ssh host key: %w", err)
	}
	first, err := readHostKey(path)
	if err != nil {
		return nil, fmt.Errorf("read ssh host key: %w", err)
	}
	second, err := session.HostKeyEC(first)
	if err != nil {
		return nil, err
	}
	var signers []gossh.Signer
	for _, key := range []crypto.Signer{first, second} {
		signer, err := gossh.NewSignerFromSigner(key)
		if err != nil {
			return nil, err
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// HostKeyLine is the public key of the host key in a file, "ssh-ed25519 AAAA...".
func HostKeyLine(path string) (string, error) {
	key, err := readHostKey(path)
	if err != nil {
		return "", fmt.Errorf("read ssh host key: %w", err)
	}
	return session.KeyLine(key.Public().(ed25519.PublicKey)), nil
}

func readHostKey(path string) (ed25519.PrivateKey, error) {
	text, err := durable.ReadPrivate(path, maxKeyFile)
	if _, ok := errors.AsType[*durable.Exposed](err); ok {
		return nil, session.Errorf(session.Invalid, "the ssh host key %s can be read by others", path).
			WithNext("Make it yours alone: chmod 600 " + path + ". If others may have read it, delete it.")
	}
	if err != nil {
		return nil, err
	}
	key, err := gossh.ParseRawPrivateKey(text)
	if err != nil {
		return nil, session.Errorf(session.Invalid, "%s is not an ssh private key: %w", path, err)
	}
	first, ok := key.(*ed25519.PrivateKey)
	if !ok {
		return nil, session.Errorf(session.Invalid, "the ssh host key %s is not an ed25519 key", path)
	}
	return *first, nil
}

func makeHostKey() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := gossh.MarshalPrivateKey(key, "sallyport jump host")
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

// keyLine is a public key in authorized_keys form, without a comment.
func keyLine(key gossh.PublicKey) string {
	return strings.TrimSuffix(string(gossh.MarshalAuthorizedKey(key)), "\n")
}
