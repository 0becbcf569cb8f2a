package access

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// The catalogue is one document for each scanner and one for each site that says which
// agent announced what. An id is SITE or SITE/ASSET in lower case, as host names are: so
// no two differ only in case, and one scanner is one look-up, however many there are. A
// site's documents change together (store.UpdateWhole), and only by its own agents.
const catalogueKind = "catalogue"

// everywhere is the name under which the scanners of all sites are listed, and everySite
// the one of the sites.
const (
	everywhere = "all"
	everySite  = "sites"
)

// Wholes changes a document together with its parts. Its contract is package store's.
type Wholes interface {
	UpdateWhole(ctx context.Context, kind, id string, edit func(old []byte) (store.Whole, error)) error
}

// site is who announced what at a site.
type site struct {
	Name   string               `json:"name"`
	Agents map[string]announcer `json:"agents"`
	// Former are the keys that agents here had before, the newest last: recordings that they
	// signed stay theirs.
	Former []string `json:"former,omitempty"`
}

// retire keeps a key that is no agent's any more.
func (s *site) retire(key string) {
	if key == "" || slices.Contains(s.Former, key) {
		return
	}
	s.Former = append(s.Former, key)
	s.Former = s.Former[max(0, len(s.Former)-maxFormer):]
}

// announcer is an agent that announced scanners.
type announcer struct {
	Identity string   `json:"identity"` // key line
	Said     string   `json:"said"`     // hash of its announcement
	Assets   []string `json:"assets"`   // sorted
	// Revoked is when the broker's operators ended its access; it ends with the next announcement.
	Revoked time.Time `json:"revoked,omitzero"`
}

// entry is one scanner, as it is stored.
type entry struct {
	Site     string        `json:"site"`
	Agent    string        `json:"agent"`
	Identity string        `json:"identity"` // key line
	Asset    session.Asset `json:"asset"`
	Stands   stands        `json:"stands,omitzero"`
}

// scanner is one of the catalogue with the agent that guards it.
type scanner struct {
	session.Asset
	Site     string
	Agent    string
	Identity string // fingerprint of the agent's identity key
	Online   bool
	Stands   stands
}

// full is the name of one of its services, or of the scanner.
func (x scanner) full(service string) session.Target {
	return session.Target{Site: x.Site, Asset: x.Name, Service: service}
}

// catalogueID is where a site stands, or one of its scanners.
func catalogueID(siteName, asset string) string {
	return strings.ToLower(session.Target{Site: siteName, Asset: asset}.String())
}

// Names under which scanners are listed.
func atSite(siteName string) string { return "site:" + strings.ToLower(siteName) }
func named(asset string) string     { return "asset:" + strings.ToLower(asset) }

// Announce puts what an agent says of itself into the catalogue, in place of what it said
// before. The caller has checked site and agent against the certificate. Names that
// another agent of the site has, in any case, are refused, and so is a site whose name
// differs from another's only in case.
func (a *Access) Announce(ctx context.Context, h link.Hello) error {
	if err := checkHello(h); err != nil {
		return err
	}
	first, err := json.Marshal(site{Name: h.Site, Agents: map[string]announcer{}})
	if err != nil {
		return err
	}
	id := catalogueID(h.Site, "")
	if err := a.docs.Create(ctx, catalogueKind, id, first, 0, everySite); err != nil && !errors.Is(err, store.ErrExists) {
		return err
	}
	if err := a.enterAnnouncement(ctx, h); err != nil {
		return err
	}
	return a.wholes.UpdateWhole(ctx, catalogueKind, id, func(old []byte) (store.Whole, error) {
		s, err := readSite(old, id)
		if err == nil {
			err = s.check(h)
		}
		if err != nil {
			return store.Whole{}, err
		}
		was := s.Agents[h.Agent]
		if was.Identity != h.Identity {
			s.retire(was.Identity)
		}
		s.Agents[h.Agent] = announcerOf(h)
		stand, err := a.stood(ctx, h, was.Assets)
		if err != nil {
			return store.Whole{}, err
		}
		return s.whole(h, was.Assets, stand)
	})
}

