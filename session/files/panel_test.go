package files

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// openssh is the sftp server of Debian's openssh-sftp-server, in a directory.
func openssh(dir string) func(ssh.Channel) {
	return func(ch ssh.Channel) {
		cmd := exec.Command("/usr/lib/openssh/sftp-server", "-d", dir)
		cmd.Stdout, cmd.Stderr = ch, io.Discard
		in, err := cmd.StdinPipe()
		if err == nil && cmd.Start() == nil {
			_, _ = io.Copy(in, ch)
			_ = in.Close()
			_ = cmd.Wait()
		}
		_ = ch.Close()
	}
}

// reply is any answer.
type reply struct {
	ID      uint32      `json:"id"`
	OK      bool        `json:"ok"`
	Done    bool        `json:"done"`
	Size    *int64      `json:"size"`
	SHA256  string      `json:"sha256"`
	Path    string      `json:"path"`
	Entries []entryView `json:"entries"`
	More    bool        `json:"more"`
	Cut     bool        `json:"cut"`
	Error   *problem    `json:"error"`
}

// browser is what a page does with a panel: it keeps its word unless a test says otherwise.
type browser struct {
	*Panel
	t    testing.TB
	root string
	tape *tape
	gate *waitGate

	record  session.Recorder // instead of the tape, if not nil
	refused atomic.Int64
	mu      sync.Mutex
	cond    *sync.Cond
	answers map[uint32][]reply
	data    map[uint32][]byte
	credit  map[uint32]int64
	largest int
	hold    bool  // answers no data with credit
	broken  error // the browser is gone
	id      uint32
}

// waitGate waits while it is frozen, as the engine's does.
type waitGate struct {
	mu     sync.Mutex
	lifted chan struct{}
	gone   chan struct{}
}

func (g *waitGate) Pass(send func() error) error {
	g.mu.Lock()
	lifted := g.lifted
	g.mu.Unlock()
	if lifted != nil {
		select {
		case <-lifted:
		case <-g.gone:
			return errors.New("over")
		}
	}
	return send()
}

func (g *waitGate) freeze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lifted = make(chan struct{})
}

func (g *waitGate) thaw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.lifted)
	g.lifted = nil
}

func newBrowser(t *testing.T, in, out bool, server func(ssh.Channel)) *browser {
	b := &browser{t: t, root: t.TempDir(), tape: &tape{}, gate: &waitGate{gone: make(chan struct{})},
		answers: map[uint32][]reply{}, data: map[uint32][]byte{}, credit: map[uint32]int64{}}
	b.cond = sync.NewCond(&b.mu)
	if server == nil {
		server = openssh(b.root)
	}
	device := dialDevice(t, server)
	var stream atomic.Uint32
	stream.Store(1)
	b.Panel = NewPanel(PanelConfig{In: in, Out: out, To: b, Serve: func(work func(Config) error) error {
		return work(Config{Recorder: cmp.Or(b.record, session.Recorder(b.tape)), Gate: b.gate, Stream: 1, In: in, Out: out,
			Device:  func() (ssh.Channel, <-chan *ssh.Request, error) { return device.OpenChannel("session", nil) },
			Next:    func() uint32 { return stream.Add(1) },
			Refused: func(string, string) { b.refused.Add(1) }})
	}})
	t.Cleanup(func() {
		close(b.gate.gone)
		b.Panel.Close()
		_ = device.Close()
	})
	return b
}

func (b *browser) Answer(message []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var r reply
	d := json.NewDecoder(bytes.NewReader(message))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || len(message) > maxMessage {
		b.t.Errorf("an answer of %d bytes: %v: %.200s", len(message), err, message)
	}
	b.answers[r.ID] = append(b.answers[r.ID], r)
	b.cond.Broadcast()
	return b.broken
}

func (b *browser) Room() error { return nil }

func (b *browser) Data(id uint32, p []byte) error {
	b.mu.Lock()
	b.data[id] = append(b.data[id], p...)
	b.largest = max(b.largest, len(p))
	hold, broken := b.hold, b.broken
	b.cond.Broadcast()
	b.mu.Unlock()
	if !hold && broken == nil {
		b.Panel.Credit(id, uint32(len(p)))
	}
	return broken
}

