package session

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Trust is the bundle of anchors that a hospital hands out of band: the agent
// writes it (sallyport-agent trust export), people and verifiers import it.
// Nothing in it ever comes from the broker.
type Trust struct {
	V        int    `json:"v"` // 1
	Site     string `json:"site"`
	Agent    string `json:"agent"`
	Identity string `json:"identity"` // the agent's long-lived key, "ssh-ed25519 AAAA..."
	// HostKeyEC is what the agent's SSH shows to clients without Ed25519, "ecdsa-sha2-nistp256 AAAA...".
	HostKeyEC string   `json:"host_key_ec,omitempty"`
	Issuers   []Issuer `json:"issuers"`
	Nodes     Nodes    `json:"nodes,omitempty"` // the broker's, as the hospital accepted them
	// ConsoleKeys are the passkeys of the agent's page, those that were revoked too.
	ConsoleKeys []ConsoleKey `json:"console_keys,omitempty"`
}

// KeyLine is an ed25519 public key as one line of OpenSSH: "ssh-ed25519 AAAA...".
func KeyLine(pub ed25519.PublicKey) string {
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(sshWire(pub))
}

// ParseKeyLine reads the form that KeyLine writes, and nothing else.
func ParseKeyLine(line string) (ed25519.PublicKey, error) {
	body, ok := strings.CutPrefix(line, "ssh-ed25519 ")
	wire, err := base64.StdEncoding.DecodeString(body)
	if ok && err == nil && len(wire) == 51 {
		pub := ed25519.PublicKey(wire[19:])
		if KeyLine(pub) == line && !smallOrder(pub) {
			return pub, nil
		}
	}
	return nil, Errorf(Invalid, "%.80q is not an ssh-ed25519 key line", line)
}

// Fingerprint names a key as OpenSSH does: "SHA256:" and base64.
func Fingerprint(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(sshWire(pub))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// sshWire is the key in the encoding of RFC 8709 section 4.
func sshWire(pub ed25519.PublicKey) []byte {
	const name = "ssh-ed25519"
	b := binary.BigEndian.AppendUint32(nil, uint32(len(name)))
	b = append(b, name...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(pub)))
	return append(b, pub...)
}

// smallOrder reports whether a key is one of the points whose order divides eight, in any
// spelling: signatures of such a key can be made by anybody.
func smallOrder(pub ed25519.PublicKey) bool {
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000", // order 4
		"0100000000000000000000000000000000000000000000000000000000000000", // the neutral point
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 0, spelt as the field's prime
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 1, spelt beyond it
	} {
		y, _ := hex.DecodeString(y)
		y[31] |= pub[31] & 0x80 // the sign of x makes no difference
		if bytes.Equal(y, pub) {
			return true
		}
	}
	return false
}
