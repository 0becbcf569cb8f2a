package broker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const maxSecret = 4 << 10 // bytes of a password

var secretName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$`)

// Secret says where a secret is kept: "file:/path", "env:NAME" or "credential:NAME" (a
// file in $CREDENTIALS_DIRECTORY). It is never the secret itself.
type Secret string

// valid reports whether it is a reference.
func (s Secret) valid() bool {
	scheme, name, _ := strings.Cut(string(s), ":")
	switch scheme {
	case "file":
		return filepath.IsAbs(name) && filepath.Clean(name) == name
	case "env", "credential":
		return secretName.MatchString(name)
	}
	return false
}

// line reads a secret of one line. Errors name the reference and never the content.
func (s Secret) line() (string, error) {
	scheme, name, _ := strings.Cut(string(s), ":")
	var b []byte
	var err error
	switch {
	case !s.valid():
		err = errors.New("it is no reference to a secret")
	case scheme == "file":
		b, err = readSecret(name, 0o077)
	case scheme == "credential":
		b, err = readSecret(filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), name), 0o037)
	default:
		b = []byte(os.Getenv(name))
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	switch {
	case err != nil:
	case len(b) == 0:
		err = errors.New("it is empty")
	case bytes.ContainsAny(b, "\r\n\x00"):
		err = errors.New("it has more than one line")
	default:
		return string(b), nil
	}
	if !s.valid() {
		return "", err
	}
	return "", fmt.Errorf("%s: %w", string(s), err)
}

// readSecret reads a plain file that nobody else may read.
func readSecret(path string, forbidden os.FileMode) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	if open := info.Mode().Perm() & forbidden; open != 0 {
		return nil, fmt.Errorf("others can read it (mode %04o): chmod 600 it", info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(b) > maxSecret {
		err = fmt.Errorf("it is larger than %d bytes", maxSecret)
	}
	return b, err
}
