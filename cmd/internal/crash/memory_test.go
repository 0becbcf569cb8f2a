package crash

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/session/files/packet"
)

// What this program is when a hostile device runs it.
const (
	dearProgram = "dear-terminal" // paints what takes most memory to draw
	liarProgram = "hostile-sftp"  // has every file, and directories without end
)

// pretend is the hostile device's program, if this is one.
func pretend() bool {
	switch filepath.Base(os.Args[0]) {
	case dearProgram:
		out := bufio.NewWriterSize(os.Stdout, 1<<16)
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(out, "\x1b[38;2;%d;%d;7;48;2;%d;9;1mé\u0301\u0301\u0301\u0301\u0301\u0301\u0301", i%256, i/256%256, i%251); err != nil {
				return true
			}
		}
	case liarProgram:
		lie(os.Stdin, os.Stdout)
		return true
	}
	return false
}

// lie answers as a server of SFTP that has whatever is asked for.
func lie(in io.Reader, out io.Writer) {
	names := make([]packet.Entry, 2000)
	for i := range names {
		names[i] = packet.Entry{Name: strings.Repeat("n", 20), Long: strings.Repeat("l", 60)}
	}
	zeros := make([]byte, 32<<10)
	var body, reply []byte
	_, err := packet.Read(in, nil)
	if err == nil {
		_, err = out.Write(packet.AppendVersion(nil, nil))
	}
	for err == nil {
		if body, err = packet.Read(in, body); err != nil {
			return
		}
		id, r, bad := packet.ParseRequest(body)
		if bad != nil {
			return
		}
		a := packet.Says(packet.OK)
		switch r.Op {
		case packet.Realpath:
			a = packet.Response{Kind: packet.Name, Names: []packet.Entry{{Name: "/"}}}
		case packet.Open, packet.Opendir:
			a = packet.Response{Kind: packet.Handle, Handle: "h"}
		case packet.ReadAt:
			a = packet.Response{Kind: packet.Data, Data: zeros[:min(int(r.Length), len(zeros))]}
		case packet.Readdir:
			a = packet.Response{Kind: packet.Name, Names: names}
		}
		reply = a.Append(reply[:0], id)
		_, err = out.Write(reply)
	}
}

// TestTheAgentStaysWithinItsUnit: a real agent, as it is shipped and with the unit's
// GOMEMLIMIT, while engineers of one vendor and a hostile scanner make it hold what they can:
// terminals of which each column is dear to draw, files read out of order, and listings
// without end. What it ever took is below the unit's MemoryMax, and not near GOMEMLIMIT, where
// the collector would do nothing else; and it serves on.
func TestTheAgentStaysWithinItsUnit(t *testing.T) {
	t.Parallel()
	c := found(t)
	c.hostileDevice()
	a := c.raiseNode("a", nil)
	c.turn(a)
	most := c.raiseShipped(a)
	c.linked()
	c.signIn()
	for _, asset := range []string{"NGH-PETCT1", "NGH-CT2"} {
		id := idOf(t, c.as("engineer", "sallyport", "request", "new", asset+"/recon-ssh", "--reason", "crash", "--work-order", "WO-1", "--for", "1h", "--files", "in,out", "-o", "json"))
		c.as("approver", "sallyport", "approve", id, "--yes")
	}
	before := c.peak()
	for _, host := range []string{scanner, other} {
		for n := range 21 {
			c.paints(host, n%7)
		}
		for range 3 {
			c.transfers(host, outOfOrder)
			c.transfers(host, lists)
		}
	}
	took := c.staysWithin(most)
	t.Logf("ATTACK | a real agent: 42 terminals of 1000 x 100 that are dear to draw, 6 clients that read 64 files out of order each, 6 that list without end | below nine tenths of the unit's GOMEMLIMIT, %d MiB | %d MiB at the most, %d before | holds", most>>20, took>>20, before>>20)
}

// unit is what the agent's unit lets it have, in bytes - nine tenths of GOMEMLIMIT, which is
// below MemoryMax - and GOMEMLIMIT itself.
func (c *cluster) unit() (most int64, soft string) {
	c.t.Helper()
	text, err := os.ReadFile("../../../deploy/systemd/sallyport-agent.service")
	if err != nil {
		c.t.Fatal(err)
	}
	hard := regexp.MustCompile(`(?m)^MemoryMax=(\d+)G$`).FindSubmatch(text)
	limit := regexp.MustCompile(`(?m)^Environment=GOMEMLIMIT=((\d+)MiB)$`).FindSubmatch(text)
	if hard == nil || limit == nil {
		c.t.Fatal("the unit's bounds are not understood")
	}
	n, _ := strconv.ParseInt(string(hard[1]), 10, 64)
	leaves, _ := strconv.ParseInt(string(limit[2]), 10, 64)
	return min(n<<30, leaves<<20/10*9), string(limit[1])
}

