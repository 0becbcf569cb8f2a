package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/session"
)

func (p *program) statusCommand() *cobra.Command {
	return p.signed(&cobra.Command{Use: "status", Short: "Say who you are, where you are signed in and what you trust"}, p.status)
}

// statusView is the JSON of status and login.
type statusView struct {
	SignedIn bool            `json:"signed_in"`
	Broker   string          `json:"broker"`
	Home     string          `json:"home"`
	Person   *session.Person `json:"person"`
	Roles    []session.Role  `json:"roles"`
	Expires  *time.Time      `json:"expires"`
	Sites    []string        `json:"sites"` // with an imported trust bundle
}

func publicLogin(s signedIn) statusView {
	v := statusView{SignedIn: true, Broker: s.config.Broker, Home: s.home.Dir(), Person: &s.login.Person, Roles: s.login.Roles, Sites: sites(s.home)}
	if !s.login.Expires.IsZero() {
		utc := s.login.Expires.UTC()
		v.Expires = &utc
	}
	return v
}

func sites(h home.Home) []string {
	list := []string{}
	trust, _ := h.Trust()
	for _, t := range trust {
		list = append(list, t.Site)
	}
	return list
}

func (p *program) status(ctx context.Context, who signedIn, _ []string) error {
	me, err := client.Me.Get(ctx, who.broker)
	if err != nil {
		return err
	}
	if me.Person.Iss != "" {
		who.login.Person, who.login.Roles = me.Person, me.Roles
	}
	view := publicLogin(who)
	return p.toldFacts(view, nil, func() [][2]string {
		return [][2]string{
			{"You", fmt.Sprintf("%s <%s>, %s", who.login.Person.Name, who.login.Person.Email, rolesOrNone(who.login.Roles))},
			{"Signed in by", who.login.Person.Iss}, {"Until", p.local(who.login.Expires)}, {"Broker", view.Broker}, {"Home", view.Home},
			{"You trust", cmp.Or(strings.Join(view.Sites, ", "), "nobody yet; run: sallyport trust import FILE")},
		}
	})
}

func rolesOrNone(list []session.Role) string { return cmp.Or(joined(list), "no role") }
