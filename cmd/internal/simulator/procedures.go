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
	c.s.change(func(st *state) { st.restarts[name] = c.s.cfg.Now() })
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
	c.s.change(func(st *state) { st.qc = c.s.cfg.Now() })
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
	c.s.change(func(st *state) {
		if st.qc.After(at) {
			at = st.qc
		}
	})
	rows := c.s.rows("qc", at)
	if i := slices.IndexFunc(rows, func(r row) bool { return r.name == "Normalisation chi2" }); i >= 0 {
		rows = slices.Insert(rows, i+1, row{"Calibration factor (ECF)", fmt.Sprintf("%.2e", c.s.wander("ecf", 3.35e7, 3.45e7, at)), "", "-", "OK"})
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
	c.s.change(func(st *state) { st.boot, st.restarts = c.s.cfg.Now(), map[string]time.Time{} })
	c.s.hangUp()
	return 0
}
