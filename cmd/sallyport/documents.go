package main

import (
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
)

// verifierOf is what an approver's machine checks an engineer's request with: the
// agent's own verifier, over the issuers of the trust bundle, reached directly.
func verifierOf(t session.Trust) (*grant.Console, error) {
	keys, err := idtoken.NewKeySets(t.Issuers, nil)
	if err != nil {
		return nil, err
	}
	return grant.NewConsole(t, keys)
}
