package passkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

const here = "https://console.ngh.example:8443"

// device is an authenticator, and the browser before it.
type device struct {
	signer crypto.Signer
	id     []byte
	host   string
	origin string
	flags  byte
	count  uint32
	cross  string // what the browser says of frames
}

func newDevice(t testing.TB, signer crypto.Signer) *device {
	t.Helper()
	return &device{signer: signer, id: bytes.Repeat([]byte{7}, 32), host: "console.ngh.example", origin: here, flags: present | verified, cross: `,"crossOrigin":false`}
}

func p256(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (d *device) client(kind string, challenge [32]byte) []byte {
	return fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q%s}`, kind, base64.RawURLEncoding.EncodeToString(challenge[:]), d.origin, d.cross)
}

func (d *device) said(flags byte, more ...[]byte) []byte {
	host := sha256.Sum256([]byte(d.host))
	out := append(host[:], flags)
	return append(binary.BigEndian.AppendUint32(out, d.count), bytes.Join(more, nil)...)
}

// head is how CBOR begins a value, spelled as short as it can be.
func head(kind byte, n int) []byte {
	switch {
	case n < 24:
		return []byte{kind<<5 | byte(n)}
	case n < 256:
		return []byte{kind<<5 | 24, byte(n)}
	}
	return []byte{kind<<5 | 25, byte(n >> 8), byte(n)}
}

func run(kind byte, b []byte) []byte { return append(head(kind, len(b)), b...) }

func number(n int) []byte {
	if n < 0 {
		return head(1, -1-n)
	}
	return head(0, n)
}

func (d *device) cose() []byte {
	switch k := d.signer.Public().(type) {
	case *ecdsa.PublicKey:
		b, _ := k.Bytes()
		return bytes.Join([][]byte{head(5, 5), number(1), number(2), number(3), number(-7), number(-1), number(1), number(-2), run(2, b[1:33]), number(-3), run(2, b[33:])}, nil)
	case ed25519.PublicKey:
		return bytes.Join([][]byte{head(5, 4), number(1), number(1), number(3), number(-8), number(-1), number(6), number(-2), run(2, k)}, nil)
	case *rsa.PublicKey:
		return bytes.Join([][]byte{head(5, 4), number(1), number(3), number(3), number(-257), number(-1), run(2, k.N.Bytes()), number(-2), run(2, []byte{1, 0, 1})}, nil)
	}
	return nil
}

func (d *device) attested(key []byte) []byte {
	data := d.said(d.flags|holdsKey, make([]byte, 16), binary.BigEndian.AppendUint16(nil, uint16(len(d.id))), d.id, key)
	return bytes.Join([][]byte{head(5, 3), run(3, []byte("fmt")), run(3, []byte("none")), run(3, []byte("attStmt")), head(5, 0), run(3, []byte("authData")), run(2, data)}, nil)
}

func (d *device) answer(t testing.TB, kind string, challenge [32]byte) Answer {
	t.Helper()
	return d.signs(t, Answer{ID: d.id, ClientData: d.client(kind, challenge), Authenticator: d.said(d.flags)})
}

func (d *device) signs(t testing.TB, a Answer) Answer {
	t.Helper()
	client := sha256.Sum256(a.ClientData)
	message := append(bytes.Clone(a.Authenticator), client[:]...)
	digest := sha256.Sum256(message)
	with, what := crypto.SignerOpts(crypto.SHA256), digest[:]
	if _, ok := d.signer.(ed25519.PrivateKey); ok {
		with, what = crypto.Hash(0), message
	}
	var err error
	if a.Signature, err = d.signer.Sign(rand.Reader, what, with); err != nil {
		t.Fatal(err)
	}
	return a
}

func place(t testing.TB) Page {
	t.Helper()
	p, err := At(here)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// registered is a device whose key was registered at the page.
func registered(t testing.TB, signer crypto.Signer) (Page, *device, Key) {
	t.Helper()
	p, d, challenge := place(t), newDevice(t, signer), [32]byte{1}
	k, err := p.Register(challenge, d.client("webauthn.create", challenge), d.attested(d.cose()))
	if err != nil {
		t.Fatal(err)
	}
	return p, d, k
}

func TestEachKindOfKeyApprovesTheGrantItSaw(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rivest, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, signer := range []crypto.Signer{p256(t), edwards, rivest} {
		p, d, k := registered(t, signer)
		challenge := Challenge([]byte("a grant"))
		if n, err := p.Check(k, challenge, d.answer(t, "webauthn.get", challenge)); err != nil || n != 0 {
			t.Errorf("%T, which does not count: %d, %v", signer, n, err)
		}
		d.count = 9
		if n, err := p.Check(k, challenge, d.answer(t, "webauthn.get", challenge)); err != nil || n != 9 {
			t.Errorf("%T, which counts: %d, %v", signer, n, err)
		}
	}
}

// Each of these is signed by the right key, and none of them counts.
func TestNoOtherAnswerCounts(t *testing.T) {
	challenge := Challenge([]byte("a grant"))
	for what, c := range map[string]struct {
		kind   string
		change func(d *device, k *Key)
		says   string
	}{
		"a page of the broker":               {change: func(d *device, _ *Key) { d.origin = "https://broker.example" }, says: "another page"},
		"another port of the host":           {change: func(d *device, _ *Key) { d.origin = "https://console.ngh.example" }, says: "another page"},
		"an origin that goes on":             {change: func(d *device, _ *Key) { d.origin = here + ".evil.example" }, says: "another page"},
		"over http":                          {change: func(d *device, _ *Key) { d.origin = strings.Replace(here, "https", "http", 1) }, says: "another page"},
		"a key bound to the broker":          {change: func(d *device, _ *Key) { d.host = "broker.example" }, says: "belongs to another page"},
		"a key bound to the domain":          {change: func(d *device, _ *Key) { d.host = "ngh.example" }, says: "belongs to another page"},
		"no check of who":                    {change: func(d *device, _ *Key) { d.flags = present }, says: "did not check who"},
		"nobody there":                       {change: func(d *device, _ *Key) { d.flags = verified }, says: "did not check who"},
		"a registration":                     {kind: "webauthn.create", says: "something else"},
		"a payment":                          {kind: "payment.get", says: "something else"},
		"inside another page":                {change: func(d *device, _ *Key) { d.cross = `,"crossOrigin":true` }, says: "inside another page"},
		"inside another page, said later":    {change: func(d *device, _ *Key) { d.cross = `,"crossOrigin":false,"crossOrigin":true` }, says: "inside another page"},
		"below another page":                 {change: func(d *device, _ *Key) { d.cross = `,"crossOrigin":false,"topOrigin":"https://x.example"` }, says: "inside another page"},
		"counted as far as before":           {change: func(d *device, k *Key) { d.count, k.Count = 5, 5 }, says: "counted less far"},
		"counted less far":                   {change: func(d *device, k *Key) { d.count, k.Count = 4, 5 }, says: "counted less far"},
		"counts no longer":                   {change: func(d *device, k *Key) { d.count, k.Count = 0, 5 }, says: "counted less far"},
		"an unknown key":                     {change: func(d *device, _ *Key) { d.id = bytes.Repeat([]byte{8}, 32) }, says: "not known"},
		"another key by the name of a known": {change: func(d *device, _ *Key) { d.signer = p256(t) }, says: "signature is not right"},
		"a key that was never kept":          {change: func(_ *device, k *Key) { *k = Key{} }, says: "not known"},
		"copied, and cannot be":              {change: func(d *device, _ *Key) { d.flags |= copied }, says: "contradicts"},
		"says that it extends, and does not": {change: func(d *device, _ *Key) { d.flags |= extended }, says: "extensions"},
		"says that it holds a key":           {change: func(d *device, _ *Key) { d.flags |= holdsKey }, says: "cut off"},
	} {
		p, d, k := registered(t, p256(t))
		if c.change != nil {
			c.change(d, &k)
		}
		if c.kind == "" {
			c.kind = "webauthn.get"
		}
		if _, err := p.Check(k, challenge, d.answer(t, c.kind, challenge)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAnAnswerIsForOneGrantAndCountsOnce(t *testing.T) {
	p, d, k := registered(t, p256(t))
	d.count = 1
	challenge := Challenge([]byte("a grant"))
	a := d.answer(t, "webauthn.get", challenge)
	if _, err := p.Check(k, Challenge([]byte("a grant ")), a); err == nil || !strings.Contains(err.Error(), "another question") {
		t.Errorf("another grant: %v", err)
	}
	n, err := p.Check(k, challenge, a)
	if err != nil {
		t.Fatal(err)
	}
	k.Count = n
	if _, err := p.Check(k, challenge, a); err == nil {
		t.Error("the same answer counts twice")
	}
	if _, err := (Page{}).Check(k, challenge, a); err == nil {
		t.Error("the zero page takes an answer")
	}
}

// Whatever bit of an answer is another one, it does not count.
func TestEveryBitOfAnAnswerIsCovered(t *testing.T) {
	p, d, k := registered(t, p256(t))
	d.count = 1
	challenge := Challenge([]byte("a grant"))
	good := d.answer(t, "webauthn.get", challenge)
	for _, part := range []func(*Answer) *[]byte{
		func(a *Answer) *[]byte { return &a.ID }, func(a *Answer) *[]byte { return &a.ClientData },
		func(a *Answer) *[]byte { return &a.Authenticator }, func(a *Answer) *[]byte { return &a.Signature },
	} {
		for bit := range 8 * len(*part(&good)) {
			a := good
			b := bytes.Clone(*part(&a))
			b[bit/8] ^= 1 << (bit % 8)
			*part(&a) = b
			if _, err := p.Check(k, challenge, a); err == nil {
				t.Fatalf("bit %d of %q is another one, and it counts", bit, *part(&good))
			}
		}
	}
}

func TestWhatIsNoKeyIsNotRegistered(t *testing.T) {
	challenge := [32]byte{1}
	d := newDevice(t, p256(t))
	good := d.cose()
	weak := bytes.Join([][]byte{head(5, 4), number(1), number(3), number(3), number(-257), number(-1), run(2, bytes.Repeat([]byte{255}, 128)), number(-2), run(2, []byte{1, 0, 1})}, nil)
	off := bytes.Clone(good)
	off[len(off)-1] ^= 1
	for what, attestation := range map[string][]byte{
		"nothing":                  nil,
		"an empty map":             head(5, 0),
		"a list":                   head(4, 0),
		"no key":                   bytes.Join([][]byte{head(5, 2), run(3, []byte("fmt")), run(3, []byte("none")), run(3, []byte("authData")), run(2, d.said(d.flags))}, nil),
		"a short RSA key":          d.attested(weak),
		"a point off the curve":    d.attested(off),
		"a field twice":            d.attested(append(append(head(5, 6), good[1:]...), append(number(3), number(-7)...)...)),
		"something behind":         append(d.attested(good), 0),
		"something behind the key": d.attested(append(bytes.Clone(good), 0)),
		"a long spelling":          d.attested(append([]byte{5<<5 | 24, 5}, good[1:]...)),
		"no given length":          d.attested(append(append([]byte{5<<5 | 31}, good[1:]...), 0xff)),
		"too long":                 append(d.attested(good), make([]byte, maxAttestation)...),
		"depth":                    bytes.Repeat([]byte{4<<5 | 1}, 100),
		"another kind":             d.attested(bytes.Join([][]byte{head(5, 2), number(1), number(4), number(3), number(-7)}, nil)),
	} {
		if k, err := place(t).Register(challenge, d.client("webauthn.create", challenge), attestation); err == nil {
			t.Errorf("%s is registered as %v", what, k)
		}
	}
	for what, client := range map[string][]byte{
		"an approval":         d.client("webauthn.get", challenge),
		"another challenge":   d.client("webauthn.create", [32]byte{2}),
		"nothing":             nil,
		"what is not JSON":    []byte(strings.TrimSuffix(string(d.client("webauthn.create", challenge)), "}")),
		"more than one value": append(d.client("webauthn.create", challenge), "{}"...),
	} {
		if _, err := place(t).Register(challenge, client, d.attested(good)); err == nil {
			t.Errorf("%s: registered", what)
		}
	}
	d.flags = present
	if _, err := place(t).Register(challenge, d.client("webauthn.create", challenge), d.attested(good)); err == nil || !strings.Contains(err.Error(), "did not check who") {
		t.Errorf("without a check of who: %v", err)
	}
}

func TestPagesThatHavePasskeys(t *testing.T) {
	for _, good := range []string{"https://console.ngh.example", "https://localhost:8443", "https://c-1.ngh.example/"} {
		if _, err := At(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if p, err := At("https://console.ngh.example:443"); err != nil || p.origin != "https://console.ngh.example" || p.Host() != "console.ngh.example" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "http://console.ngh.example", "https://10.0.0.1:8443", "https://[::1]:8443", "https://Console.ngh.example", "https://a@b.example", "https://b.example/x", "https://b.example?x", "https://-b.example", "https://b..example", "https://b_c.example"} {
		if p, err := At(bad); err == nil {
			t.Errorf("%s: %+v", bad, p)
		}
	}
}
