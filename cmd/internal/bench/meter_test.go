//go:build bench

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ticksPerSecond is USER_HZ, in which /proc counts on every Linux.
const ticksPerSecond = 100

// adopt makes orphans of what we start our own children, so that none escapes the meter.
func adopt(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
}

// process is what the meter reads of /proc/PID/stat.
type process struct {
	parent   int
	own      float64 // processor seconds of its own
	children float64 // and of those that it waited for
}

// spent is how many processor seconds everything that we started has used until now,
// those that ended included. What this process itself used is left out: it generates
// and swallows the same bytes on every route.
func spent(t *testing.T) float64 {
	all := map[int]process{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue // it ended meanwhile, and counts with its parent
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		p, err := parseStat(string(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[pid] = p
	}
	self := os.Getpid()
	total := all[self].children
	for pid, p := range all {
		if pid != self && below(all, pid, self) {
			total += p.own + p.children
		}
	}
	return total
}

// parseStat reads proc(5)'s fields 4 and 14 to 17; the name before them may hold anything.
func parseStat(raw string) (process, error) {
	f := strings.Fields(raw[strings.LastIndexByte(raw, ')')+1:])
	if len(f) < 15 {
		return process{}, fmt.Errorf("%d fields", len(f))
	}
	var n [5]int
	for i, at := range []int{1, 11, 12, 13, 14} {
		v, err := strconv.Atoi(f[at])
		if err != nil {
			return process{}, err
		}
		n[i] = v
	}
	return process{n[0], float64(n[1]+n[2]) / ticksPerSecond, float64(n[3]+n[4]) / ticksPerSecond}, nil
}

func below(all map[int]process, pid, top int) bool {
	for range len(all) {
		switch pid {
		case top:
			return true
		case 0, 1:
			return false
		}
		pid = all[pid].parent
	}
	return false
}

// settled waits until what we started has nothing left to do, because work that comes
// after a transfer belongs to it, and returns what was spent by then.
func settled(t *testing.T) float64 {
	const calm = 300 * time.Millisecond
	deadline := time.Now().Add(2 * time.Minute)
	last := spent(t)
	for time.Now().Before(deadline) {
		time.Sleep(calm)
		now := spent(t)
		if now-last <= 2.0/ticksPerSecond {
			return now
		}
		last = now
	}
	t.Fatal("never at rest")
	return 0
}

// bulk takes transfers by every route in turn, and returns their rates, and processor
// seconds per GiB without those of idle, which does all but move anything.
func (s *stage) bulk(take func(route) float64, idle func(route)) (rates, costs samples) {
	logins := s.each(3, func(r route) float64 {
		before := settled(s.t)
		idle(r)
		return settled(s.t) - before
	})
	rates, costs = samples{}, samples{}
	all := s.each(*rounds, func(r route) float64 {
		before := settled(s.t)
		rate := take(r)
		seconds := settled(s.t) - before - median(logins[r.name])
		costs[r.name] = append(costs[r.name], seconds*1024/float64(*size))
		return rate
	})
	for name := range costs {
		costs[name] = costs[name][1:] // each warms up
	}
	return all, costs
}

// forgetPeak begins the count of a process's largest memory anew.
func forgetPeak(t *testing.T, pid int) {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// written is how many bytes a process has had written to disks.
func written(t *testing.T, pid int) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return n
		}
	}
	t.Fatal("no write_bytes")
	return 0
}
