package broker

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/proxy"
	"github.com/sallyport/sallyport/session/secret"
)

// Config is everything a broker node is told.
type Config struct {
	Node   string `yaml:"node"`   // this node's name, as agents' configurations know it
	URL    string `yaml:"url"`    // where people reach it: "https://broker.example.org"
	Listen string `yaml:"listen"` // web and link share this one port
	SSH    SSH    `yaml:"ssh"`
	TLS    TLS    `yaml:"tls"`
	State  string `yaml:"state"` // the link's CA, host keys; 0700
	Vault  string `yaml:"vault"` // directory of recordings; default STATE/vault
	// VaultShares are how many percent of the vault's disk a site may fill, by site; "*" is
	// every other one, 50 where nothing is said.
	VaultShares map[string]int `yaml:"vault_shares,omitempty"`
	Redis       Redis          `yaml:"redis"`
	// Proxy is the forward proxy on the way to the identity providers.
	Proxy proxy.Config `yaml:"proxy,omitempty"`
	// Issuers are the identity providers whose people may sign in, and the sites
	// they have to do with. The agents pin their own; this list opens no device.
	Issuers []Issuer `yaml:"issuers"`
	// Web is how long people stay signed in by browser.
	Web Web `yaml:"web"`
	// Demo lets anybody be one of some people with one click. Only on loopback, and
	// only beside a store that forgets.
	Demo *Demo `yaml:"demo,omitempty"`
	// Notify tells people by e-mail; without it nobody is written to.
	Notify *Notify `yaml:"notify,omitempty"`
}

// Web bounds sign-ins by browser. Durations look like "15m" or "8h".
type Web struct {
	Idle     string `yaml:"idle"`     // without a call; default 15m
	Absolute string `yaml:"absolute"` // at most; default 8h
}

// Demo is what only a demonstration has.
type Demo struct {
	Personas []Persona `yaml:"personas"`
}

// Persona is somebody whom anybody may be.
type Persona struct {
	Key   string       `yaml:"key"`
	Name  string       `yaml:"name"`
	Email string       `yaml:"email"` // as one of the issuers knows them
	Title string       `yaml:"title"`
	Role  session.Role `yaml:"role"`
}