func announcerOf(h link.Hello) announcer {
	x := announcer{Identity: h.Identity, Said: hashed(catalogueText(h)), Assets: []string{}}
	for _, asset := range h.Assets {
		x.Assets = append(x.Assets, asset.Name)
	}
	slices.Sort(x.Assets)
	return x
}

// whole is the site and the entries of an agent: all that it announces, and none of those
// that it announced before and does not any more.
func (s site) whole(h link.Hello, was []string, stand map[string]stands) (store.Whole, error) {
	body, err := json.Marshal(s)
	w := store.Whole{Body: body}
	if err != nil {
		return w, err
	}
	kept := map[string]bool{}
	part := func(asset string) store.Part { return partOf(s.Name, asset) }
	for _, x := range h.Assets {
		p := part(x.Name)
		if p.Body, err = json.Marshal(entry{Site: s.Name, Agent: h.Agent, Identity: h.Identity, Asset: x, Stands: stand[x.Name]}); err != nil {
			return w, err
		}
		kept[p.ID] = true
		w.Put = append(w.Put, p)
	}
	for _, name := range was {
		if p := part(name); !kept[p.ID] {
			w.Drop = append(w.Drop, p)
		}
	}
	return w, nil
}

// partOf is where an entry of a site stands.
func partOf(siteName, asset string) store.Part {
	return store.Part{ID: catalogueID(siteName, asset), Under: []string{everywhere, atSite(siteName), named(asset)}}
}

// check refuses an announcement that does not fit beside those of other agents.
func (s site) check(h link.Hello) error {
	if s.Name != h.Site {
		return refusal(session.Refused, "Enrol the agent for a site whose name differs in more than case.",
			"There is a site %s already.", s.Name)
	}
	others, mine := 0, map[string]bool{}
	for _, x := range h.Assets {
		mine[strings.ToLower(x.Name)] = true
	}
	for name, other := range s.Agents {
		if name == h.Agent {
			continue
		}
		for _, asset := range other.Assets {
			if mine[strings.ToLower(asset)] {
				return refusal(session.Refused, "Give each scanner to one agent, and a name of its own.",
					"%s is announced by the agent %s of this site already.", asset, name)
			}
		}
		others += len(other.Assets)
	}
	if _, known := s.Agents[h.Agent]; !known && len(s.Agents) >= maxAgents {
		return refusal(session.Refused, "Forget agents that are gone.", "%s has too many agents.", h.Site)
	}
	if others+len(h.Assets) > maxSiteAssets {
		return refusal(session.Refused, "Announce fewer scanners, or divide the site.", "%s has more than %d scanners.", h.Site, maxSiteAssets)
	}
	return nil
}

