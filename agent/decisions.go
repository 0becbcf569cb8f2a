package agent

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/agent/console/provider"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/interlock"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// decisions are the hospital's about requests, as people take them on the agent's page:
// page.Decisions and page.Provider. What they sign there is checked by the code that checks
// what a broker delivers.
type decisions struct{ a *Agent }

// console is the issuer that knows the page's client, as the configuration stands now.
func (c *Config) console() (session.Issuer, bool) {
	s := c.Console.SignIn
	i := slices.IndexFunc(c.Issuers, func(i session.Issuer) bool {
		return i.Side == session.HospitalSide && i.Clients[s.Client] == session.Console && (s.Issuer == "" || s.Issuer == i.URL)
	})
	if s.Client == "" || i < 0 {
		return session.Issuer{}, false
	}
	return c.Issuers[i], true
}

// signIn refuses a client of the page that no issuer, or more than one, has.
func (v *checker) signIn(c *Config) {
	s := c.Console.SignIn
	if s.Client == "" {
		return
	}
	n := 0
	for _, i := range c.Issuers {
		if i.Side == session.HospitalSide && i.Clients[s.Client] == session.Console && (s.Issuer == "" || s.Issuer == i.URL) {
			n++
		}
	}
	v.require("$.console.sign_in.client", n > 0, "no issuer of the hospital's side has this client with the class console")
	v.require("$.console.sign_in.issuer", n < 2, "several issuers have this client: say whose it is")
}

// Begin implements page.Provider.
func (d decisions) Begin(ctx context.Context, q provider.Question) (*provider.Trip, error) {
	rules := d.a.rules.Load()
	issuer, ok := rules.console()
	if !ok {
		return nil, session.Errorf(session.Refused, "The identity provider of this page is no longer among the agent's issuers.").WithNext("Tell hospital IT. The PIN works.")
	}
	p := provider.Provider{Issuer: issuer, Client: rules.Console.SignIn.Client, Reach: d.a.reach(*rules)(issuer)}
	if ref := rules.Console.SignIn.Secret; !ref.IsZero() {
		var err error
		if p.Secret, err = ref.Line(); err != nil {
			return nil, session.Errorf(session.Internal, "The secret of the page's client cannot be read: %w", err).WithNext("Tell hospital IT. The PIN works.")
		}
	}
	return p.Begin(ctx, q)
}

// Visit implements page.Decisions.
func (d decisions) Visit(ctx context.Context, nonce, token string) (page.Visitor, error) {
	s := d.a.rules.Load().Console.SignIn
	v, err := d.a.deliveries.Load().verifier.CheckVisit(ctx, s.Client, nonce, token, d.a.now())
	if err != nil {
		return page.Visitor{}, err
	}
	who := page.Visitor{Person: v.Person, Name: shownName(v.Person), Approves: v.Approver}
	if !v.Approver && (s.Operators == "" || !slices.Contains(v.Groups, s.Operators)) {
		return page.Visitor{}, session.Errorf(session.Denied, "%s is not one of those who may sign in here.", who.Name).
			WithNext("Approvers may, and the group that the agent's configuration names. Ask hospital IT for the group.")
	}
	return who, nil
}

// Draft implements page.Decisions.
func (d decisions) Draft(request string, less grant.Less, who page.Visitor) (*page.Draft, error) {
	rid, err := session.ParseRequestID(request)
	if err != nil {
		return nil, err
	}
	now := d.a.now()
	w, err := d.waiting(rid, now)
	if err != nil {
		return nil, err
	}
	if who.Person.Identity == w.pending.Engineer.Person.Identity {
		return nil, session.Errorf(session.Denied, "You asked for this yourself.").WithNext("Somebody else of the hospital has to decide.")
	}
	keys, err := passkeys{d}.Of(who.Person.Identity)
	if err != nil {
		return nil, err
	}
	proofs := page.Proofs{Host: d.a.cfg.Console.Host, Keys: keys, Both: w.public.Policy.ConsoleKeys == session.KeysBoth}
	proofs.ByToken, proofs.ByKey = provable(w.public.Policy.ConsoleKeys, len(keys) > 0, w.pending.Approvals, who.Person.Identity)
	if !proofs.ByToken && !proofs.ByKey && !proofs.Both {
		return nil, session.Errorf(session.Refused, "You have approved this already.").WithNext("Another approver has to approve it too.")
	}
	doc, before, err := w.grant(d.a.fingerprint(), less, now)
	if err != nil {
		return nil, err
	}
	x, err := d.draft(w, doc, before, now)
	if err == nil {
		x.Proofs = proofs
	}
	return x, err
}

