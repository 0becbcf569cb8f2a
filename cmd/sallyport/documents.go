package main

import (
	"context"
	"fmt"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
)

// verified is a request as its engineer signed it, checked on this machine against the
// trust bundle of its site: the broker chooses none of it.
type verified struct {
	trust    session.Trust
	docs     api.Documents
	request  grant.Request
	engineer grant.Receipt
	check    *grant.Console
}

// verified checks with the agent's own verifier, over the issuers of the trust bundle,
// reached directly. instead is what to do when the broker hands out another request.
func (p *program) verified(ctx context.Context, who signedIn, id, instead string) (v verified, err error) {
	if v.docs, err = client.Documents.Get(ctx, who.broker, id); err != nil {
		return v, err
	}
	unverified, err := grant.ParseRequest(v.docs.Request)
	if err != nil {
		return v, err
	}
	if v.trust, err = who.bundle(unverified.Site); err != nil {
		return v, err
	}
	keys, err := idtoken.NewKeySets(v.trust.Issuers, func(session.Issuer) idtoken.Options { return idtoken.Options{Dial: who.config.Dial} })
	if err != nil {
		return v, err
	}
	if v.check, err = grant.NewConsole(v.trust, keys); err != nil {
		return v, err
	}
	v.request, v.engineer, err = v.check.CheckRequestAsMinted(ctx, v.docs.Request, grant.Proof{Token: v.docs.Token, Salt: v.docs.Salt})
	if err != nil {
		return v, err
	}
	if rid, err := session.ParseText(v.request.RID); err != nil || rid.Request() != id {
		return v, session.Errorf(session.Refused, "The broker handed out another request than %s", id).
			WithNext(instead + " Tell your security contact.")
	}
	return v, nil
}

// granted is the grant that was pinned for a request, read from its own bytes: no more than
// the engineer signed for, and for the very agent of the bundle.
func (v verified) granted() (grant.Grant, error) {
	identity, err := session.ParseKeyLine(v.trust.Identity)
	if err != nil {
		return grant.Grant{}, err
	}
	g, err := grant.ParseGrant(v.docs.Grant)
	if err == nil {
		err = grant.Answers(g, v.docs.Request, session.Fingerprint(identity))
	}
	return g, err
}

// approvers are those whose sign-in, or passkey, for the pinned grant is verified here.
func (v verified) approvers(ctx context.Context) (all []string) {
	for _, a := range v.docs.Approvals {
		if r, err := v.check.CheckApprovalAsMinted(ctx, v.engineer, v.docs.Grant, grant.Proof{Token: a.Token, Salt: a.Salt}); err == nil {
			all = append(all, r.Person.Shown())
		} else if by, ok := v.pressed(a); ok {
			all = append(all, by)
		}
	}
	return all
}

// pressed is whose passkey, by the trust bundle, signed the pinned grant on the agent's page.
func (v verified) pressed(a api.Approval) (by string, ok bool) {
	said, err := grant.ParseAssertion(a.Passkey)
	if err != nil {
		return "", false
	}
	owner, err := v.check.CheckPasskey(v.docs.Grant, said)
	return fmt.Sprintf("%s (by the passkey %s, which your trust bundle names as theirs)", session.Person{Identity: owner}.Shown(), said.Name()), err == nil
}

// bundle is the imported trust bundle of a site.
func (s signedIn) bundle(site string) (session.Trust, error) {
	all, err := s.home.Trust()
	if err != nil {
		return session.Trust{}, err
	}
	return home.ForSite(all, site)
}
