package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
)

func (p *program) criticalCommand() *cobra.Command {
	var length time.Duration
	var why string
	var end bool
	c := p.signed(&cobra.Command{
		Use:   "critical SESSION --for TIME --why TEXT",
		Short: "Declare that your session must not be frozen now, or that it may be again",
		Long: `Declare a critical section of your own live session: firmware is being written, and must
not be cut off half way. Until it is over, a patient's arrival at the scanner raises an
alarm in place of a freeze, everything else on the scanner is frozen, and nothing new
opens there. It covers what your session has connected when you declare it. The
hospital's people can freeze and end the session at any time all the same.

How long a session may be in critical sections stands in its grant: ask for that with
sallyport request new --critical. One that outlasts the session's end keeps the session
until the section is over. End it with --end as soon as the scanner is safe.

The hospital's agent takes this from the key of your session, which it checks itself.`,
		Example: `  sallyport critical S-AAAAAAAAAA --for 10m --why "firmware 4.2"
  sallyport critical S-AAAAAAAAAA --end`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.sessions(true),
	}, func(ctx context.Context, who signedIn, args []string) error {
		ask := attach.Critical{Seconds: int(length / time.Second), Why: why, End: end}
		switch {
		case end && (length != 0 || why != ""):
			return usage("--end takes neither --for nor --why").WithNext("As in: sallyport critical S-... --end")
		case length%time.Second != 0 || ask.Check() != nil:
			return usage("Say how long the section lasts, in whole seconds, and why in one line").WithNext(`As in: sallyport critical S-... --for 10m --why "firmware 4.2"`)
		}
		return p.critical(ctx, who, args[0], ask)
	})
	c.Flags().DurationVar(&length, "for", 0, "how long it lasts at most, as in 10m")
	c.Flags().StringVar(&why, "why", "", "what is being done; the hospital reads it")
	c.Flags().BoolVar(&end, "end", false, "the section is over")
	return c
}

// critical asks the hospital's agent itself, by the key of the session.
func (p *program) critical(ctx context.Context, who signedIn, typed string, ask attach.Critical) error {
	id, err := session.ParseSessionID(typed)
	if err != nil {
		return err
	}
	s, err := client.Session.Get(ctx, who.broker, id.Session())
	if err != nil {
		return err
	}
	inner, key, err := both(who, s.Site, s.Request)
	if err != nil {
		return err
	}
	opening, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, innerTime)
	defer cancel()
	conn, agent, err := inside(within, who, api.Attach{Site: s.Site, Asset: s.Asset, Service: s.Service, Inside: true}, inner)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(within, func() { _ = conn.Close() })()
	words, err := agent.Ask(key, attach.Proof{Role: attach.RoleCritical, Session: id.Session(), Opening: opening})
	if err == nil {
		p.print("%s", words)
	}
	return err
}
