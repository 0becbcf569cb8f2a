package shell

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// A command's input and output pass unchanged, each byte is on record, and the exit
// status comes after the last of them.
func TestExecIsRecordedBothWays(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(session.Exec)
	c := w.mustConnect(signer)

	s, err := c.NewSession()
	must(t, err)
	sent := make([]byte, 300<<10)
	_, _ = rand.Read(sent)
	s.Stdin = bytes.NewReader(sent)
	got, err := s.Output("cat")
	must(t, err)
	if !bytes.Equal(got, sent) {
		t.Fatalf("got %d bytes back, sent %d", len(got), len(sent))
	}
	must(t, c.Close())
	r := w.tape(0)
	if reason := r.wait(t); reason != session.Completed {
		t.Errorf("sealed with %q", reason)
	}
	if !bytes.Equal(r.data(session.Input), sent) || !bytes.Equal(r.data(session.Output), sent) {
		t.Error("the recording does not hold every byte, in order")
	}
	if x := documents[session.ExitStatus](t, r, session.Exit); len(x) != 1 || x[0].Status != 0 {
		t.Errorf("exit on record: %v", x)
	}
	if r.header.Session != p.ID.Session() || r.header.Request != p.Request || r.header.Service != "recon-ssh" {
		t.Errorf("header %+v", r.header)
	}
	live := w.engine.Live()
	if len(live) != 1 || live[0].ID != p.ID || len(live[0].Recordings) != 1 {
		t.Errorf("a session without connections lives on: %+v", live)
	}
}

// A device that cannot be opened leaves nothing half open: the channel is refused
// with the reason, the recording says it and is sealed.
func TestDeviceRefused(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	w.rights.device = func(context.Context) (*gossh.Client, error) {
		return nil, session.Errorf(session.Refused, "The device did not accept the agent's login").WithNext("Check the password.")
	}
	signer, _ := w.grant(all()...)
	c := w.mustConnect(signer)
	_, err := c.NewSession()
	var open *gossh.OpenChannelError
	if !errors.As(err, &open) || open.Message != "The device did not accept the agent's login. Check the password." {
		t.Fatalf("got %v", err)
	}
	if reason := w.tape(0).wait(t); reason != session.Failed {
		t.Errorf("sealed with %q", reason)
	}
	w.until("the hospital's page is told why", func() bool {
		no := w.lastReport().NoDevice
		return no != nil && no.Service != "" && !no.At.IsZero() && no.Message == "The device did not accept the agent's login." && no.Next == "Check the password."
	})
	// The same connection may try again, with a recording of its own.
	w.rights.device = o.dial
	s, err := c.NewSession()
	must(t, err)
	must(t, s.Run("true"))
	if len(w.engine.Live()) != 1 || w.tape(1).header.Recording == w.tape(0).header.Recording {
		t.Error("the second try has no recording of its own")
	}
	w.until("that is over", func() bool { return w.lastReport().NoDevice == nil })
}

// No recorder, no session: the device is not even dialled.
func TestNoRecordingNoDevice(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	w.make = func(recordings.Header) (*tape, error) { return nil, errors.New("disk full") }
	signer, _ := w.grant(all()...)
	c := w.mustConnect(signer)
	if _, err := c.NewSession(); err == nil {
		t.Fatal("a channel opened without a recording")
	}
	if len(o.accepted) != 0 {
		t.Error("the device was dialled")
	}
}

// The lamp is lit before the device is reached, for as long as the connection is there; with
// one that must light and does not, nothing is reached or recorded.
func TestALampIsLitBeforeTheDeviceIsReached(t *testing.T) {
	o := newOracle(t)
	var mu sync.Mutex
	var seen []string
	dark := true
	note := func(what string) { mu.Lock(); defer mu.Unlock(); seen = append(seen, what) }
	saw := func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(seen) }
	w := newWorld(t, func(ctx context.Context) (*gossh.Client, error) { note("reached"); return o.dial(ctx) })
	w.lamp = func(_ context.Context, asset string) (func(), error) {
		mu.Lock()
		defer mu.Unlock()
		if dark {
			return nil, session.Errorf(session.Refused, "The lamp of %s does not light.", asset)
		}
		seen = append(seen, "lit")
		return func() { note("out") }, nil
	}
	signer, _ := w.grant(all()...)
	c := w.mustConnect(signer)
	if _, err := c.NewSession(); err == nil || !strings.Contains(err.Error(), "The lamp of NGH-PETCT1 does not light.") {
		t.Errorf("in the dark: %v", err)
	}
	w.mu.Lock()
	tapes := len(w.tapes)
	w.mu.Unlock()
	if len(saw()) != 0 || tapes != 0 {
		t.Errorf("in the dark: %v, %d recordings", saw(), tapes)
	}
	mu.Lock()
	dark = false
	mu.Unlock()
	for range 2 {
		s, err := c.NewSession()
		must(t, err)
		must(t, s.Run("true"))
	}
	_ = c.Close()
	w.until("the lamp is out", func() bool { return len(saw()) > 2 })
	if !slices.Equal(saw(), []string{"lit", "reached", "out"}) {
		t.Errorf("seen %v", saw())
	}
}

