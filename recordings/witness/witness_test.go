package witness_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

var domains = []witness.Domain{witness.Header, witness.Segment, witness.AtHead, witness.Seal}

func TestASignatureHoldsInItsDomainOnly(t *testing.T) {
	key := newKey(t)
	body := []byte("the same bytes")
	for _, d := range domains {
		sig, err := witness.Sign(key, d, body)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range domains {
			if got := witness.Verify(public(key), other, body, sig[:]); got != (other == d) {
				t.Errorf("signed for %s, read as %s: %v", d, other, got)
			}
		}
		if ed25519.Verify(public(key), body, sig[:]) {
			t.Errorf("%s: a signature of the bare bytes", d)
		}
		if witness.Verify(public(newKey(t)), d, body, sig[:]) || witness.Verify(nil, d, body, sig[:]) ||
			witness.Verify(public(key), d, body, sig[:63]) || witness.Verify(public(key), d, body, nil) {
			t.Errorf("%s: wrong key or short signature accepted", d)
		}
	}
}

func TestAHeadSignsEveryBitOfItself(t *testing.T) {
	key := newKey(t)
	rapid.Check(t, func(rt *rapid.T) {
		h := witness.Head{
			Recording: session.NewID(), Segment: rapid.Uint32().Draw(rt, "segment"), Offset: rapid.Uint64().Draw(rt, "offset"),
			At: rapid.Int64().Draw(rt, "at"), Wall: rapid.Int64().Draw(rt, "wall"), Boot: rapid.Int64().Draw(rt, "boot"),
			Chain: [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "chain")),
			Plain: [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "plain")),
		}
		signed, err := h.Signed(key)
		if err != nil {
			rt.Fatal(err)
		}
		b := signed.Bytes()
		back, err := witness.ParseHead(b)
		if err != nil || back != signed || len(b) != witness.HeadSize || !back.Verify(public(key)) {
			rt.Fatalf("%+v became %+v, %v", signed, back, err)
		}
		bit := rapid.IntRange(0, len(b)*8-1).Draw(rt, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		if bad, err := witness.ParseHead(b); err != nil || bad.Verify(public(key)) {
			rt.Fatalf("bit %d is not signed, %v", bit, err)
		}
	})
	for _, n := range []int{0, witness.HeadSize - 1, witness.HeadSize + 1} {
		if _, err := witness.ParseHead(make([]byte, n)); err == nil {
			t.Errorf("a head of %d bytes", n)
		}
	}
}

// stubborn is a signer, such as a chip, that does not do what it is asked.
type stubborn struct {
	ed25519.PrivateKey
	sig []byte
	err error
}

func (s stubborn) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return s.sig, s.err }

func TestSignersThatFailAreNotBelieved(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]crypto.Signer{
		"none": nil, "other kind": ec,
		"short": stubborn{PrivateKey: newKey(t), sig: make([]byte, 10)}, "failing": stubborn{PrivateKey: newKey(t), err: errors.New("chip is gone")},
	} {
		if _, err := witness.Sign(s, witness.Seal, []byte("x")); err == nil {
			t.Errorf("%s: signed", name)
		}
		if _, err := (witness.Head{}).Signed(s); err == nil {
			t.Errorf("%s: signed a head", name)
		}
	}
}

func FuzzHead(f *testing.F) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	h, err := witness.Head{Recording: session.NewID(), Segment: 3, Offset: 4096, At: 17}.Signed(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(h.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := witness.ParseHead(b); err == nil && string(h.Bytes()) != string(b) {
			t.Fatalf("%x became %x", b, h.Bytes())
		}
	})
}
