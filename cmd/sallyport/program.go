package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// program is one run of the command: its surroundings and the global flags.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            []string
	now            func() time.Time
	format         recordingFormat // recordings, replaced in tests

	output string // -o
	json   bool   // --json
}

func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !p.asJSON() {
		p.json = wantsJSON(args) // the flags may not have been read that far
	}
	return p.report(err)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "Reach a scanner through the hospital's door",
		Long: `Sallyport opens one recorded, time-limited session from a vendor engineer to one
service of a scanner, once the hospital said yes.

An engineer asks and works:    login, request new, ssh
An approver decides:           request ls, approve, deny, sessions
An auditor looks and checks:   recordings, verify`,
		Example: `  sallyport login --hint jana@meridian.example
  sallyport request new NGH-PETCT1/recon-ssh --reason "Arc faults" --work-order WO-2026-11873 --for 30m --wait
  sallyport ssh NGH-PETCT1/recon-ssh`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args:              cobra.NoArgs,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if p.output != "table" && p.output != "json" {
				return session.Errorf(session.Invalid, "%.40q is not an output format", p.output).WithNext("Use -o json or -o table.")
			}
			return nil
		},
	}
	root.PersistentFlags().StringVarP(&p.output, "output", "o", "table", "how answers are written: table or json")
	root.PersistentFlags().BoolVar(&p.json, "json", false, "the same as -o json")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &session.Error{Kind: session.Invalid, Message: strings.TrimSuffix(err.Error(), "."), Next: "See: " + c.CommandPath() + " --help"}
	})
	root.AddGroup(&cobra.Group{ID: "you", Title: "You:"}, &cobra.Group{ID: "access", Title: "Access:"},
		&cobra.Group{ID: "work", Title: "Sessions and evidence:"}, &cobra.Group{ID: "setup", Title: "Setup:"})
	root.SetHelpCommandGroupID("setup")
	root.SetCompletionCommandGroupID("setup")
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("you", p.loginCommand(), p.logoutCommand(), p.statusCommand())
	add("access", p.assetsCommand(), p.requestCommand(), p.approveCommand(), p.denyCommand(), p.proposeCommand(), p.revokeCommand(), p.activateCommand(), p.sshCommand(), p.connectCommand(), p.criticalCommand(), p.extendCommand(), p.sshConfigCommand())
	add("work", p.sessionsCommand(), p.engineersCommand(), p.recordingsCommand(), p.verifyCommand(), p.auditCommand())
	add("setup", p.trustCommand(), p.versionCommand())
	add("setup", p.demoCommand())
	root.AddCommand(demoChildren()...)
	return root
}

func (p *program) asJSON() bool { return p.json || p.output == "json" }

// wantsJSON reads the wish for JSON from arguments that may not parse.
func wantsJSON(args []string) bool {
	for i, a := range args {
		switch {
		case a == "--":
			return false
		case a == "--json", a == "-ojson", a == "-o=json", a == "--output=json":
			return true
		case (a == "-o" || a == "--output") && i+1 < len(args) && args[i+1] == "json":
			return true
		}
	}
	return false
}

func (p *program) getenv(name string) string {
	value := ""
	for _, pair := range p.env {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			value = v
		}
	}
	return value
}

// say writes one line for a person, on standard error: progress and next steps.
func (p *program) say(format string, args ...any) {
	if !p.asJSON() {
		p.warn(format, args...)
	}
}

// warn writes one line for a person even when the answer is JSON. Every argument
// that came from outside must be a string: strings are cleaned here.
func (p *program) warn(format string, args ...any) {
	fmt.Fprintf(p.stderr, format+"\n", cleaned(args)...)
}

// print writes one line of the answer; strings are cleaned.
func (p *program) print(format string, args ...any) {
	fmt.Fprintf(p.stdout, format+"\n", cleaned(args)...)
}

func cleaned(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case string:
			out[i] = wording.Clean(v)
		case error:
			out[i] = wording.Clean(v.Error())
		case fmt.Stringer:
			out[i] = wording.Clean(v.String())
		default:
			out[i] = a
		}
	}
	return out
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (p *program) home() (home.Home, error) { return home.Find(p.getenv) }

// signedIn is who runs the command, and the way to their broker.
type signedIn struct {
	home   home.Home
	config home.Config
	login  api.Login
	broker *client.Client
}

func (s signedIn) has(role session.Role) bool { return slices.Contains(s.login.Roles, role) }

func (s signedIn) hint() string { return cmp.Or(s.config.Hint, s.login.Person.Email) }

// session is for commands that need a login. It asks nobody.
func (p *program) session() (signedIn, error) {
	h, err := p.home()
	if err != nil {
		return signedIn{}, err
	}
	config, err := h.Config()
	if err != nil {
		return signedIn{}, err
	}
	login, ok, err := h.Session()
	if err != nil {
		return signedIn{}, err
	}
	if !ok || config.Broker == "" {
		return signedIn{}, notSignedIn("You are not signed in", config)
	}
	if !login.Expires.IsZero() && !p.now().Before(login.Expires) {
		return signedIn{}, notSignedIn("Your sign-in is over", config)
	}
	return signedIn{home: h, config: config, login: login, broker: p.client(config, login.Token)}, nil
}

func (p *program) client(to home.Config, token string) *client.Client {
	return client.New(client.Config{Broker: to.Broker, Token: token, Dial: to.Dial, Agent: "sallyport/" + version().Version})
}

func notSignedIn(message string, c home.Config) error {
	next := "Sign in with: sallyport login"
	if c.Hint == "" {
		next += " --hint you@your-company.example"
	}
	if c.Broker == "" {
		next += " --broker https://access.example.org"
	}
	return &session.Error{Kind: session.Denied, Message: message, Next: next, Err: client.ErrNotSignedIn}
}

// local is t in the reader's zone, as "12:46 (in 22 min)".
func (p *program) local(t time.Time) string {
	return display.Clock(t, p.now().In(p.zone()))
}

// zone honours TZ of the given environment, so that in-process runs show what the
// command would.
func (p *program) zone() *time.Location {
	if tz := p.getenv("TZ"); tz != "" {
		if loc, err := time.LoadLocation(strings.TrimPrefix(tz, ":")); err == nil {
			return loc
		}
	}
	return time.Local
}
