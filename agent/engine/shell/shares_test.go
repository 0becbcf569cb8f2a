package shell

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/held"
)

// One session's channels leave other sessions theirs, over all of its connections.
func TestOnesShareOfTheChannelsLeavesOthersTheirs(t *testing.T) {
	w := newWorld(t, nil)
	of := func(iss, sub string) *engine.Ticket {
		return &engine.Ticket{ID: session.NewID(), Engineer: session.Person{Identity: session.Identity{Iss: iss, Sub: sub}}}
	}
	busy := of("vendor", "eva")
	for range maxSessionChannels {
		if w.line.open.take(busy) != nil {
			t.Fatal("refused within its share")
		}
	}
	if w.line.open.take(busy) == nil {
		t.Error("one channel too many")
	}
	w.line.open.give(busy)
	if w.line.open.take(busy) != nil {
		t.Error("what was given back is not there")
	}
	t.Logf("ATTACK | one session's channels take all of an agent's %d | others go on | %d are opened | holds", maxAllChannels, maxSessionChannels)
	for w.line.open.take(of("vendor", "eva")) == nil { // in one session after another
	}
	if w.line.open.all != maxPersonChannels {
		t.Errorf("one engineer has %d channels", w.line.open.all)
	}
	for n := 0; w.line.open.take(of("vendor", string(rune('f'+n)))) == nil; n++ {
	}
	if w.line.open.all != maxVendorChannels {
		t.Errorf("one vendor has %d channels", w.line.open.all)
	}
	if w.line.open.take(of("north", "ina")) != nil {
		t.Error("another vendor has none left")
	}
	for n := 0; w.line.open.take(of(string(rune('a'+n)), "x")) == nil; n++ {
	}
	if w.line.open.all != maxAllChannels {
		t.Errorf("%d channels in all", w.line.open.all)
	}
}

// An ssh whose session has all its channels is told so, and gets the next that is free.
func TestASessionsChannelsOverItsConnections(t *testing.T) {
	w := newWorld(t, newOracle(t).dial)
	signer, ticket := w.grant(session.Exec)
	for range maxSessionChannels {
		w.line.open.take(ticket)
	}
	c := w.mustConnect(signer)
	if _, err := c.NewSession(); err == nil {
		t.Error("a channel beyond the session's share")
	}
	w.line.open.give(ticket)
	s, err := c.NewSession()
	must(t, err)
	_ = s.Close()
}

// An engineer whose recordings take up their share of the disk reads that, and what to do.
func TestARecordingWithoutRoomSaysSo(t *testing.T) {
	w := newWorld(t, newOracle(t).dial)
	no := session.Errorf(session.Refused, "Your share is taken.").WithNext("Wait a while.")
	w.make = func(h recordings.Header) (*tape, error) {
		r := newTape(h)
		r.failAfter, r.full = 1000, no
		return r, nil
	}
	signer, p := w.grant(session.Exec)
	s, err := w.mustConnect(signer).NewSession()
	must(t, err)
	errOut := &lines{}
	s.Stderr, s.Stdin = errOut, bytes.NewReader(make([]byte, 100_000))
	_ = s.Run("cat")
	w.until("the session ended", func() bool { return w.rights.reason(p.ID) == session.RecorderLost })
	if !strings.Contains(errOut.String(), "no longer be recorded, so it is over. Your share is taken. Wait a while.") {
		t.Errorf("the engineer read %q", errOut)
	}
	w.make = func(recordings.Header) (*tape, error) { return nil, no }
	signer, _ = w.grant(session.Exec)
	_, err = w.mustConnect(signer).NewSession()
	if err == nil || !strings.Contains(err.Error(), "was not opened. Your share is taken.") {
		t.Errorf("the engineer read %v", err)
	}
}

// someone is an owner who shares nothing with others.
func someone() held.Owner {
	id := session.NewID()
	return held.Owner{Session: id, Who: session.Identity{Iss: id.Session(), Sub: "x"}}
}

