package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/console"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/cmd/internal/signin"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// approval is how the approver ran the command.
type approval struct {
	longest   time.Duration
	channels  []string
	calm      bool // no critical sections
	yes       bool
	noBrowser bool
}

func (p *program) approveCommand() *cobra.Command {
	var how approval
	c := about(p, session.ParseRequestID, p.requests(session.Pending), &cobra.Command{
		Use:   "approve REQUEST",
		Short: "Read a request that was verified here, and decide",
		Long: `Read a request and decide. The engineer's signature is checked on this machine against
your trust bundle; what you read is what was signed, not what the broker says. A page
opens that this machine serves to itself; --yes reads and approves in the terminal.

You may allow less: a shorter session, fewer ways for bytes to pass, no critical
sections. Never more.
Then you sign in afresh at your hospital; that signature covers exactly the grant you
read, and the hospital's agent checks it. The command returns when the agent has
admitted the grant, or says how many approvers are still needed; both are status 0.
A denial on the page is status 4.`,
		Example: `  sallyport approve R-aaaaaaaaaaaaaaaaaaaaaaaaaa
  sallyport approve R-aaaaaaaaaaaaaaaaaaaaaaaaaa --for 15m --channels shell --yes
  sallyport approve R-aaaaaaaaaaaaaaaaaaaaaaaaaa --no-critical`,
	}, func(ctx context.Context, who signedIn, id string) error { return p.approve(ctx, who, id, how) })
	f := c.Flags()
	f.DurationVar(&how.longest, "for", 0, "allow a shorter session than was asked, as in 15m")
	f.StringSliceVar(&how.channels, "channels", nil, "allow fewer: "+strings.Join(everyChannel(), ", "))
	f.BoolVar(&how.calm, "no-critical", false, "allow no critical sections: a patient's arrival always freezes the session")
	f.BoolVar(&how.yes, "yes", false, "show the request in the terminal and approve it")
	f.BoolVar(&how.noBrowser, "no-browser", false, "print addresses instead of opening a browser")
	_ = c.RegisterFlagCompletionFunc("channels", cobra.FixedCompletions(everyChannel(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (p *program) approve(ctx context.Context, who signedIn, id string, how approval) error {
	if !who.has(session.Approver) {
		return session.Errorf(session.Denied, "Only the hospital's approvers approve, and you are signed in as %s", rolesOrNone(who.login.Roles)).
			WithNext("Nothing was changed. An approver runs: sallyport approve " + id)
	}
	standing, err := client.Request.Get(ctx, who.broker, id)
	if err != nil {
		return err
	}
	if standing.Status != session.Pending {
		return session.Errorf(session.Refused, "%s was decided already: it is %s", id, standing.Status).WithNext("Details: sallyport request show " + id)
	}
	m, err := p.read(ctx, who, id)
	if err != nil {
		return err
	}
	m.standing = standing
	d, err := m.draft(how.longest, channelsOf(how.channels), how.calm)
	if err != nil {
		return err
	}
	if how.yes {
		return p.approveInTerminal(ctx, who, m, d, how)
	}
	return p.approveOnPage(ctx, who, m, d, how)
}

// everyChannel is every way that some protocol has.
func everyChannel() []string {
	var all []string
	for _, p := range session.Protocols() {
		for _, c := range p.Channels() {
			all = append(all, string(c))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// requestUnderDecision is a request that was verified on this machine, with what it needs.
type requestUnderDecision struct {
	verified
	id       string
	hospital session.Issuer
	client   string // of the console class
	standing api.Request
	label    string        // the broker's words for the asset
	offered  session.Asset // and for what is allowed on it
	patients []string      // and for how the scanner stands
	before   []string      // who signed the grant that is there already, verified here
	parent   api.Session   // what an extension makes longer, in the broker's words
	first    grant.Grant   // with which that began, verified here
	now      func() time.Time
	clock    func(time.Time) string
}

// draft is a grant that could be signed.
type draft struct {
	grant    grant.Grant
	bytes    []byte
	narrowed bool
	joined   bool // these bytes were approved by somebody before
}

// read verifies the engineer's side and asks for what belongs to it.
func (p *program) read(ctx context.Context, who signedIn, id string) (*requestUnderDecision, error) {
	v, err := p.verified(ctx, who, id, "Do not approve it.")
	if err != nil {
		return nil, err
	}
	m := &requestUnderDecision{verified: v, id: id, now: p.now, clock: p.local}
	if m.hospital, m.client, err = consoleOf(m.trust, who.login.Person.Iss); err != nil {
		return nil, err
	}
	m.before = m.approvers(ctx)
	if m.request.Kind == grant.KindExtension {
		if err := p.readParent(ctx, who, m); err != nil {
			return nil, err
		}
	}
	on := p.assetOf(ctx, who, m.request.Site, m.request.Asset)
	if on.Name != "" {
		m.label = strings.TrimSpace(on.Modality + " " + on.Label)
		m.offered = offering(on)
	}
	m.patients = p.patients(on, m.request.Class)
	return m, nil
}

// readParent reads what an extension makes longer: how the session stands is the broker's
// word, what was granted first is verified here, and the extension is of nothing else.
func (p *program) readParent(ctx context.Context, who signedIn, m *requestUnderDecision) error {
	parent, err := session.ParseText(m.request.Parent)
	if err != nil {
		return err
	}
	if m.parent, err = client.Session.Get(ctx, who.broker, parent.Session()); err != nil {
		return err
	}
	const instead = "Do not approve it."
	v, err := p.verified(ctx, who, m.parent.Request, instead)
	if err != nil {
		return err
	}
	if m.first, err = v.granted(); err != nil {
		return err
	}
	if len(v.approvers(ctx)) == 0 {
		return session.Errorf(session.Refused, "No approval of the session that is to go on can be verified here").
			WithNext(instead + " The engineer can ask for a new session.")
	}
	return grant.Prolongs(m.request, m.first, v.engineer.Person.Identity)
}

// consoleOf finds the hospital's identity provider, the one the approver signed in
// with where there are several, and its console client.
func consoleOf(t session.Trust, iss string) (session.Issuer, string, error) {
	var found *session.Issuer
	for _, i := range t.Issuers {
		if i.Side == session.HospitalSide && (found == nil || i.URL == iss) {
			found = &i
		}
	}
	if found != nil {
		if id, ok := home.Client(*found, session.Console); ok {
			return *found, id, nil
		}
	}
	return session.Issuer{}, "", session.Errorf(session.Refused, "The trust bundle of %s names no console client of the hospital", t.Site).
		WithNext("Ask the hospital for a current bundle, or approve in the web application if it is allowed there.")
}

// approveInTerminal shows everything and goes on, because --yes said so.
func (p *program) approveInTerminal(ctx context.Context, who signedIn, m *requestUnderDecision, d draft, how approval) error {
	if err := m.view(d).Write(p.stderr); err != nil {
		return err
	}
	a, err := p.signGrant(ctx, who, m, d, signInRequest{noBrowser: how.noBrowser})
	return p.admitted(a, d, err)
}

// approveOnPage serves the page, waits for the click and goes through with it.
func (p *program) approveOnPage(ctx context.Context, who signedIn, m *requestUnderDecision, first draft, how approval) error {
	var drafts sync.Map // grant hash in hex -> draft, written from the page
	keep := func(d draft) console.View {
		v := m.view(d)
		drafts.Store(v.GrantHash, d)
		return v
	}
	page, err := console.Open(ctx, console.Config{View: keep(first), Narrow: func(l console.Limits) (console.View, error) {
		d, err := m.draft(l.Longest, orNoChannel(l.Channels), l.NoCritical)
		if err != nil {
			return console.View{}, err
		}
		return keep(d), nil
	}})
	if err != nil {
		return err
	}
	defer page.Close()
	waiting, cancel := context.WithTimeout(ctx, decideTime)
	defer cancel()
	if w := p.showPage(waiting, page.URL, how.noBrowser); w != nil {
		defer w.Close()
	}
	decision, err := page.Decide(waiting)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return session.Errorf(session.Expired, "Nobody decided within %s", "30 minutes").WithNext("Nothing was changed. Run the command again.")
		}
		return err
	}
	if !decision.Approve {
		return p.denyFromPage(ctx, who, m, page, decision.Reason)
	}
	chosen, _ := drafts.Load(page.Shown().GrantHash)
	a, err := p.signGrant(ctx, who, m, chosen.(draft), signInRequest{after: page.Done(), leave: page.Leave})
	page.Finish(outcome(a, err, m))
	return p.admitted(a, chosen.(draft), err)
}

func (p *program) showPage(ctx context.Context, address string, noBrowser bool) *signin.Window {
	if !noBrowser {
		w, ok := signin.Browser{Env: p.env}.Open(ctx, address, func(why string) {
			p.warn("The browser could not be opened: %s", why)
		})
		if ok {
			p.say("Verified here. Read it and decide in the browser, on this machine's own page:\n  %s", address)
			return w
		}
	}
	p.warn("Verified here. Read it and decide in a browser on this machine:\n  %s", address)
	return nil
}

// signGrant is the approver's word: a fresh sign-in at the hospital whose nonce
// covers the grant and the engineer's token, handed in with the grant's exact bytes.
func (p *program) signGrant(ctx context.Context, who signedIn, m *requestUnderDecision, d draft, e signInRequest) (api.Decided, error) {
	e.issuer, e.client, e.role, e.fresh = m.hospital, m.client, grant.RoleApprove, true
	e.subject, e.extra = grant.GrantHash(d.bytes), sha256.Sum256([]byte(m.docs.Token))
	e.hint, e.config, e.what = who.hint(), who.config, "to sign this approval"
	token, salt, _, err := p.prove(ctx, e)
	if err != nil {
		return api.Decided{}, err
	}
	return client.Approve.Post(ctx, who.broker, api.Decision{Grant: d.bytes, Token: token, Salt: salt}, m.id)
}

func (p *program) denyFromPage(ctx context.Context, who signedIn, m *requestUnderDecision, page *console.Console, reason string) error {
	r, err := client.Deny.Post(ctx, who.broker, api.Denial{Reason: reason}, m.id)
	if err != nil {
		e := explain(err)
		page.Finish(console.Outcome{Title: "The denial did not arrive", Text: sentence(e.Message) + " " + e.Next})
		return err
	}
	page.Finish(console.Outcome{Title: "Denied", Text: "The engineer reads your reason. Nothing was opened."})
	return &session.Error{Kind: session.Denied, Message: "You denied " + r.ID, Next: "The engineer reads your reason; nothing was opened."}
}

func (p *program) admitted(a api.Decided, d draft, err error) error {
	r, more := a.Request, max(a.Request.Needed-a.Request.Approvals, 1)
	return p.told(a, err, func() {
		switch {
		case a.Admitted && r.Kind == grant.KindExtension:
			p.print("%s is admitted: the session goes on until %s at the latest.", r.ID, p.local(time.Unix(d.grant.EXP, 0)))
		case a.Admitted:
			p.print("%s is admitted: the hospital's agent checked everything and will let the engineer in.", r.ID)
		case len(missing(r)) > 0:
			p.print("%s has your approval; still needed: %s.", r.ID, strings.Join(missing(r), ", "))
		case more == 1:
			p.print("%s has your approval; one more approval needed.", r.ID)
		default:
			p.print("%s has your approval; %d more approvals needed.", r.ID, more)
		}
	})
}

func outcome(a api.Decided, err error, m *requestUnderDecision) console.Outcome {
	switch {
	case err != nil:
		e := explain(err)
		return console.Outcome{Title: "Not approved", Text: sentence(e.Message) + " " + e.Next}
	case a.Admitted && m.request.Kind == grant.KindExtension:
		return console.Outcome{Good: true, Title: "Extended", Text: "The session goes on. You can end it at any time."}
	case a.Admitted:
		return console.Outcome{Good: true, Title: "Approved and admitted",
			Text: "The hospital's agent checked everything and will let the engineer on to " + fullName(m.request.Site, m.request.Asset, "") + ". You can end it at any time."}
	default:
		text := "One more is needed before anything opens."
		if left := missing(a.Request); len(left) > 0 {
			text = "Still needed before anything opens: " + strings.Join(left, ", ") + "."
		}
		return console.Outcome{Good: true, Title: "Your approval is in", Text: text}
	}
}

func channelsOf(names []string) []session.Channel {
	var list []session.Channel
	for _, n := range names {
		list = append(list, session.Channel(strings.TrimSpace(n)))
	}
	return list
}

// orNone tells "no box was ticked" from "nothing was said".
func orNoChannel(list []session.Channel) []session.Channel {
	if list == nil {
		return []session.Channel{}
	}
	return list
}
