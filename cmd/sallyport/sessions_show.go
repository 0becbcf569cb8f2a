package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

func (p *program) sessionsShowCommand() *cobra.Command {
	return about(p, session.ParseSessionID, p.sessions(false), &cobra.Command{Use: "show SESSION", Short: "Tell all about one session"},
		func(ctx context.Context, who signedIn, id string) error {
			s, err := client.Session.Get(ctx, who.broker, id)
			return p.toldFacts(s, err, func() [][2]string { return append(p.sessionFacts(s), p.stood(ctx, who, s)...) })
		})
}

func (p *program) sessionFacts(s api.Session) [][2]string {
	ended, remaining, warning, keys, opened, must := "", "", "", "", "", ""
	if !s.Opened.IsZero() {
		opened, must = p.local(s.Opened), p.local(s.Deadline)
	}
	if s.Ended != nil {
		ended = p.local(*s.Ended)
	}
	if s.State != session.Ended && !s.Opened.IsZero() {
		remaining = display.Span(max(s.Deadline.Sub(p.now()), 0))
		if n := p.last(s); n > 0 {
			warning = fmt.Sprintf("the last %d min; its engineer asks for more with: sallyport request extend %s --for 30m --reason ...", n, s.ID)
		}
	}
	if s.Keys > 0 {
		keys = fmt.Sprint(s.Keys)
	}
	var shown []string
	for _, c := range s.Certificates {
		shown = append(shown, c.Words())
	}
	return [][2]string{
		{"Session", s.ID}, {"State", p.sessionState(s)}, {"Scanner", fullName(s.Site, s.Asset, s.Service)}, {"Engineer", s.Engineer}, {"Operator", p.sessionConsent(s.Consent)}, {"Opened", opened},
		{"Must end", must}, {"Remaining", remaining}, {"Warning", warning}, {"Keys", keys}, {"Ended", ended},
		{"Console", strings.Join(shown, "; ")},
		{"Recordings", strings.Join(s.Recordings, " ")}, {"Request", s.Request},
	}
}

// stood says of the recordings of a session that is over how the scanner stood meanwhile.
func (p *program) stood(ctx context.Context, who signedIn, s api.Session) (rows [][2]string) {
	if s.State != session.Ended {
		return nil
	}
	for _, id := range s.Recordings[:min(len(s.Recordings), maxStood)] {
		v, err := client.Recording.Get(ctx, who.broker, id)
		if err != nil || v.Digest == nil || len(v.Digest.Stood) == 0 {
			continue
		}
		var parts []string
		for _, x := range v.Digest.Stood {
			words := "in states that are not listed"
			if x.State != "" {
				words = x.State.Words()
			}
			parts = append(parts, words+" for "+display.Span(time.Duration(x.Seconds)*time.Second))
		}
		rows = append(rows, [2]string{"Scanner was", wording.List(parts) + " (" + v.Service + ")"})
	}
	return rows
}
