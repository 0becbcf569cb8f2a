package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// usedKind holds the hashes of ID tokens that were used to sign in.
const usedKind = "login-token"

// Attempt is what a command line sends to sign in.
type Attempt struct {
	IDToken   string // compact
	Salt      []byte // 32 bytes, of the nonce
	Key       string // session key line
	Signature []byte // by the key, over ProofMessage(IDToken)
	Address   string // network address of the caller, without port; for the limit only
}

// Granted is a login. Token is the only copy of the bearer token: the store has its hash.
type Granted struct {
	Token  string
	Caller Caller
}

// ProofMessage is what the session key signs to show that the token's bearer holds it.
func ProofMessage(idToken string) []byte {
	sum := sha256.Sum256([]byte(idToken))
	return append([]byte("sallyport/v1/login-proof\x00"), sum[:]...)
}

// Login signs somebody in. Both outcomes are in the audit log before they are
// answered, except what is refused for coming too often, and refusals like one that was
// written down lately, which are counted; see refusals.
func (d *Identity) Login(ctx context.Context, a Attempt) (Granted, error) {
	g, err := d.login(ctx, a)
	if err == nil || errors.Is(err, ErrTooOften) {
		return g, err
	}
	switch session.KindOf(err) {
	case session.Internal, session.Unreachable:
		return Granted{}, err
	}
	if err := d.refused(ctx, err, issuerOf(a.IDToken), a.Address, "cli"); err != nil {
		return Granted{}, err
	}
	return Granted{}, err
}

