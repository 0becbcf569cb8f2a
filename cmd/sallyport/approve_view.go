package main

import (
	"cmp"
	"encoding/hex"
	"errors"
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
func (m *requestUnderDecision) draft(longest time.Duration, channels []session.Channel, calm bool) (draft, error) {
	r := m.request
	identity, err := session.ParseKeyLine(m.trust.Identity)
	if err != nil {
		return draft{}, err
	}
	if longest%time.Second != 0 || longest < 0 {
		return draft{}, usage("A session lasts whole seconds, at least one").WithNext("Leave out --for to allow what was asked.")
	}
	agent := session.Fingerprint(identity)
	g, err := grant.Draft(m.docs.Request, agent, grant.Less{MaxS: int64(longest / time.Second), Channels: channels, NoCrit: calm})
	var e *session.Error
	if errors.As(err, &e) {
		return draft{}, usage("%s", strings.TrimSuffix(e.Message, ".")).WithNext(e.Next)
	}
	if err != nil {
		return draft{}, err
	}
	if len(m.docs.Grant) > 0 {
		before, err := m.granted()
		if err != nil {
			return draft{}, err
		}
		same := before.MaxS == g.MaxS && slices.Equal(before.Channels, g.Channels) && before.Crit == g.Crit
		if same || longest == 0 && channels == nil && !calm {
			return draft{grant: before, bytes: m.docs.Grant, joined: true, narrowed: before.Narrows(r)}, nil
		}
	}
	if m.offered.Name != "" { // what the broker says of the scanner; the agent checks its own rules
		if err := grant.AdmitsTerms(m.offered, g.Terms(), m.now()); err != nil {
			return draft{}, err
		}
	}
	bytes, err := g.Marshal()
	return draft{grant: g, bytes: bytes, narrowed: g.Narrows(r)}, err
}

// view is the draft as its approver reads it.
func (m *requestUnderDecision) view(d draft) console.View {
	r, g, p := m.request, d.grant, m.engineer.Person
	gh, qh := grant.GrantHash(d.bytes), grant.RequestHash(m.docs.Request)
	signed := m.engineer.SignedIn()
	var names []string
	for _, x := range g.Targets() {
		names = append(names, x.String())
	}
	v := console.View{
		Request: m.id, Scanner: fullName(r.Site, r.Asset, ""), Label: m.label, Services: wording.List(names),
		Who:    console.Person{Name: p.Name, Email: p.Email, Sub: p.Sub, Issuer: p.Iss, SignedIn: m.clock(signed)},
		Wants:  m.wants(g),
		Reason: r.Reason, WorkOrder: r.Ref, Narrowed: d.narrowed, SignIn: host(m.hospital.URL), GrantHash: hex.EncodeToString(gh[:]),
		Longest: console.Durations(time.Duration(r.MaxS)*time.Second, time.Duration(g.MaxS)*time.Second),
		Documents: []console.Document{
			{Title: "Request, as the engineer signed it", Hash: hex.EncodeToString(qh[:]), Text: string(m.docs.Request)},
			{Title: "Grant, as you would sign it", Hash: hex.EncodeToString(gh[:]), Text: string(d.bytes)},
		},
		Cautions: m.cautions(g, d), Patients: m.patients,
	}
	if r.Kind == grant.KindExtension {
		v.Longest = v.Longest[len(v.Longest)-1:] // as asked, or not at all
	}
	for _, c := range r.Channels {
		v.Channels = append(v.Channels, console.Choice{Value: string(c), Words: wording.Does(c, g.Class), On: slices.Contains(g.Channels, c)})
	}
	if r.Crit != 0 {
		v.Critical = []console.Choice{{Value: "yes", Words: strings.Join(wording.Critical(display.Span(time.Duration(r.Crit)*time.Second)), ""), On: g.Crit != 0}}
	}
	if len(m.standing.Missing) > 0 {
		v.Count = fmt.Sprintf("This scanner needs %d approvers; the broker says %d answered before you. Still needed: %s.", m.standing.Needed, m.standing.Approvals, strings.Join(m.standing.Missing, ", "))
	} else if m.standing.Needed > 1 {
		v.Count = fmt.Sprintf("This scanner needs %d approvers; the broker says %d answered before you. Nothing opens before all have.", m.standing.Needed, m.standing.Approvals)
	}
	who := p.Shown()
	v.Station = []console.Station{
		{State: "done", Title: who, Proof: "asked " + m.clock(signed)},
		{State: "done", Title: host(p.Iss), Proof: "vendor sign-in, checked here (" + string(m.engineer.Client) + ")"},
		{State: "now", Title: "You, for " + r.Site, Proof: "your decision (console)"},
		{State: "ahead", Title: "Agent " + m.trust.Agent, Proof: "checks both, records all"},
		{State: "ahead", Title: strings.Join(g.Services, ", "), Proof: fullName(r.Site, r.Asset, "")},
	}
	v.Checked = [][2]string{
		{"The engineer", fmt.Sprintf("%s signed exactly these bytes at %s", who, p.Iss)},
		{"Engineer's side", string(m.engineer.Client) + ": signed " + wording.Signed(m.engineer.Client)},
		{"Your side", string(session.Console) + ": signed " + wording.Signed(session.Console)},
		{"The agent", "only the one with key " + g.Agent + ", from your trust bundle"},
		{"Engineer's ssh key", m.keyWords()},
		{"Name and e-mail", m.named()},
		{"Not verified", "reason, work order, and whatever the broker says: " + cmp.Or(m.label, "the scanner's description") + ", how many have answered"},
	}
	return v
}

// named says what the engineer's name and address are worth.
func (m *requestUnderDecision) named() string {
	p := m.engineer.Person
	if p.Email == "" {
		return "the name as " + host(p.Iss) + " says, which confirms no e-mail address; identity is " + p.Sub
	}
	return "as " + host(p.Iss) + " says, the address of a domain that your bundle leaves to it; identity is " + p.Sub
}

// wants are the three plain lines.
func (m *requestUnderDecision) wants(g grant.Grant) []string {
	work, files := wording.Work(g.Targets(), g.Class, g.Channels), wording.Carries(g.Channels)
	if m.request.Kind == grant.KindExtension {
		return []string{m.extends(g), work, files}
	}
	start := "starting when they connect"
	if begin := time.Unix(g.NBF, 0); begin.After(m.now()) {
		start = "starting when they connect, not before " + m.clock(begin)
	}
	return append([]string{work, fmt.Sprintf("for up to %s, %s, not after %s", display.Span(time.Duration(g.MaxS)*time.Second), start, m.clock(time.Unix(g.EXP, 0))), files}, critical(g)...)
}

// extends says what an extension comes to at most, from the bytes that are signed and from
// those of the first grant. When the session began, and would end, is the broker's word.
func (m *requestUnderDecision) extends(g grant.Grant) string {
	whole := func(g grant.Grant) string { return display.Span(time.Duration(g.MaxS) * time.Second) }
	end := session.Deadline(m.now(), time.Duration(g.MaxS)*time.Second, time.Unix(g.EXP, 0)) // it began before now
	return fmt.Sprintf("go on with a session that is open, until %s at the latest, and for up to %s in all where %s were granted first; by the broker's word it would end %s",
		m.clock(end), whole(g), whole(m.first), m.clock(m.parent.Deadline))
}

func (m *requestUnderDecision) cautions(g grant.Grant, d draft) []string {
	list := append(wording.Cautions(g.Class, g.Channels, m.engineer.Client), wording.Takes(g.Services, m.offered.Services)...)
	before := "The broker says that another approver"
	if len(m.before) > 0 {
		before = wording.List(m.before)
	}
	switch {
	case d.joined && len(m.before) == 0:
		list = append(list, before+" signed this same grant; no such signature was verified here. You would sign the same bytes.")
	case d.joined:
		list = append(list, before+" signed this same grant. You would sign the same bytes.")
	case len(m.docs.Grant) > 0:
		list = append(list, before+" signed other terms than these. That approval does not count for yours, and they must decide again.")
	}
	return list
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

// critical says what critical sections the grant allows.
func critical(g grant.Grant) []string {
	if g.Crit == 0 {
		return nil
	}
	return wording.Critical(display.Span(time.Duration(g.Crit) * time.Second))
}
