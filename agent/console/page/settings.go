package page

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
	"github.com/sallyport/sallyport/session/passkey"
	"github.com/sallyport/sallyport/session/secret"
)

// Settings are what the hospital says of the page. Without Listen there is none.
type Settings struct {
	Listen string   `yaml:"listen,omitempty"` // an address of the hospital's own network, with its port
	Names  []string `yaml:"names,omitempty"`  // host names by which it is called, too
	// Host is the name to which browsers bind passkeys that people register on the page, such
	// as console.northfield.example; without it there are none. Passkeys of another name are void.
	Host     string   `yaml:"host,omitempty"`
	Networks []string `yaml:"networks,omitempty"` // from which it is answered; left out: its own, /24 or /64
	TLS      TLS      `yaml:"tls,omitempty"`
	// PIN leads to what `sallyport-agent pin` made of the PIN. Without it nobody signs in:
	// the page shows that somebody is connected, freezes and stops.
	PIN secret.Reference `yaml:"pin,omitempty"`
	// SignIn is how people sign in here by name, who then may approve. Without it nobody does.
	SignIn SignIn `yaml:"sign_in,omitempty"`
}

// SignIn is a sign-in by the hospital's identity provider. The redirect URI that has to be
// registered there is the page's URL with /cb.
type SignIn struct {
	Client string           `yaml:"client,omitempty"` // id of a client of the class console, of one of the issuers
	Issuer string           `yaml:"issuer,omitempty"` // whose it is; left out: of the hospital's only one
	Secret secret.Reference `yaml:"secret,omitempty"` // of the client, where the provider wants one
	// Operators is a group whose people may do here what the PIN lets people do. Approvers may.
	Operators string `yaml:"operators,omitempty"`
}

// TLS is the page's certificate. Left out, the agent makes its own at the first start.
type TLS struct {
	Certificate string           `yaml:"certificate,omitempty"` // PEM, with its chain
	Key         secret.Reference `yaml:"key,omitempty"`         // PEM
}

// inHouse are the ranges that no router of the Internet carries.
func inHouse() (all []netip.Prefix) {
	for _, p := range []string{
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128"} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func own(p netip.Prefix) bool {
	for _, in := range inHouse() {
		if in.Bits() <= p.Bits() && in.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// Check reports what cannot be used, as *session.BadField below at.
func (s Settings) Check(at string) error {
	if s.Listen == "" {
		if len(s.Names)+len(s.Networks) > 0 || s.Host != "" || s.TLS != (TLS{}) || !s.PIN.IsZero() || s.SignIn != (SignIn{}) {
			return &session.BadField{Path: at + ".listen", Problem: "a page needs an address of the hospital's own network to listen at"}
		}
		return nil
	}
	var bad []error
	refuse := func(path string, ok bool, problem string) {
		if !ok {
			bad = append(bad, &session.BadField{Path: at + path, Problem: problem})
		}
	}
	addr, err := s.address()
	refuse(".listen", err == nil, "an address and a port of this machine, such as 10.40.1.5:8443; no name")
	refuse(".listen", err != nil || own(netip.PrefixFrom(addr.Addr(), addr.Addr().BitLen())),
		"the page is for the hospital's own network: 10., 172.16. to 172.31., 192.168., fd.. or loopback, never every address and never a public one")
	refuse(".names", len(s.Names) <= maxNames, fmt.Sprintf("at most %d names", maxNames))
	for i, n := range s.Names {
		refuse(fmt.Sprintf(".names[%d]", i), hostName(n), "a host name in lower case, such as console.northfield.example")
	}
	refuse(".host", s.Host == "" || hostName(s.Host), "a host name in lower case, such as console.northfield.example; browsers bind passkeys to names, never to an address such as 10.40.1.5")
	refuse(".networks", len(s.Networks) <= maxNetworks, fmt.Sprintf("at most %d networks", maxNetworks))
	for i, n := range s.Networks {
		p, err := netip.ParsePrefix(n)
		refuse(fmt.Sprintf(".networks[%d]", i), err == nil && p == p.Masked() && own(p), `a network of the hospital's own, such as "10.40.0.0/16"`)
	}
	refuse(".tls", (s.TLS.Certificate == "") == s.TLS.Key.IsZero(), "certificate and key go together")
	refuse(".sign_in.client", s.SignIn.Client != "" || s.SignIn == (SignIn{}), "the id of the page's client at the hospital's identity provider")
	return errors.Join(bad...)
}

// Redirect is where the identity provider sends people back to.
func (s Settings) Redirect() string { return s.URL() + redirectPath }

const redirectPath = "/cb"

func (s Settings) address() (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(s.Listen)
	if err == nil && (addr.Addr().Zone() != "" || addr.Addr().Is4In6()) {
		err = errors.New("a plain address is needed")
	}
	return addr, err
}

// hostName reports whether s can stand in a certificate and in an address.
func hostName(s string) bool {
	if len(s) > session.MaxHost || net.ParseIP(s) != nil {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if !session.ValidName(label) || strings.ToLower(label) != label {
			return false
		}
	}
	return true
}

// networks are those from which the page is answered.
func (s Settings) networks() []netip.Prefix {
	var all []netip.Prefix
	for _, n := range s.Networks {
		if p, err := netip.ParsePrefix(n); err == nil {
			all = append(all, p)
		}
	}
	if addr, err := s.address(); err == nil && len(all) == 0 {
		all = append(all, lobby.NetworkOf(addr.Addr().String()))
	}
	return all
}

// hosts are the names under which the page is known, its address first.
func (s Settings) hosts() []string {
	addr, err := s.address()
	if err != nil {
		return nil
	}
	hosts := []string{addr.Addr().String()}
	if s.Host != "" {
		hosts = append(hosts, s.Host)
	}
	for _, n := range s.Names {
		if n != s.Host {
			hosts = append(hosts, n)
		}
	}
	return hosts
}

// URL is where people find the page; empty where there is none.
func (s Settings) URL() string {
	addr, err := s.address()
	if err != nil {
		return ""
	}
	hosts := s.hosts()
	host := hosts[0]
	if len(hosts) > 1 {
		host = hosts[1]
	}
	return "https://" + at(host, addr.Port())
}

// Passkeys is the page as passkeys know it; an error where it has no host name.
func (s Settings) Passkeys() (passkey.Page, error) {
	addr, err := s.address()
	if err != nil {
		return passkey.Page{}, err
	}
	return passkey.At("https://" + at(s.Host, addr.Port()))
}

// at is a host with a port as browsers write them.
func at(host string, port uint16) string {
	if port == 443 && !strings.Contains(host, ":") {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// Ready reports a PIN that is configured and cannot be used.
func (s Settings) Ready() error {
	if s.PIN.IsZero() {
		return nil
	}
	if unknown, err := s.PIN.Try(); err != nil || unknown {
		return err
	}
	_, err := s.hash()
	return err
}

// right reports whether that is the PIN. What was kept of it is read each time.
func (s Settings) right(pin string) (bool, error) {
	h, err := s.hash()
	return err == nil && h.is(pin), err
}

func (s Settings) hash() (hash, error) {
	if s.PIN.IsZero() {
		return hash{}, session.Errorf(session.Refused, "Nobody can sign in here: no PIN is configured.")
	}
	line, err := s.PIN.Line()
	if err != nil {
		return hash{}, err
	}
	return parseHash(line)
}