func (b *browser) Credit(id, n uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.credit[id] += int64(n)
	b.cond.Broadcast()
	return b.broken
}

// until waits for something under b.mu.
func (b *browser) until(what string, ready func() bool) {
	b.t.Helper()
	stuck := time.AfterFunc(2*time.Minute, func() { b.mu.Lock(); defer b.mu.Unlock(); b.cond.Broadcast() })
	defer stuck.Stop()
	began := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for !ready() {
		if time.Since(began) > 119*time.Second {
			b.t.Fatalf("waited too long for %s: %+v", what, b.answers)
		}
		b.cond.Wait()
	}
}

// ask sends an operation without waiting; fields are JSON text.
func (b *browser) ask(op, fields string, args ...any) uint32 {
	id := b.fresh()
	b.Handle(fmt.Appendf(nil, `{"id":%d,"op":%q`+fields+`}`, append([]any{id, op}, args...)...))
	return id
}

func (b *browser) fresh() uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.id++
	return b.id
}

// nth waits for an operation's answer number n, from 0.
func (b *browser) nth(id uint32, n int) reply {
	b.t.Helper()
	b.until(fmt.Sprintf("answer %d of %d", n, id), func() bool { return len(b.answers[id]) > n })
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.answers[id][n]
}

func (b *browser) do(op, fields string, args ...any) reply {
	b.t.Helper()
	return b.nth(b.ask(op, fields, args...), 0)
}

// send uploads what the credit allows in pieces of at most 60 KiB, from an offset.
func (b *browser) send(id uint32, content []byte) {
	b.t.Helper()
	for len(content) > 0 {
		var n int
		b.until("credit", func() bool {
			n = min(len(content), int(b.credit[id]), 60<<10)
			return n > 0 || len(b.answers[id]) > 1 || len(b.answers[id]) == 1 && b.answers[id][0].Error != nil
		})
		if n == 0 {
			return
		}
		b.mu.Lock()
		b.credit[id] -= int64(n)
		b.mu.Unlock()
		must(b.t, b.Panel.Data(id, content[:n]))
		content = content[n:]
	}
}

func (b *browser) upload(path string, content []byte, replace bool) reply {
	b.t.Helper()
	id := b.ask("put", `,"path":%q,"size":%d,"replace":%v`, path, len(content), replace)
	if first := b.nth(id, 0); first.Error != nil {
		return first
	}
	b.send(id, content)
	b.End(id)
	return b.nth(id, 1)
}

