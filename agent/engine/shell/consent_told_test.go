package shell

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// told are the steps of consents that were reported, one of each change.
func (w *world) told() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var was link.Consent
	for _, r := range w.reports {
		c := r.Consent
		if c == nil {
			continue
		}
		step := "asked"
		switch {
		case c.Outcome != session.Asking:
			step = string(c.Outcome)
		case c.Wrong > was.Wrong:
			step = "wrong-code"
		}
		if c.Outcome != was.Outcome || c.Wrong != was.Wrong || !c.Since.Equal(was.Since) {
			all = append(all, step)
		}
		was = *c
	}
	return all
}

// The broker is told who waits for an operator, and what came of it; reports of one session
// rise, so that none of them takes another one's place.
func TestTheBrokerIsToldOfConsents(t *testing.T) {
	tells := func(w *world, want ...string) {
		t.Helper()
		w.until("the broker is told", func() bool { return slices.Equal(w.told(), want) || len(w.told()) > len(want) })
		if got := w.told(); !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		seen := map[string]bool{} // one may overtake another, and none has its number
		for _, r := range w.reports {
			if of := fmt.Sprint(r.Session, r.Seq); seen[of] {
				t.Errorf("two reports %d", r.Seq)
			} else {
				seen[of] = true
			}
			if c := r.Consent; c != nil && (c.Service != "recon-ssh" || r.Service != "recon-ssh" || c.Until.Sub(c.Since) <= 0 || r.Request == "") {
				t.Errorf("told %+v", r)
			}
		}
	}
	t.Run("given by code after a wrong one", func(t *testing.T) {
		w, _ := asking(t, session.ConsentCode, 0)
		signer, _ := w.grant(all()...)
		n := 0
		must(t, w.channel(signer, func(a engine.Asked, _ string) string {
			if n++; n == 1 {
				return other(a.Code)
			}
			return a.Code
		}))
		tells(w, "asked", "wrong-code", "given")
		if r := w.lastReport(); r.Opened.IsZero() || r.Consent == nil || r.Consent.Answer.How != session.ByCode || !strings.Contains(r.Consent.Answer.By, "operator") {
			t.Errorf("the session is told as %+v", r)
		}
	})
	t.Run("refused", func(t *testing.T) {
		w, _ := asking(t, session.ConsentOperator, 0)
		signer, _ := w.grant(all()...)
		done := make(chan error, 1)
		go func() { done <- w.channel(signer, nil) }()
		must(t, w.engine.Consent(w.asked().ID, false, session.ByCommand, "the operator"))
		<-done
		tells(w, "asked", "refused")
	})
	t.Run("nobody answers", func(t *testing.T) {
		w, _ := asking(t, session.ConsentOperator, 50*time.Millisecond)
		signer, _ := w.grant(all()...)
		_ = w.channel(signer, nil)
		tells(w, "asked", "timed-out")
	})
	t.Run("wrong three times", func(t *testing.T) {
		w, _ := asking(t, session.ConsentCode, 0)
		signer, _ := w.grant(all()...)
		_ = w.channel(signer, func(a engine.Asked, _ string) string { return other(a.Code) })
		tells(w, "asked", "wrong-code", "wrong-code", "wrong-codes")
	})
	t.Run("the engineer goes, again and again", func(t *testing.T) {
		w, o := asking(t, session.ConsentOperator, 0)
		signer, p := w.grant(all()...)
		for range 40 {
			c := w.mustConnect(signer)
			refused := make(chan struct{})
			go func() {
				defer close(refused)
				_, _, _ = c.OpenChannel("session", nil)
			}()
			w.until("asked, or refused", func() bool {
				select {
				case <-refused:
					return true
				default:
					return len(w.engine.Asked()) == 1
				}
			})
			_ = c.Close()
			<-refused
			w.until("nobody is asked", func() bool { return len(w.engine.Asked()) == 0 })
		}
		if n := len(w.told()); n != 64 {
			t.Errorf("%d steps are told of 40 connections", n)
		}
		w.nothing(o, p)
		t.Logf("ATTACK | an engineer connects and goes, again and again, while the operator is asked | 32 askings of one grant | %d | holds", len(w.told())/2)
	})
}
