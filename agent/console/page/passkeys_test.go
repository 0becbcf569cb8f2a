package page

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/passkey"
	"github.com/sallyport/sallyport/session/passkey/passkeytest"
)

// safe is a keyring that believes what a page tells it, and writes it down.
type safe struct {
	*hospital
	page passkey.Page
	keys []passkey.Key
}

func (k *safe) Fresh(_ context.Context, _, token string) (grant.Visit, error) {
	k.set(func() { k.did = append(k.did, "fresh") })
	who := "maya"
	if strings.Contains(k.nonce, "other") {
		who = "other"
	}
	return grant.Visit{Person: session.Person{Identity: session.Identity{Iss: k.URL, Sub: who}}, Approver: true}, nil
}

func (k *safe) Register(_ grant.Visit, challenge [32]byte, client, attestation []byte) (Passkey, error) {
	key, err := k.page.Register(challenge, client, attestation)
	if err != nil {
		return Passkey{}, err
	}
	k.set(func() { k.did = append(k.did, "register"); k.keys = append(k.keys, key) })
	return Passkey{Name: "K-1", ID: key.ID}, nil
}

func (k *safe) Of(session.Identity) (all []Passkey, err error) {
	k.set(func() {
		for _, x := range k.keys {
			all = append(all, Passkey{Name: "K-1", ID: x.ID, Since: time.Unix(0, 0)})
		}
	})
	return all, nil
}

func (k *safe) Revoke(name string, _ session.Identity) error {
	k.set(func() { k.did = append(k.did, "revoke "+name); k.keys = nil })
	return nil
}

func (k *safe) check(challenge [32]byte, a passkey.Answer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) == 0 {
		return session.Errorf(session.Denied, "This passkey is not registered here.")
	}
	count, err := k.page.Check(k.keys[0], challenge, a)
	if err == nil {
		k.keys[0].Count = count
	}
	return err
}

func (k *safe) Enter(challenge [32]byte, a passkey.Answer) (Visitor, error) {
	if err := k.check(challenge, a); err != nil {
		return Visitor{}, err
	}
	k.set(func() { k.did = append(k.did, "enter") })
	return Visitor{Person: session.Person{Identity: session.Identity{Iss: k.URL, Sub: "maya"}}, Name: "Maya", Approves: true, Key: "K-1"}, nil
}

func (k *safe) Press(_ context.Context, d *Draft, who Visitor, a passkey.Answer) (Outcome, error) {
	if err := k.check(passkey.Challenge(d.Grant), a); err != nil {
		return Outcome{}, err
	}
	k.set(func() { k.did = append(k.did, "press "+d.Request.ID+" "+who.Name) })
	return Outcome{"Approved and admitted", "Fine."}, nil
}

// fields are an answer as the page's script sends it.
func fields(a passkey.Answer, more url.Values) url.Values {
	v := url.Values{"id": {text64(a.ID)}, "client_data": {text64(a.ClientData)}, "authenticator_data": {text64(a.Authenticator)}, "signature": {text64(a.Signature)}}
	for name, x := range more {
		v[name] = x
	}
	return v
}

// challengeOf is what a page asks a passkey.
func challengeOf(t *testing.T, body string) (c [32]byte) {
	t.Helper()
	_, rest, _ := strings.Cut(body, `data-challenge="`)
	text, _, ok := strings.Cut(rest, `"`)
	b, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil || copy(c[:], b) != 32 {
		t.Fatalf("no challenge in %s", body)
	}
	return c
}

