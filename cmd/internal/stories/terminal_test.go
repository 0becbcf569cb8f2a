package stories

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// screen is what somebody at a terminal types and has seen.
type screen struct {
	keys *os.File
	mu   sync.Mutex
	seen bytes.Buffer
	copy *os.File
}

// Write shows output. The copy in the script's directory is what scripts compare.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.Write(p)
	return s.copy.Write(p)
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// terminal NAME command...: start something that waits for typing; what it shows is
// in the file NAME too.
func cmdTerminal(ts *testscript.TestScript, _ bool, args []string) {
	st := stageOf(ts)
	r, w, err := os.Pipe()
	ts.Check(err)
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	s := &screen{keys: w, copy: file}
	if st.screens == nil {
		st.screens = map[string]*screen{}
	}
	st.screens[args[0]] = s
	ts.Defer(func() {
		_ = file.Close()
		text := s.text()
		ts.Logf("[%s]\n%s", args[0], text[max(0, len(text)-4000):])
	})
	run(ts, args[0], s, r, args[1], args[2:]...)
	ts.Check(r.Close())
	ts.Defer(func() { _ = w.Close() })
}

func screenOf(ts *testscript.TestScript, name string) *screen {
	s := stageOf(ts).screens[name]
	if s == nil {
		ts.Fatalf("no terminal is called %s", name)
	}
	return s
}

// type NAME line: type it, with its end.
func cmdType(ts *testscript.TestScript, _ bool, args []string) {
	_, err := io.WriteString(screenOf(ts, args[0]).keys, args[1]+"\n")
	ts.Check(err)
}

// hangs-up NAME: end the typing.
func cmdHangsUp(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(screenOf(ts, args[0]).keys.Close())
}

// shows NAME pattern [times]: wait until the terminal has shown it that many times
// more than before this command; with one, whenever that was. ! shows: it has not.
func cmdShows(ts *testscript.TestScript, neg bool, args []string) {
	s, pattern := screenOf(ts, args[0]), regexp.MustCompile("(?m)"+args[1])
	count := func() int { return len(pattern.FindAllString(s.text(), -1)) }
	if neg {
		if count() > 0 {
			ts.Fatalf("%s shows %s", args[0], args[1])
		}
		return
	}
	want := 1
	if len(args) > 2 {
		_, err := fmt.Sscan(args[2], &want)
		ts.Check(err)
		want += count()
	}
	until(ts, args[0]+" shows "+args[1], func() error {
		if n := count(); n < want {
			return fmt.Errorf("%d times, not %d", n, want)
		}
		return nil
	})
}

// running NAME: it has not ended.
func cmdRunning(ts *testscript.TestScript, _ bool, args []string) {
	st := stageOf(ts)
	select {
	case err := <-st.done[args[0]]:
		st.done[args[0]] <- err // for the clean-up
		ts.Fatalf("%s has ended: %v", args[0], err)
	default:
	}
}

// clock VAR duration: the moment that long from now, to the second.
func cmdClock(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[1])
	ts.Check(err)
	ts.Setenv(args[0], time.Now().Add(d).UTC().Format(time.RFC3339))
}

// await TIME: wait until that moment; the story is too late for what it
// wants to show when the moment is over already.
func cmdAwait(ts *testscript.TestScript, _ bool, args []string) {
	t, err := time.Parse(time.RFC3339, args[0])
	ts.Check(err)
	wait := time.Until(t)
	if wait < 0 {
		ts.Fatalf("%s was over %s ago", args[0], -wait)
	}
	time.Sleep(wait)
}

