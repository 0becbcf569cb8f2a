// Package secret reads secrets from where a configuration says they are kept. A
// configuration never holds one: it holds a Reference, which may be printed.
//
// A reference leads to one of three places and to no other: a file by its absolute path,
// a variable of the environment, or a credential that the service manager put into
// $CREDENTIALS_DIRECTORY. Nothing is ever looked for in the working directory.
package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// Reference says where a secret is kept: "file:/path", "env:NAME" or "credential:NAME".
// The secret is read at each use and never kept. The zero Reference leads nowhere.
type Reference struct{ scheme, name string }

// Parse reads a reference. A value that is not one is refused without repeating it,
// because it may be the secret itself.
func Parse(s string) (Reference, error) {
	scheme, name, _ := strings.Cut(s, ":")
	switch {
	case scheme == "file" && filepath.IsAbs(name) && filepath.Clean(name) == name && !strings.ContainsRune(name, 0),
		scheme == "env" && plainName(name),
		scheme == "credential" && plainName(name):
		return Reference{scheme: scheme, name: name}, nil
	case scheme == "file":
		return Reference{}, session.Errorf(session.Invalid, "A secret file is named by its absolute path").
			WithNext("Write file:/path/to/the/secret.")
	default:
		return Reference{}, session.Errorf(session.Invalid, "A secret is given by reference, never inline").
			WithNext("Write file:/path, env:NAME or credential:NAME.")
	}
}

// UnmarshalText makes a Reference readable from YAML and JSON.
func (r *Reference) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// MarshalText writes the reference.
func (r Reference) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// IsZero reports whether no secret is configured.
func (r Reference) IsZero() bool { return r == Reference{} }

func (r Reference) String() string {
	if r.IsZero() {
		return ""
	}
	return r.scheme + ":" + r.name
}

// Read fetches the secret. Errors name the reference and never the content.
func (r Reference) Read() ([]byte, error) {
	if r.IsZero() {
		return nil, errors.New("no secret is configured")
	}
	b, err := r.read()
	if err == nil && len(b) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	return b, nil
}

// Line reads a secret of one line, such as a password, without its line end.
func (r Reference) Line() (string, error) {
	b, err := r.Read()
	if err != nil {
		return "", err
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	switch {
	case len(b) == 0:
		return "", fmt.Errorf("%s: it is empty", r)
	case bytes.ContainsAny(b, "\r\n\x00"):
		return "", fmt.Errorf("%s: it has more than one line", r)
	}
	return string(b), nil
}

func (r Reference) read() ([]byte, error) {
	switch r.scheme {
	case "file":
		return readFile(r.name, 0o077)
	case "credential":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if !filepath.IsAbs(dir) {
			return nil, errors.New("CREDENTIALS_DIRECTORY does not name a directory")
		}
		return readFile(filepath.Join(dir, r.name), 0o037) // the service manager lets a group read
	default:
		v, ok := os.LookupEnv(r.name)
		if !ok {
			return nil, errors.New("the variable is not set")
		}
		if len(v) > maxSecret {
			return nil, fmt.Errorf("it is larger than %d bytes", maxSecret)
		}
		return []byte(v), nil
	}
}

// readFile reads a regular file that nobody else may read.
func readFile(path string, forbidden fs.FileMode) ([]byte, error) {
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
	if info.Mode().Perm()&forbidden != 0 {
		return nil, fmt.Errorf("others can read it (mode %04o): chmod 600 it", info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(b) > maxSecret {
		return nil, fmt.Errorf("it is larger than %d bytes", maxSecret)
	}
	return b, err
}

// plainName reports whether s can name a variable or a credential.
func plainName(s string) bool {
	if s == "" || len(s) > maxName || s[0] == '.' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-.", r)
	})
}
