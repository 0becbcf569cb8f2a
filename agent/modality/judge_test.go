package modality

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/session"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// anything draws what sources have said, some of it nonsense, and of any age.
func anything(t *rapid.T) (sources []Kind, said map[Kind]Reading) {
	said = map[Kind]Reading{}
	sources = rapid.SliceOfNDistinct(rapid.SampledFrom([]Kind{Operator, KeySwitch, MPPS, Probe, Timetable}), 1, 5, rapid.ID[Kind]).Draw(t, "sources")
	states := append(session.ModalityStates(), "", "fine")
	for _, k := range sources {
		if rapid.Bool().Draw(t, "heard") {
			r := Reading{State: rapid.SampledFrom(states).Draw(t, "state"), At: noon.Add(-time.Duration(rapid.IntRange(-300, 300).Draw(t, "age")) * time.Second)}
			r.Began = r.At
			if k == Operator && rapid.Bool().Draw(t, "expires") {
				r.Until = noon.Add(time.Duration(rapid.IntRange(-300, 300).Draw(t, "left")) * time.Second)
			}
			said[k] = r
		}
	}
	return sources, said
}

func TestTheMostRestrictiveSourceWinsAndSilenceIsUnknown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sources, said := anything(t)
		const stale = time.Minute
		got := judge(sources, said, stale, noon)
		for _, k := range sources {
			r, heard := said[k]
			least := r.State
			age := noon.Sub(r.At)
			if !heard || k != Operator && (age > stale || age < -stale) || k == Operator && !r.Until.IsZero() && !noon.Before(r.Until) {
				least = session.ModalityUnknown
			}
			if k == MPPS && least == session.PatientOnTable && answered(r, sources, said, noon) {
				continue // an operator has looked since
			}
			if strictness(got.State) < strictness(least) {
				t.Fatalf("%v of %v is %s, looser than %s of the %s", said, sources, got.State, least, k)
			}
			if k == Timetable && strictness(got.State) < strictness(session.ModalityIdle) {
				t.Fatalf("a schedule permits %s", got.State)
			}
		}
		if _, from := said[got.Source]; got.State != session.ModalityUnknown && !from {
			t.Fatalf("nobody said %s", got.State)
		}
	})
}

func TestOneMoreSourceNeverRelaxes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sources, said := anything(t)
		sources = slices.DeleteFunc(sources, func(k Kind) bool { return k == Operator }) // whose word answers an examination that ended
		if len(sources) < 2 {
			return
		}
		all, fewer := judge(sources, said, time.Minute, noon), judge(sources[:len(sources)-1], said, time.Minute, noon)
		if strictness(all.State) < strictness(fewer.State) {
			t.Fatalf("with %v it is %s, without the last %s", sources, all.State, fewer.State)
		}
	})
}

func TestTimeAloneNeverRelaxes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sources, said := anything(t)
		for k, r := range said { // nothing from the future
			r.At = noon.Add(-noon.Sub(r.At).Abs())
			said[k] = r
		}
		later := noon.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "wait")) * time.Second)
		was, is := judge(sources, said, time.Minute, noon), judge(sources, said, time.Minute, later)
		if strictness(is.State) < min(strictness(was.State), strictness(session.ModalityUnknown)) {
			t.Fatalf("%s became %s, and nobody said anything", was.State, is.State)
		}
	})
}

func TestWithoutASourceNothingIsKnown(t *testing.T) {
	if got := judge(nil, nil, time.Minute, noon); got.State != session.ModalityUnknown {
		t.Errorf("%+v", got)
	}
}

func TestASourceOfPeopleIsNeeded(t *testing.T) {
	for _, good := range [][]Kind{{Operator}, {KeySwitch}, {Timetable}, {Operator, MPPS}, {Probe, Operator, Timetable}} {
		if !Permits(good) {
			t.Errorf("%v is refused", good)
		}
	}
	for _, bad := range [][]Kind{nil, {MPPS}, {Probe}, {MPPS, Probe}, {Timetable, MPPS}, {KeySwitch, Probe}} {
		if Permits(bad) {
			t.Errorf("%v is taken", bad)
		}
	}
}

func TestAScheduleFollowsTheHoursOfItsZone(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSchedule([]string{"Mon-Fri 07:00-18:30", "Sat-Sun 10:00-12:00"}, zone, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]session.ModalityState{
		"2026-11-30 06:59": session.ModalityIdle, "2026-11-30 07:00": session.PatientOnTable, "2026-11-30 18:29": session.PatientOnTable,
		"2026-11-30 18:30": session.ModalityIdle, "2026-12-05 11:00": session.PatientOnTable, "2026-12-06 12:00": session.ModalityIdle,
	} {
		at, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := s.At(at); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, bad := range []string{"", "Mon", "Mon 7:00-8:00", "Mon-Fri 08:00-07:00", "Mon-Fri 08:00-24:01", "Mo 08:00-09:00", "Mon 08:60-09:00", "Mon 08:00-09:00 ", "Mon  08:00-09:00"} {
		if _, err := NewSchedule([]string{bad}, zone, time.Now); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// A key switch that is not on shuts the scanner, whatever else is more restrictive.
func TestAKeyThatIsOffShuts(t *testing.T) {
	at := func(s session.ModalityState, detail string) Reading {
		return Reading{State: s, Detail: detail, At: noon, Until: noon.Add(time.Hour)}
	}
	said := map[Kind]Reading{Operator: at(session.InService, ""), MPPS: at(session.Scanning, ""), KeySwitch: at(session.InService, "is on")}
	sources := []Kind{Operator, MPPS, KeySwitch}
	if s := judge(sources, said, time.Minute, noon); s.Shut != "" || s.State != session.Scanning {
		t.Errorf("on: %+v", s)
	}
	said[KeySwitch] = at(session.ModalityUnknown, "is off")
	if s := judge(sources, said, time.Minute, noon); s.Shut != "key-switch: is off" || s.State != session.Scanning {
		t.Errorf("off: %+v", s)
	}
	delete(said, KeySwitch)
	if s := judge(sources, said, time.Minute, noon); s.Shut == "" {
		t.Errorf("not heard: %+v", s)
	}
}
