package agent

import (
	"crypto/ed25519"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

func line(key ed25519.PrivateKey) string { return session.KeyLine(key.Public().(ed25519.PublicKey)) }

// Only the keys of accepted nodes countersign; another one is refused, and the verb that
// accepts it is named.
func TestOnlyAcceptedNodesCountersign(t *testing.T) {
	cfg := Config{State: t.TempDir()}
	s := state{cfg.State}
	one, two := logKey(1), logKey(2)
	pub := func(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }
	if err := s.countersigner(pub(one)); session.KindOf(err) != session.Refused {
		t.Errorf("before anything: %v", err)
	}
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for range 2 {
		if n, err := AcceptNode(cfg, "broker/a", line(one), now); err != nil || !n.Since.Equal(now) {
			t.Fatalf("%+v, %v", n, err)
		}
		now = now.Add(time.Hour)
		if all, err := AcceptedNodes(cfg); err != nil || len(all) != 1 || !all[0].Since.Equal(now.Add(-time.Hour)) {
			t.Fatalf("%+v, %v", all, err)
		}
		now = now.Add(-time.Hour)
	}
	if err := s.countersigner(pub(one)); err != nil {
		t.Error(err)
	}
	err := s.countersigner(pub(two))
	if session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), session.Fingerprint(pub(two))) {
		t.Errorf("another key: %v", err)
	}
	if _, err := AcceptNode(cfg, "broker/b", line(two), now); err != nil {
		t.Fatal(err)
	}
	if err := s.countersigner(pub(two)); err != nil {
		t.Error(err)
	}
	for name, n := range map[string]session.Node{
		"another key":     {Origin: "broker/a", Key: line(logKey(3))},
		"a key twice":     {Origin: "broker/c", Key: line(one)},
		"no name":         {Key: line(logKey(3))},
		"a name in words": {Origin: "broker c", Key: line(logKey(3))},
		"no key":          {Origin: "broker/c"},
	} {
		if _, err := AcceptNode(cfg, n.Origin, n.Key, now); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ForgetNode(cfg, "broker/c"); session.KindOf(err) != session.Invalid {
		t.Errorf("%v", err)
	}
	if n, err := ForgetNode(cfg, "broker/a"); err != nil || n.Key != line(one) {
		t.Errorf("%+v, %v", n, err)
	}
	if err := s.countersigner(pub(one)); err == nil {
		t.Error("a forgotten node countersigns")
	}
	if err := os.WriteFile(s.path(nodesFile), []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.countersigner(pub(two)); err == nil {
		t.Error("a spoiled list is taken for one")
	}
}

// The configuration accepts too, and does not overrule an operator.
func TestTheConfigurationAcceptsNodes(t *testing.T) {
	s := state{t.TempDir()}
	now := time.Now()
	nodes := []Node{{Name: "a"}, {Name: "b", Log: "broker/b", Key: line(logKey(2))}}
	for range 2 {
		if err := s.acceptConfigured(nodes, now); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := s.nodes(); err != nil || len(all) != 1 || all[0].Origin != "broker/b" {
		t.Fatalf("%+v, %v", all, err)
	}
	nodes[1].Key = line(logKey(3))
	if err := s.acceptConfigured(nodes, now); session.KindOf(err) != session.Refused {
		t.Errorf("another key: %v", err)
	}
}
