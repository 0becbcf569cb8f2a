package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
)

func (p *program) requestListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List requests, newest first: your own, or your site's",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			who, err := p.session()
			if err != nil {
				return err
			}
			list, err := who.broker.Requests(c.Context())
			if err != nil {
				return err
			}
			return p.answer(orEmpty(list), func() error { return p.requestTable(list) })
		},
	}
}

func (p *program) requestTable(list []api.Request) error {
	if len(list) == 0 {
		p.say("No requests yet. An engineer makes one with: sallyport request new")
		return nil
	}
	var rows [][]string
	for _, r := range list {
		state := string(r.Status)
		if r.Status == session.Pending && r.Needed > 1 {
			state = fmt.Sprintf("pending %d of %d", r.Approvals, r.Needed)
		}
		if r.Status == session.Pending && r.Proposal != nil {
			state += ", other window proposed"
		}
		if extended(r) {
			state = "extended"
		}
		rows = append(rows, []string{r.ID, state, r.Asset + "/" + strings.Join(r.Services, ","), display.Span(time.Duration(r.MaxSeconds) * time.Second),
			p.local(r.NotAfter), firstOf(r.Engineer.Email, r.Engineer.Sub), r.Reason})
	}
	return display.Table(p.stdout, []string{"REQUEST", "STATUS", "ASSET/SERVICE", "FOR", "NOT AFTER", "ENGINEER", "REASON"}, rows)
}

func (p *program) requestShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show REQUEST",
		Short:             "Tell what one request asks for and where it stands",
		Example:           "  sallyport request show R-aaaaaaaaaaaaaaaaaaaaaaaaaa",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeRequests(""),
		RunE: func(c *cobra.Command, args []string) error {
			who, id, err := p.aboutRequest(args[0])
			if err != nil {
				return err
			}
			r, err := who.broker.Request(c.Context(), id)
			if err != nil {
				return err
			}
			return p.answer(r, func() error { return p.requestStory(r, p.siteZone(c.Context(), who, r)) })
		},
	}
}

// siteZone is the time zone of a request's scanner; empty when it is not known.
func (p *program) siteZone(ctx context.Context, who signedIn, r api.Request) string {
	catalogue, err := who.broker.Assets(ctx, r.Site)
	if err != nil {
		return ""
	}
	for _, a := range catalogue {
		if a.Name == r.Asset && a.Site == r.Site {
			return a.Zone
		}
	}
	return ""
}

func (p *program) requestStory(r api.Request, zone string) error {
	p.print("%s", p.whereItStands(r))
	started := ""
	if r.Grant != nil {
		started = *r.Grant
	}
	proposed := ""
	if w := r.Proposal; w != nil {
		proposed = strings.TrimSuffix(fmt.Sprintf("%s until %s, by %s: %s", p.both(w.From, zone), p.both(w.Until, zone), w.By, w.Reason), ": ")
	}
	return display.Facts(p.stdout, [][2]string{
		{"Request", r.ID}, {"Scanner", r.Asset + " at " + r.Site}, {"Services", strings.Join(r.Services, ", ")}, {"Class", string(r.Class)},
		{"May", may(r.Channels)}, {"For", "at most " + display.Span(time.Duration(r.MaxSeconds)*time.Second)},
		{"Not before", p.both(r.NotBefore, zone)}, {"Not after", p.both(r.NotAfter, zone)}, {"Proposed", proposed},
		{"Still needed", strings.Join(r.Missing, ", ")}, {"Extends", r.Extends},
		{"Engineer", fmt.Sprintf("%s <%s>", firstOf(r.Engineer.Name, r.Engineer.Sub), r.Engineer.Email)},
		{"Reason", r.Reason}, {"Work order", r.WorkOrder}, {"Asked", p.local(r.Created)}, {"Grant", started},
	})
}

func (p *program) requestWithdrawCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "withdraw REQUEST",
		Short:             "Take a request back",
		Long:              "Take a request back before the hospital answered. Its key on this machine is removed.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeRequests(session.Pending),
		RunE: func(c *cobra.Command, args []string) error {
			who, id, err := p.aboutRequest(args[0])
			if err != nil {
				return err
			}
			r, err := who.broker.Withdraw(c.Context(), id)
			if err != nil {
				return err
			}
			_ = who.home.DropKey(id)
			if _, err := p.writeSSH(c.Context(), who); err != nil {
				p.say("The ssh configuration was not rewritten: %s", explain(err).Message)
			}
			return p.answer(r, func() error { p.print("%s", p.whereItStands(r)); return nil })
		},
	}
}

