package mpps

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// scanners are programs that nobody here wrote.
var scanners = map[string][]string{
	"dcmjs-dimse": {"node", "testdata/dimse.cjs"},
	"odil":        {"/usr/bin/python3", "testdata/odil_scanner.py"},
}

// scan runs a scanner, and returns what it was answered.
func scan(t *testing.T, scanner, address, called, calling, syntax string, steps ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args := append(append([]string{}, scanners[scanner][1:]...), address, called, calling, syntax)
	cmd := exec.CommandContext(ctx, scanners[scanner][0], append(args, steps...)...)
	var says, complains bytes.Buffer
	cmd.Stdout, cmd.Stderr = &says, &complains
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s\n(.ci/peers installs it)", scanner, err, says.String(), complains.String())
	}
	var lines []string
	for _, l := range strings.Split(strings.TrimSpace(says.String()), "\n") {
		if l == "0000" || strings.HasPrefix(l, "0") && len(l) == 4 || strings.HasPrefix(l, "rejected") {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, " ")
}

func TestScannersOfOthersReportTheirProcedures(t *testing.T) {
	for scanner := range scanners {
		for _, syntax := range []string{"implicit", "explicit"} {
			t.Run(scanner+" "+syntax, func(t *testing.T) {
				t.Parallel()
				w := hospital(t)
				w.is(t, session.PatientOnTable, "no procedure")
				run := func(want string, steps ...string) {
					t.Helper()
					if got := scan(t, scanner, w.address, "SALLYPORT", "NGH_CT2", syntax, steps...); got != want {
						t.Fatalf("%v was answered %q, want %q", steps, got, want)
					}
				}
				run("0000 0000 0000 0000", "echo", "create:1.2.3.9", "create:1.2.3.10", "set:1.2.3.9:COMPLETED")
				w.is(t, session.Scanning, "(1)")
				run("0000 0000 0000", "images:1.2.3.10:200", "create:1.2.3.11", "set:1.2.3.11:DISCONTINUED")
				w.is(t, session.PatientOnTable, "nobody has looked since")
			})
		}
	}
}

func TestScannersOfOthersAreTurnedAway(t *testing.T) {
	w := hospital(t)
	for _, c := range []struct{ scanner, called, calling, want string }{
		{"dcmjs-dimse", "ELSEWHERE", "NGH_CT2", "rejected 1 1 7"}, {"odil", "SALLYPORT", "NGH_MR1", "rejected"},
	} {
		if got := scan(t, c.scanner, w.address, c.called, c.calling, "implicit", "create:1.2.3.9"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v was answered %q", c, got)
		}
	}
	w.is(t, session.PatientOnTable, "no procedure")
}

// The seeds of the fuzz targets are what the scanners of others sent, byte by byte. With
// SALLYPORT_CAPTURE=1 they are captured anew.
func TestCaptureScanners(t *testing.T) {
	if os.Getenv("SALLYPORT_CAPTURE") == "" {
		found, err := filepath.Glob("testdata/captured/*.dcm")
		if err != nil || len(found) != 4 {
			t.Errorf("captures of both scanners in both syntaxes are the seeds; there are %v %v", found, err)
		}
		return
	}
	for scanner := range scanners {
		for _, syntax := range []string{"implicit", "explicit"} {
			w := hospital(t)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var sent bytes.Buffer
			done := make(chan error, 1)
			go func() {
				c, err := l.Accept()
				if err != nil {
					done <- err
					return
				}
				on, err := net.Dial("tcp", w.address)
				if err != nil {
					done <- err
					return
				}
				go func() { _, _ = io.Copy(c, on); _ = c.Close() }()
				_, _ = io.Copy(io.MultiWriter(on, &sent), c) // until either side closes
				done <- on.Close()
			}()
			scan(t, scanner, l.Addr().String(), "SALLYPORT", "NGH_CT2", syntax, "echo", "create:1.2.3.9", "images:1.2.3.9:2")
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile("testdata/captured/"+scanner+"-"+syntax+".dcm", sent.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
