package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/wording"
)

// newRequest is what the engineer typed.
type newRequest struct {
	target    string
	services  []string
	reason    string
	workOrder string
	class     string
	longest   time.Duration
	from      string
	until     string
	carry     carried
	critical  time.Duration
	wait      bool
	timeout   time.Duration
	noBrowser bool
}

// carried is in which directions things may be carried: "in", "out".
type carried struct{ files, clipboard []string }

func (p *program) requestNewCommand() *cobra.Command {
	var w newRequest
	c := p.signed(&cobra.Command{
		Use:   "new SITE/ASSET/SERVICE [SERVICE ...] --reason TEXT --work-order ID",
		Short: "Ask a hospital for access to a scanner",
		Long: `Ask a hospital for access to one or more services of a scanner.

The browser opens once more: you sign exactly this request, and the hospital's agent
checks that signature itself. A fresh ssh key is made for it and stays on this
machine. The request is good for four hours from now; --for is how long the session
may last once you connect.

For later work give a window with --from and --until, in the site's time zone. When
it begins more than an hour ahead, no key is made yet: run "sallyport activate" when
it opens.

The site may be left out while the name is one scanner's only.

You ask for what the services can do and the hospital allows: on ssh a shell and
commands, on a console (vnc, rdp) to see it and to use its mouse and keyboard. With
--files and --clipboard you also ask to copy files, or text: "in" is towards the
scanner, "out" is from it. With --observe you ask to look only.`,
		Example: `  sallyport request new NGH/NGH-PETCT1/recon-ssh --reason "Arc faults since Monday" --work-order WO-2026-11873 --for 30m
  sallyport request new NGH/NGH-PETCT1/recon-ssh --reason "Collect logs" --work-order INC0045127 --class observe --files out --wait
  sallyport request new NGH/NGH-PETCT1/recon-ssh --reason "Tube change" --work-order WO-7 --from "2026-11-24 18:30" --until 21:00
  sallyport request new NGH/NGH-PETCT1/console-vnc --reason "Show the error" --work-order WO-8 --observe --clipboard out`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: p.targets(),
	}, func(ctx context.Context, who signedIn, args []string) error {
		w.target, w.services = args[0], args[1:]
		return p.requestNew(ctx, who, w)
	})
	f := c.Flags()
	f.StringVar(&w.reason, "reason", "", "why, in your words; the approver reads it")
	f.StringVar(&w.workOrder, "work-order", "", "the work order, incident or change")
	f.StringVar(&w.class, "class", "", "observe, non-disruptive or disruptive (default: the service's)")
	f.DurationVar(&w.longest, "for", 0, "how long the session may last, as in 30m (default 1h, or the scanner's limit)")
	f.StringVar(&w.from, "from", "", "when the window opens, as in \"2026-11-24 18:30\" or 18:30 at the site (default now)")
	f.StringVar(&w.until, "until", "", "when the window closes (default four hours after it opens)")
	f.StringSliceVar(&w.carry.files, "files", nil, "copy files: in, out or in,out")
	f.StringSliceVar(&w.carry.clipboard, "clipboard", nil, "copy text into a console, or out of it: in, out or in,out")
	f.BoolFunc("observe", "look only: the same as --class observe", func(string) error { w.class = string(session.Observe); return nil })
	c.MarkFlagsMutuallyExclusive("class", "observe")
	f.DurationVar(&w.critical, "critical", 0, "how long the session may be in critical sections, as in 15m; see sallyport critical")
	f.BoolVar(&w.wait, "wait", false, "wait for the hospital's answer")
	f.DurationVar(&w.timeout, "timeout", 15*time.Minute, "how long --wait waits")
	f.BoolVar(&w.noBrowser, "no-browser", false, "print the address instead of opening a browser")
	_ = c.MarkFlagRequired("reason")
	_ = c.MarkFlagRequired("work-order")
	_ = c.RegisterFlagCompletionFunc("class", cobra.FixedCompletions([]string{"observe", "non-disruptive", "disruptive"}, cobra.ShellCompDirectiveNoFileComp))
	for _, f := range []string{"files", "clipboard"} {
		_ = c.RegisterFlagCompletionFunc(f, cobra.FixedCompletions([]string{"in", "out", "in,out"}, cobra.ShellCompDirectiveNoFileComp))
	}
	return c
}

