package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
)

func (p *program) revokeCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "revoke REQUEST|SESSION --reason TEXT",
		Short: "Take an approval back, opened or not",
		Long: `Take an approval back. A session that is open ends within seconds; nothing opens with it
again. The engineer reads your reason. This goes through the broker; at the hospital
"sallyport-agent kill SESSION" closes a grant for good with the broker gone.`,
		Example:           `  sallyport revoke R-aaaaaaaaaaaaaaaaaaaaaaaaaa --reason "Wrong scanner"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeRequests(session.Approved),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage("Taking an approval back needs its reason").WithNext(`Add --reason "Wrong scanner", for example.`)
			}
			who, r, err := p.requestOf(c.Context(), args[0])
			if err != nil {
				return err
			}
			if r, err = who.broker.Revoke(c.Context(), r.ID, strings.TrimSpace(reason)); err != nil {
				return err
			}
			return p.answer(r, func() error { p.print("%s is revoked: nothing opens with it any more.", r.ID); return nil })
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; the engineer reads it")
	return c
}

func (p *program) sessionsHoldCommand(verb, short, long, done string, call func(*client.Client, context.Context, string) (api.Session, error)) *cobra.Command {
	return &cobra.Command{
		Use:               verb + " SESSION",
		Short:             short,
		Long:              long,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeSessions(true),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := session.ParseSessionID(args[0]); err != nil {
				return err
			}
			who, err := p.session()
			if err != nil {
				return err
			}
			s, err := call(who.broker, c.Context(), args[0])
			if err != nil {
				return err
			}
			return p.answer(s, func() error {
				p.print("%s: %s on %s/%s.", done, s.ID, s.Asset, s.Service)
				if verb == "thaw" && s.State == session.Frozen {
					p.say("It stays frozen for another cause: %s. That is lifted at the hospital.", strings.Join(s.Frozen, ", "))
				}
				return nil
			})
		},
	}
}

func (p *program) sessionsFreezeCommand() *cobra.Command {
	return p.sessionsHoldCommand("freeze", "Stop what the engineer types, and leave the rest running",
		`Stop what the engineer types, and leave the rest running: the scanner's answers still
arrive, the time still counts, all of it is recorded. When the command returns nothing
more passes. Approvers of the site may.`, "Frozen", (*client.Client).Freeze)
}

func (p *program) sessionsThawCommand() *cobra.Command {
	return p.sessionsHoldCommand("thaw", "Let the engineer type again",
		`Lift a freeze that came through the broker. A freeze at the agent itself is lifted there.`, "Thawed", (*client.Client).Thaw)
}

func (p *program) engineersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "engineers",
		Aliases: []string{"engineer"},
		Short:   "See who asks for your scanners, and end somebody's access",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.engineersListCommand(),
		p.standingCommand("disable", "End an engineer's access to your site, now",
			`End an engineer's access to your site: what is open is cut within seconds, what was
approved is taken back, and nothing new is taken from them. Agents that are away are
told when they are back. Other hospitals decide for themselves.`, (*client.Client).Disable),
		p.standingCommand("enable", "Let an engineer ask again",
			"Let an engineer ask again. What was taken back stays taken back.", (*client.Client).Enable))
	return c
}

func (p *program) engineersListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List who asked for your scanners",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			who, err := p.session()
			if err != nil {
				return err
			}
			list, err := who.broker.Engineers(c.Context())
			if err != nil {
				return err
			}
			return p.answer(orEmpty(list), func() error { return p.engineersTable(list) })
		},
	}
}

func (p *program) engineersTable(list []api.Engineer) error {
	if len(list) == 0 {
		p.say("No engineer has asked for your scanners yet.")
		return nil
	}
	var rows [][]string
	for _, e := range list {
		state, asked := "enabled", ""
		if e.Disabled {
			state = "disabled by " + e.By
		}
		if len(e.Waiting) > 0 {
			state += "; not told yet: " + strings.Join(e.Waiting, ", ")
		}
		if e.Asked != nil {
			asked = p.local(*e.Asked)
		}
		rows = append(rows, []string{firstOf(e.Email, e.Sub), e.Name, e.Site, state, asked, e.Reason})
	}
	return display.Table(p.stdout, []string{"ENGINEER", "NAME", "SITE", "STATE", "LAST ASKED", "REASON"}, rows)
}

func (p *program) standingCommand(verb, short, long string, call func(*client.Client, context.Context, api.Standing) (api.Engineer, error)) *cobra.Command {
	var reason, site string
	c := &cobra.Command{
		Use:               verb + " EMAIL --reason TEXT",
		Short:             short,
		Long:              long,
		Example:           "  sallyport engineers " + verb + ` jana@meridian.example --reason "As agreed with the vendor"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeEngineers,
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage("This needs its reason").WithNext(`Add --reason "As agreed with the vendor", for example.`)
			}
			who, err := p.session()
			if err != nil {
				return err
			}
			e, err := p.engineer(c.Context(), who, args[0], site)
			if err != nil {
				return err
			}
			e, err = call(who.broker, c.Context(), api.Standing{Site: e.Site, Iss: e.Iss, Sub: e.Sub, Reason: strings.TrimSpace(reason)})
			if err != nil {
				return err
			}
			return p.answer(e, func() error {
				p.print("%s is %sd at %s.", firstOf(e.Email, e.Sub), verb, e.Site)
				if len(e.Waiting) > 0 {
					p.warn("Not connected, and told when back: %s. The hospital can end what is open there with: sallyport-agent kill", strings.Join(e.Waiting, ", "))
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is kept")
	c.Flags().StringVar(&site, "site", "", "the site, where you work for several")
	return c
}

// engineer finds the one that an e-mail or subject means. An e-mail is no identity:
// where two people have it nobody is guessed.
func (p *program) engineer(ctx context.Context, who signedIn, name, site string) (api.Engineer, error) {
	list, err := who.broker.Engineers(ctx)
	if err != nil {
		return api.Engineer{}, err
	}
	var found []api.Engineer
	for _, e := range list {
		if (strings.EqualFold(e.Email, name) || e.Sub == name) && (site == "" || e.Site == site) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return api.Engineer{}, usage("No engineer %.100q has asked for your scanners", name).WithNext("See: sallyport engineers ls")
	}
	return api.Engineer{}, usage("%.100q means more than one engineer", name).WithNext("Name the subject, or add --site; see: sallyport engineers ls -o json")
}
