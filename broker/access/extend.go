package access

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// checkExtension refuses an extension that no agent would take: of a session that is
// not the caller's and live, of other terms, or of no more time.
func (a *Access) checkExtension(ctx context.Context, doc grant.Request, asset session.Asset) error {
	const next = "See sallyport sessions ls, or ask for a new session."
	parent, err := a.parent(ctx, doc)
	if errors.Is(err, ErrUnknown) || err == nil && (parent.Engineer.Identity != doc.Eng || parent.doc.Site != doc.Site || parent.doc.Asset != doc.Asset) {
		return refusal(session.Refused, next, "There is no session of yours to extend there.")
	}
	if err == nil {
		err = a.extensible(parent)
	}
	if err != nil {
		return err
	}
	g, _ := parent.grant()
	if err := grant.ProlongsWithin(asset, doc, g, parent.Engineer.Identity); err != nil {
		return err
	}
	if !longer(parent, doc.MaxS, doc.EXP).After(parent.Session.Deadline) {
		return refusal(session.Refused, "Ask for a later end.", "That would not make the session longer.")
	}
	return nil
}

// parent finds the session's request that an extension is about.
func (a *Access) parent(ctx context.Context, doc grant.Request) (record, error) {
	id, err := session.ParseText(doc.Parent)
	if err != nil {
		return record{}, err
	}
	r, err := a.bySession(ctx, id)
	if err == nil && r.extension() {
		err = unknown("session", id.Session())
	}
	return r, err
}

// extensible refuses sessions that cannot last longer any more.
func (a *Access) extensible(parent record) error {
	if parent.Session.Opened.IsZero() {
		return refusal(session.Refused, "Connect first.", "The session has not begun.")
	}
	if parent.status(a.now()) != session.Approved {
		return refusal(session.Expired, "Ask for a new session with sallyport request new.", "The session is over.")
	}
	return nil
}

// longer is the deadline that terms would give a session: its whole length counted
// from its start, and never beyond their window.
func longer(parent record, maxs, exp int64) time.Time {
	return session.Deadline(parent.Session.Opened, time.Duration(maxs)*time.Second, time.Unix(exp, 0))
}

// decidable refuses to approve what is decided, or what could not be used.
func (a *Access) decidable(ctx context.Context, r record) error {
	if err := stillOpen(r, a.now()); err != nil {
		return err
	}
	if err := a.allowed(ctx, r.doc.Site, r.Engineer.Identity); err != nil {
		return err
	}
	if !r.extension() {
		return nil
	}
	parent, err := a.parent(ctx, r.doc)
	if err == nil {
		err = a.extensible(parent)
	}
	return err
}

// used closes an extension's grant at its admission: it has done all it can do.
func (r *record) used() {
	if r.extension() && r.Session.Ended.IsZero() {
		r.Session.Ended, r.Session.Reason = r.Answer.Granted, session.Completed
	}
}

// extended moves the deadline of a session whose extension the agent admitted. The
// agent has moved its own; if this cannot be written, its next report says so.
func (a *Access) extended(ctx context.Context, ext record) {
	g, ok := ext.grant()
	parent, err := a.parent(ctx, ext.doc)
	if err == nil && ok {
		_, err = a.edit(ctx, parent.id, func(p *record) error {
			if d := longer(*p, g.MaxS, g.EXP); p.Session.Ended.IsZero() && d.After(p.Session.Deadline) {
				p.Session.Deadline = d.UTC()
			}
			return nil
		})
	}
	if err != nil {
		a.log.Warn("an extension shows with the agent's next report only", "request", ext.id.Request(), "err", err)
	}
}
