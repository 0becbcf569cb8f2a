package grant_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/passkey"
	"github.com/sallyport/sallyport/session/passkey/passkeytest"
)

const (
	console = "console.ngh.example"
	origin  = "https://console.ngh.example:8443"
)

// ring is a keyring in memory.
type ring map[string]grant.Registered

func (r ring) Find(id []byte) (grant.Registered, bool) {
	k, ok := r[string(id)]
	return k, ok
}

// keyed is a world in which passkeys count, of one scanner.
type keyed struct {
	*world
	ring ring
	page passkey.Page
}

func newKeyed(t testing.TB, keys session.ConsoleKeys, change ...func(*world)) *keyed {
	t.Helper()
	page, err := passkey.At(origin)
	if err != nil {
		t.Fatal(err)
	}
	k := &keyed{ring: ring{}, page: page}
	k.world = newWorld(t, append(change, asset(func(p *session.Policy) { p.ConsoleKeys = keys }), func(w *world) {
		w.policy.Keyring, w.policy.Page = k.ring, page
	})...)
	return k
}

// registers is a passkey of somebody, as the agent would keep it.
func (k *keyed) registers(who person) *passkeytest.Device {
	k.t.Helper()
	d := passkeytest.New(console, origin)
	challenge := grant.NewSalt()
	client, attestation := d.Register(challenge)
	key, err := k.page.Register(challenge, client, attestation)
	if err != nil {
		k.t.Fatal(err)
	}
	k.ring[string(key.ID)] = grant.Registered{Key: key, Groups: []string{who.group}, Since: k.now,
		Person: session.Person{Identity: session.Identity{Iss: k.hospital, Sub: who.sub}, Email: who.sub + "@example.org", Name: who.sub}}
	return d
}

// used keeps how far a key has counted, as an agent does.
func (k *keyed) used(r grant.Receipt) grant.Receipt {
	known := k.ring[string(r.Passkey.Key.ID)]
	known.Key.Count = r.Passkey.Count
	k.ring[string(r.Passkey.Key.ID)] = known
	return r
}

func (k *keyed) pressed(request []byte, engineer grant.Receipt, doc []byte, d *passkeytest.Device) grant.Receipt {
	k.t.Helper()
	_, r, err := k.verifier.CheckPasskey(request, engineer, doc, d.Answer(passkey.Challenge(doc)), k.now)
	if err != nil {
		k.t.Fatal(err)
	}
	return k.used(r)
}

// A passkey stands for its owner's sign-in where the asset says so, with nobody asked.
func TestAPasskeyOpensTheDoor(t *testing.T) {
	k := newKeyed(t, session.KeysInstead)
	d := k.registers(anna)
	request, engineer := k.asked()
	doc := marshal(t, k.grantFor(request))
	k.now = k.now.Add(time.Hour) // slow approvers lose nothing
	r := k.pressed(request, engineer, doc, d)
	if r.Person.Sub != "anna" || r.Client != session.Console || !r.Received.Equal(k.now) || !r.SignedIn().Equal(k.now) || r.Passkey.Page != origin || r.Passkey.Count <= r.Passkey.Key.Count {
		t.Errorf("receipt %+v", r)
	}
	kept := marshalled(t, r) // as a ledger keeps it
	v, err := k.verifier.Verify(request, engineer, doc, []grant.Receipt{kept}, k.now)
	if err != nil || len(v.Approvers()) != 1 || v.Approvers()[0].Passkey == nil {
		t.Fatal(err)
	}
	if _, err := grant.Recall(request, engineer, doc, v.Approvers()); err != nil {
		t.Error(err)
	}
	v.Approvers()[0].Passkey.Answer.Signature[4] ^= 1
	if _, err := grant.Recall(request, engineer, doc, v.Approvers()); err != nil {
		t.Error("a caller's change came through")
	}
	found, err := grant.Audit(t.Context(), k.trusts(), request, engineer, doc, v.Approvers())
	if err != nil || found.Approvers[0].Err != nil {
		t.Error(err, found.Approvers)
	}
}

