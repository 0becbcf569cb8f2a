package files

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pkg/sftp"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files/packet"
	"github.com/sallyport/sallyport/session/held"
)

func TestMain(m *testing.M) {
	proxy()
	goleak.VerifyTestMain(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openGate lets everything pass until it is shut.
type openGate struct {
	mu   sync.Mutex
	shut bool
}

func (g *openGate) Pass(send func() error) error {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut {
		return errors.New("shut")
	}
	return send()
}

// tape records in memory; content is only counted when light is set.
type tape struct {
	mu     sync.Mutex
	events []session.Event
	light  bool
	bytes  int64
	fail   func(session.Event) bool
}

func (r *tape) Record(e session.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(e.Data) > session.MaxEventData {
		return errors.New("too large")
	}
	if r.fail != nil && r.fail(e) {
		return errors.New("disk full")
	}
	if r.light && (e.Kind == session.Upload || e.Kind == session.Download) {
		r.bytes += int64(len(e.Data) - 8)
		return nil
	}
	e.Data = bytes.Clone(e.Data)
	r.events = append(r.events, e)
	return nil
}

func (r *tape) Close(session.EndReason) error { return nil }

func documents[T any](t *testing.T, r *tape, kind session.EventKind) []T {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []T
	for _, e := range r.events {
		if e.Kind == kind {
			var d T
			must(t, json.Unmarshal(e.Data, &d))
			out = append(out, d)
		}
	}
	return out
}

// content puts a file's recorded chunks together.
func (r *tape) content(stream uint32, kind session.EventKind) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []byte
	for _, e := range r.events {
		if e.Kind == kind && e.Stream == stream {
			at := int(binary.BigEndian.Uint64(e.Data))
			if need := at + len(e.Data) - 8; need > len(out) {
				out = append(out, make([]byte, need-len(out))...)
			}
			copy(out[at:], e.Data[8:])
		}
	}
	return out
}

// bench is a device with a real file system behind pkg/sftp's server, Serve in front of
// it and an engineer's client.
type bench struct {
	root    string
	tape    *tape
	gate    *openGate
	refused []session.Refusal
	client  *sftp.Client
	served  chan error
}

func newBench(t *testing.T, in, out bool, server func(ssh.Channel)) *bench {
	t.Helper()
	b := &bench{root: t.TempDir(), tape: &tape{}, gate: &openGate{}, served: make(chan error, 1)}
	if server == nil {
		server = func(ch ssh.Channel) {
			s, err := sftp.NewServer(ch, sftp.WithServerWorkingDirectory(b.root))
			if err == nil {
				_ = s.Serve()
			}
			_ = ch.Close()
		}
	}
	device := dialDevice(t, server)
	near, far := net.Pipe()
	var mu sync.Mutex
	stream := uint32(1)
	go func() {
		b.served <- Serve(far, Config{Recorder: b.tape, Gate: b.gate, Stream: 1, In: in, Out: out,
			Device: func() (ssh.Channel, <-chan *ssh.Request, error) { return device.OpenChannel("session", nil) },
			Next:   func() uint32 { mu.Lock(); defer mu.Unlock(); stream++; return stream },
			Refused: func(what, detail string) {
				mu.Lock()
				defer mu.Unlock()
				b.refused = append(b.refused, session.Refusal{What: what, Detail: detail})
			}})
		_ = far.Close()
	}()
	t.Cleanup(func() { _ = near.Close(); _ = device.Close() })
	var err error
	b.client, err = sftp.NewClientPipe(near, near, sftp.UseConcurrentWrites(true))
	if err == nil {
		t.Cleanup(func() { _ = b.client.Close() })
	}
	return b
}

// dialDevice is a connection to a device whose sftp subsystem is server.
func dialDevice(t *testing.T, server func(ssh.Channel)) *ssh.Client {
	t.Helper()
	signer := newSigner(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	var work sync.WaitGroup
	work.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(signer)
		_, channels, requests, err := ssh.NewServerConn(c, config)
		if err != nil {
			return
		}
		work.Go(func() { ssh.DiscardRequests(requests) })
		for nc := range channels {
			ch, reqs, err := nc.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				for r := range reqs {
					_ = r.Reply(r.Type == "subsystem", nil)
					if r.Type == "subsystem" {
						work.Go(func() { server(ch) })
					}
				}
			})
		}
	})
	c, err := ssh.Dial("tcp", l.Addr().String(), &ssh.ClientConfig{HostKeyCallback: ssh.FixedHostKey(signer.PublicKey())})
	must(t, err)
	t.Cleanup(func() { _ = c.Close(); work.Wait() })
	return c
}

