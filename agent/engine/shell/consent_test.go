package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
)

// dialled is how many connections the device has seen.
func (o *oracle) dialled() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.conns)
}

// asking makes a world whose operator is asked.
func asking(t *testing.T, kind session.Consent, within time.Duration) (*world, *oracle) {
	o := newOracle(t)
	return askingAt(t, kind, within, o.dial), o
}

func askingAt(t *testing.T, kind session.Consent, within time.Duration, device func(context.Context) (*gossh.Client, error)) *world {
	w := &world{t: t, consent: kind, asking: within, rights: &fakeRights{
		keys: map[string]*engine.Ticket{}, facts: map[session.ID]session.SessionFacts{}, maxS: time.Hour, device: device,
	}}
	w.furnish()
	w.listen()
	return w
}

// asked waits until the operator is asked about one session.
func (w *world) asked() engine.Asked {
	w.t.Helper()
	w.until("the operator is asked", func() bool { return len(w.engine.Asked()) == 1 })
	return w.engine.Asked()[0]
}

// shell opens a channel; the error is that of the connection or the channel.
func (w *world) channel(signer gossh.Signer, answers func(asked engine.Asked, says string) string) error {
	c, err := w.typing(signer, answers)
	if err != nil {
		return err
	}
	defer c.Close()
	ch, reqs, err := c.OpenChannel("session", nil)
	if err != nil {
		return err
	}
	go gossh.DiscardRequests(reqs)
	return ch.Close()
}

func (w *world) typing(signer gossh.Signer, answers func(asked engine.Asked, says string) string) (*gossh.Client, error) {
	auth := []gossh.AuthMethod{gossh.PublicKeys(signer)}
	if answers != nil {
		auth = append(auth, gossh.KeyboardInteractive(func(_, says string, questions []string, _ []bool) ([]string, error) {
			if len(questions) == 0 {
				return nil, nil
			}
			if len(questions) != 1 || questions[0] != "Code that the operator at NGH-PETCT1 reads out: " {
				return nil, fmt.Errorf("asked %q", questions)
			}
			all := w.engine.Asked()
			if len(all) == 0 {
				all = append(all, engine.Asked{})
			}
			return []string{answers(all[0], says)}, nil
		}))
	}
	return gossh.Dial("tcp", w.addr, &gossh.ClientConfig{User: "sallyport", Auth: auth, HostKeyCallback: gossh.FixedHostKey(w.agent),
		HostKeyAlgorithms: []string{gossh.KeyAlgoED25519}})
}

func other(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

// Nothing of the device is dialled before somebody at the scanner has consented, and
// nothing after they refused, went, or let the time pass.
func TestNothingIsDialledWithoutConsent(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		w, o := asking(t, session.ConsentOperator, 0)
		signer, p := w.grant(all()...)
		done := make(chan error, 1)
		go func() { done <- w.channel(signer, nil) }()
		a := w.asked()
		if a.ID != p.ID || a.Code != "" || a.Service != "recon-ssh" {
			t.Errorf("%+v", a)
		}
		must(t, w.engine.Consent(a.ID, false, session.ByPage, "the operator"))
		var no *gossh.OpenChannelError
		if err := <-done; !errors.As(err, &no) || !strings.Contains(no.Message, "The operator at NGH-PETCT1 refused.") {
			t.Errorf("%v", err)
		}
		if err := w.engine.Consent(a.ID, true, session.ByPage, "the operator"); session.KindOf(err) != session.Invalid {
			t.Errorf("accepted after the refusal: %v", err)
		}
		w.nothing(o, p)
	})
	t.Run("no answer", func(t *testing.T) {
		w, o := asking(t, session.ConsentOperator, 50*time.Millisecond)
		signer, p := w.grant(all()...)
		if err := w.channel(signer, nil); err == nil || !strings.Contains(err.Error(), "has not answered") {
			t.Errorf("%v", err)
		}
		w.nothing(o, p)
	})
	t.Run("who asked went", func(t *testing.T) {
		w, o := asking(t, session.ConsentOperator, 0)
		signer, p := w.grant(all()...)
		c := w.mustConnect(signer)
		go func() { _, _, _ = c.OpenChannel("session", nil) }()
		a := w.asked()
		_ = c.Close()
		w.until("nobody is asked", func() bool { return len(w.engine.Asked()) == 0 })
		if err := w.engine.Consent(a.ID, true, session.ByPage, "the operator"); err == nil {
			t.Error("accepted for nobody")
		}
		w.nothing(o, p)
	})
	t.Run("killed", func(t *testing.T) {
		w, o := asking(t, session.ConsentOperator, 0)
		signer, p := w.grant(all()...)
		done := make(chan error, 1)
		go func() { done <- w.channel(signer, nil) }()
		a := w.asked()
		must(t, w.engine.End(a.ID, session.KilledLocal, "the operator"))
		if err := <-done; err == nil {
			t.Error("opened")
		}
		w.until("nobody is asked", func() bool { return len(w.engine.Asked()) == 0 })
		w.nothing(o, p)
	})
	t.Run("frozen meanwhile", func(t *testing.T) {
		w, o := asking(t, session.ConsentOperator, 0)
		s := w.stands(session.ModalityIdle)
		signer, p := w.grant(all()...)
		done := make(chan error, 1)
		go func() { done <- w.channel(signer, nil) }()
		a := w.asked()
		s.become(session.PatientOnTable)
		must(t, w.engine.Consent(a.ID, true, session.ByPage, "the operator"))
		if err := <-done; err == nil || !strings.Contains(err.Error(), "patient") {
			t.Errorf("%v", err)
		}
		w.nothing(o, p)
	})
	t.Run("a client that may not ask", func(t *testing.T) {
		w, o := asking(t, session.ConsentCode, 0)
		signer, p := w.grant(all()...)
		if err := w.channel(signer, nil); err == nil {
			t.Error("opened")
		}
		w.nothing(o, p)
	})
}

