package hostile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// TestDiskFull: no file of the agent may grow any more while an engineer types into a
// live session. The session ends, at once and for good, and not a byte went to the
// device that is not on record.
//
// The limit that stands in for a full disk holds for a whole process, so the test runs
// itself again in a process of its own.
func TestDiskFull(t *testing.T) {
	const alone = "SALLYPORT_DISK_FULL"
	if os.Getenv(alone) == "" {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
		again.Env = append(os.Environ(), alone+"=1")
		if out, err := again.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestDiskFull")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	s := besiege(t)
	a := s.pend(s.ask(nil))
	doc := s.grantFor(a, nil)
	if v := s.deliverApproval(a, doc, s.approve(a, doc, "approver", "sallyport-console", nil)); !v.Admitted {
		t.Fatalf("%+v", v)
	}
	client := s.engineer(a)
	defer client.Close()
	run, err := client.NewSession()
	must(t, err)
	stdin, err := run.StdinPipe()
	must(t, err)
	var stderr bytes.Buffer
	run.Stderr, run.Stdout = &stderr, io.Discard
	must(t, run.Start("cat"))
	_, err = stdin.Write([]byte("before\n"))
	must(t, err)

	restore := limitFiles(t, 256<<10) // a segment is rotated at 1 MiB: this one never gets there
	defer restore()
	began := time.Now()
	typed := bytes.Repeat([]byte("0123456789abcdef"), 2048)
	for err == nil && time.Since(began) < patience {
		_, err = stdin.Write(typed)
	}
	if err == nil {
		t.Fatal("the session went on without a recorder")
	}
	_ = run.Wait()
	restore()

	if over := recordedInput(t, s); s.device.BytesIn() > over {
		t.Errorf("%d bytes reached the device, %d are on record", s.device.BytesIn(), over)
	}
	if !bytes.Contains(stderr.Bytes(), []byte("record")) {
		t.Errorf("the engineer was not told why: %q", stderr.String())
	}
	if err := s.connect("NGH-PETCT1", "recon-ssh", a.key); err == nil {
		t.Error("the session opened again")
	}
}

// limitFiles makes every write beyond a file's size fail, as a full disk does.
func limitFiles(t *testing.T, size uint64) (restore func()) {
	t.Helper()
	var old syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: old.Max}))
	return func() { must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)) }
}

// engineer is a connected, signed-in client.
func (s *siege) engineer(a asked) *gossh.Client {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := s.broker.Open(ctx, site, agentName, link.Open{Asset: "NGH-PETCT1", Service: "recon-ssh", Door: link.DoorSSH})
	if err != nil {
		s.t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(a.key)
	if err != nil {
		s.t.Fatal(err)
	}
	sc, chans, reqs, err := gossh.NewClientConn(conn, "agent", &gossh.ClientConfig{HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
		User: "sallyport", Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)},
		HostKeyCallback: func(_ string, _ net.Addr, key gossh.PublicKey) error {
			if got := bytes.TrimSpace(gossh.MarshalAuthorizedKey(key)); string(got) != s.agent.Identity {
				return errors.New("not the agent's key")
			}
			return nil
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return gossh.NewClient(sc, chans, reqs)
}

// recordedInput counts the bytes of input that are on the agent's disk.
func recordedInput(t *testing.T, s *siege) int64 {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(s.spool, "V-*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("recordings in the spool: %v, %v", dirs, err)
	}
	r, err := recordings.Follow(dirs[0])
	must(t, err)
	defer r.Close()
	var total int64
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return total
		}
		must(t, err)
		if n, sealed := r.Locked(); sealed && e.Kind == session.Input {
			total += int64(n)
		}
	}
}
