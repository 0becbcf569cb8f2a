package sshd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

func TestHostKeyStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host_key")
	d := newDesk(t)
	var lines []string
	for range 2 {
		s, err := New(Config{HostKeyFile: path, Access: d, Streams: d})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, s.HostKeyLine(), s.HostKeyLineEC())
	}
	if lines[0] != lines[2] || lines[1] != lines[3] {
		t.Errorf("a host key changed with a restart: %q", lines)
	}
	if _, err := session.ParseKeyLineEC(lines[1]); err != nil {
		t.Errorf("%q: %v", lines[1], err)
	}
	if _, err := session.ParseKeyLine(lines[0]); err != nil {
		t.Errorf("%q: %v", lines[0], err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// Two brokers that start at once on one disk end up with one key.
func TestHostKeyIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "host_key")
	lines := make([]string, 16)
	var all sync.WaitGroup
	for i := range lines {
		all.Go(func() {
			signers, err := hostKeys(path)
			if err != nil {
				t.Error(err)
				return
			}
			lines[i] = keyLine(signers[0].PublicKey())
		})
	}
	all.Wait()
	for _, l := range lines {
		if l != lines[0] || l == "" {
			t.Fatalf("different keys: %q", lines)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("files left behind: %v, %v", left, err)
	}
}

func TestHostKeysThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(ec, "")
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := filepath.Join(dir, "good")
	if _, err := hostKeys(good); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(good, 0o640); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, want string }{
		"no name":          {"", "HostKeyFile"},
		"read by others":   {good, "can be read by others"},
		"a directory":      {dir, "can be read by others"},
		"not a key":        {file("text", "hello", 0o600), "not an ssh private key"},
		"empty":            {file("empty", "", 0o600), "not an ssh private key"},
		"another kind":     {file("ec", string(pem.EncodeToMemory(block)), 0o600), "not an ed25519 key"},
		"too large":        {file("large", strings.Repeat("x", 1<<20), 0o600), "larger than"},
		"nowhere to write": {filepath.Join(dir, "none", "key"), "make ssh host key"},
	} {
		if _, err := hostKeys(c.path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestNewNeedsEverything(t *testing.T) {
	d := newDesk(t)
	path := filepath.Join(t.TempDir(), "k")
	for _, c := range []Config{{}, {HostKeyFile: path, Access: d}, {HostKeyFile: path, Streams: d}, {Access: d, Streams: d}} {
		if s, err := New(c); err == nil || s != nil {
			t.Errorf("New(%+v) gave %v, %v", c, s, err)
		}
	}
}
