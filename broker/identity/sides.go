package identity

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// entries are what an issuer is here: one entry, or one for each side, where a vendor's
// people and a hospital's sign in at the same place and their groups tell them apart.
type entries []Issuer

// standing is what somebody of an issuer may do, and where.
type standing struct {
	side  session.Side
	roles []session.Role
	sites []string
}

// standing reads somebody's groups. Who has a role on both sides has both, and only where
// both sides are: what one side gives is never used at the other's sites.
func (all entries) standing(groups []string) standing {
	s := standing{side: all[0].Side}
	if len(all) == 1 {
		s.sites = all[0].Sites
	}
	for _, i := range all {
		roles := i.roles(groups)
		switch {
		case len(roles) == 0:
		case len(s.roles) == 0:
			s = standing{i.Side, roles, i.Sites}
		default:
			s = standing{session.HospitalSide, append(s.roles, roles...), common(s.sites, i.Sites)}
		}
	}
	return s
}

// common are the sites of both of two lists, one of which may hold AnySite.
func common(a, b []string) []string {
	if slices.Contains(a, AnySite) {
		return b
	}
	if slices.Contains(b, AnySite) {
		return a
	}
	return slices.DeleteFunc(slices.Clone(a), func(site string) bool { return !slices.Contains(b, site) })
}

// wanted are the groups of which somebody needs one.
func (all entries) wanted() string {
	var groups []string
	for _, i := range all {
		if i.Side == session.VendorSide {
			groups = append(groups, i.Group(session.Engineer))
		} else {
			groups = append(groups, i.Group(session.Approver), i.Group(session.Auditor))
		}
	}
	return "the group " + strings.Join(groups, " or ")
}

// accepts reports whether people of the issuer come with a client for a way to sign in.
func (all entries) accepts(client string, way func(Issuer, string) bool) bool {
	return slices.ContainsFunc(all, func(i Issuer) bool { return way(i, client) })
}

// add takes an entry, the hospital's first: how fresh a sign-in must be is what it says.
func (all entries) add(i Issuer) (entries, error) {
	for _, other := range all {
		var wrong string
		switch {
		case len(all) > 1, other.Side == i.Side:
			wrong = "it is configured twice for one side"
		case !other.Agrees(i.Issuer):
			wrong = "its two entries read its tokens or reach it in different ways"
		case other.Login != i.Login, webClient(other.Issuer) != webClient(i.Issuer), other.Secret != i.Secret:
			wrong = "its two entries have different clients: before somebody signed in nobody knows their side, so login, the client of class web and client_secret are the same in both"
		}
		if wrong != "" {
			return nil, session.Errorf(session.Invalid, "the issuer %q cannot be used: %s", i.URL, wrong)
		}
	}
	if i.Side == session.HospitalSide {
		return append(entries{i}, all...), nil
	}
	return append(all, i), nil
}
