package broker

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Live are the parts of a configuration that Reload takes; the others wait for a restart.
func Live() []string { return []string{"tls", "issuers"} }

// Reload takes the certificate and the identity providers with their sites from another
// configuration, while everything goes on: connections stay, and the next handshake and
// the next sign-in go by the new ones. With an error nothing has changed.
func (b *Broker) Reload(ctx context.Context, cfg Config) error {
	next := b.cfg
	next.TLS, next.Issuers = cfg.TLS, cfg.Issuers
	if (next.TLS.Certificate == "") != (b.cfg.TLS.Certificate == "") {
		return session.Errorf(session.Invalid, "Whether the web has a certificate at all takes a restart").WithNext("systemctl restart sallyport-broker")
	}
	r := &ready{}
	r.certificate(next, time.Now())
	if len(r.missing) > 0 {
		return errors.Join(r.missing...)
	}
	certificate, err := next.webTLS()
	if err != nil {
		return err
	}
	ways := providers{b.out, b.fleet}
	tokens, err := ways.tokens(next.Issuers)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if err := tokens.keys.Ask(asking); err != nil {
		return err
	}
	digest, err := next.digest()
	if err != nil {
		return err
	}
	take, err := b.people.Prepare(next.signIns(ways), tokens)
	if err != nil {
		return err
	}
	if err := b.audit.Append(ctx, witness.Event{Event: witness.BrokerReloaded, Details: map[string]string{
		"node": b.cfg.Node, "configuration": digest}}); err != nil {
		return err
	}
	take()
	b.port.cert.Store(certificate)
	b.rules.Store(&next)
	return nil
}