// enterAnnouncement writes a changed catalogue into the audit log.
func (a *Access) enterAnnouncement(ctx context.Context, h link.Hello) error {
	s, err := a.site(ctx, h.Site)
	if err != nil || s.check(h) != nil {
		return err // without one it is about to be refused
	}
	old, known := s.Agents[h.Agent]
	if known && old.Said == hashed(catalogueText(h)) {
		return nil
	}
	return a.enter(ctx, announced(h, known))
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

// site reads who announced what at a site; one that nobody knows has no agents.
func (a *Access) site(ctx context.Context, name string) (site, error) {
	id := catalogueID(name, "")
	d, err := a.docs.Get(ctx, catalogueKind, id)
	if errors.Is(err, os.ErrNotExist) {
		return site{Name: name}, nil
	}
	if err != nil {
		return site{}, err
	}
	s, err := readSite(d.Body, id)
	if err == nil && s.Name != name {
		return site{Name: name}, nil // another's, whose name differs in case
	}
	return s, err
}

func readSite(body []byte, id string) (site, error) {
	s := site{}
	if err := json.Unmarshal(body, &s); err != nil || s.Agents == nil || catalogueID(s.Name, "") != id {
		return site{}, session.Errorf(session.Internal, "the site %.64s cannot be read: %w", id, err)
	}
	return s, nil
}

// read is a scanner as it was stored under an id, and nothing that stands elsewhere.
func (a *Access) read(d store.Doc) (scanner, error) {
	var e entry
	err := json.Unmarshal(d.Body, &e)
	key, badKey := session.ParseKeyLine(e.Identity)
	if err = errors.Join(err, badKey); err != nil || e.Asset.Name == "" || catalogueID(e.Site, e.Asset.Name) != d.ID {
		return scanner{}, session.Errorf(session.Internal, "the scanner %.140s cannot be read: %w", d.ID, err)
	}
	return scanner{Asset: e.Asset, Site: e.Site, Agent: e.Agent, Identity: session.Fingerprint(key), Online: a.agents.Online(e.Site, e.Agent), Stands: e.Stands}, nil
}

// Which says which scanners are wanted. The zero Which wants all.
type Which struct {
	Site string
	Name string // of the scanner, in any case
}

// Assets lists the scanners that the caller may know of, in each answer by site and name.
func (a *Access) Assets(ctx context.Context, c Caller, which Which, s Stretch) (decorated []Asset, next string, err error) {
	var all []scanner
	if names := which.under(c); which.Name != "" && (which.Site != "" || own(c.Places())) {
		all, err = a.alike(ctx, which, c.Places(), c.At)
	} else {
		next, err = a.page(ctx, catalogueKind, names, s, func(d store.Doc) (bool, error) {
			x, err := a.read(d)
			ok := err == nil && c.At(x.Site) && (which.Site == "" || x.Site == which.Site)
			if ok {
				all = append(all, x)
			}
			return ok, err
		})
	}
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(all, func(x, y scanner) int { return strings.Compare(x.Site+"\n"+x.Name, y.Site+"\n"+y.Name) })
	decorated, err = a.decorate(ctx, c, all)
	return decorated, next, err
}

// under are the names under which the wanted scanners stand, among others.
func (w Which) under(c Caller) (names []string) {
	switch {
	case w.Name != "" && session.ValidName(w.Name):
		return []string{named(w.Name)}
	case w.Name == "" && session.ValidName(w.Site) && c.At(w.Site):
		return []string{atSite(w.Site)}
	case w != Which{}:
		return nil
	}
	if !own(c.Places()) {
		return []string{everywhere}
	}
	for _, s := range c.Places() {
		names = append(names, atSite(s))
	}
	return names
}

// own reports whether sites are named one by one: what is no name stands for all.
func own(places []string) bool {
	return !slices.ContainsFunc(places, func(s string) bool { return !session.ValidName(s) })
}

// listed reads the scanners that stand under a name and are wanted.
func (a *Access) listed(ctx context.Context, name string, want func(scanner) bool) ([]scanner, error) {
	var all []scanner
	for d, err := range a.list.All(ctx, catalogueKind, name) {
		if err != nil {
			return nil, err
		}
		x, err := a.read(d)
		if err != nil {
			return nil, err
		}
		if want(x) {
			all = append(all, x)
		}
	}
	return all, nil
}

// alike reads the scanners of one name, in any case: that of a site, or of every site where
// the caller may know of it. Where their sites are named, others' are not read.
func (a *Access) alike(ctx context.Context, which Which, places []string, at func(site string) bool) (all []scanner, err error) {
	switch {
	case !session.ValidName(which.Name) || which.Site != "" && !session.ValidName(which.Site):
		return nil, nil
	case which.Site != "":
		places = []string{which.Site}
	case !own(places) || len(places) > mostNamed:
		return a.listed(ctx, named(which.Name), func(x scanner) bool { return at(x.Site) })
	}
	for _, site := range places {
		d, err := a.docs.Get(ctx, catalogueKind, catalogueID(site, which.Name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		x, err := a.read(d)
		if err != nil {
			return nil, err
		}
		if at(x.Site) {
			all = append(all, x)
		}
	}
	return all, nil
}

// asset finds one scanner of a site, by its exact name.
func (a *Access) asset(ctx context.Context, siteName, name string) (scanner, error) {
	all, err := a.alike(ctx, Which{Site: siteName, Name: name}, nil, func(s string) bool { return s == siteName })
	if err != nil {
		return scanner{}, err
	}
	if len(all) != 1 || all[0].Name != name || siteName == "" {
		return scanner{}, refusal(session.Invalid, "See sallyport assets.", "%.64s has no scanner %.64s.", siteName, name)
	}
	return all[0], nil
}
