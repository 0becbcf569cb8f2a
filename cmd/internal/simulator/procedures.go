package simulator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session/wording"
)

// steps shows a procedure's progress line by line; false when it was interrupted.
func (c *call) steps(ctx context.Context, names ...string) bool {
	for i, name := range names {
		if !pause(ctx, c.s.cfg.Pace) {
			return false
		}
		c.printf("  [%d/%d] %-44s done\n", i+1, len(names), name)
	}
	return true
}

func (s *Scanner) services() []string {
	out := []string{"acqsrv", "coolmon", "dbsrv", "dicomsrv", "eventlogd", "reconsrv"}
	if s.is("MR") {
		out = append(out, "magmon")
	}
	if s.is("CT") {
		out = append(out, "xraysrv")
	}
	return out
}

func svc(ctx context.Context, c *call) int {
	switch {
	case len(c.args) == 1 && c.args[0] == "list":
		return c.listServices()
	case len(c.args) == 2 && c.args[0] == "restart":
		return c.restartService(ctx, c.args[1])
	}
	return c.fail(statusUsage, "use svc list or svc restart NAME")
}

func (c *call) listServices() int {
	now := c.s.cfg.Now()
	c.s.mu.Lock()
	boot, restarts := c.s.state.boot, maps.Clone(c.s.state.restarts)
	c.s.mu.Unlock()
	c.printf("%-12s %-8s %6s  %s\n", "SERVICE", "STATE", "PID", "RUNNING FOR")
	for i, name := range c.s.services() {
		since, again := restarts[name]
		if !again {
			since = boot.Add(time.Minute)
		}
		pid := 800 + 37*i + int(c.s.draw(name, since.Unix())%30000)
		c.printf("%-12s %-8s %6d  %s\n", name, "running", pid, span(now.Sub(since)))
	}
	return 0
}

// span shows a duration as people read it: 1m30s, 49d 15h.
func span(d time.Duration) string {
	if d < 24*time.Hour {
		return d.Truncate(time.Second).String()
	}
	return fmt.Sprintf("%dd %dh", int(d.Hours())/24, int(d.Hours())%24)
}

func (c *call) restartService(ctx context.Context, name string) int {
	if !slices.Contains(c.s.services(), name) {
		return c.fail(1, "no service %s here; svc list shows them", wording.Clean(name))
	}
	if !c.steps(ctx, "stop "+name, "release shared memory", "start "+name, "wait for its heartbeat") {
		return statusInterrupted
	}
	c.s.mu.Lock()
	c.s.state.restarts[name] = c.s.cfg.Now()
	c.s.mu.Unlock()
	c.s.record("I", "SRV", "SRV_031", "Service "+name+" restarted by "+c.s.cfg.User)
	c.printf("%s is running\n", name)
	return 0
}

func qc(ctx context.Context, c *call) int {
	switch {
	case len(c.args) == 1 && c.args[0] == "last":
		return c.qcResult()
	case len(c.args) != 1 || c.args[0] != "run":
		return c.fail(statusUsage, "use qc run or qc last")
	}
	if m := c.s.modality(c.s.cfg.Now()); m.name != "clinical_idle" {
		c.printf("Note: modality state is %s\n", m.name)
	}
	if !c.steps(ctx, "phantom position", "calibration read", "acquire", "evaluate", "store report") {
		return statusInterrupted
	}
	c.s.mu.Lock()
	c.s.state.qc = c.s.cfg.Now()
	c.s.mu.Unlock()
	c.s.record("I", "QC", "QC_001", "Quality control run by "+c.s.cfg.User)
	return c.qcResult()
}

// qcResult shows the last run: by hand, or the daily one at 06:40 UTC.
func (c *call) qcResult() int {
	now := c.s.cfg.Now().UTC()
	daily := time.Date(now.Year(), now.Month(), now.Day(), 6, 40, 0, 0, time.UTC)
	if daily.After(now) {
		daily = daily.AddDate(0, 0, -1)
	}
	at := daily
	c.s.mu.Lock()
	if c.s.state.qc.After(at) {
		at = c.s.state.qc
	}
	c.s.mu.Unlock()
	var rows []row
	if c.s.is("CT") {
		rows = append(rows, c.s.read(gauge{"Water value", "HU", -3, 3, 1, -4, 4}, at), c.s.read(gauge{"Noise, 20 cm water", "HU", 5, 8, 1, 0, 9}, at))
	}
	if c.s.is("PT") {
		rows = append(rows, c.s.read(gauge{"Normalisation chi2", "", 0.9, 1.2, 2, 0.7, 1.5}, at),
			row{"Calibration factor (ECF)", fmt.Sprintf("%.2e", c.s.wander("ecf", 3.35e7, 3.45e7, at)), "", "-", "OK"})
	}
	if c.s.is("MR") {
		rows = append(rows, c.s.read(gauge{"Body coil SNR", "dB", 41, 45, 1, 38, 0}, at), c.s.read(gauge{"Ghosting", "%", 0.2, 0.9, 2, 0, 1.5}, at))
	}
	c.table("QUALITY CONTROL", rows)
	result, status := "PASS", 0
	if slices.ContainsFunc(rows, func(r row) bool { return r.state != "OK" }) {
		result, status = "FAIL", 1
	}
	c.printf("Run %s UTC   result %s\n", at.UTC().Format("2006-01-02 15:04"), result)
	return status
}

// reboot closes every connection, once the asset's name has been typed.
func reboot(ctx context.Context, c *call) int {
	name := c.s.cfg.Asset.Name
	c.printf("Restarting %s ends all sessions and, for some minutes, reconstruction.\n", name)
	typed, err := c.ask("Type the asset name to go on: ")
	if err != nil || strings.TrimSpace(typed) != name {
		return c.fail(1, "not confirmed, nothing was done")
	}
	c.s.record("W", "SRV", "SRV_040", "Restart ordered by "+c.s.cfg.User)
	if !c.steps(ctx, "stop services", "unmount data partitions") {
		return statusInterrupted
	}
	c.printf("Restarting now.\n")
	c.s.mu.Lock()
	c.s.state.boot = c.s.cfg.Now()
	clear(c.s.state.restarts)
	c.s.mu.Unlock()
	c.s.hangUp()
	return 0
}
