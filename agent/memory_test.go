package agent

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/agent/engine/screen"
	"github.com/sallyport/sallyport/agent/engine/shell"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/held"
)

const shareCost, largest = 4 << 20, screen.PixelCost * session.LargestConsole // of a channel, of a console

// What all sessions hold fits the unit, with room for all else.
func TestSessionsFitTheUnit(t *testing.T) {
	text, err := os.ReadFile("../deploy/systemd/sallyport-agent.service")
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) int {
		m := regexp.MustCompile(`(?m)^` + name + `=(\d+)(MiB|G)$`).FindStringSubmatch(string(text))
		if m == nil {
			t.Fatalf("no %s that is understood", name)
		}
		n, _ := strconv.Atoi(m[1])
		return n * map[string]int{"MiB": 1 << 20, "G": 1 << 30}[m[2]]
	}
	soft, hard := read("Environment=GOMEMLIMIT"), read("MemoryMax")
	if maxHeld+256<<20 > soft || soft+256<<20 > hard {
		t.Errorf("sessions hold %d MiB, the collector works harder from %d on, and the unit ends at %d", maxHeld>>20, soft>>20, hard>>20)
	}
	if !strings.Contains(string(text), fmt.Sprintf("%d MiB", maxHeld>>20)) {
		t.Errorf("the unit does not say that sessions hold %d MiB", maxHeld>>20)
	}
	if n := maxHeld - shell.Aside; n/3 < 2*largest || n < 192*shareCost {
		t.Errorf("%d MiB are too little for the largest consoles of a session, or for all channels", n>>20)
	}
	t.Logf("ATTACK | all that sessions may hold at once | 256 MiB below GOMEMLIMIT, which is as much below MemoryMax | %d of %d of %d MiB | holds", maxHeld>>20, soft>>20, hard>>20)
}

// People of one vendor, who open consoles of every protocol and channels as they can, leave
// another vendor's engineer a console and shells.
func TestACrowdOfOneVendorLeavesRoom(t *testing.T) {
	m := held.NewMemory(maxHeld - shell.Aside)
	taken := 0
	for n := range 200 {
		of := held.Owner{Session: session.NewID(), Who: session.Identity{Iss: "loud", Sub: fmt.Sprint(n)}}
		for _, size := range []int{largest, largest, shareCost, shareCost} {
			if err := m.Change(of, 0, size); err == nil {
				taken += size
			} else if session.KindOf(err) != session.Refused {
				t.Fatal(err)
			}
		}
	}
	other := held.Owner{Session: session.NewID(), Who: session.Identity{Iss: "other", Sub: "ina"}}
	for _, size := range []int{largest, shareCost, shareCost, shareCost, shareCost} {
		if err := m.Change(other, 0, size); err != nil {
			t.Errorf("another vendor: %v", err)
		}
	}
	t.Logf("ATTACK | 200 people of one vendor open all that they can | five eighths of what sessions hold; others go on | %d MiB of %d | holds", taken>>20, (maxHeld-shell.Aside)>>20)
}
