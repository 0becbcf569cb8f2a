package shell

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
)

// A browser is told whom it waits for, and opens nothing before; one that goes, or speaks, is
// asked about no longer.
func TestABrowserWaitsForTheOperatorsConsent(t *testing.T) {
	w, o := asking(t, session.ConsentCode, 0)
	key, p := w.newKey(all()...)
	waits := func() *browser {
		b := w.dialBrowser("NGH-PETCT1", "recon-ssh")
		must(t, b.Prove(key, shellProof(p)))
		b.listen()
		if n := b.notice(attach.NoticeSaid); !strings.Contains(n.Text, "opens when the operator at NGH-PETCT1 accepts") {
			t.Errorf("told %q", n.Text)
		}
		return b
	}
	quiet := func(what string) {
		t.Helper()
		w.until("nobody is asked after "+what, func() bool { return len(w.engine.Asked()) == 0 })
		w.nothing(o, p)
	}
	waits().drop()
	quiet("one went")
	b := waits()
	b.types("early")
	b.gone()
	quiet("one spoke")
	b = waits()
	must(t, w.engine.Consent(w.asked().ID, false, session.ByPage, "the operator"))
	b.gone()
	if b.refused == nil || b.welcome != nil || b.refused.Kind != session.Denied || b.refused.Message != "The operator at NGH-PETCT1 refused." {
		t.Errorf("%+v, %+v", b.refused, b.welcome)
	}
	quiet("a refusal")
	b = waits()
	must(t, w.engine.Consent(w.asked().ID, true, session.ByPage, "the operator"))
	b.until("welcome", func() bool { return b.welcome != nil })
	b.types("hello")
	b.sees("hello")
	if n := o.dialled(); n != 1 {
		t.Errorf("%d dialled", n)
	}
	b.drop()
	b = w.open(key, shellProof(p)) // the session lives
	if len(w.engine.Asked()) != 0 || len(b.notices) != 0 && b.notices[0].Type == attach.NoticeSaid {
		t.Error("asked again")
	}
}
