package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/secret"
)

// Direct is the URL of a Config that uses no proxy, whatever the environment says.
const Direct = "direct"

// Config is a proxy as a configuration has it. Without a URL the environment counts:
// HTTPS_PROXY and NO_PROXY.
type Config struct {
	URL      string           `yaml:"url" json:"url"`                              // "http://proxy.example.org:3128", "https://...", or "direct"
	User     string           `yaml:"user,omitempty" json:"user,omitempty"`        // for Basic authentication
	Password secret.Reference `yaml:"password,omitempty" json:"password,omitzero"` // read at each connection
	CA       string           `yaml:"ca,omitempty" json:"ca,omitempty"`            // file of the authorities of an https proxy; default: the system's
	Except   []string         `yaml:"except,omitempty" json:"except,omitempty"`    // reached directly: "idp.example.org", ".example.org", "10.0.0.0/8"
}

// Check reports what of a configuration cannot be used; path begins the names of its fields.
func (c Config) Check(path string) error {
	var errs []error
	bad := func(field, problem string) {
		errs = append(errs, &session.BadField{Path: path + field, Problem: problem})
	}
	if c.URL != "" && c.URL != Direct {
		if _, err := parse(c.URL); err != nil {
			bad(".url", err.Error())
		}
	}
	if u, err := url.Parse(c.URL); err == nil && u.User != nil {
		bad(".url", "user and password have fields of their own, and the password is a reference")
	}
	if (c.User == "") != c.Password.IsZero() {
		bad(".password", "user and password go together")
	}
	if strings.ContainsAny(c.User, ":\r\n") {
		bad(".user", "a user's name has no colon")
	}
	if c.URL == "" && (c.User != "" || c.CA != "" || len(c.Except) > 0) {
		bad(".url", "without it the environment counts, and the other fields do not")
	}
	return errors.Join(errs...)
}

// Dialer reaches addresses through a proxy, or directly where that is right. The nil
// Dialer dials directly. Safe for concurrent use.
type Dialer struct {
	at       *url.URL // nil: no proxy
	user     string
	password func() (string, error) // nil: none
	roots    *x509.CertPool
	except   []string
	byEnv    bool // loopback is reached directly, as every program does it
}

// New is the dialer of a configuration.
func New(c Config) (*Dialer, error) {
	switch c.URL {
	case Direct:
		return nil, nil
	case "":
		return Environment()
	}
	at, err := parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("the proxy's URL: %w", err)
	}
	d := &Dialer{at: at, user: c.User, except: c.Except}
	if !c.Password.IsZero() {
		d.password = c.Password.Line
	}
	if c.CA != "" {
		text, err := durable.Read(c.CA, maxAnswer)
		if err != nil {
			return nil, &session.Error{Kind: session.Invalid, Message: "The proxy's authorities cannot be read", Next: "Name a PEM file as proxy.ca that whoever runs this can read.", Err: err}
		}
		if d.roots = x509.NewCertPool(); !d.roots.AppendCertsFromPEM(text) {
			return nil, session.Errorf(session.Invalid, "%s holds no certificate", c.CA).WithNext("proxy.ca names a PEM file with the authorities of the proxy's certificate.")
		}
	}
	return d, nil
}

// Environment is the dialer of HTTPS_PROXY and NO_PROXY, in either case.
func Environment() (*Dialer, error) {
	text := cmp.Or(os.Getenv("HTTPS_PROXY"), os.Getenv("https_proxy"))
	if text == "" {
		return nil, nil
	}
	at, err := parse(text)
	if err != nil { // the text may hold a password
		return nil, session.Errorf(session.Invalid, "HTTPS_PROXY cannot be used: %s", err).WithNext("Write HTTPS_PROXY=http://proxy.example.org:3128.")
	}
	d := &Dialer{at: at, byEnv: true, except: strings.FieldsFunc(cmp.Or(os.Getenv("NO_PROXY"), os.Getenv("no_proxy")), func(r rune) bool { return r == ',' || r == ' ' })}
	if at.User != nil {
		word, _ := at.User.Password()
		d.user, d.password, at.User = at.User.Username(), func() (string, error) { return word, nil }, nil
	}
	return d, nil
}

// parse reads a proxy's URL. Its errors do not repeat it.
func parse(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("a proxy looks like http://proxy.example.org:3128 or https://proxy.example.org:3129")
	}
	return u, nil
}

// Address is the host:port of the proxy through which an address is reached; "": directly.
func (d *Dialer) Address(of string) string {
	if d == nil || d.spared(of) {
		return ""
	}
	port := d.at.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[d.at.Scheme]
	}
	return net.JoinHostPort(d.at.Hostname(), port)
}

// spared reports whether an address is reached directly.
func (d *Dialer) spared(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if d.byEnv && session.Loopback(host) {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ip := net.ParseIP(host)
	for _, e := range d.except {
		if only, p, err := net.SplitHostPort(e); err == nil {
			if p != port {
				continue
			}
			e = only
		}
		e = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(e, "*"), "."))
		_, block, err := net.ParseCIDR(e)
		switch {
		case e == "": // "*"
			return true
		case err == nil && ip != nil && block.Contains(ip):
			return true
		case ip != nil && ip.Equal(net.ParseIP(e)):
			return true
		case ip == nil && (host == e || strings.HasSuffix(host, "."+e)):
			return true
		}
	}
	return false
}

// Dial reaches host:port. An error that the proxy is the reason of is a *session.Error.
func (d *Dialer) Dial(ctx context.Context, address string) (net.Conn, error) {
	at := d.Address(address)
	if at == "" {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, unreached(at, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	tunnel, err := d.open(ctx, conn, at, address)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			return nil, silent(at, ctx.Err())
		}
		return nil, err
	}
	return tunnel, nil
}

// DialContext is Dial as the standard library wants it.
func (d *Dialer) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	return d.Dial(ctx, address)
}

// open makes the tunnel on a connection to the proxy.
func (d *Dialer) open(ctx context.Context, conn net.Conn, at, address string) (net.Conn, error) {
	if d.at.Scheme == "https" {
		secure := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: d.at.Hostname(), RootCAs: d.roots})
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, unproved(at, err)
		}
		conn = secure
	}
	return d.connect(conn, at, address)
}
