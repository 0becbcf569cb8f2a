// Package home is a person's Sallyport directory: which broker, whom to trust,
// the signed-in session, and one ssh key per request. Files are written whole or
// not at all, readable by their owner alone. It asks nobody; it knows the way out, and goes it for others.
//
//	config.json      {"broker": URL, "hint": e-mail, "client_secrets": {..}, "proxy": {..}}
//	trust.d/SITE.json  trust bundles (session.Trust), imported by hand
//	session.json     what the broker handed out at login
//	keys/R-….key     OpenSSH private key of a request
//	keys/R-….json    which asset and services that key is for
//	ssh_config       written for OpenSSH, with
//	known_hosts      the agents' keys and the jump host's
package home

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/proxy"
	"github.com/sallyport/sallyport/session/secret"
)

// Home is one such directory. The zero value is not usable; Find makes one.
type Home struct {
	dir string
}

// Config is what a person set once.
type Config struct {
	Broker string `json:"broker"`
	Hint   string `json:"hint,omitempty"` // e-mail for sign-ins
	// Secrets are the clients' secrets of the identity providers that want one, by client
	// id at issuer: "sallyport-cli@https://idp.example". They never stand in a bundle.
	Secrets map[string]secret.Reference `json:"client_secrets,omitempty"`
	// Proxy is the way out to broker and identity providers. Without it HTTPS_PROXY and
	// NO_PROXY count.
	Proxy proxy.Config `json:"proxy,omitzero"`
}

// Dial goes out as the configuration says.
func (c Config) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := c.Proxy.Check("proxy"); err != nil {
		return nil, &session.Error{Kind: session.Invalid, Message: "The proxy in config.json cannot be used: " + err.Error(), Next: "Mend it there; sallyport status shows the directory."}
	}
	d, err := proxy.New(c.Proxy)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// Find names the directory: $SALLYPORT_HOME, else sallyport under
// $XDG_CONFIG_HOME or ~/.config. It is created when something is first written.
func Find(env func(string) string) (Home, error) {
	dir := env("SALLYPORT_HOME")
	if dir == "" {
		switch {
		case env("XDG_CONFIG_HOME") != "":
			dir = filepath.Join(env("XDG_CONFIG_HOME"), "sallyport")
		case env("HOME") != "":
			dir = filepath.Join(env("HOME"), ".config", "sallyport")
		default:
			return Home{}, session.Errorf(session.Invalid, "No home directory is known").WithNext("Set SALLYPORT_HOME to a directory of yours.")
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Home{}, fmt.Errorf("find the home directory: %w", err)
	}
	if strings.ContainsAny(abs, "\"\n\r\\") && filepath.Separator == '/' || strings.Contains(abs, "${") {
		return Home{}, session.Errorf(session.Invalid, "The directory %q has a name that ssh cannot read", abs).WithNext("Set SALLYPORT_HOME to a path without quotes, backslashes and dollar signs.")
	}
	return Home{dir: abs}, nil
}

// Dir is the absolute path.
func (h Home) Dir() string { return h.dir }

// Path joins names below the directory.
func (h Home) Path(names ...string) string {
	return filepath.Join(append([]string{h.dir}, names...)...)
}

// Config reads config.json; without one it is empty.
func (h Home) Config() (Config, error) {
	var c Config
	err := h.read("config.json", &c)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	return c, err
}

// SaveConfig writes config.json.
func (h Home) SaveConfig(c Config) error { return h.writeJSON("config.json", c) }

// CheckBroker normalises a broker's address: https, or http on loopback, no path.
func CheckBroker(address string) (string, error) {
	u, err := url.Parse(address)
	bad := err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != ""
	if !bad && (u.Scheme == "https" || u.Scheme == "http" && session.Loopback(u.Hostname())) {
		return u.Scheme + "://" + strings.ToLower(u.Host), nil
	}
	return "", session.Errorf(session.Invalid, "%.100q is not a broker's address", address).
		WithNext("It looks like https://access.example.org; plain http is for this machine only.")
}

// Session reads the signed-in session. ok is false when there is none.
func (h Home) Session() (login api.Login, ok bool, err error) {
	err = h.read("session.json", &login)
	if errors.Is(err, fs.ErrNotExist) {
		return api.Login{}, false, nil
	}
	return login, err == nil && login.Token != "", err
}

// SaveSession keeps a login, readable by its owner alone.
func (h Home) SaveSession(l api.Login) error { return h.writeJSON("session.json", l) }

// DropSession forgets the login.
func (h Home) DropSession() error {
	err := os.Remove(h.Path("session.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Write puts a file in place atomically with mode 0600, creating directories 0700.
func (h Home) Write(name string, data []byte) error {
	if err := durable.MakeDir(filepath.Dir(h.Path(name))); err != nil {
		return fmt.Errorf("create %s: %w", filepath.Dir(h.Path(name)), err)
	}
	return durable.Write(h.Path(name), data)
}

func (h Home) writeJSON(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return h.Write(name, append(data, '\n'))
}

func (h Home) read(name string, v any) error {
	data, err := durable.Read(h.Path(name), MaxFile)
	if err != nil {
		return err
	}
	if err := strictJSON(data, v); err != nil {
		return session.Errorf(session.Invalid, "%s cannot be read: %w", h.Path(name), err).WithNext("Correct the file, or remove it and sign in again.")
	}
	return nil
}

// strictJSON refuses unknown names and trailing data.
func strictJSON(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is more than one JSON value in it")
	}
	return nil
}
