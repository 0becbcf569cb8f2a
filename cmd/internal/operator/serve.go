package operator

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Server is a service that runs until its context ends, and takes what can change of
// another configuration meanwhile. A Reload that fails has changed nothing.
type Server[C any] interface {
	Run(ctx context.Context) error
	Reload(ctx context.Context, cfg C) error
}

// Service is how a program serves.
type Service[C any, S Server[C]] struct {
	Short string
	Open  func(ctx context.Context, cfg C, log *slog.Logger) (S, error)
	Live  []string // the parts of a configuration that Reload takes
}

// Serve is the command that runs a service. SIGHUP has it read its configuration anew.
func Serve[C any, P pointer[C], S Server[C]](of Service[C, S]) *cobra.Command {
	var verbose, tied bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: of.Short,
		Long: of.Short + ".\n\nSIGHUP (systemctl reload) has it read its configuration anew and take these parts of it:\n" +
			strings.Join(of.Live, ", ") + ". What runs goes on; what else changed waits for a restart, and the log\nsays so. A configuration that cannot be used is refused there, and the old one goes on.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hup := make(chan os.Signal, 1) // before anything is open: a signal must not end what has begun
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			ctx := cmd.Context()
			if tied {
				bound, cancel := untilInputEnds(ctx, os.Stdin)
				defer cancel()
				ctx = bound
			}
			cfg, err := Load[C, P](cmd)
			if err == nil {
				err = NotForAnother(P(&cfg).Directory())
			}
			if err != nil {
				return err
			}
			log := newLogger(cmd.ErrOrStderr(), verbose)
			s, err := of.Open(ctx, cfg, log)
			if err != nil {
				return err
			}
			running, stop := context.WithCancel(ctx)
			done := make(chan struct{})
			go func() {
				defer close(done)
				of.reload(running, hup, cfg, func() (C, error) { return Load[C, P](cmd) }, s, log)
			}()
			err = s.Run(ctx)
			stop()
			<-done
			return err
		},
	}
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log more")
	cmd.Flags().BoolVar(&tied, "until-stdin-ends", false, "stop when standard input ends")
	_ = cmd.Flags().MarkHidden("until-stdin-ends")
	return cmd
}

// reload takes a new configuration at each signal, until ctx ends.
func (of Service[C, S]) reload(ctx context.Context, hup <-chan os.Signal, first C, load func() (C, error), s S, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		}
		cfg, err := load()
		if err == nil {
			err = s.Reload(ctx, cfg)
		}
		if err != nil {
			log.Error("the new configuration is refused; the old one goes on", "err", err)
			continue
		}
		log.Info("the configuration was read anew", "taken", of.Live)
		if waits := changed(first, cfg, of.Live); len(waits) > 0 {
			log.Warn("these parts of the configuration have changed and wait for a restart", "parts", waits)
		}
	}
}

// changed names the parts in which two configurations differ, but for some.
func changed[C any](a, b C, but []string) (names []string) {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		name, _, _ := strings.Cut(x.Type().Field(i).Tag.Get("yaml"), ",")
		if !slices.Contains(but, name) && !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			names = append(names, name)
		}
	}
	return names
}

// untilInputEnds is ctx, and ends also when in does. The demonstration gives its
// children a pipe, so that they never outlive it, however it dies.
func untilInputEnds(ctx context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in)
	}()
	return ctx, cancel
}
