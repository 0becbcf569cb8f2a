package access

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

// Indexes of requests. Every change of a request moves it in all of them in the same
// step. A request that is over because its time is over stays where it stood until
// somebody meets it there: whoever reads looks at the time as well.
const (
	pendingOf  = ":pending" // waits for an answer
	grantedOf  = ":granted" // granted and not over, opened or not
	sessionsOf = ":session" // was opened, or waits for the operator's consent
	liveOf     = ":live"    // is open, or waits for that
	decidedOf  = ":decided" // granted or denied, the latest decision first
	deniedOf   = ":denied"
)

func ofEngineer(id session.Identity) string { return "engineer:" + hashed(id.Iss+"\n"+id.Sub) }
func ofSite(site string) string             { return "site:" + site }

// vendorAt is about the people of an issuer at a site.
func vendorAt(issuer, site string) string { return "vendor:" + hashed(issuer) + "@" + site }

// onScanner is about an engineer on one scanner; without one, at a site.
func onScanner(id session.Identity, site, asset string) string {
	return ofEngineer(id) + "@" + site + "/" + asset
}

// askedFor is what an engineer asked for of a service, whichever request it was: by its full
// name, or without its site by the short one that they may type.
func askedFor(id session.Identity, of session.Target) string {
	return ofEngineer(id) + "@" + strings.ToLower(of.String())
}

// owedTo is what an agent has still to be told.
func owedTo(site, agent string) string { return "owed:" + site + "/" + agent }

// under is where a request stands at a moment.
func (r record) under(now time.Time) []store.Under {
	engineer, site := ofEngineer(r.Engineer.Identity), ofSite(r.doc.Site)
	on := onScanner(r.Engineer.Identity, r.doc.Site, r.doc.Asset)
	names := []string{engineer, site, onScanner(r.Engineer.Identity, r.doc.Site, "")}
	add := func(is bool, where ...string) {
		if is {
			names = append(names, where...)
		}
	}
	add(r.is(pendingOf, now), engineer+pendingOf, site+pendingOf, vendorAt(r.Engineer.Iss, r.doc.Site)+pendingOf)
	add(r.is(grantedOf, now), engineer+grantedOf, site+grantedOf)
	add(r.is(liveOf, now), engineer+liveOf, site+liveOf)
	add(r.is(sessionsOf, now), engineer+sessionsOf, site+sessionsOf)
	add(!r.Session.Opened.IsZero(), on+sessionsOf)
	_, decided := r.decision()
	add(decided && !r.extension(), site+decidedOf)
	add(!r.Answer.Denied.IsZero() && !r.extension(), on+deniedOf)
	for _, service := range r.doc.Services {
		full := session.Target{Site: r.doc.Site, Asset: r.doc.Asset, Service: service}
		add(!r.extension(), askedFor(r.Engineer.Identity, full), askedFor(r.Engineer.Identity, full.Short()))
	}
	add(r.Owed != nil, owedTo(r.doc.Site, r.Agent))
	return store.Names(names...)
}

// is reports whether a request belongs into an index at a moment.
func (r record) is(index string, now time.Time) bool {
	switch index {
	case pendingOf:
		return r.status(now) == session.Pending
	case grantedOf:
		return r.status(now) == session.Approved && !r.extension()
	case sessionsOf:
		return !r.Session.Opened.IsZero() || r.awaits(now)
	case liveOf:
		return !r.Session.Opened.IsZero() && r.sessionFacts().State(now) != session.Ended || r.awaits(now)
	}
	return true
}

