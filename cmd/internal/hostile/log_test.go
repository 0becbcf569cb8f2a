package hostile

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// history is an audit log that the broker can show.
func history(t *testing.T, key ed25519.PrivateKey, dir string, more int) *audit.Log {
	t.Helper()
	l, err := audit.Open(audit.Config{Dir: dir, Key: key, Origin: "broker.example.org"})
	must(t, err)
	for range more {
		must(t, l.Append(context.Background(), witness.Event{Event: witness.Requested, Site: site}))
	}
	return l
}

// show delivers the newest checkpoint with a proof from a size.
func (s *siege) show(t *testing.T, l *audit.Log, from int64) link.Verdict {
	t.Helper()
	note, proof, err := l.Consistency(from)
	must(t, err)
	return s.deliver(link.Deliver{Kind: link.DeliverCheckpoint, Request: note, Grant: proof.Bytes()})
}

// accept is the hospital's word that a log is a node's.
func (s *siege) accept(l *audit.Log) {
	s.t.Helper()
	n := l.Node()
	_, err := agent.AcceptNode(agent.Config{State: s.state}, n.Origin, n.Key, time.Now())
	must(s.t, err)
}

// The agent alone finds a log that was truncated, forked or rewritten, whoever asks
// and whatever the broker says to people. From then on nothing new gets in, and what
// narrows still does.
func TestTheAgentFindsARewrittenLog(t *testing.T) {
	t.Parallel()
	for name, rewrite := range map[string]func(t *testing.T, key ed25519.PrivateKey, honest *audit.Log, s *siege) link.Verdict{
		"truncated": func(t *testing.T, key ed25519.PrivateKey, _ *audit.Log, s *siege) link.Verdict {
			l := history(t, key, t.TempDir(), 3)
			defer l.Close()
			return s.show(t, l, 0)
		},
		"forked at the same size": func(t *testing.T, key ed25519.PrivateKey, honest *audit.Log, s *siege) link.Verdict {
			l := history(t, key, t.TempDir(), int(honest.Size()))
			defer l.Close()
			return s.show(t, l, honest.Size())
		},
		"rewritten and longer": func(t *testing.T, key ed25519.PrivateKey, honest *audit.Log, s *siege) link.Verdict {
			l := history(t, key, t.TempDir(), int(honest.Size())+300)
			defer l.Close()
			if v := s.show(t, l, 0); !v.OK || v.Count != int(honest.Size()) {
				t.Errorf("a proof from elsewhere: %+v", v)
			}
			return s.show(t, l, honest.Size())
		},
		"under another name": func(t *testing.T, key ed25519.PrivateKey, _ *audit.Log, s *siege) link.Verdict {
			l, err := audit.Open(audit.Config{Dir: t.TempDir(), Key: key, Origin: "anew.example.org"})
			must(t, err)
			defer l.Close()
			return s.show(t, l, 0)
		},
		"signed by another key": func(t *testing.T, _ ed25519.PrivateKey, honest *audit.Log, s *siege) link.Verdict {
			l := history(t, mustKey(t), t.TempDir(), int(honest.Size())+1)
			defer l.Close()
			return s.show(t, l, honest.Size())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := besiege(t)
			key := mustKey(t)
			honest := history(t, key, t.TempDir(), 5)
			defer honest.Close()
			s.accept(honest)
			if v := s.show(t, honest, 0); !v.OK || v.Count != 5 {
				t.Fatalf("the first checkpoint: %+v", v)
			}
			for range 3 {
				must(t, honest.Append(t.Context(), witness.Event{Event: witness.LoggedIn}))
				if v := s.show(t, honest, honest.Size()-1); !v.OK || v.Count != int(honest.Size()) {
					t.Fatalf("an honest checkpoint: %+v", v)
				}
			}
			waiting := s.pend(s.ask(nil))
			refused(t, rewrite(t, key, honest, s))

			refused(t, s.deliverRequest(s.ask(nil)))
			doc := s.grantFor(waiting, nil)
			refused(t, s.deliverApproval(waiting, doc, s.approve(waiting, doc, "approver", "sallyport-console", nil)))
			refused(t, s.show(t, honest, honest.Size())) // no way back without an operator
			id, err := session.ParseText(waiting.req.RID)
			must(t, err)
			if v := s.deliver(link.Deliver{Kind: "withdraw", ID: id.Request()}); !v.OK {
				t.Errorf("what narrows is refused: %+v", v)
			}
			s.untouched(t)
		})
	}
}

// The log on the broker's own disk, cut back to an older copy, does not open; and
// where the broker runs it all the same, the agent finds it.
func TestAnOlderCopyOfTheLogIsFound(t *testing.T) {
	t.Parallel()
	s, key, dir := besiege(t), mustKey(t), t.TempDir()
	l := history(t, key, dir, 3)
	old, err := os.ReadFile(filepath.Join(dir, "journal"))
	must(t, err)
	must(t, l.Close())
	l = history(t, key, dir, 2)
	s.accept(l)
	if v := s.show(t, l, 0); !v.OK {
		t.Fatalf("%+v", v)
	}
	must(t, l.Close())
	must(t, os.WriteFile(filepath.Join(dir, "journal"), old, 0o600))
	if _, err := audit.Open(audit.Config{Dir: dir, Key: key, Origin: "broker.example.org"}); err == nil {
		t.Error("an older copy opens")
	}
	must(t, os.Remove(filepath.Join(dir, "checkpoint")))
	l = history(t, key, dir, 0)
	defer l.Close()
	refused(t, s.show(t, l, 0))
}
