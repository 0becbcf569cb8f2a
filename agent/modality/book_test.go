package modality

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/session"
)

// desk is a book whose time stands still unless it is moved.
type desk struct {
	*Book
	mu   sync.Mutex
	time time.Time
	told []Standing
}

func (d *desk) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.time
}

func (d *desk) pass(long time.Duration) {
	d.mu.Lock()
	d.time = d.time.Add(long)
	d.mu.Unlock()
	d.Look()
}

func (d *desk) is() session.ModalityState {
	s, _ := d.Standing("CT")
	return s.State
}

func open(path string, at time.Time, sources ...Kind) *desk {
	d := &desk{time: at}
	d.Book = Open(path, map[string]Rule{"CT": {Sources: sources, Stale: time.Minute}}, d.now, slog.New(slog.DiscardHandler), func(_ string, s Standing) { d.told = append(d.told, s) })
	return d
}

func set(t testing.TB, d *desk, state session.ModalityState, hold time.Duration) {
	t.Helper()
	if _, err := d.Set("CT", state, hold, "Tom"); err != nil {
		t.Fatal(err)
	}
	if d.is() != state {
		t.Fatalf("set to %s, it is %s", state, d.is())
	}
}

func TestWhatTheOperatorPermitsExpiresAlsoOverARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "switches.json")
	d := open(path, noon, Operator)
	if d.is() != session.ModalityUnknown {
		t.Fatalf("before anybody says anything it is %s", d.is())
	}
	set(t, d, session.InService, 30*time.Minute)
	again := open(path, noon.Add(29*time.Minute), Operator)
	if again.is() != session.InService {
		t.Errorf("a restart made it %s", again.is())
	}
	again.pass(time.Minute)
	if s, _ := again.Standing("CT"); s.State != session.ModalityUnknown || s.Detail != "said in-service, which held until 12:30 UTC" {
		t.Errorf("after its time it is %+v", s)
	}
	if len(again.told) != 1 || again.told[0].State != session.ModalityUnknown {
		t.Errorf("told %+v", again.told)
	}
	set(t, d, session.Scanning, 0)
	if far := open(path, noon.Add(100*time.Hour), Operator); far.is() != session.Scanning {
		t.Errorf("what restricts became %s", far.is())
	}
}

// A key that is turned is told of at once, also while somebody says what restricts more: it
// ends a critical section, which that does not.
func TestAKeyThatIsTurnedIsTold(t *testing.T) {
	for state, hold := range map[session.ModalityState]time.Duration{session.InService: time.Hour, session.PatientOnTable: 0, session.Scanning: 0} {
		d := open(filepath.Join(t.TempDir(), "s"), noon, Operator, KeySwitch)
		d.tell("CT", KeySwitch, session.InService, "is on")
		set(t, d, state, hold)
		d.Look()
		before := len(d.told)
		d.Look()
		if len(d.told) != before {
			t.Errorf("%s: told again of nothing", state)
		}
		d.tell("CT", KeySwitch, session.ModalityUnknown, "is off")
		d.Look()
		if len(d.told) != before+1 || d.told[before].Shut != "key-switch: is off" {
			t.Errorf("%s: a key that was turned off: %+v", state, d.told[before:])
		}
		d.tell("CT", KeySwitch, session.InService, "is on")
		d.Look()
		if len(d.told) != before+2 || d.told[before+1].Shut != "" {
			t.Errorf("%s: and on again: %+v", state, d.told[before:])
		}
	}
}

