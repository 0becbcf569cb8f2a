package main

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

func (p *program) activateCommand() *cobra.Command {
	noBrowser := false
	c := &cobra.Command{
		Use:   "activate REQUEST|SESSION",
		Short: "Open a window that was approved ahead, or join with this machine",
		Long: `Prove once more that it is you and add a fresh ssh key of this machine to what was
approved. A window that was asked for more than an hour ahead needs it when it opens;
so does a session that nobody opened within the hour after its request. It counts for
15 minutes. At most four keys can join.`,
		Example:           "  sallyport activate R-aaaaaaaaaaaaaaaaaaaaaaaaaa\n  sallyport ssh NGH-PETCT1/recon-ssh",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.requests(session.Approved),
		RunE:              func(c *cobra.Command, args []string) error { return p.activate(c.Context(), args[0], noBrowser) },
	}
	c.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address instead of opening a browser")
	return c
}

func (p *program) activate(ctx context.Context, id string, noBrowser bool) error {
	who, r, err := p.requestOf(ctx, id)
	if err != nil {
		return err
	}
	if r.Engineer.Identity != who.login.Person.Identity {
		return session.Errorf(session.Denied, "Only its engineer activates %s", r.ID).WithNext("An approver opens nothing; nothing was changed.")
	}
	if r.Status != session.Approved || r.Kind == grant.KindExtension {
		return session.Errorf(session.Refused, "There is nothing to open: %s", p.whereItStands(r)).WithNext("Details: sallyport request show " + r.ID)
	}
	v, g, err := p.opens(ctx, who, r, id)
	if err != nil {
		return err
	}
	issuer, clientID, err := engineersOf(v.trust, v.request.Eng.Iss)
	if err != nil {
		return err
	}
	name, until := fullName(g.Site, g.Asset, cmp.Or(g.Services...)), time.Unix(g.EXP, 0)
	line, keep, err := who.home.DraftKey(home.Key{Request: r.ID, Site: g.Site, Asset: g.Asset, Services: g.Services, Created: p.now().UTC(), NotAfter: until})
	if err != nil {
		return err
	}
	p.say("You add a key of this machine to %s on %s/%s, which may begin until %s.", strings.Join(g.Services, ", "), g.Site, g.Asset, p.local(until))
	token, salt, claims, err := p.prove(ctx, signInRequest{issuer: issuer, client: clientID, role: grant.RoleActivate, subject: grant.GrantHash(v.docs.Grant), extra: grant.KeyHash(line),
		hint: who.hint(), config: who.config, noBrowser: noBrowser, what: "to open what was approved"})
	if err != nil {
		return err
	}
	if claims.Sub != v.request.Eng.Sub {
		return session.Errorf(session.Denied, "The browser signed in as %.100s, and %s is of %.100s", cmp.Or(claims.Email, claims.Sub), r.ID, who.login.Person.Shown()).
			WithNext("Sign out at " + host(issuer.URL) + " and run the command again.")
	}
	answer, err := client.Activate.Post(ctx, who.broker, api.Activation{Key: line, Token: token, Salt: salt}, r.ID)
	if err != nil {
		return err
	}
	if err := keep(); err != nil {
		return err
	}
	_, err = p.writeSSH(ctx, who)
	return p.told(answer, err, func() {
		p.print("%s is open for this machine. Connect with: sallyport %s %s", r.ID, reaching(g.Channels), name)
	})
}

// opens is the grant that an activation of what was named opens: of the request that this
// engineer signed, and no other, whatever the broker says of it.
func (p *program) opens(ctx context.Context, who signedIn, r api.Request, named string) (verified, grant.Grant, error) {
	v, err := p.verified(ctx, who, r.ID, "Nothing was activated.")
	if err != nil {
		return v, grant.Grant{}, err
	}
	g, err := v.granted()
	if err != nil {
		return v, g, err
	}
	gid, err := session.ParseText(g.GID)
	if err != nil || r.Grant == nil || gid.Session() != *r.Grant || v.request.Eng != who.login.Person.Identity || named != r.ID && named != gid.Session() {
		return v, g, session.Errorf(session.Refused, "The broker handed out another grant than that of %s", named).WithNext("Nothing was activated. Tell your security contact.")
	}
	return v, g, nil
}
