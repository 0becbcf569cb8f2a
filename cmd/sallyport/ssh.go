package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
)

func (p *program) sshCommand() *cobra.Command {
	return p.signed(&cobra.Command{
		Use:   "ssh SITE/ASSET/SERVICE [-- COMMAND ...]",
		Short: "Connect, or say in one line what is missing",
		Long: `Connect with this machine's own ssh. The broker is asked first, so that you read what
is missing instead of "Permission denied". The exit status is the remote command's;
before ssh runs it is 5 while the hospital has not answered and 4 when it will not
let you in. The site may be left out while the name is one scanner's only.

What follows -- goes to the scanner. Options for ssh itself: use ssh -F with the file
that "sallyport ssh-config" names.`,
		Example: `  sallyport ssh NGH/NGH-PETCT1/recon-ssh
  sallyport ssh NGH/NGH-PETCT1/recon-ssh -- evlog -n 50 -sev E`,
		Args: func(c *cobra.Command, args []string) error {
			if dash := c.ArgsLenAtDash(); len(args) == 1 && dash != 0 || dash == 1 {
				return nil
			}
			return usage("Say which service, and put a command after --").WithNext("As in: sallyport ssh NGH/NGH-PETCT1/recon-ssh -- evlog -n 50")
		},
		ValidArgsFunction: p.targets(),
	}, func(ctx context.Context, who signedIn, args []string) error {
		return p.ssh(ctx, who, args[0], args[1:])
	})
}

// accessTo asks where access to a service stands. of is its full name.
func accessTo(ctx context.Context, who signedIn, typed session.Target) (access api.Access, of session.Target, err error) {
	if typed.Site == "" {
		access, err = client.AccessShort.Get(ctx, who.broker, typed.Asset, typed.Service)
	} else {
		access, err = client.Access.Get(ctx, who.broker, typed.Site, typed.Asset, typed.Service)
	}
	of = session.Target{Site: access.Site, Asset: access.Asset, Service: access.Service}
	if err == nil && (!of.Valid() || of.Site == "" || !typed.Names(of)) {
		err = session.Errorf(session.Internal, "The broker answered for another scanner").WithNext("Tell whoever runs the broker.")
	}
	return access, of, err
}

// entry asks where access to a service stands. What is missing is an error.
func (p *program) entry(ctx context.Context, who signedIn, typed session.Target) (api.Access, session.Target, error) {
	access, of, err := accessTo(ctx, who, typed)
	if err != nil || access.Ready {
		return access, of, err
	}
	e := &session.Error{Kind: access.Kind, Message: cmp.Or(access.Message, "There is no access to "+of.String()+" now"), Next: access.Next}
	if access.Pending {
		e.Err = errWaiting
		e.Kind = session.Refused
		e.Next = cmp.Or(e.Next, "Look again with: sallyport request show "+access.Request)
	}
	if status(e) != exitWaiting && status(e) != exitDenied {
		e.Kind = session.Denied // whatever is missing, the answer to "may I" was no
	}
	return access, of, e
}

// keyed refuses a request whose key is not on this machine.
func keyed(who signedIn, request string) error {
	if _, err := session.ParseRequestID(request); err != nil {
		return err
	}
	if _, err := os.Stat(who.home.Path("keys", request+".key")); err != nil {
		return session.Errorf(session.Refused, "The key of %s is not on this machine", request).
			WithNext("Connect where you made the request, or join from here: sallyport activate " + request)
	}
	return nil
}

func (p *program) ssh(ctx context.Context, who signedIn, target string, command []string) error {
	typed, err := session.ParseTarget(target)
	if err != nil {
		return err
	}
	access, of, err := p.entry(ctx, who, typed)
	if err != nil {
		return err
	}
	written, err := p.writeSSH(ctx, who)
	if err != nil {
		return err
	}
	name := of.Host()
	if !slices.Contains(written.Hosts, name) {
		return session.Errorf(session.Refused, "The agent of %s is not known on this machine", fullName(of.Site, of.Asset, "")).
			WithNext("Get the site's trust bundle from the hospital and run: sallyport trust import FILE")
	}
	if access.Request != "" {
		if err := keyed(who, access.Request); err != nil {
			return err
		}
	}
	return p.runSSH(written.Path, name, command)
}

// runSSH runs the system's ssh on our own terminal and waits for it. Keyboard
// signals reach it by the terminal; those sent to us are passed on.
func (p *program) runSSH(config, name string, command []string) error {
	path, err := exec.LookPath("ssh")
	if err != nil {
		return session.Errorf(session.Internal, "There is no ssh on this machine").WithNext("Install the OpenSSH client, then run the command again.")
	}
	args := []string{"-F", config, name}
	if len(command) > 0 {
		args = append(append(args, "--"), command...)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = p.stdin, p.stdout, p.stderr, p.env
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return session.Errorf(session.Internal, "ssh could not be started: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // owned by the loop below
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM || s == syscall.SIGHUP || !isTerminal(p.stdin) {
				_ = cmd.Process.Signal(s)
			}
		case err := <-ended:
			return remote(err)
		}
	}
}

func remote(err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return remoteStatus(exit.ExitCode())
	case errors.As(err, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return remoteStatus(128 + int(ws.Signal()))
		}
	}
	return session.Errorf(session.Internal, "ssh did not end well: %w", err)
}
