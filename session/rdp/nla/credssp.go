package nla

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sallyport/sallyport/session"
)

// ErrWire is a console that breaks the protocol.
var ErrWire = errors.New("the console says something that is not CredSSP")

// Login is what is proven, and then handed over.
type Login struct{ User, Domain, Password string }

// version is the newest of CredSSP. From bound on both sides bind to hashes and a nonce
// (CVE-2018-0886); before that to the key itself.
const (
	version = 6
	bound   = 5
)

// request is TSRequest (MS-CSSP 2.2.1).
type request struct {
	version                 int
	token, auth, key, nonce []byte // nil where there is none
	status                  uint32
}

// Prove logs in over TLS with a console of this name that showed this certificate.
func Prove(rw io.ReadWriter, host string, cert *x509.Certificate, l Login) error {
	key, err := publicKey(cert)
	if err != nil {
		return err
	}
	n := newNTLM(l, host, cert)
	if err := send(rw, request{version: version, token: n.negotiate()}); err != nil {
		return err
	}
	challenge, err := receive(rw)
	if err != nil {
		return err
	}
	if challenge.token == nil {
		return ErrWire
	}
	agreed := min(challenge.version, version)
	answer, err := n.authenticate(challenge.token)
	if err != nil {
		return err
	}
	var nonce [32]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return err
	}
	out := request{version: version, token: answer, key: n.to.seal(binding(agreed, key, nonce[:], toServer))}
	if agreed >= bound {
		out.nonce = nonce[:]
	}
	if err := send(rw, out); err != nil {
		return err
	}
	if err := proven(rw, n, agreed, key, nonce[:]); err != nil {
		return err
	}
	return send(rw, request{version: version, auth: n.to.seal(credentials(l))})
}

// proven is the console's proof that it knows the password, and sees the same key.
func proven(rw io.ReadWriter, n *ntlm, agreed int, key, nonce []byte) error {
	answer, err := receive(rw)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return session.Errorf(session.Refused, "The console refused the login and said nothing.").
			WithNext("Check user and password in the agent's secrets.")
	case err != nil:
		return err
	}
	said, ok := n.from.open(answer.key)
	if !ok || subtle.ConstantTimeCompare(said, binding(agreed, key, nonce, toClient)) != 1 {
		return session.Errorf(session.Refused, "The console does not prove that it knows the password and has the certificate that it shows.").
			WithNext("Somebody may stand between agent and console: look at that network before you try again.")
	}
	return nil
}

const (
	toServer = "CredSSP Client-To-Server Binding Hash\x00"
	toClient = "CredSSP Server-To-Client Binding Hash\x00"
)

// binding is what both sides say of the console's key (MS-CSSP 3.1.5).
func binding(agreed int, key, nonce []byte, way string) []byte {
	if agreed >= bound {
		sum := sha256.Sum256(append(append([]byte(way), nonce...), key...))
		return sum[:]
	}
	key = bytes.Clone(key)
	if way == toClient {
		for i := range key { // it is a number, and the console's is one more
			if key[i]++; key[i] != 0 {
				break
			}
		}
	}
	return key
}

// publicKey is the subjectPublicKey of a certificate.
func publicKey(cert *x509.Certificate) ([]byte, error) {
	in := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	var info cryptobyte.String
	var key []byte
	if !in.ReadASN1(&info, asn1.SEQUENCE) || !info.SkipASN1(asn1.SEQUENCE) || !info.ReadASN1BitStringAsBytes(&key) {
		return nil, ErrWire
	}
	return key, nil
}

func tag(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

func (r request) bytes() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tag(0), func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(r.version)) })
		if r.token != nil {
			b.AddASN1(tag(1), func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { octets(b, 0, r.token) })
				})
			})
		}
		for n, field := range [][]byte{2: r.auth, 3: r.key, 5: r.nonce} {
			if field != nil {
				octets(b, uint8(n), field)
			}
		}
	})
	return b.Bytes()
}

func octets(b *cryptobyte.Builder, n uint8, v []byte) {
	b.AddASN1(tag(n), func(b *cryptobyte.Builder) { b.AddASN1OctetString(v) })
}

