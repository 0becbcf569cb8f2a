package wording

import (
	"slices"

	"github.com/sallyport/sallyport/session"
)

// Takes says what it means to connect to some services of a scanner that has all of these,
// for who asks and for who decides.
func Takes(chosen []string, all []session.Service) []string {
	has := func(is func(session.Service) bool) bool {
		return slices.ContainsFunc(all, func(s session.Service) bool { return slices.Contains(chosen, s.Name) && is(s) })
	}
	var list []string
	if has(func(s session.Service) bool { return s.Protocol == session.RDP }) {
		list = append(list, phrases()["takes"])
		if i := slices.IndexFunc(all, func(s session.Service) bool { return s.Protocol == session.VNC }); i >= 0 {
			list = append(list, phrases()["together"]+" "+all[i].Name+".")
		}
	}
	if has(func(s session.Service) bool { return s.LegacyTLS }) {
		list = append(list, phrases()["legacy"])
	}
	return list
}
