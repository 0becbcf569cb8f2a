package files

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files/packet"
	"github.com/sallyport/sallyport/session/held"
)

// forgetful records nothing: what is measured is what transfers hold.
type forgetful struct{ events atomic.Int64 }

func (r *forgetful) Record(session.Event) error    { r.events.Add(1); return nil }
func (r *forgetful) Close(session.EndReason) error { return nil }

// scripted is a device that answers each request as it likes.
func scripted(answer func(packet.Request) packet.Response) func(ssh.Channel) {
	return func(ch ssh.Channel) {
		defer ch.Close()
		body, err := packet.Read(ch, nil)
		if err == nil {
			_, err = ch.Write(packet.AppendVersion(nil, nil))
		}
		var out []byte
		for err == nil {
			if body, err = packet.Read(ch, body); err != nil {
				return
			}
			id, r, bad := packet.ParseRequest(body)
			if bad != nil {
				return
			}
			out = answer(r).Append(out[:0], id)
			_, err = ch.Write(out)
		}
	}
}

// living is what lives on the heap.
func living() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

const mostOfASession = 32 << 20 // bytes that the transfers of one session hold, whatever both ends do

// A client that reads many files out of order makes the agent hold no more than the
// session's share; others still have theirs.
func TestReadsOutOfOrderAreBounded(t *testing.T) {
	const clients, open, reads, size = 2, 64, 24, 32 << 10
	zeros := make([]byte, size)
	device := scripted(func(r packet.Request) packet.Response {
		switch r.Op {
		case packet.Open:
			return packet.Response{Kind: packet.Handle, Handle: "h"}
		case packet.ReadAt:
			return packet.Response{Kind: packet.Data, Data: zeros[:min(r.Length, size)]}
		}
		return packet.Says(packet.OK)
	})
	all := NewBudget()
	hostile, honest := all.By(someone()), all.By(someone())
	before := living()
	type opened struct {
		c      *client
		handle string
	}
	var every []opened
	for range clients {
		c := through(t, Config{Recorder: &forgetful{}, Out: true, Device: piped(device), Share: hostile})
		for i := range open {
			every = append(every, opened{c, c.open(fmt.Sprintf("/f%d", i), packet.ForReading)})
		}
	}
	for i := range reads {
		var answers []<-chan packet.Response
		for _, f := range every {
			answers = append(answers, f.c.send(packet.Request{Op: packet.ReadAt, Handle: f.handle, Offset: uint64(2*i+1) * size, Length: size}))
		}
		for _, a := range answers {
			<-a
		}
	}
	got := living() - before
	t.Logf("ATTACK | a client reads %d files out of order, %d MiB of them | %d MiB are held for its session | %.1f MiB | holds",
		clients*open, clients*open*reads*size>>20, mostOfASession>>20, float64(got)/(1<<20))
	if got > mostOfASession {
		t.Errorf("%d bytes are held", got)
	}
	// Another session still hashes in the order of its files.
	d := newDigest(honest)
	for _, at := range []int64{size, 0, 3 * size, 2 * size} {
		d.add(at, zeros)
	}
	if got := d.result(); got.Order != "" {
		t.Errorf("another session has no room left: %+v", got)
	}
	for _, f := range every {
		if a := f.c.ask(packet.Request{Op: packet.Close, Handle: f.handle}); a.Code != packet.OK {
			t.Errorf("close: %v", a.Code)
		}
	}
	if !empty(all, maxHeldSession, maxHeld) {
		t.Error("not all was given back")
	}
}

// Single bytes cost what they cost, not what they carry.
func TestSingleBytesOutOfOrderAreBounded(t *testing.T) {
	all := NewBudget()
	before := living()
	var every []*digest
	const files, each = 16, 25_000
	for range files {
		d := newDigest(all.By(held.Owner{}))
		for i := range int64(each) {
			d.add(2*i+1, []byte{0})
		}
		every = append(every, d)
	}
	got := living() - before
	t.Logf("ATTACK | a client reads %d single bytes out of order | %d MiB are held for its session | %.1f MiB | holds", files*each, mostOfASession>>20, float64(got)/(1<<20))
	if got > mostOfASession {
		t.Errorf("%d bytes are held", got)
	}
	for _, d := range every {
		d.result()
	}
	if !empty(all, maxHeldSession, maxHeld) {
		t.Error("not all was given back")
	}
}