// waiting is a request that can be decided, and its scanner.
type waiting struct {
	entry   ledger.Entry
	pending ledger.Pending
	request grant.Request
	asset   Asset
	public  session.Asset
}

func (d decisions) waiting(rid session.ID, now time.Time) (w waiting, err error) {
	if w.pending, err = d.a.ledger.PendingRequest(rid); err != nil {
		return w, err
	}
	if w.request, err = grant.ParseRequest(w.pending.Request); err != nil {
		return w, err
	}
	if !now.Before(time.Unix(w.request.EXP, 0)) {
		return w, session.Errorf(session.Expired, "The window of this request is over.").WithNext("The engineer has to ask again.")
	}
	rules := d.a.rules.Load()
	i := slices.IndexFunc(rules.Assets, func(x Asset) bool { return x.Name == w.request.Asset })
	if i < 0 {
		return w, session.Errorf(session.Refused, "This agent has no scanner %.64q any more.", w.request.Asset)
	}
	w.asset, w.public = rules.Assets[i], rules.Assets[i].Public()
	if !slices.Contains(w.public.Policy.Accept.Approver, session.Console) {
		return w, session.Errorf(session.Refused, "%s does not accept approvals at a hospital console.", w.asset.Name).WithNext("See its policy in the agent's configuration.")
	}
	entries := d.a.ledger.Entries(now)
	if i := slices.IndexFunc(entries, func(e ledger.Entry) bool { return e.Request == rid }); i >= 0 {
		w.entry = entries[i]
	}
	return w, nil
}

// grant is what would be signed: what others approved already, else as was asked or less.
func (w waiting) grant(agent string, less grant.Less, now time.Time) (doc, before []byte, err error) {
	asked := less.MaxS == 0 && less.Class == "" && less.Channels == nil
	if len(w.pending.Approvals) > 0 {
		if g, err := grant.ParseGrant(w.pending.Grant); err == nil && now.Before(time.Unix(g.EXP, 0)) {
			if !asked {
				return nil, nil, session.Errorf(session.Refused, "Another approver approved these terms already, so they can be approved as they are, or refused.")
			}
			return w.pending.Grant, w.pending.Grant, nil
		}
	}
	g, err := grant.Draft(w.pending.Request, agent, less)
	if err == nil {
		err = grant.AdmitsGrant(w.public, w.request, w.pending.Engineer.Received, g, now)
	}
	if err != nil {
		return nil, nil, err
	}
	doc, err = g.Marshal()
	return doc, nil, err
}

// draft reads the bytes that would be signed to whoever signs them.
func (d decisions) draft(w waiting, doc, before []byte, now time.Time) (*page.Draft, error) {
	g, err := grant.ParseGrant(doc)
	if err != nil {
		return nil, err
	}
	zone := w.asset.Policy.zone()
	x := &page.Draft{Request: requestOf(w.entry, zone, d.a.deliveries.Load().verifier.Needed(w.request.Asset)), Grant: doc, Engineer: w.pending.Engineer.Proof.Token,
		Allows:   d.allows(g, w.request, zone, now),
		Cautions: append(wording.Cautions(g.Class, g.Channels, w.pending.Engineer.Client), wording.Takes(g.Services, w.public.Services)...),
		Patients: d.patients(w.asset, g.Class, zone)}
	if before != nil {
		var names []string
		for _, r := range w.pending.Approvals {
			names = append(names, shownName(r.Person))
		}
		x.Before = wording.List(names) + " signed this same grant. You would sign the same bytes."
		return x, nil
	}
	if w.request.Kind != grant.KindExtension {
		x.Choices = choices(w.request, g)
	}
	return x, nil
}

