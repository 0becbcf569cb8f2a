package shell

import (
	"context"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// A lamp goes out with the client that it shines for, whatever of theirs waits for a thaw.
func TestALampGoesOutWithAFrozenClient(t *testing.T) {
	window := []byte{0, 0, 0, 90, 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0}
	for name, leave := range map[string]func(*testing.T, gossh.Channel){
		"at rest": func(*testing.T, gossh.Channel) {},
		"with keys typed": func(t *testing.T, ch gossh.Channel) {
			_, err := ch.Write([]byte("b"))
			must(t, err)
		},
		"with most of a window": func(t *testing.T, ch gossh.Channel) {
			_, err := ch.Write(make([]byte, 1<<20))
			must(t, err)
		},
		"with sizes and an end": func(t *testing.T, ch gossh.Channel) {
			for range 60 {
				_, err := ch.SendRequest("window-change", false, window)
				must(t, err)
			}
			_, err := ch.Write([]byte("b"))
			must(t, err)
			must(t, ch.CloseWrite())
			_, err = ch.SendRequest("eow@openssh.com", false, nil)
			must(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, o, lit := lamped(t)
			signer, p := w.grant(all()...)
			c := w.mustConnect(signer)
			ch, reqs, err := c.OpenChannel("session", nil)
			must(t, err)
			go gossh.DiscardRequests(reqs)
			_, err = ch.SendRequest("pty-req", true, ptyPayload("xterm", ""))
			must(t, err)
			_, err = ch.SendRequest("shell", true, nil)
			must(t, err)
			if lit.Load() != 1 || o.dialled() != 1 {
				t.Errorf("%d lit, %d dialled", lit.Load(), o.dialled())
			}
			_, err = w.engine.Freeze(p.ID, "local", "the operator")
			must(t, err)
			leave(t, ch)
			_ = c.Close()
			w.until("the lamp is out", func() bool { return lit.Load() == 0 })
		})
	}
}

// The same with OpenSSH's client, which is killed.
func TestALampGoesOutWithAKilledSSH(t *testing.T) {
	w, o, lit := lamped(t)
	c, p := w.openSSH(all()...)
	in, out, err := os.Pipe()
	must(t, err)
	defer out.Close()
	cmd := exec.Command("ssh", append(append([]string{}, c.opts...), "-tt", "127.0.0.1")...)
	cmd.Stdin = in
	must(t, cmd.Start())
	_ = in.Close()
	w.until("connected", func() bool { return o.dialled() == 1 && len(w.engine.Live()) == 1 })
	_, err = w.engine.Freeze(p.ID, "local", "the operator")
	must(t, err)
	_, err = out.Write(make([]byte, 4000))
	must(t, err)
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	w.until("the lamp is out", func() bool { return lit.Load() == 0 })
}

// A lamp goes out where the device could not be opened, though the client stays and tries again.
func TestALampGoesOutWithAnOpeningThatFails(t *testing.T) {
	w, o, lit := lamped(t)
	w.rights.device = func(context.Context) (*gossh.Client, error) {
		if lit.Load() != 1 {
			t.Error("a device is dialled in the dark")
		}
		return nil, session.Errorf(session.Refused, "The device did not accept the agent's login")
	}
	signer, _ := w.grant(all()...)
	c := w.mustConnect(signer)
	for range 2 {
		if _, err := c.NewSession(); err == nil {
			t.Error("opened")
		}
		w.until("the lamp is out", func() bool { return lit.Load() == 0 })
	}
	w.rights.device = o.dial
	s, err := c.NewSession()
	must(t, err)
	must(t, s.Run("true"))
	if lit.Load() != 1 {
		t.Errorf("%d lit while connected", lit.Load())
	}
	_ = c.Close()
	w.until("the lamp is out", func() bool { return lit.Load() == 0 })
}

// lamped is a world whose lamp counts who is connected.
func lamped(t *testing.T) (*world, *oracle, *atomic.Int64) {
	o, lit := newOracle(t), new(atomic.Int64)
	w := newWorld(t, o.dial)
	w.lamp = func(context.Context, string) (func(), error) {
		lit.Add(1)
		return func() { lit.Add(-1) }, nil
	}
	return w, o, lit
}