func TestADeviceEndsWhatTheOperatorPermits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "switches.json")
	d := open(path, noon, Operator, MPPS)
	d.tell("CT", MPPS, session.InService, "no examination")
	set(t, d, session.InService, time.Hour)
	d.pass(time.Second)
	d.tell("CT", MPPS, session.Scanning, "examination in progress")
	if d.is() != session.Scanning {
		t.Fatalf("it is %s", d.is())
	}
	d.pass(time.Second)
	d.tell("CT", MPPS, session.InService, "completed")
	if d.is() != session.ModalityUnknown {
		t.Fatalf("completed, and nobody has looked: %s", d.is())
	}
	after := open(path, noon.Add(3*time.Second), Operator, MPPS)
	after.tell("CT", MPPS, session.InService, "no examination")
	if after.is() != session.ModalityUnknown {
		t.Errorf("a restart made it %s", after.is())
	}
	set(t, after, session.ModalityIdle, 0)
	after.pass(2 * time.Minute)
	if after.is() != session.ModalityUnknown {
		t.Errorf("a listener that says nothing leaves it %s", after.is())
	}
}

func TestAnOperatorAnswersAnExaminationThatEnded(t *testing.T) {
	d := open(filepath.Join(t.TempDir(), "s"), noon, Operator, MPPS)
	say := func(state session.ModalityState, detail string, want session.ModalityState) {
		t.Helper()
		d.pass(time.Second)
		if d.tell("CT", MPPS, state, detail); d.is() != want {
			t.Fatalf("%s, %s: it is %s, want %s", state, detail, d.is(), want)
		}
	}
	say(session.PatientOnTable, "ended at 11:59", session.PatientOnTable)
	d.pass(time.Second)
	set(t, d, session.InService, time.Hour)
	say(session.PatientOnTable, "ended at 11:59", session.InService)
	say(session.Scanning, "in progress", session.Scanning)
	say(session.PatientOnTable, "ended at 12:01", session.PatientOnTable)
	d.pass(time.Second)
	set(t, d, session.ModalityIdle, 0)
	say(session.PatientOnTable, "ended at 12:01", session.ModalityIdle)
	say(session.PatientOnTable, "ended at 12:02", session.PatientOnTable)
	d.pass(time.Second)
	set(t, d, session.InService, time.Minute)
	d.pass(time.Minute)
	say(session.PatientOnTable, "ended at 12:02", session.PatientOnTable)
}

func TestADeviceNeverPermits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "modality")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		d := open(filepath.Join(dir, "s"), noon, Operator, MPPS, Probe)
		kinds := rapid.SampledFrom([]Kind{MPPS, Probe})
		states := rapid.SampledFrom(session.ModalityStates())
		var permitted session.ModalityState // by the operator, and not ended since
		var until time.Time
		said := map[Kind]session.ModalityState{}
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			d.pass(time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second)
			state := states.Draw(t, "state")
			if rapid.IntRange(0, 3).Draw(t, "who") == 0 {
				if _, err := d.Set("CT", state, 0, "Tom"); err != nil {
					t.Fatal(err)
				}
				permitted, until = state, d.now().Add(DefaultFor)
			} else {
				kind := kinds.Draw(t, "device")
				d.tell("CT", kind, state, "")
				last := said[kind]
				said[kind] = state
				if state == session.Scanning || state == session.PatientOnTable && (kind == Probe || last != state) {
					permitted = ""
				}
			}
			if relaxes(d.is()) && (!relaxes(permitted) || permitted == "" || !d.now().Before(until) || strictness(d.is()) < strictness(permitted)) {
				t.Fatalf("it is %s; the operator permits %q, the devices say %v", d.is(), permitted, said)
			}
		}
	})
}

func TestSwitchesThatCannotBeReadPermitNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "switches.json")
	for _, body := range []string{"", "{}", `{"v":1,"switches":{"CT":{"state":"in-service","detail":"","at":"2026-11-30T11:59:00Z"}}}`,
		`{"v":1,"switches":{"CT":{"state":"in-service","detail":"","at":"2026-11-30T11:59:00Z","until":"2027-11-30T11:59:00Z"}}}`,
		`{"v":1,"switches":{"CT":{"state":"fine","detail":"","at":"2026-11-30T11:59:00Z"}}}`, `{"v":1,"switches":{},"more":1}`, `{"v":1,"switches":{}} x`} {
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if d := open(path, noon, Operator); d.is() != session.ModalityUnknown {
			t.Errorf("%s: %s", body, d.is())
		}
	}
}

