//go:build bench

package attached

import (
	"fmt"
	"image"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/cmd/internal/simulator/simulatortest"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/vnc"
)

// Binaries that are measured are built as they ship.
var buildFlags = []string{"-trimpath", "-ldflags=-s -w"}

// figure prints one line of the table.
func figure(what string, ours float64, unit, beside, target string, met bool) {
	verdict := "met"
	if !met {
		verdict = "MISSED"
	}
	fmt.Printf("%-58s %9.3g %-10s %-28s %-12s %s\n", what, ours, unit, beside, target, verdict)
}

// TestFigures measures a console through agent and broker, beside a direct connection of the
// same viewer to the same server. It fails when something cannot be measured, not when a
// target is missed: a busy machine is no bug.
func TestFigures(t *testing.T) {
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("load before: %s", load)
	c := startConsole(t, simulator.ConsoleConfig{})
	flood := startConsole(t, simulator.ConsoleConfig{Mode: simulator.ConsoleFlood, Size: image.Pt(1920, 1080)})
	const other = "NGH-CT2"
	ready := demo(t, "--agent-config", assets(t, "", map[string]string{scanner: "port: " + c.Port(), other: "port: " + flood.Port()}))
	engineer, approver := signIn(t, ready.Web, "engineer"), signIn(t, ready.Web, "approver")

	key, id := agreedOn(engineer, approver, scanner, "console-vnc", session.Control)
	w := engineer.look(key, id, scanner, "console-vnc")
	keysToPixels(t, c, w)
	var joins []float64
	for range 10 {
		late := engineer.look(key, id, scanner, "console-vnc")
		joins = append(joins, float64(late.first.Milliseconds()))
		_ = late.conn.Close()
		until(t, "it has left", func() error { time.Sleep(50 * time.Millisecond); return nil })
	}
	figure("first whole picture of who joins late, median", median(joins), "ms", "", "<= 300", median(joins) <= 300)
	_ = w.conn.Close()

	before := resident(t, ready.PIDs["agent"])
	key, id = agreedOn(engineer, approver, other, "console-vnc", session.Control)
	w = engineer.look(key, id, other, "console-vnc")
	worked, from := processor(t, ready.PIDs["agent"]), w.seen()
	ours := rate(w, 10*time.Second)
	cost := 1000 * (processor(t, ready.PIDs["agent"]) - worked) / float64(w.seen()-from)
	after := resident(t, ready.PIDs["agent"])
	figure("one session at 1920x1080 in the agent", after-before, "MB", "", "<= 60", after-before <= 60)
	_ = w.conn.Close()
	direct := rate(directly(t, flood), 10*time.Second)
	figure("full-screen changes at 1920x1080 to one viewer", ours, "a second", fmt.Sprintf("direct %.3g, ratio %.2f", direct, ours/direct), ">= 20", ours >= 20)
	figure("the agent's processor time of such a change", cost, "ms", fmt.Sprintf("%.3g a second and processor", 1000/cost), "<= 50", cost <= 50)
	hours(t)
}

// directly is the same viewer without us.
func directly(t *testing.T, c *console) *window {
	w := &window{t: t}
	conn, err := net.Dial("tcp", "127.0.0.1:"+c.Port())
	must(t, err)
	w.conn = conn
	w.Client, err = vnc.Connect(t.Context(), conn, screen.New(screen.Masks{}, w), vnc.Config{})
	must(t, err)
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Run() }()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	w.until("shows something", func() bool { return w.changes > 0 })
	return w
}

// keysToPixels types at both viewers in turns, and takes the time until each shows it.
func keysToPixels(t *testing.T, c *console, w *window) {
	d := directly(t, c)
	var took [2][]float64
	for n := range 200 {
		for i, by := range []*window{d, w} {
			time.Sleep(50 * time.Millisecond) // what the last key changed has long been shown
			before, at := by.seen(), time.Now()
			by.types([]uint32{'a', keyBackSpace}[n%2])
			until(t, "the key is shown", func() error {
				for range 100 {
					if by.seen() > before {
						return nil
					}
					time.Sleep(50 * time.Microsecond)
				}
				return errNotYet
			})
			took[i] = append(took[i], float64(time.Since(at).Microseconds())/1000)
		}
	}
	direct, ours := median(took[0]), median(took[1])
	figure("key to pixel, median", ours, "ms", fmt.Sprintf("direct %.3g, ratio %.2f", direct, ours/direct), "<= 10 added", ours-direct <= 10)
}

