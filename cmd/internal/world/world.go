// Package world is a whole Sallyport on loopback: a broker, an agent, two
// identity providers, Redis in memory and simulated scanners. It is the
// demonstration, and the ground of the end-to-end tests. Broker and agent run as
// child processes of the same binary, so that they can be stopped and killed as in
// life; everything else lives in this process.
package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/session"
)

// Options say where the world stands.
type Options struct {
	State       string       // directory for everything; made if missing
	Ready       string       // file written when all is reachable; may be empty
	Web         string       // loopback address of web and link; default 127.0.0.1:7080, or a free port
	SSH         string       // loopback address of the jump host; default 127.0.0.1:7022, or a free port
	AgentConfig string       // YAML whose assets replace the simulated ones; may be empty
	Redis       string       // URL of a server that others keep; empty: one in memory
	Exe         string       // this binary, for the children; default os.Executable
	Out         io.Writer    // takes the page for people
	Log         *slog.Logger //
}

// The names that the demonstration gives its parts.
const (
	site      = "NGH"
	agentName = "ngh-1"
	nodeName  = "broker"
)

// How our own binary is called to be a child process.
const (
	BrokerChild = "demo-broker"
	AgentChild  = "demo-agent"
)

// world is one running demonstration.
type world struct {
	o   Options
	web string // host:port
	ssh string
	// console is where the agent's own page stands.
	console string
	peers   peers
	agent   agent.Config
	group   *errgroup.Group

	mu    sync.Mutex
	pids  map[string]int
	ready *Ready // nil until everything is reachable
}

// Run builds the world and keeps it going until ctx ends.
func Run(ctx context.Context, o Options) error {
	w, err := plan(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.group, ctx = errgroup.WithContext(ctx)
	if err = w.raise(ctx); err == nil {
		err = w.page(o.Out)
	}
	if err == nil {
		<-ctx.Done()
	}
	cancel()
	if werr := w.group.Wait(); !errors.Is(werr, context.Canceled) {
		err = errors.Join(werr, err)
	}
	if o.Ready != "" {
		_ = os.Remove(o.Ready)
	}
	return err
}

// plan checks the options and settles the addresses.
func plan(o Options) (*world, error) {
	w := &world{o: o, pids: map[string]int{}}
	var err error
	if w.o.State, err = filepath.Abs(o.State); err != nil {
		return nil, err
	}
	if w.o.Exe == "" {
		if w.o.Exe, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find our own binary: %w", err)
		}
	}
	if w.web, err = settle("--web", o.Web, "127.0.0.1:7080"); err != nil {
		return nil, err
	}
	if w.ssh, err = settle("--ssh", o.SSH, "127.0.0.1:7022"); err != nil {
		return nil, err
	}
	page := ""
	if o.Web != "" { // another demonstration may run, or begin in this moment
		page = "127.0.0.1:0"
	}
	if w.console, err = settle("the agent's page", page, "127.0.0.1:7443"); err != nil {
		return nil, err
	}
	for _, dir := range []string{"", "logs", "redis", "idp", "broker", "agent", "agent/secrets", "scanners", "personas", "mail"} {
		if err := os.MkdirAll(filepath.Join(w.o.State, dir), 0o700); err != nil {
			return nil, &session.Error{Kind: session.Invalid, Message: "The demonstration's state directory cannot be made", Next: "Name another one with --state.", Err: err}
		}
	}
	return w, nil
}

// raise brings the parts up, each after what it needs.
func (w *world) raise(ctx context.Context) error {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"start Redis in memory", w.startRedis},
		{"start the identity providers", w.startIssuers},
		{"start the simulated scanners", w.startScanners},
		{"start the broker", w.startBroker},
		{"start the agent", w.startAgent},
		{"write the personas' homes", w.writePersonas},
		{"write the ready file", w.publish},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.o.State}, parts...)...)
}

func (w *world) url() string { return "http://" + w.web }
