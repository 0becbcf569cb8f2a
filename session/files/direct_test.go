package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files/packet"
)

// client speaks sftp as it likes: it waits for nothing.
type client struct {
	t       testing.TB
	conn    io.ReadWriteCloser
	version []packet.Extension

	mu      sync.Mutex
	last    uint32
	waiting map[uint32]chan packet.Response
}

// talk greets a server. Its end is the test's.
func talk(t testing.TB, conn io.ReadWriteCloser) *client {
	t.Helper()
	c := &client{t: t, conn: conn, waiting: map[uint32]chan packet.Response{}}
	_, err := conn.Write(packet.AppendInit(nil))
	must(t, err)
	body, err := packet.Read(conn, nil)
	must(t, err)
	_, c.version, err = packet.ParseVersion(body)
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			body, err := packet.Read(conn, nil)
			if err != nil {
				break
			}
			id, a, err := packet.ParseResponse(body)
			if err != nil {
				t.Errorf("%x: %v", body, err)
				break
			}
			c.mu.Lock()
			c.waiting[id] <- a
			delete(c.waiting, id)
			c.mu.Unlock()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, w := range c.waiting {
			w <- packet.Says(packet.ConnectionLost)
		}
		c.waiting = nil
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return c
}

// send asks without waiting.
func (c *client) send(r packet.Request) <-chan packet.Response {
	got := make(chan packet.Response, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.waiting[id] = got
	c.mu.Unlock()
	if _, err := c.conn.Write(r.Append(nil, id)); err != nil {
		c.t.Errorf("send: %v", err)
	}
	return got
}

func (c *client) ask(r packet.Request) packet.Response { return <-c.send(r) }

func (c *client) open(path string, flags uint32) string {
	c.t.Helper()
	a := c.ask(packet.Request{Op: packet.Open, Path: path, Flags: flags})
	if a.Kind != packet.Handle {
		c.t.Fatalf("open %s: %v", path, a.Code)
	}
	return a.Handle
}

// directly is a client of OpenSSH's sftp-server itself.
func directly(t testing.TB, dir string) *client {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); openssh(dir)(pipeChannel{far, far}) }()
	c := talk(t, near)
	t.Cleanup(func() { _ = near.Close(); <-done })
	return c
}

// through is one whose every word passes Serve.
func through(t testing.TB, cfg Config) *client {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	var stream atomic.Uint32
	stream.Store(1)
	cfg.Stream, cfg.Next = 1, func() uint32 { return stream.Add(1) }
	if cfg.Gate == nil {
		cfg.Gate = &openGate{}
	}
	if cfg.Refused == nil {
		cfg.Refused = func(what, detail string) { t.Errorf("refused: %s %s", what, detail) }
	}
	go func() { defer close(done); _ = Serve(far, cfg); _ = far.Close() }()
	c := talk(t, near)
	t.Cleanup(func() { _ = near.Close(); <-done })
	return c
}

// schedule is what one client asks for, in order; slots are handles by the number of
// the request that asked for them.
type schedule struct {
	asked []turn
}

type turn struct {
	packet.Request
	slot, into int // of the handle; -1 for none
	wait       bool
}

