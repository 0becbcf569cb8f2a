package identity

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/wording"
)

const (
	roundTripKind = "web-trip" // of proofs, by the hash of their state
	// perProver is how many proofs a person starts in a minute.
	perProver = 10
)

// ErrStale is in the chain when a browser comes back from a round trip that was not
// started here, is over, or was finished before.
var ErrStale = errors.New("no such round trip")

// ErrElsewhere is in the chain when another browser comes back than the one that left.
var ErrElsewhere = errors.New("another browser")

// Visit is what a call from a browser brings along.
type Visit struct {
	Browser string // its half of a round trip, from its cookie; empty at first
	Address string // without port; for limits only
	Conn    string // the connection's other end; for limits only
	Agent   string // browser and system in words, for the list of logins
}

// Departure sends a browser to its identity provider.
type Departure struct {
	URL     string
	Browser string // for the browser to keep until it is back
}

// Question is what a proof must answer. Errand comes back unchanged.
type Question struct {
	Nonce  string
	Fresh  bool // the person has to sign in there now
	Silent bool // nobody is asked anything: it works where they are signed in there, or not
	Errand []byte
}

// Answer is what the identity provider sends along with the browser.
type Answer struct {
	State, Code, Iss string
	Trouble          string // its error code
	Door             string // at which it came; see session.Issuer
}

// Callback is a browser that came back. Trip is empty when nobody knows from where.
type Callback struct {
	Trip    string // names the round trip for the page
	Errand  []byte // of a proof; nil: a login
	Return  string // of a login
	Token   string // the cookie of a login, or the ID token of a proof
	Caller  Caller // who signed in, or whose proof it is; nobody when their login ended meanwhile
	Login   string // the login that may read the outcome; empty: the browser that left
	browser string
}

// roundTrip is what is kept while somebody is away: of a proof in the store, of a sign-in
// in its state.
type roundTrip struct {
	ID       string    `json:"id"`
	Issuer   string    `json:"issuer"`
	Verifier string    `json:"verifier"`
	Nonce    string    `json:"nonce"`
	Browser  string    `json:"browser"` // hash of its half
	Created  time.Time `json:"created"`
	Return   string    `json:"return,omitempty"`
	Login    string    `json:"login,omitempty"` // of the browser when it left
	Person   string    `json:"person,omitempty"`
	Fresh    bool      `json:"fresh,omitempty"`
	Silent   bool      `json:"silent,omitempty"`
	Errand   []byte    `json:"errand,omitempty"`
}

// StartLogin sends somebody to the provider of their e-mail address. old names the
// login that their browser has now, which the new one replaces.
func (d *Identity) StartLogin(ctx context.Context, v Visit, email, back, old string) (Departure, error) {
	p, err := d.providerFor(email)
	if err != nil {
		return Departure{}, err
	}
	return d.depart(ctx, v, p, email, roundTrip{Nonce: newSecret(), Return: back, Login: old})
}

// StartProof sends a signed-in person to their provider for a token with a nonce.
func (d *Identity) StartProof(ctx context.Context, v Visit, who Caller, q Question) (Departure, error) {
	if err := d.limit(ctx, "web:person:"+ofPerson(who.Identity), perProver); err != nil {
		return Departure{}, err
	}
	p := d.rules.Load().providers[who.Iss]
	if p == nil || !who.Web || len(q.Nonce) != 43 || q.Errand == nil {
		return Departure{}, session.Errorf(session.Internal, "identity: a proof without nonce, errand or a login by browser")
	}
	return d.depart(ctx, v, p, who.Email, roundTrip{Nonce: q.Nonce, Login: who.Login, Person: who.Sub, Fresh: q.Fresh, Silent: q.Silent, Errand: q.Errand})
}