func (p *program) denyCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:               "deny REQUEST --reason TEXT",
		Short:             "Say no to a request",
		Long:              "Say no to a request. The engineer reads your reason; say when asking again makes sense.",
		Example:           `  sallyport deny R-aaaaaaaaaaaaaaaaaaaaaaaaaa --reason "Scanner in use until 15:00"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeRequests(session.Pending),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage("A denial needs its reason").WithNext(`Add --reason "Scanner in use until 15:00", for example.`)
			}
			who, id, err := p.aboutRequest(args[0])
			if err != nil {
				return err
			}
			return p.deny(c.Context(), who, id, reason)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; the engineer reads it")
	return c
}

func (p *program) deny(ctx context.Context, who signedIn, id, reason string) error {
	r, err := who.broker.Deny(ctx, id, reason)
	if err != nil {
		return err
	}
	return p.answer(r, func() error { p.print("%s", p.whereItStands(r)); return nil })
}

// aboutRequest checks an id before anybody is asked about it.
func (p *program) aboutRequest(id string) (signedIn, string, error) {
	if _, err := session.ParseRequestID(id); err != nil {
		return signedIn{}, "", err
	}
	who, err := p.session()
	return who, id, err
}

// whereItStands is the one sentence about a request.
func (p *program) whereItStands(r api.Request) string {
	switch r.Status {
	case session.Pending:
		if w := r.Proposal; w != nil {
			return fmt.Sprintf("%s proposes another window: %s until %s.", firstOf(w.By, r.Site), p.local(w.From), p.local(w.Until))
		}
		if len(r.Missing) > 0 && r.Approvals > 0 {
			return fmt.Sprintf("%d of %d approvers at %s said yes; still needed: %s.", r.Approvals, r.Needed, r.Site, strings.Join(r.Missing, ", "))
		}
		if r.Needed > 1 && r.Approvals > 0 {
			return fmt.Sprintf("%d of %d approvers at %s said yes; the others have not answered yet.", r.Approvals, r.Needed, r.Site)
		}
		return fmt.Sprintf("%s has not answered yet.", r.Site)
	case session.Approved:
		first := r.Asset
		if len(r.Services) > 0 {
			first += "/" + r.Services[0]
		}
		if r.NotBefore.After(p.now()) {
			return fmt.Sprintf("Approved: opens at %s; then run: sallyport ssh %s", p.local(r.NotBefore), first)
		}
		return fmt.Sprintf("Approved: connect before %s with: sallyport ssh %s", p.local(r.NotAfter), first)
	case session.DeniedBy:
		if r.DenyReason != "" {
			return fmt.Sprintf("%s declined: %s", firstOf(r.DeniedBy, r.Site), sentence(r.DenyReason))
		}
		return fmt.Sprintf("%s declined.", firstOf(r.DeniedBy, r.Site))
	case session.Withdrawn:
		return "Taken back by its engineer."
	case session.Lapsed:
		if r.Grant != nil {
			return "Approved, but nobody connected in time."
		}
		return fmt.Sprintf("%s did not answer in time.", r.Site)
	case session.Revoked:
		if r.RevokeWhy != "" {
			return fmt.Sprintf("%s took the approval back: %s", firstOf(r.RevokedBy, r.Site), sentence(r.RevokeWhy))
		}
		return fmt.Sprintf("%s took the approval back.", r.Site)
	case session.Closed:
		if extended(r) {
			return fmt.Sprintf("Extended: %s goes on until %s.", r.Extends, p.local(r.NotAfter))
		}
		return "Its session is over."
	}
	return "Status " + string(r.Status) + "."
}

// may says what channels mean to a person.
func may(channels []session.Channel) string {
	var words []string
	for _, c := range channels {
		words = append(words, channelWords(c))
	}
	return strings.Join(words, "; ")
}

func channelWords(c session.Channel) string {
	switch c {
	case session.Shell:
		return "use a command shell"
	case session.Exec:
		return "run single commands"
	case session.FilesIn:
		return "copy files to the scanner"
	case session.FilesOut:
		return "copy files from the scanner"
	case session.ClipboardIn:
		return "paste into the scanner"
	case session.ClipboardOut:
		return "copy text from the scanner"
	case session.Control:
		return "use keyboard and mouse"
	}
	return string(c)
}