// newSchedule makes one from a seed. Its paths are below dir.
func newSchedule(seed uint64, dir string) schedule {
	r := rand.New(rand.NewPCG(seed, 1))
	names := []string{"a", "b", "d", "d/c", "l", "l/../a", "d/../b", "odd \xff\n name", "none/x", ""}
	path := func() string {
		if r.IntN(12) == 0 {
			return names[r.IntN(len(names))]
		}
		return dir + "/" + names[r.IntN(len(names)-1)]
	}
	var s schedule
	var files, dirs []int
	data := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	attrs := func() packet.Attrs {
		return packet.Attrs{Has: packet.HasMode, Mode: 0o600 | uint32(r.IntN(0o100))}
	}
	pick := func(from []int) int {
		if len(from) == 0 || r.IntN(60) == 0 {
			return -1
		}
		return from[r.IntN(len(from))]
	}
	add := func(t turn) { s.asked = append(s.asked, t) }
	byPath := []packet.Op{packet.Stat, packet.Lstat, packet.Readlink, packet.Realpath, packet.Remove, packet.Rmdir, packet.Statvfs, packet.ExpandPath}
	byTwo := []packet.Op{packet.Rename, packet.PosixRename, packet.Symlink, packet.Hardlink}
	add(turn{Request: packet.Request{Op: packet.Mkdir, Path: dir}, slot: -1, into: -1})
	for range 30 + r.IntN(60) {
		t := turn{slot: -1, into: -1, wait: r.IntN(4) == 0}
		switch n := r.IntN(100); {
		case n < 12:
			flags := []uint32{packet.ForReading, packet.ForWriting | packet.Create, packet.ForReading | packet.ForWriting | packet.Create,
				packet.ForWriting | packet.Create | packet.Append, packet.ForWriting | packet.Create | packet.Truncate,
				packet.ForWriting | packet.Create | packet.Exclusive, packet.ForReading | packet.ForWriting | packet.Append, 0}[r.IntN(8)]
			t.Request, t.wait = packet.Request{Op: packet.Open, Path: path(), Flags: flags, Attrs: attrs()}, true
			files = append(files, len(s.asked))
		case n < 50:
			t.slot = pick(files)
			t.Request = packet.Request{Op: packet.WriteAt, Offset: uint64(r.IntN(300)), Data: data(r.IntN(200))}
		case n < 65:
			t.slot = pick(files)
			t.Request = packet.Request{Op: packet.ReadAt, Offset: uint64(r.IntN(400)), Length: uint32(r.IntN(300))}
		case n < 70:
			t.slot = pick(files)
			t.Request = packet.Request{Op: packet.Fsetstat, Attrs: packet.Attrs{Has: packet.HasSize, Size: uint64(r.IntN(500))}}
		case n < 73:
			t.slot = pick(files)
			t.Request = packet.Request{Op: []packet.Op{packet.Fstat, packet.Fsync, packet.Fstatvfs}[r.IntN(3)]}
		case n < 75:
			t.slot, t.into = pick(files), pick(files)
			t.Request = packet.Request{Op: packet.CopyData, Offset: uint64(r.IntN(100)), Portion: 1 + uint64(r.IntN(100)), Where: uint64(200 + r.IntN(100))}
		case n < 79:
			if t.slot = pick(files); t.slot >= 0 {
				files = slices.DeleteFunc(files, func(i int) bool { return i == t.slot })
			}
			t.Request = packet.Request{Op: packet.Close}
		case n < 81:
			t.Request, t.wait = packet.Request{Op: packet.Opendir, Path: path()}, true
			dirs = append(dirs, len(s.asked))
		case n < 84:
			t.slot = pick(dirs)
			t.Request = packet.Request{Op: packet.Readdir}
		case n < 86:
			t.Request = packet.Request{Op: packet.Mkdir, Path: path(), Attrs: attrs()}
		case n < 89:
			has := packet.Attrs{Has: packet.HasSize | packet.HasTimes, Size: uint64(r.IntN(300)), Atime: 1e9, Mtime: 1e9}
			t.Request = packet.Request{Op: []packet.Op{packet.Setstat, packet.Lsetstat}[r.IntN(2)], Path: path(), Attrs: has}
		case n < 94:
			t.Request = packet.Request{Op: byTwo[r.IntN(len(byTwo))], Path: path(), Target: path()}
		default:
			t.Request = packet.Request{Op: byPath[r.IntN(len(byPath))], Path: path()}
		}
		add(t)
	}
	for _, slot := range append(files, dirs...) {
		add(turn{Request: packet.Request{Op: packet.Close}, slot: slot, into: -1})
	}
	return s
}

