package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/agent/doctor"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/proxy"
)

// Diagnose looks an agent over: this configuration, the state directory that it
// names, the network from here. It reads and takes no lock, so it works beside the
// running agent, which is asked how its link stands, and without one.
func Diagnose(ctx context.Context, cfg Config, login bool) doctor.Report {
	s := state{cfg.State}
	p := doctor.Subject{
		State: cfg.State, Private: []string{"identity.key", "link.json", "input.recipient"},
		Nodes: cfg.nodes(), Issuers: cfg.Issuers, Devices: cfg.targets(),
	}
	key, err := s.identity()
	if p.IdentityErr = err; err == nil {
		p.Identity = session.Fingerprint(key.Public().(ed25519.PublicKey))
		hello := cfg.hello(key)
		p.Hello = func() link.Hello { return hello }
	}
	p.Issued, p.IssuedErr = s.issued()
	o := doctor.Options{Login: login}
	if st, err := (console.Client{Socket: cfg.Socket}).Status(ctx); err == nil {
		o.Running = &doctor.Running{Up: st.Link.Up, Since: st.Link.Since}
		p.Readings = cfg.diagnosed(st.Readings)
	} else {
		p.Readings = cfg.diagnosed(cfg.listen(ctx))
	}
	if o.Proxy, err = proxy.New(cfg.Proxy); err != nil {
		c := doctor.Check{Name: "proxy", Result: doctor.Fail, Says: err.Error(), Next: "Mend the proxy in the configuration or in HTTPS_PROXY."}
		return doctor.Report{Checks: []doctor.Check{c}}
	}
	report := doctor.Examine(ctx, p, o)
	if cfg.Console.Listen != "" {
		report.Checks = append(report.Checks, pageCheck(cfg), signInCheck(cfg))
	}
	report.Checks = append(report.Checks, consentChecks(cfg)...)
	return report
}

// pageCheck says how people know the agent's page.
func pageCheck(cfg Config) doctor.Check {
	c := doctor.Check{Name: "agent's page", Result: doctor.OK}
	fingerprint, err := cfg.Console.Fingerprint(state{cfg.State}.path(pageCertificate))
	switch {
	case errors.Is(err, os.ErrNotExist) && cfg.Console.TLS.Certificate == "":
		c.Result, c.Says, c.Next = doctor.Warn, cfg.Console.URL()+" has no certificate yet.", "Start the agent: it makes one."
	case err != nil:
		c.Result, c.Says, c.Next = doctor.Fail, err.Error(), "Mend console.tls in the configuration, or remove "+pageCertificate+" from the state directory and start the agent again."
	default:
		c.Says = cfg.Console.URL() + ", by the certificate " + fingerprint
	}
	if err := cfg.Console.Ready(); err != nil && c.Result == doctor.OK {
		c.Result, c.Says, c.Next = doctor.Fail, err.Error(), "Make the PIN's file with: sallyport-agent pin."
	}
	return c
}

// signInCheck says how people sign in on the agent's page by name, who then may approve there,
// and what has to be registered for that elsewhere. The provider itself has a check of its own.
func signInCheck(cfg Config) doctor.Check {
	c := doctor.Check{Name: "sign-in on the agent's page", Result: doctor.OK}
	s := cfg.Console.SignIn
	issuer, ok := cfg.console()
	switch {
	case s.Client == "":
		c.Says = "By the PIN alone: people stop, freeze and consent there, and nobody approves."
		return c
	case !ok:
		c.Result, c.Says = doctor.Fail, "No issuer of the hospital's has the client "+s.Client+"."
		c.Next = "Mend console.sign_in or issuers in the configuration."
		return c
	}
	if !s.Secret.IsZero() {
		if _, err := s.Secret.Line(); err != nil {
			c.Result, c.Says, c.Next = doctor.Fail, "The secret of its client cannot be read: "+err.Error(), "Mend console.sign_in.secret in the configuration, or the file."
			return c
		}
	}
	c.Says = fmt.Sprintf("By %s, as the client %s, whose redirect URI there has to be %s. ", issuer.URL, s.Client, cfg.Console.Redirect())
	at, err := cfg.Console.Passkeys()
	if err != nil {
		c.Says += "There are no passkeys: console.host names no host."
		return c
	}
	keys, err := Passkeys(cfg)
	if err != nil {
		c.Result, c.Says, c.Next = doctor.Fail, "The passkeys cannot be read: "+err.Error(), "Restore "+passkeysFile+" in the state directory from a backup, or remove it: then all are registered anew."
		return c
	}
	counting := 0
	for _, k := range keys {
		if k.Public().Counts(time.Now()) {
			counting++
		}
	}
	c.Says += fmt.Sprintf("Passkeys are bound to %s; %d of %d that were registered count.", at.Host(), counting, len(keys))
	return c
}

