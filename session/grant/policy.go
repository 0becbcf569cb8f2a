package grant

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/passkey"
)

// Policy is what one agent holds true, from its own configuration.
type Policy struct {
	Site    string
	Agent   string                   // fingerprint of the agent's identity key
	Issuers []session.Issuer         // engineers' and approvers'
	ACR     []string                 // when set, an approver's acr must be one of these
	Assets  map[string]session.Asset // by name
	Keyring Keyring                  // passkeys that count where an asset says so; nil: none are there
	Page    passkey.Page             // on which they are used; the agent's own
}

// Verifier checks requests, approvals and quorums against a policy. It never
// changes after NewVerifier and is safe for concurrent use.
type Verifier struct {
	site, agent string
	pins        pins
	keyring     Keyring
	page        passkey.Page
	assets      map[string]session.Asset
}

// NewVerifier checks a policy and fills in its defaults; see Settle.
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
	pinned.acr = slices.Clone(p.ACR)
	v := &Verifier{site: p.Site, agent: p.Agent, pins: pinned, keyring: p.Keyring, page: p.Page, assets: make(map[string]session.Asset, len(p.Assets))}
	folded := map[string]bool{}
	for name, asset := range p.Assets {
		if name != asset.Name || !session.ValidName(name) || folded[strings.ToLower(name)] {
			return nil, misconfigured("the asset %.80q has no proper name of its own", name)
		}
		folded[strings.ToLower(name)] = true
		if asset.Policy.ConsoleKeys.Used() && (p.Keyring == nil || p.Page.Host() == "") {
			return nil, misconfigured("%s counts passkeys of the agent's page, and there is no page with a host name of its own", name)
		}
		if v.assets[name], err = Settle(asset); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Needed is how many distinct approvers an asset asks for; 0 if it is not here.
func (v *Verifier) Needed(asset string) int { return v.assets[asset].Policy.Approvals }

// Settle checks what a hospital allows on a scanner and fills in the strict defaults:
// one approval, sessions of at most 8 hours in windows of at most 24, what runs but
// moves no files, engineers by their own command line and approvers by the hospital's
// console only.
func Settle(a session.Asset) (session.Asset, error) {
	p := a.Policy
	if err := sumUp(a.Name, &p); err != nil {
		return a, err
	}
	speaks, err := services(a)
	if err != nil {
		return a, err
	}
	p.Approvals = cmp.Or(p.Approvals, 1)
	p.Longest = cmp.Or(p.Longest, defaultLongest)
	p.Window = cmp.Or(p.Window, max(defaultWindow, p.Longest))
	if len(p.Channels) == 0 {
		p.Channels = slices.DeleteFunc(slices.Clone(speaks), session.Channel.Carries)
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
	case p.Critical < 0 || p.Critical > session.MaxCritical || p.Critical%time.Second != 0:
		return a, misconfigured("%s allows a critical section of %s; whole seconds up to %s are possible", a.Name, p.Critical, session.MaxCritical)
	case p.Consent != "" && !p.Consent.Known():
		return a, misconfigured("%s asks the operator for %.40q; none, operator and code are possible", a.Name, p.Consent)
	case p.ConsoleKeys != "" && !p.ConsoleKeys.Known():
		return a, misconfigured("%s counts passkeys of the agent's page for %.40q; none, instead and both are possible", a.Name, p.ConsoleKeys)
	case p.ConsoleKeys.Used() && !slices.Contains(p.Accept.Approver, session.Console):
		return a, misconfigured("%s counts passkeys of the agent's page, and accepts no approvers at the hospital's console", a.Name)
	case !subset(p.Accept.Engineer, engineerClasses()) || !subset(p.Accept.Approver, approverClasses()):
		return a, misconfigured("%s accepts a client class that does not fit: engineers use cli or web, approvers console or web", a.Name)
	}
	for _, c := range p.Channels {
		if !slices.Contains(speaks, c) {
			return a, misconfigured("%s allows the channel %.40q, and none of its services has it; they have %s", a.Name, c, words(speaks))
		}
	}
	a.Policy = p
	return a, nil
}

// services checks a scanner's services and sums up the channels that they have.
func services(a session.Asset) ([]session.Channel, error) {
	names, all := map[string]bool{}, []session.Channel{}
	for _, s := range a.Services {
		if !session.ValidName(s.Name) || !s.Class.Known() || names[strings.ToLower(s.Name)] {
			return nil, misconfigured("%s has a service %.80q without a proper name or class of its own", a.Name, s.Name)
		}
		if !s.Protocol.Known() {
			return nil, misconfigured("%s on %s speaks %.20q; known are %v", s.Name, a.Name, s.Protocol, session.Protocols())
		}
		names[strings.ToLower(s.Name)] = true
		all = append(all, s.Protocol.Channels()...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// here finds the scanner of a document, of this site: steps 0 (site) and 1 (asset).
func (v *Verifier) here(t Terms) (session.Asset, error) {
	if t.Site != v.site {
		return session.Asset{}, refused("This is for the site "+t.Site+", not for "+v.site+".", "Ask for a scanner of this site.")
	}
	asset, ok := v.assets[t.Asset]
	if !ok {
		return session.Asset{}, refused("There is no scanner "+t.Asset+" at "+v.site+".", "Look up the name with sallyport assets.")
	}
	return asset, nil
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
