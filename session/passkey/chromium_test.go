package passkey

import (
	"encoding/json"
	"os"
	"testing"
)

// What Chromium 148 and its virtual authenticator answered on a page at this address, for
// each kind of key: a registration with a challenge of ones, and an approval of "a grant".
// On a page of another host the same browser refused to ask for the key.
func TestWhatABrowserAnswers(t *testing.T) {
	text, err := os.ReadFile("testdata/chromium.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Alg  int
		Made struct {
			ClientData  []byte `json:"client_data"`
			Attestation []byte
		}
		Got Answer
	}
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 3 {
		t.Fatal(len(all), err)
	}
	var ones [32]byte
	for i := range ones {
		ones[i] = 1
	}
	p, challenge := place(t), Challenge([]byte("a grant"))
	for i, x := range all {
		k, err := p.Register(ones, x.Made.ClientData, x.Made.Attestation)
		if err != nil {
			t.Errorf("%d: registered: %v", x.Alg, err)
			continue
		}
		n, err := p.Check(k, challenge, x.Got)
		if err != nil || n <= k.Count {
			t.Errorf("%d: approved: %d after %d, %v", x.Alg, n, k.Count, err)
		}
		k.Count = n
		if _, err := p.Check(k, challenge, x.Got); err == nil {
			t.Errorf("%d: approved twice", x.Alg)
		}
		if _, err := p.Check(k, challenge, all[(i+1)%3].Got); err == nil {
			t.Errorf("%d: approved by another key", x.Alg)
		}
	}
}

// The example of recordings/exchange/FORMAT.md: an approval of a whole grant, for readers
// in other languages.
func TestVector(t *testing.T) {
	text, err := os.ReadFile("testdata/approval.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Page      string
		Grant     string // exact bytes
		Challenge []byte
		Key       Key
		Answer    Answer
		Count     uint32
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	p, err := At(v.Page)
	if err != nil {
		t.Fatal(err)
	}
	challenge := Challenge([]byte(v.Grant))
	if string(challenge[:]) != string(v.Challenge) {
		t.Errorf("challenge %x", challenge)
	}
	if n, err := p.Check(v.Key, challenge, v.Answer); err != nil || n != v.Count {
		t.Errorf("%d, %v", n, err)
	}
}
