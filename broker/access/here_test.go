package access_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// told is a hospital whose people answer on the agent's own page, of which the agent tells.
type told struct {
	*world
	book *book
}

func newTold(t *testing.T, needed int) told {
	w := newWorld(t)
	b := &book{}
	var err error
	w.agent.Needed = needed
	w.Access, err = access.New(access.Config{Documents: w.store, Listing: w.store, Wholes: w.store, Agents: w.agent, Now: w.clock, Audit: b, Log: slog.New(slog.DiscardHandler),
		Issuers: func() []session.Issuer {
			return []session.Issuer{{URL: "https://hospital", Side: session.HospitalSide, Domains: []string{"hospital"}}, {URL: "https://vendor", Side: session.VendorSide}}
		}})
	w.must(err)
	w.must(w.Announce(t.Context(), w.agent.Hello("NGH-PETCT1", "NGH-CT2")))
	return told{w, b}
}

// yes is what the agent tells of an approval by somebody.
func (w told) yes(r access.Request, by person, g []byte) link.Answer {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	token := part(`{"alg":"RS256","kid":"k"}`) + "." + part(`{"iss":"https://hospital","sub":"`+by.who.Sub+`","aud":"console","nonce":"n"}`) + "." + part("x")
	return link.Answer{Request: r.ID, By: by.who, At: w.clock(), Grant: g, Token: token, Salt: make([]byte, 32), Count: 1, Needed: 1, Admitted: true}
}

func (w told) tell(x link.Answer) error { return w.ReportAnswer(w.t.Context(), "NGH", "main", x) }

func (w told) show(r access.Request) access.Request {
	w.t.Helper()
	r, err := w.Get(w.t.Context(), ben, r.ID)
	w.must(err)
	return r
}

// An approval on the agent's page is the request's as if it had come through here, and says
// where it was given. Told twice it counts once.
func TestAnApprovalThatTheAgentTellsOf(t *testing.T) {
	w := newTold(t, 1)
	r, raw := w.submit(ada)
	x := w.yes(r, ben, accesstest.Bytes(w.agent.Grant(raw)))
	w.must(w.tell(x))
	w.must(w.tell(x))
	r = w.show(r)
	if r.Status != session.Approved || len(r.Approved) != 1 || !r.Approved[0].Page || r.Approved[0].By.Sub != "ben" || r.Approvals != 1 {
		t.Errorf("%s, approved by %+v, %d", r.Status, r.Approved, r.Approvals)
	}
	w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(r, 1)))
	approved := 0
	for _, e := range w.book.events {
		if e.Event == witness.Approved {
			approved++
			if e.Who == nil || e.Who.Sub != "ben" || e.Details["where"] != "the agent's own page" || e.Details["told-by"] == "" {
				t.Errorf("%+v", e)
			}
		}
	}
	if approved != 1 {
		t.Errorf("%d approvals are in the log", approved)
	}
}

