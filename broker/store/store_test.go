package store_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInProcessServer(t *testing.T) {
	var server *miniredis.Miniredis
	again := func(t *testing.T) *store.Store {
		return open(t, store.Config{URL: "redis://" + server.Addr(), Ephemeral: true})
	}
	storetest.Run(t, func(t *testing.T) *store.Store {
		server = miniredis.RunT(t)
		return again(t)
	}, again, func(d time.Duration) { server.FastForward(d) })
}

func TestRealServer(t *testing.T) {
	url := redisServer(t, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	var n atomic.Int32
	again := func(t *testing.T) *store.Store {
		return open(t, store.Config{URL: url, Prefix: fmt.Sprintf("t%d", n.Load())})
	}
	storetest.Run(t, func(t *testing.T) *store.Store {
		n.Add(1)
		return again(t)
	}, again, time.Sleep) // a real server's clock cannot be moved
}

func TestRefusesAServerThatForgets(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no file at all", []string{"--save", ""}, "no append-only file"},
		{"snapshots only", []string{"--save", "60 1"}, "no append-only file"},
		{"never synced", []string{"--appendonly", "yes", "--appendfsync", "no"}, "never syncs"},
		{"evicts", []string{"--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, "drops data"},
		{"CONFIG is not permitted", []string{"--save", "", "--rename-command", "CONFIG", ""}, "no append-only file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := redisServer(t, c.args...)
			_, err := store.Open(t.Context(), store.Config{URL: url})
			var e *session.Error
			if !errors.As(err, &e) || e.Kind != session.Refused || !strings.Contains(e.Message, c.want) {
				t.Fatalf("Open = %v", err)
			}
			if !strings.Contains(e.Next, "appendonly yes") || !strings.Contains(e.Next, "--ephemeral") {
				t.Errorf("the next step is %q", e.Next)
			}
			open(t, store.Config{URL: url, Ephemeral: true})
		})
	}
	t.Run("says nothing about it", func(t *testing.T) {
		server := miniredis.RunT(t)
		if _, err := store.Open(t.Context(), store.Config{URL: "redis://" + server.Addr()}); session.KindOf(err) != session.Refused {
			t.Fatalf("Open = %v", err)
		}
	})
}

// A server that answers before its disk has it is taken only where somebody said so, and so
// is one that does not tell.
func TestASecondIsNotLostSilently(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"once a second":           {[]string{"--appendonly", "yes", "--appendfsync", "everysec"}, "once a second"},
		"as Redis comes":          {[]string{"--appendonly", "yes"}, "once a second"},
		"CONFIG is not permitted": {[]string{"--appendonly", "yes", "--appendfsync", "always", "--rename-command", "CONFIG", ""}, "does not say how often"},
	} {
		t.Run(name, func(t *testing.T) {
			url := redisServer(t, c.args...)
			_, err := store.Open(t.Context(), store.Config{URL: url})
			var e *session.Error
			if !errors.As(err, &e) || e.Kind != session.Refused || !strings.Contains(e.Message, c.want) || !strings.Contains(e.Next, "redis.everysec") {
				t.Fatalf("Open = %v", err)
			}
			open(t, store.Config{URL: url, Everysec: true})
		})
	}
	url := redisServer(t, "--appendonly", "yes", "--appendfsync", "no")
	if _, err := store.Open(t.Context(), store.Config{URL: url, Everysec: true}); session.KindOf(err) != session.Refused {
		t.Errorf("never synced: %v", err)
	}
	open(t, store.Config{URL: redisServer(t, "--appendonly", "yes", "--appendfsync", "always")})
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for url, kind := range map[string]session.Kind{
		"":                               session.Invalid,
		"http://localhost":               session.Invalid,
		"unix:///nonexistent/redis.sock": session.Unreachable,
	} {
		_, err := store.Open(t.Context(), store.Config{URL: url})
		var e *session.Error
		if !errors.As(err, &e) || e.Kind != kind || e.Next == "" {
			t.Errorf("Open(%q) = %v", url, err)
		}
	}
}

