package grant

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

const (
	defaultLongest = 8 * time.Hour
	defaultWindow  = 24 * time.Hour
	farthest       = 30 * 24 * time.Hour // how far ahead a window may begin
	maxApprovers   = 16

	// KeyReach is how far ahead a session may begin whose key stands in the request,
	// and how long after the request's receipt its first connection may come. Beyond
	// it an activation is needed that came in at most ActivationTime ago.
	KeyReach       = time.Hour
	ActivationTime = 15 * time.Minute

	// MaxKeys bounds the keys of one grant, the request's own included.
	MaxKeys = 4
)

// Policy is what one agent holds true, from its own configuration.
type Policy struct {
	Site          string
	Agent         string                   // fingerprint of the agent's identity key
	Issuers       []session.Issuer         // engineers' and approvers'
	EngineerGroup string                   // default session.GroupEngineers
	ApproverGroup string                   // default session.GroupApprovers
	ACR           []string                 // when set, an approver's acr must be one of these
	Assets        map[string]session.Asset // by name
}

// Verifier checks requests, approvals and quorums against a policy. It never
// changes after NewVerifier and is safe for concurrent use.
type Verifier struct {
	site, agent string
	pins        pins
	assets      map[string]session.Asset
}

// NewVerifier checks a policy and fills in its defaults: one approval, sessions of
// at most 8 hours in windows of at most 24, shell and exec, engineers by their own
// command line and approvers by the hospital's console only.
func NewVerifier(p Policy, keys *idtoken.KeySets) (*Verifier, error) {
	if !session.ValidName(p.Site) {
		return nil, misconfigured("the site %.80q is not a name", p.Site)
	}
	if !goodFingerprint(p.Agent) {
		return nil, misconfigured("the agent %.80q is not a key fingerprint", p.Agent)
	}
	pinned, err := newPins(p.Issuers, keys)
	if err != nil {
		return nil, err
	}
	pinned.engineers = cmp.Or(p.EngineerGroup, session.GroupEngineers)
	pinned.approvers = cmp.Or(p.ApproverGroup, session.GroupApprovers)
	pinned.acr = slices.Clone(p.ACR)
	v := &Verifier{site: p.Site, agent: p.Agent, pins: pinned, assets: make(map[string]session.Asset, len(p.Assets))}
	folded := map[string]bool{}
	for name, asset := range p.Assets {
		if name != asset.Name || !session.ValidName(name) || folded[strings.ToLower(name)] {
			return nil, misconfigured("the asset %.80q has no proper name of its own", name)
		}
		folded[strings.ToLower(name)] = true
		if v.assets[name], err = withDefaults(asset); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Needed is how many distinct approvers an asset asks for; 0 if it is not here.
func (v *Verifier) Needed(asset string) int { return v.assets[asset].Policy.Approvals }

func withDefaults(a session.Asset) (session.Asset, error) {
	p := a.Policy
	if err := sumUp(a.Name, &p); err != nil {
		return a, err
	}
	p.Approvals = cmp.Or(p.Approvals, 1)
	p.Longest = cmp.Or(p.Longest, defaultLongest)
	p.Window = cmp.Or(p.Window, max(defaultWindow, p.Longest))
	if len(p.Channels) == 0 {
		p.Channels = []session.Channel{session.Shell, session.Exec}
	}
	if len(p.Accept.Engineer) == 0 {
		p.Accept.Engineer = []session.ClientClass{session.CLI}
	}
	if len(p.Accept.Approver) == 0 {
		p.Accept.Approver = []session.ClientClass{session.Console}
	}
	switch {
	case p.Approvals < 0 || p.Approvals > maxApprovers:
		return a, misconfigured("%s asks for %d approvals; 1 to %d are possible", a.Name, p.Approvals, maxApprovers)
	case p.Idle < 0 || p.Sessions < 0:
		return a, misconfigured("%s has an idle time or a number of sessions below zero", a.Name)
	case p.Longest < time.Second || p.Window < time.Second:
		return a, misconfigured("%s has a longest session or window of no length", a.Name)
	case !subset(p.Accept.Engineer, engineerClasses()) || !subset(p.Accept.Approver, approverClasses()):
		return a, misconfigured("%s accepts a client class that does not fit: engineers use cli or web, approvers console or web", a.Name)
	}
	for _, c := range p.Channels {
		if !c.Known() {
			return a, misconfigured("%s allows the unknown channel %.40q", a.Name, c)
		}
	}
	names := map[string]bool{}
	for _, s := range a.Services {
		if !session.ValidName(s.Name) || !s.Class.Known() || names[strings.ToLower(s.Name)] {
			return a, misconfigured("%s has a service %.80q without a proper name or class of its own", a.Name, s.Name)
		}
		names[strings.ToLower(s.Name)] = true
	}
	a.Policy = p
	return a, nil
}

// offers is steps 0 (site) and 1 of the check order: is this here at all, and within
// what the hospital allows at now?
func (v *Verifier) offers(t terms, now time.Time) error {
	if t.site != v.site {
		return refused("This is for the site "+t.site+", not for "+v.site+".", "Ask for a scanner of this site.")
	}
	asset, ok := v.assets[t.asset]
	if !ok {
		return refused("There is no scanner "+t.asset+" at "+v.site+".", "Look up the name with sallyport assets.")
	}
	for _, name := range t.services {
		service, ok := asset.Service(name)
		if !ok {
			return refused(t.asset+" has no service "+name+".", "Look up the services with sallyport assets.")
		}
		if !t.class.Within(service.Class) {
			return refused(fmt.Sprintf("%s on %s may be used up to the class %s only.", name, t.asset, service.Class), "Ask for a milder class.")
		}
	}
	if len(t.channels) == 0 {
		return refused("No channel is asked for.", "Ask for a shell, for example.")
	}
	for _, c := range t.channels {
		if !slices.Contains(asset.Policy.Channels, c) {
			return refused(fmt.Sprintf("%s does not allow %s.", t.asset, c), "Ask without it, or ask the hospital to change its policy.")
		}
	}
	return inTime(t, asset.Policy, now)
}

func inTime(t terms, p session.Policy, now time.Time) error {
	window := time.Duration(min(t.exp-t.nbf, int64(p.Window/time.Second)+1)) * time.Second
	switch {
	case window > p.Window:
		return refused(fmt.Sprintf("%s allows windows of at most %v.", t.asset, p.Window), "Ask for a shorter window.")
	case time.Duration(t.maxs)*time.Second > p.Longest:
		return refused(fmt.Sprintf("%s allows sessions of at most %v.", t.asset, p.Longest), "Ask for a shorter session.")
	case !now.Before(time.Unix(t.exp, 0)):
		return expired("The time window is over.", "Ask again with a new window.")
	case time.Unix(t.nbf, 0).After(now.Add(farthest)):
		return refused("The time window begins more than 30 days ahead.", "Ask again closer to the date.")
	}
	return nil
}

// supported refuses what documents can say but this agent does not keep, as it stood
// when the request came in.
func supported(r Request, received time.Time) error {
	switch {
	case r.Kind == KindExtension:
		return extends(r, received)
	case r.Kind != KindSession:
		return refused("Requests of the kind "+r.Kind+" are not supported yet.", "Ask for a new session.")
	case r.Key != "" && time.Unix(r.NBF, 0).After(received.Add(KeyReach)):
		return refused("A session that begins more than one hour ahead cannot have its key yet.", "Ask without a key, and activate one when the session begins.")
	}
	return nil
}

func engineerClasses() []session.ClientClass {
	return []session.ClientClass{session.CLI, session.Web}
}

func approverClasses() []session.ClientClass {
	return []session.ClientClass{session.Console, session.Web}
}

func refused(message, next string) error {
	return &session.Error{Kind: session.Refused, Message: message, Next: next}
}

func expired(message, next string) error {
	return &session.Error{Kind: session.Expired, Message: message, Next: next}
}

func denied(message, next string) error {
	return &session.Error{Kind: session.Denied, Message: message, Next: next}
}

func misconfigured(format string, args ...any) error {
	return &session.Error{
		Kind:    session.Invalid,
		Message: "The policy cannot be used: " + fmt.Sprintf(format, args...) + ".",
		Next:    "Correct the configuration.",
	}
}
