package access

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// Bounds of what an agent may announce.
const (
	maxAssets   = 500
	maxServices = 64
	maxLabel    = 100
	maxAgents   = 32

	maxApprovals = 10 // approvers of one request
)

// everySite is the name under which all sites are listed.
const everySite = "all"

// site is what the agents of a site announced. One document, so that no two
// agents can take one asset's name.
type site struct {
	Agents map[string]link.Hello `json:"agents"`
}

// Asset is a scanner of the catalogue with the agent that guards it.
type Asset struct {
	session.Asset
	Site     string
	Agent    string
	Identity string // fingerprint of the agent's identity key
	Online   bool
	Live     []session.ID // sessions on it now, of those that the caller may know
	Typical
}

// Announce puts what an agent says of itself into the catalogue, in place of what
// it said before. The caller has checked site and agent against the certificate.
// Names that another agent of the site has, in any case, are refused.
func (a *Access) Announce(ctx context.Context, h link.Hello) error {
	if err := checkHello(h); err != nil {
		return err
	}
	first, err := json.Marshal(site{Agents: map[string]link.Hello{}})
	if err != nil {
		return err
	}
	if err := a.docs.Create(ctx, siteKind, h.Site, first, 0, everySite); err != nil && !errors.Is(err, store.ErrExists) {
		return err
	}
	if err := a.enterAnnouncement(ctx, h); err != nil {
		return err
	}
	return a.docs.Update(ctx, siteKind, h.Site, func(old []byte) ([]byte, error) {
		s, err := readSite(old)
		if err != nil {
			return nil, err
		}
		if _, known := s.Agents[h.Agent]; !known && len(s.Agents) >= maxAgents {
			return nil, refusal(session.Refused, "Forget agents that are gone.", "%s has too many agents.", h.Site)
		}
		if asset, holder, taken := s.clash(h); taken {
			return nil, refusal(session.Refused, "Give each scanner to one agent, and a name of its own.",
				"%s is announced by the agent %s of this site already.", asset, holder)
		}
		s.Agents[h.Agent] = h
		return json.Marshal(s)
	})
}

// enterAnnouncement writes a changed catalogue into the audit log.
func (a *Access) enterAnnouncement(ctx context.Context, h link.Hello) error {
	d, err := a.docs.Get(ctx, siteKind, h.Site)
	if err != nil {
		return err
	}
	s, err := readSite(d.Body)
	if err != nil {
		return err
	}
	if _, _, taken := s.clash(h); taken {
		return nil // it is about to be refused
	}
	old, known := s.Agents[h.Agent]
	if e, news := announced(old, known, h); news {
		return a.enter(ctx, e)
	}
	return nil
}

// catalogueText is an announcement without what changes at every start.
func catalogueText(h link.Hello) string {
	h.Boot = ""
	b, err := json.Marshal(h)
	if err != nil {
		return ""
	}
	return string(b)
}

func sameCatalogue(x, y link.Hello) bool { return catalogueText(x) == catalogueText(y) }

// Forget takes an agent out of the catalogue.
func (a *Access) Forget(ctx context.Context, name, agent string) error {
	return a.docs.Update(ctx, siteKind, name, func(old []byte) ([]byte, error) {
		s, err := readSite(old)
		if err != nil {
			return nil, err
		}
		delete(s.Agents, agent)
		return json.Marshal(s)
	})
}

// clash finds an asset that another agent has.
func (s site) clash(h link.Hello) (asset, holder string, taken bool) {
	mine := map[string]bool{}
	for _, x := range h.Assets {
		mine[strings.ToLower(x.Name)] = true
	}
	for name, other := range s.Agents {
		if name == h.Agent {
			continue
		}
		for _, x := range other.Assets {
			if mine[strings.ToLower(x.Name)] {
				return x.Name, name, true
			}
		}
	}
	return "", "", false
}

func readSite(body []byte) (site, error) {
	s := site{}
	if err := json.Unmarshal(body, &s); err != nil {
		return site{}, session.Errorf(session.Internal, "read a site: %w", err)
	}
	if s.Agents == nil {
		s.Agents = map[string]link.Hello{}
	}
	return s, nil
}