func (p *program) requestNew(ctx context.Context, who signedIn, w newRequest) error {
	if !who.has(session.Engineer) {
		return session.Errorf(session.Denied, "Only engineers ask for access, and you are signed in as %s", rolesOrNone(who.login.Roles)).
			WithNext("Sign in with your field-service account: sallyport login --hint EMAIL")
	}
	typed, err := session.ParseTarget(w.target)
	if err != nil {
		return err
	}
	alike, err := assetsOf(ctx, who, typed)
	if err != nil {
		return err
	}
	scanner, services, err := findAsset(alike, typed, trimTargets(typed, w.services))
	if err != nil {
		return err
	}
	bundle, err := who.bundle(scanner.Site)
	if err != nil {
		return err
	}
	now := p.now().UTC().Truncate(time.Second)
	request, err := compose(w, scanner, services, now)
	if err != nil {
		return err
	}
	request.Eng = who.login.Person.Identity
	for _, words := range wording.Takes(request.Services, scanner.Services) {
		p.say("%s", words)
	}
	answer, err := p.handIn(ctx, who, bundle, request, w.noBrowser)
	if err != nil {
		return err
	}
	p.rewriteSSH(ctx, who)
	if w.wait {
		return p.wait(ctx, who, answer, w.timeout)
	}
	return p.told(answer, nil, func() {
		p.print("%s", answer.ID)
		p.say("Asked for %s. %s", fullName(answer.Site, answer.Asset, strings.Join(answer.Services, ",")), p.whereItStands(answer))
		if request.NBF > now.Unix() {
			p.say("The window opens at %s and closes at %s.", p.both(answer.NotBefore, scanner.Zone), p.both(answer.NotAfter, scanner.Zone))
		}
	})
}

// trimTargets lets further services be named with their scanner, too.
func trimTargets(of session.Target, list []string) []string {
	var out []string
	for _, s := range list {
		x, err := session.ParseTarget(s)
		if of.Service = x.Service; err == nil && x.Names(of) {
			s = x.Service
		}
		out = append(out, s)
	}
	return out
}

// compose makes the document from what was typed, all but the person and the key.
func compose(w newRequest, scanner api.Asset, services []session.Service, now time.Time) (grant.Request, error) {
	r := grant.NewRequest()
	r.Site, r.Asset = scanner.Site, scanner.Name
	for _, s := range services {
		r.Services = append(r.Services, s.Name)
	}
	slices.Sort(r.Services)
	r.Services = slices.Compact(r.Services)
	offer, err := grant.Offers(offering(scanner), r.Services)
	if err != nil {
		return grant.Request{}, err
	}
	if r.Class = session.Class(cmp.Or(w.class, string(offer.Class))); !r.Class.Known() {
		return grant.Request{}, usage("%.40q is not a class", w.class).WithNext("Use observe, non-disruptive or disruptive.")
	}
	if r.Channels, err = channelsFor(w.carry, offer); err != nil {
		return grant.Request{}, err
	}
	if r.Class == session.Observe && slices.Contains(r.Channels, session.ClipboardIn) {
		return grant.Request{}, usage("Nothing is pasted into a console that you only look at").WithNext("Ask for the clipboard out alone, or for a stronger class.")
	}
	begin, end, longest, err := frame(w, offer, scanner.Zone, now)
	if err != nil {
		return grant.Request{}, err
	}
	r.NBF, r.EXP, r.MaxS = begin.Unix(), end.Unix(), int64(longest.Seconds())
	if w.critical < 0 || w.critical%time.Second != 0 {
		return grant.Request{}, usage("A critical section lasts whole seconds").WithNext("As in: --critical 15m")
	}
	r.Crit = int64(w.critical / time.Second)
	if err := offer.Admits(r.Terms(), now); err != nil {
		return grant.Request{}, inFlags(err, offer)
	}
	r.Reason, r.Ref = strings.TrimSpace(w.reason), strings.TrimSpace(w.workOrder)
	if !wording.Says(r.Reason) || !wording.Says(r.Ref) || wording.Clean(r.Reason) != r.Reason || wording.Clean(r.Ref) != r.Ref || strings.ContainsAny(r.Reason+r.Ref, "\n\r\t") {
		return grant.Request{}, usage("Reason and work order are one line of text each").WithNext("The approver decides by them.")
	}
	return r, nil
}

// offering is a scanner of the catalogue as the rules read it.
func offering(a api.Asset) session.Asset {
	return session.Asset{Name: a.Name, Services: a.Services, Policy: session.Policy{Channels: a.Channels,
		Longest: time.Duration(a.Longest) * time.Second, Window: time.Duration(a.Window) * time.Second, Critical: time.Duration(a.Critical) * time.Second}}
}

