package grant_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"crypto/rand"
	"crypto/rsa"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

func (w *world) trust() session.Trust {
	return session.Trust{V: 1, Site: "NGH", Agent: "ngh-1", Identity: session.KeyLine(w.identity), Issuers: slices.Clone(w.policy.Issuers)}
}

// What the agent took holds years later, without a network, with the kept keys.
func TestAudit(t *testing.T) {
	w := newWorld(t)
	request, engineer := w.asked()
	doc := marshal(t, w.grantFor(request))
	approvals := []grant.Receipt{w.approved(request, engineer, doc, anna), w.approved(request, engineer, doc, bernd)}
	a, err := grant.Audit(t.Context(), w.trust(), request, engineer, doc, approvals)
	if err != nil || a.Engineer.Err != nil || len(a.Approvers) != 2 || a.Approvers[0].Err != nil || a.Approvers[1].Err != nil {
		t.Fatalf("%v, %+v", err, a)
	}
	if a.Request.Reason != w.request().Reason || a.Engineer.Receipt.Person.Sub != eva.sub || a.Approvers[1].Receipt.Person.Sub != bernd.sub {
		t.Errorf("%+v", a)
	}
}

// Whatever is exchanged after the fact is found.
func TestAuditFindsWhatWasExchanged(t *testing.T) {
	w := newWorld(t)
	request, engineer := w.asked()
	doc := marshal(t, w.grantFor(request))
	approval := w.approved(request, engineer, doc, anna)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: stranger.Public(), KeyID: "k1", Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	_, otherEngineer := w.asked()
	for what, change := range map[string]func(e, a *grant.Receipt, docs *[2][]byte, t *session.Trust){
		"engineer's key":     func(e, _ *grant.Receipt, _ *[2][]byte, _ *session.Trust) { e.Key = jwk },
		"approver's key":     func(_, a *grant.Receipt, _ *[2][]byte, _ *session.Trust) { a.Key = jwk },
		"no key":             func(_, a *grant.Receipt, _ *[2][]byte, _ *session.Trust) { a.Key = nil },
		"engineer's salt":    func(e, _ *grant.Receipt, _ *[2][]byte, _ *session.Trust) { e.Proof.Salt = make([]byte, 32) },
		"approver's salt":    func(_, a *grant.Receipt, _ *[2][]byte, _ *session.Trust) { a.Proof.Salt = make([]byte, 32) },
		"engineer's token":   func(e, _ *grant.Receipt, _ *[2][]byte, _ *session.Trust) { *e = otherEngineer },
		"approver's name":    func(_, a *grant.Receipt, _ *[2][]byte, _ *session.Trust) { a.Person.Email = "x@example.org" },
		"approver's account": func(_, a *grant.Receipt, _ *[2][]byte, _ *session.Trust) { a.Person.Sub = "bernd" },
		"received later":     func(_, a *grant.Receipt, _ *[2][]byte, _ *session.Trust) { a.Received = a.Received.AddDate(0, 0, 1) },
		"received before":    func(e, _ *grant.Receipt, _ *[2][]byte, _ *session.Trust) { e.Received = e.Received.AddDate(0, 0, -1) },
		"request's bytes":    func(_, _ *grant.Receipt, d *[2][]byte, _ *session.Trust) { d[0] = marshal(t, w.request()) },
		"grant's bytes":      func(_, _ *grant.Receipt, d *[2][]byte, _ *session.Trust) { d[1] = marshal(t, w.grantFor(request)) },
		"site":               func(_, _ *grant.Receipt, _ *[2][]byte, b *session.Trust) { b.Site = "XYZ" },
		"agent":              func(_, _ *grant.Receipt, _ *[2][]byte, b *session.Trust) { b.Identity = keyLine(9) },
		"group":              func(_, _ *grant.Receipt, _ *[2][]byte, b *session.Trust) { b.Issuers[0].Groups.Engineer = "others" },
		"approvers' group":   func(_, _ *grant.Receipt, _ *[2][]byte, b *session.Trust) { b.Issuers[1].Groups.Approver = "others" },
	} {
		e, a, docs, bundle := engineer, approval, [2][]byte{request, doc}, w.trust()
		change(&e, &a, &docs, &bundle)
		got, err := grant.Audit(t.Context(), bundle, docs[0], e, docs[1], []grant.Receipt{a})
		if err == nil && got.Engineer.Err == nil && got.Approvers[0].Err == nil {
			t.Errorf("%s: not found", what)
		}
	}
	if _, err := grant.Audit(t.Context(), w.trust(), request, engineer, doc, nil); err == nil {
		t.Error("nobody approved, and nobody minds")
	}
	if _, err := grant.Audit(t.Context(), w.trust(), request, engineer, doc, []grant.Receipt{approval, approval}); err == nil {
		t.Error("one approver counts twice")
	}
}

// An issuer that the bundle does not name makes a token neither right nor wrong.
func TestAuditOfAnUnknownIssuer(t *testing.T) {
	w := newWorld(t)
	request, engineer := w.asked()
	doc := marshal(t, w.grantFor(request))
	bundle := w.trust()
	bundle.Issuers = bundle.Issuers[1:]
	a, err := grant.Audit(t.Context(), bundle, request, engineer, doc, []grant.Receipt{w.approved(request, engineer, doc, anna)})
	if err != nil || !errors.Is(a.Engineer.Err, grant.ErrNotPinned) || a.Approvers[0].Err != nil {
		t.Errorf("%v, %v, %v", err, a.Engineer.Err, a.Approvers)
	}
}
