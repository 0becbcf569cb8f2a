package screen

import (
	"crypto/ed25519"
	"crypto/rand"
	"image"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/screen"
)

// Who watches sees the console as it is and as it changes; nothing that they press or paste
// goes anywhere, and what is copied is not theirs. The engineer reads who they are.
func TestWatchingAConsole(t *testing.T) {
	w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control, session.ClipboardIn, session.ClipboardOut)
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	anna := session.Person{Identity: session.Identity{Iss: "https://idp.hospital.example", Sub: "anna"}, Name: "Anna"}
	engineer := w.look(false)
	must(t, w.engine.AllowWatch(w.ticket.ID, session.KeyLine(pub), anna, time.Now().Add(time.Hour)))
	pix := w.device.paint(t, make([]uint32, size.X*size.Y))
	viewer := w.lookAs(true, key, attach.Proof{Role: attach.RoleWatch})
	w.until("who comes late sees it", func() bool { return viewer.shows(size, pix) })
	pix = w.device.paint(t, pix)
	w.until("both see what changes", func() bool { return viewer.shows(size, pix) && engineer.shows(size, pix) })
	if len(viewer.welcome.Channels) != 0 || viewer.welcome.Recording == "" {
		t.Errorf("%+v", viewer.welcome)
	}
	w.until("the engineer reads who watches", func() bool {
		n, told := engineer.told(attach.NoticeWatchers)
		return told && slices.Equal(n.People, []string{"Anna"})
	})
	w.until("it is on record", func() bool {
		n := w.tape().notes(session.NoteWatching)
		return len(n) == 1 && n[0].By == "Anna"
	})
	must(t, viewer.Press(screen.Key{Sym: 'a', Down: true}))
	must(t, viewer.Point(screen.Pointer{At: image.Pt(5, 6), Buttons: 1}))
	must(t, viewer.Paste("x"))
	must(t, engineer.Press(screen.Key{Sym: 'b', Down: true}))
	pix = w.device.paint(t, pix)
	w.until("the device has what the engineer did", func() bool { return len(w.device.all()) == 1 && viewer.shows(size, pix) })
	if got := w.device.all(); got[0] != "key 98 true" || !slices.Equal(got, w.tape().inputs(t)) {
		t.Errorf("device %v, recording %v", got, w.tape().inputs(t))
	}
	t.Logf("ATTACK | who watches a console presses, points and pastes | nothing reaches the device | %d | holds", len(w.device.all())-1)
	if _, err := w.engine.Freeze(w.ticket.ID, "local", "the operator"); err != nil {
		t.Fatal(err)
	}
	w.until("who watches reads whose keys are stopped", func() bool {
		n, told := viewer.told(attach.NoticeFrozen)
		return told && n.Text == "The hospital froze this session. Nothing of its engineer's goes to the device; the time runs on."
	})
	must(t, w.engine.End(w.ticket.ID, session.KilledLocal, "the operator"))
	w.until("who watches reads why it is over", func() bool {
		n, told := viewer.told(attach.NoticeEnded)
		return told && n.Reason == session.KilledLocal
	})
}
