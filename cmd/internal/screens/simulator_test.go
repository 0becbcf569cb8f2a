package screens

import (
	"context"
	"image"
	"net"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/session"
)

const password = "c0nsole!"

// noon is a time at which the simulated console's values stand still.
func noon() time.Time { return time.Date(2026, 11, 23, 12, 4, 51, 0, time.UTC) }

// startConsole starts the simulated scanner's console.
func startConsole(t *testing.T, cfg simulator.ConsoleConfig) (*simulator.Scanner, *simulator.Console, string) {
	t.Helper()
	s, err := simulator.New(simulator.Config{
		Asset: session.Asset{Name: "NGH-PETCT1", Label: "Helion 64", Modality: "PT/CT"},
		Dir:   t.TempDir(), Now: noon, Pace: -1, Seed: 7, Password: "not used here",
	})
	must(t, err)
	cfg.Password = password
	c, err := s.Console(cfg)
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return s, c, l.Addr().String()
}

// TigerVNC's viewer shows the simulated console, pixel by pixel, in each encoding; that it is
// an honest console is what every other test rests on.
func TestTheSimulatedConsoleInTigerVNCsViewer(t *testing.T) {
	_, c, addr := startConsole(t, simulator.ConsoleConfig{})
	for _, encoding := range []string{"Tight", "ZRLE", "Raw"} {
		d := startDesk(t, "1400x1150")
		d.viewer(addr, password, "-PreferredEncoding="+encoding)
		size, pix, err := c.Picture()
		must(t, err)
		if size != image.Pt(1280, 1024) {
			t.Fatalf("the console has %v", size)
		}
		until(t, "the viewer shows the console in "+encoding, func() bool {
			on, all := d.picture()
			return holds(on, all, size, pix)
		})
	}
}
