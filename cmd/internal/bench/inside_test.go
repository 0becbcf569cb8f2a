//go:build bench

package bench

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/terminal"
)

// discard is the recorder that we do not have.
type discard struct{}

func (discard) Record(session.Event) error    { return nil }
func (discard) Close(session.EndReason) error { return nil }

type open struct{}

func (open) Pass(send func() error) error { return send() }
func (open) Try(send func() error) error  { return send() }

// compareRecorder relays the same output of a real sshd through the agent's relay, with
// the real recorder and with none, in turns.
func compareRecorder(t *testing.T, tb *table) {
	s := &stage{t: t, dir: t.TempDir()}
	s.sshd()
	blob := s.path("blob")
	f, err := os.Create(blob)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, &rng{seed: 1}, int64(*size)<<20); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	_, signer, _ := ed25519.GenerateKey(rand.Reader)
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	got := map[bool][]float64{}
	for i := range *rounds + 1 {
		for j := range 2 {
			on := (i+j)%2 == 0
			var rec session.Recorder = discard{}
			if on {
				name := session.NewID().Recording()
				rec, err = recordings.Create(s.path(name), recordings.Header{Recording: name, Session: session.NewID().Session(),
					Request: session.NewID().Request(), GrantHash: fmt.Sprintf("%064x", 1), Site: "NGH", Asset: "NGH-CT1", Service: "recon-ssh", Protocol: session.SSH},
					recordings.Options{Signer: signer, InputRecipient: id.Recipient().String(), OnPart: func() {}})
				if err != nil {
					t.Fatal(err)
				}
			}
			v := s.relayed(rec, "cat "+blob)
			if err := rec.Close(session.Completed); err != nil {
				t.Fatal(err)
			}
			if i > 0 {
				got[on] = append(got[on], v)
			}
		}
	}
	tb.versus("recorder on, against none", "MB/s", got[true], got[false], 0.85, false)
}

// relayed runs a command through the relay and counts its output.
func (s *stage) relayed(rec session.Recorder, command string) float64 {
	raw, _ := os.ReadFile(s.path("login"))
	login, err := gossh.ParsePrivateKey(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	ciphers := gossh.Config{Ciphers: []string{gossh.CipherAES128GCM}}
	device, err := gossh.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port), &gossh.ClientConfig{Config: ciphers, User: "root",
		Auth: []gossh.AuthMethod{gossh.PublicKeys(login)}, HostKeyCallback: gossh.InsecureIgnoreHostKey()})
	if err != nil {
		s.t.Fatal(err)
	}
	defer device.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer l.Close()
	var served sync.WaitGroup
	served.Go(func() { s.serveRelay(l, login, device, rec) })
	client, err := gossh.Dial("tcp", l.Addr().String(), &gossh.ClientConfig{Config: ciphers, User: "x", HostKeyCallback: gossh.InsecureIgnoreHostKey()})
	if err != nil {
		s.t.Fatal(err)
	}
	run, err := client.NewSession()
	if err != nil {
		s.t.Fatal(err)
	}
	out, _ := run.StdoutPipe()
	if err := run.Start(command); err != nil {
		s.t.Fatal(err)
	}
	began := time.Now()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, out, make([]byte, 256<<10))
	took := time.Since(began)
	if err != nil || n != int64(*size)<<20 {
		s.t.Fatalf("%d bytes, %v", n, err)
	}
	_ = run.Wait()
	_ = client.Close()
	served.Wait()
	return s.rate(took)
}

func (s *stage) serveRelay(l net.Listener, host gossh.Signer, device *gossh.Client, rec session.Recorder) {
	nc, err := l.Accept()
	if err != nil {
		return
	}
	config := &gossh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(host)
	_, channels, requests, err := gossh.NewServerConn(nc, config)
	if err != nil {
		return
	}
	go gossh.DiscardRequests(requests)
	for ch := range channels {
		engineer, asks, err := ch.Accept()
		if err != nil {
			return
		}
		terminal.Accept(engineer, terminal.Config{
			Recorder: rec, Gate: open{}, Stream: 1, May: func(session.Channel) bool { return true },
			Device:  func() (gossh.Channel, <-chan *gossh.Request, error) { return device.OpenChannel("session", nil) },
			Refused: func(string, string) {}, Over: func() bool { return false }, Parting: func() string { return "" },
		}).Run(asks)
	}
}

// grantVerification runs the benchmark that stands beside the verifier.
func grantVerification(t *testing.T, tb *table) {
	out, err := exec.Command("go", "test", "-run", "^$", "-bench", "FullVerification", "-count", "5", "../../../session/grant").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var took []float64
	for _, m := range regexp.MustCompile(`BenchmarkFullVerification\S*\s+\d+\s+([0-9.]+) ns/op`).FindAllSubmatch(out, -1) {
		ns, _ := strconv.ParseFloat(string(m[1]), 64)
		took = append(took, ns/1e6)
	}
	if len(took) == 0 {
		t.Fatalf("no figures in %s", bytes.TrimSpace(out))
	}
	tb.absolute("full grant verification, keys cached", median(took), 1, "ms")
}

// auditLog appends to a log of 10^5 events, one by one and from many at once, and
// proves entries of it.
func auditLog(t *testing.T, tb *table) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(audit.Config{Dir: t.TempDir(), Key: key, Origin: "bench.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	e := witness.Event{Event: witness.Requested, Site: "NGH", Who: &session.Identity{Iss: "https://idp.example", Sub: "jana"},
		Request: session.NewID().Request()}
	const events, writers = 100_000, 200
	began := time.Now()
	var work sync.WaitGroup
	for range writers {
		work.Go(func() {
			for range events / writers {
				if err := log.Append(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	tb.absolute("audit append among 200 writers, 100,000 events", float64(time.Since(began).Microseconds())/events, 0, "µs each")
	if _, err := log.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	timed := func(n int, do func(i int) error) float64 {
		var took []float64
		for i := range n {
			began := time.Now()
			if err := do(i); err != nil {
				t.Fatal(err)
			}
			took = append(took, float64(time.Since(began).Microseconds())/1000)
		}
		return median(took)
	}
	tb.absolute("audit append alone p50, at 100,000 events", timed(200, func(int) error { return log.Append(t.Context(), e) }), 0, "ms")
	tb.absolute("audit proof of one event p50, of 100,000", timed(1000, func(i int) error {
		_, err := log.Prove(int64(i) * 7919 % events)
		return err
	}), 0, "ms")
}
