package crash

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/world"
)

// deviceScript is the program on the device: numbered lines out, everything that
// comes in kept in a file, or the time of day kept in one for as long as the
// connection lives.
const deviceScript = `dir=$(dirname "$0")
echo "connection $1"
case $2 in
drip) ( i=0; while :; do i=$((i+1)); echo "line $i" || exit; sleep 0.01; done ) & ;;
flood) ( seq 1 1500000; while :; do echo more || exit; sleep 0.05; done ) & ;;
once) exit ;;
clock) ( while :; do echo tick || exit; date +%s%N >> "$dir/$1.clock"; sleep 0.05; done ) & ;;
esac
cat > "$dir/$1.in"
kill $!
`

// device starts a real OpenSSH server and writes the agent's assets.
func (g *ground) device() {
	t, dir := g.t, g.path("sshd")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"host", "login"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	}
	pub, err := os.ReadFile(filepath.Join(dir, "login.pub"))
	if err != nil {
		t.Fatal(err)
	}
	addr := freePort(g)
	_, port, _ := net.SplitHostPort(addr)
	g.write("sshd/authorized_keys", string(pub))
	g.write("sshd/device.sh", deviceScript)
	g.write("sshd/config", fmt.Sprintf("Port %s\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/authorized_keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\nMaxStartups 100\nSubsystem sftp %s/%s\n", port, dir, dir, dir, liarProgram))
	_ = os.MkdirAll("/run/sshd", 0o755)
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "config"))
	p, err := launch(cmd)
	if err != nil {
		t.Fatalf("start sshd (.ci/peers installs it): %v", err)
	}
	t.Cleanup(p.end)
	listens(t, addr)
	finger, err := exec.Command("ssh-keygen", "-lf", filepath.Join(dir, "host.pub")).Output()
	if err != nil {
		t.Fatal(err)
	}
	g.write("assets.yaml", "assets:\n"+asset("NGH-PETCT1", port, dir, strings.Fields(string(finger))[1])+asset("NGH-CT2", port, dir, strings.Fields(string(finger))[1]))
}

func asset(name, port, dir, finger string) string {
	user := os.Getenv("USER")
	if user == "" {
		user = "root"
	}
	return fmt.Sprintf(`- name: %s
  policy: {approvals: 1, accept: {engineer: [cli, web], approver: [console, web]}, longest: 8h, channels: [shell, exec]}
  endpoints:
  - name: recon
    address: 127.0.0.1
    services:
    - {name: recon-ssh, protocol: ssh, port: %s, class: non-disruptive, login: {user: %s, key: "file:%s/login"}, host_key: "%s"}
`, name, port, user, dir, finger)
}

func freePort(g *ground) string {
	addr, err := world.FreeAddress()
	if err != nil {
		g.t.Fatal(err)
	}
	return addr
}

func (g *ground) write(name, text string) {
	if err := os.WriteFile(g.path(name), []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// visit is one ssh connection of the engineer.
type visit struct {
	*process
	name   string
	screen screen
	stderr screen
	typing sync.WaitGroup
}

// screen keeps what a program printed.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *screen) text() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.buf.Bytes())
}

// connect runs ssh to the device's program and types numbered lines all the while.
func (g *ground) connect(name, host, mode string) *visit {
	v := &visit{name: name}
	config := filepath.Join(g.ready.Personas["engineer"].Home, "ssh_config")
	cmd := exec.Command("ssh", "-F", config, "-o", "BatchMode=yes", host, "sh", g.path("sshd", "device.sh"), name, mode)
	cmd.Dir, cmd.Env = g.dir, g.env(g.ready.Personas["engineer"].Home)
	cmd.Stdout, cmd.Stderr = &v.screen, &v.stderr
	hands, err := cmd.StdinPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if v.process, err = launch(cmd); err != nil {
		g.t.Fatal(err)
	}
	v.typing.Go(func() { v.typeOn(hands) })
	return v
}

func (v *visit) typeOn(hands io.WriteCloser) {
	defer hands.Close()
	for i := 1; ; i++ {
		if _, err := fmt.Fprintf(hands, "typed %d\n", i); err != nil {
			return
		}
		select {
		case <-v.done:
			return
		case <-time.After(7 * time.Millisecond):
		}
	}
}

// leave ends the client, as a window that is closed.
func (v *visit) leave() {
	if !v.over() {
		v.end()
	}
	v.typing.Wait()
}

// ended waits for a client that nobody told to go.
func (g *ground) ended(v *visit) {
	g.t.Helper()
	until(g.t, "ssh "+v.name+" ends with its stream", 30*time.Second, often, func() error {
		if !v.over() {
			return errors.New("it is still running")
		}
		return nil
	})
	v.typing.Wait()
}

// shows waits until a client has something on its screen.
func (g *ground) shows(v *visit, what string) {
	g.t.Helper()
	until(g.t, "ssh "+v.name+" shows "+what, patience, often, func() error {
		if bytes.Contains(v.screen.text(), []byte(what)) {
			return nil
		}
		if v.over() {
			g.t.Fatalf("ssh %s ended: %v\n%s", v.name, v.err, v.stderr.text())
		}
		return errors.New("not yet")
	})
}

// reached is what the device's program was given by a connection.
func (g *ground) reached(name string) []byte {
	raw, err := os.ReadFile(g.path("sshd", name+".in"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		g.t.Fatal(err)
	}
	return raw
}
