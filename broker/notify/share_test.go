package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// One engineer asks without end: the site is told of the first dozen one by one, of the rest
// together, and of what anybody else asks or the hospital decides as always.
func TestOneEngineerDoesNotFillTheSitesPost(t *testing.T) {
	w := newWorld(t)
	p := &pigeon{}
	o := w.office(p)
	var last Notice
	for range 300 {
		last = w.notice(Asked)
		o.Notify(t.Context(), last)
	}
	o.Notify(t.Context(), last) // told twice is told once
	if n := w.waiting(); n != 2*ofPerson+2 {
		t.Fatalf("%d mails wait", n)
	}
	colleague := w.notice(Asked)
	colleague.Engineer.Sub = "2"
	rival := w.notice(Asked)
	rival.Engineer.Identity = session.Identity{Iss: "https://login.other.example", Sub: "1"}
	for _, n := range []Notice{colleague, rival, w.notice(Denied)} {
		o.Notify(t.Context(), n)
	}
	o.round(t.Context())
	to := map[string]int{}
	for _, m := range p.sent {
		to[m.To]++
		if strings.Contains(m.Subject, "more requests") {
			t.Error("it is told before its time")
		}
	}
	if to["maya@northfield.example"] != ofPerson+2 || to["jana@meridian.example"] != 1 {
		t.Errorf("sent: %v", to)
	}
	p.sent = nil
	w.advance(gather)
	o.round(t.Context())
	if len(p.sent) != 2 || p.sent[0].Subject != fmt.Sprintf("NGH: %d more requests wait", 300-ofPerson) || !strings.Contains(p.sent[0].Text, "And 288 more requests of the same person, Jana Brandt <jana@meridian.example>, signed in at login.meridian.example.") {
		t.Fatalf("%+v", p.sent)
	}
	t.Logf("ATTACK | one engineer asks 300 times within minutes | 12 mails to an approver, then one in 10 minutes; others and decisions as always | %d + 1 mails | holds", ofPerson)
}

// So do all of a vendor's engineers.
func TestOneVendorDoesNotFillTheSitesPost(t *testing.T) {
	w := newWorld(t)
	o := w.office(&pigeon{})
	for i := range 200 {
		n := w.notice(Asked)
		n.Engineer.Sub = fmt.Sprint(i)
		o.Notify(t.Context(), n)
	}
	if n := w.waiting(); n != 2*ofVendor+2 {
		t.Fatalf("%d mails wait", n)
	}
	rival := w.notice(Asked)
	rival.Engineer.Identity = session.Identity{Iss: "https://login.other.example", Sub: "1"}
	o.Notify(t.Context(), rival)
	if n := w.waiting(); n != 2*ofVendor+4 {
		t.Errorf("%d mails wait: another vendor is not heard", n)
	}
	w.advance(time.Hour)
	o.Notify(t.Context(), w.notice(Asked))
	if n := w.waiting(); n != 2*ofVendor+6 {
		t.Errorf("an hour later %d mails wait", n)
	}
}

// A flood of what is asked leaves the post of what is decided alone.
func TestDecisionsHaveTheirOwnPost(t *testing.T) {
	w := newWorld(t)
	o := w.office(&pigeon{})
	for i := range perHour/2 + 50 {
		n := w.notice(Asked)
		n.Engineer.Identity = session.Identity{Iss: fmt.Sprintf("https://login%d.example", i), Sub: "1"}
		o.Notify(t.Context(), n)
	}
	if w.logged("600 times") == 0 {
		t.Fatal("there is no flood")
	}
	before := w.waiting()
	o.Notify(t.Context(), w.notice(Approved))
	if w.waiting() != before+1 {
		t.Error("a decision is not told")
	}
}

// An alarm is told of each section once, in words, whatever else fills the post; one
// engineer's alarms have a share.
func TestAnAlarmIsToldOnceOfASection(t *testing.T) {
	w := newWorld(t)
	p := &pigeon{}
	o := w.office(p)
	for range 300 {
		o.Notify(t.Context(), w.notice(Asked))
	}
	asked := w.waiting()
	n := w.notice(Alarm)
	n.Terms.Until = n.Terms.From.Add(10 * time.Minute)
	o.Notify(t.Context(), n)
	o.Notify(t.Context(), n)
	o.round(t.Context())
	o.Notify(t.Context(), n) // off, and on again, after the mail left
	var told []Mail
	for _, m := range p.sent {
		if strings.Contains(m.Subject, "ALARM") {
			told = append(told, m)
		}
	}
	if len(told) != 2 || w.waiting() >= asked { // one to each approver
		t.Fatalf("%d mails tell of one section", len(told))
	}
	if m := told[0]; m.Subject != "NGH/NGH-PETCT1: ALARM in a critical section ("+n.Request.Request()+")" || !strings.Contains(m.Text, "critical section until 4 May 12:10 UTC") ||
		!strings.Contains(m.Text, "https://broker.example/live") || strings.Contains(m.Text, "decide") || strings.Contains(m.Text, "nothing is open") {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}
	before := w.waiting()
	for i := range 100 {
		n := w.notice(Alarm)
		n.Terms.From = n.Terms.From.Add(time.Duration(i) * time.Second)
		o.Notify(t.Context(), n)
	}
	if now := w.waiting(); now-before != 2*(ofAlarms-1) {
		t.Errorf("of 100 sections of one engineer %d mails wait", now-before)
	}
	other := w.notice(Alarm)
	other.Engineer.Sub = "2"
	before = w.waiting()
	o.Notify(t.Context(), other)
	if w.waiting() != before+2 {
		t.Error("another's alarm is not told")
	}
	t.Logf("ATTACK | one engineer's critical sections ring 101 times within the hour | %d of them told by mail, each once; others' and requests as always | %d | holds", ofAlarms, ofAlarms)
}
