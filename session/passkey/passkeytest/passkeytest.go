// Package passkeytest is a passkey with its browser, for tests: it does what it is told,
// also what no honest one would do.
package passkeytest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/sallyport/sallyport/session/passkey"
)

// What a key says of who used it.
const (
	Present  = 1 << 0
	Verified = 1 << 2
	holdsKey = 1 << 6
)

// Device is a passkey that counts, and the browser before it.
type Device struct {
	ID     []byte
	Host   string // to which it is bound
	Origin string // of the page that the browser shows
	Flags  byte
	Count  uint32
	signer *ecdsa.PrivateKey
}

// New is a passkey of a page at an origin, whose user is recognised each time.
func New(host, origin string) *Device {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // no test goes on without random numbers
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id)
	return &Device{ID: id, Host: host, Origin: origin, Flags: Present | Verified, signer: key}
}

// Register is what the browser brings back when a key was made.
func (d *Device) Register(challenge [32]byte) (clientData, attestation []byte) {
	d.Count++
	data := d.said(d.Flags|holdsKey, make([]byte, 16), binary.BigEndian.AppendUint16(nil, uint16(len(d.ID))), d.ID, d.cose())
	return d.client("webauthn.create", challenge), join([]byte{0xa3}, text("fmt"), text("none"), text("attStmt"), []byte{0xa0}, text("authData"), run(0x40, data))
}

// Answer is what the browser brings back when the key was used.
func (d *Device) Answer(challenge [32]byte) passkey.Answer {
	d.Count++
	a := passkey.Answer{ID: d.ID, ClientData: d.client("webauthn.get", challenge), Authenticator: d.said(d.Flags)}
	client := sha256.Sum256(a.ClientData)
	digest := sha256.Sum256(append(bytes.Clone(a.Authenticator), client[:]...))
	a.Signature, _ = ecdsa.SignASN1(rand.Reader, d.signer, digest[:])
	return a
}

// Copy is another device with the same key, which counts by itself from here on.
func (d *Device) Copy() *Device {
	c := *d
	return &c
}

func (d *Device) client(kind string, challenge [32]byte) []byte {
	return fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q,"crossOrigin":false}`, kind, base64.RawURLEncoding.EncodeToString(challenge[:]), d.Origin)
}

func (d *Device) said(flags byte, more ...[]byte) []byte {
	host := sha256.Sum256([]byte(d.Host))
	return append(binary.BigEndian.AppendUint32(append(host[:], flags), d.Count), join(more...)...)
}

// cose is the public key as authenticators write it: ES256 on P-256.
func (d *Device) cose() []byte {
	b, _ := d.signer.PublicKey.Bytes()
	return join([]byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21}, run(0x40, b[1:33]), []byte{0x22}, run(0x40, b[33:]))
}

func text(s string) []byte { return run(0x60, []byte(s)) }

// run is bytes or a text with their length before them, as short as it can be.
func run(kind byte, b []byte) []byte {
	switch n := len(b); {
	case n < 24:
		return append([]byte{kind | byte(n)}, b...)
	case n < 256:
		return append([]byte{kind | 24, byte(n)}, b...)
	default:
		return append([]byte{kind | 25, byte(n >> 8), byte(n)}, b...)
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
