package shell

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/link"
)

// budgets stand for the ledger: package ledger's own tests hold it to what was granted.
type budgets struct {
	mu   sync.Mutex
	left map[session.ID]time.Duration
	on   map[session.ID]bool
}

func (b *budgets) Critical(id session.ID, length time.Duration, _ string, now time.Time) (time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on[id] || length > b.left[id] {
		return time.Time{}, session.Errorf(session.Denied, "not granted")
	}
	b.left[id] -= length
	b.on[id] = true
	return now.Add(length), nil
}

func (b *budgets) CriticalOver(id session.ID, _ time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.on[id] = false
	return nil
}

// flash is a world with a session that may flash, and types without end.
type flash struct {
	*world
	o      *oracle
	s      *state
	key    ed25519.PrivateKey
	ticket *engine.Ticket
	typing sync.WaitGroup

	onTheWay *strings.Replacer // what a broker makes of what it carries; nil: nothing
}

// meddler is a broker that changes what it carries.
type meddler struct {
	net.Conn
	r *strings.Replacer
}

func (m meddler) Write(p []byte) (int, error) {
	if _, err := m.Conn.Write([]byte(m.r.Replace(string(p)))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func newFlash(t *testing.T, longest time.Duration) *flash {
	t.Helper()
	o := newOracle(t)
	b := &budgets{left: map[session.ID]time.Duration{}, on: map[session.ID]bool{}}
	w := &world{t: t, rights: &fakeRights{keys: map[string]*engine.Ticket{}, facts: map[session.ID]session.SessionFacts{}, maxS: longest, device: o.dial}}
	w.tickets = struct {
		*fakeRights
		*budgets
	}{w.rights, b}
	f := &flash{world: w, o: o, s: w.stands(session.InService)}
	w.furnish()
	w.listen()
	f.key, f.ticket = f.engineer(session.Disruptive)
	b.left[f.ticket.ID] = 25 * time.Minute
	return f
}

func (f *flash) engineer(class session.Class) (ed25519.PrivateKey, *engine.Ticket) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(f.t, err)
	pub, err := gossh.NewPublicKey(key.Public())
	must(f.t, err)
	p := f.admit(pub, all()...)
	p.Class = class
	return key, p
}

// shell opens a shell and types into it until the session is over.
func (f *flash) shell(key ed25519.PrivateKey, letter byte) {
	f.t.Helper()
	signer, err := gossh.NewSignerFromKey(key)
	must(f.t, err)
	ch, reqs, err := f.mustConnect(signer).OpenChannel("session", nil)
	must(f.t, err)
	go gossh.DiscardRequests(reqs)
	go func() {
		b := make([]byte, 32<<10)
		for _, err := ch.Read(b); err == nil; _, err = ch.Read(b) {
		}
	}()
	if ok, err := ch.SendRequest("shell", true, nil); err != nil || !ok {
		f.t.Fatal(ok, err)
	}
	own := mathrand.New(mathrand.NewPCG(7, uint64(letter)))
	f.typing.Go(func() { typist(ch, letter, own) })
}

// typed is how many of a letter reached the device.
func (f *flash) typed(letter byte) int {
	_, input := f.o.seen()
	return strings.Count(string(input), string(letter))
}

func (f *flash) goesOn(letter byte) {
	f.t.Helper()
	before := f.typed(letter)
	f.until("typing goes on", func() bool { return f.typed(letter) > before })
}

// still waits until the device has what had passed, and holds it to that while the other
// session, or a question to the agent, shows that time goes by.
func (f *flash) still(letter byte, why string, meanwhile func()) {
	f.t.Helper()
	what, frozen := string(letter), 0
	f.until("the device has all that passed", func() bool {
		// Recorded before it is forwarded: nothing is on its way where both say the same.
		frozen = f.onRecord()[what]
		return f.o.reachedDevice()[what] == frozen && f.onRecord()[what] == frozen
	})
	for range 5 {
		meanwhile()
	}
	if now := f.typed(letter); now != frozen {
		f.t.Fatalf("%s: the device had %d, and now %d; on record %d; the session is frozen by %v", why, frozen, now, f.onRecord()[what], f.engine.Live())
	}
}

// ask is what sallyport critical says to the agent, through the inner TLS or around it.
func (f *flash) ask(door link.Door, key ed25519.PrivateKey, of *engine.Ticket, c attach.Critical) error {
	f.t.Helper()
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		f.engine.Serve(context.Background(), engine.Visit{Door: door, Asset: "NGH-PETCT1", Service: "recon-ssh"}, far)
	}()
	var conn net.Conn = near
	if f.onTheWay != nil {
		conn = meddler{near, f.onTheWay}
	}
	if door == link.DoorTLS {
		conn = tls.Client(near, attach.InnerClient(f.agent.(gossh.CryptoPublicKey).CryptoPublicKey().(ed25519.PublicKey)))
	}
	defer func() { _ = near.Close(); <-served }()
	agent, err := attach.NewClient(conn)
	must(f.t, err)
	opening, err := json.Marshal(c)
	must(f.t, err)
	_, err = agent.Ask(key, attach.Proof{Role: attach.RoleCritical, Session: of.ID.Session(), Opening: opening})
	return err
}

