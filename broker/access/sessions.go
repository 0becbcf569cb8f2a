package access

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// Sessions lists the sessions that the caller may know of, the one that was opened last
// first; live leaves out those that are over.
func (a *Access) Sessions(ctx context.Context, c Caller, live bool, s Stretch) (all []Session, next string, err error) {
	index := sessionsOf
	if live {
		index = liveOf
	}
	records, next, err := a.records(ctx, c, index, s)
	now := a.now()
	for _, r := range records {
		all = append(all, r.session(now))
	}
	return all, next, err
}

// Session reads one session that was opened, or about which the operator was asked.
func (a *Access) Session(ctx context.Context, c Caller, id string) (Session, error) {
	r, err := a.granted(ctx, c, id)
	if err == nil && r.Session.Opened.IsZero() && r.Session.Consent == nil {
		err = unknown("session", id)
	}
	if err != nil {
		return Session{}, err
	}
	return r.session(a.now()), nil
}

// granted finds the request of a session that the caller may know of.
func (a *Access) granted(ctx context.Context, c Caller, name string) (record, error) {
	id, err := session.ParseSessionID(name)
	if err != nil {
		return record{}, err
	}
	r, err := a.bySession(ctx, id)
	if errors.Is(err, ErrUnknown) || err == nil && (!r.seenBy(c) || r.Answer.Granted.IsZero() || r.extension()) {
		err = unknown("session", id.Session())
	}
	if err != nil {
		return record{}, err
	}
	return r, nil
}

// bySession finds the request whose pinned grant has an id.
func (a *Access) bySession(ctx context.Context, id session.ID) (record, error) {
	rid, err := a.follow(ctx, grantKind, id.Text())
	if errors.Is(err, os.ErrNotExist) {
		return record{}, unknown("session", id.Session())
	}
	if err != nil {
		return record{}, err
	}
	r, err := a.fetch(ctx, rid)
	if err == nil && r.sessionID() != id {
		err = unknown("session", id.Session())
	}
	return r, err
}

// Kill ends a session, by its engineer (completed) or an approver of its site
// (killed-remote), or takes an approval back that nobody has used. A session that
// is over stays as it is. When the agent is away, it is told when it comes back.
func (a *Access) Kill(ctx context.Context, c Caller, id string) (Session, error) {
	r, err := a.granted(ctx, c, id)
	if err != nil {
		return Session{}, err
	}
	reason := session.Completed
	if c.Who().Identity != r.Engineer.Identity {
		reason = session.KilledRemote
		if !c.Is(session.Approver) || !c.At(r.doc.Site) {
			return Session{}, refusal(session.Denied, "Ask an approver of the hospital.",
				"Only its engineer and the hospital's approvers end a session.")
		}
		if r.Session.Opened.IsZero() {
			reason = session.RevokedGrant
		}
	}
	now := a.now()
	if s := r.status(now); s != session.Approved {
		return r.session(now), nil
	}
	a.owe(ctx, r.event(witness.SessionKilled, c.Who(), map[string]string{"reason": string(reason)}))
	owed := debt{Reason: reason, By: c.Who()}
	noted, err := a.edit(ctx, r.id, func(r *record) error { r.Owed = &owed; return nil })
	if err == nil {
		r = noted
	}
	if reason == session.RevokedGrant && err == nil {
		a.notify(ctx, NoticeRevoked, r, c.Who())
	}
	return a.end(ctx, r, owed, err)
}

// end has the agent end a session, now or, where the debt was noted, later. What the agent
// has done is done, whatever can be written about it.
func (a *Access) end(ctx context.Context, r record, owed debt, unnoted error) (Session, error) {
	id := r.sessionID().Session()
	var v link.Verdict
	err := error(nil)
	online := a.agents.Online(r.doc.Site, r.Agent)
	if online {
		v, err = a.agents.End(ctx, r.doc.Site, r.Agent, link.End{Session: id, Reason: owed.Reason, By: owed.By})
	}
	switch {
	case (!online || err != nil) && unnoted != nil:
		return Session{}, unnoted
	case !online || err != nil:
		return Session{}, later(r.doc.Site, id, err)
	}
	ctx = context.WithoutCancel(ctx)
	over := func(r *record) error {
		if r.Owed != nil && *r.Owed == owed {
			r.Owed = nil
		}
		if v.OK && r.Session.Ended.IsZero() {
			r.Session.Ended, r.Session.Reason = a.utc(), owed.Reason
		}
		return nil
	}
	if v.OK && r.Session.Ended.IsZero() {
		a.owe(ctx, r.event(witness.SessionEnded, session.Person{}, map[string]string{"reason": string(owed.Reason)}))
	}
	if ended, err := a.edit(ctx, r.id, over); err == nil {
		r = ended
	} else { // the agent's report says so again
		a.log.Warn("an ended session is not on record yet", "session", id, "err", err)
		_ = over(&r)
	}
	if !v.OK {
		return Session{}, said(v)
	}
	a.log.Info("session ended", "session", id, "user", owed.By.Sub, "reason", owed.Reason)
	return r.session(a.now()), nil
}