// run asks for everything, and tells what was answered in words that do not depend on
// where and when.
func (s schedule) run(c *client, root string) []string {
	got := make([]packet.Response, len(s.asked))
	waiting := map[int]<-chan packet.Response{}
	drain := func() {
		for i, w := range waiting {
			got[i] = <-w
		}
		clear(waiting)
	}
	for i, t := range s.asked {
		handle := func(slot int) string {
			if slot < 0 || got[slot].Kind != packet.Handle {
				return "none"
			}
			return got[slot].Handle
		}
		r := t.Request
		r.Handle, r.Into = handle(t.slot), handle(t.into)
		waiting[i] = c.send(r)
		if t.wait || len(waiting) > 100 {
			drain()
		}
	}
	drain()
	var said []string
	for i, a := range got {
		said = append(said, fmt.Sprintf("%d: %+v: ", i, describeTurn(s.asked[i]))+strings.ReplaceAll(sayResponse(s.asked[i].Op, a), root, "ROOT"))
	}
	return said
}

func describeTurn(t turn) string {
	return fmt.Sprintf("op %d %q %q slot %d/%d at %d+%d/%d flags %x %+v", t.Op, t.Path, t.Target, t.slot, t.into, t.Offset, t.Length, len(t.Data), t.Flags, t.Attrs)
}

func sayResponse(op packet.Op, a packet.Response) string {
	attrs := func(a packet.Attrs) string { return fmt.Sprint(a.Has, a.Size, a.UID, a.GID, a.Mode) }
	switch a.Kind {
	case packet.Status:
		return a.Code.String()
	case packet.Attributes:
		return attrs(a.Attrs)
	case packet.Data:
		return fmt.Sprintf("%x", a.Data)
	case packet.Name:
		var all []string
		for _, e := range a.Names {
			s := fmt.Sprintf("%q", e.Name)
			if op == packet.Readdir && e.Name != ".." && e.Name != "." {
				s += attrs(e.Attrs)
			}
			all = append(all, s)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	return fmt.Sprint("kind ", a.Kind)
}

// tree is what a directory holds.
func tree(t testing.TB, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		is := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			is += sum(content)
		case info.Mode()&os.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			is += to
		}
		all[strings.TrimPrefix(path, root)] = is
		return nil
	}))
	return all
}

// Whatever a client asks for, in whatever order and without waiting: the device's
// answers and its files are those of the same client going directly.
func TestSchedulesAsDirectly(t *testing.T) {
	n := 300
	if os.Getenv("SALLYPORT_PROVE") == "1" {
		n = 10_000
	}
	for part := range 4 {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			directRoot, ourRoot := t.TempDir(), t.TempDir()
			direct := directly(t, directRoot)
			ours := through(t, Config{Recorder: &tape{light: true}, In: true, Out: true, Device: piped(openssh(ourRoot))})
			for i := range n / 4 {
				seed := uint64(part*n + i)
				s := newSchedule(seed, fmt.Sprintf("s%d", i))
				want, got := s.run(direct, directRoot), s.run(ours, ourRoot)
				for j := range want {
					if want[j] != got[j] {
						t.Fatalf("seed %d: directly\n%s\nthrough us\n%s", seed, want[j], got[j])
					}
				}
				if want, got := tree(t, directRoot), tree(t, ourRoot); !maps.Equal(want, got) {
					t.Fatalf("seed %d: directly\n%v\nthrough us\n%v", seed, want, got)
				}
				for _, root := range []string{directRoot, ourRoot} {
					left, err := os.ReadDir(root)
					must(t, err)
					for _, e := range left {
						must(t, os.RemoveAll(filepath.Join(root, e.Name())))
					}
				}
			}
		})
	}
}