func TestADiskThatTakesNothingRestrictsAndPermitsNothing(t *testing.T) {
	d := open(filepath.Join(t.TempDir(), "gone", "switches.json"), noon, Operator)
	if _, err := d.Set("CT", session.InService, 0, "Tom"); err == nil || d.is() != session.ModalityUnknown {
		t.Errorf("%v, and it is %s", err, d.is())
	}
	if _, err := d.Set("CT", session.Scanning, 0, "Tom"); err == nil || d.is() != session.Scanning {
		t.Errorf("%v, and it is %s", err, d.is())
	}
}

func TestTheSwitchRefuses(t *testing.T) {
	d := open(filepath.Join(t.TempDir(), "s"), noon, KeySwitch)
	for _, c := range []struct {
		asset string
		state session.ModalityState
		hold  time.Duration
	}{{"MR", session.ModalityIdle, 0}, {"CT", session.ModalityIdle, 0}} {
		if _, err := d.Set(c.asset, c.state, c.hold, "Tom"); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	d = open(filepath.Join(t.TempDir(), "s"), noon, Operator)
	for state, hold := range map[session.ModalityState]time.Duration{"fine": 0, session.Scanning: time.Minute, session.InService: 13 * time.Hour, session.ModalityIdle: -1} {
		if _, err := d.Set("CT", state, hold, "Tom"); err == nil {
			t.Errorf("%s for %s is taken", state, hold)
		}
	}
}

// word is a source that says one thing and ends.
type word struct{ said chan session.ModalityState }

func (w word) Run(ctx context.Context, tell func(session.ModalityState, string)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-w.said:
			tell(s, "by wire")
		}
	}
}

func TestSourcesAreRunAndRulesReplaced(t *testing.T) {
	first, second := word{make(chan session.ModalityState)}, word{make(chan session.ModalityState)}
	news := make(chan Standing, 10)
	b := Open(filepath.Join(t.TempDir(), "s"), map[string]Rule{"CT": {Sources: []Kind{KeySwitch}, Stale: time.Hour, Live: map[Kind]Source{KeySwitch: first}}},
		time.Now, slog.New(slog.DiscardHandler), func(_ string, s Standing) { news <- s })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	first.said <- session.InService
	if s := <-news; s.State != session.InService || s.Source != KeySwitch || s.Detail != "by wire" {
		t.Errorf("%+v", s)
	}
	b.Configure(map[string]Rule{"CT": {Sources: []Kind{KeySwitch}, Stale: time.Hour, Live: map[Kind]Source{KeySwitch: second}}})
	if s := <-news; s.State != session.ModalityUnknown {
		t.Errorf("with a new source it is %+v", s)
	}
	second.said <- session.Scanning
	if s := <-news; s.State != session.Scanning {
		t.Errorf("%+v", s)
	}
	b.Configure(nil)
	if _, ok := b.Standing("CT"); ok {
		t.Error("an asset without sources has a state")
	}
	cancel()
	<-done
}

// A scanner's bound holds for the usual time, too.
func TestTheOperatorPermitsNoLongerThanTheScannerAllows(t *testing.T) {
	now := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	b := Open(filepath.Join(t.TempDir(), "s"), map[string]Rule{"CT": {Sources: []Kind{Operator}, Stale: time.Minute, Longest: 40 * time.Minute}},
		func() time.Time { return now }, slog.New(slog.DiscardHandler), func(string, Standing) {})
	if _, err := b.Set("CT", session.InService, time.Hour, "x"); session.KindOf(err) != session.Invalid {
		t.Errorf("an hour: %v", err)
	}
	if s, err := b.Set("CT", session.InService, 0, "x"); err != nil || !s.Until.Equal(now.Add(40*time.Minute)) {
		t.Errorf("until %v, %v", s.Until, err)
	}
}