// audit writes events down, where there is a log.
func (d *Identity) audit(ctx context.Context, events ...witness.Event) error {
	if d.cfg.Audit == nil {
		return nil
	}
	for _, e := range events {
		if err := d.cfg.Audit.Append(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// siteOf is the site to which a refused sign-in belongs: that of a hospital whose own people
// come from there; all others are the broker's.
func siteOf(side session.Side, sites []string) string {
	if side == session.HospitalSide && len(sites) == 1 {
		return sites[0]
	}
	return ""
}

// issuerOf is claimedIssuer of whatever was sent.
func issuerOf(token string) string {
	if len(token) > maxToken || strings.Count(token, ".") != 2 {
		return ""
	}
	return claimedIssuer(token)
}

// login checks, in this order: shapes and sizes; possession of the session key; the
// token, by its pinned issuer, for the login client and with a nonce that covers this
// broker and that key; groups; how often this person and their network came; and that the
// token signs in once only. How many others failed is not looked at.
func (d *Identity) login(ctx context.Context, a Attempt) (Granted, error) {
	expect, err := d.expectation(a)
	if err != nil {
		return Granted{}, err
	}
	claims, err := d.rules.Load().tokens.Verify(ctx, expect.Issuer, a.IDToken, expect)
	if err != nil {
		if session.KindOf(err) == session.Unreachable {
			return Granted{}, err
		}
		return Granted{}, rejected(err)
	}
	if err := doubleCheck(claims, expect); err != nil {
		return Granted{}, err
	}
	if err := d.welcome(ctx, claims, a.Address); err != nil {
		return Granted{}, err
	}
	if err := d.useOnce(ctx, a.IDToken); err != nil {
		return Granted{}, vouched{err, claims.Identity}
	}
	return d.begin(ctx, claims, false, "")
}

// welcome decides whether somebody whose token is good may sign in: in a group that has
// something to do here, and not too often.
func (d *Identity) welcome(ctx context.Context, claims idtoken.Claims, address string) error {
	if err := d.belongs(claims); err != nil {
		if often := d.limit(ctx, "login:refused:"+ofPerson(claims.Identity), badPerPerson); often != nil {
			return often
		}
		return vouched{err, claims.Identity}
	}
	if err := d.limit(ctx, "login:person:"+ofPerson(claims.Identity), perPerson); err != nil {
		return err
	}
	return d.shares.arrive(address, d.cfg.Now())
}

// belongs reports whether somebody is in a group that has something to do here.
func (d *Identity) belongs(claims idtoken.Claims) error {
	all := d.rules.Load().issuers[claims.Iss]
	switch is := all.standing(claims.Groups); {
	case len(is.roles) > 0 && len(is.sites) > 0:
		return nil
	case len(is.roles) > 0:
		return (&session.Error{Kind: session.Denied,
			Message: "You are in groups of the vendor's and of the hospital's side, which have no site in common here."}).WithNext(
			"Ask your identity provider's administrator to leave you in those of one side.")
	case claims.Overage:
		return (&session.Error{Kind: session.Denied,
			Message: "Your identity provider left out your groups because there are too many."}).WithNext(
			"Ask its administrator to send only the groups that Sallyport uses, or app roles.")
	}
	return (&session.Error{Kind: session.Denied,
		Message: "You are in none of the groups that may use Sallyport."}).WithNext(
		"Ask your identity provider's administrator for " + all.wanted() + ".")
}

// expectation checks what needs no issuer's keys and says what the token must satisfy.
func (d *Identity) expectation(a Attempt) (idtoken.Expect, error) {
	key, err := session.ParseKeyLine(a.Key)
	switch {
	case err != nil:
		return idtoken.Expect{}, malformed("The session key is not an ssh-ed25519 key line.")
	case len(a.Salt) != 32:
		return idtoken.Expect{}, malformed("The salt is not 32 bytes.")
	case len(a.IDToken) > maxToken || strings.Count(a.IDToken, ".") != 2:
		return idtoken.Expect{}, malformed("That is not an ID token.")
	case len(a.Signature) != ed25519.SignatureSize || !ed25519.Verify(key, ProofMessage(a.IDToken), a.Signature):
		return idtoken.Expect{}, notSignedIn("The sign-in does not prove that you hold the session key.", nil)
	}
	all := d.rules.Load().issuers[claimedIssuer(a.IDToken)]
	if len(all) == 0 {
		return idtoken.Expect{}, notSignedIn("Your identity provider is not one that this broker knows.", nil)
	}
	return idtoken.Expect{
		Issuer: all[0].URL, Clients: []string{all[0].Login},
		Nonce: d.cfg.Nonce(d.subject, sha256.Sum256([]byte(a.Key)), [32]byte(a.Salt)),
		At:    d.cfg.Now(), MaxAge: maxTokenAge,
	}, nil
}

// claimedIssuer reads iss without believing it: it only picks the pinned issuer,
// whose verification then compares it byte by byte.
func claimedIssuer(compact string) string {
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(compact, ".")[1])
	if err != nil {
		return ""
	}
	var c struct {
		Iss string `json:"iss"`
	}
	if json.Unmarshal(payload, &c) != nil {
		return ""
	}
	return c.Iss
}

// doubleCheck repeats what must hold whatever the verifier is.
func doubleCheck(c idtoken.Claims, e idtoken.Expect) error {
	switch {
	case c.Iss != e.Issuer, c.Sub == "", c.Client != e.Clients[0],
		e.At.After(c.Expires.Add(leeway)), c.IssuedAt.After(e.At.Add(leeway)), e.At.Sub(c.IssuedAt) > maxTokenAge+leeway:
		return notSignedIn("Your sign-in was not accepted.", errors.New("the verifier let a wrong token through"))
	}
	return nil
}

// useOnce marks a token as used until it is too old for anybody to accept, whenever its
// issuer says that it expires.
func (d *Identity) useOnce(ctx context.Context, token string) error {
	err := d.cfg.Sessions.Create(ctx, usedKind, hashed(token), []byte("{}"), usedTime)
	if errors.Is(err, store.ErrExists) {
		return notSignedIn("This sign-in was used before.", nil)
	}
	return err
}

// limit counts an attempt of the last minute.
func (d *Identity) limit(ctx context.Context, key string, n int) error {
	ok, wait, err := d.cfg.Attempts.Count(ctx, key, time.Minute, n)
	if err != nil {
		return err
	}
	if !ok {
		return tooOften(wait)
	}
	return nil
}

func malformed(message string) error {
	return (&session.Error{Kind: session.Invalid, Message: message}).WithNext("Run sallyport login again.")
}

// ErrNotSignedIn is in the chain of every error that a new login would cure.
var ErrNotSignedIn = errors.New("not signed in")

func notSignedIn(message string, cause error) error {
	return &session.Error{Kind: session.Denied, Message: message, Next: "Run sallyport login.",
		Err: errors.Join(ErrNotSignedIn, cause)}
}

// rejected keeps the verifier's sentence: it says what to put right.
func rejected(err error) error {
	var e *session.Error
	if !errors.As(err, &e) || e.Kind == session.Internal || e.Next == "" {
		return notSignedIn("Your sign-in was not accepted.", err)
	}
	return &session.Error{Kind: session.Denied, Message: e.Message, Next: e.Next, Err: errors.Join(ErrNotSignedIn, err)}
}

// hashed names something secret or long in the store.
func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