// said is what a passkey of the agent's page says to a document, by the standard (WebAuthn 6.1
// and 7.2): the broker knows no more of passkeys than that package grant checks them.
func said(t *testing.T, doc []byte) []byte {
	const host, id = "console.ngh.example", "a passkey's name of 32 bytes, yes"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	challenge := sha256.Sum256(append([]byte("sallyport/v1/approve-webauthn\x00"), doc...))
	client := fmt.Appendf(nil, `{"type":"webauthn.get","challenge":%q,"origin":"https://%s","crossOrigin":false}`, base64.RawURLEncoding.EncodeToString(challenge[:]), host)
	bound, of := sha256.Sum256([]byte(host)), sha256.Sum256(client)
	data := append(bound[:], 5, 0, 0, 0, 2) // somebody is there and was recognised; it counted to 2
	digest := sha256.Sum256(append(bytes.Clone(data), of[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	a := grant.Assertion{Page: "https://" + host, Count: 2, At: time.Unix(1_800_000_000, 0).UTC()}
	a.Key.ID, a.Key.Public, a.Key.Count = []byte(id), der, 1
	a.Answer.ID, a.Answer.ClientData, a.Answer.Authenticator, a.Answer.Signature = []byte(id), client, data, signature
	return a.Bytes()
}

// What a passkey said is handed on as it was said, to approvers' own machines alone, and its
// name stands where people read who approved.
func TestWhatAPasskeySaid(t *testing.T) {
	w := newTold(t, 1)
	r, raw := w.submit(ada)
	g := accesstest.Bytes(w.agent.Grant(raw))
	x := w.yes(r, ben, g)
	x.Token, x.Salt, x.Passkey = "", nil, said(t, g)
	w.must(w.tell(x))
	w.must(w.tell(x))
	a, err := grant.ParseAssertion(x.Passkey)
	w.must(err)
	if r = w.show(r); r.Status != session.Approved || len(r.Approved) != 1 || r.Approved[0].Passkey != a.Name() || r.Approved[0].Signed {
		t.Errorf("%s by %+v", r.Status, r.Approved)
	}
	d, err := w.Documents(t.Context(), bea, r.ID)
	w.must(err)
	if len(d.Approvals) != 1 || !bytes.Equal(d.Approvals[0].Passkey, x.Passkey) || d.Approvals[0].Token != "" {
		t.Errorf("%+v", d.Approvals)
	}
	if d, err := w.Documents(t.Context(), ada, r.ID); err != nil || len(d.Approvals) > 0 {
		t.Errorf("its engineer reads %+v, %v", d.Approvals, err)
	}
}

// Where both are asked for, half of an approval is told as half, its other half is taken in
// either way, and it fills no place of a quorum before.
func TestHalfAnApprovalIsToldAsHalf(t *testing.T) {
	w := newTold(t, 2)
	h := w.agent.Hello("NGH-PETCT1")
	h.Assets[0].Policy.ConsoleKeys, h.Assets[0].Policy.Quorum = session.KeysBoth, []session.Quorum{{Group: "it", Count: 1}, {Group: "managers", Count: 1}}
	w.must(w.Announce(t.Context(), h))
	for _, first := range []string{"passkey", "sign-in"} {
		r, raw := w.submit(ada)
		g := accesstest.Bytes(w.agent.Grant(raw))
		token, key := w.yes(r, ben, g), w.yes(r, ben, g)
		token.Count, token.Needed, token.Admitted = 0, 2, false
		key.Token, key.Salt, key.Passkey, key.Count, key.Needed, key.Admitted = "", nil, said(t, g), 0, 2, false
		key.Groups = []string{"it"}
		tells, lacks, then := key, "sign-in", token
		if first == "sign-in" {
			tells, lacks, then = token, "passkey", key
		}
		w.must(w.tell(tells))
		if r = w.show(r); len(r.Halves) != 1 || r.Halves[0].Lacks != lacks || r.Halves[0].By.Sub != "ben" || len(r.Missing) != 2 {
			t.Errorf("after the %s: %+v, missing %v", first, r.Halves, r.Missing)
		}
		if first == "passkey" { // the rest may come through here
			if _, _, err := w.Approve(t.Context(), ben, r.ID, g, accesstest.Proof("ben")); err != nil {
				t.Errorf("the sign-in beside a passkey: %v", err)
			}
		} else {
			if _, _, err := w.Approve(t.Context(), ben, r.ID, g, accesstest.Proof("ben")); session.KindOf(err) != session.Refused {
				t.Errorf("a second sign-in: %v", err)
			}
			w.must(w.tell(then))
		}
		if r = w.show(r); len(r.Halves) != 0 || len(r.Missing) != 1 || r.Missing[0] != "managers" || len(r.Approved) != 1 || !r.Approved[0].Signed {
			t.Errorf("after both, the %s first: %+v, missing %v, by %+v", first, r.Halves, r.Missing, r.Approved)
		}
	}
	r, raw := w.submit(ada)
	x := w.yes(r, ben, accesstest.Bytes(w.agent.Grant(raw)))
	x.Token, x.Salt, x.Passkey, x.Admitted, x.Groups = "", nil, said(t, x.Grant), false, []string{"nobody asked"}
	w.must(w.tell(x))
	if r = w.show(r); len(r.Missing) != 2 {
		t.Errorf("a group for which there is no place fills one: %v", r.Missing)
	}
}

// What an agent cannot know, or may not say, is not taken.
func TestAnswersThatAreNotTaken(t *testing.T) {
	w := newTold(t, 1)
	r, raw := w.submit(ada)
	_, raw2 := w.submit(ada)
	g := accesstest.Bytes(w.agent.Grant(raw))
	for name, change := range map[string]func(*link.Answer){
		"by its engineer":         func(x *link.Answer) { x.By = ada.who },
		"by a vendor's person":    func(x *link.Answer) { x.By.Iss = "https://vendor" },
		"by somebody of nowhere":  func(x *link.Answer) { x.By.Iss = "https://elsewhere" },
		"another request's grant": func(x *link.Answer) { x.Grant = accesstest.Bytes(w.agent.Grant(raw2)) },
		"no grant at all":         func(x *link.Answer) { x.Grant = []byte("{}") },
		"no token":                func(x *link.Answer) { x.Token = "x" },
		"no passkey":              func(x *link.Answer) { x.Passkey = []byte("{}") },
		"a passkey's other words": func(x *link.Answer) { x.Token, x.Salt, x.Passkey = "", nil, said(t, []byte("another grant")) },
		"another site's request":  func(x *link.Answer) { x.Request = session.NewID().Request() },
		"a no without a reason":   func(x *link.Answer) { x.Grant, x.Reason = nil, " " },
	} {
		x := w.yes(r, ben, g)
		change(&x)
		if err := w.tell(x); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, from := range [][2]string{{"XYZ", "main"}, {"NGH", "other"}} {
		if err := w.ReportAnswer(t.Context(), from[0], from[1], w.yes(r, ben, g)); err == nil {
			t.Errorf("%v tells of it", from)
		}
	}
	if r = w.show(r); r.Status != session.Pending || len(r.Approved) != 0 {
		t.Errorf("%s by %v", r.Status, r.Approved)
	}
	x := w.yes(r, ben, g)
	x.By.Email, x.By.Name = "ceo@vendor.example", "https://evil.example"
	w.must(w.tell(x))
	if by := w.show(r).Approved[0].By; by.Email != "" || strings.Contains(by.Name, "evil.example/") {
		t.Errorf("shown as %+v", by)
	}
}

// Two approvers, one there and one here, in either order.
func TestApproversThereAndHere(t *testing.T) {
	w := newTold(t, 2)
	r, raw := w.submit(ada)
	g := accesstest.Bytes(w.agent.Grant(raw))
	first := w.yes(r, ben, g)
	first.Needed, first.Admitted = 2, false
	there := accesstest.Proof("ben") // as the page has it checked
	if v, err := w.agent.Deliver(t.Context(), "NGH", "main", link.Deliver{Kind: link.DeliverApproval, Request: raw, Grant: g, Token: there.Token, Salt: there.Salt}); err != nil || !v.OK {
		t.Fatalf("%+v %v", v, err)
	}
	w.must(w.tell(first))
	if r = w.show(r); r.Status != session.Pending || r.Approvals != 1 {
		t.Fatalf("%s with %d", r.Status, r.Approvals)
	}
	if _, _, err := w.Approve(t.Context(), bea, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("bea")); session.KindOf(err) != session.Refused {
		t.Errorf("other terms: %v", err)
	}
	if _, admitted, err := w.Approve(t.Context(), bea, r.ID, g, accesstest.Proof("bea")); err != nil || !admitted {
		t.Errorf("the second: %v %v", admitted, err)
	}
	r, raw = w.submit(ada)
	g = accesstest.Bytes(w.agent.Grant(raw))
	if _, admitted, err := w.Approve(t.Context(), bea, r.ID, g, accesstest.Proof("bea")); err != nil || admitted {
		t.Fatalf("%v %v", admitted, err)
	}
	second := w.yes(r, ben, g)
	second.Count, second.Needed = 2, 2
	w.must(w.tell(second))
	if r = w.show(r); r.Status != session.Approved || len(r.Approved) != 2 || r.Approved[0].Page || !r.Approved[1].Page {
		t.Errorf("%s by %+v", r.Status, r.Approved)
	}
}

// A no is the request's, once; and a yes that comes after a no is taken back at the agent.
func TestDenialsThatTheAgentTellsOf(t *testing.T) {
	w := newTold(t, 1)
	r, _ := w.submit(ada)
	no := link.Answer{Request: r.ID, By: ben.who, At: w.clock(), Reason: "in use until 15:00"}
	w.must(w.tell(no))
	w.must(w.tell(no))
	if r = w.show(r); r.Status != session.DeniedBy || r.DenyReason != "in use until 15:00" || r.DeniedBy != "ben@hospital" {
		t.Errorf("%s, %q by %s", r.Status, r.DenyReason, r.DeniedBy)
	}
	r, raw := w.submit(ada)
	g := accesstest.Bytes(w.agent.Grant(raw))
	_, err := w.Deny(t.Context(), bea, r.ID, "no")
	w.must(err)
	w.agent.Log = nil
	w.must(w.tell(w.yes(r, ben, g)))
	if r = w.show(r); r.Status != session.DeniedBy || len(r.Approved) != 0 || !strings.Contains(strings.Join(w.agent.Log, " "), "revoke") {
		t.Errorf("%s, approved by %v, told %v", r.Status, r.Approved, w.agent.Log)
	}
	r, _ = w.submit(ada)
	w.advance(48 * time.Hour)
	w.must(w.tell(link.Answer{Request: r.ID, By: ben.who, At: w.clock(), Reason: "too late"}))
	if r = w.show(r); r.Status != session.Lapsed {
		t.Errorf("after its window: %s", r.Status)
	}
}
