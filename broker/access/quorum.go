package access

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// missing is which places of the quorum nobody has taken yet, one group a place.
// It is for display: the agent counts by itself.
func (r record) missing() []string {
	if len(r.Quorum) == 0 {
		return nil
	}
	var people [][]string
	for _, p := range r.Answer.Approvals {
		if p.half(r.Passkeys) == "" {
			people = append(people, append(groupsOf(p.Token), p.Groups...))
		}
	}
	return vacant(r.Quorum, people)
}

// wanted are those of an approver's groups for which the request has places: the scanner's
// policy may be another by now.
func (r record) wanted(groups []string) (all []string) {
	for _, q := range r.Quorum {
		if slices.Contains(groups, q.Group) {
			all = append(all, q.Group)
		}
	}
	return all
}

// half is the proof that an approval lacks where the scanner asks for two; empty: none.
func (p proof) half(asked session.ConsoleKeys) string {
	switch {
	case asked != session.KeysBoth:
		return ""
	case len(p.Passkey) == 0:
		return "passkey"
	case p.Token == "":
		return "sign-in"
	}
	return ""
}

// vacant seats each person in one place at most, as many as possible, and returns
// the places that stay empty.
func vacant(quorum []session.Quorum, people [][]string) []string {
	var places []string
	for _, q := range quorum {
		for range min(q.Count, maxApprovals) {
			places = append(places, q.Group)
		}
	}
	seated := make([]int, len(places)) // person+1 by place
	var seat func(person int, tried []bool) bool
	seat = func(person int, tried []bool) bool {
		for i, group := range places {
			if tried[i] || !slices.Contains(people[person], group) {
				continue
			}
			tried[i] = true
			if seated[i] == 0 || seat(seated[i]-1, tried) {
				seated[i] = person + 1
				return true
			}
		}
		return false
	}
	for person := range people {
		seat(person, make([]bool, len(places)))
	}
	var empty []string
	for i, group := range places {
		if seated[i] == 0 {
			empty = append(empty, group)
		}
	}
	return empty
}

// groupsOf reads the groups of a token that the agent has accepted.
func groupsOf(token string) []string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims struct {
		Groups json.RawMessage `json:"groups"`
	}
	if json.Unmarshal(body, &claims) != nil {
		return nil
	}
	var many []string
	if json.Unmarshal(claims.Groups, &many) == nil {
		return many[:min(len(many), 500)]
	}
	var one string
	if json.Unmarshal(claims.Groups, &one) == nil {
		return []string{one}
	}
	return nil
}
