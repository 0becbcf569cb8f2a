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