// wait-torn VAR limit: within the limit a recording of session S is listed as torn.
func cmdWaitTorn(ts *testscript.TestScript, _ bool, args []string) {
	limit, err := time.ParseDuration(args[1])
	ts.Check(err)
	deadline := time.Now().Add(limit)
	for {
		var all []struct{ ID, State, Session string }
		if err = ts.Exec("sallyport", "recordings", "ls", "-o", "json"); err == nil {
			err = json.Unmarshal([]byte(ts.ReadFile("stdout")), &all)
		}
		for _, r := range all {
			if r.State == "torn" && r.Session == ts.Getenv("S") {
				ts.Setenv(args[0], r.ID)
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no torn recording after %s: %v %v", limit, all, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// agent-back [CONFIG]: an agent, the demonstration's if not said otherwise, answers on
// its socket and has the broker.
func cmdAgentBack(ts *testscript.TestScript, _ bool, args []string) {
	file := "state/agent.yaml"
	if len(args) > 0 {
		file = args[0]
	}
	until(ts, "the agent is back", func() error {
		return ts.Exec("sallyport-agent", "doctor", "--config", ts.MkAbs(file))
	})
}

// flips FILE N bundle: verify N copies with one bit flipped each; every verdict
// refuses and names a place. The places are spread over the file, seeded, and its
// first and last byte are among them.
func cmdFlips(ts *testscript.TestScript, _ bool, args []string) {
	raw, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	n := 0
	_, err = fmt.Sscan(args[1], &n)
	ts.Check(err)
	dice := rand.New(rand.NewPCG(3, uint64(n)))
	path, err := lookPath(ts, "sallyport")
	ts.Check(err)
	for i := range n {
		at := i*len(raw)/n + dice.IntN(len(raw)/n)
		switch i {
		case 0:
			at = 0
		case n - 1:
			at = len(raw) - 1
		}
		bad := bytes.Clone(raw)
		bad[at] ^= 1 << dice.IntN(8)
		ts.Check(os.WriteFile(ts.MkAbs("flipped.sally"), bad, 0o600))
		cmd := exec.Command(path, "verify", ts.MkAbs("flipped.sally"), "--trust", ts.MkAbs(args[2]))
		cmd.Env = []string{"SALLYPORT_HOME=" + ts.MkAbs("nobody"), "HOME=" + ts.MkAbs("nobody"), "NO_COLOR=1"}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 || strings.Contains(string(out), "Intact") {
			ts.Fatalf("byte %d of %d flipped: %v\n%s", at, len(raw), err, out)
		}
		ts.Logf("byte %d of %d flipped: %s", at, len(raw), strings.Join(head(string(out), 3), " | "))
	}
}

// passed TIME: wait until a moment that may be over already is over.
func cmdPassed(ts *testscript.TestScript, _ bool, args []string) {
	t, err := time.Parse(time.RFC3339, args[0])
	ts.Check(err)
	time.Sleep(time.Until(t) + time.Second)
}

// by TIME NAME slack: it still runs shortly before that moment and ends by itself
// within the slack after it.
func cmdBy(ts *testscript.TestScript, _ bool, args []string) {
	t, err := time.Parse(time.RFC3339, args[0])
	ts.Check(err)
	slack, err := time.ParseDuration(args[2])
	ts.Check(err)
	time.Sleep(time.Until(t) - time.Second)
	if time.Now().Before(t) {
		cmdRunning(ts, false, args[1:2])
	}
	cmdEnds(ts, false, []string{args[1], (time.Until(t) + slack).String()})
}

// each-line SCREEN transcript least: every whole line that the screen showed is in the
// transcript, in order, and there are at least so many.
func cmdEachLine(ts *testscript.TestScript, _ bool, args []string) {
	line := regexp.MustCompile(`line-\d+-of-the-flow\n`)
	seen, kept := line.FindAllString(ts.ReadFile(args[0]), -1), line.FindAllString(ts.ReadFile(args[1]), -1)
	least := 0
	_, err := fmt.Sscan(args[2], &least)
	ts.Check(err)
	if len(seen) < least || len(kept) < len(seen) {
		ts.Fatalf("%d lines were on the screen, %d are in the transcript", len(seen), len(kept))
	}
	for i := range seen {
		if seen[i] != kept[i] {
			ts.Fatalf("line %d was %q on the screen and is %q in the transcript", i, seen[i], kept[i])
		}
	}
	ts.Logf("%d lines on the screen, %d in the transcript", len(seen), len(kept))
}

// head is the first n lines of a text.
func head(text string, n int) []string {
	lines := strings.Split(text, "\n")
	return lines[:min(n, len(lines))]
}
