package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/wording"
)

// Claims goes through a token that came in at a time, claim by claim, as it must be for a
// role: what came, what is missing, and what to set. It believes nothing and is no check.
func Claims(i session.Issuer, role session.Role, token string, at time.Time) []Check {
	all, err := idtoken.Read(token)
	if err != nil {
		says, next := plain(err, "Ask the identity provider's people.")
		return []Check{{Name: "token", Result: Fail, Says: says, Next: next}}
	}
	r := reading{claims: all}
	subject := i.SubjectClaim()
	r.need(subject, "It names the person.", "Send it in the ID token, or name another claim with subject: oid at Entra ID, unique_name at AD FS, sub elsewhere.")
	if i.Tenant != "" {
		r.need("tid", "It names the tenant.", "Only Entra ID sends tid; leave tenant out elsewhere.")
		if tid := r.text("tid"); tid != "" && tid != i.Tenant {
			r.add("tid", Fail, fmt.Sprintf("It is %s, and %s is pinned.", tid, i.Tenant), "Sign in with an account of that tenant, or mend tenant.")
		}
	}
	r.groups(i, role)
	if role == session.Approver {
		r.login(i, at)
	}
	if r.text("email") == "" && r.text("preferred_username") == "" && r.text("upn") == "" {
		r.add("email", Warn, "None of email, preferred_username and upn came: people will see "+subject+" only.",
			"Ask for the scopes email and profile (scopes); at Entra ID add email as an optional claim, at AD FS and Ping map it.")
	}
	return r.checks
}

type reading struct {
	claims map[string]any
	checks []Check
}

func (r *reading) add(claim string, result Result, says, next string) {
	r.checks = append(r.checks, Check{Name: "claim " + claim, Result: result, Says: says, Next: next})
}

func (r *reading) text(claim string) string {
	s, _ := r.claims[claim].(string)
	return wording.Line(s, maxClaim)
}

func (r *reading) need(claim, what, next string) {
	if s := r.text(claim); s != "" {
		r.add(claim, OK, what+" It is "+s+".", "")
		return
	}
	r.add(claim, Fail, "It is missing.", next)
}

// groups looks for the group of the role.
func (r *reading) groups(i session.Issuer, role session.Role) {
	names := []string{"groups", "roles"}
	if i.GroupsClaim != "" {
		names = []string{i.GroupsClaim}
	}
	claim, wanted, came := strings.Join(names, " and "), i.Group(role), []string{}
	for _, name := range names {
		switch v := r.claims[name].(type) {
		case string:
			came = append(came, v)
		case []any:
			for _, item := range v {
				s, _ := item.(string)
				came = append(came, s)
			}
		}
	}
	const products = "Entra ID: assign the app role, and groups_claim: roles; AD FS: send group membership as a claim; Keycloak: a group membership mapper; " +
		"Okta: the groups claim filter; Ping: map the attribute."
	switch {
	case slices.Contains(came, wanted):
		r.add(claim, OK, "The group "+wanted+" came.", "")
	case len(came) > 0:
		r.add(claim, Fail, fmt.Sprintf("The group %s did not come; %s did.", wanted, wording.Line(strings.Join(came[:min(len(came), 10)], ", "), maxClaim)),
			"Put the person into the group, or write its name or id as it comes (groups). "+products)
	default:
		r.add(claim, Fail, "No group came.", products)
	}
	if _, marker := r.claims["_claim_names"]; marker && !slices.Contains(came, wanted) {
		r.add("_claim_names", Fail, "The groups were left out because there are too many.", "Send an application role, or only the groups that Sallyport uses.")
	}
}

// login looks at how fresh the sign-in is.
func (r *reading) login(i session.Issuer, at time.Time) {
	n, ok := r.claims["auth_time"].(json.Number)
	seconds, err := n.Int64()
	if !ok || err != nil {
		r.add("auth_time", Fail, "It is missing.", "Entra ID: add auth_time as an optional claim of the ID token; Keycloak: the client scope basic; "+
			"AD FS, Okta and Ping send it by themselves when max_age is asked for.")
		return
	}
	age := at.Sub(time.Unix(seconds, 0)).Round(time.Second)
	switch {
	case age < -idtoken.Leeway:
		r.add("auth_time", Fail, fmt.Sprintf("It is %v in the future.", -age), "Compare the clocks of this machine and of the identity provider.")
	case age > i.FreshFor()+idtoken.MaxSkew:
		r.add("auth_time", Fail, fmt.Sprintf("The sign-in was %v before the token came in, and may be %v.", age, i.FreshFor()),
			"Were you asked for the password? If not, the provider took a remembered login: ask for a new one at each sign-in there. If the second factor took that long: fresh, at most 5m.")
	default:
		r.add("auth_time", OK, fmt.Sprintf("The sign-in was %v before the token came in.", max(age, 0)), "")
	}
}