// Multiplexed channels share one device connection and one recording, and a channel
// whose program does not read holds up no other.
func TestChannelsShareARecording(t *testing.T) {
	o := newOracle(t)
	o.exec = func(ch gossh.Channel, command string) bool { return command == "deaf" }
	w := newWorld(t, o.dial)
	signer, _ := w.grant(session.Exec)
	c := w.mustConnect(signer)
	deaf, err := c.NewSession()
	must(t, err)
	in, err := deaf.StdinPipe()
	must(t, err)
	must(t, deaf.Start("deaf"))
	blocked := make(chan struct{})
	go func() { defer close(blocked); _, _ = in.Write(make([]byte, 8<<20)) }()
	for range 5 {
		s, err := c.NewSession()
		must(t, err)
		s.Stdin = bytes.NewReader([]byte("ping"))
		if out, err := s.Output("cat"); err != nil || string(out) != "ping" {
			t.Fatalf("%q, %v", out, err)
		}
	}
	if n := len(o.accepted); n != 1 {
		t.Errorf("%d device connections", n)
	}
	if got := documents[session.ChannelOpen](t, w.tape(0), session.ChannelOpened); len(got) != 6 {
		t.Errorf("%d channels on record", len(got))
	}
	_ = c.Close()
	<-blocked
	w.tape(0).wait(t)
}

// Half close: the engineer's end of file reaches the program, which may go on talking.
func TestHalfClose(t *testing.T) {
	o := newOracle(t)
	o.exec = func(ch gossh.Channel, command string) bool {
		in, _ := io.ReadAll(ch)
		_, _ = ch.Write([]byte("after " + string(in)))
		_, _ = ch.Stderr().Write([]byte("and errors"))
		_, _ = ch.SendRequest("exit-status", false, []byte{0, 0, 0, 7})
		_ = ch.Close()
		return true
	}
	w := newWorld(t, o.dial)
	signer, _ := w.grant(session.Exec)
	s, err := w.mustConnect(signer).NewSession()
	must(t, err)
	var out, errOut bytes.Buffer
	s.Stdin, s.Stdout, s.Stderr = bytes.NewReader([]byte("end")), &out, &errOut
	err = s.Run("x")
	var exit *gossh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 7 || out.String() != "after end" || errOut.String() != "and errors" {
		t.Errorf("%v, %q, %q", err, out.String(), errOut.String())
	}
}

// What the device opens by itself is refused.
func TestDeviceOpensNothing(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, _ := w.grant(all()...)
	c := w.mustConnect(signer)
	s, err := c.NewSession()
	must(t, err)
	must(t, s.Run("true"))
	device := <-o.accepted
	for _, kind := range []string{"x11", "forwarded-tcpip", "auth-agent@openssh.com", "session", "direct-tcpip"} {
		if _, _, err := device.OpenChannel(kind, nil); err == nil {
			t.Errorf("the device opened a channel %s", kind)
		}
	}
	for _, kind := range []string{"hostkeys-00@openssh.com", "tcpip-forward", "keepalive@openssh.com"} {
		if ok, _, err := device.SendRequest(kind, true, nil); err != nil || ok {
			t.Errorf("the device's %s: %v, %v", kind, ok, err)
		}
	}
}

// When the device hangs up, the engineer reads why, and the session goes on.
func TestDeviceHangsUp(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	c := w.mustConnect(signer)
	s, err := c.NewSession()
	must(t, err)
	var errOut bytes.Buffer
	s.Stderr = &errOut
	in, err := s.StdinPipe()
	must(t, err)
	must(t, s.Start("cat"))
	_, err = in.Write([]byte("x"))
	must(t, err)
	_ = (<-o.accepted).Close()
	if err := s.Wait(); err == nil {
		t.Error("the command ended well")
	}
	if !bytes.Contains(errOut.Bytes(), []byte("The device closed the connection.")) {
		t.Errorf("the engineer read %q", errOut.String())
	}
	if reason := w.tape(0).wait(t); reason != session.DeviceClosed {
		t.Errorf("sealed with %q", reason)
	}
	if w.rights.reason(p.ID) != "" {
		t.Error("the session ended with the device's connection")
	}
	must(t, func() error { s, err := w.mustConnect(signer).NewSession(); must(t, err); return s.Run("true") }())
}
