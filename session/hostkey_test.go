package session

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
)

// The second host key follows from the first alone, and never changes: clients pin it.
func TestHostKeyEC(t *testing.T) {
	line := func(seed byte) string {
		key, err := HostKeyEC(ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize))))
		if err != nil {
			t.Fatal(err)
		}
		line, err := KeyLineEC(&key.PublicKey)
		if back, again := ParseKeyLineEC(line); err != nil || again != nil || !back.Equal(&key.PublicKey) {
			t.Fatalf("%q, %v, %v", line, err, again)
		}
		return line
	}
	const want = "ecdsa-sha2-nistp256 AAAA"
	if a, b := line(1), line(2); a != line(1) || a == b || !strings.HasPrefix(a, want) {
		t.Errorf("%q, %q", a, b)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := KeyLineEC(&other.PublicKey); err == nil {
		t.Errorf("P-384 is written as %q", line)
	}
	good := line(1)
	for _, bad := range []string{"", "ecdsa-sha2-nistp256", good + " ", good + "\n", good + " x", strings.Replace(good, "nistp256", "nistp384", 1),
		good[:len(good)-4], good[:len(good)-8] + "AAAAAAA=", strings.Replace(good, "ecdsa-", "ssh-", 1)} {
		if _, err := ParseKeyLineEC(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