// depart keeps what is needed on the way back. A browser that is on another trip
// already keeps its half, so that two tabs do not disturb each other.
func (d *Identity) depart(ctx context.Context, v Visit, p *provider, hint string, t roundTrip) (Departure, error) {
	if d.cfg.Web.Shelf == nil {
		return Departure{}, session.Errorf(session.Internal, "identity: nobody signs in by browser here")
	}
	m, err := p.endpoints(ctx)
	if err != nil {
		return Departure{}, err
	}
	if !isSecret(v.Browser) {
		v.Browser = newSecret()
	}
	t.ID, t.Issuer, t.Verifier = newSecret(), p.issuer.URL, oauth2.GenerateVerifier()
	t.Browser, t.Created = hashed(v.Browser), d.cfg.Now().UTC()
	state, err := d.keep(ctx, t)
	if err != nil {
		return Departure{}, err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(t.Verifier)}
	for name, value := range p.issuer.Question(t.Nonce, hint, t.Fresh) {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	if t.Silent {
		options = append(options, oauth2.SetAuthURLParam("prompt", "none"))
	}
	return Departure{URL: p.oauth(m).AuthCodeURL(state, options...), Browser: v.Browser}, nil
}

// keep makes a trip's state. Only those of people who are signed in are kept here.
func (d *Identity) keep(ctx context.Context, t roundTrip) (state string, err error) {
	if t.Errand == nil {
		return d.seal(ctx, t)
	}
	body, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	state = newSecret()
	return state, d.cfg.Sessions.Create(ctx, roundTripKind, hashed(state), body, roundTripTime)
}

// Return takes a browser that came back: the trip is used up, the code exchanged, the
// token checked. A login begins; a proof's token is handed to the caller, who must
// not show it to anybody but the agent that it is for. What goes wrong is in the audit
// log before it is answered.
func (d *Identity) Return(ctx context.Context, v Visit, a Answer) (Callback, error) {
	t, err := d.claim(ctx, v, a.State)
	if err != nil {
		return Callback{}, d.turnedAway(ctx, v, err, t)
	}
	b := Callback{Trip: t.ID, Errand: t.Errand, Return: t.Return, browser: t.Browser}
	if t.Errand == nil {
		err = d.finishLogin(ctx, v, t, a, &b)
	} else {
		err = d.finishProof(ctx, t, a, &b)
	}
	if err != nil {
		b.Token = ""
		return b, d.turnedAway(ctx, v, err, t)
	}
	return b, nil
}

// turnedAway writes a refusal down, and returns it in words for a browser.
func (d *Identity) turnedAway(ctx context.Context, v Visit, why error, t roundTrip) error {
	kind := session.KindOf(why)
	if kind != session.Internal && kind != session.Unreachable && !errors.Is(why, ErrTooOften) {
		if err := d.refused(ctx, why, t.Issuer, v.Address, "web"); err != nil {
			return err
		}
	}
	return forBrowser(why)
}

// errStale is what somebody is told who comes back from nowhere that we know.
var errStale = &session.Error{Kind: session.Denied, Message: "This sign-in is too old, was used before, or was not started here.", Next: "Start again.", Err: ErrStale}

// claim finds the trip of a state and uses it up, if this is the browser that left:
// somebody who only saw a state can neither use nor spoil it.
func (d *Identity) claim(ctx context.Context, v Visit, state string) (roundTrip, error) {
	if d.cfg.Web.Shelf == nil {
		return roundTrip{}, errStale
	}
	find, spend := d.findSealed, d.spendSealed
	if isSecret(state) {
		find, spend = d.find, d.spend
	}
	t, err := find(ctx, state)
	if err != nil {
		return roundTrip{}, err
	}
	if !isSecret(v.Browser) || t.Browser != hashed(v.Browser) {
		return roundTrip{}, &session.Error{Kind: session.Denied, Message: "This sign-in was started in another browser.",
			Next: "Start again, in one browser; allow cookies for this site.", Err: ErrElsewhere}
	}
	if t, err = spend(ctx, state, t); err != nil {
		return roundTrip{}, err
	}
	if d.cfg.Now().Sub(t.Created) >= roundTripTime {
		return roundTrip{}, errStale
	}
	return t, nil
}

// findSealed reads a sign-in.
func (d *Identity) findSealed(ctx context.Context, state string) (roundTrip, error) {
	t, ok, err := d.unseal(ctx, state)
	if err == nil && !ok {
		err = errStale
	}
	return t, err
}

// spendSealed uses a sign-in up, for this node and as long as it remembers; one that
// succeeds is used up for good. See finishLogin.
func (d *Identity) spendSealed(_ context.Context, _ string, t roundTrip) (roundTrip, error) {
	if !d.shares.spent.Allow(t.ID, d.cfg.Now()) {
		return roundTrip{}, errStale
	}
	return t, nil
}

// find reads a proof's trip.
func (d *Identity) find(ctx context.Context, state string) (roundTrip, error) {
	doc, err := d.cfg.Sessions.Get(ctx, roundTripKind, hashed(state))
	return readTrip(doc.Body, err)
}

// spend takes a proof's trip from the store.
func (d *Identity) spend(ctx context.Context, state string, _ roundTrip) (roundTrip, error) {
	doc, err := d.cfg.Web.Shelf.Take(ctx, roundTripKind, hashed(state))
	return readTrip(doc.Body, err)
}

func readTrip(body []byte, err error) (t roundTrip, _ error) {
	if isGone(err) {
		return t, errStale
	}
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(body, &t); err != nil {
		return t, session.Errorf(session.Internal, "read a round trip: %w", err)
	}
	return t, nil
}

// redeem checks the answer to a trip and exchanges its code for a token that has the
// trip's nonce.
func (d *Identity) redeem(ctx context.Context, t roundTrip, a Answer) (string, idtoken.Claims, error) {
	p := d.rules.Load().providers[t.Issuer]
	if p == nil {
		return "", idtoken.Claims{}, notSignedIn("Your identity provider is not one that this broker knows.", nil)
	}
	m, err := p.endpoints(ctx)
	if err != nil {
		return "", idtoken.Claims{}, err
	}
	if a.Door != p.issuer.Door() || a.Iss != t.Issuer && (a.Iss != "" || m.NamesItself) {
		return "", idtoken.Claims{}, &session.Error{Kind: session.Denied, Message: "The answer did not come from your identity provider.",
			Next: "Start again. If it happens twice, somebody may be interfering: tell your security contact."}
	}
	if a.Trouble != "" || a.Code == "" {
		return "", idtoken.Claims{}, troubled(a.Trouble)
	}
	token, err := p.exchange(ctx, a.Code, t.Verifier)
	if err != nil {
		return "", idtoken.Claims{}, err
	}
	expect := idtoken.Expect{Issuer: t.Issuer, Clients: []string{p.client}, Nonce: t.Nonce, At: d.cfg.Now(), MaxAge: maxTokenAge}
	if t.Fresh {
		expect.FreshLogin = p.issuer.FreshFor()
	}
	claims, err := d.rules.Load().tokens.Verify(ctx, t.Issuer, token, expect)
	switch {
	case err == nil:
		err = doubleCheck(claims, expect)
	case session.KindOf(err) != session.Unreachable:
		err = rejected(err)
	}
	return token, claims, err
}

var errorCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// troubled is an identity provider's no.
func troubled(code string) error {
	switch {
	case code == "access_denied":
		return &session.Error{Kind: session.Denied, Message: "You cancelled at your identity provider, or it does not let you in here.",
			Next: "Start again when you are ready."}
	case !errorCode.MatchString(code):
		code = "no reason"
	}
	return &session.Error{Kind: session.Denied, Message: "Your identity provider did not sign you in (" + code + ").",
		Next: "Start again; if it stays so, ask whoever runs your sign-in."}
}

// finishLogin signs somebody in, and marks the trip as used.
func (d *Identity) finishLogin(ctx context.Context, v Visit, t roundTrip, a Answer, b *Callback) error {
	if err := d.shares.ask(v, d.cfg.Now()); err != nil {
		return err
	}
	_, claims, err := d.redeem(ctx, t, a)
	if err != nil {
		d.shares.failed(v, d.cfg.Now())
	} else {
		err = d.welcome(ctx, claims, v.Address)
	}
	if err != nil {
		return err
	}
	if err := d.cfg.Sessions.Create(ctx, usedKind, hashed(t.ID), []byte("{}"), roundTripTime+leeway); errors.Is(err, store.ErrExists) {
		return errStale
	} else if err != nil {
		return err
	}
	g, err := d.begin(ctx, claims, true, v.Agent)
	if err != nil {
		return err
	}
	b.Caller, b.Token, b.Login = g.Caller, g.Token, g.Caller.Login
	if t.Login == "" {
		return nil
	}
	return d.close(ctx, t.Login, true)
}

// finishProof brings the token of the person who left, and of nobody else.
func (d *Identity) finishProof(ctx context.Context, t roundTrip, a Answer, b *Callback) error {
	who, _, err := d.look(ctx, t.Login, true)
	if err == nil && (who.Iss != t.Issuer || who.Sub != t.Person) {
		err = session.Errorf(session.Internal, "identity: a login changed its person")
	}
	if errors.Is(err, ErrNotSignedIn) {
		return &session.Error{Kind: session.Denied, Message: "Your login here ended before you were back.", Next: "Sign in and start again.", Err: err}
	}
	if err != nil {
		return err
	}
	b.Caller, b.Login = who, who.Login
	token, claims, err := d.redeem(ctx, t, a)
	if err != nil {
		return err
	}
	if claims.Identity != who.Identity {
		return vouched{&session.Error{Kind: session.Denied, Message: "You are " + named(who.Person) + " here, but signed in at your identity provider as " + named(shown(claims.Person)) + ".",
			Next: "Start again and choose the same account there."}, claims.Identity}
	}
	if err := d.Use(ctx, who); err != nil {
		return err
	}
	b.Token = token
	return nil
}

// named is how somebody is called.
func named(p session.Person) string {
	return wording.Line(p.Shown(), maxShown)
}

func isGone(err error) bool { return errors.Is(err, os.ErrNotExist) }
