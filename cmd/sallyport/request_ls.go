package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
)

func (p *program) requestListCommand() *cobra.Command {
	return lists(p, "List requests, newest first: your own, or your site's", client.Requests, table[api.Request]{
		none:   "No requests yet. An engineer makes one with: sallyport request new",
		header: []string{"REQUEST", "STATUS", "SITE/ASSET/SERVICE", "FOR", "NOT AFTER", "ENGINEER", "REASON"},
		row:    p.requestRow,
	})
}

func (p *program) requestRow(r api.Request) []string {
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
	return []string{r.ID, state, fullName(r.Site, r.Asset, strings.Join(r.Services, ",")), display.Span(time.Duration(r.MaxSeconds) * time.Second),
		p.local(r.NotAfter), r.Engineer.Shown(), r.Reason}
}
