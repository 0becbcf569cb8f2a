package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
)

func (p *program) sessionsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "sessions",
		Aliases: []string{"session"},
		Short:   "See who is on which scanner, and end it",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.sessionsListCommand(), p.sessionsShowCommand(), p.sessionsKillCommand(), p.sessionsFreezeCommand(), p.sessionsThawCommand())
	return c
}

func (p *program) sessionsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List sessions, newest first: your own, or your site's",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			who, err := p.session()
			if err != nil {
				return err
			}
			list, err := who.broker.Sessions(c.Context())
			if err != nil {
				return err
			}
			return p.answer(orEmpty(list), func() error {
				if len(list) == 0 {
					p.say("Nobody has been on a scanner yet.")
					return nil
				}
				var rows [][]string
				for _, s := range list {
					rows = append(rows, []string{s.ID, p.sessionState(s), s.Asset + "/" + s.Service, s.Engineer, p.local(s.Opened), p.sessionEnd(s)})
				}
				return display.Table(p.stdout, []string{"SESSION", "STATE", "ASSET/SERVICE", "ENGINEER", "OPENED", "ENDS"}, rows)
			})
		},
	}
}

func (p *program) sessionState(s api.Session) string {
	if s.State == session.Ended && s.Reason != nil {
		return "ended: " + endWords(*s.Reason)
	}
	if s.State == session.Frozen && len(s.Frozen) > 0 {
		return "frozen (" + strings.Join(s.Frozen, ", ") + ")"
	}
	return string(s.State)
}

// last is which of the last minutes a live session is in: 15, 5 or 1, as the
// engineer is warned; 0 before.
func (p *program) last(s api.Session) int {
	if s.State == session.Ended {
		return 0
	}
	left := s.Deadline.Sub(p.now())
	for _, minutes := range []int{1, 5, 15} {
		if left <= time.Duration(minutes)*time.Minute {
			return minutes
		}
	}
	return 0
}

func (p *program) sessionEnd(s api.Session) string {
	if s.Ended != nil {
		return p.local(*s.Ended)
	}
	if n := p.last(s); n > 0 {
		return fmt.Sprintf("%s, last %d min", p.local(s.Deadline), n)
	}
	return p.local(s.Deadline)
}

// endWords says why something ended.
func endWords(r session.EndReason) string {
	switch r {
	case session.Completed:
		return "completed"
	case session.OutOfTime:
		return "at its limit"
	case session.RevokedGrant:
		return "approval taken back"
	case session.KilledLocal:
		return "stopped at the hospital"
	case session.KilledRemote:
		return "stopped by an approver"
	case session.LinkLost:
		return "connection lost"
	case session.AgentLost:
		return "agent lost"
	case session.RecorderLost:
		return "could not be recorded"
	case session.DeviceClosed:
		return "scanner hung up"
	case session.Failed:
		return "failed"
	}
	return string(r)
}

func (p *program) sessionsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show SESSION",
		Short:             "Tell all about one session",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeSessions(false),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := session.ParseSessionID(args[0]); err != nil {
				return err
			}
			who, err := p.session()
			if err != nil {
				return err
			}
			s, err := who.broker.Session(c.Context(), args[0])
			if err != nil {
				return err
			}
			return p.answer(s, func() error { return p.sessionStory(s) })
		},
	}
}

func (p *program) sessionStory(s api.Session) error {
	ended := ""
	if s.Ended != nil {
		ended = p.local(*s.Ended)
	}
	remaining, warning, keys := "", "", ""
	if s.State != session.Ended {
		remaining = display.Span(max(s.Deadline.Sub(p.now()), 0))
		if n := p.last(s); n > 0 {
			warning = fmt.Sprintf("the last %d min; its engineer asks for more with: sallyport request extend %s --for 30m --reason ...", n, s.ID)
		}
	}
	if s.Keys > 0 {
		keys = fmt.Sprint(s.Keys)
	}
	return display.Facts(p.stdout, [][2]string{
		{"Session", s.ID}, {"State", p.sessionState(s)}, {"Scanner", s.Asset + "/" + s.Service}, {"Engineer", s.Engineer}, {"Opened", p.local(s.Opened)},
		{"Must end", p.local(s.Deadline)}, {"Remaining", remaining}, {"Warning", warning}, {"Keys", keys}, {"Ended", ended}, {"Recordings", strings.Join(s.Recordings, " ")}, {"Request", s.Request},
	})
}

func (p *program) sessionsKillCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "kill SESSION",
		Short: "End a session now, for good",
		Long: `End a session now, for good. Its engineer and the approvers of its site may; nobody is
asked again. This goes through the broker. At the hospital, "sallyport-agent kill"
works with the broker gone.`,
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
			s, err := who.broker.Kill(c.Context(), args[0])
			if err != nil {
				return err
			}
			return p.answer(s, func() error {
				if s.State == session.Ended {
					p.print("Ended: %s on %s/%s.", s.ID, s.Asset, s.Service)
				} else {
					p.print("The agent was told to end %s; look again with: sallyport sessions show %s", s.ID, s.ID)
				}
				return nil
			})
		},
	}
}
