package session

import (
	"fmt"
	"slices"
	"strings"
)

// Target names a service of a scanner, NGH/NGH-PETCT1/recon-ssh, or the scanner alone,
// NGH/NGH-PETCT1. Two sites may call their scanners alike, so only a name with its site
// names one thing. Site is empty in a short form, which people may type.
type Target struct {
	Site    string
	Asset   string
	Service string // empty: the scanner
}

// shownTargets bounds the names in an answer to an ambiguous one.
const shownTargets = 4

// String is the name as people read it: with everything that it has.
func (t Target) String() string {
	var parts []string
	for _, s := range []string{t.Site, t.Asset, t.Service} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "/")
}

// Host is the ssh host name of a service: recon-ssh.ngh-petct1.ngh, or without its site
// recon-ssh.ngh-petct1. Names have no dots, so no two targets share one unless they
// differ only in case, which no catalogue holds.
func (t Target) Host() string {
	host := t.Service + "." + t.Asset
	if t.Site != "" {
		host += "." + t.Site
	}
	return strings.ToLower(host)
}

// Short is the target without its site.
func (t Target) Short() Target { return Target{Asset: t.Asset, Service: t.Service} }

// Valid reports whether asset and service are names, and the site if there is one.
func (t Target) Valid() bool {
	return ValidName(t.Asset) && ValidName(t.Service) && (t.Site == "" || ValidName(t.Site))
}

// Names reports whether t, as somebody typed it, names the full target: in any case, with
// its site or without.
func (t Target) Names(full Target) bool {
	return (t.Site == "" || strings.EqualFold(t.Site, full.Site)) && strings.EqualFold(t.Asset, full.Asset) && strings.EqualFold(t.Service, full.Service)
}

// ParseTarget reads SITE/ASSET/SERVICE or ASSET/SERVICE.
func ParseTarget(s string) (Target, error) {
	parts, ok := names(strings.Split(s, "/"), 3)
	if !ok {
		return Target{}, Errorf(Invalid, "%.80q does not name a service of a scanner", s).
			WithNext("Write SITE/ASSET/SERVICE, as in NGH/NGH-PETCT1/recon-ssh; `sallyport assets` lists them.")
	}
	return Target{Site: parts[0], Asset: parts[1], Service: parts[2]}, nil
}

// ParseAsset reads SITE/ASSET or ASSET.
func ParseAsset(s string) (Target, error) {
	parts, ok := names(strings.Split(s, "/"), 2)
	if !ok {
		return Target{}, Errorf(Invalid, "%.80q does not name a scanner", s).
			WithNext("Write SITE/ASSET, as in NGH/NGH-PETCT1; `sallyport assets` lists them.")
	}
	return Target{Site: parts[0], Asset: parts[1]}, nil
}

// ParseHost reads an ssh host name, with its site or without.
func ParseHost(s string) (Target, error) {
	labels := strings.Split(s, ".")
	slices.Reverse(labels)
	parts, ok := names(labels, 3)
	if !ok {
		return Target{}, Errorf(Invalid, "%.80q is not the host name of a scanner's service", s).
			WithNext("Use SERVICE.ASSET.SITE, such as recon-ssh.ngh-petct1.ngh.")
	}
	return Target{Site: parts[0], Asset: parts[1], Service: parts[2]}, nil
}

// names checks the parts of a name that has n of them, or all but the first, which is
// its site and comes back empty then.
func names(parts []string, n int) ([]string, bool) {
	for _, s := range parts {
		if !ValidName(s) {
			return nil, false
		}
	}
	if len(parts) == n-1 {
		parts = append([]string{""}, parts...)
	}
	return parts, len(parts) == n
}

// Choose finds the one of several full targets that was meant. Where it could be more
// than one it refuses with all of them: to guess would be to open another hospital's scanner.
// found is false where there is none.
func (t Target) Choose(among []Target) (one Target, found bool, err error) {
	var fits []Target
	for _, x := range among {
		if t.Names(x) && !slices.Contains(fits, x) {
			fits = append(fits, x)
		}
	}
	if len(fits) < 2 {
		return append(fits, Target{})[0], len(fits) == 1, nil
	}
	var full []string
	for _, x := range fits {
		full = append(full, x.String())
	}
	slices.Sort(full)
	if more := len(full) - shownTargets; more > 0 {
		full = append(full[:shownTargets], fmt.Sprintf("%d more", more))
	}
	last := len(full) - 1
	next := "Write the full name, SITE/ASSET/SERVICE; for ssh SERVICE.ASSET.SITE."
	if t.Service == "" {
		next = "Write the full name, SITE/ASSET."
	}
	return Target{}, false, Errorf(Invalid, "%s is ambiguous: it could be %s or %s.", t, strings.Join(full[:last], ", "), full[last]).WithNext(next)
}
