package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/console"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/wording"
)

// draft builds what would be granted. Nothing said means: what was asked, or the
// very bytes that another approver signed already. Channels nil means unsaid.
func (m *requestUnderDecision) draft(longest time.Duration, channels []session.Channel) (draft, error) {
	r := m.request
	identity, err := session.ParseKeyLine(m.trust.Identity)
	if err != nil {
		return draft{}, err
	}
	qh := grant.RequestHash(m.docs.Request)
	g := grant.NewGrant()
	g.Req, g.Site, g.Agent, g.Asset = hex.EncodeToString(qh[:]), r.Site, session.Fingerprint(identity), r.Asset
	g.Services, g.Class, g.Channels, g.NBF, g.EXP, g.MaxS = r.Services, r.Class, r.Channels, r.NBF, r.EXP, r.MaxS
	narrowed := false
	if longest != 0 {
		seconds := int64(longest.Seconds())
		if longest < time.Second || longest%time.Second != 0 || seconds > r.MaxS {
			return draft{}, usage("You can allow less than %s, not more", display.Span(time.Duration(r.MaxS)*time.Second)).WithNext("Leave out --for to allow what was asked.")
		}
		narrowed = seconds < r.MaxS
		g.MaxS = seconds
	}
	if channels != nil {
		list := slices.Clone(channels)
		slices.Sort(list)
		list = slices.Compact(list)
		for _, c := range list {
			if !slices.Contains(r.Channels, c) {
				return draft{}, usage("The engineer did not ask for %.40q", c).WithNext("You can leave out, not add. Asked for: " + joined(r.Channels) + ".")
			}
		}
		if len(list) == 0 {
			return draft{}, usage("A grant without any channel opens nothing").WithNext("Leave one, or deny the request.")
		}
		narrowed = narrowed || len(list) < len(r.Channels)
		g.Channels = list
	}
	if narrowed && r.Kind == grant.KindExtension {
		return draft{}, usage("An extension is approved as it was asked, or denied").WithNext("To allow less time: sallyport deny " + m.id + " --reason ... and say how much.")
	}
	if len(m.docs.Grant) > 0 {
		before, err := m.partial(g)
		if err != nil {
			return draft{}, err
		}
		same := before.MaxS == g.MaxS && slices.Equal(before.Channels, g.Channels)
		if same || longest == 0 && channels == nil {
			return draft{grant: before, bytes: m.docs.Grant, joined: true, narrowed: before.MaxS < r.MaxS || len(before.Channels) < len(r.Channels)}, nil
		}
	}
	if m.offered.Name != "" { // what the broker says of the scanner; the agent checks its own rules
		if err := grant.AdmitsTerms(m.offered, g.Terms(), m.now()); err != nil {
			return draft{}, err
		}
	}
	bytes, err := g.Marshal()
	return draft{grant: g, bytes: bytes, narrowed: narrowed}, err
}

// partial reads the grant that somebody else approved and checks that it answers
// this request, at this agent, and goes nowhere beyond it.
func (m *requestUnderDecision) partial(like grant.Grant) (grant.Grant, error) {
	g, err := grant.ParseGrant(m.docs.Grant)
	if err != nil {
		return g, err
	}
	if err := grant.Within(g, m.request); err != nil {
		return g, err
	}
	if g.Req != like.Req || g.Agent != like.Agent || g.Site != like.Site || g.Asset != like.Asset || !slices.Contains(g.Obl, "record") {
		return g, session.Errorf(session.Refused, "The grant that was approved before is not for this request").WithNext("Do not approve it. Tell your security contact.")
	}
	return g, nil
}

// view is the draft as its approver reads it.
func (m *requestUnderDecision) view(d draft) console.View {
	r, g, p := m.request, d.grant, m.engineer.Person
	gh, qh := grant.GrantHash(d.bytes), grant.RequestHash(m.docs.Request)
	signed := m.engineer.IssuedAt
	v := console.View{
		Request: m.id, Site: r.Site, Asset: r.Asset, Label: m.label, Services: strings.Join(g.Services, ", "),
		Who:    console.Person{Name: p.Name, Email: p.Email, Sub: p.Sub, Issuer: p.Iss, SignedIn: m.clock(signed)},
		Wants:  m.wants(g),
		Reason: r.Reason, WorkOrder: r.Ref, Narrowed: d.narrowed, SignIn: host(m.hospital.URL), GrantHash: hex.EncodeToString(gh[:]),
		Longest: console.Durations(time.Duration(r.MaxS)*time.Second, time.Duration(g.MaxS)*time.Second),
		Documents: []console.Document{
			{Title: "Request, as the engineer signed it", Hash: hex.EncodeToString(qh[:]), Text: string(m.docs.Request)},
			{Title: "Grant, as you would sign it", Hash: hex.EncodeToString(gh[:]), Text: string(d.bytes)},
		},
		Cautions: m.cautions(g, d),
	}
	if r.Kind == grant.KindExtension {
		v.Longest = v.Longest[len(v.Longest)-1:] // as asked, or not at all
	}
	for _, c := range r.Channels {
		v.Channels = append(v.Channels, console.Choice{Value: string(c), Words: wording.Channel(c), On: slices.Contains(g.Channels, c)})
	}
	if len(m.standing.Missing) > 0 {
		v.Count = fmt.Sprintf("This scanner needs %d approvers; the broker says %d answered before you. Still needed: %s.", m.standing.Needed, m.standing.Approvals, strings.Join(m.standing.Missing, ", "))
	} else if m.standing.Needed > 1 {
		v.Count = fmt.Sprintf("This scanner needs %d approvers; the broker says %d answered before you. Nothing opens before all have.", m.standing.Needed, m.standing.Approvals)
	}
	who := cmp.Or(p.Email, p.Sub)
	v.Station = []console.Station{
		{State: "done", Title: who, Proof: "asked " + m.clock(signed)},
		{State: "done", Title: host(p.Iss), Proof: "vendor sign-in, checked here (" + string(m.engineer.Client) + ")"},
		{State: "now", Title: "You, for " + r.Site, Proof: "your decision (console)"},
		{State: "ahead", Title: "Agent " + m.trust.Agent, Proof: "checks both, records all"},
		{State: "ahead", Title: strings.Join(g.Services, ", "), Proof: fullName(r.Site, r.Asset, "")},
	}
	v.Checked = [][2]string{
		{"The engineer", fmt.Sprintf("%s signed exactly these bytes at %s", who, p.Iss)},
		{"Engineer's side", classWords(m.engineer.Client)},
		{"Your side", classWords(session.Console)},
		{"The agent", "only the one with key " + g.Agent + ", from your trust bundle"},
		{"Engineer's ssh key", m.keyWords()},
		{"Name and e-mail", "as " + host(p.Iss) + " says; identity is " + p.Sub},
		{"Not verified", "reason, work order, and whatever the broker says: " + cmp.Or(m.label, "the scanner's description") + ", how many have answered"},
	}
	return v
}