// linkAddress is where agents dial this node: the web's host, and the port that it
// listens on where the URL has none of its own.
func (c *Config) linkAddress() string {
	if c.loopbackOnly() {
		return c.Listen
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return c.Listen
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// SSH is the jump host's door.
type SSH struct {
	Listen  string `yaml:"listen"`
	Address string `yaml:"address"` // host:port that engineers' clients dial; default: listen
}

// TLS names the web's certificate files. Both empty is allowed on loopback only:
// the link has its own certificate from the broker's CA in any case.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// Redis is the broker's only store.
type Redis struct {
	URL string `yaml:"url"` // redis://host:6379/0, rediss://, unix:///path
	// User and Password are of the server's ACL.
	User     string           `yaml:"user,omitempty"`
	Password secret.Reference `yaml:"password,omitempty"`
	// Ephemeral accepts a server that forgets at its restart. For demonstrations.
	Ephemeral bool `yaml:"ephemeral"`
	// Everysec accepts a server that syncs once a second, or does not say how often: a
	// power cut takes its last second.
	Everysec bool `yaml:"everysec,omitempty"`
}

// Issuer is an identity provider and the sites its people have to do with.
type Issuer struct {
	session.Issuer `yaml:",inline"`
	Sites          []string `yaml:"sites"`
	// Secret is the web client's, where the issuer wants one beside PKCE: file:/path,
	// env:NAME or credential:NAME. It is the broker's alone.
	Secret secret.Reference `yaml:"client_secret,omitempty"`
}

// pinned are the issuers without their sites.
func (c *Config) pinned() []session.Issuer {
	all := make([]session.Issuer, 0, len(c.Issuers))
	for _, iss := range c.Issuers {
		all = append(all, iss.Issuer)
	}
	return all
}

// signIns are the issuers as people sign in there.
func (c *Config) signIns(ways providers) []identity.Issuer {
	all := make([]identity.Issuer, 0, len(c.Issuers))
	for _, iss := range c.Issuers {
		all = append(all, identity.Issuer{Issuer: iss.Issuer, Sites: iss.Sites, Secret: iss.Secret, Client: idtoken.Client(iss.Issuer, ways.options(iss))})
	}
	return all
}

// serves reports whether the people of an issuer may know of a site.
func (c *Config) serves(issuer, site string) bool {
	return slices.ContainsFunc(c.Issuers, func(i Issuer) bool {
		return i.URL == issuer && (slices.Contains(i.Sites, site) || slices.Contains(i.Sites, identity.AnySite))
	})
}

// Directory is where the broker keeps its state.
func (c *Config) Directory() string { return c.State }

// Validate reports every value that cannot be used, as *session.BadField.
func (c *Config) Validate() error {
	var errs []error
	require := func(path string, ok bool, problem string) {
		if !ok {
			errs = append(errs, &session.BadField{Path: path, Problem: problem})
		}
	}
	require("$.node", session.ValidName(c.Node), "a name has 1 to 64 letters, digits and inner hyphens")
	require("$.state", c.State != "", "the broker needs a directory for its CA and host keys")
	require("$.redis.url", c.Redis.URL != "", "the broker needs a Redis server, such as redis://127.0.0.1:6379/0")
	require("$.redis.url", !holdsPassword(c.Redis.URL), "the password is given by reference, as redis.user and redis.password")
	require("$.redis.password", (c.Redis.User == "") == c.Redis.Password.IsZero(), "user and password go together")
	if c.Vault == "" {
		c.Vault = filepath.Join(c.State, "vault")
	}
	for site, percent := range c.VaultShares {
		require("$.vault_shares", site == everyOther || session.ValidName(site), `a share is a site's, or "*" for every other one`)
		require("$.vault_shares."+site, percent >= 1 && percent <= 95, "a share is 1 to 95 percent of the vault's disk")
	}
	if c.SSH.Address == "" {
		c.SSH.Address = c.SSH.Listen
	}
	_, _, err := net.SplitHostPort(c.Listen)
	require("$.listen", err == nil, "an address to listen on looks like 0.0.0.0:443")
	_, _, err = net.SplitHostPort(c.SSH.Listen)
	require("$.ssh.listen", err == nil, "an address to listen on looks like 0.0.0.0:2222")
	_, _, err = net.SplitHostPort(c.SSH.Address)
	require("$.ssh.address", err == nil, "the address that engineers' clients dial looks like broker.example.org:2222 or [2001:db8::1]:2222")
	require("$.tls", (c.TLS.Certificate == "") == (c.TLS.Key == ""), "certificate and key go together")
	require("$.tls", c.TLS.Certificate != "" || c.loopbackOnly(), "without a certificate the broker serves loopback only")
	u, err := url.Parse(c.URL)
	require("$.url", err == nil && u.Host != "" && u.Path == "" && (u.Scheme == "https" || u.Scheme == "http" && session.Loopback(u.Hostname())),
		"the URL people use is https://host without a path (http on loopback only)")
	require("$.issuers", len(c.Issuers) > 0, "nobody can sign in without an issuer")
	for i, iss := range c.Issuers {
		path := fmt.Sprintf("$.issuers[%d]", i)
		u, err := url.Parse(iss.URL)
		ok := err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && iss.InsecureLoopback && session.Loopback(u.Hostname()))
		require(path+".issuer", ok, "an issuer is an https URL (http only on loopback, with insecure_loopback: true)")
		require(path+".side", iss.Side == session.VendorSide || iss.Side == session.HospitalSide, `a side is "vendor" or "hospital"`)
		require(path+".login", iss.Login != "", "the client id with which the command line signs people in is needed")
		if err := iss.Check(path); err != nil {
			errs = append(errs, err)
		}
		require(path+".sites", len(iss.Sites) > 0, "the sites these people have to do with are needed")
		// "broker" comes along when the agent's entry is copied: from here that is directly.
		require(path+".reach", slices.Contains([]string{"", "direct", "broker", reachAgent}, iss.Reach), `reach is "direct" or, at the broker, "agent"`)
		vouched := iss.Side == session.HospitalSide && len(iss.Sites) == 1 && iss.Sites[0] != identity.AnySite && iss.Keys == ""
		require(path+".reach", iss.Reach != reachAgent || vouched, "an agent speaks for a hospital's identity provider and one site only: its own")
	}
	for path, text := range map[string]string{"$.web.idle": c.Web.Idle, "$.web.absolute": c.Web.Absolute} {
		d, err := time.ParseDuration(cmp.Or(text, "15m"))
		require(path, err == nil && d >= time.Minute && d <= 24*time.Hour, `a duration from 1m to 24h, such as "15m"`)
	}
	if c.Demo != nil {
		require("$.demo", c.Redis.Ephemeral && c.loopbackOnly() && u != nil && session.Loopback(u.Hostname()),
			"personas are for demonstrations: on loopback only, and with redis.ephemeral: true")
		for i, p := range c.Demo.Personas {
			ok := session.ValidName(p.Key) && p.Email != "" && (p.Role == session.Engineer || p.Role == session.Approver || p.Role == session.Auditor)
			require(fmt.Sprintf("$.demo.personas[%d]", i), ok, "a persona has a key, an e-mail address and a role")
		}
	}
	if c.Notify != nil {
		c.Notify.validate(require)
	}
	if err := c.Proxy.Check("$.proxy"); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// holdsPassword reports whether a URL has a password inline, where everybody who may read
// the configuration reads it.
func holdsPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	_, inline := u.User.Password()
	return inline
}

// durations are the bounds of sign-ins by browser; 0 stands for the usual ones.
func (w Web) durations() (idle, absolute time.Duration) {
	idle, _ = time.ParseDuration(cmp.Or(w.Idle, "0"))
	absolute, _ = time.ParseDuration(cmp.Or(w.Absolute, "0"))
	return idle, absolute
}

func (c *Config) loopbackOnly() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	return err == nil && session.Loopback(host)
}
