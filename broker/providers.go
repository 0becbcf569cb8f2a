package broker

import (
	"context"
	"net"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/broker/fleet"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/proxy"
)

// The identity providers, as a node gets to them: directly or through its proxy; or, where
// only a hospital reaches its own, by asking that site's agent.

const reachAgent = "agent"

// providers are the ways of a node to the identity providers.
type providers struct {
	out    *proxy.Dialer
	agents agents
}

// agents are those that are connected here.
type agents interface {
	Connected() []fleet.Agent
	Open(ctx context.Context, site, agent string, o link.Open) (net.Conn, error)
}

// options say how an issuer is reached. Its keys count for an hour without a refresh: a
// broker is never long without the internet, nor without an agent that vouches.
func (p providers) options(i Issuer) idtoken.Options {
	o := idtoken.Options{MaxStale: time.Hour, Patience: idtoken.Patience, Dial: p.out.DialContext}
	if i.Reach == reachAgent {
		o.Through = func(ctx context.Context, _, _ string) (net.Conn, error) { return p.question(ctx, i.Sites[0], i.URL) }
	}
	return o
}

// tokens checks sign-ins with the keys of their issuers.
func (p providers) tokens(issuers []Issuer) (tokens, error) {
	all, byURL := make([]session.Issuer, 0, len(issuers)), map[string]Issuer{}
	for _, i := range issuers {
		all, byURL[i.URL] = append(all, i.Issuer), i
	}
	keys, err := idtoken.NewKeySets(all, func(i session.Issuer) idtoken.Options { return p.options(byURL[i.URL]) })
	return tokens{keys}, err
}

// question opens a stream to an agent of a site, on which the broker asks an identity
// provider of that site one thing. The site is the certificate's, so nobody else's agent
// is asked.
func (p providers) question(ctx context.Context, site, issuer string) (net.Conn, error) {
	err := error(&session.Error{Kind: session.Unreachable, Message: "The identity provider " + issuer + " is asked by the agent of site " + site + ", which is not connected here.",
		Next: "Try again in a moment; if it stays so, the hospital's IT can run: sallyport-agent status."})
	for _, a := range p.agents.Connected() {
		if a.Site != site {
			continue
		}
		var conn net.Conn
		if conn, err = p.agents.Open(ctx, a.Site, a.Agent, link.Open{Door: link.DoorIssuer, Issuer: issuer}); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// CheckIssuers asks the identity providers that are reached from here, and reports those
// that cannot be used as they are configured. One that does not answer is no error.
func CheckIssuers(ctx context.Context, cfg Config) error {
	out, err := proxy.New(cfg.Proxy)
	if err != nil {
		return err
	}
	t, err := providers{out, nobody{}}.tokens(cfg.Issuers)
	if err != nil {
		return err
	}
	return t.keys.Ask(ctx)
}

// nobody is who is connected where no broker runs.
type nobody struct{}

func (nobody) Connected() []fleet.Agent { return nil }

func (nobody) Open(context.Context, string, string, link.Open) (net.Conn, error) {
	return nil, net.ErrClosed
}

// tokens checks sign-ins with the issuers' own keys.
type tokens struct{ keys *idtoken.KeySets }

func (t tokens) Verify(ctx context.Context, issuer, compact string, e idtoken.Expect) (idtoken.Claims, error) {
	keys, ok := t.keys.For(issuer)
	if !ok {
		return idtoken.Claims{}, session.Errorf(session.Denied, "The broker does not know the identity provider %.200q", issuer)
	}
	return idtoken.Verify(ctx, keys, compact, e)
}

// Relay connects an agent to an issuer of its site, or to the host that has its keys. The
// agent speaks TLS through it.
func (b *Broker) Relay(ctx context.Context, site, agent, issuer string) (net.Conn, error) {
	if rules := b.rules.Load(); rules.serves(issuer, site) {
		u, err := url.Parse(rules.keysOf(issuer))
		if err != nil {
			return nil, err
		}
		port := u.Port()
		if port == "" {
			port = "443"
		}
		b.log.Debug("relay to an issuer", "site", site, "agent", agent, "issuer", issuer)
		ctx, cancel := context.WithTimeout(ctx, relayDial)
		defer cancel()
		return b.out.Dial(ctx, net.JoinHostPort(u.Hostname(), port))
	}
	return nil, session.Errorf(session.Denied, "The broker knows no identity provider %.200q of site %s", issuer, site).
		WithNext("Add it to the broker's configuration.")
}

// keysOf is the address of an issuer's keys, as far as it is pinned here, or the issuer's.
func (c *Config) keysOf(issuer string) string {
	for _, i := range c.Issuers {
		if i.URL == issuer && i.JWKS != "" {
			return i.JWKS
		}
	}
	return issuer
}
