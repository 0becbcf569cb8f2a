// Package simulatortest starts simulated scanners' consoles for the tests of what shows and
// records them.
package simulatortest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/session"
)

// Console is a simulated scanner's console that listens, until its test is over.
type Console struct {
	*simulator.Console
	Scanner *simulator.Scanner
	Addr    string // host:port on loopback
}

// Noon is a time at which a console stands still: what it shows changes by what is done to it
// alone.
func Noon() time.Time { return time.Date(2026, 11, 23, 12, 4, 51, 0, time.UTC) }

// Start starts the console of NGH-PETCT1, as it is at every start, at the times that now says.
func Start(t *testing.T, cfg simulator.ConsoleConfig, now func() time.Time) *Console {
	t.Helper()
	s, err := simulator.New(simulator.Config{
		Asset: session.Asset{Name: "NGH-PETCT1", Label: "Helion 64", Modality: "PT/CT"},
		Dir:   t.TempDir(), Now: now, Pace: -1, Seed: 7, Password: "not used here",
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Console(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve the simulated console: %v", err)
		}
	})
	return &Console{c, s, l.Addr().String()}
}

// Port is the port that it listens on.
func (c *Console) Port() string {
	_, port, _ := net.SplitHostPort(c.Addr) // of a listener
	return port
}
