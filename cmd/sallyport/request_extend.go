package main

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/wording"
)

// extension is how much longer an engineer wants to go on, and why.
type extension struct {
	longer    time.Duration
	reason    string
	workOrder string
	wait      bool
	timeout   time.Duration
	noBrowser bool
}

func (p *program) requestExtendCommand() *cobra.Command {
	var m extension
	c := about(p, session.ParseSessionID, p.sessions(true), &cobra.Command{
		Use:   "extend SESSION --for TIME --reason TEXT",
		Short: "Ask for more time in a session that is live",
		Long: `Ask for more time in a session that is live. The hospital decides as about any request;
nothing drops when it says yes. Without an answer the session ends when it would have.`,
		Example: `  sallyport request extend S-aaaaaaaaaaaaaaaaaaaaaaaaaa --for 30m --reason "Calibration takes longer" --wait`,
	}, func(ctx context.Context, who signedIn, id string) error { return p.extend(ctx, who, id, m) })
	m.flags(c, "reason")
	return c
}

// extendCommand is the same where one looks for it in the middle of the work.
func (p *program) extendCommand() *cobra.Command {
	var m extension
	c := about(p, session.ParseSessionID, p.sessions(true), &cobra.Command{
		Use:   "extend SESSION --for TIME --why TEXT",
		Short: "Ask for more time in your live session",
		Long: `Ask for more time in your live session. An approver of the hospital decides as about any
request, in the same ways; the session goes on meanwhile, and nothing drops when they say
yes. What becomes of it is said in the session. Without an answer it ends when it would have.

It is sallyport request extend.`,
		Example: `  sallyport extend S-aaaaaaaaaaaaaaaaaaaaaaaaaa --for 15m --why "Calibration takes longer"`,
	}, func(ctx context.Context, who signedIn, id string) error { return p.extend(ctx, who, id, m) })
	m.flags(c, "why")
	return c
}

// flags are those of an extension; its reason is asked for by a name.
func (m *extension) flags(c *cobra.Command, reason string) {
	f := c.Flags()
	f.DurationVar(&m.longer, "for", 0, "how much longer, as in 30m")
	f.StringVar(&m.reason, reason, "", "why, in your words; the approver reads it")
	f.StringVar(&m.workOrder, "work-order", "", "the work order (default: the session's)")
	f.BoolVar(&m.wait, "wait", false, "wait for the hospital's answer")
	f.DurationVar(&m.timeout, "timeout", 15*time.Minute, "how long --wait waits")
	f.BoolVar(&m.noBrowser, "no-browser", false, "print the address instead of opening a browser")
	_ = c.MarkFlagRequired("for")
	_ = c.MarkFlagRequired(reason)
}

func (p *program) extend(ctx context.Context, who signedIn, id string, m extension) error {
	if m.longer < time.Second || m.longer%time.Second != 0 {
		return usage("An extension lasts whole seconds, at least one").WithNext("Write --for 30m, for example.")
	}
	s, err := client.Session.Get(ctx, who.broker, id)
	if err != nil {
		return err
	}
	if s.State == session.Ended {
		return session.Errorf(session.Expired, "The session is over").WithNext("Ask for a new one: sallyport request new " + fullName(s.Site, s.Asset, s.Service))
	}
	r, err := client.Request.Get(ctx, who.broker, s.Request)
	if err != nil {
		return err
	}
	if r.Engineer.Identity != who.login.Person.Identity {
		return session.Errorf(session.Denied, "Only its engineer asks for more time of %s", id).WithNext("Nothing was changed.")
	}
	v, err := p.verified(ctx, who, s.Request, "Nothing was asked for.")
	if err != nil {
		return err
	}
	first, err := v.granted()
	if err == nil {
		err = p.believable(ctx, who, s, v.request, first)
	}
	if err != nil {
		return err
	}
	doc, err := p.lengthened(s, first, v.request, m)
	if err != nil {
		return err
	}
	answer, err := p.handIn(ctx, who, v.trust, doc, m.noBrowser)
	if err != nil {
		return err
	}
	if m.wait {
		return p.wait(ctx, who, answer, m.timeout)
	}
	return p.told(answer, nil, func() {
		p.print("%s", answer.ID)
		p.say("Asked to go on until %s at the latest instead of %s. %s", p.local(time.Unix(doc.EXP, 0)), p.local(s.Deadline), p.whereItStands(answer))
	})
}

// believable refuses what the broker says of a session where it goes beyond what its
// engineer ever signed, since the new end is counted from it.
func (p *program) believable(ctx context.Context, who signedIn, s api.Session, asked grant.Request, first grant.Grant) error {
	lie := session.Errorf(session.Refused, "The broker says that %s began %s and ends %s, and you asked for no such time", s.ID, p.local(s.Opened), p.local(s.Deadline)).
		WithNext("Nothing was asked for. Tell your security contact.")
	if of, err := session.ParseSessionID(s.ID); err != nil || first.GID != of.Text() || asked.Eng != who.login.Person.Identity || s.Opened.Unix() < first.NBF {
		return lie
	}
	most := func(exp, maxs int64) time.Time {
		return session.Deadline(p.now(), time.Duration(maxs)*time.Second, time.Unix(exp, 0))
	}
	if !s.Deadline.After(most(first.EXP, first.MaxS)) {
		return nil
	}
	all, err := client.Requests.All(ctx, who.broker)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Kind != grant.KindExtension || r.Extends != s.ID {
			continue
		}
		v, err := p.verified(ctx, who, r.ID, "Nothing was asked for.")
		if err != nil {
			return err
		}
		if v.request.Parent == first.GID && v.request.Eng == asked.Eng && !s.Deadline.After(most(v.request.EXP, v.request.MaxS)) {
			return nil
		}
	}
	return lie
}

// lengthened is the session's own terms with a later end: maxs is the whole length
// from its start, exp the new end.
func (p *program) lengthened(s api.Session, first grant.Grant, asked grant.Request, m extension) (grant.Request, error) {
	reason, order := strings.TrimSpace(m.reason), cmp.Or(strings.TrimSpace(m.workOrder), asked.Ref)
	if !wording.Says(reason) || !wording.Plain(reason) || strings.ContainsAny(reason+order, "\n\r\t") {
		return grant.Request{}, usage("Reason and work order are one line of text each").WithNext("The approver decides by them.")
	}
	end := s.Deadline.Add(m.longer).Add(time.Second - 1).Truncate(time.Second)
	return grant.Request{
		V: 1, Typ: "sallyport-request", RID: session.NewID().Text(), Kind: grant.KindExtension, Parent: first.GID, Site: first.Site, Asset: first.Asset,
		Services: first.Services, Class: first.Class, Channels: first.Channels, NBF: p.now().Unix(), EXP: end.Unix(),
		MaxS: int64((end.Sub(s.Opened) + time.Second - 1) / time.Second), Eng: asked.Eng, Reason: reason, Ref: order,
	}, nil
}
