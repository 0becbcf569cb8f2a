package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

func (p *program) sessionsCommand() *cobra.Command {
	return noun(&cobra.Command{Use: "sessions", Aliases: []string{"session"}, Short: "See who is on which scanner, and end it"},
		p.sessionsListCommand(), p.sessionsShowCommand(), p.sessionsKillCommand(), p.sessionsFreezeCommand(), p.sessionsThawCommand(), p.sessionsWatchCommand())
}

func (p *program) sessionState(s api.Session) string {
	if s.State == session.Ended && s.Reason != nil {
		return wording.Ended(*s.Reason)
	}
	if s.State == session.Frozen && len(s.Frozen) > 0 {
		return "frozen (" + strings.Join(s.Frozen, ", ") + ")"
	}
	if c := s.Consent; c != nil && s.State == session.AwaitingConsent {
		return "awaiting consent (" + string(c.Kind) + ")"
	}
	return string(s.State)
}

// sessionConsent is what the operator was asked, and what came of it.
func (p *program) sessionConsent(c *api.SessionConsent) string {
	if c == nil {
		return ""
	}
	words := wording.Asking(c.Kind, c.Outcome, c.How)
	switch {
	case c.Outcome == session.Asking:
		words += fmt.Sprintf(" Asked since %s, until %s.", p.local(c.Since), p.local(c.Until))
	case c.At != nil:
		words = strings.TrimSuffix(words, ".") + ", " + p.local(*c.At) + "."
	}
	if c.Wrong == 1 {
		words += " One wrong code was typed."
	} else if c.Wrong > 1 {
		words += fmt.Sprintf(" %d wrong codes were typed.", c.Wrong)
	}
	return words
}

// last is which of the last minutes a live session is in: 15, 5 or 1, as the
// engineer is warned; 0 before.
func (p *program) last(s api.Session) int {
	if s.State == session.Ended || s.Opened.IsZero() {
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
	switch {
	case s.Ended != nil:
		return p.local(*s.Ended)
	case s.Opened.IsZero():
		return ""
	}
	if n := p.last(s); n > 0 {
		return fmt.Sprintf("%s, last %d min", p.local(s.Deadline), n)
	}
	return p.local(s.Deadline)
}

// hold is freeze and thaw.
func (p *program) hold(call client.Write[client.None, api.Session], done string, c *cobra.Command) *cobra.Command {
	return about(p, session.ParseSessionID, p.sessions(true), c, func(ctx context.Context, who signedIn, id string) error {
		s, err := call.Post(ctx, who.broker, client.None{}, id)
		return p.told(s, err, func() {
			p.print("%s: %s on %s.", done, s.ID, fullName(s.Site, s.Asset, s.Service))
			if call == client.Thaw && s.State == session.Frozen {
				p.say("It stays frozen for another cause: %s. That is lifted at the hospital.", strings.Join(s.Frozen, ", "))
			}
		})
	})
}
