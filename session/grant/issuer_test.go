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