// wants are the three plain lines.
func (m *requestUnderDecision) wants(g grant.Grant) []string {
	var does, files []string
	for _, c := range []session.Channel{session.Shell, session.Exec, session.Control} {
		if slices.Contains(g.Channels, c) {
			does = append(does, wording.Channel(c))
		}
	}
	for _, c := range []session.Channel{session.FilesIn, session.FilesOut, session.ClipboardIn, session.ClipboardOut} {
		if slices.Contains(g.Channels, c) {
			files = append(files, wording.Channel(c))
		}
	}
	lines := []string{}
	if len(does) > 0 {
		lines = append(lines, fmt.Sprintf("%s on %s, %s (%s)", strings.Join(does, " and "), strings.Join(g.Services, ", "), wording.Class(g.Class), g.Class))
	}
	if m.request.Kind == grant.KindExtension {
		return append(append([]string{m.extends(g)}, lines...), filesLine(files))
	}
	start := "starting when they connect"
	if begin := time.Unix(g.NBF, 0); begin.After(m.now()) {
		start = "starting when they connect, not before " + m.clock(begin)
	}
	lines = append(lines, fmt.Sprintf("for up to %s, %s, not after %s", display.Span(time.Duration(g.MaxS)*time.Second), start, m.clock(time.Unix(g.EXP, 0))))
	return append(lines, filesLine(files))
}

func filesLine(files []string) string {
	if len(files) > 0 {
		return strings.Join(files, " and ")
	}
	return "copy no files"
}

// extends says what an extension comes to. The new end is signed; the old one is the
// broker's word.
func (m *requestUnderDecision) extends(g grant.Grant) string {
	end := session.Deadline(m.parent.Opened, time.Duration(g.MaxS)*time.Second, time.Unix(g.EXP, 0))
	return fmt.Sprintf("go on with a session that is open, until %s instead of %s", m.clock(end), m.clock(m.parent.Deadline))
}

func (m *requestUnderDecision) cautions(g grant.Grant, d draft) []string {
	var list []string
	if slices.Contains(g.Channels, session.Shell) || slices.Contains(g.Channels, session.Exec) {
		list = append(list, "A shell or a command can do whatever the scanner's service account may do, and can carry files in and out whatever the line about files says. All of it is recorded.")
	}
	if g.Class == session.Disruptive {
		list = append(list, "Disruptive work can stop an examination. Make sure that no patient depends on this scanner now.")
	}
	if m.engineer.Client == session.Web {
		list = append(list, "The engineer signed on the broker's web page. If the broker were taken over, it could have stood in for them.")
	}
	if d.joined {
		list = append(list, "Another approver signed this same grant. You would sign the same bytes.")
	} else if len(m.docs.Grant) > 0 {
		list = append(list, "You allow less than the approver before you. Their approval does not count for yours, and they must decide again.")
	}
	return list
}

func classWords(c session.ClientClass) string {
	switch c {
	case session.CLI:
		return "cli: signed on the engineer's own machine; the broker could not stand in"
	case session.Console:
		return "console: this machine shows and signs; the broker is not trusted for it"
	case session.Web:
		return "web: signed on the broker's page, which is trusted to be honest"
	}
	return string(c)
}

func (m *requestUnderDecision) keyWords() string {
	switch {
	case m.request.Kind == grant.KindExtension:
		return "those of the session; an extension brings none"
	case m.request.Key == "":
		return "none yet: the engineer proves who they are again when the window opens, and the agent checks it"
	}
	return keyWords(m.request.Key)
}

func keyWords(line string) string {
	if key, err := session.ParseKeyLine(line); err == nil {
		return session.Fingerprint(key)
	}
	return cmp.Or(line, "none yet")
}
