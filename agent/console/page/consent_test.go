package page

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/session"
)

func (c *pressed) Asked() []console.Asking { return nil }

func (c *pressed) Answer(a console.Answer, how session.Means) (console.Answered, error) {
	what := "refuse"
	if a.Accept {
		what = "accept"
	}
	return console.Answered(a), c.press(what+" by "+string(how), console.Target{Session: a.Session})
}

// To let somebody in needs a sign-in, as has who they are and the code; to refuse does not.
func TestWhoLetsSomebodyInHasSignedIn(t *testing.T) {
	s := serve(t, true)
	id := session.NewID().Session()
	s.change(func(b *Board) {
		b.Waits = []Waiting{{Session: id, Asset: "NGH-PETCT1", Service: "console-vnc", Who: "Jana Brandt", Company: "meridian.example", Reason: "<b>Tube</b> arcs", WorkOrder: "WO-7",
			Work: "They may look.", Longest: "30 min", Code: Digits("483912"), Until: b.Past[0].Ended.Add(2*time.Hour + 90*time.Second)}}
	})
	s.later(time.Second)
	_, body, _ := s.do("GET", "/", nil, "", nil)
	for _, secret := range []string{"Jana", "Tube", "<b>4</b>", "Accept</button>"} {
		if strings.Contains(body, secret) {
			t.Errorf("a stranger reads %q", secret)
		}
	}
	if !strings.Contains(body, "Somebody of the vendor wants to open a session at NGH-PETCT1") || !strings.Contains(body, `id="refuse-`+id) {
		t.Error("a stranger does not learn that somebody waits")
	}
	if status, body, _ := s.do("POST", "/consent", url.Values{"session": {id}, "answer": {"accept"}}, "", nil); status != session.Denied.Status() || !strings.Contains(body, "needs a sign-in") {
		t.Errorf("accepted by a stranger: %d", status)
	}
	if status, _, _ := s.do("POST", "/consent", url.Values{"session": {id}, "answer": {"refuse"}}, "", nil); status != http.StatusSeeOther {
		t.Errorf("refuse: %d", status)
	}
	token := s.signIn()
	s.later(time.Second)
	_, body, _ = s.do("GET", "/", nil, token, nil)
	for _, shown := range []string{"Jana Brandt (meridian.example) wants to open console-vnc at NGH-PETCT1", "&lt;b&gt;Tube&lt;/b&gt; arcs", "work order WO-7", "They may look. For 30 min at the most.", "<b>4</b> <b>8</b> <b>3</b> <b>9</b> <b>1</b> <b>2</b>", "for another 1:2"} {
		if !strings.Contains(body, shown) {
			t.Errorf("the operator does not read %q in %s", shown, body)
		}
	}
	for _, answer := range []string{"", "yes", "refuse now"} {
		if status, _, _ := s.do("POST", "/consent", url.Values{"session": {id}, "answer": {answer}}, token, nil); status != session.Invalid.Status() {
			t.Errorf("answer %q: %d", answer, status)
		}
	}
	elsewhere := func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }
	if status, _, _ := s.do("POST", "/consent", url.Values{"session": {id}, "answer": {"accept"}}, token, elsewhere); status != session.Denied.Status() {
		t.Errorf("accepted from elsewhere: %d", status)
	}
	if status, _, _ := s.do("POST", "/consent", url.Values{"session": {id}, "answer": {"accept"}}, token, nil); status != http.StatusSeeOther {
		t.Errorf("accept: %d", status)
	}
	if did := strings.Join(s.agent.list(), ", "); did != "refuse by page "+id+", accept by page "+id {
		t.Errorf("it did %s", did)
	}
}
