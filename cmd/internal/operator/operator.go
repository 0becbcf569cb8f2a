// Package operator is what the two server commands share at their edge: how they read
// their configuration, log, stop on a signal and tell an operator what came of it or
// went wrong.
package operator

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/cmd/internal/config"
	"github.com/sallyport/sallyport/session"
)

// Exit codes, the same as the people's command.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitDenied  = 4
)

// Run executes a command tree until it returns or a signal stops it, and turns
// its error into one sentence and an exit code.
func Run(root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return session.Errorf(session.Invalid, "%s", err).WithNext("Run it with --help to see what it takes.")
	})
	err := root.ExecuteContext(ctx)
	if err == nil || errors.Is(err, context.Canceled) {
		return exitOK
	}
	asJSON, _ := root.PersistentFlags().GetBool("json")
	complain(stderr, err, asJSON)
	switch session.KindOf(err) {
	case session.Invalid:
		return exitUsage
	case session.Denied, session.Refused, session.Expired:
		return exitDenied
	}
	return exitFailure
}

// Root is the top of a command tree: config is where its configuration usually stands.
func Root(use, short, config string) *cobra.Command {
	root := &cobra.Command{Use: use, Short: short}
	root.PersistentFlags().String("config", config, "configuration file")
	as := root.PersistentFlags().Bool("json", false, "answers and errors as JSON")
	root.PersistentFlags().VarP(output{as}, "output", "o", "text, or json as with --json")
	return root
}

// output is the flag that chooses how answers are written.
type output struct{ json *bool }

func (o output) Type() string { return "form" }

func (o output) String() string {
	if o.json != nil && *o.json {
		return "json"
	}
	return "text"
}

func (o output) Set(s string) error {
	if s != "json" && s != "text" {
		return errors.New("answers are written as text or json")
	}
	*o.json = s == "json"
	return nil
}

// complain writes an error for people or, with asJSON, for scripts.
func complain(w io.Writer, err error, asJSON bool) {
	message, next := strings.Replace(err.Error(), ".: ", ": ", 1), "" // a sentence, and what lies behind it
	var e *session.Error
	if errors.As(err, &e) {
		next = e.Next
	}
	if asJSON {
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"kind": session.KindOf(err), "message": message, "next": next}})
		return
	}
	fmt.Fprintln(w, message)
	if next != "" {
		fmt.Fprintln(w, next)
	}
}

// newLogger logs to w: JSON for machines, text on a terminal.
func newLogger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	opts := &slog.HandlerOptions{Level: level}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// pointer is how a configuration is read: only its pointer validates.
type pointer[C any] interface {
	*C
	config.Validator
	Directory() string // of the program's state
}

// Load reads the configuration that --config names.
func Load[C any, P pointer[C]](cmd *cobra.Command) (C, error) {
	var cfg C
	path, _ := cmd.Flags().GetString("config")
	return cfg, config.Load(path, P(&cfg))
}

// Verb completes a command that does one thing and then tells what came of it, as JSON
// where that is asked, else in words. It takes no arguments where nothing else is said.
func Verb[T any](cmd *cobra.Command, do func(cmd *cobra.Command, args []string) (T, error), words func(out io.Writer, v T)) *cobra.Command {
	if cmd.Args == nil {
		cmd.Args = cobra.NoArgs
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v, err := do(cmd, args)
		if err != nil {
			return err
		}
		return Tell(cmd, v, words)
	}
	return cmd
}

// LoadOwned is Load for what touches the state: the process becomes its owner's.
func LoadOwned[C any, P pointer[C]](cmd *cobra.Command) (C, error) {
	cfg, err := Load[C, P](cmd)
	if err != nil {
		return cfg, err
	}
	return cfg, AsOwner(P(&cfg).Directory(), cmd.Root().Name())
}

// Configured is a Verb that works by the configuration, on the state.
func Configured[C any, P pointer[C], T any](cmd *cobra.Command, do func(cmd *cobra.Command, cfg C, args []string) (T, error), words func(out io.Writer, v T)) *cobra.Command {
	return Verb(cmd, func(cmd *cobra.Command, args []string) (T, error) {
		cfg, err := LoadOwned[C, P](cmd)
		if err != nil {
			var nothing T
			return nothing, err
		}
		return do(cmd, cfg, args)
	}, words)
}

// Tell writes an answer, as JSON where that is asked, else in words.
func Tell[T any](cmd *cobra.Command, v T, words func(out io.Writer, v T)) error {
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	words(out, v)
	return out.Flush()
}
