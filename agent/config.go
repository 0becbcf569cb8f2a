package agent

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones must be known on the barest machine

	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/agent/modality/mpps"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/proxy"
	"github.com/sallyport/sallyport/session/screen"
)

// Config is everything an agent is told. It is the hospital's file: what stands
// here is what the agent believes, whatever the broker says.
type Config struct {
	Site   string `yaml:"site"`  // "NGH"
	Agent  string `yaml:"agent"` // "ngh-1", unique within the site
	State  string `yaml:"state"` // directory for keys, ledger and spool; 0700
	Socket string `yaml:"socket"`
	// Nodes are the broker's nodes: the name that their certificates carry, and
	// where to dial. The broker may name a node, never an address.
	Nodes []Node `yaml:"nodes"`
	// Proxy is the hospital's forward proxy, for the broker's nodes and the issuers that
	// are reached directly. The devices are never reached through it.
	Proxy   proxy.Config     `yaml:"proxy,omitempty"`
	Issuers []session.Issuer `yaml:"issuers"`
	// Sessions bounds what is open here at a time, on all assets together.
	Sessions Sessions `yaml:"sessions"`
	// ACR, when set, lists the authentication contexts that approvals must have.
	ACR []string `yaml:"acr"`
	// JWKSMaxStale is how long pinned issuers' keys may be used without a refresh
	// ("24h"). Shorter limits what a broker gains by withholding key changes.
	JWKSMaxStale string `yaml:"jwks_max_stale"`
	// KeepRecordings is how long a sealed recording stays in the spool after the
	// broker has acknowledged it ("0s").
	KeepRecordings string `yaml:"keep_recordings"`
	// Console is the agent's own page for the people at the scanners. Left out, there is none.
	Console page.Settings `yaml:"console,omitempty"`
	Assets  []Asset       `yaml:"assets"`
}

// Node is a broker node as the agent knows it. Log and Key, together, accept it as
// "sallyport-agent trust accept" does.
type Node struct {
	Name    string `yaml:"name"`
	Address string `yaml:"address"` // host:port
	Log     string `yaml:"log"`     // name of its audit log
	Key     string `yaml:"key"`     // that signs it: "ssh-ed25519 AAAA..."
}

// Sessions are limits of live sessions. One that is reached refuses the next session,
// which may begin when another ends; it never ends one. Defaults: 3 and 20.
type Sessions struct {
	Engineer int `yaml:"engineer"` // of one engineer
	Together int `yaml:"together"` // of all engineers
}

// Asset is one scanner.
type Asset struct {
	Name      string     `yaml:"name"`
	Label     string     `yaml:"label"`
	Modality  Modality   `yaml:"modality"`
	Policy    Policy     `yaml:"policy"`
	Endpoints []Endpoint `yaml:"endpoints"`
	// Masks hide parts of the scanner's consoles before anything leaves the agent: from
	// viewers, recordings and pictures.
	Masks []Mask `yaml:"masks,omitempty"`
	// UnknownScreen is what becomes of a console whose size no mask names: "hide" all of
	// it, which is the default where there are masks, or "show" it.
	UnknownScreen screen.Unknown `yaml:"unknown_screen,omitempty"`
	// Interlock lists, by class, the states in which sessions work, where they are fewer
	// than package session/interlock has; it needs sources of the modality's state.
	Interlock Interlock `yaml:"interlock,omitempty"`
	// Consent is what the operator at the scanner is asked before a session opens: "none",
	// "operator", who accepts at the agent, or "code", which they read out to the engineer.
	Consent session.Consent `yaml:"consent,omitempty"`
	// Lamp is on while anybody is connected.
	Lamp *Lamp `yaml:"lamp,omitempty"`
}

