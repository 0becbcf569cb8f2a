package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/cmd/internal/signin"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// signInTime is how long a person has at the browser.
const signInTime = 5 * time.Minute

func (p *program) loginCommand() *cobra.Command {
	var hint, broker string
	var noBrowser bool
	c := &cobra.Command{
		Use:   "login [--hint EMAIL] [--broker URL]",
		Short: "Sign in with your own company's or hospital's account",
		Long: `Sign in through the browser, with the identity provider that a trust bundle names
for the domain of your e-mail address. Sallyport never sees your password.

E-mail and broker are remembered; later sign-ins, for a request or an approval,
use them too. Without a browser on this machine, --no-browser prints the address;
the answer comes back to a port of this machine, which ssh -L can carry.`,
		Example: `  sallyport login --hint jana@meridian.example --broker https://access.example.org
  sallyport login`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.login(c.Context(), hint, broker, noBrowser)
		},
	}
	c.Flags().StringVar(&hint, "hint", "", "your e-mail address")
	c.Flags().StringVar(&broker, "broker", "", "the broker's address; needed once")
	c.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address instead of opening a browser")
	return c
}

func (p *program) login(ctx context.Context, hint, broker string, noBrowser bool) error {
	h, err := p.home()
	if err != nil {
		return err
	}
	config, err := p.loginConfig(h, hint, broker)
	if err != nil {
		return err
	}
	trust, err := h.Trust()
	if err != nil {
		return err
	}
	if len(trust) == 0 {
		return session.Errorf(session.Refused, "No trust bundle was imported yet").
			WithNext("Get one from the hospital you work with and run: sallyport trust import FILE")
	}
	issuer, err := home.IssuerFor(trust, config.Hint)
	if err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make a session key: %w", err)
	}
	line := session.KeyLine(key.Public().(ed25519.PublicKey))
	token, salt, _, err := p.prove(ctx, errand{
		issuer: issuer, client: issuer.Login, role: grant.RoleLogin, hint: config.Hint, ports: config.RedirectPorts, noBrowser: noBrowser,
		subject: sha256.Sum256([]byte(config.Broker)), extra: sha256.Sum256([]byte(line)), what: "to sign in",
	})
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(token))
	login, err := p.client(config.Broker, "").Login(ctx, client.LoginProof{IDToken: token, Salt: salt, Key: line,
		Signature: ed25519.Sign(key, append([]byte("sallyport/v1/login-proof\x00"), sum[:]...))})
	if err != nil {
		return err
	}
	if err := h.SaveConfig(config); err != nil {
		return err
	}
	if err := h.SaveSession(login); err != nil {
		return err
	}
	who := signedIn{home: h, config: config, login: login, broker: p.client(config.Broker, login.Token)}
	if who.has(session.Engineer) {
		if _, err := p.writeSSH(ctx, who); err != nil {
			p.say("The ssh configuration was not written: %s", explain(err).Message)
		}
	}
	login.Token = ""
	return p.answer(publicLogin(who), func() error {
		p.print("Signed in as %s (%s), until %s.", login.Person.Email, roles(login.Roles), p.local(login.Expires))
		return nil
	})
}

// loginConfig merges what was said now with what was remembered.
func (p *program) loginConfig(h home.Home, hint, broker string) (home.Config, error) {
	config, err := h.Config()
	if err != nil {
		return config, err
	}
	if hint != "" {
		config.Hint = hint
	}
	if broker != "" {
		config.Broker = broker
	}
	if config.Broker == "" {
		return config, usage("It is not known yet which broker to use").WithNext("Name it once: sallyport login --broker https://access.example.org")
	}
	if config.Hint == "" {
		return config, usage("It is not known yet who you are").WithNext("Name yourself once: sallyport login --hint you@your-company.example")
	}
	config.Broker, err = home.CheckBroker(config.Broker)
	return config, err
}

// errand is one sign-in and what its token has to cover.
type errand struct {
	issuer         session.Issuer
	client         string
	role           grant.Role
	subject, extra [32]byte
	hint           string
	ports          []int
	fresh          bool
	noBrowser      bool
	what           string // "to sign in", for the line on the terminal
	after          string // where the browser ends up
	leave          func(url string)
}