// A passkey is made right after a fresh sign-in, once; it signs in and approves with nobody
// else asked; what it answers counts once and for what was asked.
func TestAPasskeyOnThePage(t *testing.T) {
	h := newHospital(t)
	k := &safe{hospital: h}
	h.safe = k
	s := serveFor(t, true, h)
	var err error
	if k.page, err = passkey.At("https://localhost" + s.url[strings.LastIndex(s.url, ":"):]); err != nil {
		t.Fatal(err)
	}
	d := passkeytest.New("localhost", k.page.Origin())
	token := s.entersByName(h)
	made := func(c [32]byte) url.Values {
		client, attestation := d.Register(c)
		return url.Values{"client_data": {text64(client)}, "attestation": {text64(attestation)}}
	}
	if status, body, _ := s.do("POST", "/keys/register", made([32]byte{1}), token, nil); status != session.Denied.Status() || !strings.Contains(body, "right after a sign-in") {
		t.Fatalf("without a fresh sign-in: %d %s", status, body)
	}
	leave := func() (int, string) {
		t.Helper()
		s.later(tripEvery)
		back, trip, body := s.goes(h, "/keys/fresh", nil, token)
		if back == "" {
			t.Fatal(body)
		}
		status, body, _ := s.comes(back, trip)
		return status, body
	}
	if status, body := leave(); status != 200 || !strings.Contains(body, "It is you") {
		t.Fatalf("%d %s", status, body)
	}
	_, body, _ := s.do("GET", "/keys", nil, token, nil)
	c := challengeOf(t, body)
	if status, body, _ := s.do("POST", "/keys/register", made(c), token, nil); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, body)
	}
	if status, _, _ := s.do("POST", "/keys/register", made(c), token, nil); status != session.Denied.Status() {
		t.Errorf("a second one by the same sign-in: %d", status)
	}
	leave()
	s.later(tripTime)
	if status, _, _ := s.do("POST", "/keys/register", made(c), token, nil); status != session.Denied.Status() {
		t.Errorf("too late: %d", status)
	}

	// Signed in by it, which answers each question once.
	s.later(time.Minute)
	_, body, _ = s.do("GET", "/keyin", nil, "", nil)
	c = challengeOf(t, body)
	in := fields(d.Answer(c), url.Values{"challenge": {text64(c[:])}})
	status, body, res := s.do("POST", "/keyin", in, "", nil)
	if status != http.StatusSeeOther || len(res.Cookies()) != 1 {
		t.Fatalf("%d %s", status, body)
	}
	token = res.Cookies()[0].Value
	if status, body, _ := s.do("POST", "/keyin", in, "", nil); status != session.Denied.Status() || !strings.Contains(body, "not asked here") {
		t.Errorf("the same answer: %d %s", status, body)
	}
	var chosen [32]byte
	if status, _, _ := s.do("POST", "/keyin", fields(d.Answer(chosen), url.Values{"challenge": {text64(chosen[:])}}), "", nil); status != session.Denied.Status() {
		t.Errorf("a question of its own: %d", status)
	}

	// What is signed is what was read.
	_, body, _ = s.do("GET", "/decide?request=R-1", nil, token, nil)
	doc := []byte(`{"maxs":0}`)
	if c = challengeOf(t, body); c != passkey.Challenge(doc) {
		t.Fatalf("it asks for another grant: %x", c)
	}
	of := url.Values{"request": {"R-1"}, "grant": {(&Draft{Grant: doc}).Hash()}}
	for name, try := range map[string]url.Values{
		"another grant's answer": fields(d.Answer(passkey.Challenge([]byte("x"))), of),
		"no answer":              of,
		"another grant":          fields(d.Answer(c), url.Values{"request": {"R-1"}, "grant": {strings.Repeat("0", 64)}}),
		"another request":        fields(d.Answer(c), url.Values{"request": {"R-2"}, "grant": of["grant"]}),
	} {
		if status, _, _ := s.do("POST", "/press", try, token, nil); status < 400 {
			t.Errorf("%s: %d", name, status)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"the broker's page": func(r *http.Request) {
			r.Header.Set("Origin", "https://broker.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		},
		"a stranger": func(r *http.Request) { r.Header.Del("Cookie") },
	} {
		if status, _, _ := s.do("POST", "/press", fields(d.Answer(c), of), token, change); status < 400 {
			t.Errorf("%s approves: %d", name, status)
		}
	}
	if status, body, _ := s.do("POST", "/press", fields(d.Answer(c), of), token, nil); status != 200 || !strings.Contains(body, "Approved and admitted") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := s.do("POST", "/keys/remove", url.Values{"key": {"K-1"}}, token, nil); status != http.StatusSeeOther {
		t.Errorf("remove: %d", status)
	}
	if got := strings.Join(h.list(), ", "); got != "visit, fresh, register, fresh, enter, press R-1 Maya, revoke K-1" {
		t.Errorf("it did %s", got)
	}
}