// Policy is what the hospital allows on an asset. What is not said is strict: one
// approver, engineer by CLI, approver at the hospital's console, shell and exec only.
type Policy struct {
	Approvals int               `yaml:"approvals"`
	Accept    session.Accept    `yaml:"accept"`
	Longest   string            `yaml:"longest"` // longest session, "8h"
	Window    string            `yaml:"window"`  // widest not-before to not-after, "24h"
	Channels  []session.Channel `yaml:"channels"`
	// Quorum says how many distinct approvers of which groups are needed; Approvals is
	// then their sum and need not be given.
	Quorum   []session.Quorum `yaml:"quorum"`
	Idle     string           `yaml:"idle"`     // a connection on which nothing passes for this long is closed, "30m"
	Sessions int              `yaml:"sessions"` // live sessions of one engineer at a time; 0: no limit
	// Critical is how long a session may declare that it must not be frozen by the scanner's
	// state, because firmware is being written; "" or absent: never.
	Critical string `yaml:"critical_section,omitempty"`
	// ConsoleKeys is what passkeys of the agent's page count for: "none", "instead" of a sign-in
	// at the identity provider, or "both".
	ConsoleKeys session.ConsoleKeys `yaml:"console_keys,omitempty"`
	Zone        string              `yaml:"zone"` // time zone in which people here read times, "Europe/Berlin"
}

// Endpoint is one host of an asset.
type Endpoint struct {
	Name     string    `yaml:"name"`
	Address  string    `yaml:"address"` // host name or IP; never leaves the agent
	Services []Service `yaml:"services"`
}

// Service is one protocol on one port of an endpoint.
type Service struct {
	Name     string           `yaml:"name"`
	Protocol session.Protocol `yaml:"protocol"`
	Port     int              `yaml:"port"`
	Class    session.Class    `yaml:"class"` // left out of rdp: disruptive
	Login    device.Login     `yaml:"login"`
	HostKey  string           `yaml:"host_key"`
	// Legacy allows the old algorithms that unpatched devices need. Shown in audit.
	Legacy bool `yaml:"legacy"`
	// Environment names the variables that an engineer's client may set, "LC_*"; left
	// out: LANG, LC_*, TZ and COLORTERM.
	Environment device.Environment `yaml:"environment,omitempty"`
	TLS         TLS                `yaml:"tls,omitempty"`
	// Keyboard is the layout of a console that speaks RDP, "de"; left out: "us".
	Keyboard string `yaml:"keyboard,omitempty"`
	// LegacyTLS lets TLS of the past be enough for a console that speaks RDP. Who asks and
	// who approves read it, and a recording says when it was needed.
	LegacyTLS bool `yaml:"legacy_tls,omitempty"`
}

const (
	defaultPerEngineer = 3
	defaultTogether    = 20
)

// Directory is where the agent keeps its state.
func (c *Config) Directory() string { return c.State }

// Validate reports every value that cannot be used, as *session.BadField.
func (c *Config) Validate() error {
	v := &checker{}
	v.name("$.site", c.Site)
	v.name("$.agent", c.Agent)
	v.require("$.state", c.State != "", "the agent needs a directory for its keys and ledger")
	if c.Socket == "" {
		c.Socket = filepath.Join(c.State, "agent.sock")
	}
	v.require("$.socket", len(c.Socket) <= maxSocket, "the path of a unix socket has at most 94 bytes")
	v.require("$.sessions.engineer", c.Sessions.Engineer >= 0, "a number of sessions; left out: 3")
	v.require("$.sessions.together", c.Sessions.Together >= 0, "a number of sessions; left out: 20")
	v.require("$.nodes", len(c.Nodes) > 0, "at least one broker node is needed")
	for i, n := range c.Nodes {
		path := fmt.Sprintf("$.nodes[%d]", i)
		v.name(path+".name", n.Name)
		_, _, err := net.SplitHostPort(n.Address)
		v.require(path+".address", err == nil, "an address looks like broker.example.org:443 or [2001:db8::1]:443")
		accepted := session.Nodes{{Origin: n.Log, Key: n.Key}}
		v.require(path+".key", n.Log == "" && n.Key == "" || accepted.Check() == nil, "log and key go together, as the broker's operators gave them")
	}
	if err := c.Proxy.Check("$.proxy"); err != nil {
		v.errs = append(v.errs, err)
	}
	for i, iss := range c.Issuers {
		v.issuer(fmt.Sprintf("$.issuers[%d]", i), iss)
	}
	v.require("$.issuers", c.hasSide(session.VendorSide) && c.hasSide(session.HospitalSide), "a vendor's and the hospital's issuer are needed")
	v.duration("$.jwks_max_stale", c.JWKSMaxStale)
	v.duration("$.keep_recordings", c.KeepRecordings)
	if err := c.Console.Check("$.console"); err != nil {
		v.errs = append(v.errs, err)
	}
	v.signIn(c)
	v.assets(c.Assets)
	v.passkeys(c)
	return errors.Join(v.errs...)
}

