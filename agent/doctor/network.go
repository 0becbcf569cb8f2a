package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"crypto/tls"
	"crypto/x509"

	"github.com/sallyport/sallyport/agent/vouch"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/proxy"
	"github.com/sallyport/sallyport/session/wording"
)

// node checks one broker node from the name to the hello; the first fault ends it.
func (x *checkup) node(ctx context.Context, n link.Node) {
	ctx, cancel := context.WithTimeout(ctx, 3*perTry)
	defer cancel()
	host, _, err := net.SplitHostPort(n.Address)
	if err != nil {
		x.add("dns "+n.Name, Fail, fmt.Sprintf("%s is no address.", n.Address), "Write host:port in the configuration.")
		return
	}
	if via := x.o.Proxy.Address(n.Address); via != "" {
		host, _, _ = net.SplitHostPort(via)
		if !x.name(ctx, viaProxy, host) || !x.reach(ctx, viaProxy, via) || !x.connect(ctx, n) {
			return
		}
	} else if !x.name(ctx, n.Name, host) || !x.reach(ctx, n.Name, n.Address) {
		return
	}
	if x.p.Issued != nil {
		x.link(ctx, n)
	}
}

const viaProxy = "proxy" // in the names of checks

// connect asks the proxy for a tunnel to a node.
func (x *checkup) connect(ctx context.Context, n link.Node) bool {
	conn, err := x.o.Proxy.Dial(ctx, n.Address)
	if err != nil {
		says, next := plain(err, "Ask the hospital's IT.")
		x.add("connect "+n.Name, Fail, says, next)
		return false
	}
	_ = conn.Close()
	x.add("connect "+n.Name, OK, "The proxy connects to "+n.Address+".", "")
	return true
}

// dial reaches a node as the agent does.
func (x *checkup) dial(ctx context.Context, address string) (net.Conn, error) {
	if x.o.Proxy.Address(address) != "" {
		return x.o.Proxy.Dial(ctx, address)
	}
	return x.o.Dial(ctx, address)
}

// ask collects what the hospital's IT must allow, when something of the network failed.
func (x *checkup) ask() {
	broken := func(c Check) bool {
		kind, _, _ := strings.Cut(c.Name, " ")
		return c.Result == Fail && slices.Contains([]string{"dns", "tcp", "connect", "tls", "link", "keys"}, kind)
	}
	if !slices.ContainsFunc(x.report.Checks, broken) {
		return
	}
	way := func(address string) string {
		if via := x.o.Proxy.Address(address); via != "" {
			return "through the proxy " + via + " (CONNECT, without sign-in page)"
		}
		return "outgoing TCP"
	}
	for _, n := range x.p.Nodes {
		x.report.Ask = append(x.report.Ask, fmt.Sprintf("%s, %s, TLS 1.3 of the broker's own authority: no TLS inspection, and connections that stay open for hours", n.Address, way(n.Address)))
	}
	for _, iss := range x.p.Issuers {
		u, err := url.Parse(iss.URL)
		if err != nil || iss.Reach == "broker" {
			continue
		}
		address := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))
		x.report.Ask = append(x.report.Ask, fmt.Sprintf("%s, %s, HTTPS: no TLS inspection (the identity provider's keys)", address, way(address)))
	}
}

// name resolves a node's host; an IP address needs no DNS.
func (x *checkup) name(ctx context.Context, node, host string) bool {
	if net.ParseIP(host) != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, perTry)
	defer cancel()
	addrs, err := x.o.Resolve(ctx, host)
	if err != nil || len(addrs) == 0 {
		x.add("dns "+node, Fail, fmt.Sprintf("DNS does not know %s.", host), "Check the node's address in the configuration, and the DNS server of this machine.")
		return false
	}
	x.add("dns "+node, OK, fmt.Sprintf("%s is %s.", host, addrs[0]), "")
	return true
}

