package fleet

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// A known agent enrols again with its own key alone. Another takes its place by a token that
// says so, which the old one cannot use; then the old one is out, and the new one is not.
func TestAKnownAgentIsReplacedOnlyOnPurpose(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	old, fresh := newIdentity(t), newIdentity(t)
	known := session.Fingerprint(old.Public().(ed25519.PublicKey))
	try := func(j Join, as ed25519.PrivateKey) (link.Issued, error) {
		text, err := b.JoinToken(t.Context(), j, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return link.Enrol(t.Context(), link.EnrolRequest{JoinToken: text, Identity: as})
	}
	peer := func(i link.Issued) link.Peer {
		pair, err := i.Certificate()
		if err != nil {
			t.Fatal(err)
		}
		p, err := link.PeerOf(pair.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	again := Join{Site: "NGH", Agent: "ngh-1", Identity: known}
	_, err := try(again, fresh)
	mustRefuse(t, err, session.Denied)
	before, err := try(again, old)
	if err != nil {
		t.Fatalf("the same machine enrols again: %v", err)
	}
	instead := Join{Site: "NGH", Agent: "ngh-1", Identity: known, Replace: true}
	_, err = try(instead, old)
	mustRefuse(t, err, session.Denied)
	if err := b.revoked(t.Context(), peer(before)); err != nil {
		t.Errorf("an attempt shut the agent out: %v", err)
	}
	after, err := try(instead, fresh)
	if err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, b.revoked(t.Context(), peer(before)), session.Denied)
	if err := b.revoked(t.Context(), peer(after)); err != nil {
		t.Errorf("the new machine: %v", err)
	}
	if err := b.Revoke(t.Context(), "NGH", "ngh-1"); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, b.revoked(t.Context(), peer(after)), session.Denied)
}