// The extensions of OpenSSH's server are offered, and limits in any case.
func TestExtensions(t *testing.T) {
	c := through(t, Config{Recorder: &tape{}, In: true, Out: true, Device: piped(openssh(t.TempDir()))})
	for _, name := range []string{"statvfs@openssh.com", "fstatvfs@openssh.com", "posix-rename@openssh.com", "hardlink@openssh.com", "fsync@openssh.com",
		"lsetstat@openssh.com", "expand-path@openssh.com", "limits@openssh.com", "copy-data"} {
		if !slices.ContainsFunc(c.version, func(e packet.Extension) bool { return e.Name == name }) {
			t.Errorf("%s is not offered: %v", name, c.version)
		}
	}
	l, err := packet.ParseCapacity(c.ask(packet.Request{Op: packet.Limits}))
	if err != nil || l.Read != preferred || l.Write != preferred || l.Handles == 0 || l.Packet != packet.Most {
		t.Errorf("%+v, %v", l, err)
	}
	bare := through(t, Config{Recorder: &tape{}, In: true, Out: true, Device: piped(endless)})
	if len(bare.version) != 1 || bare.version[0].Name != "limits@openssh.com" {
		t.Errorf("%v", bare.version)
	}
	if l, err := packet.ParseCapacity(bare.ask(packet.Request{Op: packet.Limits})); err != nil || l.Read > 32<<10 || l.Read == 0 {
		t.Errorf("%+v, %v", l, err)
	}
	if a := bare.ask(packet.Request{Op: packet.Statvfs, Path: "/"}); a.Code != packet.OpUnsupported {
		t.Errorf("%+v", a)
	}
}

// What was not granted is refused by whatever operation it is asked for, and on record.
func TestEveryChangeNeedsItsGrant(t *testing.T) {
	for _, in := range []bool{false, true} {
		root := t.TempDir()
		must(t, os.WriteFile(filepath.Join(root, "f"), []byte("kept"), 0o600))
		must(t, os.WriteFile(filepath.Join(root, "g"), []byte("kept too"), 0o600))
		var refused atomic.Int64
		c := through(t, Config{Recorder: &tape{}, In: in, Out: !in, Device: piped(openssh(root)), Refused: func(string, string) { refused.Add(1) }})
		before := tree(t, root)
		count := int64(0)
		denied := func(r packet.Request) {
			t.Helper()
			count++
			if a := c.ask(r); a.Code != packet.PermissionDenied || refused.Load() != count {
				t.Errorf("%+v: %v, %d refusals on record", r, a.Code, refused.Load())
			}
		}
		if in {
			f := c.open("f", packet.ForWriting)
			denied(packet.Request{Op: packet.ReadAt, Handle: f, Length: 10})
			denied(packet.Request{Op: packet.Open, Path: "f", Flags: packet.ForReading})
			denied(packet.Request{Op: packet.Open, Path: "f", Flags: packet.ForReading | packet.ForWriting})
			denied(packet.Request{Op: packet.Open, Path: "f"})
			denied(packet.Request{Op: packet.Open, Path: "f", Flags: packet.Create})
		} else {
			f := c.open("f", packet.ForReading)
			g := c.open("g", packet.ForReading)
			denied(packet.Request{Op: packet.WriteAt, Handle: f, Data: []byte("x")})
			denied(packet.Request{Op: packet.Fsetstat, Handle: f, Attrs: packet.Attrs{Has: packet.HasSize}})
			denied(packet.Request{Op: packet.Fsync, Handle: f})
			denied(packet.Request{Op: packet.CopyData, Handle: f, Into: g})
			for _, flags := range []uint32{packet.ForWriting, packet.ForReading | packet.ForWriting, packet.ForReading | packet.Create, packet.ForReading | packet.Truncate,
				packet.Append, packet.Exclusive, packet.ForReading | 1<<20} {
				denied(packet.Request{Op: packet.Open, Path: "f", Flags: flags})
			}
			for _, op := range []packet.Op{packet.Setstat, packet.Lsetstat, packet.Mkdir, packet.Rmdir, packet.Remove, packet.Rename, packet.PosixRename, packet.Symlink, packet.Hardlink} {
				denied(packet.Request{Op: op, Path: "f", Target: "h", Attrs: packet.Attrs{Has: packet.HasSize}})
			}
		}
		if after := tree(t, root); !maps.Equal(before, after) {
			t.Errorf("%v became %v", before, after)
		}
	}
}

