package idtoken

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// claims judges the payload of a token whose signature was checked, as its issuer's
// entry says it is read.
func (t token) claims(i session.Issuer, e Expect) (Claims, error) {
	p := t.payload
	c := Claims{Overage: p.overage(i.GroupsClaim)}
	var err error
	if c.Iss, _ = p["iss"].(string); c.Iss != e.Issuer {
		return Claims{}, malformed("The sign-in token does not come from the identity provider that is pinned here.", fmt.Errorf("iss %.80q", c.Iss))
	}
	if c.Client, err = p.audience(e.Clients); err != nil {
		return Claims{}, err
	}
	if nonce, _ := p["nonce"].(string); nonce != e.Nonce {
		return Claims{}, malformed("The sign-in token was made for something else.", errors.New("another nonce"))
	}
	if c.Sub, err = p.subject(i.Tokens); err != nil {
		return Claims{}, err
	}
	if err := p.times(&c, e); err != nil {
		return Claims{}, err
	}
	if err := p.login(&c, e); err != nil {
		return Claims{}, err
	}
	if c.Groups, err = p.groups(i.GroupsClaim); err != nil {
		return Claims{}, err
	}
	name, _ := p["name"].(string)
	c.Email, c.Name = wording.Line(p.email(i.Domains), maxDisplay), wording.Name(name)
	return c, nil
}

// subject is the person, by the claim that names people here, in the pinned tenant.
func (o object) subject(t session.Tokens) (string, error) {
	if tid, _ := o["tid"].(string); t.Tenant != "" && tid != t.Tenant {
		return "", &session.Error{
			Kind:    session.Denied,
			Message: fmt.Sprintf("The account is of another tenant of the identity provider (tid %.60q).", tid),
			Next:    "Sign in with the account of the tenant that is pinned here, " + t.Tenant + ".",
		}
	}
	value, _ := o[t.SubjectClaim()].(string)
	if !plainSubject(value) {
		return "", malformed("The sign-in token does not say whom it is about: the claim "+t.SubjectClaim()+" is missing.", nil)
	}
	return t.Name(value), nil
}

// email is the address under which a person is shown, if it is of the issuer's own
// domains; whoever has none is shown by the subject, with the issuer. An account's name
// without a domain is the issuer's as well.
func (o object) email(domains []string) string {
	for _, name := range []string{"email", "preferred_username", "upn", "unique_name"} {
		address, _ := o[name].(string)
		at := strings.LastIndexByte(address, '@')
		own := func(domain string) bool { return strings.EqualFold(domain, address[at+1:]) }
		switch {
		case address == "", !plainAddress(address), name == "email" && o["email_verified"] == false:
		case at < 0 && name != "email", at >= 0 && slices.ContainsFunc(domains, own):
			return address
		}
	}
	return ""
}

// plainAddress reports whether an address is nothing but one.
func plainAddress(s string) bool {
	return wording.Plain(s) && strings.Count(s, "@") < 2 && !strings.ContainsAny(s, " \u00a0<>()[],;:/\"'")
}

// audience is the token's one audience: a string, or an array of one. azp, when
// there, must say the same.
func (o object) audience(clients []string) (string, error) {
	const message = "The sign-in token was made for another application."
	aud, ok := o["aud"].(string)
	if list, isList := o["aud"].([]any); isList && len(list) == 1 {
		aud, ok = list[0].(string)
	}
	if !ok || !slices.Contains(clients, aud) {
		return "", malformed(message, fmt.Errorf("aud %.80v", o["aud"]))
	}
	if azp, has := o["azp"]; has && azp != aud {
		return "", malformed(message, fmt.Errorf("azp %.80v", azp))
	}
	return aud, nil
}

// times applies the clock rules. t is when the token came in.
func (o object) times(c *Claims, e Expect) error {
	exp, hasExp, err1 := o.date("exp")
	iat, hasIat, err2 := o.date("iat")
	nbf, hasNbf, err3 := o.date("nbf")
	if err := errors.Join(err1, err2, err3); err != nil || !hasExp || !hasIat {
		return malformed("The sign-in token does not say when it was made and until when it holds.", err)
	}
	c.IssuedAt, c.Expires = iat, exp
	t := e.At
	if e.AsMinted {
		t = iat
	}
	switch {
	case iat.After(t.Add(Leeway)), hasNbf && nbf.After(t.Add(Leeway)):
		return &session.Error{
			Kind:    session.Refused,
			Message: "The sign-in token comes from the future.",
			Next:    "Compare the clocks of this machine and of the identity provider.",
			Err:     fmt.Errorf("iat %v, received %v", iat, t),
		}
	case exp.Before(t.Add(-Leeway)), e.MaxAge > 0 && iat.Before(t.Add(-e.MaxAge)):
		return &session.Error{
			Kind:    session.Expired,
			Message: "The sign-in token is too old.",
			Next:    signInAgain,
			Err:     fmt.Errorf("iat %v, exp %v, received %v", iat, exp, t),
		}
	}
	return nil
}

