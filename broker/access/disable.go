package access

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// standing is what is kept of an engineer at a site.
type standing struct {
	Site     string         `json:"site"`
	Person   session.Person `json:"person"`
	Disabled bool           `json:"disabled"`
	By       session.Person `json:"by"`
	At       time.Time      `json:"at"`
	Reason   string         `json:"reason"`
	Owed     []string       `json:"owed,omitempty"` // agents that have still to hear of it
}

// under is where a standing is listed.
func (s standing) under() []store.Under {
	names := []string{ofSite(s.Site)}
	for _, agent := range s.Owed {
		names = append(names, owedTo(s.Site, agent))
	}
	return store.Names(names...)
}

func standingID(site string, who session.Identity) string {
	return hashed(site + "\n" + who.Iss + "\n" + who.Sub)
}

// Barred reports whether an engineer's access to a site is disabled.
func (a *Access) Barred(ctx context.Context, who session.Identity, site string) (bool, error) {
	s, err := a.standing(ctx, site, who)
	return s.Disabled, err
}

func (a *Access) standing(ctx context.Context, site string, who session.Identity) (standing, error) {
	d, err := a.docs.Get(ctx, standingKind, standingID(site, who))
	if errors.Is(err, os.ErrNotExist) {
		return standing{}, nil
	}
	if err != nil {
		return standing{}, err
	}
	s, err := readStanding(d.Body)
	if err == nil && (s.Site != site || s.Person.Identity != who) {
		err = session.Errorf(session.Internal, "the standing of an engineer at %s is another's", site)
	}
	return s, err
}

func readStanding(body []byte) (standing, error) {
	var s standing
	if err := json.Unmarshal(body, &s); err != nil {
		return standing{}, session.Errorf(session.Internal, "read the standing of an engineer: %w", err)
	}
	return s, nil
}

// allowed refuses an engineer whose access to a site is disabled. What cannot be
// looked up is refused too.
func (a *Access) allowed(ctx context.Context, site string, who session.Identity) error {
	s, err := a.standing(ctx, site, who)
	if err == nil && s.Disabled {
		err = refusal(session.Denied, "Call the hospital.", "%s disabled the access of this engineer.", site)
	}
	return err
}

// Engineers lists who asked for access to the caller's sites, and who is disabled
// there, in each answer by site and e-mail.
func (a *Access) Engineers(ctx context.Context, c Caller, s Stretch) (all []Engineer, next string, err error) {
	if !c.Is(session.Approver) {
		return nil, "", refusal(session.Denied, "Ask an approver of the hospital.", "Only the hospital's approvers see its engineers.")
	}
	var names []string
	for _, site := range c.Places() {
		if c.At(site) && session.ValidName(site) {
			names = append(names, ofSite(site))
		}
	}
	next, err = a.page(ctx, standingKind, names, s, func(d store.Doc) (bool, error) {
		s, err := readStanding(d.Body)
		all = append(all, s.view())
		return true, err
	})
	for i := range all {
		if err == nil {
			err = a.lastAsked(ctx, &all[i])
		}
	}
	slices.SortFunc(all, func(x, y Engineer) int {
		return strings.Compare(x.Site+"\n"+x.Email+"\n"+x.Iss+"\n"+x.Sub, y.Site+"\n"+y.Email+"\n"+y.Iss+"\n"+y.Sub)
	})
	return all, next, err
}

// Disable ends an engineer's access to a site, by an approver of it: the fact first,
// then whatever is open or asked for, and every agent of the site is told, at once
// or when it is back. They can still sign in here, for other sites.
func (a *Access) Disable(ctx context.Context, c Caller, site string, who session.Identity, reason string) (Engineer, error) {
	agents, err := a.agentsOf(ctx, site)
	if err != nil {
		return Engineer{}, err
	}
	s, err := a.stand(ctx, c, site, who, reason, func(s *standing) { s.Disabled, s.Owed = true, agents })
	if err != nil {
		return Engineer{}, err
	}
	a.owe(ctx, standingEvent(witness.EngineerDisabled, c, site, who))
	a.log.Info("engineer disabled", "site", site, "engineer", who.Sub, "user", c.Who().Sub)
	ctx = context.WithoutCancel(ctx) // a caller that hangs up does not keep the door open
	for _, agent := range agents {
		a.tellDisabled(ctx, s, agent)
	}
	if err := a.closeAll(ctx, c, s); err != nil {
		return Engineer{}, err
	}
	s, err = a.standing(ctx, site, who)
	return s.view(), err
}

// Enable lets an engineer ask again. What was taken back stays so.
func (a *Access) Enable(ctx context.Context, c Caller, site string, who session.Identity, reason string) (Engineer, error) {
	s, err := a.stand(ctx, c, site, who, reason, func(s *standing) { s.Disabled, s.Owed = false, nil })
	if err != nil {
		return Engineer{}, err
	}
	if err := a.enter(ctx, standingEvent(witness.EngineerEnabled, c, site, who)); err != nil {
		return Engineer{}, err
	}
	a.log.Info("engineer enabled", "site", site, "engineer", who.Sub, "user", c.Who().Sub)
	return s.view(), nil
}

// standingEvent is about an engineer and a site, and no request.
func standingEvent(what string, c Caller, site string, who session.Identity) witness.Event {
	by := c.Who().Identity
	return witness.Event{Event: what, Site: site, Who: &by, Of: &who}
}