// A handle is the open file, not its path: after a rename the file itself is cut.
func TestHandlesAreHandles(t *testing.T) {
	root := t.TempDir()
	c := through(t, Config{Recorder: &tape{}, In: true, Out: true, Device: piped(openssh(root))})
	f := c.open("first", packet.ForReading|packet.ForWriting|packet.Create)
	c.ask(packet.Request{Op: packet.WriteAt, Handle: f, Data: []byte("the first file")})
	c.ask(packet.Request{Op: packet.Rename, Path: "first", Target: "moved"})
	must(t, os.WriteFile(filepath.Join(root, "first"), []byte("another"), 0o600))
	if a := c.ask(packet.Request{Op: packet.Fsetstat, Handle: f, Attrs: packet.Attrs{Has: packet.HasSize, Size: 3}}); a.Code != packet.OK {
		t.Error(a.Code)
	}
	if a := c.ask(packet.Request{Op: packet.Fstat, Handle: f}); a.Attrs.Size != 3 {
		t.Errorf("%+v", a)
	}
	moved, _ := os.ReadFile(filepath.Join(root, "moved"))
	first, _ := os.ReadFile(filepath.Join(root, "first"))
	if string(moved) != "the" || string(first) != "another" {
		t.Errorf("%q, %q", moved, first)
	}
	c.ask(packet.Request{Op: packet.Close, Handle: f})
	for _, op := range []packet.Op{packet.ReadAt, packet.WriteAt, packet.Fstat, packet.Fsetstat, packet.Close, packet.Readdir} {
		if a := c.ask(packet.Request{Op: op, Handle: f, Length: 1}); a.Code != packet.Failure && a.Code != packet.NoSuchFile {
			t.Errorf("%d on a closed handle: %+v", op, a)
		}
	}
}

// A device that serves requests in any order it likes gets no two at once whose order
// matters; those that do not are asked for together.
func TestOrderIsKept(t *testing.T) {
	type held struct {
		packet.Request
		id uint32
	}
	asked := make(chan held, 100)
	answer := make(chan []byte)
	device := func(ch ssh.Channel) {
		defer ch.Close()
		if _, err := packet.Read(ch, nil); err != nil {
			return
		}
		_, _ = ch.Write(packet.AppendVersion(nil, nil))
		go func() {
			for b := range answer {
				_, _ = ch.Write(b)
			}
		}()
		for {
			body, err := packet.Read(ch, nil)
			if err != nil {
				return
			}
			id, r, _ := packet.ParseRequest(body)
			asked <- held{r, id}
		}
	}
	c := through(t, Config{Recorder: &tape{}, In: true, Out: true, Device: piped(device)})
	t.Cleanup(func() { close(answer) })
	opening := func(flags uint32) string {
		got := c.send(packet.Request{Op: packet.Open, Path: "f", Flags: flags})
		answer <- packet.Response{Kind: packet.Handle, Handle: "far"}.Append(nil, (<-asked).id)
		return (<-got).Handle
	}
	for _, test := range []struct {
		name          string
		flags         uint32
		first, second packet.Request
		together      bool
	}{
		{"writes apart", packet.ForWriting, packet.Request{Op: packet.WriteAt, Data: []byte("abc")}, packet.Request{Op: packet.WriteAt, Offset: 3, Data: []byte("def")}, true},
		{"writes over each other", packet.ForWriting, packet.Request{Op: packet.WriteAt, Data: []byte("abcd")}, packet.Request{Op: packet.WriteAt, Offset: 3, Data: []byte("def")}, false},
		{"appended", packet.ForWriting | packet.Append, packet.Request{Op: packet.WriteAt, Data: []byte("abc")}, packet.Request{Op: packet.WriteAt, Offset: 3, Data: []byte("def")}, false},
		{"reads", packet.ForReading, packet.Request{Op: packet.ReadAt, Length: 10}, packet.Request{Op: packet.ReadAt, Length: 10}, true},
		{"a write, then a read", packet.ForReading | packet.ForWriting, packet.Request{Op: packet.WriteAt, Data: []byte("abc")}, packet.Request{Op: packet.ReadAt, Offset: 100, Length: 10}, false},
		{"a read, then a write", packet.ForReading | packet.ForWriting, packet.Request{Op: packet.ReadAt, Length: 10}, packet.Request{Op: packet.WriteAt, Offset: 100, Data: []byte("abc")}, false},
		{"a write, then its size", packet.ForWriting, packet.Request{Op: packet.WriteAt, Data: []byte("abc")}, packet.Request{Op: packet.Fstat}, false},
		{"a write, then a cut", packet.ForWriting, packet.Request{Op: packet.WriteAt, Data: []byte("abc")}, packet.Request{Op: packet.Fsetstat, Attrs: packet.Attrs{Has: packet.HasSize}}, false},
		{"a cut, then a write", packet.ForWriting, packet.Request{Op: packet.Fsetstat, Attrs: packet.Attrs{Has: packet.HasSize}}, packet.Request{Op: packet.WriteAt, Data: []byte("abc")}, false},
		{"a write, then the end", packet.ForWriting, packet.Request{Op: packet.WriteAt, Data: []byte("abc")}, packet.Request{Op: packet.Close}, false},
		{"a write, then a look by path", packet.ForWriting, packet.Request{Op: packet.WriteAt, Data: []byte("abc")}, packet.Request{Op: packet.Stat, Path: "f"}, false},
	} {
		h := opening(test.flags)
		test.first.Handle, test.second.Handle = h, h
		one := c.send(test.first)
		sent := <-asked
		two := c.send(test.second)
		var next held
		if test.together {
			next = <-asked
		} else {
			select {
			case next = <-asked:
				t.Errorf("%s: asked for before the first was answered", test.name)
			default:
			}
		}
		answer <- packet.Says(packet.Failure).Append(nil, sent.id)
		<-one
		if next.Op == 0 {
			next = <-asked
		}
		answer <- packet.Says(packet.Failure).Append(nil, next.id)
		<-two
		if test.second.Op != packet.Close {
			done := c.send(packet.Request{Op: packet.Close, Handle: h})
			answer <- packet.Says(packet.OK).Append(nil, (<-asked).id)
			<-done
		}
	}
}