// login applies the rules about how and when the person signed in.
func (o object) login(c *Claims, e Expect) error {
	at, has, err := o.date("auth_time")
	if err != nil {
		return malformed("The sign-in token does not say properly when the person signed in.", err)
	}
	c.AuthTime = at
	if acr, has := o["acr"]; has {
		s, ok := acr.(string)
		if !ok {
			return malformed("The sign-in token does not say properly how the person signed in.", nil)
		}
		c.ACR = s
	}
	if err := e.freshness(at, has); err != nil {
		return err
	}
	if len(e.ACR) > 0 && !slices.Contains(e.ACR, c.ACR) {
		return &session.Error{
			Kind:    session.Refused,
			Message: "The way in which the person signed in is not strong enough here.",
			Next:    "Sign in with the method that the hospital asks for.",
			Err:     fmt.Errorf("acr %.40q", c.ACR),
		}
	}
	return nil
}

// freshness measures auth_time against the receipt. The token's own iat has no part in
// it: Entra ID dates it back by five minutes, and a refreshed token's is new while its
// login is old.
func (e Expect) freshness(at time.Time, has bool) error {
	age := e.At.Sub(at)
	message, next := "", ""
	switch {
	case e.FreshLogin == 0:
		return nil
	case !has:
		message = "The sign-in token does not say when the person signed in: the claim auth_time is missing."
		next = "Ask the administrator of the identity provider to send auth_time in the ID token; at Entra ID it is an optional claim."
	case age < -Leeway:
		message = fmt.Sprintf("The sign-in is dated %v in the future (auth_time).", (-age).Round(time.Second))
		next = "Compare the clocks of this machine and of the identity provider."
	case age > e.FreshLogin+MaxSkew:
		message = fmt.Sprintf("The person signed in %v before the token came in; here it may be %v.", age.Round(time.Second), e.FreshLogin)
		next = "Sign in again and enter the password or use the key when asked, a remembered login is not enough; " +
			"where the second factor takes longer, the hospital can allow more (fresh, at most 5m)."
	default:
		return nil
	}
	return &session.Error{Kind: session.Refused, Message: message, Next: next, Err: fmt.Errorf("auth_time %v, received %v", at, e.At)}
}

// date reads a NumericDate (RFC 7519 section 2) between 1970 and the year 9999.
func (o object) date(name string) (at time.Time, has bool, err error) {
	v, has := o[name]
	if !has {
		return time.Time{}, false, nil
	}
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, true, fmt.Errorf("%s is not a number", name)
	}
	seconds, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(n.String(), 64)
		if ferr != nil || math.Abs(f) > 1<<40 {
			return time.Time{}, true, fmt.Errorf("%s is out of range", name)
		}
		seconds = int64(math.Floor(f))
	}
	if seconds < 0 || seconds > 253402300799 {
		return time.Time{}, true, fmt.Errorf("%s is out of range", name)
	}
	return time.Unix(seconds, 0).UTC(), true, nil
}

// groups reads the groups claim, or joins groups and roles; each is a string or a list
// of them.
func (o object) groups(claim string) ([]string, error) {
	var all []string
	for _, name := range groupClaims(claim) {
		switch v := o[name].(type) {
		case nil:
		case string:
			all = append(all, v)
		case []any:
			for _, item := range v {
				s, ok := item.(string)
				if !ok {
					return nil, malformed("The sign-in token lists the person's groups in a way that is not understood.", nil)
				}
				all = append(all, s)
			}
		default:
			return nil, malformed("The sign-in token lists the person's groups in a way that is not understood.", nil)
		}
	}
	return all, nil
}

func groupClaims(claim string) []string {
	if claim != "" {
		return []string{claim}
	}
	return []string{"groups", "roles"}
}

// overage finds the markers that stand where groups did not fit. Their sources are
// never followed.
func (o object) overage(claim string) bool {
	if has, ok := o["hasgroups"]; ok && has != false {
		return true
	}
	names, _ := o["_claim_names"].(object)
	return slices.ContainsFunc(groupClaims(claim), func(name string) bool { _, ok := names[name]; return ok })
}

func plainSubject(s string) bool {
	return s != "" && len(s) <= MaxSubject && !strings.ContainsFunc(s, unprintable)
}

func unprintable(r rune) bool {
	return !unicode.IsPrint(r)
}
