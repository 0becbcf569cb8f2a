package device

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

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
	// HostKey pins an ssh device: "SHA256:..." as ssh-keygen -l prints it, or the whole
	// key line "ssh-ed25519 AAAA...". Mandatory there.
	HostKey string `yaml:"host_key"`
	// Legacy also offers the algorithms of devices that know nothing newer: SHA-1
	// key exchange and signatures, CBC ciphers.
	Legacy bool `yaml:"legacy,omitempty"`
	// Environment names the variables that an engineer's client may set on the device;
	// nil for those that only say how text is written.
	Environment Environment `yaml:"environment,omitempty"`
	// Timeout bounds dial and login together; default 10 s.
	Timeout time.Duration `yaml:"timeout,omitempty"`
	Console Console       `yaml:"-"`
}

// Login is how the agent signs in. To ssh: as User, by key, by password (also where the
// device asks for it by keyboard-interactive), or by both. To a console: with nothing, by
// password alone, or as User; by RDP always as User.
type Login struct {
	User       string           `yaml:"user"`
	Domain     string           `yaml:"domain,omitempty"` // of User, at a console that speaks RDP
	Password   secret.Reference `yaml:"password,omitempty"`
	Key        secret.Reference `yaml:"key,omitempty"`        // OpenSSH or PEM private key
	Passphrase secret.Reference `yaml:"passphrase,omitempty"` // of Key
}

// Check reports what is wrong with a target, for the configuration's reader.
func (t Target) Check() error {
	switch {
	case !session.ValidName(t.Asset) || !session.ValidName(t.Service) || !session.ValidName(t.Endpoint):
		return t.bad("asset, endpoint and service need valid names", "Use letters, digits and inner hyphens.")
	case t.kind().check == nil:
		return t.bad("the protocol is not known", fmt.Sprintf("Write one of %v.", session.Protocols()))
	case t.Address == "" || strings.ContainsAny(t.Address, " \t/[]@"):
		return t.bad("the address is not a host name or IP address", "Write address: 10.0.0.5, and the port as port.")
	case t.Port < 1 || t.Port > 65535:
		return t.bad("the port is not between 1 and 65535", "Write port: 22.")
	case t.Timeout < 0 || t.Timeout > maxDialTime:
		return t.bad("the timeout is not between 0 and 1 minute", "Leave it out for 10 s.")
	case t.Protocol != session.RDP && (t.Login.Domain != "" || t.Console.Keyboard != "" || t.Console.OldTLS):
		return t.bad("domain, keyboard and legacy_tls are for consoles that speak RDP", "Leave them out.")
	}
	return t.kind().check(t)
}

func (t Target) timeout() time.Duration {
	if t.Timeout > 0 {
		return t.Timeout
	}
	return dialTime
}

// bad says what is wrong with a target, and what to write instead.
func (t Target) bad(message, next string) error {
	return session.Errorf(session.Invalid, "%s/%s: %s", t.Asset, t.Service, message).WithNext(next)
}

func (t Target) hostPort() string { return net.JoinHostPort(t.Address, strconv.Itoa(t.Port)) }

// kind is what this room knows of a protocol: what it asks of a target, and how a target
// is tried whose port answers. Its dialing stands beside it, by its name.
type kind struct {
	protocol session.Protocol
	check    func(Target) error
	try      func(t Target, ctx context.Context, login bool) Checked
}

func kinds() []kind {
	return []kind{
		{session.SSH, Target.checkSSH, Target.trySSH},
		{session.VNC, Target.checkVNC, Target.tryVNC},
		{session.RDP, Target.checkRDP, Target.tryRDP},
	}
}

// kind is the target's; zero where no device of that protocol is reached.
func (t Target) kind() kind {
	for _, k := range kinds() {
		if k.protocol == t.Protocol {
			return k
		}
	}
	return kind{}
}