// allows are the plain lines of a grant.
func (d decisions) allows(g grant.Grant, r grant.Request, zone *time.Location, now time.Time) []string {
	work, files := wording.Work(g.Targets(), g.Class, g.Channels), wording.Carries(g.Channels)
	end := time.Unix(g.EXP, 0).In(zone).Format("2 Jan 15:04")
	if r.Kind == grant.KindExtension {
		last := session.Deadline(now, time.Duration(g.MaxS)*time.Second, time.Unix(g.EXP, 0))
		line := fmt.Sprintf("go on with a session that is open, until %s at the latest, and for up to %s in all", last.In(zone).Format("2 Jan 15:04"), lasting(time.Duration(g.MaxS)*time.Second))
		if facts, ok := d.a.ledger.Facts(idOf(r.Parent)); ok {
			line += "; now it would end " + facts.Deadline.In(zone).Format("2 Jan 15:04")
		}
		return []string{line, work, files}
	}
	start := "starting when they connect"
	if begin := time.Unix(g.NBF, 0); begin.After(now) {
		start += ", not before " + begin.In(zone).Format("2 Jan 15:04")
	}
	all := []string{work, fmt.Sprintf("for up to %s, %s, not after %s", lasting(time.Duration(g.MaxS)*time.Second), start, end), files}
	if g.Crit > 0 {
		all = append(all, wording.Critical(lasting(time.Duration(g.Crit)*time.Second))...)
	}
	return all
}

// patients say how a scanner stands, and what a class of work means in its states.
func (d decisions) patients(a Asset, class session.Class, zone *time.Location) []string {
	s := d.a.standing(a, zone)
	if s == nil {
		return []string{wording.NoInterlock}
	}
	all := append([]string{"The scanner is " + s.Is.Words() + "."}, wording.ClassMeans(interlock.Rules(a.Interlock).Works(class))...)
	if asked := wording.Consent(cmp.Or(a.asks(), session.ConsentNone)); asked != "" {
		all = append(all, asked)
	}
	return all
}

// choices are what can be allowed instead of what was asked.
func choices(r grant.Request, g grant.Grant) (c page.Choices) {
	lengths := []int64{}
	for _, minutes := range []int64{5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480} {
		if s := minutes * 60; s < r.MaxS {
			lengths = append(lengths, s)
		}
	}
	for _, s := range append(lengths, r.MaxS) {
		c.Longest = append(c.Longest, page.Option{Value: fmt.Sprint(s), Words: lasting(time.Duration(s) * time.Second), On: s == g.MaxS})
	}
	for _, class := range session.Classes() {
		if class.Within(r.Class) {
			c.Classes = append(c.Classes, page.Option{Value: string(class), Words: wording.Class(class), On: class == g.Class})
		}
	}
	for _, way := range r.Channels {
		c.Channels = append(c.Channels, page.Option{Value: string(way), Words: wording.Does(way, g.Class), On: slices.Contains(g.Channels, way)})
	}
	return c
}

// Approve implements page.Decisions.
func (d decisions) Approve(ctx context.Context, x *page.Draft, who page.Visitor, proof grant.Proof) (page.Outcome, error) {
	rid, err := session.ParseRequestID(x.Request.ID)
	if err != nil {
		return page.Outcome{}, err
	}
	pending, err := d.a.ledger.PendingRequest(rid)
	if err != nil {
		return page.Outcome{}, err
	}
	d.a.deciding.RLock()
	v, err := d.a.deliveries.Load().approve(ctx, link.Deliver{Kind: link.DeliverApproval, Request: pending.Request, Grant: x.Grant, Token: proof.Token, Salt: proof.Salt}, d.keepOf(who))
	d.a.deciding.RUnlock()
	if err != nil {
		return page.Outcome{}, err
	}
	d.a.reporter.kick()
	return d.outcome(x, v), nil
}

