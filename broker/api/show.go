package api

import (
	"cmp"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
)

// Below, what the rooms know becomes what people's scripts read. No list is null.

func each[F, T any](all []F, show func(F) T) []T {
	out := make([]T, 0, len(all))
	for _, x := range all {
		out = append(out, show(x))
	}
	return out
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// orNull is nil for a time that did not happen.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := t.UTC()
	return &u
}

// known is how a person is called: e-mail, or the subject where there is none.
func known(p session.Person) string {
	if p.Email != "" {
		return p.Email
	}
	return p.Sub
}

func (d *door) loginView(token string, c identity.Caller) Login {
	return Login{Token: token, Expires: c.Expires.UTC(), Person: c.Person, Roles: list(c.Roles), Side: c.Side, Sites: list(c.Sites), SSH: d.SSH}
}

// requestView shows the terms that hold: the grant's once there is one.
func requestView(r access.Request) Request {
	q := r.Document
	v := Request{
		ID: r.ID.Request(), Status: r.Status, Asset: q.Asset, Services: list(q.Services), Site: q.Site, Class: q.Class,
		Channels: list(q.Channels), NotBefore: time.Unix(q.NBF, 0).UTC(), NotAfter: time.Unix(q.EXP, 0).UTC(), MaxSeconds: q.MaxS,
		Approvals: r.Approvals, Needed: r.Needed, Engineer: r.Engineer, Reason: q.Reason, WorkOrder: q.Ref,
		Created: r.Created.UTC(), DeniedBy: known(r.DeniedBy), DenyReason: r.DenyReason,
		Kind: q.Kind, Missing: list(r.Missing), RevokedBy: known(r.RevokedBy), RevokeWhy: r.RevokeWhy,
		EngineerClass: r.Class, Approved: each(r.Approved, func(a access.ApprovedBy) Approved {
			return Approved{By: a.By, Class: a.Class, At: a.At.UTC()}
		}),
	}
	if !r.Extends.IsZero() {
		v.Extends = r.Extends.Session()
	}
	if p := r.Proposal; p != nil {
		v.Proposal = &Proposal{From: p.From.UTC(), Until: p.Until.UTC(), Reason: p.Reason, By: known(p.By), At: p.At.UTC()}
	}
	if g := r.Grant; g != nil {
		id := r.Session.Session()
		v.Grant, v.Services, v.Class, v.Channels = &id, list(g.Services), g.Class, list(g.Channels)
		v.NotBefore, v.NotAfter, v.MaxSeconds = time.Unix(g.NBF, 0).UTC(), time.Unix(g.EXP, 0).UTC(), g.MaxS
	}
	return v
}

func documentsView(e access.Evidence) Documents {
	return Documents{Request: e.Request, Token: e.Proof.Token, Salt: e.Proof.Salt, Received: e.Received.UTC(), Grant: e.Grant,
		Approvals: each(e.Approvals, func(a access.Approval) Approval {
			return Approval{Token: a.Proof.Token, Salt: a.Proof.Salt, Received: a.Received.UTC()}
		})}
}

func sessionView(s access.Session) Session {
	v := Session{ID: s.ID.Session(), State: s.State, Asset: s.Asset, Service: s.Service, Protocol: s.Protocol, Engineer: known(s.Engineer),
		Opened: s.Opened.UTC(), Deadline: s.Deadline.UTC(), Ended: orNull(s.Ended), Recordings: list(s.Recordings), Request: s.Request.Request(),
		Frozen: list(s.Frozen), Keys: s.Keys, Site: s.Site, WorkOrder: s.WorkOrder}
	if s.Reason != "" {
		v.Reason = &s.Reason
	}
	return v
}

func assetView(a access.Asset) Asset {
	return Asset{Name: a.Name, Site: a.Site, Label: a.Label, Modality: a.Modality, Online: a.Online, Needed: a.Policy.Approvals,
		Longest: int64(a.Policy.Longest / time.Second), Channels: list(a.Policy.Channels), Services: list(a.Services),
		Accept: session.Accept{Engineer: list(a.Policy.Accept.Engineer), Approver: list(a.Policy.Accept.Approver)},
		Window: int64(a.Policy.Window / time.Second), Zone: cmp.Or(a.Policy.Zone, "UTC"), Quorum: list(a.Policy.Quorum),
		Agent: a.Identity, Typical: int64(a.Median / time.Second), Decided: a.Decided, Live: each(a.Live, session.ID.Session)}
}

func engineerView(e access.Engineer) Engineer {
	return Engineer{Person: e.Person, Site: e.Site, Disabled: e.Disabled, By: known(e.By), At: orNull(e.At), Reason: e.Reason,
		Waiting: list(e.Waiting), Asked: orNull(e.Asked)}
}

func accessView(x access.Answer) Access {
	v := Access{Site: x.Of.Site, Asset: x.Of.Asset, Service: x.Of.Service, Ready: x.Ready, Pending: x.Pending, Kind: x.Kind, Message: x.Message, Next: x.Next}
	if !x.Request.IsZero() {
		v.Request = x.Request.Request()
	}
	if !x.Session.IsZero() {
		v.Session = x.Session.Session()
	}
	return v
}
