package simulator

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session/wording"
)

func serviceCommands() []command {
	return []command{
		{"help", "", "this list", help},
		{"modstate", "", "modality state and next examination", modstate},
		{"evlog", "[-n 50] [-sev E] [-since 24h]", "service event log", evlog},
		{"tubestat", "", "X-ray tube and detector (DMS)", tubestat},
		{"dettemp", "[-a]", "PET detector temperatures, -a all blocks", dettemp},
		{"coolstat", "", "cooling, magnet", coolstat},
		{"dbstat", "", "disks, database, UPS, clock", dbstat},
		{"pacsq", "", "images waiting for the archive", pacsq},
		{"echoscu", "AE", "DICOM C-ECHO to a partner", echoscu},
		{"savelog", "", "write a log bundle into the home directory", savelog},
		{"swversion", "", "installed software", swversion},
		{"fw", "stage|verify|apply|rollback [FILE]", "firmware slots; fw alone shows them", fw},
		{"qc", "run|last", "quality control", qc},
		{"svc", "list|restart NAME", "services of this host", svc},
		{"reboot", "", "restart this host", reboot},
		{"uptime", "", "since the last restart", uptime},
	}
}

func modstate(_ context.Context, c *call) int {
	now := c.s.cfg.Now()
	m := c.s.modality(now)
	c.heading("MODALITY STATE")
	c.printf("%-16s %s\n", "State", m.name)
	c.printf("%-16s %s (%d min)\n", "Since", m.since.UTC().Format("15:04:05"), int(now.Sub(m.since).Minutes()))
	c.printf("%-16s %s\n", "Table", m.table)
	c.printf("%-16s %s\n", "Next exam", m.next.UTC().Format("2006-01-02 15:04"))
	c.printf("%-16s %s\n", "Operator", "meduser")
	c.printf("%-16s %s\n", "AE title", c.s.aeTitle())
	return 0
}

func (s *Scanner) aeTitle() string {
	ae := strings.ToUpper(strings.ReplaceAll(s.cfg.Asset.Name, "-", "_"))
	return ae[:min(16, len(ae))]
}

func (s *Scanner) site() string {
	site, _, _ := strings.Cut(strings.ToUpper(s.cfg.Asset.Name), "-")
	return site
}

func tubestat(_ context.Context, c *call) int {
	if !c.s.is("CT") {
		return c.fail(1, "this system has no X-ray tube")
	}
	now := c.s.cfg.Now()
	arcs := c.s.draw("arcs", now.Unix()/86400) % 4
	rows := []row{
		{"Tube scan seconds", fmt.Sprint(c.s.counter(112000, 110.6, now)), "s", "-", "OK"},
		{"Gantry rotations", fmt.Sprintf("%.3f", float64(c.s.counter(4_100_000, 2480, now))/1e6), "M", "-", "OK"},
		{"Tube arcs, last 24 h", fmt.Sprint(arcs), "", "<= 7", "OK"},
	}
	c.table("X-RAY TUBE", append(rows, c.s.rows("tube", now)...))
	return 0
}

const (
	petRings  = 4
	petBlocks = 48 // of each ring
	blockWarn = 26.0
	blockTop  = 28.0
)

func (s *Scanner) blockTemp(n int, t time.Time) float64 {
	return s.wander(fmt.Sprint("block ", n), 19.4, 23.8, t)
}

func dettemp(_ context.Context, c *call) int {
	if !c.s.is("PT") {
		return c.fail(1, "this system has no PET detectors")
	}
	now := c.s.cfg.Now()
	c.heading("DETECTOR TEMPERATURE")
	c.printf("%-6s %-9s %8s %8s %8s %-8s %-14s %s\n", "RING", "BLOCKS", "MIN C", "MEAN C", "MAX C", "HOTTEST", "WARN/ALARM C", "STATE")
	for ring := range petRings {
		c.ring(ring, now)
	}
	if len(c.args) > 0 && c.args[0] == "-a" {
		for n := range petRings * petBlocks {
			c.printf(" %3d %4.1f", n, c.s.blockTemp(n, now))
			if n%8 == 7 {
				c.printf("\n")
			}
		}
	}
	c.printf("\n")
	c.table("DETECTOR SIGNAL", c.s.rows("detector", now))
	c.printf("%d blocks, %d failed (limit 2)\n", petRings*petBlocks, c.s.draw("failed blocks")%2)
	return 0
}

// ring sums up the temperatures of one ring of blocks.
func (s *Scanner) ring(ring int, now time.Time) (lo, mean, hi float64, hottest int) {
	lo, hi = 99, -99
	for i := range petBlocks {
		n := ring*petBlocks + i
		v := s.blockTemp(n, now)
		mean += v / petBlocks
		lo = min(lo, v)
		if v > hi {
			hi, hottest = v, n
		}
	}
	return lo, mean, hi, hottest
}

func heat(c float64) (state string) {
	if c > blockWarn {
		return "WARN"
	}
	return "OK"
}

