package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session/wording"
)

// crowd is whose share of a site's post is used up, for the hour: a person's or their
// company's. What they ask beyond it is told together.
type crowd struct{ id, who string }

// crowded says whose share a notice to approvers is beyond, if it is news.
func (o *Office) crowded(ctx context.Context, n Notice, to string) (*crowd, error) {
	id := mailID(n, to)
	for _, kind := range []string{sentKind, waitingKind} {
		if _, err := o.cfg.Documents.Get(ctx, kind, id); err == nil {
			return nil, nil // it was told within their share
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	for _, x := range []struct {
		crowd
		most int
	}{
		{crowd{n.Engineer.Iss + "\n" + n.Engineer.Sub, "the same person, " + who(n.Engineer)}, ofPerson},
		{crowd{n.Engineer.Iss, "engineers of the same company, signed in at " + host(n.Engineer.Iss)}, ofVendor},
	} {
		ok, _, err := o.cfg.Queue.Count(ctx, "mail-of:"+digest(n.Site, x.id), time.Hour, x.most)
		if err != nil {
			return nil, err
		}
		if !ok {
			return &x.crowd, nil
		}
	}
	return nil, nil
}

// alarming reports whether a site is told of an alarm: of each section once, and of one
// engineer's sections no more than their share. Alarms take nothing from what is asked.
func (o *Office) alarming(ctx context.Context, n Notice, to string, about Missed) bool {
	for _, kind := range []string{sentKind, waitingKind} {
		if _, err := o.cfg.Documents.Get(ctx, kind, mailID(n, to)); err == nil {
			return false
		}
	}
	ok, _, err := o.cfg.Queue.Count(ctx, "mail-alarm:"+digest(n.Site, n.Engineer.Iss, n.Engineer.Sub), time.Hour, ofAlarms)
	switch {
	case err != nil: // rather once too often
		o.cfg.Log.Warn("it is not known how many alarms a site was told of", "request", n.Request.Request(), "err", err)
	case !ok:
		o.miss(ctx, about, "this engineer's sections rang too often within the hour")
		return false
	}
	return true
}

func host(issuer string) string {
	if u, err := url.Parse(issuer); err == nil && u.Host != "" {
		return wording.Line(u.Host, maxHost)
	}
	return "their identity provider"
}

// together adds a notice to the mail that tells somebody of all that a crowd asked for
// beyond its share. It goes out when its ten minutes are over.
func (o *Office) together(ctx context.Context, n Notice, c crowd, to string, about Missed) error {
	slot := n.Terms.Now.UTC().Truncate(gather)
	id := digest("together", n.Site, c.id, strings.ToLower(to), slot.Format(time.RFC3339))
	if _, err := o.cfg.Documents.Get(ctx, sentKind, id); err == nil {
		return errors.New("the mail about these requests has left") // a clock that was set back
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return o.cfg.Documents.Put(ctx, waitingKind, id, func(old []byte) ([]byte, []store.Under, error) {
		e := envelope{Site: n.Site, To: to, Written: n.Terms.Now.UTC(), Next: slot.Add(gather), About: about}
		if old != nil {
			if err := json.Unmarshal(old, &e); err != nil {
				return nil, nil, err
			}
		}
		if request := n.Request.Text(); !slices.Contains(e.Together, request) && len(e.Together) < mostTogether {
			e.Together = append(e.Together, request)
		}
		e.Subject, e.Text = others(n.Site, c.who, len(e.Together), o.cfg.URL)
		return e.kept()
	})
}

// others is the mail about requests that are not told one by one.
func others(site, who string, n int, broker string) (subject, text string) {
	subject = fmt.Sprintf("%s: %d more requests wait", name(site), n)
	text = fmt.Sprintf(`And %d more requests of %s.

They are more within the hour than are told one by one. All of them can be declined at once:

  Look at them            %s/inbox
  Or at your own console  sallyport deny --help

Until the hospital approves, nothing is open.

-- 
Sallyport wrote this. Nobody reads answers to it.
`, n, who, broker)
	return subject, text
}

// counted is the name under which a site's mails are counted: what it decides does not wait
// behind what others ask of it, and an alarm behind nothing.
func counted(site string, e Event) string {
	switch {
	case e == Alarm:
		return site + ":alarms"
	case e.ForApprovers():
		return site
	}
	return site + ":decided"
}
