package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/wording"
)

func (p *program) requestCommand() *cobra.Command {
	return noun(&cobra.Command{Use: "request", Aliases: []string{"requests"}, Short: "Ask for access and see what came of it"},
		p.requestNewCommand(), p.requestListCommand(), p.requestShowCommand(), p.requestWithdrawCommand(),
		p.requestExtendCommand(), p.requestAcceptCommand())
}

// requestOf finds a request by its own id or by its session's.
func (p *program) requestOf(ctx context.Context, id string) (signedIn, api.Request, error) {
	_, notRequest := session.ParseRequestID(id)
	_, notSession := session.ParseSessionID(id)
	if notRequest != nil && notSession != nil {
		return signedIn{}, api.Request{}, usage("%.60q is neither a request nor a session", id).WithNext("An id looks like R-... or S-...; see: sallyport request ls")
	}
	who, err := p.session()
	if err != nil {
		return who, api.Request{}, err
	}
	if notRequest == nil {
		r, err := client.Request.Get(ctx, who.broker, id)
		return who, r, err
	}
	s, unopened := client.Session.Get(ctx, who.broker, id)
	if unopened == nil {
		r, err := client.Request.Get(ctx, who.broker, s.Request)
		return who, r, err
	}
	all, err := client.Requests.All(ctx, who.broker)
	if err != nil {
		return who, api.Request{}, err
	}
	for _, r := range all {
		if r.Grant != nil && *r.Grant == id && r.Kind != grant.KindExtension {
			return who, r, nil
		}
	}
	return who, api.Request{}, unopened
}

// siteZone is the time zone of a request's scanner; empty when it is not known.
func (p *program) siteZone(ctx context.Context, who signedIn, r api.Request) string {
	return p.assetOf(ctx, who, r.Site, r.Asset).Zone
}

// assetOf is a scanner as the broker has it; the zero one when it is not known.
func (p *program) assetOf(ctx context.Context, who signedIn, site, asset string) api.Asset {
	catalogue, _ := assetsOf(ctx, who, session.Target{Site: site, Asset: asset})
	for _, a := range catalogue {
		if a.Name == asset && a.Site == site {
			return a
		}
	}
	return api.Asset{}
}

// reaching is the command with which one comes to what these channels are of: a console has
// none of a shell's.
func reaching(channels []session.Channel) string {
	if slices.ContainsFunc(channels, func(c session.Channel) bool { return slices.Contains(session.VNC.Channels(), c) }) {
		return "connect"
	}
	return "ssh"
}

// extended reports whether a request asked for more time and got it.
func extended(r api.Request) bool {
	return r.Kind == grant.KindExtension && r.Status == session.Closed && r.Grant != nil
}

// whereItStands is the one sentence about a request.
func (p *program) whereItStands(r api.Request) string {
	switch r.Status {
	case session.Pending:
		if w := r.Proposal; w != nil {
			return fmt.Sprintf("%s proposes another window: %s until %s.", cmp.Or(w.By, r.Site), p.local(w.From), p.local(w.Until))
		}
		if left := missing(r); len(left) > 0 && r.Approvals+len(r.Halves) > 0 {
			return fmt.Sprintf("%d of %d approvers at %s said yes; still needed: %s.", r.Approvals, r.Needed, r.Site, strings.Join(left, ", "))
		}
		if r.Needed > 1 && r.Approvals > 0 {
			return fmt.Sprintf("%d of %d approvers at %s said yes; the others have not answered yet.", r.Approvals, r.Needed, r.Site)
		}
		return fmt.Sprintf("%s has not answered yet.", r.Site)
	case session.Approved:
		first := fullName(r.Site, r.Asset, strings.Join(r.Services[:min(len(r.Services), 1)], ""))
		if r.NotBefore.After(p.now()) {
			return fmt.Sprintf("Approved: opens at %s; then run: sallyport %s %s", p.local(r.NotBefore), reaching(r.Channels), first)
		}
		return fmt.Sprintf("Approved: connect before %s with: sallyport %s %s", p.local(r.NotAfter), reaching(r.Channels), first)
	case session.DeniedBy:
		if r.DenyReason != "" {
			return fmt.Sprintf("%s declined: %s", cmp.Or(r.DeniedBy, r.Site), sentence(r.DenyReason))
		}
		return fmt.Sprintf("%s declined.", cmp.Or(r.DeniedBy, r.Site))
	case session.Withdrawn:
		return "Taken back by its engineer."
	case session.Lapsed:
		if r.Grant != nil {
			return "Approved, but nobody connected in time."
		}
		return fmt.Sprintf("%s did not answer in time.", r.Site)
	case session.Revoked:
		if r.RevokeWhy != "" {
			return fmt.Sprintf("%s took the approval back: %s", cmp.Or(r.RevokedBy, r.Site), sentence(r.RevokeWhy))
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

// may says what channels mean to a person, in a class.
func may(channels []session.Channel, class session.Class) string {
	var words []string
	for _, c := range channels {
		words = append(words, wording.Does(c, class))
	}
	return strings.Join(words, "; ")
}
