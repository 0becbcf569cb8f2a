package api

import "github.com/sallyport/sallyport/broker/identity"

// Below, what the rooms know becomes what people's scripts read. No list is null.

func each[F, T any](all []F, show func(F) T) []T {
	out := make([]T, 0, len(all))
	for _, x := range all {
		out = append(out, show(x))
	}
	return out
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (d *door) loginView(token string, c identity.Caller) Login {
	return Login{Token: token, Expires: c.Expires.UTC(), Person: c.Person, Roles: list(c.Roles), Side: c.Side, Sites: list(c.Sites), SSH: d.SSH}
}
