package device

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/session"
)

const maxSecret = 64 << 10 // bytes of a password or a private key file

// Secret says where a secret is kept: "file:/path", "env:NAME" or
// "credential:NAME" (a file in $CREDENTIALS_DIRECTORY). It is read at each login and
// never kept. Printing a Secret prints the reference.
type Secret struct{ scheme, name string }

// ParseSecret reads a reference. A value that is not one is refused without
// repeating it, because it may be the secret itself.
func ParseSecret(s string) (Secret, error) {
	scheme, name, _ := strings.Cut(s, ":")
	switch {
	case scheme == "file" && filepath.IsAbs(name) && filepath.Clean(name) == name,
		scheme == "env" && plainName(name),
		scheme == "credential" && plainName(name):
		return Secret{scheme: scheme, name: name}, nil
	case scheme == "file":
		return Secret{}, session.Errorf(session.Invalid, "A secret file is named by its absolute path").
			WithNext("Write file:/path/to/the/secret.")
	default:
		return Secret{}, session.Errorf(session.Invalid, "A secret is given by reference, never inline").
			WithNext("Write file:/path, env:NAME or credential:NAME.")
	}
}

// UnmarshalText makes Secret readable from YAML and JSON.
func (s *Secret) UnmarshalText(text []byte) error {
	parsed, err := ParseSecret(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// MarshalText writes the reference.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// IsZero reports whether no secret is configured.
func (s Secret) IsZero() bool { return s == Secret{} }

func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return s.scheme + ":" + s.name
}

// read fetches the secret. Errors name the reference and never the content.
func (s Secret) read() ([]byte, error) {
	switch s.scheme {
	case "file":
		return readSecretFile(s.name, 0o077)
	case "credential":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, fmt.Errorf("%s: CREDENTIALS_DIRECTORY is not set", s)
		}
		return readSecretFile(filepath.Join(dir, s.name), 0o037)
	case "env":
		v, ok := os.LookupEnv(s.name)
		if !ok || v == "" {
			return nil, fmt.Errorf("%s: the variable is not set", s)
		}
		return []byte(v), nil
	default:
		return nil, fmt.Errorf("no secret is configured")
	}
}

// line reads a one-line secret such as a password, without its line end.
func (s Secret) line() (string, error) {
	b, err := s.read()
	if err != nil {
		return "", err
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(b) == 0 {
		return "", fmt.Errorf("%s: it is empty", s)
	}
	if bytes.ContainsAny(b, "\r\n\x00") {
		return "", fmt.Errorf("%s: it has more than one line", s)
	}
	return string(b), nil
}

// readSecretFile reads a regular file that nobody else may read.
func readSecretFile(path string, forbidden os.FileMode) ([]byte, error) {
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
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if open := info.Mode().Perm() & forbidden; open != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSecret {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxSecret)
	}
	return b, nil
}

// plainName reports whether s can name a variable or a credential.
func plainName(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
		default:
			return false
		}
	}
	return true
}