func (f *flash) declare(seconds int) error {
	return f.ask(link.DoorTLS, f.key, f.ticket, attach.Critical{Seconds: seconds, Why: "firmware 4.2"})
}

func (f *flash) over() error {
	return f.ask(link.DoorTLS, f.key, f.ticket, attach.Critical{End: true})
}

func (f *flash) section() *link.Critical {
	for _, l := range f.engine.Live() {
		if l.ID == f.ticket.ID {
			return l.Critical
		}
	}
	return nil
}

// While firmware is written a patient's arrival rings, and freezes everything else; a person
// can freeze it all the same; and its end is the interlock's.
func TestACriticalSectionIsNotCutByTheState(t *testing.T) {
	t.Parallel()
	f := newFlash(t, time.Hour)
	f.shell(f.key, 'a')
	other, q := f.engineer(session.Observe)
	f.shell(other, 'b')
	f.goesOn('a')
	f.goesOn('b')
	must(t, f.declare(600))
	if c := f.section(); c == nil || c.Alarm || c.Why != "firmware 4.2" {
		t.Fatalf("%+v", c)
	}
	third, _ := f.engineer(session.Observe)
	signer, err := gossh.NewSignerFromKey(third)
	must(t, err)
	if _, err := f.mustConnect(signer).NewSession(); err == nil || !strings.Contains(err.Error(), "A critical section is on") {
		t.Errorf("another session opens: %v", err)
	}
	for _, state := range []session.ModalityState{session.PatientOnTable, session.ModalityUnknown, session.Scanning, session.ModalityIdle} {
		f.s.become(state)
		if c := f.section(); c == nil || !c.Alarm {
			t.Fatalf("%s: %+v", state, c)
		}
		f.still('b', "the other session in "+string(state), func() { f.goesOn('a') })
	}
	if _, err := f.engine.Thaw(q.ID, engine.CauseInterlock, "Tom"); session.KindOf(err) != session.Refused {
		t.Errorf("the other session was thawed beside the alarm: %v", err)
	}
	if n := f.notes(session.NoteCritical, func(n session.Note) bool { return strings.HasPrefix(n.Text, "Alarm:") }); n == 0 {
		t.Error("the alarm is on no recording")
	}
	if _, err := f.engine.Freeze(f.ticket.ID, "local", "Tom"); err != nil {
		t.Fatal(err)
	}
	nothing := func() { _, _ = f.engine.Freeze(f.ticket.ID, "local", "Tom") }
	f.still('a', "a person's freeze", nothing)
	if _, err := f.engine.Thaw(f.ticket.ID, "local", "Tom"); err != nil {
		t.Fatal(err)
	}
	f.goesOn('a')
	must(t, f.over())
	if live := f.engine.Live(); slices.ContainsFunc(live, func(l engine.LiveSession) bool { return !slices.Contains(l.Frozen, engine.CauseInterlock) }) {
		t.Errorf("after the section: %+v", live)
	}
	f.still('a', "after the section", nothing2(f))
	if r := f.lastReport(); r.Critical != nil {
		t.Errorf("it is reported still: %+v", r)
	}
	must(t, f.engine.End(f.ticket.ID, session.KilledLocal, "Tom"))
	must(t, f.engine.End(q.ID, session.KilledLocal, "Tom"))
	f.typing.Wait()
}

