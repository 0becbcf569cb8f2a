//go:build bench

package bench

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// samples are figures of one measurement by route.
type samples map[string][]float64

func compareSSH(t *testing.T, tb *table) {
	adopt(t)
	s := raise(t)
	blob := s.path("blob")
	f, err := os.Create(blob)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, &rng{seed: 1}, int64(*size)<<20); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()

	got := s.keystrokes()
	tb.versus("keystroke echo p50, against ProxyJump", "µs", got["sallyport"], got["ProxyJump"], 1.4, true)
	tb.versus("keystroke echo p50, against direct", "µs", got["sallyport"], got["direct"], 0, true)
	beside, idle := s.besideBulk(blob)
	tb.versus("keystroke beside bulk of its session, against idle", "µs", beside["sallyport"], idle["sallyport"], 2, true)
	tb.versus("the same on ProxyJump", "µs", beside["ProxyJump"], idle["ProxyJump"], 0, true)
	got = s.each(*opens, func(r route) float64 { return s.open(r) })
	tb.versus("open to first output, against ProxyJump", "ms", got["sallyport"], got["ProxyJump"], 0.8, true)
	tb.versus("open to first output, against direct", "ms", got["sallyport"], got["direct"], 0, true)
	agent := s.ready.PIDs["agent"]
	forgetPeak(t, agent)
	disk := written(t, agent)
	transfers, moved := []struct {
		what string
		run  func(route) float64
		idle func(route)
	}{
		{"cat down", func(r route) float64 { return s.catDown(r, blob) }, func(r route) { s.say(r, "true") }},
		{"cat up", func(r route) float64 { return s.catUp(r, blob) }, func(r route) { s.say(r, "true") }},
		{"sftp get", func(r route) float64 { return s.sftp(r, "get "+blob+" /dev/null") }, func(r route) { s.sftp(r, "pwd") }},
		{"sftp put", func(r route) float64 { return s.sftp(r, "put "+blob+" "+s.path("put-"+r.name)) }, func(r route) { s.sftp(r, "pwd") }},
	}, 0.0
	for _, bulk := range transfers {
		if !wanted(*bulks, bulk.what) {
			continue
		}
		moved += float64(*rounds+1) * float64(int64(*size)<<20)
		rates, costs := s.bulk(bulk.run, bulk.idle)
		tb.versus(bulk.what+", processor time, against ProxyJump", "s/GiB", costs["sallyport"], costs["ProxyJump"], 3, true)
		tb.versus(bulk.what+", against ProxyJump", "MB/s", rates["sallyport"], rates["ProxyJump"], 0.6, false)
		tb.versus(bulk.what+", against direct", "MB/s", rates["sallyport"], rates["direct"], 0, false)
	}
	tb.absolute("agent's largest memory while bulk flows", float64(peak(t, agent))/1024, 80, "MiB")
	if moved > 0 {
		tb.absolute("agent's writes to disk per byte recorded", (written(t, agent)-disk)/moved, 1.05, "")
	}
}

// rng is a fast source of bytes that do not compress, the same in every run.
type rng struct{ seed uint64 }

func (r *rng) Read(p []byte) (int, error) {
	for i := range p {
		if i%8 == 0 {
			r.seed ^= r.seed << 13
			r.seed ^= r.seed >> 7
			r.seed ^= r.seed << 17
		}
		p[i] = byte(r.seed >> (8 * (i % 8)))
	}
	return len(p), nil
}

// each takes one sample of every route in turn, n times, beginning with another one
// each time; the first turn warms up and does not count.
func (s *stage) each(n int, take func(route) float64) samples {
	out := samples{}
	all := s.routes()
	for i := range n + 1 {
		for j := range all {
			r := all[(i+j)%len(all)]
			if v := take(r); i > 0 {
				out[r.name] = append(out[r.name], v)
			}
		}
	}
	return out
}

// typing is a raw terminal on a route that echoes what is typed.
type typing struct {
	in   io.Writer
	out  io.Reader
	stop func()
}

func (s *stage) typing(r route) typing {
	cmd := r.ssh("-tt", r.host, "stty raw -echo; echo ready; exec cat")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	seen := ""
	for b := make([]byte, 1); !strings.HasSuffix(seen, "ready\n"); {
		if _, err := io.ReadFull(out, b); err != nil {
			s.t.Fatalf("%s: %v after %q", r.name, err, seen)
		}
		seen += string(b)
	}
	return typing{in, out, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }}
}

