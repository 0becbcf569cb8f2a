package stories

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/cmd/internal/world"
)

// free-port VAR: an address of loopback that nobody listens on.
func cmdFreePort(ts *testscript.TestScript, _ bool, args []string) {
	addr, err := world.FreeAddress()
	ts.Check(err)
	ts.Setenv(args[0], addr)
}

// stands STATE WORDS: the scanner NGH-PETCT1 comes into the state, by a source that says so.
func cmdStands(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, "the scanner is "+args[0], func() error {
		if err := ts.Exec("sallyport-agent", "state", "ls", "--asset", "NGH-PETCT1", "-o", "json", "--socket", ts.Getenv("AGENT_SOCKET")); err != nil {
			return err
		}
		var all []struct{ State, Source, Detail string }
		said := ts.ReadFile("stdout")
		if err := json.Unmarshal([]byte(said), &all); err != nil {
			return fmt.Errorf("%w: %s", err, said)
		}
		if len(all) != 1 || all[0].State != args[0] || !strings.Contains(all[0].Source+": "+all[0].Detail, args[1]) {
			return fmt.Errorf("it is %+v", all)
		}
		return nil
	})
}

// scans ADDRESS STEP...: a scanner that nobody here wrote reports its procedure steps.
func cmdScans(ts *testscript.TestScript, _ bool, args []string) {
	script, err := filepath.Abs("../../../agent/modality/mpps/testdata/dimse.cjs")
	ts.Check(err)
	ts.Check(ts.Exec("node", append([]string{script, args[0], "SALLYPORT", "NGH_PETCT1", "explicit"}, args[1:]...)...))
	for range args[1:] {
		if n := strings.Count(ts.ReadFile("stdout"), "\n0000"); n != len(args)-1 {
			ts.Fatalf("%d of %d steps were taken", n, len(args)-1)
		}
	}
}

// writes FILE TEXT: what stands for a wire says something else, within one write.
func cmdWrites(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(name+".new", []byte(args[1]+"\n"), 0o600))
	ts.Check(os.Rename(name+".new", name))
}

// reads FILE TEXT: what stands for a wire comes to say something.
func cmdReads(ts *testscript.TestScript, _ bool, args []string) {
	began := time.Now()
	until(ts, args[0]+" says "+args[1], func() error {
		if raw, err := os.ReadFile(ts.MkAbs(args[0])); err != nil || strings.TrimSpace(string(raw)) != args[1] {
			return fmt.Errorf("after %v it says %q %v", time.Since(began), raw, err)
		}
		return nil
	})
}
