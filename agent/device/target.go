package device

import (
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/secret"
)

// Target is one service of one asset as only the agent knows it.
type Target struct {
	Asset    string           `yaml:"asset"`
	Endpoint string           `yaml:"endpoint"`
	Service  string           `yaml:"service"`
	Address  string           `yaml:"address"` // host name or IP address, without port
	Port     int              `yaml:"port"`
	Protocol session.Protocol `yaml:"protocol"`
	Login    Login            `yaml:"login"`
	// HostKey pins the device: "SHA256:..." as ssh-keygen -l prints it, or the whole
	// key line "ssh-ed25519 AAAA...". Mandatory.
	HostKey string `yaml:"host_key"`
	// Legacy also offers the algorithms of devices that know nothing newer: SHA-1
	// key exchange and signatures, CBC ciphers.
	Legacy bool `yaml:"legacy,omitempty"`
	// Timeout bounds dial and login together; default 10 s.
	Timeout time.Duration `yaml:"timeout,omitempty"`
}

// Login is how the agent signs in: as User, by key, by password (also where the
// device asks for it by keyboard-interactive), or by both.
type Login struct {
	User       string           `yaml:"user"`
	Password   secret.Reference `yaml:"password,omitempty"`
	Key        secret.Reference `yaml:"key,omitempty"`        // OpenSSH or PEM private key
	Passphrase secret.Reference `yaml:"passphrase,omitempty"` // of Key
}

// Check reports what is wrong with a target, for the configuration's reader.
func (t Target) Check() error {
	bad := func(message, next string) error {
		return session.Errorf(session.Invalid, "%s/%s: %s", t.Asset, t.Service, message).WithNext(next)
	}
	switch {
	case !session.ValidName(t.Asset) || !session.ValidName(t.Service) || !session.ValidName(t.Endpoint):
		return bad("asset, endpoint and service need valid names", "Use letters, digits and inner hyphens.")
	case !t.Protocol.Known():
		return bad("the protocol is not known", fmt.Sprintf("Write one of %v.", session.Protocols()))
	case t.Address == "" || strings.ContainsAny(t.Address, " \t/[]@"):
		return bad("the address is not a host name or IP address", "Write address: 10.0.0.5, and the port as port.")
	case t.Port < 1 || t.Port > 65535:
		return bad("the port is not between 1 and 65535", "Write port: 22.")
	case t.Login.User == "" || strings.ContainsAny(t.Login.User, " \x00\r\n"):
		return bad("login needs a user", "Write login: {user: service, key: \"file:/path\"}.")
	case t.Login.Password.IsZero() && t.Login.Key.IsZero():
		return bad("login needs a password or a key", "Write password or key as file:/path, env:NAME or credential:NAME.")
	case t.Timeout < 0 || t.Timeout > time.Minute:
		return bad("the timeout is not between 0 and 1 minute", "Leave it out for 10 s.")
	}
	if _, err := parsePin(t.HostKey); err != nil {
		return bad(err.Error(), "Write host_key: \"SHA256:...\" as ssh-keygen -l -f prints it, or the whole public key line.")
	}
	return nil
}

func (t Target) timeout() time.Duration {
	if t.Timeout > 0 {
		return t.Timeout
	}
	return 10 * time.Second
}

// pin is a device's pinned host key: a whole key, or only its fingerprint.
type pin struct {
	fingerprint string
	kind        string // key type when the whole key is pinned
}

func parsePin(s string) (pin, error) {
	if digest, ok := strings.CutPrefix(s, "SHA256:"); ok {
		if b, err := base64.RawStdEncoding.Strict().DecodeString(digest); err == nil && len(b) == 32 {
			return pin{fingerprint: s}, nil
		}
		return pin{}, session.Errorf(session.Invalid, "host_key is not a SHA256 fingerprint")
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(s))
	if err != nil || len(options) > 0 || len(rest) > 0 {
		return pin{}, session.Errorf(session.Invalid, "host_key is missing or not a key")
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return pin{}, session.Errorf(session.Invalid, "host_key is a certificate, not a key")
	}
	return pin{fingerprint: ssh.FingerprintSHA256(key), kind: key.Type()}, nil
}

// hostPort joins address and port for the dialer.
func (t Target) hostPort(port string) string { return net.JoinHostPort(t.Address, port) }