// key is the time from a keystroke to its echo, in µs.
func (s *stage) key(at typing) float64 {
	time.Sleep(2 * time.Millisecond) // as between keys: nothing is warm
	began := time.Now()
	if _, err := at.in.Write([]byte("k")); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.ReadFull(at.out, make([]byte, 1)); err != nil {
		s.t.Fatal(err)
	}
	return float64(time.Since(began).Microseconds())
}

// keystrokes types single bytes on sessions that stand side by side, in turns.
func (s *stage) keystrokes() samples {
	at := map[string]typing{}
	for _, r := range s.routes() {
		at[r.name] = s.typing(r)
		defer at[r.name].stop()
	}
	return s.each(*keys, func(r route) float64 { return s.key(at[r.name]) })
}

// besideBulk types on each route while the same session sends its engineer as much as it
// can, and while it does not, in turns of a few keys.
func (s *stage) besideBulk(blob string) (beside, idle samples) {
	beside, idle = samples{}, samples{}
	for _, r := range s.routes() {
		at := s.typing(r)
		defer at.stop()
		for range 4 {
			for range *keys / 4 {
				idle[r.name] = append(idle[r.name], s.key(at))
			}
			cmd := r.ssh(r.host, "while cat "+blob+"; do :; done")
			out, _ := cmd.StdoutPipe()
			if err := cmd.Start(); err != nil {
				s.t.Fatal(err)
			}
			if _, err := io.ReadFull(out, make([]byte, 1<<20)); err != nil {
				s.t.Fatal(err)
			}
			go func() {
				_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{out}, make([]byte, 256<<10))
			}()
			for range *keys / 4 {
				beside[r.name] = append(beside[r.name], s.key(at))
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	return beside, idle
}

// open is the time from starting ssh to the first byte that the device says.
func (s *stage) open(r route) float64 {
	began := time.Now()
	cmd := r.ssh(r.host, "echo ready")
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		s.t.Fatalf("%s: %v", r.name, err)
	}
	took := time.Since(began)
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	return float64(took.Microseconds()) / 1000
}

func (s *stage) rate(took time.Duration) float64 {
	return float64(int64(*size)<<20) / 1e6 / took.Seconds()
}

// catDown counts from the first byte to the last.
func (s *stage) catDown(r route, blob string) float64 {
	cmd := r.ssh(r.host, "cat "+blob)
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	buf := make([]byte, 256<<10)
	n, err := out.Read(buf)
	began := time.Now()
	rest, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{out}, buf)
	took := time.Since(began)
	if err := cmd.Wait(); err != nil || int64(n)+rest != int64(*size)<<20 {
		s.t.Fatalf("%s: %d bytes, %v", r.name, int64(n)+rest, err)
	}
	_ = err
	return s.rate(took)
}

// catUp counts from the moment at which the device reads to its count of the bytes.
func (s *stage) catUp(r route, blob string) float64 {
	cmd := r.ssh(r.host, "echo ready; wc -c")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		s.t.Fatalf("%s: %v", r.name, err)
	}
	f, err := os.Open(blob)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	began := time.Now()
	_, _ = io.CopyBuffer(struct{ io.Writer }{in}, struct{ io.Reader }{f}, make([]byte, 256<<10))
	_ = in.Close()
	count, _ := io.ReadAll(out)
	took := time.Since(began)
	if err := cmd.Wait(); err != nil || strings.TrimSpace(string(count)) != fmt.Sprint(int64(*size)<<20) {
		s.t.Fatalf("%s: %s, %v", r.name, count, err)
	}
	return s.rate(took)
}

// say runs a command for nothing but its cost.
func (s *stage) say(r route, command string) {
	if out, err := r.ssh(r.host, command).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", r.name, err, out)
	}
}

// sftp counts the whole command, login included.
func (s *stage) sftp(r route, line string) float64 {
	cmd := exec.Command("sftp", "-q", "-b", "-", "-F", r.config, r.host)
	cmd.Stdin = strings.NewReader(line + "\n")
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", r.name, err, out)
	}
	return s.rate(time.Since(began))
}
