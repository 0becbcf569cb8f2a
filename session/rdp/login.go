package rdp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"image"
	"net"
	"unicode/utf16"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/rdp/nla"
	"github.com/sallyport/sallyport/session/rdp/oldtls"
	"github.com/sallyport/sallyport/session/screen"
)

// Of the security negotiation (MS-RDPBCGR 2.2.1.1.1).
const (
	protocolTLS = 1
	protocolNLA = 2
)

// complete fills in what is not said, and refuses what cannot be.
func (cfg *Config) complete() error {
	if cfg.Size == (image.Point{}) {
		cfg.Size = image.Pt(1280, 800)
	}
	if cfg.Keyboard == 0 {
		cfg.Keyboard = 0x409
	}
	if cfg.depth == 0 {
		cfg.depth = 32
	}
	if name := []rune(cfg.Name); len(name) > maxName {
		cfg.Name = string(name[:maxName])
	}
	for _, s := range []string{cfg.Login.User, cfg.Login.Domain, cfg.Login.Password} {
		if len(utf16.Encode([]rune(s))) > maxLogin {
			return session.Errorf(session.Invalid, "A console's user, domain and password have at most %d characters each.", maxLogin).
				WithNext("Shorten what the agent's configuration has.")
		}
	}
	if cfg.TLS.Pin == nil && cfg.TLS.First == nil {
		return session.Errorf(session.Refused, "No certificate of the console is known.").WithNext("Give the service a pin.")
	}
	return screen.Fits(cfg.Size.X, cfg.Size.Y)
}

// login is everything from the first byte until who is who is proven.
func (c *Client) login(ctx context.Context) (selected uint32, err error) {
	if selected, err = c.negotiate(); err != nil {
		return 0, err
	}
	state, err := c.encrypt(ctx)
	if err != nil || selected != protocolNLA {
		return selected, err
	}
	l := nla.Login{User: c.cfg.Login.User, Domain: c.cfg.Login.Domain, Password: c.cfg.Login.Password}
	return selected, nla.Prove(stream{c}, c.host(), state.PeerCertificates[0], l)
}

// negotiate agrees on TLS, with CredSSP in it where the console can.
func (c *Client) negotiate() (selected uint32, err error) {
	asked := uint32(protocolTLS)
	if c.cfg.Login.User != "" {
		asked |= protocolNLA
	}
	b := le32([]byte{14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0}, asked)
	if err := c.send(tpkt(b)); err != nil {
		return 0, err
	}
	b, fast, err := c.packet()
	if err != nil {
		return 0, err
	}
	f := fields{b: b}
	f.u8()
	if code := f.u8(); fast || code&0xf0 != 0xd0 {
		return 0, ErrWire
	}
	f.take(5)
	if len(f.b) == 0 {
		return 0, tooOld()
	}
	kind := f.u8()
	f.take(3)
	value := f.u32()
	switch {
	case f.bad:
		return 0, ErrWire
	case kind == 3:
		return 0, unable(value)
	case kind == 2 && value == 0:
		return 0, tooOld()
	case kind == 2 && (value == protocolTLS || value == protocolNLA) && value&asked != 0:
		return value, nil
	}
	return 0, ErrWire
}

func tooOld() error {
	return session.Errorf(session.Refused, "The console speaks RDP without TLS, and that keeps no password secret.").
		WithNext("Set its security layer to TLS (SSL) or to network level authentication.")
}

// unable says why a console agrees on nothing (MS-RDPBCGR 2.2.1.2.2).
func unable(code uint32) error {
	says := func(message, next string) error { return session.Errorf(session.Refused, "%s", message).WithNext(next) }
	switch code {
	case 2:
		return tooOld()
	case 3:
		return says("The console has no certificate, so it cannot do TLS.", "Give its remote desktop service a certificate.")
	case 5:
		return says("The console asks for network level authentication.", "Give its login user and password.")
	case 1, 6:
		return says("The console asks for a kind of TLS that Sallyport does not know.", "Set its security layer to TLS (SSL) or to network level authentication.")
	}
	return session.Errorf(session.Refused, "The console refused the connection (negotiation failure %d).", code).WithNext("Look at its remote desktop settings.")
}

