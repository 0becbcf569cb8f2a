package durable_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/session/durable"
)

// content is a body that shows whether it is whole: its hash, then many bytes of one kind.
func content(i int) []byte {
	body := bytes.Repeat([]byte{byte(i)}, 1+i*7919%200_000)
	sum := sha256.Sum256(body)
	return append(sum[:], body...)
}

func whole(b []byte) bool {
	return len(b) > sha256.Size && sha256.Sum256(b[sha256.Size:]) == [sha256.Size]byte(b)
}

// roles are what this test's binary does when it starts itself.
func TestMain(m *testing.M) {
	switch path := os.Getenv("DURABLE_PATH"); os.Getenv("DURABLE_ROLE") {
	case "write":
		for i := 0; ; i++ {
			if err := durable.Write(path, content(i)); err != nil {
				panic(err)
			}
			fmt.Println(i)
		}
	case "hold":
		if _, err := durable.Lock(path); err != nil {
			panic(err)
		}
		fmt.Println("held")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child starts this binary in a role; said reads a line of its output.
func child(t *testing.T, role, path string) (cmd *exec.Cmd, said func() string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DURABLE_ROLE="+role, "DURABLE_PATH="+path)
	if _, err := cmd.StdinPipe(); err != nil { // stays open until the child is killed
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	return cmd, func() string {
		if !lines.Scan() {
			t.Fatalf("the %s child fell silent: %v", role, lines.Err())
		}
		return lines.Text()
	}
}

func TestAKilledWriterLeavesAWholeFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for round := range 20 {
		cmd, said := child(t, "write", path)
		for range 1 + round%5 {
			said()
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		b, err := os.ReadFile(path)
		if err != nil || !whole(b) {
			t.Fatalf("round %d: %d bytes that are no whole file (%v)", round, len(b), err)
		}
	}
	if err := durable.Sweep(dir); err != nil {
		t.Fatal(err)
	}
	only(t, dir, "file")
}

func TestReadersSeeOneContentOrTheOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := durable.Write(path, content(0)); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	done := make(chan struct{})
	for w := range 3 {
		writers.Go(func() {
			for i := range 30 {
				write := durable.Write
				if i%2 == 0 {
					write = durable.Show
				}
				if err := write(path, content(w*100+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { writers.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		if b, err := os.ReadFile(path); err != nil || !whole(b) {
			t.Fatalf("a reader saw %d bytes of a file (%v)", len(b), err)
		}
	}
	only(t, filepath.Dir(path), "file")
}

// A write that fails leaves what was there and nothing beside it.
func TestAFailedWriteLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(name, "below"), 0o700); err != nil { // no file can take this name
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"write":      durable.Write(name, []byte("x")),
		"show":       durable.Show(name, []byte("x")),
		"no place":   durable.Write(filepath.Join(dir, "missing", "file"), nil),
		"once fails": durable.Once(filepath.Join(dir, "file"), 0o600, func() ([]byte, error) { return nil, errors.New("no") }),
	} {
		if err == nil {
			t.Errorf("%s: succeeded", what)
		}
	}
	f, err := durable.Create(filepath.Join(dir, "given-up"))
	if err != nil {
		t.Fatal(err)
	}
	f.Abort()
	f.Abort()
	if err := errors.Join(f.Commit()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a file that was given up is committed: %v", err)
	}
	only(t, dir, "taken")
}

func TestModes(t *testing.T) {
	dir := t.TempDir()
	for mode, write := range map[fs.FileMode]func(string) error{
		0o600: func(p string) error { return durable.Write(p, nil) },
		0o644: func(p string) error { return durable.WriteMode(p, nil, 0o644) },
		0o640: func(p string) error {
			return durable.Once(p, 0o640, func() ([]byte, error) { return nil, nil })
		},
	} {
		path := filepath.Join(dir, mode.String())
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("mode %v, expected %v (%v)", info.Mode(), mode, err)
		}
	}
}

// However many make a file at once, all see the one that was made first.
func TestOnceNeverReplaces(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "key")
		var makers sync.WaitGroup
		seen := make([]string, rapid.IntRange(1, 8).Draw(r, "makers"))
		for i := range seen {
			makers.Go(func() {
				err := durable.Once(path, 0o600, func() ([]byte, error) { return []byte{byte('a' + i)}, nil })
				b, readErr := durable.ReadPrivate(path, 1)
				if err := errors.Join(err, readErr); err != nil {
					t.Error(err)
				}
				seen[i] = string(b)
			})
		}
		makers.Wait()
		for _, s := range seen {
			if s != seen[0] || s == "" {
				r.Fatalf("one file was seen as %q", seen)
			}
		}
		only(t, dir, "key")
	})
}

func TestALinkIsReplacedAndNotFollowed(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(target, []byte("theirs"), 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	if err := durable.Once(link, 0o600, func() ([]byte, error) { t.Error("made"); return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if err := durable.Write(link, []byte("ours")); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(target); string(b) != "theirs" {
		t.Errorf("the write followed a link: %q", b)
	}
}

func TestWhatIsReadIsBoundedRegularAndPrivate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := durable.WriteMode(path, []byte("12345"), 0o640); err != nil {
		t.Fatal(err)
	}
	if b, err := durable.Read(path, 5); err != nil || string(b) != "12345" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := durable.Read(path, 4); err == nil {
		t.Error("more than the bound was read")
	}
	if _, err := durable.Read(dir, 5); err == nil {
		t.Error("a directory was read")
	}
	if _, err := durable.Read(filepath.Join(dir, "none"), 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	var exposed *durable.Exposed
	if _, err := durable.ReadPrivate(path, 5); !errors.As(err, &exposed) || exposed.Mode != 0o640 {
		t.Errorf("a file that the group can read: %v", err)
	}
}

func TestMakeDirMakesWhatIsMissing(t *testing.T) {
	deep := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		if err := durable.MakeDir(deep); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(filepath.Dir(deep)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	file := filepath.Join(deep, "file")
	if err := durable.Write(file, nil); err != nil {
		t.Fatal(err)
	}
	if err := durable.MakeDir(filepath.Join(file, "below")); err == nil {
		t.Error("a directory below a file")
	}
}

func TestSweepRemovesUnfinishedFilesAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".new-1", ".new-x.json", ".newer", "file.new-1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".new-dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Sweep(dir); err != nil {
		t.Fatal(err)
	}
	only(t, dir, ".new-dir", ".newer", "file.new-1")
}

func TestALockSaysWhoHoldsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	cmd, said := child(t, "hold", path)
	if line := said(); line != "held" {
		t.Fatal(line)
	}
	var held *durable.Held
	if _, err := durable.Lock(path); !errors.As(err, &held) {
		t.Fatalf("a lock was taken twice: %v", err)
	}
	if want := fmt.Sprintf("process %d since ", cmd.Process.Pid); !strings.HasPrefix(held.By, want) || held.Path != path {
		t.Errorf("held by %q, expected %q", held.By, want)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	unlock, err := durable.Lock(path)
	if err != nil {
		t.Fatalf("a dead process holds a lock: %v", err)
	}
	if _, err := durable.Lock(path); !errors.As(err, &held) || !strings.Contains(held.By, fmt.Sprint(os.Getpid())) {
		t.Errorf("our own lock: %v", err)
	}
	for _, text := range []string{"", "process 1", "process 1 since yesterday\n", "process 1 since 2026-05-04T10:00:00Z", "process 007 since 2026-05-04T10:00:00Z\n", strings.Repeat("x", 1000), "\x1b[2J\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := durable.Lock(path); !errors.As(err, &held) || held.By != "another process" {
			t.Errorf("%q is repeated: %v", text, err)
		}
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

// only checks what is in a directory.
func only(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if strings.Join(names, " ") != strings.Join(want, " ") {
		t.Errorf("the directory holds %q, expected %q", names, want)
	}
}
