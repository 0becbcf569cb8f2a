//go:build bench

package bench

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// crowdSocket, when set, makes this binary a crowd of idle agents.
const crowdSocket = "BENCH_CROWD"

// plan is what a crowd is told on its standard input.
type plan struct {
	Address string
	CACert  []byte // DER
	CAKey   []byte // PKCS #8
	Agents  int
}

// idleAgents measures what the real broker's memory grows by with connected agents.
func idleAgents(t *testing.T, tb *table) {
	s := raise(t)
	read := func(name string) []byte {
		raw, err := os.ReadFile(s.path("state/broker/ca/" + name))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(raw)
		return block.Bytes
	}
	before := resident(t, s.ready.PIDs["broker"])
	stop := gather(t, plan{Address: strings.TrimPrefix(s.ready.Web, "http://"), CACert: read("ca.pem"), CAKey: read("ca.key"), Agents: *agents})
	defer stop()
	time.Sleep(3 * time.Second) // what the arrivals left behind is swept
	after := resident(t, s.ready.PIDs["broker"])
	tb.absolute(fmt.Sprintf("broker memory per idle agent, %d agents", *agents), float64(after-before)/float64(*agents), 60, "KiB")
}

// resident is a process's memory in KiB; peak the largest that it had.
func resident(t *testing.T, pid int) int { return memory(t, pid, "VmRSS:") }
func peak(t *testing.T, pid int) int     { return memory(t, pid, "VmHWM:") }

func memory(t *testing.T, pid int, which string) int {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, which); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	t.Fatalf("no %s", which)
	return 0
}

// gather starts a crowd and returns when all of it is connected.
func gather(t *testing.T, p plan) (stop func()) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), crowdSocket+"=1")
	cmd.Stderr = os.Stderr
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := json.NewEncoder(in).Encode(p); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "connected\n" {
		t.Fatalf("the crowd said %q, %v", line, err)
	}
	return func() { _ = in.Close(); _ = cmd.Wait() }
}

// crowd is the child process: so many link clients, until standard input ends.
func crowd() int {
	in := bufio.NewReader(os.Stdin)
	var p plan
	if line, err := in.ReadBytes('\n'); err != nil || json.Unmarshal(line, &p) != nil {
		return 2
	}
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 20000, Max: 20000})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all []*link.Client
	for i := range p.Agents {
		c, err := idle(p, i)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		all = append(all, c)
		go func() { _ = c.Run(ctx) }() // ends with the process
		for up := false; i%50 == 49 && !up; time.Sleep(5 * time.Millisecond) {
			up, _ = c.Connected()
		}
	}
	for _, c := range all {
		for up, _ := c.Connected(); !up; up, _ = c.Connected() {
			time.Sleep(10 * time.Millisecond)
		}
	}
	fmt.Println("connected")
	_, _ = in.ReadByte()
	return 0
}

// idle is one agent with a certificate signed as the broker's CA signs.
func idle(p plan, i int) (*link.Client, error) {
	ca, err := x509.ParseCertificate(p.CACert)
	if err != nil {
		return nil, err
	}
	signer, err := x509.ParsePKCS8PrivateKey(p.CAKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	name := fmt.Sprintf("idle-%d", i)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(int64(i + 1000)), Subject: pkix.Name{CommonName: name, SerialNumber: session.Fingerprint(pub)},
		URIs: []*url.URL{link.AgentURI("S"+strconv.Itoa(i), name)}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	pair := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return link.NewClient(link.ClientConfig{
		Nodes: []link.Node{{Name: "broker", Address: p.Address}}, Roots: func() *x509.CertPool { return roots },
		Certificate: func() (*tls.Certificate, error) { return pair, nil },
		Hello: func() link.Hello {
			return link.Hello{V: link.Version, Site: "S" + strconv.Itoa(i), Agent: name, Boot: "b", Version: "1", Identity: session.KeyLine(pub),
				Assets: []session.Asset{{Name: "CT-" + strconv.Itoa(i), Label: "CT", Modality: "CT",
					Policy: session.Policy{Approvals: 1, Longest: time.Hour, Window: time.Hour, Channels: session.Channels(),
						Accept: session.Accept{Engineer: []session.ClientClass{session.CLI}, Approver: []session.ClientClass{session.Console}}}, Services: []session.Service{{Name: "ssh", Endpoint: "recon", Protocol: session.SSH, Port: 22, Class: session.Observe}}}}}
		},
		Handler: nobody{}, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}

type nobody struct{}

func (nobody) Deliver(context.Context, link.Deliver) link.Verdict   { return link.Verdict{} }
func (nobody) End(context.Context, link.End) link.Verdict           { return link.Verdict{} }
func (nobody) Stream(_ context.Context, _ link.Open, conn net.Conn) { _ = conn.Close() }