func nothing2(f *flash) func() { return func() { _ = f.over() } }

// Who may not, cannot: by the broker's door, with another class, another key, a second one,
// more than there is, after a kill, or where somebody shut the scanner off.
func TestWhoDeclaresNoCriticalSection(t *testing.T) {
	t.Parallel()
	f := newFlash(t, time.Hour)
	ask := attach.Critical{Seconds: 60, Why: "firmware 4.2"}
	if err := f.declare(60); session.KindOf(err) != session.Invalid {
		t.Errorf("before anybody is connected: %v", err)
	}
	f.shell(f.key, 'a')
	f.goesOn('a')
	for what, change := range map[string][2]string{"made longer": {`"seconds":60`, `"seconds":90`}, "with other words": {"firmware 4.2", "firmware 4.3"},
		"made an end": {`"seconds":60,"why":"firmware 4.2","end":false`, `"seconds":0,"why":"","end":true              `}} {
		f.onTheWay = strings.NewReplacer(change[0], change[1])
		if err := f.ask(link.DoorAttach, f.key, f.ticket, ask); session.KindOf(err) != session.Denied || !strings.Contains(err.Error(), "did not prove") {
			t.Errorf("%s on the way: %v", what, err)
		}
	}
	f.onTheWay = nil
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	if err := f.ask(link.DoorTLS, stranger, f.ticket, ask); session.KindOf(err) != session.Denied {
		t.Errorf("a broker's own key: %v", err)
	}
	for _, class := range []session.Class{session.Observe, session.NonDisruptive} {
		key, p := f.engineer(class)
		f.shell(key, 'b')
		if err := f.ask(link.DoorTLS, key, p, ask); session.KindOf(err) != session.Denied {
			t.Errorf("%s: %v", class, err)
		}
		must(t, f.engine.End(p.ID, session.Completed, "Tom"))
	}
	if err := f.declare(1501); session.KindOf(err) != session.Denied {
		t.Errorf("longer than granted: %v", err)
	}
	if c := f.section(); c != nil {
		t.Fatalf("%+v", c)
	}
	if err := f.ask(link.DoorAttach, f.key, f.ticket, ask); err != nil || f.section() == nil { // as a browser does
		t.Errorf("by the session's key, by way of the broker: %v", err)
	}
	if err := f.ask(link.DoorAttach, stranger, f.ticket, attach.Critical{End: true}); err == nil || f.section() == nil {
		t.Errorf("the broker ended it: %v", err)
	}
	must(t, f.over())
	must(t, f.declare(1400))
	if err := f.declare(10); session.KindOf(err) != session.Refused {
		t.Errorf("a second one: %v", err)
	}
	if err := f.ask(link.DoorTLS, stranger, f.ticket, attach.Critical{End: true}); err == nil || f.section() == nil {
		t.Errorf("a stranger ended it: %v", err)
	}
	why := "the key switch is off"
	f.shut.Store(&why)
	f.s.become(session.ModalityUnknown)
	if c := f.section(); c != nil {
		t.Errorf("a scanner that was shut off: %+v", c)
	}
	f.still('a', "shut off", func() { _ = f.over() })
	f.shut.Store(nil)
	f.s.become(session.InService)
	if err := f.declare(10); session.KindOf(err) != session.Refused {
		t.Errorf("while frozen: %v", err)
	}
	must(t, f.engine.End(f.ticket.ID, session.KilledLocal, "Tom"))
	if err := f.declare(10); err == nil {
		t.Error("after a kill")
	}
	f.typing.Wait()
	t.Log("ATTACK | a broker, another class, another key, a second or longer one, a killed session claims a critical section, or changes one that it carries | refused by the agent | all refused | holds")
}

