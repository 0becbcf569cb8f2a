package page

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// What STOP comes to in a critical section stands beside it, for everybody; what is done and
// by whom is for those who signed in. The alarm is said in words, once for who cannot see it.
func TestACriticalSectionIsSaidBesideStop(t *testing.T) {
	s := serve(t, true)
	if _, body, _ := s.do("GET", "/", nil, "", nil); strings.Contains(body, `class="beware"`) || strings.Contains(body, `class="alarm"`) || strings.Contains(body, "aria-describedby") {
		t.Error("without a section something is said of one")
	}
	section := Critical{Why: "<i>firmware</i> 4.2", Until: s.clock().Add(10 * time.Minute)}
	set := func(is session.ModalityState, alarm bool) {
		s.change(func(b *Board) {
			b.Assets = slices.Clone(b.Assets)
			on := slices.Clone(b.Assets[0].On)
			now := section
			now.Alarm = alarm
			on[0].Critical = &now
			b.Assets[0].On, b.Assets[0].State = on, &State{Is: is, Says: "the operator"}
		})
		s.later(time.Second)
	}
	set(session.InService, false)
	_, body, _ := s.do("GET", "/", nil, "", nil)
	for _, said := range []string{`aria-describedby="beware-NGH-PETCT1"`, "must not be cut off is being done until 09:10 (9 min left): stopping now may leave the scanner unusable",
		"NGH-PETCT1 is in a critical section until 09:10: stopping now may leave it unusable.", "Critical section until 09:10"} {
		if !strings.Contains(body, said) {
			t.Errorf("a stranger does not read %q in %s", said, body)
		}
	}
	if strings.Contains(body, "firmware") || strings.Contains(body, `class="alarm"`) {
		t.Error("a stranger reads what is done, or an alarm that does not ring")
	}
	set(session.PatientOnTable, true)
	_, body, _ = s.do("GET", "/", nil, "", nil)
	for _, said := range []string{"Alarm: NGH-PETCT1 is with a patient on the table in a critical section", "Until 09:10 the remote session is not frozen for the patient.", "Where it cannot wait, press Freeze or STOP",
		`data-alarm="Alarm at NGH-PETCT1: the scanner is with a patient on the table while a critical section is on.`} {
		if !strings.Contains(body, said) {
			t.Errorf("a stranger does not read %q in %s", said, body)
		}
	}
	if strings.Contains(body, "firmware") || strings.Contains(body, "Brandt") {
		t.Error("an alarm tells strangers who it is, or what is done")
	}
	token := s.signIn()
	if _, body, _ := s.do("GET", "/", nil, token, nil); !strings.Contains(body, "Jonas Brandt is doing this, and it must not be cut off: &lt;i&gt;firmware&lt;/i&gt; 4.2") || !strings.Contains(body, "<b>&lt;i&gt;firmware&lt;/i&gt; 4.2</b> must not be cut off until 09:10") {
		t.Errorf("who signed in does not read what is done: %s", body)
	}
	// It asks nothing all the same.
	if status, _, _ := s.do("POST", "/stop", url.Values{"asset": {"NGH-PETCT1"}}, "", nil); status != http.StatusSeeOther || !slices.Contains(s.agent.list(), "kill NGH-PETCT1") {
		t.Errorf("STOP in a critical section: %d, %v", status, s.agent.list())
	}
}

// How long a word of the operator's holds is chosen among what the page offers.
func TestWhatIsPermittedHoldsAsLongAsWasChosen(t *testing.T) {
	s := serve(t, true)
	s.change(func(b *Board) {
		b.Assets = slices.Clone(b.Assets)
		b.Assets[0].State = &State{Is: session.Scanning, Says: "the operator", Switch: true, Holds: Holds(s.now, time.Hour, 6*time.Hour, []string{"06:00", "14:00", "22:00"})}
	})
	s.later(time.Second)
	token := s.signIn()
	_, body, _ := s.do("GET", "/", nil, token, nil)
	for _, said := range []string{`value="30m"`, `value="60m" id="hold-60m-NGH-PETCT1" checked>1 h`, `value="120m"`, `value="14:00" id="hold-14:00-NGH-PETCT1">End of shift, 14:00`} {
		if !strings.Contains(body, said) {
			t.Errorf("not offered: %s in %s", said, body)
		}
	}
	if _, body, _ := s.do("GET", "/", nil, "", nil); strings.Contains(body, `name="for"`) {
		t.Error("a stranger, who permits nothing, is asked for how long")
	}
	for _, c := range []struct{ state, hold, want string }{
		{"in-service", "30m", "30m0s"}, {"idle", "120m", "2h0m0s"}, {"down", "", ""}, {"scanning", "30m", ""}, {"in-service", "14:00", "4h59m59s"},
	} {
		status, body, _ := s.do("POST", "/state", url.Values{"asset": {"NGH-PETCT1"}, "state": {c.state}, "for": {c.hold}}, token, nil)
		if did := s.agent.list(); status != http.StatusSeeOther || did[len(did)-1] != "set "+c.state+c.want+" NGH-PETCT1" {
			t.Errorf("%v: %d, %v %s", c, status, did, body)
		}
	}
	before := len(s.agent.list())
	for _, hold := range []string{"600m", "1h", "22:00", "-30m", "shift"} {
		if status, _, _ := s.do("POST", "/state", url.Values{"asset": {"NGH-PETCT1"}, "state": {"in-service"}, "for": {hold}}, token, nil); status != session.Invalid.Status() {
			t.Errorf("%s: %d", hold, status)
		}
	}
	if len(s.agent.list()) != before {
		t.Error("a time that is not offered holds")
	}
}

func TestHoldsKeepWithinTheBound(t *testing.T) {
	now := time.Date(2026, 3, 4, 21, 30, 0, 0, time.UTC)
	words := func(all []Hold) (out []string) {
		for _, h := range all {
			out = append(out, h.Words()+map[bool]string{true: "*"}[h.Usual])
		}
		return out
	}
	for _, c := range []struct {
		longest time.Duration
		shifts  []string
		want    string
	}{
		{12 * time.Hour, nil, "30 min, 1 h*, 2 h"},
		{12 * time.Hour, []string{"06:00", "14:00", "22:00"}, "30 min, 1 h*, 2 h, End of shift, 22:00"},
		{12 * time.Hour, []string{"06:00"}, "30 min, 1 h*, 2 h, End of shift, 06:00"},
		{2 * time.Hour, []string{"06:00"}, "30 min, 1 h*, 2 h"},
		{45 * time.Minute, []string{"22:00"}, "30 min, 45 min*, End of shift, 22:00"},
		{10 * time.Minute, []string{"21:30"}, "10 min*"},
	} {
		if got := strings.Join(words(Holds(now, time.Hour, c.longest, c.shifts)), ", "); got != c.want {
			t.Errorf("%v %v: %s, not %s", c.longest, c.shifts, got, c.want)
		}
	}
}