// inFlags says in this command's words what to do about terms that are not offered.
func inFlags(err error, o grant.Offer) error {
	var e *session.Error
	next := map[grant.Why]string{
		grant.TooStrong: "Ask with --class " + string(o.Class) + ".", grant.TooLong: "Ask with --for " + short(o.Longest) + " or less.",
		grant.TooWide: "Ask with an earlier --until.", grant.TooFarAhead: "Ask again nearer to the day.",
	}[grant.WhyNot(err)]
	if next != "" && errors.As(err, &e) {
		return e.WithNext(next)
	}
	return err
}

// channelsFor is what runs on the services, and what is carried where that was asked for.
func channelsFor(c carried, o grant.Offer) ([]session.Channel, error) {
	channels := slices.DeleteFunc(slices.Clone(o.Channels), session.Channel.Carries)
	for _, way := range []struct {
		flag    string
		typed   []string
		in, out session.Channel
	}{{"files", c.files, session.FilesIn, session.FilesOut}, {"clipboard", c.clipboard, session.ClipboardIn, session.ClipboardOut}} {
		for _, t := range way.typed {
			switch strings.TrimSpace(t) {
			case "in":
				channels = append(channels, way.in)
			case "out":
				channels = append(channels, way.out)
			default:
				return nil, usage("%.40q is not a direction for --%s", t, way.flag).WithNext(fmt.Sprintf("Use --%[1]s in, --%[1]s out or --%[1]s in,out.", way.flag))
			}
		}
	}
	slices.Sort(channels)
	return slices.Compact(channels), nil
}

// handIn makes the key where one is needed, has the engineer sign the exact bytes, and delivers them.
// When anything fails the key is gone again: nothing half-done stays behind.
func (p *program) handIn(ctx context.Context, who signedIn, bundle session.Trust, r grant.Request, noBrowser bool) (answer api.Request, err error) {
	issuer, clientID, err := engineersOf(bundle, r.Eng.Iss)
	if err != nil {
		return answer, err
	}
	id, err := session.ParseText(r.RID)
	if err != nil {
		return answer, err
	}
	if r.Key = ""; r.Kind == grant.KindSession && !time.Unix(r.NBF, 0).After(p.now().Add(grant.KeyReach)) {
		r.Key, err = who.home.NewKey(home.Key{Request: id.Request(), Site: r.Site, Asset: r.Asset, Services: r.Services,
			Created: p.now().UTC(), NotAfter: time.Unix(r.EXP, 0).UTC()})
		if err != nil {
			return answer, err
		}
	}
	defer func() {
		// Unreachable may mean that the request arrived and the answer was lost.
		if err != nil && session.KindOf(err) != session.Unreachable {
			_ = who.home.DropKey(id.Request())
		}
	}()
	document, err := r.Marshal()
	if err != nil {
		return answer, err
	}
	token, salt, claims, err := p.prove(ctx, signInRequest{issuer: issuer, client: clientID, role: grant.RoleRequest, subject: grant.RequestHash(document),
		hint: who.hint(), config: who.config, noBrowser: noBrowser, what: "to sign this request"})
	if err != nil {
		_ = who.home.DropKey(id.Request())
		return answer, err
	}
	if claims.Sub != r.Eng.Sub {
		return answer, session.Errorf(session.Denied, "The browser signed in as %.100s, and the request is for %.100s", cmp.Or(claims.Email, claims.Sub), who.login.Person.Email).
			WithNext("Sign out at " + host(issuer.URL) + " and ask again, or run sallyport login as the other person.")
	}
	answer, err = client.Submit.Post(ctx, who.broker, api.Submission{Request: document, Token: token, Salt: salt})
	if err == nil && answer.ID != id.Request() {
		err = session.Errorf(session.Internal, "The broker answered for another request").WithNext("Tell whoever runs the broker.")
	}
	return answer, err
}

// engineersOf finds the vendor's identity provider and its command-line client.
func engineersOf(bundle session.Trust, iss string) (session.Issuer, string, error) {
	issuer, ok := home.IssuerAt(bundle, iss, session.VendorSide)
	clientID, hasClient := home.Client(issuer, session.CLI)
	if !ok || !hasClient {
		return issuer, "", session.Errorf(session.Refused, "%s does not accept sign-ins of %s", bundle.Site, host(iss)).
			WithNext("Ask the hospital for its current trust bundle and import it.")
	}
	return issuer, clientID, nil
}

// short writes a duration as --for takes it.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