// checkHello bounds and checks an announcement.
func checkHello(h link.Hello) error {
	wrong := func(format string, args ...any) error {
		return refusal(session.Invalid, "Correct the agent's configuration.", format, args...)
	}
	if _, err := session.ParseKeyLine(h.Identity); err != nil {
		return wrong("The agent's identity is not an ssh-ed25519 key line.")
	}
	if !session.ValidName(h.Site) || !session.ValidName(h.Agent) || len(h.Assets) > maxAssets ||
		len(h.Boot) > 100 || len(h.Version) > 100 || !wording.Plain(h.Boot+h.Version) {
		return wrong("The agent's announcement is out of bounds.")
	}
	seen, hosts := map[string]bool{}, map[string]bool{}
	for _, x := range h.Assets {
		low := strings.ToLower(x.Name)
		if !session.ValidName(x.Name) || seen[low] {
			return wrong("%.64q names no scanner, or two.", x.Name)
		}
		seen[low] = true
		if len(x.Label) > maxLabel || len(x.Modality) > maxLabel || !wording.Plain(x.Label+x.Modality) || len(x.Services) > maxServices ||
			x.Policy.Approvals < 1 || x.Policy.Approvals > maxApprovals || x.Policy.Longest <= 0 || x.Policy.Window < 0 ||
			len(x.Policy.Channels) > len(session.Channels()) || len(x.Policy.Accept.Engineer)+len(x.Policy.Accept.Approver) > 8 {
			return wrong("The description of %s is out of bounds.", x.Name)
		}
		if !boundedPolicy(x.Policy) {
			return wrong("The policy of %s is out of bounds.", x.Name)
		}
		for _, s := range x.Services {
			host := session.HostName(x.Name, s.Name)
			if !session.ValidName(s.Name) || !session.ValidName(s.Endpoint) || hosts[host] || !s.Class.Known() ||
				len(s.Protocol) > 20 || !wording.Plain(string(s.Protocol)) || s.Port < 1 || s.Port > 65535 {
				return wrong("The service %.64q of %s is out of bounds.", s.Name, x.Name)
			}
			hosts[host] = true
		}
	}
	return nil
}

// boundedPolicy checks the parts of a policy that are optional.
func boundedPolicy(p session.Policy) bool {
	if len(p.Quorum) > maxApprovals || p.Idle < 0 || p.Sessions < 0 || len(p.Zone) > 64 || !wording.Plain(p.Zone) {
		return false
	}
	for _, q := range p.Quorum {
		if q.Count < 1 || q.Count > maxApprovals || !sentence(q.Group, maxLabel) {
			return false
		}
	}
	return true
}

// Assets lists the scanners that the caller may know of, by site and name; only
// those of a site where one is given.
func (a *Access) Assets(ctx context.Context, c Caller, only string) ([]Asset, error) {
	all, err := a.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(x Asset) bool {
		return !c.At(x.Site) || only != "" && x.Site != only
	})
	return all, a.dress(ctx, c, all)
}

// catalogue is every scanner, by site and name.
func (a *Access) catalogue(ctx context.Context) ([]Asset, error) {
	all := []Asset{}
	for d, err := range a.list.All(ctx, siteKind, everySite) {
		if err != nil {
			return nil, err
		}
		s, err := readSite(d.Body)
		if err != nil {
			return nil, err
		}
		all = append(all, a.assetsOf(s, d.ID)...)
	}
	slices.SortFunc(all, func(x, y Asset) int {
		return strings.Compare(x.Site+"\n"+x.Name, y.Site+"\n"+y.Name)
	})
	return all, nil
}

func (a *Access) assetsOf(s site, name string) []Asset {
	var all []Asset
	for agent, h := range s.Agents {
		key, err := session.ParseKeyLine(h.Identity)
		if err != nil || h.Site != name || h.Agent != agent {
			continue // another's announcement: never shown
		}
		online, id := a.agents.Online(name, agent), session.Fingerprint(key)
		for _, x := range h.Assets {
			all = append(all, Asset{Asset: x, Site: name, Agent: agent, Identity: id, Online: online})
		}
	}
	return all
}

// asset finds one scanner of a site, by its exact name.
func (a *Access) asset(ctx context.Context, siteName, name string) (Asset, error) {
	missing := refusal(session.Invalid, "See sallyport assets.", "%.64s has no scanner %.64s.", siteName, name)
	if !session.ValidName(siteName) || !session.ValidName(name) {
		return Asset{}, missing
	}
	d, err := a.docs.Get(ctx, siteKind, siteName)
	if errors.Is(err, os.ErrNotExist) {
		return Asset{}, missing
	}
	if err != nil {
		return Asset{}, err
	}
	s, err := readSite(d.Body)
	if err != nil {
		return Asset{}, err
	}
	for _, x := range a.assetsOf(s, siteName) {
		if x.Name == name {
			return x, nil
		}
	}
	return Asset{}, missing
}
