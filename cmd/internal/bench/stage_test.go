//go:build bench

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/world"
)

// stage is a demonstration with a real sshd as its device, and another sshd to jump over.
type stage struct {
	t      *testing.T
	dir    string
	bin    string
	ready  world.Ready
	port   int    // of the device
	config string // ssh_config of the paths without us
	ours   string // and of ours
}

const device = "recon-ssh.ngh-petct1"

func raise(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir()}
	s.bin = filepath.Join(s.dir, "bin")
	s.build()
	s.sshd()
	s.demo()
	s.grant()
	return s
}

// build makes the binaries as they ship. With -profile an overlay adds a profiler,
// which lives in no file of the product.
func (s *stage) build() {
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", s.bin + "/"}
	if *prof != "" {
		args = append(args, "-overlay", s.overlay())
	}
	s.run("go", append(args, "../../sallyport", "../../sallyport-agent", "../../sallyport-broker")...)
}

const profiler = `package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"
)

// args names a process after its first words.
func args() string {
	name := filepath.Base(os.Args[0])
	if len(os.Args) > 1 {
		name += "-" + filepath.Base(os.Args[1])
	}
	return name
}

func init() {
	f, err := os.Create(fmt.Sprintf("%%s/%%s-%%d.cpu", %q, args(), os.Getpid()))
	if err != nil || pprof.StartCPUProfile(f) != nil {
		return
	}
	go func() {
		for i := 0; ; i++ {
			time.Sleep(5 * time.Second)
			pprof.StopCPUProfile()
			_ = f.Close()
			f, err = os.Create(fmt.Sprintf("%%s/%%s-%%d-%%03d.cpu", %q, args(), os.Getpid(), i))
			if err != nil || pprof.StartCPUProfile(f) != nil {
				return
			}
		}
	}()
}
`

func (s *stage) overlay() string {
	dir, err := filepath.Abs(*prof)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = os.MkdirAll(dir, 0o755)
	_ = os.WriteFile(s.path("profiler.go"), fmt.Appendf(nil, profiler, dir, dir), 0o600)
	replace := map[string]string{}
	for _, name := range []string{"sallyport", "sallyport-agent", "sallyport-broker"} {
		at, err := filepath.Abs("../../" + name + "/profiler.go")
		if err != nil {
			s.t.Fatal(err)
		}
		replace[at] = s.path("profiler.go")
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		s.t.Fatal(err)
	}
	_ = os.WriteFile(s.path("overlay.json"), raw, 0o600)
	return s.path("overlay.json")
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stage) run(name string, args ...string) []byte {
	s.t.Helper()
	return s.runAs("", name, args...)
}

func (s *stage) runAs(persona, name string, args ...string) []byte {
	s.t.Helper()
	cmd := s.command(persona, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("%s %v: %v\n%s", name, args, err, errs.String())
	}
	return out.Bytes()
}

// command is something that a person runs.
func (s *stage) command(persona, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "BROWSER=curl -sSLo /dev/null", "SALLYPORT_HOME="+s.ready.Personas[persona].Home)
	return cmd
}

// keep runs something until the test ends.
func (s *stage) keep(name string, args ...string) {
	cmd := exec.Command(name, args...)
	log, err := os.Create(s.path(filepath.Base(name) + ".log"))
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
	})
}

// sshd starts two: the device and the jump host of the comparison.
func (s *stage) sshd() {
	for _, key := range []string{"host", "login"} {
		s.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.path(key))
	}
	pub, _ := os.ReadFile(s.path("login.pub"))
	_ = os.WriteFile(s.path("authorized_keys"), pub, 0o600)
	_ = os.MkdirAll("/run/sshd", 0o755)
	ports := []int{}
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		ports = append(ports, port)
		conf := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\nMaxStartups 100:30:200\nSubsystem sftp internal-sftp\n",
			port, s.path("host"), s.path("authorized_keys"))
		file := s.path(fmt.Sprintf("sshd-%d", port))
		_ = os.WriteFile(file, []byte(conf), 0o600)
		s.keep("/usr/sbin/sshd", "-D", "-e", "-f", file)
		s.await(func() error { return dialable(port) })
	}
	s.port = ports[0]
	user := "root"
	if os.Getuid() != 0 {
		user = os.Getenv("USER")
	}
	shared := fmt.Sprintf("\tHostName 127.0.0.1\n\tUser %s\n\tIdentityFile %s\n\tIdentitiesOnly yes\n\tIdentityAgent none\n\tStrictHostKeyChecking no\n\tUserKnownHostsFile /dev/null\n\tLogLevel ERROR\n\tBatchMode yes\n\tCiphers aes128-gcm@openssh.com\n", user, s.path("login"))
	s.config = s.path("ssh_config")
	_ = os.WriteFile(s.config, fmt.Appendf(nil, "Host direct\n\tPort %d\n%sHost hop\n\tPort %d\n%sHost jumped\n\tPort %d\n\tProxyJump hop\n%s", ports[0], shared, ports[1], shared, ports[0], shared), 0o600)
	fp := strings.Fields(string(s.run("ssh-keygen", "-lf", s.path("host.pub"))))[1]
	_ = os.WriteFile(s.path("assets.yaml"), fmt.Appendf(nil, `assets:
- name: NGH-PETCT1
  policy: {approvals: 1, accept: {engineer: [cli, web], approver: [console, web]}, longest: 8h, channels: [shell, exec, files-in, files-out]}
  endpoints:
  - name: recon
    address: 127.0.0.1
    services:
    - {name: recon-ssh, protocol: ssh, port: %d, class: non-disruptive, login: {user: %s, key: "file:%s"}, host_key: "%s"}
`, ports[0], user, s.path("login"), fp), 0o600)
}

func dialable(port int) error {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	if err == nil {
		_ = c.Close()
	}
	return err
}

func (s *stage) await(try func() error) {
	s.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *stage) demo() {
	s.keep(filepath.Join(s.bin, "sallyport"), "demo", "--state", s.path("state"), "--ready", s.path("ready.json"),
		"--web", "127.0.0.1:0", "--ssh", "127.0.0.1:0", "--agent-config", s.path("assets.yaml"))
	s.await(func() error {
		raw, err := os.ReadFile(s.path("ready.json"))
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, &s.ready)
	})
}

func (s *stage) grant() {
	cli := filepath.Join(s.bin, "sallyport")
	s.runAs("engineer", cli, "login", "--hint", "j.brandt@meridian.example")
	out := s.runAs("engineer", cli, "request", "new", "NGH-PETCT1/recon-ssh", "--reason", "bench", "--work-order", "WO-1", "--for", "2h", "--files", "in,out", "-o", "json")
	var made struct{ ID string }
	if err := json.Unmarshal(out, &made); err != nil {
		s.t.Fatal(err)
	}
	s.runAs("approver", cli, "login", "--hint", "m.okafor@northfield.example")
	s.runAs("approver", cli, "approve", made.ID, "--yes")
	s.ours = filepath.Join(s.ready.Personas["engineer"].Home, "ssh_config")
}

// route is one way to the device.
type route struct{ name, config, host string }

func (s *stage) routes() []route {
	return []route{{"sallyport", s.ours, device}, {"ProxyJump", s.config, "jumped"}, {"direct", s.config, "direct"}}
}

func (r route) ssh(args ...string) *exec.Cmd {
	return exec.Command("ssh", append([]string{"-F", r.config, "-o", "BatchMode=yes"}, args...)...)
}