// later says that a kill waits for the agent, and who can do it now.
func later(site, id string, err error) error {
	return &session.Error{Kind: session.Unreachable, Err: err,
		Message: fmt.Sprintf("The agent at %s is not connected; the session is ended as soon as it is back.", site),
		Next:    "The hospital can end it at once, on the agent itself: sallyport-agent kill " + id + "."}
}

// ReportSession takes what an agent tells of a session, from the agent that holds
// its grant only. Reports may come twice and out of order: the highest Seq counts,
// and what ended stays ended.
func (a *Access) ReportSession(ctx context.Context, site, agent string, rep link.SessionReport) error {
	id, err := session.ParseSessionID(rep.Session)
	if err != nil {
		return err
	}
	r, err := a.bySession(ctx, id)
	if err != nil {
		return err
	}
	if r.doc.Site != site || r.Agent != agent {
		return unknown("session", id.Session())
	}
	if err := checkReport(r, rep); err != nil {
		return err
	}
	rep, told := a.plausible(r, rep)
	news := r.reported(rep)
	for i := range news {
		if !told {
			news[i].Details["clock"] = "the agent told times that cannot be; they were brought into bounds"
		}
	}
	if err := a.enter(ctx, news...); err != nil {
		return err // the agent reports again
	}
	if r.Answer.Granted.IsZero() { // its yes was lost: the grant was admitted all the same
		if err := a.lasting(ctx, grantKind, id.Text(), r.id, 0); err != nil {
			return err
		}
	}
	alarm := false
	r, err = a.edit(ctx, r.id, func(r *record) error {
		if r.sessionID() != id {
			return unknown("session", id.Session())
		}
		was := r.Session.Critical
		r.take(rep, a.utc())
		alarm = r.Session.Critical.rangSince(was)
		return nil
	})
	if err != nil {
		return err
	}
	if alarm {
		a.notify(ctx, NoticeAlarm, r, session.Person{})
	}
	a.settle(ctx, r) // an agent that reports can be told what it missed
	for _, x := range rep.Recordings {
		if !slices.Contains(r.Session.Recordings, x.Recording) {
			continue // more than a session can have
		}
		if err := a.startRecording(ctx, r, x); err != nil {
			return err
		}
	}
	return a.endRecordings(ctx, r)
}

// list adds a recording to the session's.
func (s *sessionFacts) list(recording string) {
	if !slices.Contains(s.Recordings, recording) && len(s.Recordings) < maxRecordings {
		s.Recordings = append(s.Recordings, recording)
	}
}

// noDeviceAs is what an agent reports, in words that are fit to be shown.
func noDeviceAs(x *link.NoDevice) *NoDevice {
	if x == nil {
		return nil
	}
	return &NoDevice{Service: wording.Line(x.Service, maxText), At: x.At.UTC(), Message: wording.Line(x.Message, maxStuck), Next: wording.Line(x.Next, maxStuck)}
}

// newCertificates are those of a report that are not known like that. An agent that was
// started again tells of none, and they stay.
func (s *sessionFacts) newCertificates(rep link.SessionReport) (all []session.Certificate) {
	for _, c := range rep.Certificates {
		c.Old = wording.Line(c.Old, session.MaxSaid)
		if !slices.Contains(s.Certificates, c) {
			all = append(all, c)
		}
	}
	return all
}

// criticalAs is what an agent reports, in words that are fit to be shown.
func criticalAs(x *link.Critical) *Critical {
	if x == nil {
		return nil
	}
	return &Critical{Began: x.Began.UTC(), Until: x.Until.UTC(), Why: wording.Line(x.Why, maxText), Alarm: x.Alarm}
}

// rangSince reports whether the alarm of a section rings, and did not when it was so.
func (x *Critical) rangSince(was *Critical) bool {
	return x != nil && x.Alarm && (was == nil || !was.Alarm || !was.Began.Equal(x.Began))
}

