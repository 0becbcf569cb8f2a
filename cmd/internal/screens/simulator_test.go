package screens

import (
	"image"
	"testing"

	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/cmd/internal/simulator/simulatortest"
)

const password = "c0nsole!"

// TigerVNC's viewer shows the simulated console, pixel by pixel, in each encoding; that it is
// an honest console is what every other test rests on.
func TestTheSimulatedConsoleInTigerVNCsViewer(t *testing.T) {
	c := simulatortest.Start(t, simulator.ConsoleConfig{Password: password}, simulatortest.Noon)
	for _, encoding := range []string{"Tight", "ZRLE", "Raw"} {
		d := startDesk(t, "1400x1150")
		d.viewer(c.Addr, password, "-PreferredEncoding="+encoding)
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