// all reads every request that stands under a name and belongs there now.
func (a *Access) all(ctx context.Context, name, index string) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for d, err := range a.list.All(ctx, requestKind, name+index) {
			var r record
			if err == nil {
				r, err = readRecord(d)
			}
			if err == nil && !r.is(index, a.now()) {
				a.overtaken(ctx, r)
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// overtaken moves a request out of the indexes in which only its time kept it.
func (a *Access) overtaken(ctx context.Context, r record) {
	if _, err := a.edit(ctx, r.id, func(*record) error { return nil }); err != nil {
		a.log.Warn("a request that is over stays listed", "request", r.id.Request(), "err", err)
	}
}

// Stretch is which part of a list is wanted.
type Stretch struct {
	After string // where an earlier answer left off; empty: from the newest on
	Limit int    // at most 500; 0: 100
}

// from is where a stretch begins, and its list's mark, which every cursor of it carries. A
// cursor of another list, or of somebody else's, would skip what nobody has seen.
func (s Stretch) from(kind string, names []string) (mark, after string, err error) {
	names = slices.Sorted(slices.Values(names))
	mark = hashed(kind + "\n" + strings.Join(names, "\n"))[:16]
	after, ours := strings.CutPrefix(s.After, mark)
	if s.After != "" && (!ours || after == "") {
		return "", "", refusal(session.Invalid, "Begin at its start.", "That is no place in the list.")
	}
	return mark, after, nil
}

// page reads a stretch of what stands under names; take says whether it wants a document.
// next is where to go on when something was left out.
func (a *Access) page(ctx context.Context, kind string, names []string, s Stretch, take func(store.Doc) (bool, error)) (next string, err error) {
	if s.Limit == 0 {
		s.Limit = pageUsual
	}
	if s.Limit < 1 || s.Limit > pageMost {
		return "", refusal(session.Invalid, "Ask for 1 to 500.", "A list cannot have so many entries.")
	}
	mark, after, err := s.from(kind, names)
	if err != nil {
		return "", err
	}
	for read, taken := 0, 0; ; {
		docs, next, err := a.list.Page(ctx, kind, names, after, max(pageRead, s.Limit))
		if err != nil {
			return "", err
		}
		for i, d := range docs {
			ok, err := take(d)
			if err != nil {
				return "", err
			}
			if ok {
				taken++
			}
			if taken == s.Limit && (i < len(docs)-1 || next != "") {
				return mark + d.Cursor(names), nil
			}
		}
		read += max(len(docs), 1)
		switch after = next; {
		case next == "":
			return "", nil
		case read >= mostRead:
			return mark + next, nil
		}
	}
}

// places are the names under which a caller's things are listed.
func places(c Caller, index string) []string {
	var names []string
	if c.Is(session.Engineer) {
		names = append(names, ofEngineer(c.Who().Identity)+index)
	}
	if c.Is(session.Approver) || c.Is(session.Auditor) {
		for _, s := range c.Places() {
			names = append(names, ofSite(s)+index)
		}
	}
	return names
}

// records reads a stretch of the requests that a caller may know of.
func (a *Access) records(ctx context.Context, c Caller, index string, s Stretch) (all []record, next string, err error) {
	now := a.now()
	next, err = a.page(ctx, requestKind, places(c, index), s, func(d store.Doc) (bool, error) {
		r, err := readRecord(d)
		if err != nil || !r.seenBy(c) {
			return false, err
		}
		if !r.is(index, now) {
			a.overtaken(ctx, r)
			return false, nil
		}
		all = append(all, r)
		return true, nil
	})
	return all, next, err
}

// edit changes a request in one step and returns what it became. change may run
// several times; its error leaves everything as it was.
func (a *Access) edit(ctx context.Context, id session.ID, change func(*record) error) (record, error) {
	var became record
	err := a.docs.Put(ctx, requestKind, id.Text(), func(old []byte) ([]byte, []store.Under, error) {
		if old == nil {
			return nil, nil, unknownRequest(id)
		}
		r, err := readRecord(store.Doc{Kind: requestKind, ID: id.Text(), Body: old})
		if err != nil {
			return nil, nil, err
		}
		if err := change(&r); err != nil {
			return nil, nil, err
		}
		became = r
		body, err := json.Marshal(r)
		return body, r.under(a.now()), err
	})
	if err != nil {
		return record{}, err
	}
	a.usual.forget(became.doc.Site)
	return became, nil
}
