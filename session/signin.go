package session

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// SignIn says how people are sent to an issuer and come back.
type SignIn struct {
	// Scopes are asked for; default openid, email, profile.
	Scopes []string `json:"scopes,omitempty" yaml:"scopes"`
	// Parameters are more of the authorization request, such as acr_values.
	Parameters map[string]string `json:"parameters,omitempty" yaml:"parameters"`
	// ResponseMode is how the answer comes: query (default) or form_post.
	ResponseMode string `json:"response_mode,omitempty" yaml:"response_mode"`
	// Hosts, "name" or "name:port", are asked for tokens beside the issuer's own, where its
	// discovery document names them. No other is.
	Hosts []string `json:"hosts,omitempty" yaml:"hosts"`
	// Redirect is where the command line's sign-ins come back on the person's machine.
	Redirect Redirect `json:"redirect,omitzero" yaml:"redirect"`
}

// Redirect is an address on loopback, as the identity provider's people registered it.
type Redirect struct {
	Host  string `json:"host,omitempty" yaml:"host"`   // 127.0.0.1 (default) or localhost
	Ports []int  `json:"ports,omitempty" yaml:"ports"` // that were registered; none: the issuer allows any
	Path  string `json:"path,omitempty" yaml:"path"`   // default /cb
}

// Scope is what is asked for.
func (s SignIn) Scope() []string {
	if len(s.Scopes) == 0 {
		return []string{"openid", "email", "profile"}
	}
	return s.Scopes
}

// Question is the part of an authorization request that is ours to say: whose sign-in,
// bound to what, and whether it has to be a new one.
func (s SignIn) Question(nonce, hint string, fresh bool) map[string]string {
	q := maps.Clone(s.Parameters)
	if q == nil {
		q = map[string]string{}
	}
	q["nonce"] = nonce
	if s.ResponseMode == formPost {
		q["response_mode"] = formPost
	}
	if hint != "" {
		q["login_hint"] = hint
	}
	if fresh {
		q["max_age"], q["prompt"] = "0", "login"
	}
	return q
}

const formPost = "form_post"

// ours reports whether no configuration changes a parameter: what keeps an answer ours.
func ours(name string) bool {
	return slices.Contains([]string{
		"client_id", "client_secret", "code_challenge", "code_challenge_method", "login_hint", "max_age", "nonce", "prompt",
		"redirect_uri", "request", "request_uri", "response_mode", "response_type", "scope", "state",
	}, strings.ToLower(name))
}

func (s SignIn) check(require func(field string, ok bool, problem string)) {
	require("scopes", len(s.Scopes) == 0 || slices.Contains(s.Scopes, "openid"), "openid must be among the scopes")
	require("scopes", !slices.Contains(s.Scopes, "offline_access"), "offline_access is never asked for: nobody here keeps a refresh token")
	for _, scope := range s.Scopes {
		require("scopes", claimName(scope), "a scope is a word without spaces")
	}
	for _, host := range s.Hosts {
		u, err := url.Parse("https://" + host)
		require("hosts", err == nil && u.Host == host && u.Hostname() != "" && claimName(host), "a host is a name, or name:port, such as login.example.org")
	}
	for name, value := range s.Parameters {
		require("parameters", claimName(name) && !ours(name), name+" is set by Sallyport itself")
		require("parameters", len(value) <= maxParameter, name+" is too long")
	}
	require("response_mode", s.ResponseMode == "" || s.ResponseMode == "query" || s.ResponseMode == formPost, "the answer comes by query or form_post")
	r := s.Redirect
	require("redirect.host", r.Host == "" || r.Host == "127.0.0.1" || r.Host == "localhost", "people's sign-ins come back to 127.0.0.1 or localhost")
	require("redirect.path", r.Path == "" || strings.HasPrefix(r.Path, "/") && !strings.ContainsAny(r.Path, "?#{} \\") && claimName(r.Path), "a path looks like /cb")
	for _, port := range r.Ports {
		require("redirect.ports", port > 0 && port < 65536, "a port is a number from 1 to 65535")
	}
}