func send(w io.Writer, r request) error {
	b, err := r.bytes()
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// receive reads a message of the console's.
func receive(r io.Reader) (request, error) {
	b := make([]byte, 2, 1024)
	if _, err := io.ReadFull(r, b); err != nil {
		return request{}, err
	}
	size := int(b[1])
	if size >= 0x80 {
		n := size & 0x7f
		if n < 1 || n > 3 {
			return request{}, ErrWire
		}
		b = b[:2+n]
		if _, err := io.ReadFull(r, b[2:]); err != nil {
			return request{}, err
		}
		size = 0
		for _, v := range b[2:] {
			size = size<<8 | int(v)
		}
	}
	if b[0] != byte(asn1.SEQUENCE) || size > maxRequest {
		return request{}, ErrWire
	}
	head := len(b)
	b = append(b, make([]byte, size)...)
	if _, err := io.ReadFull(r, b[head:]); err != nil {
		return request{}, err
	}
	out, err := parse(b)
	if err == nil && out.status != 0 {
		err = Refusal(out.status)
	}
	return out, err
}

// parse is strict: fields in their order, and nothing behind them.
func parse(b []byte) (r request, err error) {
	in, body := cryptobyte.String(b), cryptobyte.String(nil)
	if !in.ReadASN1(&body, asn1.SEQUENCE) || !in.Empty() {
		return r, ErrWire
	}
	ok := true
	field := func(n uint8, read func(cryptobyte.String) bool) {
		var s cryptobyte.String
		var has bool
		ok = ok && body.ReadOptionalASN1(&s, &has, tag(n)) && (!has || read(s))
	}
	bytesOf := func(to *[]byte) func(cryptobyte.String) bool {
		return func(s cryptobyte.String) bool {
			return s.ReadASN1Bytes(to, asn1.OCTET_STRING) && s.Empty()
		}
	}
	field(0, func(s cryptobyte.String) bool { return s.ReadASN1Integer(&r.version) && s.Empty() })
	field(1, func(s cryptobyte.String) bool {
		var list, item, token cryptobyte.String
		return s.ReadASN1(&list, asn1.SEQUENCE) && s.Empty() && list.ReadASN1(&item, asn1.SEQUENCE) && list.Empty() &&
			item.ReadASN1(&token, tag(0)) && item.Empty() && bytesOf(&r.token)(token)
	})
	field(2, bytesOf(&r.auth))
	field(3, bytesOf(&r.key))
	field(4, func(s cryptobyte.String) bool {
		var status int64
		ok := s.ReadASN1Integer(&status) && s.Empty()
		r.status = uint32(status)
		return ok
	})
	field(5, bytesOf(&r.nonce))
	if !ok || !body.Empty() || r.version < 2 {
		return r, ErrWire
	}
	return r, nil
}

// credentials are TSCredentials (MS-CSSP 2.2.1.2) of a password.
func credentials(l Login) []byte {
	var inner, b cryptobyte.Builder
	inner.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		octets(b, 0, wide(l.Domain))
		octets(b, 1, wide(l.User))
		octets(b, 2, wide(l.Password))
	})
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tag(0), func(b *cryptobyte.Builder) { b.AddASN1Int64(1) })
		octets(b, 1, inner.BytesOrPanic())
	})
	return b.BytesOrPanic()
}

// Refusal is an NTSTATUS or HRESULT (MS-ERREF 2.3.1, 2.1.1) of a sign-in, in words.
func Refusal(status uint32) error {
	says := func(message, next string) error {
		return fmt.Errorf("status %#x: %w", status, session.Errorf(session.Refused, "%s", message).WithNext(next))
	}
	switch status {
	case 0xc000006d, 0xc000006a, 0xc0000064, 0x8009030c:
		return says("The console refused the login: user or password is wrong.", "Check them in the agent's secrets.")
	case 0xc0000071, 0xc0000224:
		return says("The password of the login has expired at the console.", "Change it at the console, and in the agent's secrets.")
	case 0xc0000072:
		return says("The user of the login is disabled at the console.", "Ask who serves the console.")
	case 0xc0000193:
		return says("The user of the login has expired at the console.", "Ask who serves the console.")
	case 0xc0000234:
		return says("The user of the login is locked at the console after wrong passwords.", "Check the password in the agent's secrets, and wait or ask for the lock to be lifted.")
	case 0xc000006e, 0xc000006f, 0xc0000070, 0xc000015b, 0xc0000413:
		return says("The user of the login may not sign in at the console remotely, from here, or now.", "Ask who serves the console.")
	case 0xc0000418, 0x80090302: // as a Windows that refuses NTLM says it
		return says("The console takes no login by NTLM, and Sallyport has no other.", "Let it take NTLM from the agent, or from its own users.")
	case 0xc000005e:
		return says("The console reaches nobody who knows the user of the login.", "Use a user of the console itself, or look at its domain.")
	}
	return says("The console refused the login.", "Look at its log of sign-ins.")
}
