package hostile

import (
	"context"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/broker/fleet"
	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session/link"
)

// logOf is a node's own log with n entries.
func logOf(t *testing.T, origin string, key ed25519.PrivateKey, n int) *audit.Log {
	t.Helper()
	l, err := audit.Open(audit.Config{Dir: t.TempDir(), Key: key, Origin: origin})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	for range n {
		must(t, l.Append(context.Background(), witness.Event{Event: witness.Requested, Site: site}))
	}
	return l
}

// through delivers by one of the nodes.
func (s *siege) through(f *fleet.Fleet, d link.Deliver) link.Verdict {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	v, err := f.Deliver(ctx, site, agentName, d)
	must(s.t, err)
	return v
}

func (s *siege) showBy(f *fleet.Fleet, l *audit.Log, from int64) link.Verdict {
	s.t.Helper()
	note, proof, err := l.Consistency(from)
	must(s.t, err)
	return s.through(f, link.Deliver{Kind: link.DeliverCheckpoint, Request: note, Grant: proof.Bytes()})
}

func (s *siege) askBy(f *fleet.Fleet) link.Verdict {
	s.t.Helper()
	a := s.ask(nil)
	return s.through(f, link.Deliver{Kind: link.DeliverRequest, Request: a.doc, Token: a.proof.Token, Salt: a.proof.Salt})
}

// fine wants a yes.
func fine(t *testing.T, what string, v link.Verdict) {
	t.Helper()
	if !v.OK {
		t.Errorf("%s: %+v", what, v)
	}
}

// Enrolment accepts the first node; a second one is refused in words until the hospital
// accepts it, and then the agent works with either, back and forth. A fork of one accepted
// log stops everything, and is named.
func TestASecondNodeIsAnAddition(t *testing.T) {
	t.Parallel()
	one, two := logOf(t, "broker.example/one", mustKey(t), 3), logOf(t, "broker.example/two", mustKey(t), 5)
	s := &siege{t: t, mode: simulator.Honest, twin: true, log: one.Node()}
	s.begin()
	if n := s.agent.Nodes; len(n) != 1 || n[0].Origin != "broker.example/one" || n[0].Key != one.Node().Key || n[0].Since.IsZero() {
		t.Fatalf("the bundle after enrolment: %+v", n)
	}
	fine(t, "the first node's log", s.showBy(s.broker, one, 0))
	fine(t, "a request by the first node", s.askBy(s.broker))

	v := s.showBy(s.second, two, 0)
	refused(t, v)
	if !strings.Contains(v.Message, "broker.example/two") || !strings.Contains(v.Next, "sallyport-agent trust accept broker.example/two") {
		t.Errorf("%+v", v)
	}
	refused(t, s.askBy(s.second))
	fine(t, "a request by the first node beside a stranger", s.askBy(s.broker))

	cfg := agent.Config{State: s.state}
	_, err := agent.AcceptNode(cfg, two.Node().Origin, two.Node().Key, time.Now())
	must(t, err)
	for range 2 {
		must(t, one.Append(t.Context(), witness.Event{Event: witness.LoggedIn}))
		must(t, two.Append(t.Context(), witness.Event{Event: witness.LoggedIn}))
		fine(t, "the first node's log", s.showBy(s.broker, one, one.Size()-1))
		fine(t, "the second node's log", s.showBy(s.second, two, two.Size()-1))
		fine(t, "the second node's log once more", s.showBy(s.second, two, two.Size()))
		fine(t, "a request by the first node", s.askBy(s.broker))
		fine(t, "a request by the second node", s.askBy(s.second))
	}
	all, err := agent.AcceptedNodes(cfg)
	must(t, err)
	if all.Check() != nil || len(all) != 2 {
		t.Errorf("%+v", all)
	}
}

// An accepted log that tells another history stops the agent's belief in the broker by
// whichever node it comes, and is named.
func TestAForkOfAnAcceptedLogIsNamed(t *testing.T) {
	t.Parallel()
	key := mustKey(t)
	one, two := logOf(t, "broker.example/one", mustKey(t), 3), logOf(t, "broker.example/two", key, 5)
	s := &siege{t: t, mode: simulator.Honest, twin: true, log: one.Node()}
	s.begin()
	s.accept(two)
	fine(t, "the first node's log", s.showBy(s.broker, one, 0))
	fine(t, "the second node's log", s.showBy(s.second, two, 0))
	v := s.showBy(s.second, logOf(t, "broker.example/two", key, 5), 5)
	refused(t, v)
	if !strings.Contains(v.Message, "broker.example/two was rewritten") {
		t.Errorf("%+v", v)
	}
	refused(t, s.askBy(s.second))
	refused(t, s.askBy(s.broker))
	_, err := agent.ForgetNode(agent.Config{State: s.state}, "broker.example/two")
	must(t, err)
	fine(t, "a request by the first node, the other forgotten", s.askBy(s.broker))
}

// A second node under an accepted name, without its key, is refused; the true one goes on.
func TestASecondNodeWithAForgedKeyIsRefused(t *testing.T) {
	t.Parallel()
	one := logOf(t, "broker.example/one", mustKey(t), 3)
	s := &siege{t: t, mode: simulator.Honest, twin: true, log: one.Node()}
	s.begin()
	fine(t, "the first node's log", s.showBy(s.broker, one, 0))
	v := s.showBy(s.second, logOf(t, "broker.example/one", mustKey(t), 4), 3)
	refused(t, v)
	if !strings.Contains(v.Message, "without the key") {
		t.Errorf("%+v", v)
	}
	refused(t, s.askBy(s.second))
	refused(t, s.showBy(s.second, one, 3)) // no way back without an operator
	refused(t, s.askBy(s.second))
	fine(t, "a request by the true node", s.askBy(s.broker))
}