func sum(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

// Content is on record chunk by chunk and hashed, whatever order it moves in.
func TestUploadAndDownload(t *testing.T) {
	b := newBench(t, true, true, nil)
	for i, size := range []int{0, 1, 32<<10 - 8, 32<<10 - 7, 32 << 10, 1<<20 + 13, 3 << 20} {
		content := make([]byte, size)
		_, _ = rand.Read(content)
		path := filepath.Join(b.root, fmt.Sprint("f", i))
		f, err := b.client.Create(path)
		must(t, err)
		_, err = f.ReadFrom(bytes.NewReader(content))
		must(t, err)
		must(t, f.Close())
		if onDisk, err := os.ReadFile(path); err != nil || !bytes.Equal(onDisk, content) {
			t.Fatalf("%d bytes on the device, %v", len(onDisk), err)
		}
		g, err := b.client.Open(path)
		must(t, err)
		var back bytes.Buffer
		_, err = g.WriteTo(&back)
		must(t, err)
		must(t, g.Close())
		if !bytes.Equal(back.Bytes(), content) {
			t.Fatalf("%d bytes came back", back.Len())
		}
		up, down := uint32(2+2*i), uint32(3+2*i)
		if !bytes.Equal(b.tape.content(up, session.Upload), content) || !bytes.Equal(b.tape.content(down, session.Download), content) {
			t.Error("the recording does not hold every byte")
		}
		for j, s := range documents[session.FileSummary](t, b.tape, session.FileClosed)[2*i:] {
			want := session.FileSummary{Path: path, Direction: []session.Channel{session.FilesIn, session.FilesOut}[j], Moved: session.Moved{Size: int64(size), SHA256: sum(content)}}
			if s != want {
				t.Errorf("got %+v, want %+v", s, want)
			}
		}
	}
	f, err := b.client.OpenFile(filepath.Join(b.root, "w"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	must(t, err)
	content := make([]byte, 2<<20)
	_, _ = rand.Read(content)
	_, err = f.ReadFrom(bytes.NewReader(content))
	must(t, err)
	must(t, f.Close())
	all := documents[session.FileSummary](t, b.tape, session.FileClosed)
	if last := all[len(all)-1]; last.SHA256 != sum(content) || last.Reason != "" {
		t.Errorf("%+v", last)
	}
}

// What is not granted never reaches the device, and listing is always allowed.
func TestGrants(t *testing.T) {
	for _, test := range []struct{ in, out bool }{{true, false}, {false, true}} {
		b := newBench(t, test.in, test.out, nil)
		path := filepath.Join(b.root, "there")
		must(t, os.WriteFile(path, []byte("42"), 0o600))
		c := b.client
		for name, op := range map[string]struct {
			write bool
			do    func() error
		}{
			"create":   {true, func() error { f, err := c.OpenFile(path+"2", os.O_WRONLY|os.O_CREATE); return closed(f, err) }},
			"truncate": {true, func() error { f, err := c.OpenFile(path, os.O_WRONLY|os.O_TRUNC); return closed(f, err) }},
			"append":   {true, func() error { f, err := c.OpenFile(path, os.O_WRONLY|os.O_APPEND); return closed(f, err) }},
			"mkdir":    {true, func() error { return c.Mkdir(path + "d") }},
			"rmdir":    {true, func() error { return c.RemoveDirectory(path + "d") }},
			"rename":   {true, func() error { return c.Rename(path, path+"3") }},
			"posix":    {true, func() error { return c.PosixRename(path+"3", path) }},
			"symlink":  {true, func() error { return c.Symlink(path, path+"s") }},
			"link":     {true, func() error { return c.Link(path, path+"l") }},
			"chmod":    {true, func() error { return c.Chmod(path, 0o600) }},
			"resize":   {true, func() error { return c.Truncate(path, 1) }},
		} {
			if name == "rmdir" || name == "posix" {
				continue // need what an earlier one made; below
			}
			err := op.do()
			if test.in != (err == nil) {
				t.Errorf("%s with files-in %v: %v", name, test.in, err)
			}
			if test.in && name == "mkdir" {
				must(t, c.RemoveDirectory(path+"d"))
			}
			if test.in && name == "rename" {
				must(t, c.PosixRename(path+"3", path))
			}
		}
		if !test.in && (c.RemoveDirectory(path) == nil || c.Remove(path) == nil || c.PosixRename(path, path+"x") == nil) {
			t.Error("removed or renamed without files-in")
		}
		f, err := c.Open(path)
		if test.out != (err == nil) {
			t.Errorf("read with files-out %v: %v", test.out, err)
		}
		_ = closed(f, err)
		if f, err := c.OpenFile(path, os.O_RDWR); err == nil {
			_ = f.Close()
			t.Error("opened both ways with one grant")
		}
		if _, err := c.Stat(path); err != nil {
			t.Errorf("stat: %v", err)
		}
		if l, err := c.ReadDir(b.root); err != nil || len(l) == 0 {
			t.Errorf("list: %v, %v", l, err)
		}
		if len(b.refused) == 0 {
			t.Error("nothing on record as refused")
		}
		if left, err := os.ReadDir(b.root); !test.in && (err != nil || len(left) != 1) {
			t.Errorf("the device was changed: %v", left)
		}
	}
}

func closed(f *sftp.File, err error) error {
	if err == nil {
		return f.Close()
	}
	return err
}

// Names, attributes and link targets are on record before the engineer sees them, and
// attributes with their values before the device does.
func TestActionsAreRecorded(t *testing.T) {
	b := newBench(t, true, true, nil)
	c := b.client
	must(t, os.WriteFile(filepath.Join(b.root, "a\xffb"), []byte("1234567"), 0o640))
	must(t, os.Symlink("/somewhere/else", filepath.Join(b.root, "link")))
	_, err := c.ReadDir(b.root)
	must(t, err)
	_, err = c.ReadLink(filepath.Join(b.root, "link"))
	must(t, err)
	must(t, c.Chmod(filepath.Join(b.root, "a\xffb"), 0o600))
	_, err = c.Stat(filepath.Join(b.root, "none"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err = c.RealPath("."); err != nil {
		t.Error(err)
	}
	got := documents[session.FileChange](t, b.tape, session.FileAction)
	has := func(want session.FileChange) {
		t.Helper()
		if !slices.ContainsFunc(got, func(c session.FileChange) bool {
			return c.Action == want.Action && c.Path == want.Path && strings.HasPrefix(c.Target, want.Target) && c.Error == want.Error
		}) {
			t.Errorf("%+v is not on record: %+v", want, got)
		}
	}
	quoted := fmt.Sprintf("%q", b.root+"/a\xffb")
	has(session.FileChange{Action: "list", Path: b.root})
	has(session.FileChange{Action: "entry", Path: quoted, Target: "-rw-r----- 7 bytes"})
	has(session.FileChange{Action: "found", Path: b.root + "/link", Target: "/somewhere/else"})
	has(session.FileChange{Action: "setstat", Path: quoted, Target: "mode 600"})
	has(session.FileChange{Action: "stat", Path: b.root + "/none", Error: "no such file"})
}

// A recorder that fails stops every kind of step before it happens.
func TestNothingWithoutRecord(t *testing.T) {
	b := newBench(t, true, true, nil)
	path := filepath.Join(b.root, "f")
	f, err := b.client.OpenFile(path, os.O_WRONLY|os.O_CREATE)
	must(t, err)
	_, err = f.Write([]byte("before"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(b.root, "g"), []byte("secret"), 0o600))
	g, err := b.client.Open(filepath.Join(b.root, "g"))
	must(t, err)
	b.tape.mu.Lock()
	b.tape.fail = func(session.Event) bool { return true }
	b.tape.mu.Unlock()
	if _, err := f.Write([]byte("after")); err == nil {
		t.Error("wrote without a record")
	}
	buf := make([]byte, 10)
	if n, err := g.ReadAt(buf, 0); err == nil || n != 0 || bytes.Contains(buf, []byte("secret")) {
		t.Errorf("read without a record: %q, %v", buf[:n], err)
	}
	if b.client.Mkdir(path+"d") == nil || b.client.Remove(path) == nil || b.client.Chmod(path, 0) == nil {
		t.Error("changed without a record")
	}
	if _, err := b.client.Stat(path); err == nil {
		t.Error("told of a file without a record")
	}
	if _, err := b.client.Open(path); err == nil {
		t.Error("opened without a record")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "before" {
		t.Errorf("on the device: %q, %v", got, err)
	}
}

// Behind a shut gate nothing reaches the device.
func TestShutGate(t *testing.T) {
	b := newBench(t, true, true, nil)
	f, err := b.client.OpenFile(filepath.Join(b.root, "f"), os.O_WRONLY|os.O_CREATE)
	must(t, err)
	b.gate.mu.Lock()
	b.gate.shut = true
	b.gate.mu.Unlock()
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("wrote")
	}
	if b.client.Mkdir(filepath.Join(b.root, "d")) == nil {
		t.Error("made a directory")
	}
	if left, _ := os.ReadDir(b.root); len(left) != 1 {
		t.Errorf("%v", left)
	}
}

// 256 MiB pass in bounded memory, both ways.
func TestBigFile(t *testing.T) {
	b := newBench(t, true, true, nil)
	b.tape.light = true
	const size = 256 << 20
	path := filepath.Join(b.root, "big")
	f, err := b.client.OpenFile(path, os.O_WRONLY|os.O_CREATE)
	must(t, err)
	before := heap()
	h := sha256.New()
	_, err = f.ReadFrom(io.TeeReader(&counter{left: size}, h))
	must(t, err)
	must(t, f.Close())
	g, err := b.client.Open(path)
	must(t, err)
	back := sha256.New()
	_, err = g.WriteTo(back)
	must(t, err)
	must(t, g.Close())
	if grown := heap() - before; grown > 48<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	want := hex.EncodeToString(h.Sum(nil))
	for _, s := range documents[session.FileSummary](t, b.tape, session.FileClosed) {
		if s.SHA256 != want || s.Size != size {
			t.Errorf("%+v", s)
		}
	}
	if hex.EncodeToString(back.Sum(nil)) != want || b.tape.bytes != 2*size {
		t.Errorf("%d bytes on record", b.tape.bytes)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// counter is a long input that costs nothing to make.
type counter struct{ left, n int }

func (c *counter) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(len(p), c.left)]
	for i := 0; i < len(p); i += 512 {
		c.n++
		p[i] = byte(c.n)
	}
	c.left -= len(p)
	return len(p), nil
}

// A device whose sftp server lies, hangs up or never ends a listing harms nobody.
func TestHostileDevice(t *testing.T) {
	t.Run("a login shell that greets", func(t *testing.T) {
		b := newBench(t, true, true, func(ch ssh.Channel) {
			_, _ = io.WriteString(ch, "Welcome to the M\xfcller 3000\n")
			_, _ = io.Copy(io.Discard, ch)
			_ = ch.Close()
		})
		var plain *session.Error
		if err := <-b.served; !errors.As(err, &plain) || plain.Message != "The device's login shell prints text where sftp should begin." {
			t.Errorf("the end: %v", err)
		}
	})
	t.Run("no sftp", func(t *testing.T) {
		b := newBench(t, true, true, func(ch ssh.Channel) { _ = ch.Close() })
		if b.client != nil {
			t.Error("a client was served")
		}
		var plain *session.Error
		if err := <-b.served; !errors.As(err, &plain) || plain.Message != "The device offers no sftp." {
			t.Errorf("%v", err)
		}
	})
	t.Run("noise", func(t *testing.T) {
		b := newBench(t, true, true, func(ch ssh.Channel) {
			_, _ = ch.Write(bytes.Repeat([]byte{0xff}, 1<<20))
			_ = ch.Close()
		})
		if err := <-b.served; err == nil || b.client != nil {
			t.Errorf("%v", err)
		}
	})
	t.Run("a listing without end", func(t *testing.T) {
		b := newBench(t, true, true, endless)
		if l, err := b.client.ReadDir("/x"); err == nil {
			t.Errorf("%d entries", len(l))
		}
	})
	t.Run("error texts stay", func(t *testing.T) {
		b := newBench(t, true, true, endless)
		_, err := b.client.Stat("/x")
		if err == nil || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q", err)
		}
	})
}

// endless answers every readdir with entries and every stat with a hostile text.
func endless(ch ssh.Channel) {
	packet := func(body []byte) {
		_, _ = ch.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	}
	str := func(b []byte, s string) []byte { return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) }
	for {
		var head [4]byte
		if _, err := io.ReadFull(ch, head[:]); err != nil {
			_ = ch.Close()
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(ch, body); err != nil {
			return
		}
		switch body[0] {
		case 1: // INIT
			packet([]byte{2, 0, 0, 0, 3})
		case 11: // OPENDIR
			packet(str(append([]byte{102}, body[1:5]...), "h"))
		case 12: // READDIR
			names := binary.BigEndian.AppendUint32(append([]byte{104}, body[1:5]...), 100)
			for range 100 {
				names = append(str(str(names, strings.Repeat("n", 1000)), "long"), 0, 0, 0, 0)
			}
			packet(names)
		case 16: // REALPATH
			packet(append(str(str(append(append([]byte{104}, body[1:5]...), 0, 0, 0, 1), "/"), ""), 0, 0, 0, 0))
		default:
			packet(str(str(append(append([]byte{101}, body[1:5]...), 0, 0, 0, 4), "\x1b]0;owned\x07"), ""))
		}
	}
}

// However chunks move, the digest says what it covers, and is the hash of just that: the
// bytes from one on in the order of the file, each once, or all in the order of moving.
func TestDigestProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 1, 4000).Draw(t, "content")
		from := rapid.SampledFrom([]int64{0, 0, 1, 7_000_000}).Draw(t, "from")
		type chunk struct {
			at   int64
			data []byte
		}
		var chunks []chunk
		for at := 0; at < len(content); {
			n := min(rapid.IntRange(1, 700).Draw(t, "n"), len(content)-at)
			chunks = append(chunks, chunk{from + int64(at), content[at : at+n]})
			at += n
		}
		moved := chunks
		if rapid.Bool().Draw(t, "mixed") {
			moved = rapid.Permutation(chunks).Draw(t, "order")
		}
		once := true
		switch which := rapid.IntRange(0, len(moved)-1).Draw(t, "which"); rapid.IntRange(0, 2).Draw(t, "spoilt") {
		case 0:
			moved, once = append(slices.Clone(moved), moved[which]), false
		case 1:
			left := moved[which]
			once = left.at == from || left.at+int64(len(left.data)) == from+int64(len(content)) // an end that is missing is none
			moved = slices.Delete(slices.Clone(moved), which, which+1)
		}
		d := newDigest(NewBudget().By(held.Owner{}))
		var all []byte
		for _, c := range moved {
			d.add(c.at, c.data)
			all = append(all, c.data...)
		}
		got := d.result()
		want := session.Moved{Size: int64(len(all)), SHA256: sum(all), Order: session.AsMoved}
		if once && got.Order == "" && len(all) > 0 {
			slices.SortFunc(moved, func(a, b chunk) int { return cmp.Compare(a.at, b.at) })
			begin := moved[0].at - from
			want = session.Moved{Size: int64(len(all)), SHA256: sum(content[begin : begin+int64(len(all))]), From: moved[0].at}
		}
		if len(all) == 0 {
			want = session.Moved{SHA256: sum(nil)}
		}
		// A start that is missing shows as a gap once the file's first byte came before.
		if got != want || once && got.Order != "" && (moved[0].at == from || from > 0) && len(moved) == len(chunks) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

// Of what moves too far ahead, is appended, or fails: what the digest covers, or why there
// is none.
func TestDigestCovers(t *testing.T) {
	block := make([]byte, 32<<10)
	far := newDigest(NewBudget().By(held.Owner{}))
	for i := range 3 * hashAhead / len(block) { // the first one comes last
		far.add(int64(i+1)*int64(len(block)), block)
	}
	whole := make([]byte, 3*hashAhead)
	if got := far.result(); got != (session.Moved{Size: 3 * hashAhead, SHA256: sum(whole), From: int64(len(block))}) || len(far.ahead) > 0 {
		t.Errorf("%+v", got)
	}
	far.add(0, block)
	if got := far.result(); got.Order != session.AsMoved || got.SHA256 != sum(append(whole, block...)) {
		t.Errorf("%+v", got)
	}
	hole := newDigest(NewBudget().By(held.Owner{}))
	hole.add(0, []byte("a"))
	for i := range hashAhead/len(block) + 2 {
		hole.add(int64(i+1)*int64(len(block)), block)
	}
	if got := hole.result(); got.Order != session.AsMoved || hole.ahead != nil {
		t.Errorf("%+v, %d held", got, hole.held)
	}
	appended := newDigest(NewBudget().By(held.Owner{}))
	appended.unordered()
	appended.add(0, []byte("one "))
	appended.add(0, []byte("two"))
	if got := appended.result(); got != (session.Moved{Size: 7, SHA256: sum([]byte("one two")), Order: session.AsAppended}) {
		t.Errorf("%+v", got)
	}
	appended.failed(3, "the device failed to write")
	if got := appended.result(); got != (session.Moved{Size: 4, Reason: "the device failed to write"}) {
		t.Errorf("%+v", got)
	}
}

// Whatever bytes an engineer's client sends, Serve neither panics nor hangs.
func FuzzServe(f *testing.F) {
	packet := func(body ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	init := packet(1, 0, 0, 0, 3)
	f.Add(init)
	f.Add(append(init, packet(3, 0, 0, 0, 1, 0, 0, 0, 2, '/', 'x', 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 1, 0xff)...)) // OPEN
	f.Add(append(init, packet(11, 0, 0, 0, 1, 0, 0, 0, 1, '/')...))                                            // OPENDIR
	f.Add(append(init, packet(9, 0, 0, 0, 1, 0, 0, 0, 1, '/', 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 1)...))        // SETSTAT
	f.Add(append(init, packet(200, 0, 0, 0, 1, 0, 0, 0, 3, 'a', '@', 'b')...))                                 // EXTENDED
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, sent []byte) {
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = Serve(far, Config{Recorder: &tape{light: true}, Gate: &openGate{}, In: true, Out: true, Stream: 1,
				Next: func() uint32 { return 2 }, Refused: func(string, string) {}, Device: piped(refusing)})
			_ = far.Close()
		}()
		go func() { _, _ = io.Copy(io.Discard, near) }()
		_, _ = near.Write(sent)
		_ = near.Close()
		<-done
	})
}

// refusing offers everything, opens everything, and does nothing else.
func refusing(ch ssh.Channel) {
	defer ch.Close()
	body, err := packet.Read(ch, nil)
	if err != nil {
		return
	}
	var offered []packet.Extension
	for op := packet.PosixRename; op <= packet.CopyData; op++ {
		offered = append(offered, op.Extension())
	}
	_, _ = ch.Write(packet.AppendVersion(nil, offered))
	for {
		if body, err = packet.Read(ch, body); err != nil {
			return
		}
		id, r, err := packet.ParseRequest(body)
		if err != nil {
			return
		}
		a := packet.Says(packet.Failure)
		if r.Op == packet.Open || r.Op == packet.Opendir {
			a = packet.Response{Kind: packet.Handle, Handle: "h"}
		}
		_, _ = ch.Write(a.Append(nil, id))
	}
}

// pipeChannel is a channel without ssh.
type pipeChannel struct {
	io.ReadCloser
	to io.WriteCloser
}

func (c pipeChannel) Write(p []byte) (int, error)                    { return c.to.Write(p) }
func (c pipeChannel) Close() error                                   { return errors.Join(c.to.Close(), c.ReadCloser.Close()) }
func (c pipeChannel) CloseWrite() error                              { return c.to.Close() }
func (c pipeChannel) SendRequest(string, bool, []byte) (bool, error) { return true, nil }
func (c pipeChannel) Stderr() io.ReadWriter                          { return &bytes.Buffer{} }

// piped is a device whose sftp subsystem is server, over pipes.
func piped(server func(ssh.Channel)) func() (ssh.Channel, <-chan *ssh.Request, error) {
	return func() (ssh.Channel, <-chan *ssh.Request, error) {
		fromUs, toServer := io.Pipe()
		fromServer, toUs := io.Pipe()
		go server(pipeChannel{fromUs, toUs})
		requests := make(chan *ssh.Request)
		close(requests)
		return pipeChannel{fromServer, toServer}, requests, nil
	}
}
