package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/wording"
)

func (p *program) requestShowCommand() *cobra.Command {
	return about(p, session.ParseRequestID, p.requests(""), &cobra.Command{
		Use:     "show REQUEST",
		Short:   "Tell what one request asks for and where it stands",
		Example: "  sallyport request show R-aaaaaaaaaaaaaaaaaaaaaaaaaa",
	}, func(ctx context.Context, who signedIn, id string) error {
		r, err := client.Request.Get(ctx, who.broker, id)
		return p.toldFacts(r, err, func() [][2]string {
			p.print("%s", p.whereItStands(r))
			facts := p.requestFacts(r, p.assetOf(ctx, who, r.Site, r.Asset))
			if r.Grant != nil && r.Kind == grant.KindSession { // it has none before somebody connected
				if s, err := client.Session.Get(ctx, who.broker, *r.Grant); err == nil {
					facts = append(facts, [2]string{"Consent", p.sessionConsent(s.Consent)})
				}
			}
			return facts
		})
	})
}

func (p *program) requestFacts(r api.Request, on api.Asset) [][2]string {
	zone, started, proposed, standing := on.Zone, "", "", ""
	if on.Name != "" {
		standing = p.stands(on)
	}
	if r.Grant != nil {
		started = *r.Grant
	}
	if w := r.Proposal; w != nil {
		proposed = strings.TrimSuffix(fmt.Sprintf("%s until %s, by %s: %s", p.both(w.From, zone), p.both(w.Until, zone), w.By, w.Reason), ": ")
	}
	return [][2]string{
		{"Request", r.ID}, {"Scanner", fullName(r.Site, r.Asset, "")}, {"Services", strings.Join(r.Services, ", ")}, {"Class", string(r.Class)},
		{"May", may(r.Channels, r.Class)}, {"For", "at most " + display.Span(time.Duration(r.MaxSeconds)*time.Second)},
		{"Not before", p.both(r.NotBefore, zone)}, {"Not after", p.both(r.NotAfter, zone)}, {"Proposed", proposed},
		{"Scanner is", standing}, {"Operator", wording.Consent(on.Consent)}, {"The class", strings.Join(classMeans(on, r.Class), " ")}, {"Passkeys", wording.Keys(on.ConsoleKeys)}, {"Still needed", strings.Join(missing(r), ", ")}, {"Extends", r.Extends}, {"Approved by", p.approvedBy(r)},
		{"Engineer", called(r.Engineer)},
		{"Reason", r.Reason}, {"Work order", r.WorkOrder}, {"Asked", p.local(r.Created)}, {"Grant", started},
	}
}

// missing is what has to come before a request is granted, as far as it can be said.
func missing(r api.Request) []string {
	all := slices.Clone(r.Missing)
	for _, h := range r.Halves {
		all = append(all, wording.Lacks(called(h.By), h.Lacks))
	}
	return all
}

// approvedBy says who approved, when and where.
func (p *program) approvedBy(r api.Request) string {
	var all []string
	for _, x := range r.Approved {
		all = append(all, fmt.Sprintf("%s, %s, %s", called(x.By), p.local(x.At), wording.ApprovedOn(x.Class, x.Page)+", "+wording.ApprovedBy(x.Passkey, x.Signed)))
	}
	return strings.Join(all, "; ")
}
