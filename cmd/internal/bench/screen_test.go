//go:build bench

package bench

import (
	"encoding/json"
	"fmt"
	"image"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/cmd/internal/simulator/simulatortest"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/vnc"
)

// unrecorded makes an agent of which nothing is recorded but that sessions were: by an overlay,
// so that no file of the product can.
var unrecorded = map[string][2]string{
	"agent/agent.go":                {"\treturn recorder, nil\n}\n", "\treturn mute{recorder}, nil\n}\n\ntype mute struct{ session.Recorder }\n\nfunc (mute) Record(session.Event) error { return nil }\n"},
	"agent/engine/screen/keeper.go": {"\terr := k.encoder.Sheets(", "\tif true {\n\t\treturn nil\n\t}\n\terr := k.encoder.Sheets("},
}

// withoutARecorder is what the processor time of a whole agent, between a console and its
// viewer, is with its recorder and without: while somebody works at the console, and while all
// of it changes as often as it can.
func withoutARecorder(t *testing.T, tb *table) {
	work := simulatortest.Start(t, simulator.ConsoleConfig{}, time.Now).Port()
	flood := simulatortest.Start(t, simulator.ConsoleConfig{Mode: simulator.ConsoleFlood, Size: full}, time.Now).Port()
	with, without := consoles(t, "", work, flood), consoles(t, overlaid(t, unrecorded), work, flood)
	var ms, share [2][]float64
	for service, do := range map[string]func(*viewer){"work": (*viewer).works, "flood": (*viewer).looks} {
		on, off := with.view(service), without.view(service)
		for range 5 {
			for i, v := range []*viewer{on, off} {
				took, over, changes := v.cost(do)
				if service == "work" {
					share[i] = append(share[i], 100*took/over)
				} else {
					ms[i] = append(ms[i], 1000*took/float64(changes))
				}
			}
		}
		on.leave()
		off.leave()
	}
	tb.versus("an agent's processor time of a full-screen change, recorded", "ms", ms[0], ms[1], 1.10, true)
	tb.versus("an agent's processor time while somebody works, recorded", "%", share[0], share[1], 0, true)
	tb.absolute("recording adds while somebody works", median(share[0])-median(share[1]), 10, "% of a processor")
}

// overlaid writes an overlay for go build that changes one place of each of these files.
func overlaid(t *testing.T, change map[string][2]string) (file string) {
	dir, replace := t.TempDir(), map[string]string{}
	for name, by := range change {
		at, err := filepath.Abs(filepath.Join("../../..", name))
		must(t, err)
		text, err := os.ReadFile(at)
		must(t, err)
		if strings.Count(string(text), by[0]) != 1 {
			t.Fatalf("%s does not hold %q once", name, by[0])
		}
		replace[at] = filepath.Join(dir, filepath.Base(name))
		must(t, os.WriteFile(replace[at], []byte(strings.Replace(string(text), by[0], by[1], 1)), 0o600))
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	must(t, err)
	file = filepath.Join(dir, "overlay.json")
	must(t, os.WriteFile(file, raw, 0o600))
	return file
}

// consoles is a stage with two consoles, whose binaries are built with an overlay.
func consoles(t *testing.T, overlay, work, flood string) *stage {
	s := &stage{t: t, dir: t.TempDir()}
	s.bin = filepath.Join(s.dir, "bin")
	s.run("go", "build", "-trimpath", "-ldflags=-s -w", "-overlay", overlay, "-o", s.bin+"/", "../../sallyport", "../../sallyport-agent", "../../sallyport-broker")
	must(t, os.WriteFile(s.path("assets.yaml"), fmt.Appendf(nil, `assets:
- name: NGH-PETCT1
  policy: {approvals: 1, accept: {engineer: [cli, web], approver: [console, web]}, longest: 8h, channels: [control]}
  endpoints:
  - name: console
    address: 127.0.0.1
    services:
    - {name: work, protocol: vnc, port: %s, class: non-disruptive}
    - {name: flood, protocol: vnc, port: %s, class: non-disruptive}
`, work, flood), 0o600))
	s.demo()
	cli := filepath.Join(s.bin, "sallyport")
	s.runAs("engineer", cli, "login", "--hint", "j.brandt@meridian.example")
	s.runAs("approver", cli, "login", "--hint", "m.okafor@northfield.example")
	for _, service := range []string{"work", "flood"} {
		var made struct{ ID string }
		must(t, json.Unmarshal(s.runAs("engineer", cli, "request", "new", "NGH-PETCT1/"+service, "--reason", "bench", "--work-order", "WO-1", "--for", "2h", "-o", "json"), &made))
		s.runAs("approver", cli, "approve", made.ID, "--yes")
	}
	return s
}

// viewer looks at a console by sallyport connect.
type viewer struct {
	*vnc.Client
	s     *stage
	shown chan struct{}
	typed int
	leave func()
}

// view opens a console as a native viewer does.
func (s *stage) view(service string) *viewer {
	cmd := s.command("engineer", filepath.Join(s.bin, "sallyport"), "connect", "NGH-PETCT1/"+service, "-o", "json")
	out, err := cmd.StdoutPipe()
	must(s.t, err, cmd.Start())
	var at struct{ Listen, Password string }
	must(s.t, json.NewDecoder(out).Decode(&at))
	conn, err := net.Dial("tcp", at.Listen)
	must(s.t, err)
	v := &viewer{s: s, shown: make(chan struct{}, 10_000)}
	v.Client, err = vnc.Connect(s.t.Context(), conn, screen.New(screen.Masks{}, shows(func(screen.Change) { v.shown <- struct{}{} })), vnc.Config{Login: vnc.Login{Password: at.Password}})
	must(s.t, err)
	done := make(chan struct{})
	go func() { defer close(done); _ = v.Run() }()
	v.leave = func() {
		_ = v.Client.Close()
		<-done
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
	<-v.shown
	return v
}

// cost is the agent's processor time meanwhile, in seconds, how long that was, and how many
// changes the viewer saw.
func (v *viewer) cost(do func(*viewer)) (took, over float64, changes int) {
	for len(v.shown) > 0 {
		<-v.shown
	}
	at, began := v.s.agentWorked(), time.Now()
	do(v)
	return v.s.agentWorked() - at, time.Since(began).Seconds(), len(v.shown)
}

// works types, at the pace of somebody quick, and moves the pointer.
func (v *viewer) works() {
	keys := []rune("coolstat\rdettemp\revlog\rdbstat\r")
	for range 60 {
		sym := uint32(keys[v.typed%len(keys)])
		if sym == '\r' {
			sym = 0xff0d
		}
		must(v.s.t, v.Point(screen.Pointer{At: image.Pt(100+v.typed*37%1000, 200+v.typed*53%700)}))
		must(v.s.t, v.Press(screen.Key{Sym: sym, Down: true}), v.Press(screen.Key{Sym: sym}))
		v.typed++
		time.Sleep(150 * time.Millisecond)
	}
}

func (v *viewer) looks() { time.Sleep(6 * time.Second) }

// agentWorked is the agent's processor time, in seconds.
func (s *stage) agentWorked() float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.ready.PIDs["agent"]))
	must(s.t, err)
	p, err := parseStat(string(raw))
	must(s.t, err)
	return p.own
}
