package access_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/session/link"
)

// Approvers are told when the alarm of a critical section rings, and of nothing else of it.
func TestApproversAreToldOfAnAlarm(t *testing.T) {
	w, e := newNotifiedWorld(t)
	r, _ := w.approved(ada)
	e.mu.Lock()
	e.heard = nil
	e.mu.Unlock()
	seq := uint64(0)
	tell := func(section *link.Critical) {
		t.Helper()
		seq++
		rep := w.report(r, seq)
		rep.Critical = section
		w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	}
	first := link.Critical{Began: w.clock(), Until: w.clock().Add(10 * time.Minute), Why: "firmware 4.2"}
	rings := first
	rings.Alarm = true
	tell(&first)
	e.nothing()
	tell(&rings)
	if n := e.last(access.NoticeAlarm); n.Section == nil || !n.Section.Until.Equal(first.Until) || n.Request.ID != r.ID {
		t.Errorf("told %+v", n)
	}
	tell(&rings)
	e.nothing()
	tell(nil)
	e.nothing()
	w.advance(time.Minute)
	second := link.Critical{Began: w.clock(), Until: w.clock().Add(time.Minute), Why: "again", Alarm: true}
	tell(&second) // it rang before anybody heard that it began
	e.last(access.NoticeAlarm)
}