func (b *browser) download(path string) (reply, []byte) {
	b.t.Helper()
	id := b.ask("get", `,"path":%q`, path)
	first := b.nth(id, 0)
	if first.Error != nil {
		return first, nil
	}
	b.Panel.Credit(id, creditWindow)
	last := b.nth(id, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	return last, b.data[id]
}

func (b *browser) at(name string) string { return filepath.Join(b.root, name) }

func (b *browser) wants(r reply, kind session.Kind, words string) {
	b.t.Helper()
	if r.Error == nil || r.Error.Kind != kind || !strings.Contains(r.Error.Message+" "+r.Error.Next, words) || r.Error.Next == "" {
		b.t.Errorf("answered %+v %+v, want %s %q", r, r.Error, kind, words)
	}
}

// What cannot be read is answered, and nothing of it reaches the device.
func TestPanelRefusesWhatIsNoOperation(t *testing.T) {
	b := newBrowser(t, true, true, nil)
	for _, op := range []string{
		``, `x`, `[]`, `{}`, `{"id":1}`, `{"op":"list","path":"/"}`, `{"id":-1,"op":"list","path":"/"}`, `{"id":4294967296,"op":"list","path":"/"}`,
		`{"id":1,"op":"list"}`, `{"id":1,"op":"list","path":"/","to":"/"}`, `{"id":1,"op":"list","path":"/","x":1}`, `{"id":1,"op":"list","path":null}`,
		`{"id":1,"op":"list","path":"/"} ` + `{}`, `{"id":1,"op":"LIST","path":"/"}`, `{"id":1,"op":"get put","path":"/"}`, `{"id":1,"op":"","path":"/"}`,
		`{"id":1,"op":"put","path":"/x","size":1}`, `{"id":1,"op":"put","path":"/x","size":-1,"replace":true}`, `{"id":1,"op":"put","path":"/x","size":9e18,"replace":true}`,
		`{"id":1,"op":"put","path":"/x","size":1.5,"replace":true}`, `{"id":1,"op":"put","path":"/x","size":1,"replace":"yes"}`,
		`{"id":1,"op":"rename","path":"/x"}`, `{"id":1,"op":"rename","path":"/x","to":""}`, `{"id":1,"op":"mkdir","path":""}`, `{"id":1,"op":"cancel"}`, `{"id":1,"op":"cancel","of":1,"path":"/"}`,
		`{"id":1,"op":"get","path":"/a` + "\xff" + `"}`, `{"id":1,"op":"get","path":"/a\u0000b"}`, `{"id":1,"op":"get","path":"/a\nb"}`, `{"id":1,"op":"get","path":"/a\ud800b"}`,
		`{"id":1,"op":"get","path":"/a\u202eb"}`, `{"id":1,"op":"get","path":"/a\\"}`, `{"id":1,"op":"get","path":"/a\\x00"}`, `{"id":1,"op":"rename","path":"/a","to":"\\q"}`, `{"id":1,"op":"get","path":"/a\\"}`, `{"id":1,"op":"get","path":"/a\\x00"}`, `{"id":1,"op":"rename","path":"/a","to":"\\q"}`, `{"id":1,"op":"get","path":"/` + strings.Repeat("a", maxPath) + `"}`,
		`{"id":1,"op":"get","path":"/` + strings.Repeat("a", maxMessage) + `"}`, strings.Repeat(`[`, 10000),
	} {
		b.Handle([]byte(op))
		b.mu.Lock()
		for _, all := range b.answers {
			for _, r := range all {
				b.wants(r, session.Invalid, "")
			}
		}
		if len(b.answers) == 0 {
			t.Errorf("no answer for %.60q", op)
		}
		clear(b.answers)
		b.mu.Unlock()
	}
	must(t, b.Panel.Data(7, []byte("for nobody")))
	b.End(7)
	b.Panel.Credit(7, 1)
	if b.started || len(b.tape.events) != 0 {
		t.Errorf("%d events on record", len(b.tape.events))
	}
}

// What was not granted is refused in words, by Serve, on record, and changes nothing.
func TestPanelKeepsToTheGrant(t *testing.T) {
	for _, granted := range []struct{ in, out bool }{{false, true}, {true, false}, {false, false}} {
		b := newBrowser(t, granted.in, granted.out, nil)
		must(t, os.WriteFile(b.at("there"), []byte("42"), 0o600))
		if !granted.in {
			for op, fields := range map[string]string{
				"put": `,"path":"new","size":1,"replace":false`, "mkdir": `,"path":"new"`, "remove": `,"path":"there"`, "rename": `,"path":"there","to":"new"`,
			} {
				b.wants(b.do(op, fields), session.Denied, "were not granted")
			}
			b.wants(b.do("put", `,"path":"there","size":1,"replace":true`), session.Denied, "were not granted")
		}
		if !granted.out {
			r, _ := b.download("there")
			b.wants(r, session.Denied, "Downloads were not granted")
		}
		if r := b.do("list", `,"path":""`); r.Error != nil || r.Path != b.root || len(r.Entries) != 1 {
			t.Errorf("listed %+v %+v", r, r.Error)
		}
		left, err := os.ReadDir(b.root)
		content, _ := os.ReadFile(b.at("there"))
		if err != nil || len(left) != 1 || string(content) != "42" || b.refused.Load() == 0 {
			t.Errorf("on the device %v, %q; %d refusals on record", left, content, b.refused.Load())
		}
	}
}

// Every other refusal says what happened and what to do.
func TestPanelRefusesInWords(t *testing.T) {
	b := newBrowser(t, true, true, nil)
	must(t, os.Mkdir(b.at("dir"), 0o700))
	must(t, os.WriteFile(b.at("dir/in"), []byte("x"), 0o600))
	must(t, os.WriteFile(b.at("file"), []byte("kept"), 0o600))
	must(t, exec.Command("mkfifo", b.at("pipe")).Run())
	get := func(name string) reply { r, _ := b.download(name); return r }
	b.wants(get("none"), session.Invalid, "There is no “none” on the device")
	b.wants(get("dir"), session.Refused, "“dir” is a folder")
	b.wants(get("pipe"), session.Refused, "no plain file") // would hold up everything else
	b.wants(b.upload("pipe", []byte("x"), true), session.Refused, "no plain file")
	b.wants(b.upload("dir", []byte("x"), true), session.Refused, "is a folder")
	b.wants(b.upload("file", []byte("x"), false), session.Refused, "of the name “file” already")
	b.wants(b.upload("no/where", []byte("x"), false), session.Refused, "no such folder")
	b.wants(b.do("list", `,"path":"none"`), session.Invalid, "There is no")
	b.wants(b.do("mkdir", `,"path":"dir"`), session.Refused, "already")
	b.wants(b.do("remove", `,"path":"dir"`), session.Refused, "not empty")
	b.wants(b.do("remove", `,"path":"none"`), session.Invalid, "There is no")
	b.wants(b.do("rename", `,"path":"file","to":"dir/in"`), session.Refused, "“in” already")
	b.wants(b.do("rename", `,"path":"none","to":"else"`), session.Invalid, "There is no")
	if content, _ := os.ReadFile(b.at("file")); string(content) != "kept" {
		t.Errorf("the file is %q now", content)
	}
	full := newBrowser(t, true, true, nil)
	r := full.upload("/dev/full", make([]byte, 10), true)
	full.wants(r, session.Refused, "no plain file")
	none := newBrowser(t, true, true, func(ch ssh.Channel) { _ = ch.Close() })
	none.wants(none.do("list", `,"path":"/"`), session.Refused, "The device offers no sftp.")
	none.wants(none.do("list", `,"path":"/"`), session.Refused, "The device offers no sftp.")
}

func TestPanelOperations(t *testing.T) {
	b := newBrowser(t, true, true, nil)
	if r := b.do("mkdir", `,"path":"logs"`); !r.OK {
		t.Fatalf("%+v", r.Error)
	}
	content := make([]byte, 700<<10)
	_, _ = rand.Read(content)
	r := b.upload("logs/a.bin", content, false)
	if !r.Done || *r.Size != int64(len(content)) || r.SHA256 != sum(content) {
		t.Fatalf("%+v %+v", r, r.Error)
	}
	if r := b.do("rename", `,"path":"logs/a.bin","to":"logs/b.bin"`); !r.OK {
		t.Errorf("%+v", r.Error)
	}
	r, got := b.download("logs/b.bin")
	if !r.Done || r.SHA256 != sum(content) || !bytes.Equal(got, content) || b.largest > chunkSize {
		t.Errorf("%+v %+v, %d bytes", r, r.Error, len(got))
	}
	if r := b.upload("logs/b.bin", []byte("shorter"), true); !r.Done || r.SHA256 != sum([]byte("shorter")) {
		t.Errorf("%+v %+v", r, r.Error)
	}
	must(t, os.Symlink("logs", b.at("latest")))
	r = b.do("list", `,"path":""`)
	if len(r.Entries) != 2 || !r.Entries[0].Link || !r.Entries[1].Dir || r.Entries[1].Mode != "rwxr-xr-x" || r.More || r.Cut {
		t.Errorf("%+v", r)
	}
	r = b.do("list", `,"path":"latest"`)
	if len(r.Entries) != 1 || r.Entries[0].Name != "b.bin" || r.Entries[0].Size != 7 || time.Since(r.Entries[0].Modified) > time.Hour {
		t.Errorf("%+v %+v", r, r.Error)
	}
	for _, name := range []string{"logs/b.bin", "logs", "latest"} {
		if r := b.do("remove", `,"path":%q`, name); !r.OK {
			t.Errorf("remove %s: %+v", name, r.Error)
		}
	}
	if left, _ := os.ReadDir(b.root); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if r, got := b.download("/proc/self/status"); !r.Done || len(got) == 0 || r.SHA256 != sum(got) { // says that it has no bytes
		t.Errorf("%+v %+v", r, r.Error)
	}
}

// Names are a device's to choose: what people see is harmless, and whatever a name is made
// of, the file is reached by it, written over, renamed and removed.
func TestPanelKnowsEveryName(t *testing.T) {
	b := newBrowser(t, true, true, nil)
	long, latin := strings.Repeat("ä", 120), strings.Repeat("\xe4", 255)
	names := map[string]string{
		"plain name.txt": "plain name.txt", `<b>"&'`: `<b>"&'`, "日本語": "日本語", long: long, latin: strings.Repeat(`\xe4`, 255),
		"esc\x1b[2J": `esc\x1b[2J`, "line\nbreak": `line\x0abreak`, "bad\xff": `bad\xff`, "turn\u202ecod.exe": `turn\xe2\x80\xaecod.exe`,
		"odd\ufffd": `odd\xef\xbf\xbd`, `DOM\user`: `DOM\\user`, `a\x0ab`: `a\\x0ab`, "a\nb": `a\x0ab`, " ": " ", "-rf": "-rf", "\x7f": `\x7f`,
	}
	for name := range names {
		must(t, os.WriteFile(b.at(name), []byte(name), 0o600))
	}
	r := b.do("list", `,"path":%q`, b.root)
	if len(r.Entries) != len(names) {
		t.Fatalf("%+v %+v", r, r.Error)
	}
	shown := map[string]bool{}
	for _, e := range r.Entries {
		shown[e.Name] = true
	}
	for name, want := range names {
		if !shown[want] {
			t.Errorf("%q is not listed as %q", name, want)
		}
		b.handles(name, want)
	}
	for _, folder := range []string{"in\xe4", "two\nlines"} {
		must(t, os.Mkdir(b.at(folder), 0o700))
		must(t, os.WriteFile(filepath.Join(b.at(folder), "x"), nil, 0o600))
		in := b.do("list", `,"path":%s`, encode(b.root+"/"+written(folder)))
		if len(in.Entries) != 1 || in.Path != b.root+"/"+written(folder) {
			t.Errorf("in %q: %+v %+v", folder, in, in.Error)
		}
	}
}

// handles downloads a file that holds its own name, writes over it, renames and removes it.
func (b *browser) handles(name, shown string) {
	b.t.Helper()
	path := b.root + "/" + shown
	if r, content := b.download(path); !r.Done || string(content) != name {
		b.t.Errorf("%q was downloaded: %+v %q", name, r, content)
	}
	if r := b.upload(path, []byte("over"), true); !r.Done {
		b.t.Errorf("%q was written over: %+v %+v", name, r, r.Error)
	}
	if got, err := os.ReadFile(b.at(name)); string(got) != "over" {
		b.t.Errorf("%q holds %q, %v", name, got, err)
	}
	moved := name[:min(len(name), 200)] + "\xff 2"
	if r := b.do("rename", `,"path":%s,"to":%s`, encode(path), encode(b.root+"/"+written(moved))); !r.OK {
		b.t.Errorf("%q was renamed: %+v", name, r.Error)
	}
	if _, err := os.Lstat(b.at(moved)); err != nil {
		b.t.Errorf("%q has no new name: %v", name, err)
	}
	if r := b.do("remove", `,"path":%s`, encode(b.root+"/"+written(moved))); !r.OK {
		b.t.Errorf("%q was removed: %+v", name, r.Error)
	}
	if _, err := os.Lstat(b.at(moved)); !errors.Is(err, fs.ErrNotExist) {
		b.t.Errorf("%q is still there: %v", name, err)
	}
}

// What is written is harmless and read again the same, whatever the bytes.
func TestNamesAreWrittenAndReadAgain(t *testing.T) {
	for range 20_000 {
		name := make([]byte, 1+mathrand.IntN(24))
		for i := range name {
			name[i] = byte(1 + mathrand.IntN(255))
		}
		text := written(string(name))
		if again, ok := read(text); !ok || again != string(name) || !wording.Plain(text) {
			t.Fatalf("%q was written %q and read %q", name, text, again)
		}
	}
	for _, none := range []string{`\`, `a\`, `\x`, `\x0`, `\xg0`, `\n`, `\x00`, `\X41`, `\x+1`, "a\nb", "a\ufffd"} {
		if name, ok := read(none); ok {
			t.Errorf("%q was read as %q", none, name)
		}
	}
}

// A long listing comes page by page and ends at its limit.
func TestPanelPagesListings(t *testing.T) {
	b := newBrowser(t, true, true, nil)
	for i := range maxEntries + 3 {
		must(t, os.WriteFile(b.at(fmt.Sprintf("image-%05d.dcm", i)), nil, 0o600))
	}
	id := b.ask("list", `,"path":%q`, b.root)
	var all []entryView
	for n := 0; ; n++ {
		page := b.nth(id, n)
		if !page.OK || page.Path != b.root {
			t.Fatalf("page %d: %+v", n, page)
		}
		all = append(all, page.Entries...)
		if !page.More {
			if !page.Cut {
				t.Error("does not say that there is more on the device")
			}
			break
		}
	}
	if len(all) != maxEntries || all[maxEntries-1].Name > fmt.Sprintf("image-%05d.dcm", maxEntries+2) {
		t.Errorf("%d entries", len(all))
	}
}

// Content moves as far as there is credit, either way, and no further.
func TestPanelFlowControl(t *testing.T) {
	b := newBrowser(t, true, true, nil)
	content := make([]byte, 2<<20)
	_, _ = rand.Read(content)
	must(t, os.WriteFile(b.at("f"), content, 0o600))
	b.hold = true
	id := b.ask("get", `,"path":"f"`)
	if first := b.nth(id, 0); *first.Size != int64(len(content)) {
		t.Fatalf("%+v", first)
	}
	for _, upTo := range []int{1, 100_000, 400_000} {
		b.mu.Lock()
		have := len(b.data[id])
		b.mu.Unlock()
		b.Panel.Credit(id, uint32(upTo-have))
		b.until("data", func() bool { return len(b.data[id]) >= upTo })
		b.mu.Lock()
		have = len(b.data[id])
		b.mu.Unlock()
		if have != upTo {
			t.Errorf("%d bytes with credit for %d", have, upTo)
		}
	}
	if read := len(b.tape.content(2, session.Download)); read > 400_000+chunkSize {
		t.Errorf("%d bytes were read with credit for 400,000", read)
	}
	b.wants(b.nthAfterCancel(id, 1), session.Refused, "You stopped the download after 400.0 kB.")

	id = b.ask("put", `,"path":"g","size":%d,"replace":false`, len(content))
	b.wantsCredit(id, creditWindow)
	if err := b.Panel.Data(id, content[:creditWindow+1]); err == nil {
		t.Error("took more than there was credit for")
	}
	b.wants(b.nth(id, 1), session.Invalid, "more of the file than it announced")
	must(t, b.Panel.Data(id, content[:10])) // under way when it failed
	id = b.ask("put", `,"path":"h","size":5,"replace":false`)
	b.wantsCredit(id, 5)
	must(t, b.Panel.Data(id, content[:3]))
	b.End(id)
	b.wants(b.nth(id, 1), session.Invalid, "The first 3 bytes are on the device as “h”")
}

func (b *browser) wantsCredit(id uint32, want int64) {
	b.t.Helper()
	b.until("credit", func() bool { return b.credit[id] > 0 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.credit[id] != want {
		b.t.Errorf("credit for %d bytes, not %d", b.credit[id], want)
	}
}

func (b *browser) nthAfterCancel(id uint32, n int) reply {
	if r := b.do("cancel", `,"of":%d`, id); !r.OK {
		b.t.Errorf("%+v", r.Error)
	}
	return b.nth(id, n)
}

// Who stops an upload hears what is on the device then, and it is true.
func TestPanelCancel(t *testing.T) {
	b := newBrowser(t, true, true, nil)
	content := make([]byte, 900<<10)
	_, _ = rand.Read(content)
	must(t, os.WriteFile(b.at("old"), content, 0o600))
	id := b.ask("put", `,"path":"old","size":%d,"replace":true`, len(content))
	b.send(id, content[:300_000])
	b.until("its credit", func() bool { return b.credit[id] == creditWindow })
	b.wants(b.nthAfterCancel(id, 1), session.Refused, "The first 300.0 kB are on the device as “old”. What was there before is gone.")
	if left, err := os.ReadFile(b.at("old")); err != nil || !bytes.Equal(left, content[:300_000]) {
		t.Errorf("%d bytes on the device, %v", len(left), err)
	}
	id = b.ask("put", `,"path":"new","size":10,"replace":false`)
	b.nth(id, 0)
	b.wants(b.nthAfterCancel(id, 1), session.Refused, "An empty file “new” is on the device.")
	if r := b.do("cancel", `,"of":4000`); !r.OK { // was over already
		t.Errorf("%+v", r.Error)
	}
}

// Behind a freeze everything waits, and goes on after it.
func TestPanelWaitsBehindAFreeze(t *testing.T) {
	b := newBrowser(t, true, true, nil)
	b.do("list", `,"path":""`)
	b.gate.freeze()
	id := b.ask("mkdir", `,"path":"d"`)
	stopped := b.ask("mkdir", `,"path":"e"`)
	if r := b.do("cancel", `,"of":%d`, stopped); !r.OK {
		t.Errorf("%+v", r.Error)
	}
	if _, err := os.Stat(b.at("d")); err == nil {
		t.Error("passed the freeze")
	}
	b.gate.thaw()
	if r := b.nth(id, 0); !r.OK {
		t.Errorf("%+v", r.Error)
	}
	b.wants(b.nth(stopped, 0), session.Refused, "You stopped this. Nothing was changed")
	if _, err := os.Stat(b.at("e")); err == nil {
		t.Error("did what was cancelled")
	}
}

// At most 64 operations, 8 transfers that move; ids that are in use are refused.
func TestPanelLimits(t *testing.T) {
	b := newBrowser(t, true, true, nil)
	var ids []uint32
	for i := range maxOps {
		ids = append(ids, b.ask("put", `,"path":"f%d","size":1,"replace":false`, i))
	}
	b.wants(b.do("list", `,"path":""`), session.Refused, "Too many operations")
	b.until("8 transfers", func() bool { return len(b.credit) == maxTransfers })
	b.Handle(fmt.Appendf(nil, `{"id":%d,"op":"list","path":""}`, ids[60]))
	b.mu.Lock()
	running := len(b.credit)
	b.mu.Unlock()
	if open, err := os.ReadDir(b.root); err != nil || len(open) > maxTransfers || running > maxTransfers {
		t.Errorf("%d transfers at once", len(open))
	}
	for _, id := range ids {
		b.ask("cancel", `,"of":%d`, id)
	}
	for _, id := range ids {
		b.until("its end", func() bool { return len(b.answers[id]) > 0 && b.answers[id][len(b.answers[id])-1].Error != nil })
	}
	if r := b.do("list", `,"path":""`); !r.OK {
		t.Errorf("%+v", r.Error)
	}
}

// A browser that goes away in the middle leaves no file open, no goroutine, and a
// record that says so.
func TestPanelBrowserGone(t *testing.T) {
	for _, how := range []string{"closed", "broken"} {
		b := newBrowser(t, true, true, nil)
		content := make([]byte, 1<<20)
		must(t, os.WriteFile(b.at("down"), content, 0o600))
		up := b.ask("put", `,"path":"up","size":%d,"replace":false`, len(content))
		b.send(up, content[:100_000])
		b.until("the device to have it", func() bool { return b.credit[up] == creditWindow })
		down := b.ask("get", `,"path":"down"`)
		b.nth(down, 0)
		if how == "broken" {
			b.mu.Lock()
			b.broken = errors.New("gone")
			b.mu.Unlock()
			b.Panel.Credit(down, 1000)
		}
		b.Panel.Close()
		b.Panel.Close()
		b.Handle([]byte(`{"id":9,"op":"list","path":"/"}`))
		if left, err := os.ReadFile(b.at("up")); err != nil || len(left) != 100_000 {
			t.Errorf("%s: %d bytes on the device, %v", how, len(left), err)
		}
		closed := documents[session.FileSummary](t, b.tape, session.FileClosed)
		if len(closed) != 2 || closed[0].SHA256 != "" || closed[0].Reason != "the connection ended before the file was closed" {
			t.Errorf("%s: %+v", how, closed)
		}
	}
}

// Whatever moves, in whatever pieces: device, browser, hashes and record agree.
func TestPanelMovesEveryByte(t *testing.T) {
	b := newBrowser(t, true, true, nil)
	stream, n := uint32(1), 0
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(0, 100_000), rapid.SampledFrom([]int{chunkSize, creditWindow, creditWindow + 1, 2 * creditWindow})).Draw(rt, "size")
		content := make([]byte, size)
		source := mathrand.NewChaCha8([32]byte{byte(n)})
		_, _ = source.Read(content)
		n++
		name := fmt.Sprintf("p%d", n)
		r := b.upload(name, content, rapid.Bool().Draw(rt, "replace"))
		if !r.Done || r.SHA256 != sum(content) || *r.Size != int64(size) {
			rt.Fatalf("upload of %d: %+v %+v", size, r, r.Error)
		}
		onDisk, err := os.ReadFile(b.at(name))
		if err != nil || !bytes.Equal(onDisk, content) {
			rt.Fatalf("%d of %d bytes on the device, %v", len(onDisk), size, err)
		}
		r, got := b.download(name)
		if !r.Done || r.SHA256 != sum(content) || !bytes.Equal(got, content) {
			rt.Fatalf("download of %d: %+v %+v", size, r, r.Error)
		}
		up, down := stream+1, stream+2
		stream += 2
		if !bytes.Equal(b.tape.content(up, session.Upload), content) || !bytes.Equal(b.tape.content(down, session.Download), content) {
			rt.Fatal("the record does not hold every byte")
		}
		for _, s := range documents[session.FileSummary](t, b.tape, session.FileClosed)[2*(n-1):] {
			if s.SHA256 != sum(content) || s.Size != int64(size) || s.Reason != "" {
				rt.Fatalf("%+v", s)
			}
		}
	})
}

// deaf is a browser that hears nothing.
type deaf struct{ t testing.TB }

func (d deaf) Answer(message []byte) error {
	if !json.Valid(message) || len(message) > maxMessage {
		d.t.Errorf("answered %q", message)
	}
	return nil
}
func (deaf) Room() error                 { return nil }
func (deaf) Data(uint32, []byte) error   { return nil }
func (deaf) Credit(uint32, uint32) error { return nil }

// Whatever a browser sends, a panel neither panics nor hangs.
func FuzzPanel(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"op":"list","path":"/"}`, `{"id":1,"op":"get","path":"/etc/motd"}`, `{"id":1,"op":"put","path":"x","size":3,"replace":false}`,
		`{"id":1,"op":"mkdir","path":"x"}`, `{"id":1,"op":"remove","path":"x"}`, `{"id":1,"op":"rename","path":"x","to":"y"}`, `{"id":2,"op":"cancel","of":1}`,
		`{"id":1,"op":"list","path":"\ud800"}`, `{"id":1,"op":"list","path":"\u0000"}`, `{"id":4294967295,"op":"get","path":"/","of":1}`, `[[[`,
	} {
		f.Add([]byte(seed), uint32(1), []byte("abc"))
	}
	f.Fuzz(func(t *testing.T, message []byte, id uint32, data []byte) {
		p := NewPanel(PanelConfig{In: true, Out: true, To: deaf{t}, Serve: func(work func(Config) error) error {
			return work(Config{Recorder: &tape{light: true}, Gate: &openGate{}, In: true, Out: true, Stream: 1,
				Next: func() uint32 { return 2 }, Refused: func(string, string) {}, Device: piped(refusing)})
		}})
		p.Handle(message)
		p.Credit(id, 100)
		_ = p.Data(id, data)
		p.End(id)
		p.Handle(message)
		p.Close()
		if r, err := parseOp(message); err == nil && r.Op != opCancel && (len(r.Path) > maxPath || strings.ContainsRune(r.Path, 0)) {
			t.Errorf("took %q", r.Path)
		}
	})
}
