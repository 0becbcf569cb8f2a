package grant

import (
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/session"
)

// Within reports whether a grant allows no more than its request asked for, field by
// field. Whether it names that request's hash is for whoever has the bytes.
func Within(g Grant, r Request) error {
	got, asked := g.Terms(), r.Terms()
	switch {
	case got.Site != asked.Site:
		return wider("site")
	case got.Asset != asked.Asset:
		return wider("scanner")
	case !subset(got.Services, asked.Services):
		return wider("services")
	case !got.Class.Within(asked.Class):
		return wider("service class")
	case !subset(got.Channels, asked.Channels):
		return wider("channels")
	case got.NBF < asked.NBF:
		return wider("beginning")
	case got.EXP > asked.EXP:
		return wider("end")
	case got.MaxS > asked.MaxS:
		return wider("session length")
	case got.Crit > asked.Crit:
		return wider("critical section")
	}
	return nil
}

func subset[S ~string](part, whole []S) bool {
	for _, s := range part {
		if !slices.Contains(whole, s) {
			return false
		}
	}
	return true
}

func wider(what string) error {
	return &session.Error{
		Kind:    session.Refused,
		Message: fmt.Sprintf("The grant's %s goes beyond what the engineer asked for.", what),
		Next:    "Approve the request as it stands, or less of it.",
	}
}