// staysWithin watches what the agent takes for a while, in which it serves, and returns the most.
func (c *cluster) staysWithin(most int64) (took int64) {
	c.t.Helper()
	held := 15 * time.Second
	if os.Getenv("SALLYPORT_PROVE") != "" {
		held = 2 * time.Minute
	}
	for end := time.Now().Add(held); time.Now().Before(end) && took <= most; time.Sleep(200 * time.Millisecond) {
		took = c.peak()
	}
	if took > most {
		c.t.Errorf("the agent took %d MiB, and %d are what its unit leaves it", took>>20, most>>20)
	}
	c.linked()
	return took
}

// peak is the most memory that the agent ever had, in bytes.
func (c *cluster) peak() int64 {
	c.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.agent.cmd.Process.Pid))
	if err != nil {
		c.t.Fatalf("the agent is gone: %v", err)
	}
	m := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(text)
	if m == nil {
		c.t.Fatalf("no VmHWM: %s", text)
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n << 10
}

// hostileDevice has the device's server run this program as its server of SFTP, and lets the
// scanners' policy pass files.
func (c *cluster) hostileDevice() {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range []string{dearProgram, liarProgram} {
		if err := os.Symlink(self, c.path("sshd", name)); err != nil {
			c.t.Fatal(err)
		}
	}
	text, err := os.ReadFile(c.path("assets.yaml"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("assets.yaml", strings.ReplaceAll(string(text), "channels: [shell, exec]", "channels: [shell, exec, files-in, files-out]"))
}

// paints is an engineer's ssh at a terminal of 1000 x 100, on which the device paints what
// is dear. Those of one connection share it, as soon as it is there.
func (c *cluster) paints(host string, connection int) {
	c.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: 1000, Row: 100})
	}
	if err != nil {
		c.t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	defer slave.Close()
	cmd := c.client("-o", "ControlMaster=auto", "-S", c.path(fmt.Sprint("m", len(host), connection)), "-tt", host, c.path("sshd", dearProgram))
	cmd.Stdin = slave
	c.begin(cmd)
}

// transfers is an engineer's client of SFTP that says something and reads whatever comes.
func (c *cluster) transfers(host string, says func(to io.Writer)) {
	c.t.Helper()
	cmd := c.client("-s", host, "sftp")
	in, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	c.begin(cmd)
	go says(in) // ends with ssh
}

func (c *cluster) client(args ...string) *exec.Cmd {
	cmd := exec.Command("ssh", append([]string{"-F", filepath.Join(c.ready.Personas["engineer"].Home, "ssh_config"), "-o", "BatchMode=yes"}, args...)...)
	cmd.Dir, cmd.Env = c.dir, append(c.env(c.ready.Personas["engineer"].Home), "TERM=xterm-256color")
	return cmd
}

// begin starts a program that ends with the test.
func (c *cluster) begin(cmd *exec.Cmd) {
	c.t.Helper()
	p, err := launch(cmd)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(p.end)
}

// handle is what the agent calls the file that was opened as the nth.
func handle(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }

// outOfOrder reads every second piece of 64 files, on and on.
func outOfOrder(to io.Writer) {
	const files, size = 64, 32 << 10
	out := bufio.NewWriter(to)
	id, err := uint32(0), error(nil)
	ask := func(r packet.Request) {
		id++
		if err == nil {
			_, err = out.Write(r.Append(nil, id))
		}
	}
	_, err = out.Write(packet.AppendInit(nil))
	for n := range files {
		ask(packet.Request{Op: packet.Open, Path: fmt.Sprint("/f", n), Flags: packet.ForReading})
	}
	for i := uint64(0); err == nil; i++ {
		for n := range files {
			ask(packet.Request{Op: packet.ReadAt, Handle: handle(n + 1), Offset: (2*i + 1) * size, Length: size})
		}
		if err == nil {
			err = out.Flush()
		}
	}
}

// lists reads directories without end.
func lists(to io.Writer) {
	id, err := uint32(0), error(nil)
	ask := func(r packet.Request) {
		id++
		if err == nil {
			_, err = to.Write(r.Append(nil, id))
		}
	}
	_, err = to.Write(packet.AppendInit(nil))
	for n := 1; err == nil; n++ {
		ask(packet.Request{Op: packet.Opendir, Path: "/"})
		for range 400 {
			ask(packet.Request{Op: packet.Readdir, Handle: handle(n)})
		}
		ask(packet.Request{Op: packet.Close, Handle: handle(n)})
	}
}