// A client that goes while the device does not answer leaves nothing behind it.
func TestSilentDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := func(ch ssh.Channel) {
			if _, err := packet.Read(ch, nil); err == nil {
				_, _ = ch.Write(packet.AppendVersion(nil, nil))
			}
			_, _ = io.Copy(io.Discard, ch)
			_ = ch.Close()
		}
		near, far := net.Pipe()
		served := make(chan error, 1)
		r := &tape{}
		go func() {
			served <- Serve(far, Config{Recorder: r, Gate: &openGate{}, Stream: 1, In: true, Next: func() uint32 { return 2 }, Device: piped(silent)})
		}()
		_, err := near.Write(packet.AppendInit(nil))
		must(t, err)
		_, err = packet.Read(near, nil)
		must(t, err)
		_, err = near.Write(packet.Request{Op: packet.Open, Path: "pipe", Flags: packet.ForWriting}.Append(nil, 1))
		must(t, err)
		synctest.Wait()
		must(t, near.Close())
		if err := <-served; err != nil {
			t.Error(err)
		}
		if closed := documents[session.FileSummary](t, r, session.FileClosed); len(closed) != 1 || closed[0].SHA256 != "" || closed[0].Reason != "the file was not opened: connection lost" {
			t.Errorf("%+v", closed)
		}
		must(t, far.Close())
	})
}

