package grant

import (
	"encoding/hex"
	"slices"

	"github.com/sallyport/sallyport/session"
)

// Less is what an approver allows instead of what was asked for. Its zero value is all of it.
type Less struct {
	MaxS     int64             `json:"maxs,omitempty"`
	EXP      int64             `json:"exp,omitempty"`
	Class    session.Class     `json:"class,omitempty"`
	Channels []session.Channel `json:"channels,omitempty"` // nil: those that were asked for
	NoCrit   bool              `json:"nocrit,omitempty"`   // no critical sections
}

// Draft is the grant that answers a request's bytes at an agent: as asked, or less. The web
// application builds the same in broker/web/src/lib/grants.ts, held against
// testdata/webgrant.json.
func Draft(request []byte, agent string, less Less) (Grant, error) {
	r, err := ParseRequest(request)
	if err != nil {
		return Grant{}, err
	}
	qh := RequestHash(request)
	g := NewGrant()
	g.Req, g.Site, g.Agent, g.Asset = hex.EncodeToString(qh[:]), r.Site, agent, r.Asset
	g.Services, g.Class, g.Channels, g.NBF, g.EXP, g.MaxS = r.Services, r.Class, r.Channels, r.NBF, r.EXP, r.MaxS
	g.Crit = r.Crit
	if less.MaxS != 0 {
		g.MaxS = less.MaxS
	}
	if less.EXP != 0 {
		g.EXP = less.EXP
	}
	if less.Class != "" {
		g.Class = less.Class
	}
	if g.Class != session.Disruptive || less.NoCrit {
		g.Crit = 0
	}
	if less.Channels != nil {
		g.Channels = slices.Compact(slices.Sorted(slices.Values(less.Channels)))
	}
	if len(g.Channels) == 0 {
		return Grant{}, refused("A grant without any channel opens nothing.", "Leave one, or deny the request.")
	}
	if err := Within(g, r); err != nil {
		return Grant{}, err
	}
	if r.Kind == KindExtension && g.Narrows(r) {
		return Grant{}, refused("An extension is approved as it was asked, or denied.", "Deny it with a reason, and say there how much would be fine.")
	}
	_, err = g.Marshal()
	return g, err
}

// Narrows reports whether a grant that is Within its request allows less than it asked for.
func (g Grant) Narrows(r Request) bool {
	return g.MaxS < r.MaxS || g.NBF > r.NBF || g.EXP < r.EXP || g.Class != r.Class || g.Crit < r.Crit || len(g.Channels) < len(r.Channels) || len(g.Services) < len(r.Services)
}

// Answers checks that a grant which somebody approved before is the answer to a request's
// bytes at an agent, and goes nowhere beyond it.
func Answers(g Grant, request []byte, agent string) error {
	r, err := ParseRequest(request)
	if err != nil {
		return err
	}
	qh := RequestHash(request)
	if g.Req != hex.EncodeToString(qh[:]) || g.Agent != agent || !slices.Contains(g.Obl, Record) {
		return refused("The grant that was approved before is not for this request.", "Do not approve it. Tell your security contact.")
	}
	return Within(g, r)
}
