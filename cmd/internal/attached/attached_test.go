package attached

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
)

// An engineer works in the browser from the sign-in to the end that the hospital makes.
func TestAnEngineerInTheBrowser(t *testing.T) {
	ready := demo(t)
	engineer, approver := signIn(t, ready.Web, "engineer"), signIn(t, ready.Web, "approver")
	key, id := agreed(engineer, approver, session.FilesOut, session.Shell)

	// A shell, through broker and agent to the scanner.
	g := engineer.attach(key, id)
	if w := g.welcome; w.Session != id || w.Asset != scanner || w.Resumed || !w.Running || w.Recording == "" {
		t.Errorf("%+v", w)
	}
	g.types("swversion\r")
	g.sees("Software")

	// The hospital freezes: told, and nothing goes to the device until it thaws.
	approver.sees(id)
	approver.call(http.MethodPost, "/api/v1/sessions/"+id+"/freeze", struct{}{}, nil)
	if n := g.told(attach.NoticeFrozen); n.Text == "" || len(n.Causes) != 1 {
		t.Errorf("%+v", n)
	}
	g.types("whoami\r")
	time.Sleep(300 * time.Millisecond)
	g.mu.Lock()
	if bytes.Contains(g.shown, []byte("whoami")) {
		t.Error("typed while frozen, and the device answered")
	}
	g.mu.Unlock()
	approver.call(http.MethodPost, "/api/v1/sessions/"+id+"/thaw", struct{}{}, nil)
	g.told(attach.NoticeThawed)
	g.sees("whoami")

	// The connection is lost; the next one finds the terminal as it stands.
	g.drop()
	g = engineer.attach(key, id)
	if !g.welcome.Resumed || !g.welcome.Running {
		t.Errorf("%+v", g.welcome)
	}
	g.until("snapshot", func() bool { return bytes.Contains(g.redrawn, []byte("swversion")) })

	// Files: listed and downloaded, and not changed, because that was not granted.
	g.types("savelog\r")
	g.sees("may name patients")
	must(t, g.Send(attach.TypeFiles, []byte(`{"id":1,"op":"list","path":""}`)))
	home := g.answered(1, 0)
	i := slices.IndexFunc(home.Entries, func(e struct {
		Name string
		Dir  bool
		Size int
	}) bool {
		return !e.Dir && e.Size > 0
	})
	if !home.OK || i < 0 {
		t.Fatalf("%+v", home)
	}
	path := home.Path + "/" + home.Entries[i].Name
	must(t, g.SendJSON(attach.TypeFiles, map[string]any{"id": 2, "op": "get", "path": path}))
	if a := g.answered(2, 0); !a.OK || a.Size != home.Entries[i].Size {
		t.Fatalf("%+v", a)
	}
	g.credit(2, 64<<20)
	last := g.answered(2, 1)
	sum := sha256.Sum256(g.content)
	if !last.Done || last.Size != len(g.content) || last.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v, %d bytes came", last, len(g.content))
	}
	must(t, g.SendJSON(attach.TypeFiles, map[string]any{"id": 3, "op": "remove", "path": path}))
	if a := g.answered(3, 0); a.Error == nil || a.Error.Kind != session.Denied || a.Error.Next == "" {
		t.Errorf("%+v", a)
	}

	// The hospital ends it: told within a second, and over.
	start := time.Now()
	approver.call(http.MethodPost, "/api/v1/sessions/"+id+"/kill", struct{}{}, nil)
	n := g.told(attach.NoticeEnded)
	if took := time.Since(start); took > time.Second || n.Reason != session.KilledRemote || n.Text == "" {
		t.Errorf("after %v: %+v", took, n)
	}
	until(t, "the page is closed", func() error {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !g.closed {
			return errNotYet
		}
		return nil
	})
}
