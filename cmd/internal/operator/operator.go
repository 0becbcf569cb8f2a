// Package operator is what the two server commands share at their edge: how they
// log, stop on a signal and tell an operator what went wrong.
package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

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
	Complain(stderr, err, asJSON)
	switch session.KindOf(err) {
	case session.Invalid:
		return exitUsage
	case session.Denied, session.Refused, session.Expired:
		return exitDenied
	}
	return exitFailure
}

// Complain writes an error for people or, with asJSON, for scripts.
func Complain(w io.Writer, err error, asJSON bool) {
	message, next := err.Error(), ""
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

// Logger logs to w: JSON for machines, text on a terminal.
func Logger(w io.Writer, verbose bool) *slog.Logger {
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

// UntilInputEnds is ctx, and ends also when in does. The demonstration gives its
// children a pipe, so that they never outlive it, however it dies.
func UntilInputEnds(ctx context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in)
	}()
	return ctx, cancel
}

// Server is a service that runs until its context ends.
type Server interface {
	Run(ctx context.Context) error
}

// Serve is the command that runs a service; open makes it ready from its configuration.
func Serve(short string, open func(cmd *cobra.Command, log *slog.Logger) (Server, error)) *cobra.Command {
	var verbose, tied bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if tied {
				bound, cancel := UntilInputEnds(ctx, os.Stdin)
				defer cancel()
				ctx = bound
			}
			s, err := open(cmd, Logger(cmd.ErrOrStderr(), verbose))
			if err != nil {
				return err
			}
			return s.Run(ctx)
		},
	}
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log more")
	cmd.Flags().BoolVar(&tied, "until-stdin-ends", false, "stop when standard input ends")
	_ = cmd.Flags().MarkHidden("until-stdin-ends")
	return cmd
}

// Check is the command that reads a configuration and says whether it can be used.
func Check(load func(cmd *cobra.Command) error) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Read the configuration and say whether it can be used",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := load(cmd); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The configuration can be used.")
			return nil
		},
	}
}