// hottest is the temperature of a ring's hottest block.
func (s *Scanner) hottest(ring int, now time.Time) row {
	_, _, hi, _ := s.ring(ring, now)
	return row{fmt.Sprintf("Detector ring %d, hottest", ring+1), fmt.Sprintf("%.1f", hi), "C", fmt.Sprintf("<= %.1f", blockWarn), heat(hi)}
}

func (c *call) ring(ring int, now time.Time) {
	lo, mean, hi, hottest := c.s.ring(ring, now)
	c.printf("%-6d %3d-%-5d %8.1f %8.1f %8.1f %-8d %4.1f / %-7.1f %s\n", ring+1, ring*petBlocks, (ring+1)*petBlocks-1,
		lo, mean, hi, hottest, blockWarn, blockTop, heat(hi))
}

func coolstat(_ context.Context, c *call) int {
	now := c.s.cfg.Now()
	rows := c.s.rows("cooling", now)
	if c.s.is("MR") {
		rows = append(rows, row{"Cold head hours", fmt.Sprint(c.s.counter(21430, 24, now)), "h", "-", "OK"})
	}
	if len(rows) == 0 {
		return c.fail(1, "this system reports no cooling")
	}
	c.table("COOLING", rows)
	return 0
}

func dbstat(_ context.Context, c *call) int {
	now := c.s.cfg.Now()
	age := 9 + c.s.counter(0, 1, now)%60
	c.table("HOST AND DATABASE", append(c.s.rows("host", now), row{"Antivirus pattern age", fmt.Sprint(age), "d", "<= 90", "OK"}))
	return 0
}

func pacsq(_ context.Context, c *call) int {
	now := c.s.cfg.Now()
	jobs := int(c.s.draw("pacsq", now.Unix()/120) % 5)
	c.heading("ARCHIVE QUEUE")
	c.printf("%-6s %-10s %-14s %8s %8s %s\n", "JOB", "PATIENT", "TO", "IMAGES", "SENT", "STATE")
	for i := range jobs {
		id := 4711 + now.Unix()/120%1000*5 + int64(i)
		images := 40 + c.s.draw("images", id)%600
		sent, state := uint64(0), "waiting"
		if i == 0 {
			sent, state = images*uint64(now.Unix()%120)/120, "sending"
		}
		c.printf("%-6d T-%06d   %-14s %8d %8d %s\n", id, 100+c.s.draw("pid", id)%900, c.s.site()+"_PACS", images, sent, state)
	}
	c.printf("Jobs in queue: %d\n", jobs)
	return 0
}

func echoscu(ctx context.Context, c *call) int {
	if len(c.args) != 1 || c.args[0] == "" || len(c.args[0]) > 16 {
		return c.fail(statusUsage, "name the AE title to call, such as %s_PACS", c.s.site())
	}
	called := wording.Clean(c.args[0])
	c.printf("Requesting association  calling %s  called %s\n", c.s.aeTitle(), called)
	if !pause(ctx, c.s.cfg.Pace) {
		return statusInterrupted
	}
	switch called {
	case c.s.site() + "_PACS", c.s.site() + "_RIS", c.s.aeTitle():
	default:
		c.printf("Association rejected: called AE title not recognized (source 1, reason 7)\n")
		return 1
	}
	c.printf("Association accepted    max PDU 16384, implementation NGHPACS_36\n")
	ms := 3 + 20*c.s.part("echo", called, c.s.cfg.Now().Unix()/10)
	c.printf("C-ECHO response         status 0x0000 success, %.1f ms\n", ms)
	c.printf("Association released\n")
	return 0
}

// swversion prints plain ASCII without quotes, backslashes or angle brackets: scripts of
// every kind compare it.
func swversion(_ context.Context, c *call) int {
	a := c.s.cfg.Asset
	for _, line := range [][2]string{
		{"System", ascii(a.Name + "  " + a.Label + "  " + a.Modality)},
		{"Serial", "MCT-" + fmt.Sprint(10000+c.s.draw("serial")%900)},
		{"Location", "400-" + fmt.Sprint(100000+c.s.draw("location")%900000)},
		{"Software", c.s.version()},
		{"Recon", "RECON 7.4." + fmt.Sprint(c.s.draw("recon")%30)},
		{"Kernel", "Linux 4.4.180-recon x86_64"},
		{"Antivirus", "engine 10.2, patterns loaded"},
	} {
		c.printf("%-10s %s\n", line[0], line[1])
	}
	return 0
}

func uptime(_ context.Context, c *call) int {
	now := c.s.cfg.Now()
	c.s.mu.Lock()
	up, users := now.Sub(c.s.state.boot), len(c.s.conns)
	c.s.mu.Unlock()
	load := func(m int) float64 { return c.s.wander(fmt.Sprint("load", m), 0.2, 1.9, now) }
	c.printf(" %s up %d days, %d:%02d, %d users, load average: %.2f, %.2f, %.2f\n", now.UTC().Format("15:04:05"),
		int(up.Hours())/24, int(up.Hours())%24, int(up.Minutes())%60, users, load(1), load(5), load(15))
	return 0
}