func (c *Config) hasSide(s session.Side) bool {
	return slices.ContainsFunc(c.Issuers, func(iss session.Issuer) bool { return iss.Side == s })
}

// checker collects bad fields.
type checker struct {
	errs  []error
	ports mpps.Ports // that sources of states listen on
}

func (v *checker) require(path string, ok bool, problem string) {
	if !ok {
		v.errs = append(v.errs, &session.BadField{Path: path, Problem: problem})
	}
}

func (v *checker) name(path, s string) {
	v.require(path, session.ValidName(s), "a name has 1 to 64 letters, digits and inner hyphens")
}

func (v *checker) duration(path, s string) time.Duration {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	v.require(path, err == nil && d >= 0, `a duration looks like "30m" or "8h"`)
	return d
}

func (v *checker) issuer(path string, iss session.Issuer) {
	u, err := url.Parse(iss.URL)
	good := err == nil && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
	switch {
	case good && u.Scheme == "https":
	case good && u.Scheme == "http" && iss.InsecureLoopback && session.Loopback(u.Hostname()):
		v.require(path+".reach", iss.Reach != "broker", "an issuer without TLS must be reached directly: the broker could swap its keys")
	default:
		v.require(path+".issuer", false, "an issuer is an https URL (http only on loopback, with insecure_loopback: true)")
	}
	if err := iss.Check(path); err != nil {
		v.errs = append(v.errs, err)
	}
	v.require(path+".side", iss.Side == session.VendorSide || iss.Side == session.HospitalSide, `a side is "vendor" or "hospital"`)
	v.require(path+".reach", iss.Reach == "" || iss.Reach == "direct" || iss.Reach == "broker", `reach is "direct" or "broker"`)
	v.require(path+".vouch", !iss.Vouch || iss.Side == session.HospitalSide && iss.Reach != "broker" && iss.Keys == "",
		"the agent vouches for the hospital's own identity provider, and only when it asks it directly")
	v.require(path+".clients", len(iss.Clients) > 0, "the client ids whose tokens count are needed, with their class")
	for id, class := range iss.Clients {
		allowed := class == session.Web || (class == session.CLI && iss.Side == session.VendorSide) || (class == session.Console && iss.Side == session.HospitalSide)
		v.require(path+".clients", allowed && id != "", "vendor clients are cli or web, hospital clients console or web")
	}
}

func (v *checker) assets(assets []Asset) {
	v.require("$.assets", len(assets) > 0, "an agent without assets has nothing to do")
	seen := map[string]bool{}
	for i, a := range assets {
		path := fmt.Sprintf("$.assets[%d]", i)
		v.name(path+".name", a.Name)
		v.require(path+".name", !seen[strings.ToLower(a.Name)], "another asset has this name")
		seen[strings.ToLower(a.Name)] = true
		v.policy(path+".policy", a.Policy)
		v.channels(path+".policy.channels", a)
		v.endpoints(path+".endpoints", a.Endpoints)
		v.masks(path+".masks", a)
		v.modality(path, a)
		v.lamp(path+".lamp", a.Lamp)
		v.consent(path+".consent", a)
	}
}