func marshalled(t testing.TB, r grant.Receipt) (back grant.Receipt) {
	t.Helper()
	b, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func (k *keyed) trusts() session.Trust {
	t := k.trust()
	for _, r := range k.ring {
		t.ConsoleKeys = append(t.ConsoleKeys, session.ConsoleKey{ID: r.Key.ID, Public: r.Key.Public, Host: console, Owner: r.Person.Identity, Since: r.Since})
	}
	return t
}

func TestPasskeysThatDoNotCount(t *testing.T) {
	rows := []struct {
		name   string
		kind   session.Kind
		answer func(k *keyed, d *passkeytest.Device, doc []byte) passkey.Answer
	}{
		{"on a page of the broker", session.Denied, func(_ *keyed, d *passkeytest.Device, doc []byte) passkey.Answer {
			d.Origin = "https://sallyport.meridian.example"
			return d.Answer(passkey.Challenge(doc))
		}},
		{"on another port of the host", session.Denied, func(_ *keyed, d *passkeytest.Device, doc []byte) passkey.Answer {
			d.Origin = "https://" + console
			return d.Answer(passkey.Challenge(doc))
		}},
		{"bound to another host", session.Denied, func(_ *keyed, d *passkeytest.Device, doc []byte) passkey.Answer {
			d.Host = "sallyport.meridian.example"
			return d.Answer(passkey.Challenge(doc))
		}},
		{"another challenge", session.Denied, func(_ *keyed, d *passkeytest.Device, _ []byte) passkey.Answer {
			return d.Answer([32]byte{1})
		}},
		{"another grant's", session.Denied, func(k *keyed, d *passkeytest.Device, doc []byte) passkey.Answer {
			request, _ := k.asked()
			return d.Answer(passkey.Challenge(marshal(k.t, k.grantFor(request))))
		}},
		{"the grant in its token's commitment", session.Denied, func(_ *keyed, d *passkeytest.Device, doc []byte) passkey.Answer {
			return d.Answer(grant.GrantHash(doc))
		}},
		{"somebody who is not recognised", session.Denied, func(_ *keyed, d *passkeytest.Device, doc []byte) passkey.Answer {
			d.Flags = passkeytest.Present
			return d.Answer(passkey.Challenge(doc))
		}},
		{"nobody there", session.Denied, func(_ *keyed, d *passkeytest.Device, doc []byte) passkey.Answer {
			d.Flags = passkeytest.Verified
			return d.Answer(passkey.Challenge(doc))
		}},
		{"a copy that counted less far", session.Denied, func(k *keyed, d *passkeytest.Device, doc []byte) passkey.Answer {
			c := d.Copy()
			known := k.ring[string(d.ID)]
			known.Key.Count = d.Count + 1 // the true one was used meanwhile
			k.ring[string(d.ID)] = known
			return c.Answer(passkey.Challenge(doc))
		}},
		{"never registered", session.Denied, func(_ *keyed, _ *passkeytest.Device, doc []byte) passkey.Answer {
			return passkeytest.New(console, origin).Answer(passkey.Challenge(doc))
		}},
		{"under another's name", session.Denied, func(k *keyed, d *passkeytest.Device, doc []byte) passkey.Answer {
			a := passkeytest.New(console, origin).Answer(passkey.Challenge(doc))
			a.ID = d.ID
			return a
		}},
		{"revoked", session.Denied, func(k *keyed, d *passkeytest.Device, doc []byte) passkey.Answer {
			delete(k.ring, string(d.ID))
			return d.Answer(passkey.Challenge(doc))
		}},
		{"of somebody who was no approver", session.Denied, func(k *keyed, _ *passkeytest.Device, doc []byte) passkey.Answer {
			return k.registers(person{"carl", "nurses"}).Answer(passkey.Challenge(doc))
		}},
		{"of an identity provider that is the vendor's", session.Denied, func(k *keyed, d *passkeytest.Device, doc []byte) passkey.Answer {
			known := k.ring[string(d.ID)]
			known.Person.Iss = k.vendor
			k.ring[string(d.ID)] = known
			return d.Answer(passkey.Challenge(doc))
		}},
		{"nothing", session.Denied, func(*keyed, *passkeytest.Device, []byte) passkey.Answer { return passkey.Answer{} }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			k := newKeyed(t, session.KeysInstead)
			d := k.registers(anna)
			request, engineer := k.asked()
			doc := marshal(t, k.grantFor(request))
			_, r, err := k.verifier.CheckPasskey(request, engineer, doc, row.answer(k, d, doc), k.now)
			refusedAs(t, err, row.kind)
			if r.Role != "" {
				t.Error("a receipt came back with the refusal")
			}
		})
	}
}

