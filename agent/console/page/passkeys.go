package page

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/agent/console/provider"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/lobby"
	"github.com/sallyport/sallyport/session/passkey"
)

// Keys are the passkeys of the hospital's approvers; see package agent.
type Keys struct {
	Kept Keyring
	Used Passkeys
}

// Keyring is who registered which.
type Keyring interface {
	// Fresh checks the token of a sign-in by which somebody registers a passkey: of an
	// approver, who proved just now who they are.
	Fresh(ctx context.Context, nonce, token string) (grant.Visit, error)
	Register(who grant.Visit, challenge [32]byte, clientData, attestation []byte) (Passkey, error)
	Of(who session.Identity) ([]Passkey, error)
	Revoke(key string, of session.Identity) error
}

// Passkeys are what they are used for.
type Passkeys interface {
	// Enter says whose the passkey is that answered a challenge.
	Enter(challenge [32]byte, a passkey.Answer) (Visitor, error)
	// Press takes a passkey's answer to a draft's grant, and says in words what came of it.
	Press(ctx context.Context, d *Draft, who Visitor, a passkey.Answer) (Outcome, error)
}

// Passkey is one of somebody's.
type Passkey struct {
	Name        string // K-...
	ID          []byte
	Since, Used time.Time
}

// permit lets somebody who has just signed in afresh register one passkey.
type permit struct {
	visit     grant.Visit
	challenge [32]byte
	until     time.Time
}

// asks are the questions to which a passkey may answer that signs somebody in.
type asks struct {
	now  func() time.Time
	pace *lobby.Pace // by network

	mu  sync.Mutex
	out map[[32]byte]time.Time
}

func newAsks(now func() time.Time) *asks {
	return &asks{now: now, pace: lobby.NewPace(tripEvery, tripsAtOnce), out: map[[32]byte]time.Time{}}
}

// ask is a new question. Of too many the oldest makes room.
func (a *asks) ask() [32]byte {
	c := sha256.Sum256([]byte("sallyport/v1/visit-webauthn\x00" + rand.Text()))
	a.mu.Lock()
	defer a.mu.Unlock()
	oldest, now := c, a.now()
	for o, at := range a.out {
		if now.Sub(at) >= tripTime {
			delete(a.out, o)
		} else if first, ok := a.out[oldest]; !ok || at.Before(first) {
			oldest = o
		}
	}
	if len(a.out) >= maxTrips {
		delete(a.out, oldest)
	}
	a.out[c] = now
	return c
}

// take is whether a question was asked here, once.
func (a *asks) take(c [32]byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.out[c]
	delete(a.out, c)
	return ok && a.now().Sub(at) < tripTime
}

// asked is what a page needs to ask a browser for a passkey.
type asked struct {
	Site      string
	Host      string // to which passkeys are bound
	Challenge string
	Known     string // ids that may answer, or must not be registered again
	Who       Visitor
	Account   string // for which the browser keeps a new one
	Keys      []Passkey
	May       bool // register one
	Problem   *session.Error
}

func text64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// ids are passkeys as the page's script reads them.
func ids(keys []Passkey) string {
	var all []string
	for _, k := range keys {
		all = append(all, text64(k.ID))
	}
	return strings.Join(all, " ")
}

// keyIn asks for a passkey that signs in.
func (p *page) keyIn(w http.ResponseWriter, r *http.Request) { p.askKey(w, r, nil) }

func (p *page) askKey(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil && "https://"+r.Host != p.cfg.Settings.URL() {
		err = session.Errorf(session.Refused, "Passkeys work at %s only.", p.cfg.Settings.URL()).WithNext("Open the page there.")
	}
	if err == nil && !p.asks.pace.Allow(lobby.NetworkOf(from(r).String()).String(), p.cfg.Now()) {
		err = session.Errorf(session.Refused, "Too many ask for a passkey from here.").WithNext("Wait some seconds and load the page again.")
	}
	v, status := asked{Site: p.boards.fresh(liveEvery).Site, Host: p.cfg.Settings.Host}, http.StatusOK
	if err != nil {
		v.Problem = sentence(err)
		status = v.Problem.Kind.Status()
	} else {
		c := p.asks.ask()
		v.Challenge = text64(c[:])
	}
	p.draw(w, status, "keyin", v)
}

