package vnc

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // MS-Logon II knows no other
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen/rfb"
	"github.com/sallyport/sallyport/session/wording"
)

// Login is how the agent signs in: with nothing, with a password alone (VNC), or as a user.
type Login struct {
	User, Password string
	// Pin is the SHA-256 of the console's certificate. With one, nothing is sent that is
	// not encrypted for it.
	Pin *[sha256.Size]byte
}

// Of VeNCrypt (rfbproto, VeNCrypt).
const (
	plain     = 256
	x509None  = 260
	x509VNC   = 261
	x509Plain = 262
)

// login is RFC 6143 section 7.1 and 7.2.
func (c *Client) login(ctx context.Context, l Login) error {
	minor, err := c.version()
	if err != nil {
		return err
	}
	kind, err := c.agree(minor, l)
	if err != nil {
		return err
	}
	if err := c.prove(ctx, kind, l); err != nil {
		return err
	}
	if kind == rfb.None && minor < 8 {
		return nil
	}
	return c.result(minor)
}

// version agrees on 3.3, 3.7 or 3.8. Servers of Apple's and RealVNC's numbers take 3.8.
func (c *Client) version() (minor int, err error) {
	var b [12]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return 0, fmt.Errorf("read the console's version: %w", err)
	}
	var major int
	if n, err := fmt.Sscanf(string(b[:]), "RFB %03d.%03d\n", &major, &minor); n != 2 || err != nil || major < 3 {
		return 0, rfb.ErrWire
	}
	switch {
	case major > 3 || minor >= 8:
		minor = 8
	case minor != 7:
		minor = 3
	}
	return minor, c.send(fmt.Appendf(nil, "RFB 003.%03d\n", minor))
}

// agree picks the security type: the strongest that the configuration can answer, and none
// that asks for less than it has. A server of 3.3 dictates it.
func (c *Client) agree(minor int, l Login) (byte, error) {
	if minor == 3 {
		kind, err := c.u32()
		switch {
		case err != nil:
			return 0, err
		case kind == rfb.Invalid:
			return 0, c.refusal()
		case kind > 255 || !slices.Contains(l.types(), byte(kind)):
			return 0, unable([]byte{byte(min(kind, 255))}, l)
		}
		return byte(kind), nil
	}
	n, err := c.in.ReadByte()
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, c.refusal()
	case n > maxSecurity:
		return 0, rfb.ErrWire
	}
	offered := make([]byte, n)
	if _, err := io.ReadFull(c.in, offered); err != nil {
		return 0, err
	}
	for _, kind := range l.types() {
		if slices.Contains(offered, kind) {
			return kind, c.send([]byte{kind})
		}
	}
	return 0, unable(offered, l)
}

// types are the security types that the login answers, the best first.
func (l Login) types() []byte {
	switch {
	case l.Pin != nil:
		return []byte{rfb.VeNCrypt}
	case l.User != "":
		return []byte{rfb.MSLogonII, rfb.VeNCrypt}
	case l.Password != "":
		return []byte{rfb.VNCAuth}
	}
	return []byte{rfb.None}
}

// unable says in words why none of the offered types will do.
func unable(offered []byte, l Login) error {
	has := func(kinds ...byte) bool {
		return slices.ContainsFunc(kinds, func(k byte) bool { return slices.Contains(offered, k) })
	}
	says := func(message, next string) error { return session.Errorf(session.Refused, "%s", message).WithNext(next) }
	switch {
	case l.Pin != nil:
		return says("The console does not offer VNC over TLS with a certificate.", "Turn VeNCrypt with X509 on at the console, or leave the pin out where its network is trusted.")
	case l.User != "":
		return says("The console asks for no user name.", "Leave the user out of its login, or turn MS-Logon II on at the console.")
	case has(rfb.VNCAuth):
		return says("The console asks for a password.", "Give its login a password.")
	case has(rfb.None):
		return says("The console lets everybody in: it asks for no password, and it was to have one.", "Set a password at the console, or leave the login out.")
	case has(rfb.MSLogonII):
		return says("The console asks for a Windows user (MS-Logon II).", "Give its login user and password.")
	case has(rfb.Apple, 31, 32, rfb.AppleKey, 34, 35, rfb.AppleSRP):
		return says("The console is Apple's Screen Sharing, and asks for an account of that Mac.", "In its Sharing settings, let VNC viewers control the screen with a password.")
	case has(rfb.RA2, rfb.RA2Plain, 13, 129, 130, 131, 132, 133, 134):
		return says("The console is RealVNC's, and asks for RealVNC's own encryption.", "At the console, set authentication to VNC password and encryption to prefer off.")
	case has(rfb.VeNCrypt):
		return says("The console asks for VNC over TLS.", "Give its login the pin of the console's certificate.")
	}
	return session.Errorf(session.Refused, "The console asks for a login that Sallyport does not know (types %v).", offered).
		WithNext("Set it to a VNC password, MS-Logon II or VeNCrypt.")
}

// prove carries a security type out.
func (c *Client) prove(ctx context.Context, kind byte, l Login) error {
	switch kind {
	case rfb.VNCAuth:
		return c.answer(l.Password)
	case rfb.MSLogonII:
		return c.msLogon(l)
	case rfb.VeNCrypt:
		return c.venCrypt(ctx, l)
	}
	return nil
}

func (c *Client) answer(password string) error {
	var challenge [rfb.ChallengeSize]byte
	if _, err := io.ReadFull(c.in, challenge[:]); err != nil {
		return err
	}
	answer := rfb.Answer(challenge, password)
	return c.send(answer[:])
}

