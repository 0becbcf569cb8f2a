package agent

import (
	"context"
	"encoding/json"

	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/agent/vouch"
	"github.com/sallyport/sallyport/session/grant"
)

// Live are the parts of a configuration that Reload takes; the others wait for a restart.
func Live() []string {
	return []string{"issuers", "sessions", "acr", "jwks_max_stale", "assets", "console"}
}

// Reload takes the rules of another configuration, who may ask and approve and which
// devices there are, while everything goes on: what was admitted stays admitted, what is
// connected stays connected, and the next request goes by the new rules. With an error
// nothing has changed.
func (a *Agent) Reload(ctx context.Context, cfg Config) error {
	next := a.cfg
	next.Issuers, next.Sessions, next.ACR, next.JWKSMaxStale, next.Assets = cfg.Issuers, cfg.Sessions, cfg.ACR, cfg.JWKSMaxStale, cfg.Assets
	next.Console = cfg.Console
	keys, err := a.keySets(next)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if err := keys.Ask(asking); err != nil {
		return err
	}
	policy := next.policy(a.fingerprint())
	verifier, err := grant.NewVerifier(policy, keys)
	if err != nil {
		return err
	}
	dial, err := a.devices.Prepare(next.targets())
	if err != nil {
		return err
	}
	if err := page.Try(asking, next.Console, a.rules.Load().Console, a.state.path(pageCertificate), a.now()); err != nil {
		return err
	}
	d := *a.deliveries.Load()
	d.verifier = verifier
	was := a.rules.Swap(&next)
	dial()
	a.states.Configure(next.states(a.now))
	for _, asset := range next.Assets { // the rules may be others
		a.engine.ModalityChanged(asset.Name)
	}
	a.reporter.restate()
	a.lamps.configure(next.Assets)
	a.ledger.LimitSessions(next.limits(policy.Assets))
	a.deliveries.Store(&d)
	a.turnPage()
	a.vouch.Store(vouch.New(next.Issuers, a.reach(next), a.log))
	if !was.announcesLike(next) {
		a.client.Reintroduce() // the broker is told on a new control connection; streams stay
	}
	return nil
}

// announcesLike reports whether two configurations tell the broker of the same scanners.
func (c *Config) announcesLike(o Config) bool {
	mine, err := json.Marshal(c.catalogue())
	theirs, err2 := json.Marshal(o.catalogue())
	return err == nil && err2 == nil && string(mine) == string(theirs)
}
