package notify

import (
	"errors"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// Who was not written to is kept, with the reason, until the page asks.
func TestWhoWasNotWrittenToIsKept(t *testing.T) {
	w := newWorld(t)
	o := w.office(&pigeon{fail: &Permanent{errors.New("550 no such mailbox")}})
	missed := func(n Notice) map[string]string {
		t.Helper()
		all, err := o.Missed(t.Context(), n.Request)
		w.must(err)
		got := map[string]string{}
		for _, m := range all {
			if m.Event != n.Event || m.At.IsZero() {
				t.Errorf("%+v", m)
			}
			got[m.To] = m.Why
		}
		return got
	}
	n := w.notice(Asked)
	o.Notify(t.Context(), n)
	if got := missed(n); len(got) != 0 {
		t.Errorf("what waits is not missed: %v", got)
	}
	o.round(t.Context())
	if got := missed(n); len(got) != 2 || got["maya@northfield.example"] != "the mail server refused the mail for good" {
		t.Errorf("refused for good: %v", got)
	}
	elsewhere := w.notice(Asked)
	elsewhere.Request, elsewhere.Site = session.NewID(), "XYZ"
	o.Notify(t.Context(), elsewhere)
	o.Notify(t.Context(), elsewhere) // told twice, said once
	if got := missed(elsewhere); len(got) != 1 || got[""] != "no address of this site's approvers is configured at the broker" {
		t.Errorf("a site without addresses: %v", got)
	}
	nameless := w.notice(Approved)
	nameless.Request, nameless.Engineer.Email = session.NewID(), "jana"
	o.Notify(t.Context(), nameless)
	if got := missed(nameless); len(got) != 1 || got[""] != "the identity provider gives no usable address" {
		t.Errorf("an engineer without an address: %v", got)
	}
}