// Whatever a device lists, little of it is held: a directory without end, names without
// end, and what is said of them without end.
func TestListingsOfAHostileDeviceAreBounded(t *testing.T) {
	for _, row := range []struct {
		attack string
		answer packet.Response
	}{
		{"entries without a name, without end", packet.Response{Kind: packet.Name, Names: make([]packet.Entry, 20_000)}},
		{"many entries of short names, without end", packet.Response{Kind: packet.Name, Names: entriesOf(2000, strings.Repeat("n", 20), strings.Repeat("l", 60))}},
		{"entries that say much of themselves, without end", packet.Response{Kind: packet.Name, Names: entriesOf(60, "n", strings.Repeat("l", 4<<10))}},
		{"names of a whole packet, without end", packet.Response{Kind: packet.Name, Names: entriesOf(1, strings.Repeat("n", 200<<10), "")}},
		{"the same entry, without end", packet.Response{Kind: packet.Name, Names: entriesOf(2000, ".", "")}},
	} {
		t.Run(row.attack, func(t *testing.T) {
			before, most := living(), int64(0)
			asked, look := 0, 1
			device := scripted(func(r packet.Request) packet.Response {
				switch r.Op {
				case packet.Realpath:
					return packet.Response{Kind: packet.Name, Names: entriesOf(1, "/", "")}
				case packet.Opendir:
					return packet.Response{Kind: packet.Handle, Handle: "h"}
				case packet.Readdir:
					if asked++; asked >= look {
						most = max(most, living()-before)
						look = asked + asked/2 + 1
					}
					return row.answer
				}
				return packet.Says(packet.OK)
			})
			b := newBrowser(t, false, true, device)
			b.record = &forgetful{}
			b.do("list", `,"path":"/"`)
			t.Logf("ATTACK | a device lists %s | %d MiB are held | %.1f MiB, after %d answers | holds", row.attack, mostOfASession>>20, float64(most)/(1<<20), asked)
			if most > mostOfASession {
				t.Errorf("%d bytes are held", most)
			}
		})
	}
}

func entriesOf(n int, name, long string) []packet.Entry {
	all := make([]packet.Entry, n)
	for i := range all {
		all[i] = packet.Entry{Name: name, Long: long}
	}
	return all
}

// empty reports whether nothing is held: all that may be held still can.
func empty(b *held.Budget, each, most int) bool {
	var all []*held.Share
	for range most / each {
		s := b.By(someone())
		s.Take(each)
		all = append(all, s)
	}
	full := all[0].Full()
	for _, s := range all {
		s.Give(each)
	}
	return !full
}

// someone is an owner who shares nothing with others.
func someone() held.Owner {
	id := session.NewID()
	return held.Owner{Session: id, Who: session.Identity{Iss: id.Session(), Sub: "x"}}
}