// A session whose time is up inside a section goes on until the section's end and no
// longer, whoever is away; without one it ends at its time.
func TestASectionOutlastsTheDeadlineAndNoMore(t *testing.T) {
	t.Parallel()
	f := newFlash(t, 6*time.Second)
	f.shell(f.key, 'a')
	f.goesOn('a')
	began := time.Now()
	must(t, f.declare(10))
	f.s.become(session.PatientOnTable)
	deadline := f.engine.Live()[0].Opened.Add(6 * time.Second)
	until := f.section().Until
	f.until("the deadline has passed", func() bool { return time.Now().After(deadline.Add(time.Second)) })
	f.goesOn('a')
	f.until("the session is over", func() bool { return f.rights.reason(f.ticket.ID) != "" })
	if late := time.Since(until); late < 0 || late > 2*time.Second || f.rights.reason(f.ticket.ID) != session.OutOfTime {
		t.Errorf("it ended %s after the section, for %s", late, f.rights.reason(f.ticket.ID))
	}
	f.typing.Wait()
	t.Logf("ATTACK | a session goes on past its deadline in a critical section of 10 s | ends within 2 s of the section's end | %s after it began | holds", time.Since(began).Round(100*time.Millisecond))
}

// Random states, sections, freezes by hand and ends of sections while two sessions type:
// what the device gets is what may reach it at that moment.
func TestRandomSectionsAndStates(t *testing.T) {
	f := newFlash(t, time.Hour)
	f.shell(f.key, 'a')
	other, q := f.engineer(session.Disruptive)
	f.shell(other, 'b')
	r, section, steps := mathrand.New(mathrand.NewPCG(3, 4)), false, map[string]int{}
	for range 60 {
		state := session.ModalityStates()[r.IntN(6)]
		if r.IntN(2) == 0 {
			state = session.InService
		}
		switch r.IntN(8) {
		case 0:
			if err := f.declare(60 + r.IntN(60)); err == nil {
				section = true
				steps["declared"]++
			} else if !section && len(frozenBy(f, f.ticket.ID)) == 0 {
				t.Fatalf("not declared: %v", err)
			}
		case 1:
			if section {
				must(t, f.over())
				section = false
				steps["ended"]++
			}
		case 2:
			_, err := f.engine.Freeze(f.ticket.ID, "local", "Tom")
			must(t, err)
			f.still('a', "frozen by hand", func() { _, _ = f.engine.Freeze(f.ticket.ID, "local", "Tom") })
			_, err = f.engine.Thaw(f.ticket.ID, "local", "Tom")
			must(t, err)
			steps["frozen by hand"]++
		default:
			f.s.become(state)
			works := state == session.InService
			if section && !works {
				steps["rang"]++
			}
			if section && (f.section() == nil || f.section().Alarm == works) {
				t.Fatalf("%s: %+v", state, f.section())
			}
			if c := frozenBy(f, q.ID); !works && !slices.Contains(c, engine.CauseInterlock) {
				t.Fatalf("the other session in %s: %v", state, c)
			}
			if works { // as somebody at the agent would
				for _, p := range []*engine.Ticket{f.ticket, q} {
					_, err := f.engine.Thaw(p.ID, engine.CauseInterlock, "Tom")
					must(t, err)
				}
			}
			steps[string(state)]++
		}
		if held := frozenBy(f, f.ticket.ID); section != (f.section() != nil) || section && len(held) > 0 {
			t.Fatalf("section %v: %+v, frozen by %v", section, f.section(), held)
		}
		for letter, p := range map[byte]*engine.Ticket{'a': f.ticket, 'b': q} {
			if len(frozenBy(f, p.ID)) == 0 {
				f.goesOn(letter)
			} else {
				f.still(letter, "frozen", func() { f.engine.Live() })
			}
		}
	}
	if steps["declared"] == 0 || steps["ended"] == 0 || steps["rang"] < 3 {
		t.Errorf("too little happened: %v", steps)
	}
	must(t, f.engine.End(f.ticket.ID, session.KilledLocal, "Tom"))
	must(t, f.engine.End(q.ID, session.KilledLocal, "Tom"))
	f.typing.Wait()
	t.Logf("ATTACK | states, critical sections and freezes at random, two sessions type | the device gets what may pass, in a section it goes on | %v | holds", steps)
}

func frozenBy(f *flash, id session.ID) []string {
	for _, l := range f.engine.Live() {
		if l.ID == id {
			return l.Frozen
		}
	}
	return nil
}