// keyEnter signs somebody in by a passkey.
func (p *page) keyEnter(w http.ResponseWriter, r *http.Request) {
	a, fields, err := answered(r, "challenge")
	var c [32]byte
	if b, err2 := base64.RawURLEncoding.DecodeString(fields["challenge"]); err == nil && (err2 != nil || copy(c[:], b) != len(c) || len(b) != len(c) || !p.asks.take(c)) {
		err = session.Errorf(session.Denied, "That was not asked here, or it took too long.").WithNext("Press again.")
	}
	var who Visitor
	if err == nil {
		who, err = p.cfg.Keys.Used.Enter(c, a)
	}
	if err != nil {
		p.cfg.Log.Warn("no sign-in by a passkey at the agent's page", "from", r.RemoteAddr, "err", err)
		p.askKey(w, r, err)
		return
	}
	p.cfg.Log.Info("signed in at the agent's page", "from", r.RemoteAddr, "user", who.Person.Sub, "issuer", who.Person.Iss, "passkey", who.Key)
	p.signIns.leave(r)
	p.welcome(w, p.signIns.enter(lobby.NetworkOf(from(r).String()).String(), &who))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// answered reads what a browser brought back from a passkey, beside other fields.
func answered(r *http.Request, fields ...string) (a passkey.Answer, got map[string]string, err error) {
	got, err = form(r, append([]string{"id", "client_data", "authenticator_data", "signature"}, fields...)...)
	for name, to := range map[string]*[]byte{"id": &a.ID, "client_data": &a.ClientData, "authenticator_data": &a.Authenticator, "signature": &a.Signature} {
		b, err2 := base64.RawURLEncoding.DecodeString(got[name])
		if err == nil && (err2 != nil || len(b) == 0) {
			err = session.Errorf(session.Invalid, "The browser brought nothing back from a passkey.").WithNext("Load the page again and press there; the page's script has to run.")
		}
		*to = b
	}
	return a, got, err
}

// press takes a passkey's signature under the very grant that an approver read.
func (p *page) press(w http.ResponseWriter, r *http.Request) {
	a, fields, err := answered(r, "request", "grant")
	who, key, err2 := p.approver(r)
	if err2 != nil {
		p.show(w, r, err2)
		return
	}
	d := p.signIns.read(key, nil)
	if d == nil || d.Hash() != fields["grant"] || d.Request.ID != fields["request"] {
		p.show(w, r, session.Errorf(session.Refused, "That is not what you read last, so nothing was signed.").WithNext("Open the request again, and decide in one window."))
		return
	}
	var o Outcome
	if err == nil {
		o, err = p.cfg.Keys.Used.Press(r.Context(), d, who, a)
	}
	p.cfg.Log.Info("signed on the agent's page", "request", d.Request.ID, "user", who.Person.Sub, "from", r.RemoteAddr, "by", "passkey", "err", err)
	if err != nil {
		p.reading(w, d, who, err)
		return
	}
	p.step(w, http.StatusOK, step{Title: o.Title, Text: o.Text, Target: "/", Label: "Back to the page"})
}

// keys shows somebody their passkeys.
func (p *page) keys(w http.ResponseWriter, r *http.Request) { p.showKeys(w, r, nil) }

func (p *page) showKeys(w http.ResponseWriter, r *http.Request, err error) {
	who, key, err2 := p.approver(r)
	if err2 != nil {
		p.show(w, r, err2)
		return
	}
	keys, err2 := p.cfg.Keys.Kept.Of(who.Person.Identity)
	if err == nil {
		err = err2
	}
	v, status := asked{Site: p.boards.fresh(liveEvery).Site, Host: p.cfg.Settings.Host, Who: who, Keys: keys, Known: ids(keys)}, http.StatusOK
	if x := p.signIns.permitted(key, nil); x != nil {
		account := sha256.Sum256([]byte(who.Person.Iss + "\x00" + who.Person.Sub))
		v.May, v.Challenge, v.Account = true, text64(x.challenge[:]), text64(account[:])
	}
	if err != nil {
		v.Problem = sentence(err)
		status = v.Problem.Kind.Status()
	}
	p.draw(w, status, "keys", v)
}

// fresh sends an approver to prove afresh who they are, who then may register a passkey.
func (p *page) fresh(w http.ResponseWriter, r *http.Request) {
	_, err := form(r)
	who, key, err2 := p.approver(r)
	if err2 != nil {
		p.show(w, r, err2)
		return
	}
	if err == nil {
		err = p.leave(w, r, &trip{registers: true, signed: key, who: &who}, provider.Question{Nonce: nonce(), Hint: who.Person.Email, Fresh: true}, "Now prove that it is you")
	}
	if err != nil {
		p.showKeys(w, r, err)
	}
}

// mayRegister is when they are back.
func (p *page) mayRegister(w http.ResponseWriter, r *http.Request, x *trip, token string, err error) {
	if err == nil && !p.signIns.still(x.signed) {
		err = session.Errorf(session.Denied, "You were signed out here in the meantime.").WithNext("Sign in again.")
	}
	var v grant.Visit
	if err == nil {
		v, err = p.cfg.Keys.Kept.Fresh(r.Context(), x.Nonce, token)
	}
	if err == nil && v.Person.Identity != x.who.Person.Identity {
		err = session.Errorf(session.Denied, "%s is signed in on this page, and somebody else came back from the sign-in.", x.who.Name).WithNext("Sign out here first.")
	}
	if err != nil {
		p.stop(w, "No passkey was registered", err)
		return
	}
	permitted := permit{visit: v, challenge: grant.NewSalt(), until: p.cfg.Now().Add(tripTime)}
	p.signIns.permitted(x.signed, &permitted)
	p.step(w, http.StatusOK, step{Title: "It is you", Text: "Now make the passkey.", Target: "/keys", Label: "Go on", On: true})
}

// permitted gives somebody leave to register a passkey; nil asks for the leave they have.
func (s *signIns) permitted(key [32]byte, x *permit) *permit {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.who[key]
	switch {
	case v == nil:
		return nil
	case x != nil:
		v.permit = x
	case v.permit != nil && !s.now().Before(v.permit.until):
		v.permit = nil
	}
	return v.permit
}

// spend takes the leave away with which a passkey is registered.
func (s *signIns) spend(key [32]byte) *permit {
	x := s.permitted(key, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.who[key]; v != nil && v.permit == x {
		v.permit = nil
		return x
	}
	return nil
}

// register takes a passkey that was made.
func (p *page) register(w http.ResponseWriter, r *http.Request) {
	fields, err := form(r, "client_data", "attestation")
	who, key, err2 := p.approver(r)
	if err2 != nil {
		p.show(w, r, err2)
		return
	}
	client, err3 := base64.RawURLEncoding.DecodeString(fields["client_data"])
	attestation, err4 := base64.RawURLEncoding.DecodeString(fields["attestation"])
	x := p.signIns.spend(key)
	switch {
	case err != nil:
	case x == nil:
		err = session.Errorf(session.Denied, "A passkey is registered right after a sign-in at the identity provider.").WithNext("Sign in afresh, below.")
	case err3 != nil || err4 != nil:
		err = session.Errorf(session.Invalid, "The browser brought no passkey.").WithNext("Sign in afresh and press again.")
	}
	var k Passkey
	if err == nil {
		k, err = p.cfg.Keys.Kept.Register(x.visit, x.challenge, client, attestation)
	}
	p.cfg.Log.Info("pressed on the agent's page", "what", "register a passkey", "user", who.Person.Sub, "passkey", k.Name, "from", r.RemoteAddr, "err", err)
	if err != nil {
		p.showKeys(w, r, err)
		return
	}
	http.Redirect(w, r, "/keys", http.StatusSeeOther)
}

// remove makes one of somebody's own passkeys count for nothing.
func (p *page) remove(w http.ResponseWriter, r *http.Request) {
	fields, err := form(r, "key")
	who, _, err2 := p.approver(r)
	if err2 != nil {
		p.show(w, r, err2)
		return
	}
	if err == nil {
		err = p.cfg.Keys.Kept.Revoke(fields["key"], who.Person.Identity)
	}
	p.cfg.Log.Info("pressed on the agent's page", "what", "remove a passkey", "user", who.Person.Sub, "passkey", fields["key"], "from", r.RemoteAddr, "err", err)
	if err != nil {
		p.showKeys(w, r, err)
		return
	}
	http.Redirect(w, r, "/keys", http.StatusSeeOther)
}

// byKey are the addresses of passkeys, which take longer forms.
func byKey(path string) bool {
	return slices.Contains([]string{"/keyin", "/press", "/keys/register"}, path)
}

// Challenge is the draft's grant as a passkey is asked for it.
func (d *Draft) Challenge() string {
	c := passkey.Challenge(d.Grant)
	return text64(c[:])
}

// Known are the passkeys that may sign it.
func (d *Draft) Known() string { return ids(d.Keys) }
