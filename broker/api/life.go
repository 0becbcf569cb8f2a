package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// registerLife builds the calls about what becomes of a grant, and of an engineer.
func (d *door) registerLife(api huma.API) {
	handle(d, api, "activate-request", withRequest(func(ctx context.Context, who signedIn, id session.ID, in *activation) (*of[Request], error) {
		r, err := d.Access.Activate(ctx, who, id, in.Body.Key, grant.Proof{Token: in.Body.Token, Salt: in.Body.Salt})
		return answer(requestView(r)), err
	}))
	handle(d, api, "propose-window", withRequest(func(ctx context.Context, who signedIn, id session.ID, in *counter) (*of[Request], error) {
		r, err := d.Access.Propose(ctx, who, id, access.Proposal{From: in.Body.From, Until: in.Body.Until, Reason: in.Body.Reason})
		return answer(requestView(r)), err
	}))
	handle(d, api, "revoke-request", withRequest(func(ctx context.Context, who signedIn, id session.ID, in *revocation) (*of[Request], error) {
		r, err := d.Access.Revoke(ctx, who, id, in.Body.Reason)
		return answer(requestView(r)), err
	}))
	handle(d, api, "list-engineers", func(ctx context.Context, who signedIn, in *Stretch) (*listed[Engineer], error) {
		all, next, err := d.Access.Engineers(ctx, who, access.Stretch(*in))
		return &listed[Engineer]{Next: next, Body: each(all, engineerView)}, err
	})
	handle(d, api, "disable-engineer", withStanding(d.Access.Disable))
	handle(d, api, "enable-engineer", withStanding(d.Access.Enable))
}

func withStanding(f func(context.Context, access.Caller, string, session.Identity, string) (access.Engineer, error)) func(context.Context, signedIn, *standing) (*of[Engineer], error) {
	return func(ctx context.Context, who signedIn, in *standing) (*of[Engineer], error) {
		e, err := f(ctx, who, in.Body.Site, session.Identity{Iss: in.Body.Iss, Sub: in.Body.Sub}, in.Body.Reason)
		return answer(engineerView(e)), err
	}
}
