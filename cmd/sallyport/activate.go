package main

import (
	"cmp"
	"context"

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
	gh, err := p.grantOf(ctx, who, r)
	if err != nil {
		return err
	}
	bundle, err := who.bundle(r.Site)
	if err != nil {
		return err
	}
	issuer, clientID, err := engineersOf(bundle, r.Engineer.Iss)
	if err != nil {
		return err
	}
	line, keep, err := who.home.DraftKey(home.Key{Request: r.ID, Site: r.Site, Asset: r.Asset, Services: r.Services, Created: p.now().UTC(), NotAfter: r.NotAfter})
	if err != nil {
		return err
	}
	token, salt, claims, err := p.prove(ctx, signInRequest{issuer: issuer, client: clientID, role: grant.RoleActivate, subject: gh, extra: grant.KeyHash(line),
		hint: who.hint(), config: who.config, noBrowser: noBrowser, what: "to open what was approved"})
	if err != nil {
		return err
	}
	if claims.Sub != r.Engineer.Sub {
		return session.Errorf(session.Denied, "The browser signed in as %.100s, and %s is of %.100s", cmp.Or(claims.Email, claims.Sub), r.ID, r.Engineer.Email).
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
		p.print("%s is open for this machine. Connect with: sallyport ssh %s", r.ID, fullName(r.Site, r.Asset, cmp.Or(r.Services...)))
	})
}

// grantOf is the hash of the grant that was made for a request. The agent checks the
// proof against the grant that it admitted: another one would open nothing.
func (p *program) grantOf(ctx context.Context, who signedIn, r api.Request) ([32]byte, error) {
	docs, err := client.Documents.Get(ctx, who.broker, r.ID)
	if err != nil {
		return [32]byte{}, err
	}
	g, err := grant.ParseGrant(docs.Grant)
	if err != nil {
		return [32]byte{}, err
	}
	id, err := session.ParseText(g.GID)
	if err != nil || r.Grant == nil || id.Session() != *r.Grant {
		return [32]byte{}, session.Errorf(session.Refused, "The broker handed out another grant than that of %s", r.ID).WithNext("Tell whoever runs the broker.")
	}
	return grant.GrantHash(docs.Grant), nil
}
