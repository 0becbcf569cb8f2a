package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
)

// The exit statuses.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitNotSignedIn = 3
	exitDenied      = 4
	exitWaiting     = 5
)

// errWaiting marks an error that only says "not yet".
var errWaiting = errors.New("still waiting")

// remoteStatus is how a program that we ran ended; it becomes our own status and
// has been explained by that program already.
type remoteStatus int

func (remoteStatus) Error() string { return "the remote command failed" }

// quietFailure is exit status 1 after an answer that said everything.
type quietFailure struct{}

func (quietFailure) Error() string { return "not as it should be" }

// report writes err for a person, or as JSON, and picks the exit status.
func (p *program) report(err error) int {
	var remote remoteStatus
	if errors.As(err, &remote) {
		return int(remote)
	}
	if errors.Is(err, quietFailure{}) {
		return exitFailure
	}
	e := explain(err)
	if p.asJSON() {
		_ = display.JSON(p.stderr, map[string]any{"error": map[string]any{"kind": e.Kind, "message": sentence(e.Message), "next": e.Next}})
		return status(e)
	}
	p.warn("%s", sentence(e.Message))
	if e.Next != "" {
		p.warn("%s", e.Next)
	}
	return status(e)
}

// explain finds the sentence in an error. Errors that are nobody's words (a disk,
// cobra) are shown as they are.
func explain(err error) *session.Error {
	var e *session.Error
	if full := noRoom(err); full != nil {
		return full
	}
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.Canceled) {
		return &session.Error{Kind: session.Internal, Message: "Stopped", Err: err}
	}
	if text := err.Error(); strings.HasPrefix(text, "unknown command") || strings.HasPrefix(text, "required flag") ||
		strings.Contains(text, "arg(s)") || strings.HasPrefix(text, "invalid argument") || strings.HasPrefix(text, "if any flags") {
		return &session.Error{Kind: session.Invalid, Message: upper(strings.Split(text, "\n")[0]), Next: "See: sallyport --help", Err: err}
	}
	return &session.Error{Kind: session.Internal, Message: upper(err.Error()), Err: err}
}

// noRoom says that a disk of this machine is full, whatever was being done; nil: none is.
func noRoom(err error) *session.Error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) || errors.Is(err, client.ErrFromBroker) {
		return nil
	}
	where := "this machine's disk"
	var file *fs.PathError
	if errors.As(err, &file) {
		where = "the disk of " + file.Path
	}
	return &session.Error{Kind: session.Internal, Message: "There is no space left on " + where, Next: "Make room there, then run the command again.", Err: err}
}

func status(e *session.Error) int {
	switch {
	case errors.Is(e, client.ErrNotSignedIn):
		return exitNotSignedIn
	case errors.Is(e, errWaiting):
		return exitWaiting
	}
	switch e.Kind {
	case session.Denied, session.Refused, session.Expired:
		return exitDenied
	case session.Invalid:
		if !errors.Is(e, client.ErrFromBroker) {
			return exitUsage
		}
	}
	return exitFailure
}

// sentence ends in a full stop, once.
func sentence(s string) string {
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".?:") {
		return s
	}
	return s + "."
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func usage(format string, args ...any) *session.Error {
	return session.Errorf(session.Invalid, format, args...)
}