func (x *checkup) reach(ctx context.Context, name, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, perTry)
	defer cancel()
	conn, err := x.o.Dial(ctx, address)
	if err == nil {
		_ = conn.Close()
		x.add("tcp "+name, OK, address+" accepts connections.", "")
		return true
	}
	says := fmt.Sprintf("%s cannot be reached.", address)
	next, what, who := "Check the hospital's firewall: the agent must be let out to this address.", "broker", "the broker's operators"
	if name == viaProxy {
		next, what, who = "Check proxy.url in the configuration, or HTTPS_PROXY, with the hospital's IT.", viaProxy, "the hospital's IT"
	}
	var op net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		says, next = fmt.Sprintf("%s refuses connections: the machine is there, but no %s listens.", address, what), "Check the port in the configuration, or ask "+who+" whether it runs."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &op) && op.Timeout():
		says = fmt.Sprintf("%s does not answer; something on the way drops the packets.", address)
	}
	x.add("tcp "+name, Fail, says, next)
	return false
}

// link tries TLS and hello. While the agent is connected it already proves the
// hello, and another would push it off; then only the broker's clock is asked.
func (x *checkup) link(ctx context.Context, n link.Node) {
	p := link.Probe{Node: n, Issued: *x.p.Issued, Dial: x.dial, Now: x.o.Now}
	connected := x.o.Running != nil && x.o.Running.Up
	if connected || x.p.Hello == nil {
		p.Issuer = x.p.Issuers[0].URL
	} else {
		h := x.p.Hello()
		p.Hello = &h
	}
	got := p.Run(ctx)
	says, next := words(got)
	switch got.Fault {
	case link.NoFault:
		x.add("tls "+n.Name, OK, "The node proved to be ours, and took this agent's certificate.", "")
		x.add("link "+n.Name, OK, "The broker welcomes this agent.", "")
	case link.Dismissed, link.Silent:
		x.add("tls "+n.Name, OK, "The node proved to be ours.", "")
		x.add("link "+n.Name, Fail, says, next)
	default:
		x.add("tls "+n.Name, Fail, says, next)
	}
	if x.o.Running != nil && !connected {
		x.add("link of the running agent", Warn, fmt.Sprintf("The running agent is not connected, since %s.", x.o.Running.Since.UTC().Format(time.RFC3339)), "Its log says why; it tries again by itself.")
	}
	if !got.Broker.IsZero() {
		x.clock("the broker", x.o.Now().Sub(got.Broker))
	}
}

// words says what a fault of the link means.
func words(got link.Probed) (says, next string) {
	again := "Enrol the agent again with a new join token: sallyport-agent enrol."
	switch got.Fault {
	case link.Resigned:
		return fmt.Sprintf("Something on the way opens TLS: the certificate shown is signed by %s, not by the broker's CA.", got.Signer),
			"Ask the hospital's network people to exempt the broker's address from TLS inspection."
	case link.OtherCA:
		return "The broker has another CA than the one with which this agent was enrolled.", "Ask the broker's operators whether it was set up anew. If so: " + again
	case link.NodeExpired:
		return "The broker node's certificate is not valid at this time.", "Compare this machine's clock; if it is right, tell the broker's operators."
	case link.WrongName:
		return "Another broker node answers at this address.", "Check the node's name and address in the configuration."
	case link.NoLink:
		return "What answers at this address does not speak the link.", "Check the address and port in the configuration, and for a proxy in between."
	case link.Page:
		return "Something on the way answers with a page, where a person would sign in or agree, instead of the broker.", "Ask the hospital's IT to let this machine through to the broker's address without sign-in page."
	case link.AgentUnknown:
		return "The broker does not accept this agent's certificate: it is expired, or not of its CA.", again
	case link.Dismissed:
		return plain(got.Err, again)
	case link.Silent:
		return "The broker took the connection and did not answer; the agent may be revoked.", "Ask the broker's operators. " + again
	}
	return "The broker node cannot be reached.", "Check the hospital's firewall."
}

// issuer checks that an identity provider's signing keys can be had.
func (x *checkup) issuer(ctx context.Context, iss session.Issuer) {
	name := "keys of " + iss.URL
	keys, err := Keys(x.p, x.o, iss)
	if err != nil {
		says, next := plain(err, "Mend the issuer in the configuration.")
		x.add(name, Fail, says, next)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*perTry)
	defer cancel()
	if _, err := keys.Check(ctx); err != nil {
		says, next := x.unfetched(iss, err)
		x.add(name, Fail, says, next)
		return
	}
	way := "directly"
	if iss.Reach == "broker" {
		way = "through the broker"
	}
	x.add(name, OK, "The signing keys were fetched "+way+" just now.", "")
	if skew, known := keys.Skew(); known {
		x.clock(iss.URL, skew)
	}
	if iss.Vouch {
		x.vouched(ctx, iss)
	}
}

