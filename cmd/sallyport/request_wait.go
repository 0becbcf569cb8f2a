package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// wait follows a request until the hospital has answered.
func (p *program) wait(ctx context.Context, who signedIn, r api.Request, timeout time.Duration) error {
	p.say("%s Asked for %s. Ctrl-C stops waiting; the request stays.", r.ID, fullName(r.Site, r.Asset, strings.Join(r.Services, ",")))
	until := p.now().Add(timeout)
	live := isTerminal(p.stderr) && !p.asJSON()
	last := ""
	for r.Status == session.Pending {
		left := until.Sub(p.now())
		line := p.whereItStands(r)
		if left <= 0 || ctx.Err() != nil || r.Proposal != nil {
			p.endLine(live)
			if r.Proposal != nil {
				return &session.Error{Kind: session.Refused, Message: line, Err: errWaiting, Next: "Take it with: sallyport request accept " + r.ID}
			}
			return &session.Error{Kind: session.Expired, Message: line, Err: errWaiting,
				Next: "The request stays open until " + p.local(r.NotAfter) + ". Look again with: sallyport request show " + r.ID}
		}
		if live {
			fmt.Fprintf(p.stderr, "\r\x1b[K%s Waiting %s more ...", wording.Clean(line), display.Span(left))
		} else if line != last {
			p.say("%s Waiting ...", line)
		}
		last = line
		step := 25 * time.Second
		if live {
			step = 5 * time.Second // keeps the line alive
		}
		next, err := client.Await(ctx, who.broker, r.ID, session.Pending, min(step, left))
		switch {
		case err == nil:
			r = next
		case errors.Is(err, context.Canceled):
		case session.KindOf(err) == session.Unreachable:
			if err := pause(ctx, min(2*time.Second, left)); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
		default:
			p.endLine(live)
			return err
		}
	}
	p.endLine(live)
	if r.Status != session.Approved && !extended(r) {
		return &session.Error{Kind: session.Denied, Message: p.whereItStands(r), Next: "Details: sallyport request show " + r.ID}
	}
	return p.told(r, nil, func() {
		p.print("%s", r.ID)
		p.say("%s", p.whereItStands(r))
	})
}

func (p *program) endLine(live bool) {
	if live {
		fmt.Fprint(p.stderr, "\r\x1b[K")
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