// Browsers that ask and ask and take nothing make the agent hold their session's share, and
// those of many sessions what all have together. Who takes what comes has room beside them.
func TestBrowsersThatTakeNothingHoldTheirShare(t *testing.T) {
	const each, room = 32, 256 << 10 // browsers of a session, and what each has for itself
	l := &Line{waiting: held.New(maxWaitingSession, maxWaiting)}
	var all []*window
	flood := func(id held.Owner) {
		answer := make([]byte, 16<<10)
		for range each {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
			w := newWindow(ours, time.Hour, l.waiting.By(id))
			all = append(all, w)
			for n := 0; n < 500 && !w.Gone(); n++ { // nearly what one of them may hold
				w.Send(attach.TypeOutput, answer)
			}
		}
	}
	before := living()
	flood(someone())
	one := living() - before
	for range 7 {
		flood(someone())
	}
	many := living() - before
	if most := int64(maxWaitingSession + (each+1)*room); one > most {
		t.Errorf("%d bytes are held for one session", one)
	}
	if most := int64(maxWaiting + (8*each+1)*room); many > most {
		t.Errorf("%d bytes are held for all, at most %d may be", many, most)
	}
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	honest := newWindow(ours, time.Hour, l.waiting.By(someone()))
	for range 12 {
		honest.Send(attach.TypeOutput, make([]byte, 16<<10))
	}
	if honest.Gone() {
		t.Error("who takes what comes has no room left")
	}
	for _, w := range all {
		w.Kill()
	}
	for range maxWaiting / maxWaitingSession { // all of it is there again
		id := someone()
		l.waiting.By(id).Take(maxWaitingSession)
		if l.waiting.By(id).Full() {
			t.Error("not all was given back")
		}
	}
	t.Logf("ATTACK | %d browsers of one session, then of eight, ask and take nothing | %d MiB beyond %d KiB each, %d MiB for all | %.1f and %.1f MiB | holds",
		each, maxWaitingSession>>20, room>>10, maxWaiting>>20, float64(one)/(1<<20), float64(many)/(1<<20))
}

// living is what lives on the heap.
func living() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// People of one vendor open terminals that are dear to draw, for the recording, for who may
// watch and for browsers. What is drawn stays within the vendor's share of the agent's memory;
// another vendor's terminal is drawn, nobody is refused for it, and all is given back.
func TestTerminalsThatAreDrawnTakeTheirShare(t *testing.T) {
	const most = 96 << 20
	l := &Line{cfg: Config{Memory: held.NewMemory(most)}, stages: map[place]*stage{}}
	shell := []byte(`{"type":"shell","term":"xterm","cols":80,"rows":24}`)
	size := session.WindowSize{Cols: 80, Rows: 24}
	type opened struct {
		drawn recordings.Picture
		leave func()
		page  *picture
	}
	open := func(iss, sub string) (x opened) {
		ticket := &engine.Ticket{ID: session.NewID(), Engineer: session.Person{Identity: session.Identity{Iss: iss, Sub: sub}}}
		stage, leave := l.stage(place{ticket.ID, "recon-ssh"})
		x = opened{drawn: l.Picture(ticket), leave: leave, page: &picture{room: l.room(ticket)}}
		x.page.begin(size)
		var dear bytes.Buffer
		for i := range 80 * 230 {
			fmt.Fprintf(&dear, "\x1b[38;2;%d;%d;7;48;2;%d;9;1mé\u0301\u0301\u0301\u0301", i%256, i/256, i%251)
		}
		see := &seen{Recorder: discards{}, stage: stage, room: l.room(ticket)}
		for n := range uint32(4) {
			for _, e := range []session.Event{{Kind: session.ChannelOpened, Stream: n, Data: shell}, {Kind: session.Output, Stream: n, Data: dear.Bytes()}} {
				x.drawn.Take(e)
				must(t, see.Record(e))
			}
		}
		must(t, x.page.write(size, dear.Bytes()))
		return x
	}
	var all []opened
	before := living()
	for n := range 8 {
		all = append(all, open("loud", string(rune('a'+n))))
	}
	took := living() - before
	if vendor := int64(most * 15 / 24); took > vendor+8<<20 { // and what waits to be drawn, and lines
		t.Errorf("%d MiB are held for one vendor", took>>20)
	}
	other := open("other", "ina")
	all = append(all, other)
	if _, complete := other.drawn.Snapshots(); !complete || other.page.screen == nil {
		t.Error("another vendor's terminals are not drawn")
	}
	t.Logf("ATTACK | 8 people of one vendor open 32 terminals, each column with a style and marks of its own | five eighths of %d MiB; others' are drawn | %d MiB | holds", most>>20, took>>20)
	for _, x := range all {
		x.drawn.Close()
		x.page.close()
		x.leave()
	}
	for n := range 3 { // all of it is there again
		if err := l.cfg.Memory.Change(held.Owner{Session: session.NewID(), Who: session.Identity{Iss: string(rune('a' + n)), Sub: "x"}}, 0, most/3); err != nil {
			t.Error(err)
		}
	}
}

// discards is a recorder of nothing.
type discards struct{}

func (discards) Record(session.Event) error    { return nil }
func (discards) Close(session.EndReason) error { return nil }
