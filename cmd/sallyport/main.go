// Command sallyport is what people use: engineers ask and work, approvers decide,
// auditors replay and verify.
//
// # Voice
//
// Somebody reads this at 3 am, with a scanner down. So:
//
//   - One plain sentence says what happened; the next line says what to do. No
//     stack of causes, no "error:", no exclamation marks, no blame.
//   - Say who: "The hospital has not answered yet", not "pending approval".
//   - Say what was not lost, when somebody could fear it was.
//   - Answers go to standard output; waiting, progress and errors to standard
//     error. Nothing is asked twice, and nothing is asked when there is no terminal.
//   - Commands that are to be typed stand alone at the end of a line, ready to copy.
//   - Times are the reader's own: "12:46 (in 22 min)". In JSON they are RFC 3339 UTC.
//   - Whatever came from outside is cleaned of control characters before a terminal
//     sees it. A scanner's output is replayed through a filter.
//   - Exit status: 0 done, 1 failed, 2 wrong usage, 3 not signed in, 4 denied,
//     refused or over, 5 still waiting. `sallyport ssh` passes the remote status on.
//
// # Layout
//
// A verb is in the file of its name: `sallyport recordings fetch` in recordings_fetch.go,
// `sallyport approve` in approve.go; what the verbs of a noun share is in the noun's own
// file, what all verbs share in verb.go. Whatever is asked of the broker is one line of
// cmd/internal/client/routes.go. documents.go verifies what people signed, format.go reads
// recordings; cmd/internal/{home,signin,console,sshfiles,display} hold the rest and know
// no command.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())
	stop()
	os.Exit(code)
}

// run is the whole command: args without the program's name, the environment as
// of os.Environ. It returns the exit status and leaves nothing running.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr, env: env, now: time.Now, format: containers{}}
	return p.run(ctx, args)
}