// A reply that belongs to another document is thrown away, whatever it says.
func TestMismatchIsFatalForTheRead(t *testing.T) {
	server := miniredis.RunT(t)
	s := open(t, store.Config{URL: "redis://" + server.Addr(), Ephemeral: true})
	ctx := t.Context()
	for _, id := range []string{"a", "b"} {
		if err := s.Create(ctx, "thing", id, []byte("of "+id), 0, "all"); err != nil {
			t.Fatal(err)
		}
	}
	key := func(id string) string { return "sallyport:{thing}:doc:" + id }
	for field, value := range map[string]string{"id": "b", "kind": "other", "version": "x"} {
		old := server.HGet(key("a"), field)
		server.HSet(key("a"), field, value)
		if d, err := s.Get(ctx, "thing", "a"); !errors.Is(err, store.ErrMismatch) || d.Body != nil {
			t.Errorf("%s changed: Get = %q, %v", field, d.Body, err)
		}
		if _, _, err := s.Page(ctx, "thing", []string{"all"}, "", 0); !errors.Is(err, store.ErrMismatch) {
			t.Errorf("%s changed: Page = %v", field, err)
		}
		err := s.Update(ctx, "thing", "a", func([]byte) ([]byte, error) { return []byte("new"), nil })
		if !errors.Is(err, store.ErrMismatch) {
			t.Errorf("%s changed: Update = %v", field, err)
		}
		server.HSet(key("a"), field, old)
	}
	if d, err := s.Get(ctx, "thing", "a"); err != nil || string(d.Body) != "of a" {
		t.Errorf("after repair: %q, %v", d.Body, err)
	}
}

func TestLostServerIsUnreachable(t *testing.T) {
	server := miniredis.RunT(t)
	s := open(t, store.Config{URL: "redis://" + server.Addr(), Ephemeral: true})
	if err := s.Create(t.Context(), "thing", "a", nil, 0); err != nil {
		t.Fatal(err)
	}
	server.Close()
	_, err := s.Get(t.Context(), "thing", "a")
	if session.KindOf(err) != session.Unreachable || errors.Is(err, os.ErrNotExist) {
		t.Errorf("Get = %v", err)
	}
	if err := s.Create(t.Context(), "thing", "b", nil, 0); session.KindOf(err) != session.Unreachable || errors.Is(err, store.ErrExists) {
		t.Errorf("Create = %v", err)
	}
	if err := s.Ping(t.Context()); session.KindOf(err) != session.Unreachable {
		t.Errorf("Ping = %v", err)
	}
}

// Closing wakes those who wait, and leaves no goroutine (TestMain looks).
func TestCloseEndsWaits(t *testing.T) {
	server := miniredis.RunT(t)
	s, err := store.Open(t.Context(), store.Config{URL: "redis://" + server.Addr(), Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), "thing", "a", nil, 0); err != nil {
		t.Fatal(err)
	}
	doc, err := s.Get(t.Context(), "thing", "a")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := s.Wait(t.Context(), "thing", "a", doc.Version)
		ended <- err
	}()
	if err := s.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := <-ended; session.KindOf(err) != session.Unreachable {
		t.Errorf("Wait = %v", err)
	}
}

func open(t *testing.T, c store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// redisServer starts a real server on a unix socket of its own and stops it after the test.
func redisServer(t *testing.T, args ...string) (url string) {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed, and this test is about it: apt-get install redis-server")
	}
	dir, err := os.MkdirTemp("", "redis") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(binary, append([]string{"--port", "0", "--unixsocket", socket, "--dir", dir}, args...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-gone
		_ = os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return "unix://" + socket
		}
		select {
		case err := <-gone:
			gone <- err
			t.Fatalf("redis-server ended: %v\n%s", err, out.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("redis-server did not open its socket")
		}
	}
}