func (v *checker) policy(path string, p Policy) {
	v.require(path+".approvals", p.Approvals >= 0 && p.Approvals <= 8, "between 1 and 8 approvers can be asked for")
	v.duration(path+".longest", p.Longest)
	v.duration(path+".window", p.Window)
	v.duration(path+".idle", p.Idle)
	v.duration(path+".critical_section", p.Critical)
	critical, _ := time.ParseDuration(p.Critical)
	v.require(path+".critical_section", critical <= session.MaxCritical && critical%time.Second == 0, "whole seconds, at most "+session.MaxCritical.String())
	v.require(path+".sessions", p.Sessions >= 0, "a number of sessions, or 0 for no limit")
	_, err := time.LoadLocation(p.Zone)
	v.require(path+".zone", err == nil && p.Zone != "Local", `a time zone looks like "Europe/Berlin"`)
	v.quorum(path, p)
	for _, c := range p.Accept.Engineer {
		v.require(path+".accept.engineer", c == session.CLI || c == session.Web, "engineers come by cli or web")
	}
	for _, c := range p.Accept.Approver {
		v.require(path+".accept.approver", c == session.Console || c == session.Web, "approvers come by console or web")
	}
}

// channels refuses to allow what no service of the asset could carry.
func (v *checker) channels(path string, a Asset) {
	var has []session.Channel
	for _, e := range a.Endpoints {
		for _, s := range e.Services {
			has = append(has, s.Protocol.Channels()...)
		}
	}
	slices.Sort(has)
	for _, c := range a.Policy.Channels {
		v.require(path, slices.Contains(has, c), fmt.Sprintf("no service of this asset has the channel %q; they have %v", c, slices.Compact(has)))
	}
}

func (v *checker) quorum(path string, p Policy) {
	seen := map[string]bool{}
	for i, q := range p.Quorum {
		at := fmt.Sprintf("%s.quorum[%d]", path, i)
		v.require(at+".group", q.Group != "" && !seen[q.Group], "a quorum names each group once")
		v.require(at+".count", q.Count >= 1 && q.Count <= 8, "between 1 and 8 people of a group can be asked for")
		seen[q.Group] = true
	}
	sum := places(p.Quorum)
	v.require(path+".quorum", sum <= 8, "at most 8 approvers can be asked for")
	v.require(path+".approvals", sum == 0 || p.Approvals == 0 || p.Approvals == sum, "with a quorum, the approvals are its sum; leave this out")
}

// places is how many approvers a quorum asks for.
func places(quorum []session.Quorum) int {
	sum := 0
	for _, q := range quorum {
		sum += q.Count
	}
	return sum
}

func (v *checker) endpoints(path string, endpoints []Endpoint) {
	v.require(path, len(endpoints) > 0, "an asset has at least one endpoint")
	seen := map[string]bool{}
	for i, e := range endpoints {
		at := fmt.Sprintf("%s[%d]", path, i)
		v.name(at+".name", e.Name)
		v.require(at+".address", e.Address != "", "the host's name or address is needed")
		v.require(at+".services", len(e.Services) > 0, "an endpoint has at least one service")
		for j, s := range e.Services {
			v.service(fmt.Sprintf("%s.services[%d]", at, j), s, seen)
		}
	}
}

func (v *checker) service(path string, s Service, seen map[string]bool) {
	v.name(path+".name", s.Name)
	v.require(path+".name", !seen[strings.ToLower(s.Name)], "another service of this asset has this name")
	seen[strings.ToLower(s.Name)] = true
	v.require(path+".protocol", s.Protocol.Known(), fmt.Sprintf("a protocol is one of %v", session.Protocols()))
	v.require(path+".port", s.Port > 0 && s.Port < 65536, "a port is a number from 1 to 65535")
	v.require(path+".class", s.class().Known(), fmt.Sprintf("a class is one of %v", session.Classes()))
	if err := s.target(Asset{Name: "x"}, Endpoint{Name: "x", Address: "x"}).Check(); err != nil {
		v.require(path+".login", false, err.Error())
	}
}

// class is the strongest in which the service may be used. Who connects by RDP takes the
// console away from whoever works at it.
func (s Service) class() session.Class {
	if s.Class == "" && s.Protocol == session.RDP {
		return session.Disruptive
	}
	return s.Class
}

