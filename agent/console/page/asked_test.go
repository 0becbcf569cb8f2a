package page

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Strangers learn that requests wait; who signed in reads what was signed.
func TestWhatWaitsForAnApprovalIsReadByWhoSignedIn(t *testing.T) {
	s := serve(t, true)
	id := session.NewID().Request()
	s.change(func(b *Board) {
		b.Requests = []Request{{ID: id, Asset: "NGH-PETCT1", Who: "Jana Brandt", Company: "meridian.example", Reason: "<b>Tube</b> arcs", WorkOrder: "WO-9",
			Work: "They may look.", When: "For 30 min at the most.", Signed: "Signed in at meridian.", Approved: "Approved by nobody yet; 1 needed."}}
	})
	s.later(time.Second)
	_, body, _ := s.do("GET", "/", nil, "", nil)
	for _, secret := range []string{"Jana", "Tube", "WO-9", id} {
		if strings.Contains(body, secret) {
			t.Errorf("a stranger reads %q", secret)
		}
	}
	if !strings.Contains(body, "1 request waits for the hospital&#39;s approval") && !strings.Contains(body, "1 request waits for the hospital's approval") {
		t.Error("a stranger does not learn that a request waits")
	}
	token := s.signIn()
	s.later(time.Second)
	_, body, _ = s.do("GET", "/", nil, token, nil)
	for _, shown := range []string{"Jana Brandt (meridian.example) asks to work at NGH-PETCT1", "&lt;b&gt;Tube&lt;/b&gt; arcs", "work order WO-9",
		"They may look. For 30 min at the most.", "Approved by nobody yet; 1 needed.", "sallyport approve " + id} {
		if !strings.Contains(body, shown) {
			t.Errorf("who signed in does not read %q in %s", shown, body)
		}
	}
	if stop, asked := strings.Index(body, "STOP everything"), strings.Index(body, `id="asked"`); stop > asked {
		t.Error("what waits stands above STOP")
	}
	s.change(func(b *Board) {
		for i := range maxRequests + 2 {
			b.Requests = append(b.Requests, Request{ID: fmt.Sprint("R-", i), Asset: "NGH-CT2"})
		}
	})
	s.later(time.Second)
	if _, body, _ = s.do("GET", "/", nil, token, nil); strings.Count(body, "<article") != maxRequests || !strings.Contains(body, "3 more, asked later, are not shown.") {
		t.Errorf("%d requests are shown", strings.Count(body, "<article"))
	}
}
