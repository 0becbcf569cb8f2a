package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/recordings/witness"
)

// shelf keeps files in memory, and polices who writes what.
type shelf struct {
	mu    sync.Mutex
	files map[string][]byte
	puts  int
}

func (s *shelf) PutLog(_ context.Context, log, file string, content []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := log + " " + file
	if old, ok := s.files[name]; ok && file != "head" && !bytes.Equal(old, content) {
		return fmt.Errorf("%s is written over", name)
	} else if ok && file != "head" {
		return fmt.Errorf("%s is written again", name)
	}
	s.files[name] = bytes.Clone(content)
	s.puts++
	return nil
}

func (s *shelf) Log(_ context.Context, log, file string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.files[log+" "+file]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(b), nil
}

func grown(t *testing.T, l *audit.Log, n int) {
	t.Helper()
	for range n {
		if err := l.Append(t.Context(), witness.Event{Event: witness.Requested, Site: "NGH", Request: fmt.Sprint("R-", l.Size())}); err != nil {
			t.Fatal(err)
		}
	}
}

func opened(t *testing.T, dir string, key ed25519.PrivateKey) *audit.Log {
	t.Helper()
	l, err := audit.Open(audit.Config{Dir: dir, Key: key, Origin: "broker.example/one"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// Every entry that a copy has is found and proved from the copy alone, whatever the log's
// size was each time it was copied, and nothing is copied twice.
func TestALogIsProvedFromItsCopy(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	l, s := opened(t, t.TempDir(), key), &shelf{files: map[string][]byte{}}
	if _, err := audit.OpenCopy(t.Context(), s, l.Node()); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a copy that is not there: %v", err)
	}
	for _, more := range []int{0, 3, 252, 1, 1, 255, 300} { // 0, 3, 255, 256, 257, 512, 812
		grown(t, l, more)
		if err := l.CopyTo(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		before := s.puts
		if err := l.CopyTo(t.Context(), s); err != nil || s.puts != before {
			t.Fatalf("copied again without need: %v", err)
		}
		c, err := audit.OpenCopy(t.Context(), s, l.Node())
		if errors.Is(err, fs.ErrNotExist) && l.Size() == 0 {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := int64(0); i < l.Size(); i += 17 {
			p, err := c.Prove(i)
			if err != nil {
				t.Fatalf("entry %d of %d: %v", i, l.Size(), err)
			}
			at, err := p.Included(l.Key())
			if err != nil || at.Size != l.Size() {
				t.Fatalf("entry %d of %d: %+v, %v", i, l.Size(), at, err)
			}
			want := fmt.Sprintf(`"R-%d"`, i)
			found, ok, err := c.Find(func(e []byte) bool { return strings.Contains(string(e), want) })
			if err != nil || !ok || found != i {
				t.Fatalf("entry %d is found at %d: %t, %v", i, found, ok, err)
			}
		}
		if _, err := c.Prove(l.Size()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an entry beyond the copy: %v", err)
		}
	}
}

// A copy that is not what its node signed is not opened, or proves nothing.
func TestASpoiltCopyProvesNothing(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(nil)
	_, other, _ := ed25519.GenerateKey(nil)
	l, s := opened(t, t.TempDir(), key), &shelf{files: map[string][]byte{}}
	grown(t, l, 600)
	if err := l.CopyTo(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	stranger := l.Node()
	stranger.Key = opened(t, t.TempDir(), other).Node().Key
	if _, err := audit.OpenCopy(t.Context(), s, stranger); err == nil {
		t.Error("the copy was opened with another key")
	}
	for name, content := range s.files {
		spoilt := bytes.Clone(content)
		spoilt[len(spoilt)*2/3] ^= 1
		s.files[name] = spoilt
		c, err := audit.OpenCopy(t.Context(), s, l.Node())
		for i := int64(0); err == nil && i < l.Size(); i++ {
			var p witness.Inclusion
			if p, err = c.Prove(i); err == nil {
				if _, bad := p.Included(l.Key()); bad != nil {
					t.Fatalf("%s: entry %d is proved wrongly: %v", name, i, bad)
				}
			}
		}
		if err == nil {
			t.Errorf("%s was spoilt unseen", name)
		}
		s.files[name] = content
	}
}

// A node that comes back with less than its copy has does not write it over.
func TestACopyIsNotWrittenOverByAShorterLog(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(nil)
	l, s := opened(t, t.TempDir(), key), &shelf{files: map[string][]byte{}}
	grown(t, l, 5)
	if err := l.CopyTo(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	again := opened(t, t.TempDir(), key)
	for range 2 {
		grown(t, again, 4)
		if err := again.CopyTo(t.Context(), s); !errors.Is(err, audit.ErrLost) {
			t.Errorf("%d entries: %v", again.Size(), err)
		}
	}
}