const keyBackSpace = 0xff08

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// rate is how many changes a second a window shows.
func rate(w *window, d time.Duration) float64 {
	from, at := w.seen(), time.Now()
	time.Sleep(d)
	return float64(w.seen()-from) / time.Since(at).Seconds()
}

// resident is the memory of a process, in MB.
func resident(t *testing.T, pid int) (mb float64) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	for line := range strings.Lines(string(raw)) {
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &mb); err == nil {
			return mb / 1000
		}
	}
	t.Fatalf("%s", raw)
	return 0
}

// processor is the processor time that a process took, in seconds: what others do on this
// machine is not counted, nor is what console and viewer take.
func processor(t *testing.T, pid int) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(raw), ") ") // the name may hold anything
	words := strings.Fields(rest)
	const user, system, second = 11, 12, 100 // proc_pid_stat(5), counted from the state; USER_HZ
	var ticks [2]float64
	for i, at := range []int{user, system} {
		_, err := fmt.Sscan(words[at], &ticks[i])
		must(t, err)
	}
	return (ticks[0] + ticks[1]) / second
}

// hours is what an hour of a console costs on record: idle, and worked at. Its clock runs, and
// says that it is night: a scanner that scans is not idle.
func hours(t *testing.T) {
	night, began := time.Date(2026, 11, 23, 2, 4, 51, 0, time.UTC), time.Now()
	c := simulatortest.Start(t, simulator.ConsoleConfig{}, func() time.Time { return night.Add(time.Since(began)) })
	ready := demo(t, "--agent-config", assets(t, "", map[string]string{scanner: "port: " + c.Port()}))
	engineer, approver := signIn(t, ready.Web, "engineer"), signIn(t, ready.Web, "approver")
	key, id := agreedOn(engineer, approver, scanner, "console-vnc", session.Control)
	w := engineer.look(key, id, scanner, "console-vnc")
	vault := filepath.Join(filepath.Dir(ready.AgentConfig), "broker", "vault")
	cost := func(least time.Duration, do func(until time.Time)) float64 {
		first, from := arrival(t, vault, func() {})
		last, to := arrival(t, vault, func() { do(time.Now().Add(least)) })
		return float64(to-from) / last.Sub(first).Hours() / 1e6
	}
	time.Sleep(12 * time.Second) // the first picture has been put away
	idle := cost(3*time.Minute, func(end time.Time) { time.Sleep(time.Until(end)) })
	// These minutes hold no snapshot, which comes in one of 120 segments of ten seconds.
	idle += 3 * float64(largest(vault, recordings.SegmentPart(1))) / 1e6
	figure("an hour of an idle console on record", idle, "MB", "", "<= 1", idle <= 1)
	worked := cost(time.Minute, func(end time.Time) {
		for n := 0; time.Now().Before(end); n++ {
			for _, r := range []string{"coolstat", "dettemp", "evlog", "dbstat"}[n%4] {
				w.types(uint32(r))
				must(t, w.Point(screen.Pointer{At: image.Pt(100+n*37%1000, 200+n*53%700)}))
				time.Sleep(250 * time.Millisecond)
			}
			w.types(0xff0d)
			time.Sleep(2 * time.Second)
		}
	})
	figure("an hour of a console that is worked at on record", worked, "MB", "", "<= 60", worked <= 60)
}

// arrival does something and then waits for the next segment to come to the vault: when it
// did, and how many bytes all recordings have there then. From one to another nothing is on
// the way that is counted at one end only.
func arrival(t *testing.T, vault string, do func()) (at time.Time, bytes int64) {
	do()
	parts, _ := stored(vault)
	deadline := time.Now().Add(3 * time.Minute)
	for time.Now().Before(deadline) {
		n, bytes := stored(vault)
		if n > parts {
			return time.Now(), bytes
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("nothing more comes to the vault")
	return at, 0
}

// largest is how large a part of this name is in the vault: of all segments the second holds
// what stood when it began, and little beside it while nothing happens.
func largest(vault, part string) (bytes int64) {
	_ = filepath.WalkDir(vault, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() != part {
			return nil
		}
		if info, err := e.Info(); err == nil {
			bytes = max(bytes, info.Size())
		}
		return nil
	})
	return bytes
}

// stored is what is in the vault of all recordings: parts, and bytes. What vanishes on the
// way is not there.
func stored(vault string) (parts int, bytes int64) {
	_ = filepath.WalkDir(vault, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.Contains(path, "/V-") {
			return nil
		}
		if info, err := e.Info(); err == nil {
			parts, bytes = parts+1, bytes+info.Size()
		}
		return nil
	})
	return parts, bytes
}
