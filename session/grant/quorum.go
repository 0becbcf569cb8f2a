package grant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// sumUp checks an asset's quorum and makes Approvals its sum.
func sumUp(asset string, p *session.Policy) error {
	if len(p.Quorum) == 0 {
		return nil
	}
	sum, seen := 0, map[string]bool{}
	for _, q := range p.Quorum {
		if q.Group == "" || q.Count < 1 || q.Count > maxApprovers || seen[q.Group] {
			return misconfigured("%s has a quorum entry %.80q without a group of its own or a count", asset, q.Group)
		}
		seen[q.Group] = true
		sum += q.Count
	}
	if p.Approvals != 0 && p.Approvals != sum {
		return misconfigured("%s asks for %d approvals and for a quorum of %d", asset, p.Approvals, sum)
	}
	p.Quorum, p.Approvals = slices.Clone(p.Quorum), sum
	return nil
}

// Covered is how many of an asset's places a set of distinct approvers fills. One
// person fills one place, whatever their groups.
func (v *Verifier) Covered(asset string, approvals []Receipt) int {
	p := v.assets[asset].Policy
	approvals = v.counting(asset, approvals)
	if len(p.Quorum) == 0 {
		return len(approvals)
	}
	return fill(placesOf(p.Quorum), approvals)
}

// Wanted are the groups of an approver's that the asset wants approvers of.
func (v *Verifier) Wanted(asset string, r Receipt) (groups []string) {
	for _, g := range groupsOf(v.assets[asset].Policy.Quorum) {
		if slices.Contains(r.Groups, g) {
			groups = append(groups, g)
		}
	}
	return groups
}

// placesOf is the group of each place.
func placesOf(quorum []session.Quorum) (places []string) {
	for _, q := range quorum {
		for range q.Count {
			places = append(places, q.Group)
		}
	}
	return places
}

// Helps reports whether one more approver fills a place that the others leave open,
// perhaps by letting them change places. Whoever does not help now never will. One who
// still has to use the passkey, or to sign in, helps as if that were done.
func (v *Verifier) Helps(asset string, approvals []Receipt, r Receipt) bool {
	p := v.assets[asset].Policy
	whole := v.counting(asset, approvals)
	if len(approvals) >= maxApprovers {
		return false
	}
	if len(p.Quorum) == 0 {
		return true
	}
	places := placesOf(p.Quorum)
	return fill(places, append(slices.Clone(whole), r)) > fill(places, whole)
}

// fill is the size of a largest matching between places and people (Kuhn).
func fill(places []string, people []Receipt) int {
	holder := make([]int, len(places)) // 1 + index of the person
	var seat func(person int, tried []bool) bool
	seat = func(person int, tried []bool) bool {
		for i, group := range places {
			if tried[i] || !slices.Contains(people[person].Groups, group) {
				continue
			}
			tried[i] = true
			if holder[i] == 0 || seat(holder[i]-1, tried) {
				holder[i] = person + 1
				return true
			}
		}
		return false
	}
	n := 0
	for person := range people {
		if seat(person, make([]bool, len(places))) {
			n++
		}
	}
	return n
}

// places refuses an approver who fits no place of the asset's quorum.
func (v *Verifier) places(asset string, a Receipt) error {
	p := v.assets[asset].Policy
	if len(p.Quorum) == 0 || fill(groupsOf(p.Quorum), []Receipt{a}) == 1 {
		return nil
	}
	return denied("This approver is in none of the groups that must approve for "+asset+".",
		"Ask somebody of "+strings.Join(groupsOf(p.Quorum), " or ")+".")
}

func (v *Verifier) waitFor(asset string, approvals []Receipt) string {
	p := v.assets[asset].Policy
	if p.ConsoleKeys == session.KeysBoth && len(v.counting(asset, approvals)) < len(approvals) {
		return "Each approver signs in and also uses a passkey on the agent's own page; one of the two is missing."
	}
	if len(p.Quorum) == 0 {
		return "Wait for the other approvers."
	}
	var parts []string
	for _, q := range p.Quorum {
		parts = append(parts, fmt.Sprintf("%d of %s", q.Count, q.Group))
	}
	return "Needed are " + strings.Join(parts, " and ") + "."
}

func groupsOf(quorum []session.Quorum) []string {
	var out []string
	for _, q := range quorum {
		out = append(out, q.Group)
	}
	return out
}