// What an asset's policy does not count is refused, and the default counts none.
func TestPasskeysWhereTheyAreNotCounted(t *testing.T) {
	for _, keys := range []session.ConsoleKeys{"", session.KeysNone} {
		k := newKeyed(t, keys)
		request, engineer := k.asked()
		doc := marshal(t, k.grantFor(request))
		_, _, err := k.verifier.CheckPasskey(request, engineer, doc, k.registers(anna).Answer(passkey.Challenge(doc)), k.now)
		refusedAs(t, err, session.Refused)
	}
	// One that was taken before the policy changed stands for nothing.
	k := newKeyed(t, session.KeysInstead)
	request, engineer := k.asked()
	doc := marshal(t, k.grantFor(request))
	r := k.pressed(request, engineer, doc, k.registers(anna))
	a := k.policy.Assets["NGH-PETCT1"]
	a.Policy.ConsoleKeys = session.KeysNone
	k.policy.Assets["NGH-PETCT1"] = a
	strict, err := grant.NewVerifier(k.policy, k.keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strict.Verify(request, engineer, doc, []grant.Receipt{r}, k.now); !errors.Is(err, grant.ErrMoreApprovals) {
		t.Error(err)
	}
}

// A policy that nobody could follow is refused when it is read.
func TestPasskeysWithoutAPage(t *testing.T) {
	for name, change := range map[string]func(*world){
		"no page":             func(w *world) { w.policy.Page = passkey.Page{} },
		"no keyring":          func(w *world) { w.policy.Keyring = nil },
		"unknown":             asset(func(p *session.Policy) { p.ConsoleKeys = "sometimes" }),
		"only the web's page": asset(func(p *session.Policy) { p.Accept.Approver = []session.ClientClass{session.Web} }),
	} {
		k := newKeyed(t, session.KeysInstead)
		change(k.world)
		if _, err := grant.NewVerifier(k.policy, k.keys); session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Where both are asked for, token and passkey of one person make one approval, in either
// order, and each alone none. One person's never complete another's.
func TestTokenAndPasskey(t *testing.T) {
	k := newKeyed(t, session.KeysBoth)
	annas, bernds := k.registers(anna), k.registers(bernd)
	request, engineer := k.asked()
	doc := marshal(t, k.grantFor(request))
	token, key := k.approved(request, engineer, doc, anna), k.pressed(request, engineer, doc, annas)
	other := k.pressed(request, engineer, doc, bernds)
	for name, have := range map[string][]grant.Receipt{"token": {token}, "passkey": {key}, "token of one, passkey of another": {token, other}} {
		if _, err := k.verifier.Verify(request, engineer, doc, have, k.now); !errors.Is(err, grant.ErrMoreApprovals) {
			t.Errorf("%s: %v", name, err)
		}
		if !k.verifier.Helps("NGH-PETCT1", have, other) {
			t.Errorf("%s: nobody else may help", name)
		}
	}
	for _, pair := range [][2]grant.Receipt{{token, key}, {key, token}} {
		whole, more := pair[0].With(pair[1])
		v, err := k.verifier.Verify(request, engineer, doc, []grant.Receipt{marshalled(t, whole)}, k.now)
		if err != nil || !more || len(v.Approvers()) != 1 || v.Approvers()[0].Passkey == nil || v.Approvers()[0].Proof.Token == "" {
			t.Fatalf("%v %v", more, err)
		}
		if _, more := whole.With(pair[0]); more {
			t.Error("what was there adds something")
		}
		if _, err := k.verifier.Verify(request, engineer, doc, []grant.Receipt{whole, other}, k.now); err != nil {
			t.Error("somebody else's half stops a whole one:", err)
		}
		if found, err := grant.Audit(t.Context(), k.trusts(), request, engineer, doc, v.Approvers()); err != nil || found.Approvers[0].Err != nil {
			t.Error(err, found)
		}
	}
	if _, more := token.With(other); more {
		t.Error("a passkey of another person joins")
	}
}

// One person is one approver, by however many proofs; the engineer is none.
func TestOnePersonByTokenAndPasskey(t *testing.T) {
	k := newKeyed(t, session.KeysInstead, oneIssuer, asset(func(p *session.Policy) { p.Approvals = 2 }))
	request, engineer := k.asked()
	doc := marshal(t, k.grantFor(request))
	token, key := k.approved(request, engineer, doc, anna), k.pressed(request, engineer, doc, k.registers(anna))
	second := k.pressed(request, engineer, doc, k.registers(anna))
	whole, _ := token.With(key)
	for name, have := range map[string][]grant.Receipt{"token and passkey": {token, key}, "two passkeys": {key, second}, "joined": {whole}} {
		if _, err := k.verifier.Verify(request, engineer, doc, have, k.now); err == nil {
			t.Errorf("%s of one person are two approvals", name)
		}
	}
	if _, err := k.verifier.Verify(request, engineer, doc, []grant.Receipt{token, k.pressed(request, engineer, doc, k.registers(bernd))}, k.now); err != nil {
		t.Error(err)
	}
	_, _, err := k.verifier.CheckPasskey(request, engineer, doc, k.registers(person{eva.sub, session.GroupApprovers}).Answer(passkey.Challenge(doc)), k.now)
	refusedAs(t, err, session.Denied) // the engineer, under another hat
}

// An approval by a passkey that was revoked before the last approver came does not count.
func TestARevokedPasskeyOpensNothing(t *testing.T) {
	k := newKeyed(t, session.KeysInstead, asset(func(p *session.Policy) { p.Approvals = 2 }))
	annas := k.registers(anna)
	request, engineer := k.asked()
	doc := marshal(t, k.grantFor(request))
	have := []grant.Receipt{k.pressed(request, engineer, doc, annas), k.approved(request, engineer, doc, bernd)}
	if _, err := k.verifier.Verify(request, engineer, doc, have, k.now); err != nil {
		t.Fatal(err)
	}
	delete(k.ring, string(annas.ID))
	if _, err := k.verifier.Verify(request, engineer, doc, have, k.now); !errors.Is(err, grant.ErrMoreApprovals) {
		t.Error(err)
	}
}

// What comes as a token is judged as a token, whatever stands in it: no passkey's answer
// gets in by the way on which the broker delivers.
func TestAPasskeysAnswerIsNoToken(t *testing.T) {
	k := newKeyed(t, session.KeysInstead)
	request, engineer := k.asked()
	doc := marshal(t, k.grantFor(request))
	answer := k.registers(anna).Answer(passkey.Challenge(doc))
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	salt := grant.NewSalt()
	for _, token := range []string{string(text), b64(answer.ClientData) + "." + b64(answer.Authenticator) + "." + b64(answer.Signature), ""} {
		_, r, err := k.verifier.CheckApproval(t.Context(), request, engineer, doc, grant.Proof{Token: token, Salt: salt[:]}, k.now)
		if err == nil || r.Role != "" {
			t.Errorf("%.40q counts", token)
		}
	}
}

// Whatever is exchanged after the fact is found, by who verifies and by who restarts.
func TestAuditOfAPasskeyFindsWhatWasExchanged(t *testing.T) {
	k := newKeyed(t, session.KeysInstead)
	annas, bernds := k.registers(anna), k.registers(bernd)
	request, engineer := k.asked()
	doc := marshal(t, k.grantFor(request))
	good, other := k.pressed(request, engineer, doc, annas), k.pressed(request, engineer, doc, bernds)
	token := k.approved(request, engineer, doc, anna)
	for what, change := range map[string]func(a *grant.Receipt, b *session.Trust){
		"the grant's bytes":        func(a *grant.Receipt, _ *session.Trust) { a.Subject[0]++ },
		"the answer":               func(a *grant.Receipt, _ *session.Trust) { a.Passkey.Answer = other.Passkey.Answer },
		"the key":                  func(a *grant.Receipt, _ *session.Trust) { a.Passkey.Key.Public = other.Passkey.Key.Public },
		"the whole passkey":        func(a *grant.Receipt, _ *session.Trust) { a.Passkey = other.Passkey },
		"the owner":                func(a *grant.Receipt, _ *session.Trust) { a.Person.Identity = other.Person.Identity },
		"the page":                 func(a *grant.Receipt, _ *session.Trust) { a.Passkey.Page = "https://sallyport.meridian.example" },
		"the page's spelling":      func(a *grant.Receipt, _ *session.Trust) { a.Passkey.Page += "/" },
		"how far it counted":       func(a *grant.Receipt, _ *session.Trust) { a.Passkey.Count++ },
		"the time":                 func(a *grant.Receipt, _ *session.Trust) { a.Received = a.Received.Add(time.Minute) },
		"no time":                  func(a *grant.Receipt, _ *session.Trust) { a.Received, a.Passkey.At = time.Time{}, time.Time{} },
		"the kind of program":      func(a *grant.Receipt, _ *session.Trust) { a.Client = session.Web },
		"the group":                func(a *grant.Receipt, _ *session.Trust) { a.Groups = []string{"nurses"} },
		"a key that stands beside": func(a *grant.Receipt, _ *session.Trust) { a.Key, a.KeyID = token.Key, "k1" },
		"no passkey":               func(a *grant.Receipt, _ *session.Trust) { a.Passkey = nil },
		"a token of another grant beside it": func(a *grant.Receipt, _ *session.Trust) {
			a.Proof = k.approve(marshal(t, k.grantFor(request)), engineer, anna, nil)
		},
		"revoked before":      func(_ *grant.Receipt, b *session.Trust) { b.ConsoleKeys[0].Until = k.now.Add(-time.Second) },
		"registered after":    func(_ *grant.Receipt, b *session.Trust) { b.ConsoleKeys[0].Since = k.now.Add(time.Second) },
		"not in the bundle":   func(_ *grant.Receipt, b *session.Trust) { b.ConsoleKeys = nil },
		"the bundle's page":   func(_ *grant.Receipt, b *session.Trust) { b.ConsoleKeys[0].Host = "x.example" },
		"no hospital's side":  func(_ *grant.Receipt, b *session.Trust) { b.Issuers = b.Issuers[:1] },
		"another person's":    func(_ *grant.Receipt, b *session.Trust) { b.ConsoleKeys[0].Owner.Sub = "bernd" },
		"another key by name": func(_ *grant.Receipt, b *session.Trust) { b.ConsoleKeys[0].Public = other.Passkey.Key.Public },
	} {
		a, bundle := marshalled(t, good), k.trust()
		bundle.ConsoleKeys = []session.ConsoleKey{{ID: annas.ID, Public: a.Passkey.Key.Public, Host: console, Owner: a.Person.Identity, Since: k.now},
			{ID: bernds.ID, Public: other.Passkey.Key.Public, Host: console, Owner: other.Person.Identity, Since: k.now}}
		change(&a, &bundle)
		found, err := grant.Audit(t.Context(), bundle, request, engineer, doc, []grant.Receipt{a})
		if err == nil && found.Approvers[0].Err == nil {
			t.Errorf("%s: not found", what)
		}
		if open := err == nil && found.Approvers[0].Open(); open != (what == "not in the bundle") {
			t.Errorf("%s: left open: %v", what, open)
		}
	}
}

// An approver's own machine checks what another's passkey said as an audit does, with no word
// of the broker's but when that was.
func TestAConsoleChecksAPasskey(t *testing.T) {
	k := newKeyed(t, session.KeysInstead)
	annas, bernds := k.registers(anna), k.registers(bernd)
	request, engineer := k.asked()
	doc, elsewhere := marshal(t, k.grantFor(request)), marshal(t, k.grantFor(request))
	good, other := k.pressed(request, engineer, doc, annas), k.pressed(request, engineer, doc, bernds)
	for what, change := range map[string]func(a *grant.Assertion, doc *[]byte, b *session.Trust){
		"":                   func(*grant.Assertion, *[]byte, *session.Trust) {},
		"another grant":      func(_ *grant.Assertion, doc *[]byte, _ *session.Trust) { *doc = elsewhere },
		"another's answer":   func(a *grant.Assertion, _ *[]byte, _ *session.Trust) { a.Answer = other.Passkey.Answer },
		"another's key":      func(a *grant.Assertion, _ *[]byte, _ *session.Trust) { a.Key.Public = other.Passkey.Key.Public },
		"another's passkey":  func(a *grant.Assertion, _ *[]byte, _ *session.Trust) { *a = *other.Passkey },
		"another page":       func(a *grant.Assertion, _ *[]byte, _ *session.Trust) { a.Page = "https://sallyport.meridian.example" },
		"how far it counted": func(a *grant.Assertion, _ *[]byte, _ *session.Trust) { a.Count++ },
		"revoked before": func(_ *grant.Assertion, _ *[]byte, b *session.Trust) {
			b.ConsoleKeys[0].Until = k.now.Add(-time.Second)
		},
		"registered after":  func(_ *grant.Assertion, _ *[]byte, b *session.Trust) { b.ConsoleKeys[0].Since = k.now.Add(time.Second) },
		"not in the bundle": func(_ *grant.Assertion, _ *[]byte, b *session.Trust) { b.ConsoleKeys = nil },
		"the bundle's page": func(_ *grant.Assertion, _ *[]byte, b *session.Trust) { b.ConsoleKeys[0].Host = "x.example" },
		"the bundle's key": func(_ *grant.Assertion, _ *[]byte, b *session.Trust) {
			b.ConsoleKeys[0].Public = other.Passkey.Key.Public
		},
		"no hospital's owner": func(_ *grant.Assertion, _ *[]byte, b *session.Trust) { b.ConsoleKeys[0].Owner.Iss = k.vendor },
	} {
		a, err := grant.ParseAssertion(good.Passkey.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		bundle, shown := k.trust(), doc
		bundle.ConsoleKeys = []session.ConsoleKey{{ID: annas.ID, Public: a.Key.Public, Host: console, Owner: good.Person.Identity, Since: k.now}}
		change(a, &shown, &bundle)
		c, err := grant.NewConsole(bundle, k.keys)
		if err != nil {
			t.Fatal(err)
		}
		if by, err := c.CheckPasskey(shown, a); (err == nil) != (what == "") || err == nil && by != good.Person.Identity {
			t.Errorf("%q: %+v, %v", what, by, err)
		}
	}
}

// FuzzParseAssertion: what is read has one form, and is safe to check and to name.
func FuzzParseAssertion(f *testing.F) {
	d := passkeytest.New(console, origin)
	client, attestation := d.Register([32]byte{1})
	page, err := passkey.At(origin)
	if err != nil {
		f.Fatal(err)
	}
	key, err := page.Register([32]byte{1}, client, attestation)
	if err != nil {
		f.Fatal(err)
	}
	doc := []byte("a grant")
	said := &grant.Assertion{Page: page.Origin(), Key: key, Answer: d.Answer(passkey.Challenge(doc)), Count: 2, At: time.Unix(1_800_000_000, 0).UTC()}
	if err := said.Check(doc); err != nil {
		f.Fatal(err)
	}
	f.Add(said.Bytes())
	f.Add(append(said.Bytes(), ' '))
	f.Add([]byte(`{"page":"","key":{"id":null,"public":null,"count":0},"answer":{"id":null,"client_data":null,"authenticator_data":null,"signature":null},"count":0,"at":"0001-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := grant.ParseAssertion(b)
		if err != nil {
			return
		}
		if string(a.Bytes()) != string(b) || len(b) > session.MaxAssertion {
			t.Fatalf("%q is read as %q", b, a.Bytes())
		}
		_ = a.Name()
		if a.Check([]byte("another grant")) == nil {
			t.Fatal("it answers to what was never asked")
		}
	})
}