// vouched checks that the broker's questions to an issuer would be asked from here.
func (x *checkup) vouched(ctx context.Context, iss session.Issuer) {
	name := "sign-ins at the broker with " + iss.URL
	elsewhere, err := vouch.Elsewhere(ctx, iss, idtoken.Options{Dial: x.o.Proxy.DialContext})
	switch {
	case err != nil:
		x.add(name, Fail, "Its discovery document cannot be read.", "Until it can, nobody of this provider signs in at the broker's pages.")
	case len(elsewhere) > 0:
		x.add(name, Fail, fmt.Sprintf("It names addresses on other hosts, where this agent asks nothing for the broker: %.200s.", wording.Line(strings.Join(elsewhere, ", "), 200)),
			"Keys on another host can be pinned: jwks in the issuer, here and at the broker. A token endpoint must be on the provider's own host; without, people sign in by command line.")
	default:
		x.add(name, OK, "The broker may ask this agent, which asks the provider: vouch is on.", "")
	}
}

func (x *checkup) unfetched(iss session.Issuer, err error) (says, next string) {
	var proxied *proxy.Fault
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	next = "Check the issuer in the configuration, and this machine's way to it; approvals fail until it works."
	if errors.As(err, &proxied) {
		return plain(proxied.Said, next)
	}
	signer, resigned := proxy.Resigned(err)
	switch {
	case errors.Is(err, idtoken.ErrPairwise):
		return plain(err, next)
	case errors.As(err, &dns):
		return fmt.Sprintf("DNS does not know the host of %s.", iss.URL), next
	case resigned:
		return fmt.Sprintf("The certificate of %s is signed by %s, an authority that this machine does not trust; something may open TLS on the way.", iss.URL, signer),
			"Compare the certificate with what a browser outside the hospital shows, and have the address exempted from TLS inspection."
	case errors.As(err, &cert):
		return fmt.Sprintf("The certificate of %s is not valid now, or not for that name.", iss.URL), "Compare this machine's clock; if it is right, tell the identity provider's people."
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("The host of %s refuses connections.", iss.URL), next
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("%s did not answer in time.", iss.URL), next
	}
	return fmt.Sprintf("The signing keys of %s could not be fetched.", iss.URL), next
}

// Keys are an issuer's, reached as the agent reaches it: directly, or through the broker.
func Keys(p Subject, o Options, iss session.Issuer) (*idtoken.KeySet, error) {
	x := &checkup{p: p, o: o.filled()}
	way := idtoken.Options{Now: x.o.Now, Dial: o.Proxy.DialContext}
	if iss.Reach == "broker" {
		relay, err := x.relay()
		if err != nil {
			return nil, err
		}
		way.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return relay.Relay(ctx, iss.URL) }
	}
	return idtoken.NewKeySet(iss, way)
}

// relay is a link client that only relays.
func (x *checkup) relay() (*link.Client, error) {
	if x.p.Issued == nil {
		return nil, session.Errorf(session.Refused, "The keys come through the broker, and there is no certificate to reach it with.").WithNext("Enrol the agent first.")
	}
	pair, err := x.p.Issued.Certificate()
	if err != nil {
		return nil, err
	}
	roots, err := x.p.Issued.Roots()
	if err != nil {
		return nil, err
	}
	return link.NewClient(link.ClientConfig{
		Nodes: x.p.Nodes, Certificate: func() (*tls.Certificate, error) { return pair, nil },
		Roots: func() *x509.CertPool { return roots }, Hello: func() link.Hello { return link.Hello{} },
		Handler: nobody{}, Dial: x.dial, Log: slog.New(slog.DiscardHandler),
	})
}

// nobody is asked nothing, because a client that only relays is asked nothing.
type nobody struct{}

func (nobody) Deliver(context.Context, link.Deliver) link.Verdict   { return link.Verdict{} }
func (nobody) End(context.Context, link.End) link.Verdict           { return link.Verdict{} }
func (nobody) Stream(_ context.Context, _ link.Open, conn net.Conn) { _ = conn.Close() }
