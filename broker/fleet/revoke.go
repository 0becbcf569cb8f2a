package fleet

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// DenialTime is how long a denial matters: by then every certificate and join token
// from before it has expired.
const DenialTime = link.CertificateTime + link.MaxJoinTime

// Revoke ends every certificate and join token that an agent has, and its
// connections to this node at once (to other nodes within seconds). A new join
// token brings it back.
func (f *Fleet) Revoke(ctx context.Context, site, agent string) error {
	return f.deny(ctx, Denial{Site: site, Agent: agent, At: f.cfg.Now().UTC()})
}

func (f *Fleet) deny(ctx context.Context, d Denial) error {
	if err := f.cfg.Denied.Deny(ctx, d); err != nil {
		return storeDown(err)
	}
	f.cfg.Log.Warn("agent revoked", "site", d.Site, "agent", d.Agent, "keep", d.Keep)
	f.disconnect([]Denial{d})
	return nil
}

// Run looks for denials that other nodes have made, until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		list, err := f.cfg.Denied.List(ctx)
		if err != nil {
			f.cfg.Log.Warn("revocations cannot be read", "err", err)
			continue
		}
		f.disconnect(list)
	}
}

// disconnect closes what revoked certificates hold open here, streams included.
func (f *Fleet) disconnect(list []Denial) {
	for _, c := range f.covered(list) {
		c()
	}
}

// covered is how to close each connection that a denial covers.
func (f *Fleet) covered(list []Denial) []func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	var closers []func()
	for _, d := range list {
		if a := f.agents[name{d.Site, d.Agent}]; a != nil {
			if a.control != nil && d.covers(a.control.Peer) {
				closers = append(closers, a.control.Close)
			}
			for _, s := range a.spares {
				if d.covers(s.Peer) {
					closers = append(closers, s.Close)
				}
			}
		}
		for s := range f.streams {
			if d.covers(s.peer) {
				closers = append(closers, func() { _ = s.Close() })
			}
		}
	}
	return closers
}

func (d Denial) covers(p link.Peer) bool {
	return d.Site == p.Site && d.Agent == p.Agent && !p.Issued.After(d.At) && (d.Keep == "" || d.Keep != p.Identity)
}

// revoked is asked at every handshake and stream. When the list cannot be read
// nobody gets in.
func (f *Fleet) revoked(ctx context.Context, p link.Peer) error {
	list, err := f.cfg.Denied.List(ctx)
	if err != nil {
		return storeDown(err)
	}
	if slices.ContainsFunc(list, func(d Denial) bool { return d.covers(p) }) {
		return session.Errorf(session.Denied, "The agent %s of site %s was revoked.", p.Agent, p.Site).
			WithNext("Enrol it again with a new join token.")
	}
	return nil
}
