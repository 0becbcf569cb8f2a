package grant_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// What an issuer left out counts only against whom the wanted group is missing.
func TestAGroupThatCameCounts(t *testing.T) {
	w := newWorld(t)
	doc := marshal(t, w.request())
	proof := w.ask(doc, map[string]any{"groups": nil, "hasgroups": true, "roles": session.GroupEngineers})
	if _, _, err := w.verifier.CheckRequest(t.Context(), doc, proof, w.now); err != nil {
		t.Error(err)
	}
}

// Each issuer has its own names for the groups, and its own claim for the person.
func TestGroupsAndPeopleAsTheIssuerNamesThem(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.policy.Issuers[1].Tokens = session.Tokens{Subject: "oid", Tenant: "t1", GroupsClaim: "roles", Groups: session.Groups{Approver: "Scanner.Approve"}}
	})
	doc, engineer := w.asked()
	grantDoc := marshal(t, w.grantFor(doc))
	claims := func(oid, role string) map[string]any {
		return map[string]any{"oid": oid, "tid": "t1", "roles": []string{role}}
	}
	_, receipt, err := w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, w.approve(grantDoc, engineer, anna, claims("o-1", "Scanner.Approve")), w.now)
	if err != nil || receipt.Person.Sub != "o-1" {
		t.Fatalf("%+v, %v", receipt.Person, err)
	}
	_, _, err = w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, w.approve(grantDoc, engineer, anna, claims("o-1", session.GroupApprovers)), w.now)
	refusedAs(t, err, session.Denied)
	if !strings.Contains(err.Error(), "group Scanner.Approve") || !strings.Contains(err.Error(), "names "+session.GroupApprovers) {
		t.Errorf("says %q", err)
	}
	if a, err := grant.Audit(t.Context(), w.trust(), doc, engineer, grantDoc, []grant.Receipt{receipt}); err != nil || a.Approvers[0].Err != nil {
		t.Errorf("%v, %v", err, a.Approvers[0].Err)
	}
}

// One human with two clients is one approver, and an engineer is nobody's approver under
// another client's name, whatever each client calls them.
func TestOnePersonApprovesOnce(t *testing.T) {
	entra := session.Tokens{Subject: "oid", Tenant: "t1"}
	w := newWorld(t, func(w *world) { w.policy.Issuers[1].Tokens = entra }, asset(func(p *session.Policy) {
		p.Approvals, p.Accept.Approver = 2, []session.ClientClass{session.Console, session.Web}
	}))
	doc, engineer := w.asked()
	grantDoc := marshal(t, w.grantFor(doc))
	by := func(client, sub, oid string) grant.Receipt {
		salt := grant.NewSalt()
		token := w.token(w.hospital, client, grant.ApproveNonce(grantDoc, engineer.Proof.Token, salt), anna, map[string]any{"sub": sub, "oid": oid, "tid": "t1"})
		_, r, err := w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, grant.Proof{Token: token, Salt: salt[:]}, w.now)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	console, web, other := by("sallyport-console", "pairwise-1", "o1"), by("sallyport-web", "pairwise-2", "o1"), by("sallyport-web", "pairwise-1", "o2")
	_, err := w.verifier.Verify(doc, engineer, grantDoc, []grant.Receipt{console, web}, w.now)
	refusedAs(t, err, session.Refused)
	if !strings.Contains(err.Error(), "same person") {
		t.Errorf("says %q", err)
	}
	if _, err := w.verifier.Verify(doc, engineer, grantDoc, []grant.Receipt{console, other}, w.now); err != nil {
		t.Error(err)
	}
}

func TestAnEngineerDoesNotApproveByAnotherClient(t *testing.T) {
	w := newWorld(t, oneIssuer, func(w *world) {
		for i := range w.policy.Issuers {
			w.policy.Issuers[i].Tokens = session.Tokens{Subject: "oid", Tenant: "t1"}
		}
	})
	claims := map[string]any{"oid": "o1", "tid": "t1", "groups": []string{session.GroupEngineers, session.GroupApprovers}}
	r := w.request()
	r.Eng.Sub = "o1"
	doc := marshal(t, r)
	_, engineer, err := w.verifier.CheckRequest(t.Context(), doc, w.ask(doc, claims), w.now)
	if err != nil {
		t.Fatal(err)
	}
	grantDoc := marshal(t, w.grantFor(doc))
	_, _, err = w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, w.approve(grantDoc, engineer, anna, claims), w.now)
	refusedAs(t, err, session.Denied)
	if !strings.Contains(err.Error(), "their own") {
		t.Errorf("says %q", err)
	}
}
