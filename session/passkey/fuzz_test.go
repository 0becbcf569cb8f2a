package passkey

import (
	"bytes"
	"crypto/x509"
	"testing"
)

// FuzzAttestation reads what anybody sends: what is taken is a key that can be used, and
// whatever a key was made of is read the same way again.
func FuzzAttestation(f *testing.F) {
	d := newDevice(f, p256(f))
	p, challenge := place(f), [32]byte{1}
	client := d.client("webauthn.create", challenge)
	for _, seed := range [][]byte{d.attested(d.cose()), d.attested(nil), head(5, 0), bytes.Repeat([]byte{0x81}, 20), {0xbf, 0xff}, {0x5b, 255, 255, 255, 255, 255, 255, 255, 255}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := p.Register(challenge, client, b)
		if err != nil {
			return
		}
		if _, err := x509.ParsePKIXPublicKey(k.Public); err != nil || len(k.ID) < minID || len(k.ID) > maxID {
			t.Fatalf("taken as %+v: %v", k, err)
		}
	})
}

// FuzzAnswer holds whatever comes against one key: nothing counts that it did not sign.
func FuzzAnswer(f *testing.F) {
	p, d, k := registered(f, p256(f))
	challenge := Challenge([]byte("a grant"))
	good := d.answer(f, "webauthn.get", challenge)
	f.Add(good.ClientData, good.Authenticator, good.Signature)
	f.Add([]byte(`{"type":"webauthn.get"}`), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, client, authenticator, signature []byte) {
		_, err := p.Check(k, challenge, Answer{ID: k.ID, ClientData: client, Authenticator: authenticator, Signature: signature})
		if err == nil && (!bytes.Equal(client, good.ClientData) || !bytes.Equal(authenticator, good.Authenticator)) {
			t.Fatalf("%q and %x count", client, authenticator)
		}
	})
}
