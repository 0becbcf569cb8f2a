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
		if n := b.notice(attach.NoticeCode); !strings.Contains(n.Text, "six digits that the operator at NGH-PETCT1 reads out, or when they accept") {
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
	if len(w.engine.Asked()) != 0 || len(b.notices) != 0 && b.notices[0].Type == attach.NoticeCode {
		t.Error("asked again")
	}
}

// The code is typed in the browser as well: a wrong one is told and opens nothing, the right
// one opens. Where none is asked for, one that is sent is no answer, and ends the waiting.
func TestABrowserTypesTheCode(t *testing.T) {
	w, o := asking(t, session.ConsentCode, 0)
	key, p := w.newKey(all()...)
	b := w.dialBrowser("NGH-PETCT1", "recon-ssh")
	must(t, b.Prove(key, shellProof(p)))
	b.listen()
	b.notice(attach.NoticeCode)
	code := w.asked().Code
	must(t, b.Send(attach.TypeCode, []byte(other(code))))
	b.until("was wrong", func() bool {
		return len(b.notices) == 2 && strings.Contains(b.notices[1].Text, "That is not the code.")
	})
	w.nothing(o, p)
	must(t, b.Send(attach.TypeCode, []byte(code[:3]+" "+code[3:])))
	b.until("welcome", func() bool { return b.welcome != nil })
	b.types("hello")
	b.sees("hello")
	if had := w.rights.Tries(p.ID); had != (session.Tries{Asked: 1, Wrong: 1}) || o.dialled() != 1 {
		t.Errorf("on record: %+v, %d dialled", had, o.dialled())
	}

	w, o = asking(t, session.ConsentOperator, 0)
	key, p = w.newKey(all()...)
	b = w.dialBrowser("NGH-PETCT1", "recon-ssh")
	must(t, b.Prove(key, shellProof(p)))
	b.listen()
	b.notice(attach.NoticeSaid)
	must(t, b.Send(attach.TypeCode, []byte("000000")))
	b.gone()
	w.nothing(o, p)
}