// diagnosed are readings as the doctor takes them.
func (c *Config) diagnosed(all []console.Reading) (out []doctor.Reading) {
	for _, r := range all {
		needed := r.Source == ofTheLamp && slices.ContainsFunc(c.Assets, func(a Asset) bool { return a.Name == r.Asset && a.Lamp != nil && a.Lamp.Required })
		out = append(out, doctor.Reading{Asset: r.Asset, Source: r.Source, State: r.State, Says: r.Says, Needed: needed})
	}
	return out
}

// CheckIssuers asks the identity providers that are reached from here, and reports those
// that cannot be used as they are configured. One that does not answer is no error.
func CheckIssuers(ctx context.Context, cfg Config) error {
	direct := slices.DeleteFunc(slices.Clone(cfg.Issuers), func(i session.Issuer) bool { return i.Reach == "broker" })
	out, err := proxy.New(cfg.Proxy)
	if err != nil {
		return err
	}
	keys, err := idtoken.NewKeySets(direct, func(session.Issuer) idtoken.Options { return idtoken.Options{Dial: out.DialContext} })
	if err != nil {
		return err
	}
	return keys.Ask(ctx)
}

// Asked is what a token was asked for, and when it came in.
type Asked struct {
	Client, Nonce string
	Fresh         bool
	At            time.Time
}

// CheckToken checks a token as the running agent would, its signature included.
func CheckToken(ctx context.Context, cfg Config, i session.Issuer, asked Asked, token string) doctor.Check {
	err := checkToken(ctx, cfg, i, asked, token)
	if err == nil {
		return doctor.Check{Name: tokenAsAWhole, Result: doctor.OK, Says: "The agent would take it."}
	}
	c := doctor.Check{Name: tokenAsAWhole, Result: doctor.Fail, Says: err.Error(), Next: "See the lines above."}
	var e *session.Error
	if errors.As(err, &e) {
		c.Says, c.Next = e.Message, e.Next
	}
	return c
}

const tokenAsAWhole = "token as a whole"

func checkToken(ctx context.Context, cfg Config, i session.Issuer, asked Asked, token string) error {
	out, err := proxy.New(cfg.Proxy)
	if err != nil {
		return err
	}
	p := doctor.Subject{Nodes: cfg.nodes()}
	if p.Issued, err = (state{cfg.State}).issued(); err != nil && i.Reach == "broker" {
		return err
	}
	keys, err := doctor.Keys(p, doctor.Options{Proxy: out}, i)
	if err != nil {
		return err
	}
	e := idtoken.Expect{Issuer: i.URL, Clients: []string{asked.Client}, Nonce: asked.Nonce, At: asked.At, MaxAge: grant.MaxTokenAge}
	if asked.Fresh {
		e.FreshLogin, e.ACR = i.FreshFor(), cfg.ACR
	}
	_, err = idtoken.Verify(ctx, keys, token, e)
	return err
}

// issued reads the link's certificate as it was kept.
func (s state) issued() (*link.Issued, error) {
	raw, err := os.ReadFile(s.path("link.json"))
	if os.IsNotExist(err) {
		return nil, notEnrolled(err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the link's certificate: %w", err)
	}
	var kept link.Issued
	if err := json.Unmarshal(raw, &kept); err != nil {
		return nil, fmt.Errorf("read the link's certificate: %w", err)
	}
	return &kept, nil
}