// stand writes how an engineer stands at a site.
func (a *Access) stand(ctx context.Context, c Caller, site string, who session.Identity, reason string, change func(*standing)) (standing, error) {
	switch {
	case !c.Is(session.Approver):
		return standing{}, refusal(session.Denied, "Ask an approver of the hospital.", "Only the hospital's approvers disable and enable engineers.")
	case !session.ValidName(site) || !c.At(site):
		return standing{}, unknown("site", site)
	case who.Iss == "" || !sentence(who.Iss, 500) || !sentence(who.Sub, 255):
		return standing{}, refusal(session.Invalid, "See sallyport engineers ls.", "That names no engineer.")
	case !sentence(reason, maxDenial):
		return standing{}, refusal(session.Invalid, "Say why in one line.", "This needs a reason of one plain line, at most %d characters.", maxDenial)
	}
	return a.editStanding(ctx, site, session.Person{Identity: who}, func(s *standing) {
		s.By, s.At, s.Reason = c.Who(), a.utc(), reason
		change(s)
	})
}

// editStanding changes how somebody stands at a site, or begins to keep it.
func (a *Access) editStanding(ctx context.Context, site string, who session.Person, change func(*standing)) (standing, error) {
	var became standing
	err := a.docs.Put(ctx, standingKind, standingID(site, who.Identity), func(old []byte) ([]byte, []store.Under, error) {
		s := standing{Site: site, Person: who}
		if old != nil {
			var err error
			if s, err = readStanding(old); err != nil {
				return nil, nil, err
			}
		}
		change(&s)
		became = s
		body, err := json.Marshal(s)
		return body, s.under(), err
	})
	return became, err
}

// asked notes that an engineer asks, so that the site's approvers know of them.
func (a *Access) asked(ctx context.Context, r record) error {
	_, err := a.editStanding(ctx, r.doc.Site, r.Engineer, func(*standing) {})
	return err
}

// lastAsked adds an engineer's latest request, and who they are as it says.
func (a *Access) lastAsked(ctx context.Context, e *Engineer) error {
	docs, _, err := a.list.Page(ctx, requestKind, []string{onScanner(e.Identity, e.Site, "")}, "", 1)
	if err != nil || len(docs) == 0 {
		return err
	}
	r, err := readRecord(docs[0])
	e.Person, e.Asked = r.Engineer, orNull(r.Created)
	return err
}

func (a *Access) agentsOf(ctx context.Context, name string) ([]string, error) {
	s, err := a.site(ctx, name)
	var names []string
	for agent := range s.Agents {
		names = append(names, agent)
	}
	slices.Sort(names)
	return names, err
}

// tellDisabled tells one agent and crosses it out. What cannot be told stays owed.
func (a *Access) tellDisabled(ctx context.Context, s standing, agent string) {
	if !s.Disabled || !a.agents.Online(s.Site, agent) {
		return
	}
	v, err := a.agents.Deliver(ctx, s.Site, agent, link.Deliver{Kind: link.DeliverDisable, By: &s.Person})
	if err == nil && !v.OK {
		err = said(v)
	}
	if err == nil {
		_, err = a.editStanding(ctx, s.Site, s.Person, func(now *standing) {
			if now.At.Equal(s.At) {
				now.Owed = slices.DeleteFunc(now.Owed, func(name string) bool { return name == agent })
			}
		})
	}
	if err != nil {
		a.log.Warn("an agent has still to hear that an engineer is disabled", "site", s.Site, "agent", agent, "engineer", s.Person.Sub, "err", err)
	}
}

// settleDisabled tells an agent of the engineers that were disabled while it was away.
func (a *Access) settleDisabled(ctx context.Context, site, agent string) error {
	for d, err := range a.list.All(ctx, standingKind, owedTo(site, agent)) {
		if err != nil {
			return err
		}
		s, err := readStanding(d.Body)
		if err != nil {
			return err
		}
		a.tellDisabled(ctx, s, agent)
	}
	return nil
}

// closeAll ends what a disabled engineer has asked for or was granted at the site.
func (a *Access) closeAll(ctx context.Context, c Caller, s standing) error {
	for _, index := range []string{pendingOf, grantedOf} {
		for r, err := range a.all(ctx, ofEngineer(s.Person.Identity), index) {
			if err != nil {
				return err
			}
			if r.doc.Site != s.Site || r.Engineer.Identity != s.Person.Identity {
				continue
			}
			if err := a.closeOne(ctx, c, s, r.id); err != nil {
				return err
			}
		}
	}
	return nil
}

// closeOne ends one of these.
func (a *Access) closeOne(ctx context.Context, c Caller, s standing, id session.ID) error {
	what := ""
	r, err := a.edit(ctx, id, func(r *record) error {
		what = ""
		switch r.status(a.now()) {
		case session.Pending:
			what = NoticeDenied
			r.Answer.Denied, r.Answer.DeniedBy, r.Answer.DenyReason = a.utc(), c.Who(), "access disabled: "+s.Reason
			r.Owed = &debt{By: c.Who()}
		case session.Approved:
			what = NoticeRevoked
			return r.revoke(revocation{At: a.utc(), By: c.Who(), Reason: "access disabled: " + s.Reason}, a.now())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if what != "" {
		a.notify(ctx, what, r, c.Who())
	}
	a.settle(ctx, r)
	return nil
}