// One engineer with many sessions, and then a whole vendor, hold their share of what files
// may hold out of order and ahead; a colleague, and another vendor's engineer, have theirs.
func TestOnesShareOfWhatFilesHold(t *testing.T) {
	for what, b := range map[string]*held.Budget{"out of order": NewBudget(), "ahead of browsers": NewAhead()} {
		var taken []*held.Share
		most := 0
		fill := func(sub string, sessions int) {
			for range sessions {
				s := b.By(held.Owner{Session: session.NewID(), Who: session.Identity{Iss: "loud", Sub: sub}})
				for !s.Full() {
					s.Take(64 << 10)
					taken, most = append(taken, s), most+64<<10
				}
			}
		}
		fill("eva", 20)
		one := most
		if s := b.By(held.Owner{Session: session.NewID(), Who: session.Identity{Iss: "loud", Sub: "colleague"}}); s.Full() {
			t.Errorf("%s: a colleague has no room", what)
		}
		for n := range 20 {
			fill(fmt.Sprint(n), 3)
		}
		d := newDigest(b.By(someone()))
		chunk := make([]byte, 1<<20)
		for _, at := range []int64{1 << 20, 0, 3 << 20, 2 << 20} {
			d.add(at, chunk)
		}
		if got := d.result(); got.Order != "" {
			t.Errorf("%s: another vendor's engineer has no room: %+v", what, got)
		}
		t.Logf("ATTACK | an engineer with 20 sessions, and 20 more of their vendor, fill what files hold %s | a half, five eighths of %d MiB; others have theirs | %d and %d MiB | holds", what, maxHeld>>20, one>>20, most>>20)
		for _, s := range taken {
			s.Give(64 << 10)
		}
		if !empty(b, maxHeldSession, maxHeld) {
			t.Error("not all was given back")
		}
	}
}

// stuck is a browser that gives all credit and takes nothing.
type stuck struct {
	deaf
	gone chan struct{}
}

func (s stuck) Room() error { <-s.gone; return net.ErrClosed }

// Browsers that ask for much and take nothing make the agent hold what their session may have
// ahead; a browser of another session gets its file beside them.
func TestDownloadsThatNobodyTakesAreBounded(t *testing.T) {
	const browsers, size = 6, 1 << 30
	zeros := make([]byte, maxRead)
	device := scripted(func(r packet.Request) packet.Response {
		switch r.Op {
		case packet.Stat:
			return packet.Response{Kind: packet.Attributes, Attrs: packet.Attrs{Has: packet.HasSize | packet.HasMode, Size: size, Mode: 0o100644}}
		case packet.Open:
			return packet.Response{Kind: packet.Handle, Handle: "h"}
		case packet.ReadAt:
			return packet.Response{Kind: packet.Data, Data: zeros[:min(r.Length, maxRead)]}
		}
		return packet.Says(packet.OK)
	})
	ahead := NewAhead()
	before := living()
	gone := make(chan struct{})
	hostile := ahead.By(someone())
	var panels []*Panel
	for range browsers {
		p := NewPanel(PanelConfig{Out: true, To: stuck{deaf{t}, gone}, Ahead: hostile, Serve: func(work func(Config) error) error {
			return work(Config{Recorder: &forgetful{}, Gate: &openGate{}, Out: true, Stream: 1,
				Next: func() uint32 { return 2 }, Refused: func(string, string) {}, Device: piped(device)})
		}})
		panels = append(panels, p)
		for id := uint32(1); id <= maxTransfers; id++ {
			p.Handle(fmt.Appendf(nil, `{"id":%d,"op":"get","path":"/f%d"}`, id, id))
			p.Credit(id, size)
		}
	}
	for deadline := time.Now().Add(time.Minute); !hostile.Full(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the share is not full")
		}
	}
	const most = maxAheadEach + 2*browsers*maxTransfers*(chunkSize+chunkCost)
	b := newBrowser(t, false, true, nil)
	b.cfg.Ahead = ahead.By(someone())
	if err := os.WriteFile(b.at("honest"), make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	id := b.ask("get", `,"path":"honest"`)
	b.Panel.Credit(id, 1<<20)
	b.until("another session's file", func() bool { return len(b.data[id]) == 4<<20 })
	got := living() - before
	if got > most+24<<20 { // the honest file is in it, twice while it grows
		t.Errorf("%d bytes of heap", got)
	}
	close(gone)
	for _, p := range panels {
		p.Close()
	}
	for deadline := time.Now().Add(time.Minute); !empty(ahead, maxAheadEach, maxAhead); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not all was given back")
		}
	}
	t.Logf("ATTACK | %d browsers ask for %d files of 1 GiB and take nothing | %d MiB are held ahead for their session, and one piece of each | %.1f MiB of heap with an honest browser's file beside it | holds",
		browsers, browsers*maxTransfers, maxAheadEach>>20, float64(got)/(1<<20))
}
