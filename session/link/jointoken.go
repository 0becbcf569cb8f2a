package link

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// Node is one broker node: the name that its certificate carries, and where to
// dial it. Only the agent's own configuration and the join token have addresses.
type Node struct {
	Name    string `json:"name" yaml:"name"`
	Address string `json:"address" yaml:"address"` // host:port
}

// JoinToken is what a hospital needs to enrol one agent. Its text is a secret
// until it has been used.
type JoinToken struct {
	Site   string `json:"site"`
	Agent  string `json:"agent"`
	Nodes  []Node `json:"nodes"`
	CA     string `json:"ca"`     // SHA-256 of the CA's certificate, hex
	Secret string `json:"secret"` // 256 bit, base64url
}

const (
	joinPrefix = "sallyport-join-1."
)

// Text is the token as it is handed over.
func (t JoinToken) Text() (string, error) {
	b, err := encode(t)
	if err != nil {
		return "", err
	}
	return joinPrefix + base64.RawURLEncoding.EncodeToString(b), t.check()
}

// ParseJoinToken reads what Text writes, and nothing else. Errors never repeat the token.
func ParseJoinToken(text string) (JoinToken, error) {
	bad := session.Errorf(session.Invalid, "This is not a join token.").
		WithNext("Copy the whole line that sallyport-broker join-token printed.")
	body, ok := strings.CutPrefix(text, joinPrefix)
	if !ok || len(text) > maxJoin {
		return JoinToken{}, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || base64.RawURLEncoding.EncodeToString(b) != body {
		return JoinToken{}, bad
	}
	t, err := decode[JoinToken](b)
	if err != nil || t.check() != nil {
		return JoinToken{}, bad
	}
	return t, nil
}

func (t JoinToken) check() error {
	sum, err := hex.DecodeString(t.CA)
	if err != nil || len(sum) != sha256.Size || strings.ToLower(t.CA) != t.CA || !isSecret(t.Secret) ||
		!session.ValidName(t.Site) || !session.ValidName(t.Agent) {
		return session.Errorf(session.Invalid, "The join token is incomplete.")
	}
	return checkNodes(t.Nodes)
}

func checkNodes(nodes []Node) error {
	if len(nodes) == 0 || len(nodes) > MaxNodes {
		return session.Errorf(session.Invalid, "An agent knows one or two broker nodes, not %d.", len(nodes))
	}
	for i, n := range nodes {
		if !session.ValidName(n.Name) {
			return session.Errorf(session.Invalid, "%.80q cannot name a broker node.", n.Name)
		}
		if len(n.Address) == 0 || len(n.Address) > 260 {
			return session.Errorf(session.Invalid, "The broker node %s needs an address, host:port.", n.Name)
		}
		if i > 0 && strings.EqualFold(n.Name, nodes[0].Name) {
			return session.Errorf(session.Invalid, "The broker node %s is listed twice.", n.Name)
		}
	}
	return nil
}

// CAFingerprint is how a join token names the CA.
func CAFingerprint(ca *x509.Certificate) string {
	sum := sha256.Sum256(ca.Raw)
	return hex.EncodeToString(sum[:])
}
