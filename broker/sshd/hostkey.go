package sshd

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// maxKeyFile bounds a host key file; an ed25519 key has about 400 bytes.
const maxKeyFile = 16 << 10

// hostKey reads the ed25519 host key, or makes it on first use. A key that
// changed with each start would teach people to ignore ssh's warning.
func hostKey(path string) (gossh.Signer, error) {
	if path == "" {
		return nil, errors.New("sshd: Config needs HostKeyFile")
	}
	signer, err := readHostKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeHostKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make ssh host key: %w", err)
		}
		signer, err = readHostKey(path) // also when another broker made it first
	}
	if err != nil {
		return nil, fmt.Errorf("read ssh host key: %w", err)
	}
	return signer, nil
}

func readHostKey(path string) (gossh.Signer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, session.Errorf(session.Invalid, "the ssh host key %s can be read by others", path).
			WithNext("Make it yours alone: chmod 600 " + path + ". If others may have read it, delete it.")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, err
	}
	key, err := gossh.ParseRawPrivateKey(text)
	if err != nil {
		return nil, session.Errorf(session.Invalid, "%s is not an ssh private key: %w", path, err)
	}
	if _, ok := key.(*ed25519.PrivateKey); !ok {
		return nil, session.Errorf(session.Invalid, "the ssh host key %s is not an ed25519 key", path)
	}
	return gossh.NewSignerFromKey(key)
}

// makeHostKey writes a fresh key so that it is there whole or not at all, and
// never in place of another.
func makeHostKey(path string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := gossh.MarshalPrivateKey(key, "sallyport jump host")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".host-key-*") // 0600 by its contract
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(pem.EncodeToMemory(block))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keyLine is a public key in authorized_keys form, without a comment.
func keyLine(key gossh.PublicKey) string {
	return strings.TrimSuffix(string(gossh.MarshalAuthorizedKey(key)), "\n")
}
