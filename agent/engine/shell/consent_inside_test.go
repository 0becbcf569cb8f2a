package shell

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/link"
)

// program attaches as sallyport connect does, in the inner TLS; types answers what the agent
// asks for.
func (w *world) program(key crypto.Signer, p *engine.Ticket, types func(c *attach.Client, n attach.Notice)) error {
	w.t.Helper()
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		w.engine.Serve(context.Background(), engine.Visit{Door: link.DoorTLS, Asset: "NGH-PETCT1", Service: "recon-ssh"}, far)
	}()
	defer func() { _ = near.Close(); <-served }()
	conn := tls.Client(near, attach.InnerClient(w.agent.(gossh.CryptoPublicKey).CryptoPublicKey().(ed25519.PublicKey)))
	c, err := attach.NewClient(conn)
	must(w.t, err)
	c.Told = func(n attach.Notice) { types(c, n) }
	_, err = c.Begin(key, attach.Proof{Session: p.ID.Session(), Opening: attach.Terminal{Cols: 80, Rows: 24, Term: "xterm"}.Opening()}) // no shell, which would not be waited for
	return err
}

// A program that speaks with the agent alone takes the code: the right one opens, three wrong
// ones end the asking. The operator can accept all the same.
func TestAProgramTypesTheCode(t *testing.T) {
	w, o := asking(t, session.ConsentCode, 0)
	key, p := w.newKey(all()...)
	var asked []string
	sends := func(c *attach.Client, n attach.Notice, code string) {
		if n.Type != attach.NoticeCode {
			t.Errorf("told %+v", n)
		}
		asked = append(asked, n.Text)
		must(t, c.Send(attach.TypeCode, []byte(code)))
	}
	err := w.program(key, p, func(c *attach.Client, n attach.Notice) { sends(c, n, other(w.asked().Code)) })
	var no *session.Error
	if !errors.As(err, &no) || no.Kind != session.Refused || !strings.Contains(no.Message, "for the third time") || len(asked) != 3 || !strings.Contains(asked[1], "That is not the code.") {
		t.Errorf("%v, asked %q", err, asked)
	}
	w.nothing(o, p)
	if had := w.rights.Tries(p.ID); had != (session.Tries{Asked: 1, Wrong: 3}) {
		t.Errorf("on record: %+v", had)
	}
	n := 0
	err = w.program(key, p, func(c *attach.Client, told attach.Notice) {
		code := w.asked().Code
		if n++; n == 1 {
			sends(c, told, other(code))
			return
		}
		sends(c, told, " "+code[:3]+" "+code[3:]+"\n")
	})
	if err != nil || n != 2 || !strings.Contains(asked[3], "six digits that the operator at NGH-PETCT1 reads out") {
		t.Errorf("%v after %d, asked %q", err, n, asked)
	}
}

// A code that comes when the operator has accepted meanwhile is passed over, whenever that is:
// before the welcome, or after it.
func TestACodeThatComesTooLate(t *testing.T) {
	for range 20 {
		w, _ := asking(t, session.ConsentCode, 0)
		key, p := w.newKey(all()...)
		near, far := net.Pipe()
		served := make(chan struct{})
		go func() {
			defer close(served)
			w.engine.Serve(context.Background(), engine.Visit{Door: link.DoorTLS, Asset: "NGH-PETCT1", Service: "recon-ssh"}, far)
		}()
		c, err := attach.NewClient(tls.Client(near, attach.InnerClient(w.agent.(gossh.CryptoPublicKey).CryptoPublicKey().(ed25519.PublicKey))))
		must(t, err)
		both := make(chan error, 2)
		first := true
		c.Told = func(attach.Notice) {
			if !first {
				return // the code was the first to come
			}
			first = false
			id := w.asked().ID
			go func() { both <- w.engine.Consent(id, true, session.ByPage, "the operator") }()
			go func() { both <- c.Send(attach.TypeCode, []byte("000000")) }()
		}
		_, err = c.Begin(key, attach.Proof{Session: p.ID.Session(), Opening: attach.Terminal{Cols: 80, Rows: 24, Term: "xterm"}.Opening()})
		must(t, err)
		go func() { both <- c.Send(attach.TypeCode, []byte("000000")) }()
		go func() { both <- c.Send(attach.TypePing, []byte("here")) }()
		for {
			f, err := c.Read()
			must(t, err)
			if f.Type == attach.TypePing {
				break
			}
		}
		for range 4 {
			must(t, <-both)
		}
		_ = near.Close()
		<-served
	}
}

func TestTheOperatorAcceptsAProgram(t *testing.T) {
	w, _ := asking(t, session.ConsentCode, 0)
	key, p := w.newKey(all()...)
	must(t, w.program(key, p, func(*attach.Client, attach.Notice) {
		go func() { must(t, w.engine.Consent(w.asked().ID, true, session.ByPage, "the operator")) }()
	}))
}

// A program that sends anything else than a code goes.
func TestAProgramThatSpeaksOutOfTurn(t *testing.T) {
	w, o := asking(t, session.ConsentCode, 0)
	key, p := w.newKey(all()...)
	for _, frame := range []struct {
		kind    attach.Type
		payload []byte
	}{{attach.TypeInput, []byte("123456")}, {attach.TypePing, nil}, {attach.TypeClose, nil}} {
		if err := w.program(key, p, func(c *attach.Client, _ attach.Notice) { _ = c.Send(frame.kind, frame.payload) }); err == nil {
			t.Errorf("%c was taken", frame.kind)
		}
		w.until("nobody is asked", func() bool { return len(w.engine.Asked()) == 0 })
	}
	w.nothing(o, p)
}

// A restart of the agent gives nobody new tries, and what cannot be written down is no try.
func TestARestartGivesNoNewTries(t *testing.T) {
	w, o := asking(t, session.ConsentCode, 0)
	signer, p := w.grant(all()...)
	restart := func() {
		w.engine.Close()
		w.furnish()
		w.listen()
	}
	tries := 0
	wrong := func() error {
		return w.channel(signer, func(a engine.Asked, _ string) string { tries++; return other(a.Code) })
	}
	for range 2 { // two wrong codes, and a restart in the middle of each asking
		_ = w.channel(signer, func(a engine.Asked, _ string) string {
			if tries++; tries%2 == 0 {
				restart()
			}
			return other(a.Code)
		})
	}
	for range 40 {
		restart()
		_ = wrong()
	}
	if had := w.rights.Tries(p.ID); had.Wrong > 24 || tries > 26 {
		t.Errorf("%d codes were tried over restarts, %+v", tries, had)
	}
	w.nothing(o, p)
	t.Logf("ATTACK | an engineer guesses the operator's code over restarts of the agent | 24 tries of one grant | %d | holds", w.rights.Tries(p.ID).Wrong)

	w, o = asking(t, session.ConsentCode, 0)
	signer, p = w.grant(all()...)
	w.rights.triesErr = errors.New("no space left")
	if err := w.channel(signer, func(a engine.Asked, _ string) string { return a.Code }); err == nil {
		t.Error("asked, and nobody will know")
	}
	w.nothing(o, p)
}
