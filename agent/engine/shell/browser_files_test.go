package shell

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
)

// filesAnswer is any answer about files.
type filesAnswer struct {
	ID      uint32
	OK      bool
	Done    bool
	Size    int
	SHA256  string
	Path    string
	Entries []struct{ Name string }
	More    bool
	Error   *attach.Refused
}

// files asks for something.
func (b *browser) files(id uint32, op, fields string, args ...any) {
	b.t.Helper()
	must(b.t, b.Send(attach.TypeFiles, fmt.Appendf(nil, `{"id":%d,"op":%q`+fields+`}`, append([]any{id, op}, args...)...)))
}

// answered waits for an operation's answer number n, from 0.
func (b *browser) answered(id uint32, n int) (got filesAnswer) {
	b.t.Helper()
	b.until(fmt.Sprintf("answer %d of %d", n, id), func() bool {
		left := n
		for _, raw := range b.answers {
			var a filesAnswer
			if err := json.Unmarshal(raw, &a); err != nil {
				b.t.Errorf("%s: %v", raw, err)
			}
			if a.ID != id {
				continue
			}
			if left--; left < 0 {
				got = a
				return true
			}
		}
		return false
	})
	return got
}

func numbers(all ...uint32) (b []byte) {
	for _, n := range all {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// upload sends content as credit allows.
func (b *browser) upload(id uint32, content []byte) {
	b.t.Helper()
	for len(content) > 0 {
		var n int
		b.until("credit", func() bool {
			n = min(len(content), b.credit[id], 50<<10)
			b.credit[id] -= n
			return n > 0
		})
		must(b.t, b.Send(attach.TypeData, numbers(id), content[:n]))
		content = content[n:]
	}
}

// download takes n bytes in windows.
func (b *browser) download(id uint32, n int) []byte {
	b.t.Helper()
	for at := 0; at < n; at += 256 << 10 {
		must(b.t, b.Send(attach.TypeCredit, numbers(id, 256<<10)))
		b.until("content", func() bool { return len(b.data[id]) >= min(at+256<<10, n) })
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.data[id])
}

// moved is the content of the one file that moved a way, put together by its offsets.
func (r *tape) moved(kind session.EventKind) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	var whole []byte
	for _, e := range r.events {
		if e.Kind == kind {
			at := int(binary.BigEndian.Uint64(e.Data))
			whole = append(whole, make([]byte, max(0, at+len(e.Data)-8-len(whole)))...)
			copy(whole[at:], e.Data[8:])
		}
	}
	return whole
}

func hashed(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func noise(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := rand.Read(b)
	must(t, err)
	return b
}

// filing is a device with files, a browser that may move them, and a directory.
func filing(t *testing.T, channels ...session.Channel) (*world, *engine.Ticket, *browser, string) {
	t.Helper()
	o := newOracle(t)
	o.files = true
	w := newWorld(t, o.dial)
	key, p := w.newKey(append(channels, session.Shell)...)
	return w, p, w.open(key, shellProof(p)), t.TempDir()
}

// A browser lists, uploads and downloads, two at once, is held by a freeze, stops one;
// the terminal goes on beside it, and the recording holds every byte.
func TestBrowserFiles(t *testing.T) {
	w, p, b, dir := filing(t, session.FilesIn, session.FilesOut)
	up, down := noise(t, 700<<10), noise(t, 900<<10)
	must(t, os.WriteFile(dir+"/down", down, 0o600))

	b.files(1, "list", `,"path":%q`, dir)
	if a := b.answered(1, 0); !a.OK || a.Path != dir || len(a.Entries) != 1 || a.Entries[0].Name != "down" || a.More {
		t.Errorf("%+v", a)
	}

	// Both ways at once, while somebody types.
	b.files(2, "put", `,"path":%q,"size":%d,"replace":false`, dir+"/up", len(up))
	b.files(3, "get", `,"path":%q`, dir+"/down")
	if a := b.answered(3, 0); !a.OK || a.Size != len(down) {
		t.Errorf("%+v", a)
	}
	b.upload(2, up[:300<<10])
	first := b.download(3, 256<<10)
	b.types("typed")
	b.sees("typed")

	// Frozen: nothing more passes, pings do, and so do answers that need no device.
	_, err := w.engine.Freeze(p.ID, "local", "the operator")
	must(t, err)
	b.notice(attach.NoticeFrozen)
	must(t, b.Send(attach.TypeCredit, numbers(3, 256<<10)))
	b.files(4, "list", `,"path":%q`, dir)
	b.files(5, "get", `,"path":%q`, dir+"/down")
	b.files(6, "cancel", `,"of":5`)
	must(t, b.Send(attach.TypePing, nil))
	b.until("pong", func() bool { return b.pongs == 1 })
	if a := b.answered(6, 0); !a.OK {
		t.Errorf("%+v", a)
	}
	time.Sleep(50 * time.Millisecond)
	b.mu.Lock()
	if len(b.data[3]) > len(first) {
		t.Errorf("%d bytes came while frozen", len(b.data[3])-len(first))
	}
	b.mu.Unlock()
	_, err = w.engine.Thaw(p.ID, "local", "the operator")
	must(t, err)
	if a := b.answered(4, 0); !a.OK || len(a.Entries) != 2 {
		t.Errorf("after the thaw: %+v", a)
	}
	stopped := b.answered(5, 0)
	if stopped.OK { // it was opened behind the freeze, and not stopped before
		stopped = b.answered(5, 1)
	}
	if stopped.Error == nil || !strings.Contains(stopped.Error.Message, "stopped") {
		t.Errorf("cancelled: %+v", stopped)
	}

	// The rest, with hashes.
	b.upload(2, up[300<<10:])
	must(t, b.Send(attach.TypeEnd, numbers(2)))
	if a := b.answered(2, 1); !a.Done || a.Size != len(up) || a.SHA256 != hashed(up) {
		t.Errorf("%+v", a)
	}
	if got := b.download(3, len(down)); !bytes.Equal(got, down) {
		t.Errorf("%d bytes came down", len(got))
	}
	if a := b.answered(3, 1); !a.Done || a.Size != len(down) || a.SHA256 != hashed(down) {
		t.Errorf("%+v", a)
	}
	if got, err := os.ReadFile(dir + "/up"); err != nil || !bytes.Equal(got, up) {
		t.Errorf("%d bytes on the device, %v", len(got), err)
	}
	must(t, w.engine.End(p.ID, session.KilledLocal, "x"))
	b.notice(attach.NoticeEnded)
	r := w.tape(0)
	r.wait(t)
	sums := map[string]string{}
	for _, s := range documents[session.FileSummary](t, r, session.FileClosed) {
		sums[s.SHA256] = filepath.Base(s.Path)
	}
	if !bytes.Equal(r.moved(session.Upload), up) || !bytes.Equal(r.moved(session.Download), down) || sums[hashed(up)] != "up" || sums[hashed(down)] != "down" {
		t.Errorf("on record: %d up, %d down, %v", len(r.moved(session.Upload)), len(r.moved(session.Download)), sums)
	}
}

// What is not granted is refused in words, and the refusal is on record.
func TestBrowserFilesNotGranted(t *testing.T) {
	for name, test := range map[string]struct {
		granted []session.Channel
		list    bool
		get     string
		put     string
		refused []string
	}{
		"out only": {[]session.Channel{session.FilesOut}, true, "", "Changes and uploads were not granted", []string{"sftp write"}},
		"in only":  {[]session.Channel{session.FilesIn}, true, "Downloads were not granted", "", []string{"sftp read"}},
		"neither":  {nil, false, "Files were not granted", "Files were not granted", []string{"subsystem sftp"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, b, dir := filing(t, test.granted...)
			must(t, os.WriteFile(dir+"/a", []byte("here"), 0o600))
			b.files(1, "list", `,"path":%q`, dir)
			if a := b.answered(1, 0); a.OK != test.list {
				t.Errorf("list: %+v", a.Error)
			}
			for id, op := range map[uint32][3]string{2: {"get", "", test.get}, 3: {"put", `,"size":0,"replace":false`, test.put}} {
				b.files(id, op[0], `,"path":%q`+op[1], dir+map[uint32]string{2: "/a", 3: "/b"}[id])
				a := b.answered(id, 0)
				if a.OK != (op[2] == "") || !a.OK && (a.Error.Kind != session.Denied || !strings.Contains(a.Error.Message, op[2]) || a.Error.Next == "") {
					t.Errorf("%s: %+v", op[0], a.Error)
				}
			}
			b.types("on")
			b.sees("on")
			var what []string
			for _, r := range documents[session.Refusal](t, w.tape(0), session.NotAllowed) {
				what = append(what, r.What)
			}
			if strings.Join(what, ",") != strings.Join(test.refused, ",") {
				t.Errorf("on record: %q", what)
			}
		})
	}
}

// A browser that is gone takes its transfers along, frozen or not: the recording says
// that they were cut, the terminal stays, and the next browser starts from nothing.
func TestBrowserGoneWithFiles(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		t.Run(fmt.Sprintf("frozen=%v", frozen), func(t *testing.T) {
			w, p, b, dir := filing(t, session.FilesIn, session.FilesOut)
			down := noise(t, 400<<10)
			must(t, os.WriteFile(dir+"/down", down, 0o600))
			b.files(1, "get", `,"path":%q`, dir+"/down")
			b.files(2, "put", `,"path":%q,"size":%d,"replace":false`, dir+"/up", 1<<20)
			b.upload(2, down[:100<<10])
			b.download(1, 256<<10)
			w.until("the device has it", func() bool { s, err := os.Stat(dir + "/up"); return err == nil && s.Size() == 100<<10 })
			if frozen {
				_, err := w.engine.Freeze(p.ID, "local", "the operator")
				must(t, err)
				b.files(3, "list", `,"path":%q`, dir)
				must(t, b.Send(attach.TypeCredit, numbers(1, 256<<10)))
			}
			b.drop()
			r := w.tape(0)
			w.until("both are closed on record", func() bool { return len(documents[session.FileSummary](t, r, session.FileClosed)) == 2 })
			for _, s := range documents[session.FileSummary](t, r, session.FileClosed) {
				if s.SHA256 != "" || !strings.Contains(s.Reason, "before the file was closed") {
					t.Errorf("%+v", s)
				}
			}
			if !bytes.Equal(r.moved(session.Upload), down[:100<<10]) {
				t.Errorf("%d bytes up on record", len(r.moved(session.Upload)))
			}
			if frozen {
				_, err := w.engine.Thaw(p.ID, "local", "the operator")
				must(t, err)
			}
			c := w.open(w.joins(p), shellProof(p))
			c.files(1, "list", `,"path":%q`, dir)
			if a := c.answered(1, 0); !a.OK || len(a.Entries) != 2 {
				t.Errorf("%+v", a)
			}
		})
	}
}

// Whoever sends more than there is credit for is told, and let go; the device gets none
// of it.
func TestBrowserFloodsFiles(t *testing.T) {
	_, _, b, dir := filing(t, session.FilesIn)
	b.files(1, "put", `,"path":%q,"size":10,"replace":false`, dir+"/up")
	b.answered(1, 0)
	must(t, b.Send(attach.TypeData, numbers(1), []byte("more than ten bytes")))
	if n := b.notice(attach.NoticeSaid); !strings.Contains(n.Text, "more of the file than") {
		t.Errorf("%+v", n)
	}
	b.gone()
	if got, err := os.ReadFile(dir + "/up"); err != nil || len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
}

// A listing of many entries comes in pages, in their order, and so does what is behind
// much output.
func TestBrowserListsMany(t *testing.T) {
	_, _, b, dir := filing(t, session.FilesOut)
	for i := range 600 {
		must(t, os.WriteFile(fmt.Sprintf("%s/%04d-%s", dir, i, strings.Repeat("x", 100)), nil, 0o600))
	}
	b.files(1, "list", `,"path":%q`, dir)
	seen := 0
	for page, more := 0, true; more; page++ {
		a := b.answered(1, page)
		for _, e := range a.Entries {
			if !strings.HasPrefix(e.Name, fmt.Sprintf("%04d-", seen)) {
				t.Fatalf("entry %d is %s", seen, e.Name)
			}
			seen++
		}
		more = a.More
	}
	if seen != 600 {
		t.Errorf("%d entries", seen)
	}
}

// A device without sftp is said to have none; the terminal goes on.
func TestBrowserFilesOfADeviceWithoutThem(t *testing.T) {
	o := newOracle(t)
	o.noFiles = true
	w := newWorld(t, o.dial)
	key, p := w.newKey(session.Shell, session.FilesOut)
	b := w.open(key, shellProof(p))
	b.files(1, "list", `,"path":""`)
	if a := b.answered(1, 0); a.Error == nil || !strings.Contains(a.Error.Message, "offers no sftp") || a.Error.Next == "" {
		t.Errorf("%+v", a)
	}
	b.types("on")
	b.sees("on")
}

// A device that hangs up while a panel is open ends the terminal, as without one.
func TestDeviceHangsUpOnFiles(t *testing.T) {
	w, p, b, dir := filing(t, session.FilesOut)
	b.files(1, "list", `,"path":%q`, dir)
	b.answered(1, 0)
	must(t, w.terminal(p).device.ssh.Close())
	if n := b.notice(attach.NoticeEnded); n.Reason != session.DeviceClosed {
		t.Errorf("%+v", n)
	}
	b.gone()
}