// target is what the device room needs to log in to the service.
func (s Service) target(a Asset, e Endpoint) device.Target {
	return device.Target{
		Asset: a.Name, Endpoint: e.Name, Service: s.Name, Address: e.Address, Port: s.Port,
		Protocol: s.Protocol, Login: s.Login, HostKey: s.HostKey, Legacy: s.Legacy, Environment: s.Environment,
		Console: device.Console{Pin: s.TLS.Pin, Masks: a.hidden(), Keyboard: s.Keyboard, OldTLS: s.LegacyTLS},
	}
}

// Public is the asset as everybody may know it: no address, no login.
func (a Asset) Public() session.Asset {
	pub := session.Asset{Name: a.Name, Label: a.Label, Modality: a.Modality.Kind, Policy: a.Policy.rules()}
	pub.Policy.Consent = a.asks()
	for _, e := range a.Endpoints {
		for _, s := range e.Services {
			pub.Services = append(pub.Services, session.Service{Name: s.Name, Endpoint: e.Name, Protocol: s.Protocol, Port: s.Port, Class: s.class(), LegacyTLS: s.LegacyTLS})
		}
	}
	if settled, err := grant.Settle(pub); err == nil {
		return settled
	}
	return pub // the verifier says what is wrong with it
}

// rules reads the policy. Durations were checked by Validate.
func (p Policy) rules() session.Policy {
	longest, _ := time.ParseDuration(p.Longest)
	window, _ := time.ParseDuration(p.Window)
	idle, _ := time.ParseDuration(p.Idle)
	critical, _ := time.ParseDuration(p.Critical)
	return session.Policy{Approvals: p.Approvals, Accept: p.Accept, Longest: longest, Window: window, Channels: p.Channels,
		Quorum: p.Quorum, Idle: idle, Sessions: p.Sessions, Critical: critical, ConsoleKeys: p.ConsoleKeys, Zone: p.Zone}
}

func (c *Config) catalogue() []session.Asset {
	var all []session.Asset
	for _, a := range c.Assets {
		all = append(all, a.Public())
	}
	return all
}

// idle is how long a connection to an asset may carry nothing; 0: as long as it likes.
func (c *Config) idle(asset string) time.Duration {
	for _, a := range c.Assets {
		if a.Name == asset {
			return a.Policy.rules().Idle
		}
	}
	return 0
}

// protocol is what a service speaks; "" for one that is not here.
func (c *Config) protocol(asset, service string) session.Protocol {
	for _, t := range c.targets() {
		if t.Asset == asset && t.Service == service {
			return t.Protocol
		}
	}
	return ""
}

func (c *Config) targets() []device.Target {
	var all []device.Target
	for _, a := range c.Assets {
		for _, e := range a.Endpoints {
			for _, s := range e.Services {
				t := s.target(a, e)
				t.Console.Held = state{c.State}.path("certificates")
				all = append(all, t)
			}
		}
	}
	return all
}

// policy is the part of the configuration that decides about grants.
func (c *Config) policy(fingerprint string) grant.Policy {
	p := grant.Policy{
		Site: c.Site, Agent: fingerprint, Issuers: c.Issuers, ACR: c.ACR,
		Assets: map[string]session.Asset{}, Keyring: c.keyring(),
	}
	p.Page, _ = c.Console.Passkeys() // without a name there are none
	for _, a := range c.catalogue() {
		p.Assets[a.Name] = a
	}
	return p
}

// limits are the ledger's, with the defaults of what is not said.
func (c *Config) limits(assets map[string]session.Asset) ledger.Limits {
	return ledger.Limits{
		Asset:    func(asset string) int { return assets[asset].Policy.Sessions },
		Engineer: cmp.Or(c.Sessions.Engineer, defaultPerEngineer),
		Site:     cmp.Or(c.Sessions.Together, defaultTogether),
	}
}

func (c *Config) nodes() []link.Node {
	var all []link.Node
	for _, n := range c.Nodes {
		all = append(all, link.Node{Name: n.Name, Address: n.Address})
	}
	return all
}
