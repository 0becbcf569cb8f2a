package grant

import (
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/session"
)

// Within reports whether a grant allows no more than its request asked for, field by
// field. Whether it names that request's hash is for whoever has the bytes.
func Within(g Grant, r Request) error {
	got, asked := g.terms(), r.terms()
	switch {
	case got.site != asked.site:
		return wider("site")
	case got.asset != asked.asset:
		return wider("scanner")
	case !subset(got.services, asked.services):
		return wider("services")
	case !got.class.Within(asked.class):
		return wider("service class")
	case !subset(got.channels, asked.channels):
		return wider("channels")
	case got.nbf < asked.nbf:
		return wider("beginning")
	case got.exp > asked.exp:
		return wider("end")
	case got.maxs > asked.maxs:
		return wider("session length")
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