// nothing checks that a session was not begun, and that its device knows of nobody.
func (w *world) nothing(o *oracle, p *engine.Ticket) {
	w.t.Helper()
	w.rights.mu.Lock()
	defer w.rights.mu.Unlock()
	if n := o.dialled(); n != 0 || w.rights.begun != 0 {
		w.t.Errorf("%d connections reached the device, %d sessions of %s began", n, w.rights.begun, p.ID.Session())
	}
}

// A code counts once, for its own session, while it is asked for, and only when it is right.
func TestOnlyTheRightCodeOpens(t *testing.T) {
	t.Run("wrong three times", func(t *testing.T) {
		w, o := asking(t, session.ConsentCode, 0)
		signer, p := w.grant(all()...)
		var first string
		tries := 0
		err := w.channel(signer, func(a engine.Asked, _ string) string { first = a.Code; tries++; return other(a.Code) })
		if err == nil || tries != 3 {
			t.Errorf("%v after %d", err, tries)
		}
		w.nothing(o, p)
		err = w.channel(signer, func(a engine.Asked, _ string) string {
			if a.Code == first {
				return other(first) // one in a million
			}
			return first
		})
		if err == nil {
			t.Error("the code of an asking that is over opened another")
		}
		w.nothing(o, p)
	})
	t.Run("of another session", func(t *testing.T) {
		w, o := asking(t, session.ConsentCode, 0)
		signer, p := w.grant(all()...)
		theirs, _ := w.grant(all()...)
		q, err := w.engine.Ask(w.rights.keys[keyLine(theirs.PublicKey())], "recon-ssh")
		must(t, err)
		defer q.Leave()
		code := w.asked().Code
		err = w.channel(signer, func(engine.Asked, string) string {
			for _, a := range w.engine.Asked() {
				if a.ID == p.ID && a.Code == code {
					return other(code)
				}
			}
			return code
		})
		if err == nil {
			t.Error("opened")
		}
		w.nothing(o, p)
	})
	t.Run("never more than a few askings", func(t *testing.T) {
		w, o := asking(t, session.ConsentCode, 0)
		signer, p := w.grant(all()...)
		tries := 0
		for range 12 {
			_ = w.channel(signer, func(a engine.Asked, _ string) string { tries++; return other(a.Code) })
		}
		if tries != 24 {
			t.Errorf("%d codes could be tried", tries)
		}
		w.nothing(o, p)
		t.Logf("ATTACK | an engineer guesses the operator's code | 24 tries of one grant | %d tries, then refused | holds", tries)
	})
	t.Run("right", func(t *testing.T) {
		w, o := asking(t, session.ConsentCode, 0)
		signer, _ := w.grant(all()...)
		n := 0
		must(t, w.channel(signer, func(a engine.Asked, says string) string {
			switch n++; n {
			case 1:
				return other(a.Code)
			case 2:
				if !strings.Contains(says, "not the code") {
					t.Errorf("said %q", says)
				}
				return "12-34"
			}
			return a.Code[:3] + " " + a.Code[3:]
		}))
		if o.dialled() != 1 || n != 3 {
			t.Errorf("%d dialled, %d asked", o.dialled(), n)
		}
		must(t, w.channel(signer, nil)) // further connections of the session ask nothing
		w.until("it is on record", func() bool {
			return w.notes(session.NoteConsent, func(n session.Note) bool { return strings.Contains(n.Text, "typed the code") }) >= 1
		})
	})
	t.Run("accepted at the page instead", func(t *testing.T) {
		w, o := asking(t, session.ConsentCode, 0)
		signer, _ := w.grant(all()...)
		must(t, w.channel(signer, func(a engine.Asked, _ string) string {
			must(t, w.engine.Consent(a.ID, true, session.ByPage, "the operator"))
			return ""
		}))
		if o.dialled() != 1 {
			t.Errorf("%d dialled", o.dialled())
		}
	})
}