// take merges a report into the facts.
func (r *record) take(rep link.SessionReport, now time.Time) {
	s := &r.Session
	for _, x := range rep.Recordings {
		s.list(x.Recording)
	}
	if rep.Seq <= s.Seq {
		return
	}
	s.takeConsent(rep)
	if what, _ := criticalNews(s.Critical, rep.Critical); what != "" {
		s.Told = min(s.Told+1, maxTold)
	}
	for _, c := range s.newCertificates(rep) {
		s.Told = min(s.Told+1, maxTold)
		s.Certificates = slices.DeleteFunc(s.Certificates, func(x session.Certificate) bool { return x.Service == c.Service })
		s.Certificates = append(s.Certificates, c)
	}
	s.Seq, s.Frozen, s.Keys, s.NoDevice, s.Critical = rep.Seq, rep.Frozen, rep.Keys, noDeviceAs(rep.NoDevice), criticalAs(rep.Critical)
	if s.Service == "" || s.Opened.IsZero() && rep.Service != "" {
		s.Service, s.Protocol = rep.Service, rep.Protocol
	}
	if s.Opened.IsZero() {
		s.Opened = rep.Opened.UTC()
	}
	if !rep.Deadline.IsZero() {
		s.Deadline = rep.Deadline.UTC()
	}
	if !rep.Ended.IsZero() {
		s.Ended, s.Reason = rep.Ended.UTC(), rep.Reason
		r.Owed = nil // there is nothing left to end
	}
	if !r.Answer.Granted.IsZero() {
		return
	}
	// The agent reports only what it admitted: its yes was lost on the way here.
	if r.Answer.Denied.IsZero() && r.Answer.Withdrawn.IsZero() {
		r.Answer.Granted, r.Answer.Count = now, max(r.Answer.Count, r.Answer.Needed)
	} else if s.Ended.IsZero() && r.Owed == nil {
		r.Owed = &debt{By: r.Answer.DeniedBy}
	}
}

// plausible brings the times of a report to where they can be: what was after the request
// and before now, by more than clocks differ. told is whether they all were.
func (a *Access) plausible(r record, rep link.SessionReport) (_ link.SessionReport, told bool) {
	now, told := a.now(), true
	within := func(t *time.Time, last time.Time) {
		if was := *t; !was.IsZero() {
			*t = between(was, r.Created.Add(-clockSlack), last.Add(clockSlack))
			told = told && t.Equal(was)
		}
	}
	within(&rep.Opened, now)
	within(&rep.Ended, now)
	within(&rep.Deadline, now.Add(maxAhead))
	rep.Recordings = slices.Clone(rep.Recordings)
	for i := range rep.Recordings {
		x := &rep.Recordings[i]
		within(&x.Started, now)
		if x.Stuck != nil {
			stuck := *x.Stuck
			within(&stuck.Since, now)
			x.Stuck = &stuck
		}
	}
	if rep.Critical != nil {
		section := *rep.Critical
		within(&section.Began, now)
		within(&section.Until, section.Began.Add(session.MaxCritical))
		rep.Critical = &section
	}
	if rep.Consent != nil {
		asked := *rep.Consent
		within(&asked.Since, now)
		within(&asked.Until, asked.Since.Add(session.MaxAsking))
		within(&asked.Answer.At, now)
		rep.Consent = &asked
	}
	if rep.NoDevice != nil {
		none := *rep.NoDevice
		within(&none.At, now)
		rep.NoDevice = &none
	}
	if !told {
		a.log.Warn("an agent told times that cannot be", "site", r.doc.Site, "agent", r.Agent, "session", rep.Session)
	}
	return rep, told
}

// between is t, or the bound that it is beyond.
func between(t, first, last time.Time) time.Time {
	switch {
	case t.Before(first):
		return first.UTC()
	case t.After(last):
		return last.UTC()
	}
	return t
}

// checkReport bounds a report and makes sure that it speaks of the grant.
func checkReport(r record, rep link.SessionReport) error {
	wrong := func(what string) error {
		return refusal(session.Invalid, "Update the agent, or look into its log.", "The report of %.40s is wrong about its %s.", rep.Session, what)
	}
	g, ok := r.grant()
	switch {
	case !ok || rep.Request != r.id.Request():
		return wrong("request")
	case rep.Asset != g.Asset:
		return wrong("scanner")
	case rep.Service != "" && !slices.Contains(g.Services, rep.Service):
		return wrong("service")
	case !rep.Opened.IsZero() && rep.Deadline.Before(rep.Opened):
		return wrong("times")
	case !rep.Ended.IsZero() && !wording.KnownEnd(rep.Reason):
		return wrong("end")
	case len(rep.Recordings) > maxRecordings:
		return wrong("recordings")
	case len(rep.Frozen) > maxCauses || rep.Keys < 0 || rep.Keys > maxKeys || slices.ContainsFunc(rep.Frozen, func(s string) bool { return !session.ValidName(s) }):
		return wrong("state")
	case r.extension():
		return wrong("request")
	}
	if rep.Consent != nil && !slices.Contains(g.Services, rep.Consent.Service) {
		return wrong("consent")
	}
	if len(rep.Certificates) > len(g.Services) {
		return wrong("certificates")
	}
	for _, c := range rep.Certificates {
		if !c.Valid() || !slices.Contains(g.Services, c.Service) {
			return wrong("certificates")
		}
	}
	for _, x := range rep.Recordings {
		if _, err := session.ParseRecordingID(x.Recording); err != nil || !slices.Contains(g.Services, x.Service) {
			return wrong("recordings")
		}
	}
	return nil
}