// prove makes a salt, computes the nonce and brings back the token that carries it.
func (p *program) prove(ctx context.Context, e errand) (token string, salt []byte, claims signin.Claims, err error) {
	var s [32]byte
	_, _ = rand.Read(s[:])
	flow, err := signin.Begin(ctx, signin.Config{Issuer: e.issuer, ClientID: e.client, Nonce: grant.Nonce(e.role, e.subject, e.extra, s),
		Hint: e.hint, Fresh: e.fresh, Ports: e.ports, After: e.after})
	if err != nil {
		return "", nil, signin.Claims{}, err
	}
	defer flow.Close()
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	if e.leave != nil {
		p.say("Waiting for you at %s, in the same window ...", host(e.issuer.URL))
		e.leave(flow.URL)
	} else {
		defer p.browse(ctx, flow.URL, host(e.issuer.URL), e)()
	}
	token, claims, err = flow.Wait(ctx)
	return token, s[:], claims, err
}

// browse opens the address and says so; the returned func tidies up.
func (p *program) browse(ctx context.Context, address, where string, e errand) func() {
	if !e.noBrowser {
		w, ok := signin.Browser{Env: p.env}.Open(ctx, address, func(why string) {
			p.warn("The browser could not be opened: %s\nOpen this address yourself:\n  %s", why, address)
		})
		if ok {
			p.say("Waiting for you at %s %s ... (no window? add --no-browser)", where, e.what)
			return w.Close
		}
	}
	p.warn("Open this address in a browser on this machine %s; waiting at %s ...\n  %s", e.what, where, address)
	return func() {}
}

func host(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

func (p *program) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "End your sign-in at the broker and forget it here",
		Long: `End your sign-in at the broker and forget it here. Sessions that are live go on, and
requests and their keys stay; to end a session use: sallyport sessions kill`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			h, err := p.home()
			if err != nil {
				return err
			}
			config, err := h.Config()
			if err != nil {
				return err
			}
			login, ok, err := h.Session()
			if err != nil {
				return err
			}
			var remote error
			if ok && config.Broker != "" {
				remote = p.client(config.Broker, login.Token).Logout(c.Context())
			}
			if err := h.DropSession(); err != nil {
				return err
			}
			if remote != nil && session.KindOf(remote) == session.Unreachable {
				p.warn("The broker did not hear of it; there the sign-in ends by itself, %s.", p.local(login.Expires))
			}
			return p.answer(map[string]bool{"signed_in": false}, func() error { p.print("Signed out."); return nil })
		},
	}
}

func (p *program) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say who you are, where you are signed in and what you trust",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return p.status(c.Context()) },
	}
}

// statusView is the JSON of status and login.
type statusView struct {
	SignedIn bool            `json:"signed_in"`
	Broker   string          `json:"broker"`
	Home     string          `json:"home"`
	Person   *session.Person `json:"person"`
	Roles    []session.Role  `json:"roles"`
	Expires  *time.Time      `json:"expires"`
	Sites    []string        `json:"sites"` // with an imported trust bundle
}

func publicLogin(s signedIn) statusView {
	v := statusView{SignedIn: true, Broker: s.config.Broker, Home: s.home.Dir(), Person: &s.login.Person, Roles: s.login.Roles, Sites: sites(s.home)}
	if !s.login.Expires.IsZero() {
		utc := s.login.Expires.UTC()
		v.Expires = &utc
	}
	return v
}

func sites(h home.Home) []string {
	list := []string{}
	trust, _ := h.Trust()
	for _, t := range trust {
		list = append(list, t.Site)
	}
	return list
}

func (p *program) status(ctx context.Context) error {
	who, err := p.session()
	if err != nil {
		return err
	}
	me, err := who.broker.Me(ctx)
	if err != nil {
		return err
	}
	if me.Person.Iss != "" {
		who.login.Person, who.login.Roles = me.Person, me.Roles
	}
	view := publicLogin(who)
	return p.answer(view, func() error {
		trusted := strings.Join(view.Sites, ", ")
		if trusted == "" {
			trusted = "nobody yet; run: sallyport trust import FILE"
		}
		return display.Facts(p.stdout, [][2]string{
			{"You", fmt.Sprintf("%s <%s>, %s", who.login.Person.Name, who.login.Person.Email, roles(who.login.Roles))},
			{"Signed in by", who.login.Person.Iss}, {"Until", p.local(who.login.Expires)}, {"Broker", view.Broker},
			{"Home", view.Home}, {"You trust", trusted},
		})
	})
}

func roles(list []session.Role) string {
	if len(list) == 0 {
		return "no role"
	}
	var words []string
	for _, r := range list {
		words = append(words, string(r))
	}
	return strings.Join(words, ", ")
}