// Plain OpenSSH asks for the code, also for a file; one that may not ask is refused; one
// whose operator has to accept waits.
func TestOpenSSHAsksForTheCode(t *testing.T) {
	w, o := asking(t, session.ConsentCode, 0)
	c, p := w.openSSH(all()...)
	_, said, status := c.run(nil, "ssh", "127.0.0.1", "true")
	if status != 255 || !strings.Contains(said, "six digits that the operator at NGH-PETCT1 reads out") || !strings.Contains(said, "Permission denied") {
		t.Errorf("%d: %s", status, said)
	}
	w.nothing(o, p)
	said, status, prompt := c.codes(w, "ssh", "127.0.0.1", "true")
	if status != 0 || !strings.Contains(prompt, "Code that the operator at NGH-PETCT1 reads out: ") {
		t.Errorf("%d, asked %q: %s", status, prompt, said)
	}
	if _, said, status := c.run(nil, "ssh", "127.0.0.1", "true"); status != 0 { // the session lives
		t.Errorf("%d: %s", status, said)
	}
}

func TestOpenSSHWaitsForTheOperator(t *testing.T) {
	w, _ := asking(t, session.ConsentOperator, 0)
	c, _ := w.openSSH(all()...)
	type result struct {
		said   string
		status int
	}
	done := make(chan result, 1)
	go func() { _, said, status := c.run(nil, "ssh", "127.0.0.1", "true"); done <- result{said, status} }()
	must(t, w.engine.Consent(w.asked().ID, true, session.ByCommand, "the operator"))
	if r := <-done; r.status != 0 || !strings.Contains(r.said, "opens when the operator at NGH-PETCT1 accepts") {
		t.Errorf("%+v", r)
	}
}

// Random operators and engineers: the device is reached by none whose operator has not
// consented, and what is asked never outlives who asks.
func TestTheDeviceIsReachedByConsentAlone(t *testing.T) {
	w, o := asking(t, session.ConsentCode, 0)
	r := rand.New(rand.NewPCG(3, 4))
	opened := 0
	for i := range 40 {
		signer, p := w.grant(session.Exec)
		before := o.dialled()
		what := r.IntN(6)
		var consented atomic.Bool
		done := make(chan error, 1)
		c, err := func() (*gossh.Client, error) {
			return w.typing(signer, func(a engine.Asked, _ string) string {
				switch what {
				case 0:
					return other(a.Code)
				case 1:
					consented.Store(true)
					return a.Code
				case 2:
					consented.Store(true)
					must(t, w.engine.Consent(p.ID, true, session.ByPage, "the operator"))
				case 3:
					must(t, w.engine.Consent(p.ID, false, session.ByPage, "the operator"))
				case 4:
					must(t, w.engine.End(p.ID, session.KilledLocal, "the operator"))
				case 5:
					_, _ = w.engine.EndWhere(func(string, session.Person) bool { return true }, session.KilledLocal, "the operator")
				}
				return ""
			})
		}()
		if err == nil {
			s, err := c.NewSession()
			if err == nil {
				s.Stdin = io.LimitReader(strings.NewReader(""), 0)
				err = s.Run("x")
			}
			done <- err
			_ = c.Close()
		} else {
			done <- err
		}
		err = <-done
		if reached := o.dialled() > before; reached != consented.Load() || (err == nil) != reached {
			t.Fatalf("step %d (%d): reached %v, consented %v, %v", i, what, reached, consented.Load(), err)
		} else if reached {
			opened++
		}
		w.until("nobody is asked", func() bool { return len(w.engine.Asked()) == 0 })
	}
	if opened == 0 || opened == 40 {
		t.Errorf("%d of 40 opened: that shows nothing", opened)
	}
}
