package exchange_test

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

func nodeOf(origin string, key ed25519.PrivateKey) session.Node {
	return session.Node{Origin: origin, Key: session.KeyLine(key.Public().(ed25519.PublicKey))}
}

// shared is a pack whose countersignatures two nodes made in turn: the agent moved from
// one to the other and back. closed is the key that seals the pack.
func shared(t *testing.T, s *scene, two ed25519.PrivateKey, seal ed25519.PrivateKey) []byte {
	t.Helper()
	p := s.parts
	id, err := session.ParseRecordingID(s.header.Recording)
	must(t, err)
	var all []witness.Receipt
	for i, r := range s.parts.receipt {
		if i%2 == 1 {
			r, err = witness.Countersigned(two, r.Head, r.Time())
			must(t, err)
		}
		all = append(all, r)
	}
	p.list, err = witness.SignList(s.agent, id, all)
	must(t, err)
	return packed(t, p, seal)
}

// Evidence that two accepted nodes countersigned verifies in one pack, whichever of them
// made it, and says who vouched.
func TestTwoNodesVouchInOnePack(t *testing.T) {
	s, two := newScene(t), newKey(t)
	s.parts.audit = s.sealing(nil)
	both := s.trust()
	both.Nodes = append(both.Nodes, nodeOf("broker.example/two", two))
	for name, seal := range map[string]ed25519.PrivateKey{"by the first": s.broker, "by the second": two} {
		r := verify(t, shared(t, s, two, seal), both)
		text := strings.Join(r.Explain(), "\n")
		if r.Result != recordings.VerdictIntact || !strings.Contains(text, "by 2 nodes of the broker") || !strings.Contains(text, "By the broker's node broker.example/two (key "+
			session.Fingerprint(two.Public().(ed25519.PublicKey))) || !strings.Contains(text, `entry 0 of the log "broker.example"`) {
			t.Errorf("%s: %s: %s\n%s", name, r.Result, r.Reason, text)
		}
	}
}

// A bundle that names one node means exactly that node: what another one vouched for is
// refused, however it comes in.
func TestABundleOfOneNodeMeansThatNode(t *testing.T) {
	s, two := newScene(t), newKey(t)
	s.parts.audit = s.sealing(nil)
	named(t, "countersigned by another", verify(t, shared(t, s, two, s.broker), s.trust()), "of no node of the broker that the trust bundle accepts")
	named(t, "sealed by another", verify(t, packed(t, s.parts, two), s.trust()), "of no node of the broker that the trust bundle accepts")
	stranger := s.trust()
	stranger.Nodes = session.Nodes{nodeOf("other.example", s.broker)}
	named(t, "logged by another", verify(t, s.pack(), stranger), "the log broker.example, of no node of the broker")
	stranger.Nodes = session.Nodes{nodeOf("broker.example", two), nodeOf("broker.example/two", s.broker)}
	named(t, "logged without the log's key", verify(t, s.pack(), stranger), "audit proof does not hold")
}

// Keys and names of nodes stand once each.
func TestABundleWithANodeTwiceIsNoBundle(t *testing.T) {
	s := newScene(t)
	for name, n := range map[string]session.Node{"a name twice": nodeOf("broker.example", newKey(t)), "a key twice": nodeOf("two", s.broker)} {
		double := s.trust()
		double.Nodes = append(double.Nodes, n)
		named(t, name, verify(t, s.pack(), double), "trust bundle is not sound")
	}
}
