package grant_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// Entra ID dates iat and nbf back by five minutes. The login counts by the time at which
// the agent received the token, for as long as the issuer's entry says; the audit of
// later years takes the time of receipt that was kept.
func TestFreshnessCountsByReceipt(t *testing.T) {
	w := newWorld(t, func(w *world) { w.policy.Issuers[1].Fresh = "3m" })
	doc, engineer := w.asked()
	grantDoc := marshal(t, w.grantFor(doc))
	at := w.now.Unix()
	entra := func(auth int64) map[string]any {
		return map[string]any{"iat": auth - 300, "nbf": auth - 300, "exp": auth + 3900, "auth_time": auth}
	}
	proof := w.approve(grantDoc, engineer, anna, entra(at-175))
	_, receipt, err := w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, proof, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if !receipt.SignedIn().Equal(w.now.Add(-175*time.Second)) || !receipt.IssuedAt.Equal(w.now.Add(-475*time.Second)) {
		t.Errorf("signed in %v, issued %v", receipt.SignedIn(), receipt.IssuedAt)
	}
	w.now = w.now.Add(40 * time.Second)
	_, _, err = w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, proof, w.now)
	refusedAs(t, err, session.Refused)

	audit := func(trust session.Trust) error {
		a, err := grant.Audit(t.Context(), trust, doc, engineer, grantDoc, []grant.Receipt{receipt})
		if err != nil {
			t.Fatal(err)
		}
		return a.Approvers[0].Err
	}
	if err := audit(w.trust()); err != nil {
		t.Error(err)
	}
	receipt.Received = receipt.Received.Add(40 * time.Second)
	if audit(w.trust()) == nil {
		t.Error("a login that was too old when the token came in passes the audit")
	}
}

// How long a login counts has an end that no configuration moves.
func TestFreshnessIsBounded(t *testing.T) {
	for _, fresh := range []string{"6m", "0s", "-1m", "soon", "999ms"} {
		w := newWorld(t)
		w.policy.Issuers[1].Fresh = fresh
		_, err := grant.NewVerifier(w.policy, w.keys)
		refusedAs(t, err, session.Invalid)
	}
}
