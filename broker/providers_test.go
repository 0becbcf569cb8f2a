package broker

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/broker/fleet"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/proxy"
)

// connected are agents that take down what they are asked and hang up.
type connected struct {
	agents []fleet.Agent
	down   []string // agents that do not answer
	asked  []string
}

func (c *connected) Connected() []fleet.Agent { return c.agents }

func (c *connected) Open(_ context.Context, site, agent string, o link.Open) (net.Conn, error) {
	if c.asked = append(c.asked, site+"/"+agent+" "+string(o.Door)+" "+o.Issuer); slices.Contains(c.down, agent) {
		return nil, session.Errorf(session.Unreachable, "%s does not answer", agent)
	}
	near, far := net.Pipe()
	return near, far.Close()
}

// Only the site's own agents are asked about its provider, whoever else offers; and what
// no agent of it says is not made up by dialling.
func TestOnlyTheSitesAgentIsAsked(t *testing.T) {
	const adfs = "https://adfs.north.example/adfs"
	issuer := Issuer{Issuer: session.Issuer{URL: adfs, Side: session.HospitalSide, Login: "cli", Reach: reachAgent}, Sites: []string{"NORTH"}}
	for name, row := range map[string]struct {
		agents connected
		asked  string
		says   string
	}{
		"nobody is there":               {connected{}, "", "the agent of site NORTH, which is not connected"},
		"another site's agent is":       {connected{agents: []fleet.Agent{{Site: "SOUTH", Agent: "evil"}}}, "", "the agent of site NORTH, which is not connected"},
		"another site of a like name":   {connected{agents: []fleet.Agent{{Site: "north", Agent: "evil"}, {Site: "NORTH2", Agent: "evil"}}}, "", "the agent of site NORTH"},
		"the site's agent does not say": {connected{agents: []fleet.Agent{{Site: "NORTH", Agent: "n1"}}, down: []string{"n1"}}, "NORTH/n1 issuer " + adfs, "n1 does not answer"},
		"its second agent does": {connected{agents: []fleet.Agent{{Site: "SOUTH", Agent: "evil"}, {Site: "NORTH", Agent: "n1"}, {Site: "NORTH", Agent: "n2"}}, down: []string{"n1"}},
			"NORTH/n1 issuer " + adfs + "\nNORTH/n2 issuer " + adfs, "well-known/openid-configuration"}, // it hangs up, after which is a matter of chance
	} {
		t.Run(name, func(t *testing.T) {
			p := providers{nil, &row.agents}
			_, err := idtoken.Discover(t.Context(), idtoken.Client(issuer.Issuer, p.options(issuer)), issuer.Issuer)
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("discovery: %v", err)
			}
			if got := strings.Join(row.agents.asked, "\n"); got != row.asked {
				t.Errorf("asked %q", got)
			}
			if _, err := p.tokens([]Issuer{issuer}); err != nil {
				t.Error(err)
			}
		})
	}
}

// An agent speaks for the provider of its own hospital: nothing else can be configured.
func TestWhoseAgentMayBeAsked(t *testing.T) {
	base := func() Config {
		return Config{Node: "n1", URL: "http://127.0.0.1:1", Listen: "127.0.0.1:1", State: "/s", SSH: SSH{Listen: "127.0.0.1:2"}, Redis: Redis{URL: "redis://127.0.0.1"},
			Issuers: []Issuer{{Issuer: session.Issuer{URL: "https://adfs.north.example/adfs", Side: session.HospitalSide, Login: "cli", Reach: reachAgent}, Sites: []string{"NORTH"}}}}
	}
	for name, row := range map[string]struct {
		change func(*Issuer)
		ok     bool
	}{
		"its own":                   {func(*Issuer) {}, true},
		"a vendor's":                {func(i *Issuer) { i.Side = session.VendorSide }, false},
		"that of two sites":         {func(i *Issuer) { i.Sites = []string{"NORTH", "SOUTH"} }, false},
		"that of every site":        {func(i *Issuer) { i.Side, i.Sites = session.VendorSide, []string{identity.AnySite} }, false},
		"with a keys' file":         {func(i *Issuer) { i.Keys = "/keys.json" }, false},
		"by another word":           {func(i *Issuer) { i.Reach = "hospital" }, false},
		"as the agent's entry says": {func(i *Issuer) { i.Reach, i.Sites = "broker", []string{"NORTH", "SOUTH"} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := base()
			row.change(&c.Issuers[0])
			err := c.Validate()
			var bad *session.BadField
			if (err == nil) != row.ok || err != nil && (!errors.As(err, &bad) || bad.Path != "$.issuers[0].reach") {
				t.Errorf("%v", err)
			}
		})
	}
}

// Keys, discovery, the exchange of codes and what is relayed for agents take the proxy.
func TestProvidersThroughTheProxy(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 8)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(conn).ReadString('\n')
			asked <- strings.TrimSpace(line)
			_, _ = io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
			_ = conn.Close()
		}
	})
	defer served.Wait()
	defer ln.Close()
	issuer := Issuer{Issuer: session.Issuer{URL: "https://idp.vendor.example", Side: session.VendorSide, Login: "cli"}, Sites: []string{"NORTH"}}
	cfg := Config{Proxy: proxy.Config{URL: "http://" + ln.Addr().String()}, Issuers: []Issuer{issuer}}
	out, err := proxy.New(cfg.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	p := providers{out, nobody{}}
	b := &Broker{cfg: cfg, identities: identities{out: out}, log: slog.New(slog.DiscardHandler)}
	b.rules.Store(&cfg)
	for name, ask := range map[string]func() error{
		"discovery": func() error {
			_, err := idtoken.Discover(t.Context(), idtoken.Client(issuer.Issuer, p.options(issuer)), issuer.Issuer)
			return err
		},
		"keys": func() error {
			all, err := p.tokens(cfg.Issuers)
			if err != nil {
				return err
			}
			keys, _ := all.keys.For(issuer.URL)
			_, err = keys.Check(t.Context())
			return err
		},
		"a relay": func() error {
			_, err := b.Relay(t.Context(), "NORTH", "n1", issuer.URL)
			return err
		},
		"check": func() error {
			return errors.Join(CheckIssuers(t.Context(), cfg), errors.New("one that does not answer is no error"))
		},
	} {
		if err := ask(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := <-asked; got != "CONNECT idp.vendor.example:443 HTTP/1.1" {
			t.Errorf("%s: the proxy was asked %q", name, got)
		}
	}
}
