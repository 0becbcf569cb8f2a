//go:build unix

package brokercmd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// TestMain is also the command itself, for tests that run it as several users.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_AS_BROKER") != "" {
		os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

const service = 4242 // a user without a name, as the unit's

// installed is a broker's machine: a state directory of the service's, a configuration of root's.
type installed struct {
	t                      *testing.T
	program, config, state string
	user                   uint32
}

func install(t *testing.T) *installed {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	x := &installed{t: t, program: filepath.Join(dir, "sallyport-broker"), config: filepath.Join(dir, "broker.yaml"), state: filepath.Join(dir, "state"), user: service}
	if os.Geteuid() != 0 {
		x.user = uint32(os.Geteuid()) // one user is all there is
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(x.program, text, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(x.state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(x.state, int(x.user), int(x.user)); err != nil && os.Geteuid() == 0 {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf(`listen: %q
ssh: {listen: %q, address: "127.0.0.1:2222"}
node: broker-1
url: http://127.0.0.1:8443
redis: {url: "redis://%s/0", ephemeral: true}
state: %s
issuers:
- {issuer: "https://idp.meridian.example", side: vendor, sites: [NGH], domains: [meridian.example], clients: {sallyport-cli: cli}, login: sallyport-cli}
`, free(t), free(t), miniredis.RunT(t).Addr(), x.state)
	if err := os.WriteFile(x.config, []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	return x
}

func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func (x *installed) command(as uint32, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(x.t.Context(), x.program, append([]string{"--config", x.config}, args...)...)
	cmd.Env = append(os.Environ(), "RUN_AS_BROKER=1")
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: as, Gid: as}}
	}
	return cmd
}

func (x *installed) run(as uint32, args ...string) string {
	x.t.Helper()
	out, err := x.command(as, args...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("%v as user %d: %v\n%s", args, as, err, out)
	}
	return string(out)
}

// owned checks that the service has everything in its directory.
func (x *installed) owned() {
	x.t.Helper()
	files := 0
	err := filepath.WalkDir(x.state, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // the service goes on meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		files++
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != x.user {
			x.t.Errorf("%s is user %d's", path, uid)
		}
		return nil
	})
	if err != nil || files < 5 {
		x.t.Errorf("%d files, %v", files, err)
	}
}

// serve starts the broker as the service, waits until it runs and stops it.
func (x *installed) serve() {
	x.t.Helper()
	cmd := x.command(x.user, "serve", "--until-stdin-ends")
	in, err := cmd.StdinPipe()
	if err != nil {
		x.t.Fatal(err)
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		x.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	var said bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(out, &said))
	for lines.Scan() && !strings.Contains(lines.Text(), "broker started") {
	}
	started := strings.Contains(said.String(), "broker started")
	_ = in.Close()
	_, _ = io.Copy(&said, out)
	if err := cmd.Wait(); err != nil || !started {
		x.t.Fatalf("the broker does not start: %v\n%s", err, said.String())
	}
}

func TestWhatRootRunsLeavesTheServiceItsFiles(t *testing.T) {
	for name, verb := range map[string][]string{
		"join-token":    {"join-token", "--site", "NGH", "--agent", "ngh-1"},
		"agents revoke": {"agents", "revoke", "--site", "NGH", "--agent", "ngh-1"},
	} {
		t.Run(name, func(t *testing.T) {
			x := install(t)
			x.run(0, verb...)
			x.run(0, "log-key")
			x.run(0, "check")
			x.owned()
			x.run(x.user, verb...)
			x.serve()
			x.owned()
		})
	}
}

func TestRootDoesNotServeOnTheServicesState(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this is about root: run the tests as root, as CI does")
	}
	x := install(t)
	out, err := x.command(0, "serve").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Root does not serve on") || !strings.Contains(string(out), "runuser") {
		t.Errorf("%v: %s", err, out)
	}
}

// An older program's root left notes that the service cannot read.
func TestANoteOfAnotherUserStopsNothing(t *testing.T) {
	x := install(t)
	x.run(x.user, "join-token", "--site", "NGH", "--agent", "ngh-1")
	inbox := filepath.Join(x.state, "audit", "inbox")
	bad := filepath.Join(inbox, "00000000.json")
	if err := os.WriteFile(bad, []byte(`{"event":"join-token"}`), 0o000); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(bad, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	x.serve()
	left, err := os.ReadDir(inbox)
	if err != nil || len(left) != 1 || left[0].Name() != "00000000.unreadable" {
		t.Errorf("the inbox holds %v, %v", left, err)
	}
}