// msLogon is UltraVNC's MS-Logon II: a Diffie-Hellman of 64 bits, which keeps nobody out
// who listens, and then user and password under DES. It is what such consoles have.
func (c *Client) msLogon(l Login) error {
	if len(l.User) > 255 || len(l.Password) > 63 {
		return session.Errorf(session.Invalid, "MS-Logon takes a user of 255 bytes and a password of 63.").WithNext("Shorten them at the console.")
	}
	var b [24]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return err
	}
	generator, modulus, theirs := new(big.Int).SetBytes(b[:8]), new(big.Int).SetBytes(b[8:16]), new(big.Int).SetBytes(b[16:])
	if modulus.BitLen() < 8 {
		return rfb.ErrWire
	}
	mine, err := rand.Int(rand.Reader, modulus)
	if err != nil {
		return err
	}
	key := new(big.Int).Exp(theirs, mine, modulus).FillBytes(make([]byte, 8))
	out := new(big.Int).Exp(generator, mine, modulus).FillBytes(make([]byte, 8))
	for _, field := range [][]byte{padded(l.User, 256), padded(l.Password, 64)} {
		block, err := des.NewCipher(rfb.Turned(string(key)))
		if err != nil {
			return err
		}
		cipher.NewCBCEncrypter(block, key).CryptBlocks(field, field)
		out = append(out, field...)
	}
	return c.send(out)
}

func padded(s string, n int) []byte {
	b := make([]byte, n)
	copy(b, s)
	return b
}

// venCrypt is VeNCrypt 0.2: with a pin over TLS, without one user and password as they are.
func (c *Client) venCrypt(ctx context.Context, l Login) error {
	if _, err := io.ReadFull(c.in, make([]byte, 2)); err != nil {
		return err
	}
	if err := c.send([]byte{0, 2}); err != nil {
		return err
	}
	var b [2]byte // whether 0.2 will do, and how many subtypes there are
	if _, err := io.ReadFull(c.in, b[:]); err != nil || b[0] != 0 || b[1] > maxSecurity {
		return orWire(err)
	}
	var offered []uint32
	for range b[1] {
		kind, err := c.u32()
		if err != nil {
			return err
		}
		offered = append(offered, kind)
	}
	wanted := l.subtype()
	if !slices.Contains(offered, wanted) {
		return session.Errorf(session.Refused, "The console's VeNCrypt does not offer what its login needs (it offers %v, and %d is needed).", offered, wanted).
			WithNext("Turn it on at the console: 260 is X509None, 261 X509Vnc, 262 X509Plain, 256 Plain.")
	}
	if err := c.send(binary.BigEndian.AppendUint32(nil, wanted)); err != nil {
		return err
	}
	if wanted != plain {
		if ok, err := c.in.ReadByte(); err != nil || ok != 1 {
			return orWire(err)
		}
		if err := c.encrypt(ctx, *l.Pin); err != nil {
			return err
		}
	}
	switch wanted {
	case x509VNC:
		return c.answer(l.Password)
	case plain, x509Plain:
		out := binary.BigEndian.AppendUint32(nil, uint32(len(l.User)))
		out = binary.BigEndian.AppendUint32(out, uint32(len(l.Password)))
		return c.send(append(append(out, l.User...), l.Password...))
	}
	return nil
}

func (l Login) subtype() uint32 {
	switch {
	case l.Pin == nil:
		return plain
	case l.User != "":
		return x509Plain
	case l.Password != "":
		return x509VNC
	}
	return x509None
}

// encrypt goes on over TLS with the certificate that is pinned, and no other.
func (c *Client) encrypt(ctx context.Context, pin [sha256.Size]byte) error {
	t := tls.Client(buffered{c.conn, c.in}, &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // the pin says more than a name
		VerifyConnection: func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return errors.New("the console shows no certificate")
			}
			got := sha256.Sum256(cs.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare(got[:], pin[:]) != 1 {
				return session.Errorf(session.Refused, "The console's certificate is not the pinned one: it is sha256:%x.", got).
					WithNext("Ask who serves the console whether it was renewed, and only then write the new pin.")
			}
			return nil
		},
	})
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS with the console: %w", err)
	}
	c.use(t)
	return nil
}

// result is what the console says of the login (RFC 6143 section 7.1.3).
func (c *Client) result(minor int) error {
	status, err := c.u32()
	if err != nil {
		return fmt.Errorf("read what the console says of the login: %w", err)
	}
	why := "The console refused the login."
	switch {
	case status == 0:
		return nil
	case status == 2:
		why = "The console had too many wrong logins."
	}
	if minor >= 8 {
		if err := c.refusal(); session.KindOf(err) == session.Refused {
			return err
		}
	}
	return session.Errorf(session.Refused, "%s", why).WithNext("Check the password in the agent's secrets; some consoles wait a while after wrong ones.")
}

// refusal is the reason that a console gives, as text of a stranger.
func (c *Client) refusal() error {
	n, err := c.u32()
	if err != nil || n > maxReason {
		return orWire(err)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return err
	}
	return session.Errorf(session.Refused, "The console refused: %s", wording.Line(string(bytes.ToValidUTF8(b, []byte("?"))), 300)).
		WithNext("Look at the console's VNC settings.")
}

func orWire(err error) error {
	if err != nil {
		return err
	}
	return rfb.ErrWire
}
