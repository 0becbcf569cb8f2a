package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/proxy"
	"github.com/sallyport/sallyport/session/secret"
)

// ready collects what an agent will need and does not have.
type ready struct {
	missing []error
	notes   []string
}

func (r *ready) miss(message, next string, err error) {
	r.missing = append(r.missing, &session.Error{Kind: session.Invalid, Message: message, Next: next, Err: err})
}

// Ready looks at all that this configuration needs and says what is missing; with login it
// also logs in to every device. It changes nothing.
func Ready(ctx context.Context, cfg Config, login bool) (missing []error, notes []string) {
	r := &ready{}
	r.state(cfg.State)
	if _, err := proxy.New(cfg.Proxy); err != nil {
		r.missing = append(r.missing, err)
	} else if err := CheckIssuers(ctx, cfg); err != nil {
		r.missing = append(r.missing, err)
	}
	r.secret("The proxy's password", cfg.Proxy.Password)
	if err := cfg.Console.Ready(); err != nil {
		r.miss("The PIN of the agent's page cannot be used", "Make its file with: sallyport-agent pin.", err)
	}
	unknown := false
	for _, t := range cfg.targets() {
		at := "for " + t.Asset + " " + t.Endpoint + "/" + t.Service
		unknown = r.secret("The password "+at, t.Login.Password) || unknown
		unknown = r.secret("The key "+at, t.Login.Key) || unknown
		unknown = r.secret("The key's passphrase "+at, t.Login.Passphrase) || unknown
	}
	switch {
	case login && unknown:
		r.notes = append(r.notes, "The logins were not tried: their secrets are there only for the running unit. Its board and its log say what fails")
	case login:
		for _, t := range cfg.targets() {
			if got := t.Try(ctx, true); got.Err != nil {
				r.missing = append(r.missing, got.Err)
			}
		}
	default:
		r.notes = append(r.notes, "The devices were not tried; check --login logs in to each of them, and out again")
	}
	return r.missing, r.notes
}

func (r *ready) state(dir string) {
	err := durable.Usable(dir, maxLooked)
	if errors.Is(err, fs.ErrNotExist) && durable.Usable(filepath.Dir(dir), 0) == nil {
		r.notes = append(r.notes, "The state directory "+dir+" does not exist yet: enrolling makes it")
		return
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.miss("The state directory "+dir+" does not exist", "Make it for the agent's user: install -d -m 0700 -o sallyport-agent -g sallyport-agent "+dir, nil)
		return
	case err != nil:
		r.miss("The state directory "+dir+" cannot be used by the agent's user", "Give it to that user with all that is in it: chown -R sallyport-agent: "+dir, err)
		return
	}
	s := state{dir}
	if _, err := s.issued(); errors.Is(err, fs.ErrNotExist) {
		r.notes = append(r.notes, "This agent is not enrolled yet: get a join token from the broker's operators, then sallyport-agent enrol")
	} else if err != nil {
		r.missing = append(r.missing, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*input*.txt")); err == nil && len(left) > 0 {
		r.notes = append(r.notes, "The hospital's input identity is still on this machine: move "+left[0]+" to the hospital's safe")
	}
}

// secret reports whether it is one that only the unit gets.
func (r *ready) secret(what string, s secret.Reference) (unknown bool) {
	if s.IsZero() {
		return false
	}
	unknown, err := s.Try()
	switch {
	case unknown:
		r.notes = append(r.notes, fmt.Sprintf("%s (%s) was not looked at: systemd hands it over only when it starts the agent", what, s))
	case err != nil:
		r.miss(what+" cannot be read", "Put it there, readable for the agent's user alone, or name it in the unit: LoadCredentialEncrypted=.", err)
	}
	return unknown
}