// keepOf keeps an approval that was given here, of whoever is signed in here, where it adds
// something.
func (d decisions) keepOf(who page.Visitor) keep {
	return func(rid session.ID, doc []byte, r grant.Receipt) ([]grant.Receipt, error) {
		if r.Person.Identity != who.Person.Identity {
			return nil, session.Errorf(session.Denied, "%s is signed in on this page, and %s signed.", who.Name, shownName(r.Person)).WithNext("Sign out here first, so that each decides under their own name.")
		}
		again, err := d.a.ledger.PendingRequest(rid)
		known := func(o grant.Receipt) bool {
			_, more := o.With(r)
			return o.Person.Identity == r.Person.Identity && !more
		}
		if err == nil && bytes.Equal(again.Grant, doc) && slices.ContainsFunc(again.Approvals, known) {
			return nil, session.Errorf(session.Refused, "You have approved this already.").WithNext("Another approver has to approve it too.")
		}
		return d.a.ledger.ApproveHere(rid, doc, r)
	}
}

func (d decisions) outcome(x *page.Draft, v link.Verdict) page.Outcome {
	told := ""
	if up, _ := d.a.client.Connected(); !up {
		told = " The broker is away; it is told as soon as it is back."
	}
	switch {
	case v.Admitted && x.Request.Longer:
		return page.Outcome{Title: "Extended", Text: "The session goes on. You can end it here at any time." + told}
	case v.Admitted:
		return page.Outcome{Title: "Approved and admitted", Text: x.Request.Who + " may connect to " + x.Request.Asset + ", as you read it. You can end it here at any time." + told}
	}
	return page.Outcome{Title: "Your approval is in", Text: fmt.Sprintf("%d of %d approvals are there. Nothing opens before all are.%s", v.Count, v.Needed, told)}
}

// Deny implements page.Decisions.
func (d decisions) Deny(request string, by page.Visitor, reason string) error {
	rid, err := session.ParseRequestID(request)
	if err != nil {
		return err
	}
	if err := d.a.ledger.Deny(rid, by.Person, reason, d.a.now()); err != nil {
		return err
	}
	d.a.reporter.kick()
	return nil
}

// toTell are the answers that were given here, as the broker is told of them: it is what the
// reporter asks.
type toTell struct{ a *Agent }

func (t toTell) owed() (all []link.Answer, err error) {
	t.a.deciding.Lock()
	defer t.a.deciding.Unlock()
	owed, err := t.a.ledger.Owed()
	for _, a := range owed {
		x := link.Answer{Request: a.Request.Request(), By: a.By, At: a.At, Reason: a.Reason}
		if n := len(a.Approvals); n > 0 {
			mine, v := a.Approvals[n-1], t.a.deliveries.Load().verifier
			x.Grant, x.Token, x.Salt = bytes.Clone(a.Grant), mine.Proof.Token, mine.Proof.Salt
			if mine.Passkey != nil {
				x.Passkey = mine.Passkey.Bytes()
			}
			x.Groups = v.Wanted(a.Asset, mine)
			x.Count, x.Needed, x.Admitted = v.Covered(a.Asset, a.Approvals), v.Needed(a.Asset), a.Admitted
		}
		all = append(all, x)
	}
	return all, err
}

func (t toTell) told(x link.Answer) error {
	rid, err := session.ParseRequestID(x.Request)
	if err != nil {
		return err
	}
	return t.a.ledger.Told(ledger.Answer{Request: rid, By: x.By})
}
