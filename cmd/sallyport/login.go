package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

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
	token, salt, _, err := p.prove(ctx, signInRequest{
		issuer: issuer, client: issuer.Login, role: grant.RoleLogin, hint: config.Hint, config: config, noBrowser: noBrowser,
		subject: sha256.Sum256([]byte(config.Broker)), extra: sha256.Sum256([]byte(line)), what: "to sign in",
	})
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(token))
	login, err := client.Login.Post(ctx, p.client(config, ""), api.SignIn{IDToken: token, Salt: salt, Key: line,
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
	who := signedIn{home: h, config: config, login: login, broker: p.client(config, login.Token)}
	if who.has(session.Engineer) {
		if _, err := p.writeSSH(ctx, who); err != nil {
			p.say("The ssh configuration was not written: %s", explain(err).Message)
		}
	}
	login.Token = ""
	return p.told(publicLogin(who), nil, func() {
		p.print("Signed in as %s (%s), until %s.", login.Person.Email, rolesOrNone(login.Roles), p.local(login.Expires))
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