// proxy makes this test's program what sftp -D runs: a way to a socket.
func proxy() {
	path := os.Getenv("SALLYPORT_TEST_SOCKET")
	if path == "" {
		return
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		go func() { _, _ = io.Copy(c, os.Stdin); _ = c.(*net.UnixConn).CloseWrite() }()
		_, err = io.Copy(os.Stdout, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// sftpBatch runs a batch by OpenSSH's client through Serve.
func sftpBatch(t *testing.T, root, batch string, args ...string) (string, *tape) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	must(t, err)
	defer l.Close()
	r := &tape{}
	var stream atomic.Uint32
	stream.Store(1)
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = Serve(c, Config{Recorder: r, Gate: &openGate{}, Stream: 1, Next: func() uint32 { return stream.Add(1) }, In: true, Out: true,
				Refused: func(string, string) {}, Device: piped(openssh(root))})
			_ = c.Close()
		}
		served <- err
	}()
	cmd := exec.Command("sftp", append(args, "-q", "-b", "-", "-D", self)...)
	cmd.Env = append(os.Environ(), "SALLYPORT_TEST_SOCKET="+l.Addr().String())
	cmd.Stdin = strings.NewReader(batch)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", batch, err, out)
	}
	if err := <-served; err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("served: %v", err)
	}
	return string(out), r
}

// OpenSSH's sftp resumes, appends, copies, asks for space and lists: the files are what
// they are on the other side.
func TestOpenSSHClient(t *testing.T) {
	root, here := t.TempDir(), t.TempDir()
	content := make([]byte, 5_000_000)
	rnd := rand.NewChaCha8([32]byte{1})
	_, _ = rnd.Read(content)
	near := func(name string) string { return filepath.Join(here, name) }
	far := func(name string) string { return filepath.Join(root, name) }
	must(t, os.WriteFile(near("fw"), content, 0o640))
	same := func(path string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	for _, size := range []string{"", "32768", "1000", "200000"} { // of one request
		var args []string
		if size != "" {
			args = []string{"-B", size}
		}
		for _, resume := range []string{"reput", "put -a"} {
			must(t, os.WriteFile(far("fw"), content[:1_700_001], 0o640))
			_, r := sftpBatch(t, root, resume+" "+near("fw")+" fw\n", args...)
			same(far("fw"))
			want := session.Moved{Size: 3_299_999, SHA256: sum(content[1_700_001:]), Order: session.AsAppended} // OpenSSH resumes by appending
			if s := documents[session.FileSummary](t, r, session.FileClosed); len(s) != 1 || s[0].Moved != want {
				t.Errorf("%s -B %s: %+v", resume, size, s)
			}
		}
		must(t, os.WriteFile(near("back"), content[:2_100_000], 0o640))
		sftpBatch(t, root, "reget fw "+near("back")+"\n", args...)
		same(near("back"))
		_, r := sftpBatch(t, root, "get fw "+near("whole")+"\nput -f "+near("fw")+" again\n", args...)
		same(near("whole"))
		same(far("again"))
		for _, s := range documents[session.FileSummary](t, r, session.FileClosed) {
			if s.SHA256 != sum(content) || s.Size != int64(len(content)) {
				t.Errorf("-B %s: %+v", size, s)
			}
		}
	}
	must(t, os.MkdirAll(far("releases/7"), 0o755))
	must(t, os.Mkdir(far("opt"), 0o755))
	must(t, os.Symlink("../releases/7", far("opt/current")))
	must(t, os.WriteFile(far("releases/shared"), []byte("right"), 0o600))
	must(t, os.WriteFile(far("opt/shared"), []byte("wrong"), 0o600))
	out, _ := sftpBatch(t, root, strings.Join([]string{"get opt/current/../shared " + near("got"), "cp fw copied", "rename copied moved", "chmod 600 moved", "ln -s fw link", "ln moved hard",
		"ls -l", "df", "df -i", "mkdir new", "rmdir new", "rm hard", ""}, "\n"))
	if got, err := os.ReadFile(near("got")); err != nil || string(got) != "right" {
		t.Errorf("%q, %v", got, err)
	}
	same(far("moved"))
	if to, err := os.Readlink(far("link")); err != nil || to != "fw" {
		t.Errorf("%q, %v", to, err)
	}
	if !strings.Contains(out, "-rw-------    2 root") || !strings.Contains(out, "Avail") {
		t.Errorf("%s", out)
	}
}