// encrypt goes on over TLS with the certificate that is known, and no other.
func (c *Client) encrypt(ctx context.Context) (tls.ConnectionState, error) {
	cfg := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // the pin says more than a name
		VerifyConnection:   c.cfg.TLS.verify,
	}
	if c.cfg.TLS.Legacy {
		oldtls.Allow(cfg)
	}
	if c.in.Buffered() > 0 {
		return tls.ConnectionState{}, ErrWire
	}
	t := tls.Client(c.via.now(), cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		var said *session.Error
		if errors.As(err, &said) {
			return tls.ConnectionState{}, said
		}
		next := "Look at the console's TLS settings; one that knows no TLS 1.2 needs legacy_tls in the agent's configuration."
		if c.cfg.TLS.Legacy {
			next = "Look at the console's TLS settings."
		}
		return tls.ConnectionState{}, session.Errorf(session.Refused, "The console and Sallyport agree on no TLS: %w", err).WithNext(next)
	}
	c.use(t)
	c.old = oldtls.Used(t.ConnectionState())
	return t.ConnectionState(), nil
}

func (t TLS) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return ErrWire
	}
	got := sha256.Sum256(s.PeerCertificates[0].Raw)
	if t.Pin == nil {
		return t.First(got)
	}
	if subtle.ConstantTimeCompare(got[:], t.Pin[:]) != 1 {
		return session.Errorf(session.Refused, "The console's certificate is not the pinned one: it is sha256:%x.", got).
			WithNext("Ask who serves the console whether it was renewed, and only then write the new pin.")
	}
	return nil
}

// Legacy says in words what of its TLS is of the past, or nothing.
func (c *Client) Legacy() string { return c.old }

// Of Client Info (MS-RDPBCGR 2.2.1.11.1.1): mouse, no Ctrl+Alt+Del, log on by itself, UTF-16,
// a maximised shell, the Windows key, log-on errors, a wheel, and no sound.
const infoFlags = 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x100 | 0x10000 | 0x20000 | 0x80000

// performance leaves out wallpaper, animations, shadows and blinking.
const performance = 0x1 | 0x2 | 0x4 | 0x20 | 0x40

// info is Client Info. Where CredSSP has proven the login, the password is not sent again.
func (c *Client) info(selected uint32) []byte {
	l := c.cfg.Login
	if selected == protocolNLA {
		l.Password = ""
	}
	flags := uint32(infoFlags)
	if l.User == "" {
		flags &^= 0x8
	}
	b := le32([]byte{0x40, 0, 0, 0}, 0, flags)
	texts := [][]byte{wide(l.Domain), wide(l.User), wide(l.Password), nil, nil}
	for _, t := range texts {
		b = le16(b, len(t))
	}
	for _, t := range texts {
		b = append(append(b, t...), 0, 0)
	}
	b = le16(b, 2) // an address of IPv4, and a directory; where this client stands is not told
	for _, t := range []string{"0.0.0.0", "C:\\"} {
		b = append(le16(b, 2*len(t)+2), wide(t+"\x00")...)
	}
	b = append(b, make([]byte, 172+4)...) // time zone, session
	b = le32(b, performance)
	if c.cookie == nil {
		return le16(b, 0, 0)
	}
	return le16(append(le16(b, cookieSize), c.cookie.proof()...), 0)
}

// stream is the connection, read through its buffer.
type stream struct{ c *Client }

func (s stream) Read(p []byte) (int, error)  { return s.c.in.Read(p) }
func (s stream) Write(p []byte) (int, error) { return len(p), s.c.send(p) }

// host is the console's address, as this client knows it.
func (c *Client) host() string {
	host, _, err := net.SplitHostPort(c.via.now().RemoteAddr().String())
	if err != nil {
		return "console"
	}
	return host
}
