package shell

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// str is a string in SSH's encoding.
func str(parts ...string) []byte {
	var b []byte
	for _, s := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func ptyPayload(term, modes string) []byte {
	return join(str(term), []byte{0, 0, 0, 80, 0, 0, 0, 24, 0, 0, 1, 0, 0, 0, 1, 0}, str(modes))
}

// ask is one request on a session channel, and the grants under which it may pass.
type ask struct {
	kind    string
	payload []byte
	grants  []session.Channel // any of these; empty: never
	quiet   bool              // what does not pass is no refusal
}

// canary is in every payload that must not reach the device.
const canary = "CANARY"

// Every channel request of RFC 4254, RFC 4335 and OpenSSH's own, well-formed and not.
func channelRequests() []ask {
	run := []session.Channel{session.Shell, session.Exec}
	return []ask{
		{"pty-req", ptyPayload("xterm", "\x35\x00\x00\x00\x01\x00"), run, false},
		{"pty-req", ptyPayload(canary+" x", "\x00"), nil, false},
		{"pty-req", ptyPayload("xterm", canary), nil, false},
		{"pty-req", ptyPayload("xterm", "\x00"+canary), nil, false},
		{"pty-req", []byte(canary), nil, false},
		{"shell", nil, []session.Channel{session.Shell}, false},
		{"shell", []byte(canary), nil, false},
		{"exec", str("id"), []session.Channel{session.Exec}, false},
		{"exec", []byte(canary), nil, false},
		{"exec", join(str("id"), []byte(canary)), nil, false},
		{"exec", str("id \xff"), []session.Channel{session.Exec}, false},
		{"exec", str("id " + strings.Repeat("x", 128<<10-3)), []session.Channel{session.Exec}, false},
		{"exec", str(canary + strings.Repeat("x", 128<<10)), nil, false},
		{"subsystem", str("sftp"), []session.Channel{session.FilesIn, session.FilesOut}, false},
		{"subsystem", str("netconf" + canary), nil, false},
		{"subsystem", str(""), nil, false},
		{"subsystem", str("sftp\x00" + canary), nil, false},
		{kind: "env", payload: str("LANG", canary), quiet: true}, // nothing was started
		{"env", str("LANG", canary+"\x1b[2J"), nil, false},
		{"env", str("LANG", "() { :; }; "+canary), nil, false},
		{"env", str("LANG", strings.Repeat(canary, 100)), nil, false},
		{"env", str("LANG="+canary, canary), nil, false},
		{"env", str("LD_PRELOAD", canary), nil, false},
		{"env", []byte(canary), nil, false},
		{"x11-req", join([]byte{0}, str("MIT-MAGIC-COOKIE-1", canary), []byte{0, 0, 0, 0}), nil, false},
		{"auth-agent-req@openssh.com", nil, nil, false},
		{"auth-agent-req", nil, nil, false},
		{"window-change", []byte{0, 0, 0, 80, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0}, nil, false}, // no terminal yet
		{"window-change", []byte(canary), nil, false},
		{"signal", str("INT"), nil, false}, // nothing runs yet
		{"signal", str(canary + " x"), nil, false},
		{"break", []byte{0, 0, 1, 0}, nil, false},
		{"xon-xoff", []byte{1}, nil, false},
		{"exit-status", []byte{0, 0, 0, 0}, nil, false},
		{"exit-signal", join(str("TERM"), []byte{0}, str(canary, "")), nil, false},
		{kind: "eow@openssh.com", quiet: true}, // nothing runs yet
		{kind: "keepalive@openssh.com", quiet: true},
		{kind: "simple@putty.projects.tartarus.org", quiet: true},
		{kind: "winadj@putty.projects.tartarus.org", quiet: true},
		{"", []byte(canary), nil, false},
		{canary, []byte(canary), nil, false},
		{strings.Repeat(canary, 1000), nil, nil, false},
	}
}

// Every channel type and global request of RFC 4254 and OpenSSH's own.
func channelTypes() map[string][]byte {
	address := join(str("127.0.0.1"), []byte{0, 0, 0, 22}, str(canary), []byte{0, 0, 1, 0})
	return map[string][]byte{
		"x11": join(str(canary), []byte{0, 0, 0, 1}), "forwarded-tcpip": address, "direct-tcpip": address,
		"direct-streamlocal@openssh.com": str("/run/x", canary), "forwarded-streamlocal@openssh.com": str("/run/x", canary),
		"auth-agent@openssh.com": nil, "tun@openssh.com": {0, 0, 0, 1, 0, 0, 0, 0}, "mux-control": nil, "": []byte(canary), canary: nil,
	}
}

func globalRequests() map[string][]byte {
	return map[string][]byte{
		"tcpip-forward": join(str("0.0.0.0"), []byte{0, 0, 0, 80}), "cancel-tcpip-forward": join(str("0.0.0.0"), []byte{0, 0, 0, 80}),
		"streamlocal-forward@openssh.com": str(canary), "cancel-streamlocal-forward@openssh.com": str(canary),
		"no-more-sessions@openssh.com": nil, "keepalive@openssh.com": nil, "hostkeys-00@openssh.com": []byte(canary),
		"hostkeys-prove-00@openssh.com": str(canary), "elevation": {1}, "": []byte(canary), canary: nil,
	}
}

// Every channel and request type under every grant: what is not granted is answered
// no, stands on record as refused, and reaches the device as zero bytes and zero
// requests; what is granted reaches the device after it stands on record.
func TestMatrix(t *testing.T) {
	t.Parallel()
	grants := [][]session.Channel{
		{}, {session.Shell}, {session.Exec}, {session.FilesIn}, {session.FilesOut},
		{session.Shell, session.Exec}, {session.FilesIn, session.FilesOut}, all(),
		{session.ClipboardIn, session.ClipboardOut, session.Control},
	}
	if n := len(channelRequests()) + len(channelTypes()) + len(globalRequests()); n < 50 {
		t.Fatalf("only %d cases", n)
	}
	o := newOracle(t)
	w := newWorld(t, o.dial)
	for _, granted := range grants {
		signer, _ := w.grant(granted...)
		for _, a := range channelRequests() {
			t.Run(fmt.Sprintf("%v/%.20q %.30q", granted, a.kind, a.payload), func(t *testing.T) { oneRequest(t, w, o, signer, granted, a) })
		}
		t.Run(fmt.Sprintf("%v/channels and global requests", granted), func(t *testing.T) { otherTypes(t, w, o, signer) })
	}
}

func oneRequest(t *testing.T, w *world, o *oracle, signer gossh.Signer, granted []session.Channel, a ask) {
	c := w.mustConnect(signer)
	before, _ := o.seen()
	n := w.count()
	ch, reqs, err := c.OpenChannel("session", nil)
	must(t, err)
	go gossh.DiscardRequests(reqs)
	_, _ = ch.SendRequest(a.kind, true, a.payload)
	// Input and end of file before anything runs go nowhere.
	passes := slices.ContainsFunc(granted, func(g session.Channel) bool { return slices.Contains(a.grants, g) })
	if !passes {
		_, _ = ch.Write([]byte(canary))
		_ = ch.CloseWrite()
	} else {
		w.until("the device is asked", func() bool { now, _ := o.seen(); return len(now) > len(before) })
	}
	_ = ch.Close()
	_ = c.Close()
	r := w.tape(n)
	r.wait(t)
	after, input := o.seen()
	reached := after[len(before):]
	refused := documents[session.Refusal](t, r, session.NotAllowed)
	if !passes {
		if len(reached) != 0 || len(input) != 0 || bytes.Contains(r.data(session.Input), []byte(canary)) {
			t.Errorf("reached the device: %q, %q", reached, input)
		}
		if a.quiet != (len(refused) == 0) {
			t.Errorf("refused on record: %v", refused)
		}
		return
	}
	if len(reached) != 1 || !strings.HasPrefix(reached[0], a.kind+" ") || len(refused) != 0 && a.kind != "subsystem" {
		t.Errorf("reached %q, refused %v", reached, refused)
	}
	if a.kind == "pty-req" {
		notes := documents[session.Note](t, r, session.Marker)
		if !slices.ContainsFunc(notes, func(n session.Note) bool {
			return n.Text == `terminal "xterm", 80 columns, 24 rows, modes echo on`
		}) {
			t.Errorf("what the device was told of the terminal is not on record: %v", notes)
		}
	}
}

func otherTypes(t *testing.T, w *world, o *oracle, signer gossh.Signer) {
	for kind, extra := range channelTypes() {
		c := w.mustConnect(signer)
		n := w.count()
		ch, reqs, err := c.OpenChannel("session", nil) // so that there is a recording
		must(t, err)
		go gossh.DiscardRequests(reqs)
		if _, _, err := c.OpenChannel(kind, extra); err == nil {
			t.Errorf("channel %q opened", kind)
		}
		_ = ch.Close()
		_ = c.Close()
		refusedAs(t, w.tape(n), "channel "+kind)
	}
	for kind, payload := range globalRequests() {
		c := w.mustConnect(signer)
		n := w.count()
		if ok, _, err := c.SendRequest(kind, true, payload); ok || err != nil { // before there is a recording
			t.Errorf("global request %q: %v, %v", kind, ok, err)
		}
		ch, reqs, err := c.OpenChannel("session", nil)
		must(t, err)
		go gossh.DiscardRequests(reqs)
		_ = ch.Close()
		_ = c.Close()
		if kind == "keepalive@openssh.com" || kind == "no-more-sessions@openssh.com" {
			if refused := documents[session.Refusal](t, w.tape(n), session.NotAllowed); len(refused) > 0 {
				t.Errorf("%s stands as refused: %v", kind, refused)
			}
			continue
		}
		refusedAs(t, w.tape(n), "request "+kind)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, kind := range append(o.channels, o.globals...) {
		if kind != "session" {
			t.Errorf("reached the device: %q", kind)
		}
	}
}

func refusedAs(t *testing.T, r *tape, what string) {
	t.Helper()
	r.wait(t)
	for _, d := range documents[session.Refusal](t, r, session.NotAllowed) {
		if d.What == what {
			return
		}
	}
	t.Errorf("%q is not on record as refused", what)
}

// What follows a start on the same channel: a terminal's size and signals pass and are
// on record first, a second start does not.
func TestWithinARunningShell(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, _ := w.grant(session.Shell)
	c := w.mustConnect(signer)
	ch, reqs, err := c.OpenChannel("session", nil)
	must(t, err)
	go gossh.DiscardRequests(reqs)
	for _, step := range []struct {
		kind    string
		payload []byte
		ok      bool
	}{
		{"pty-req", ptyPayload("xterm", ""), true},
		{"pty-req", ptyPayload("vt100", ""), false},
		{"shell", nil, true},
		{"window-change", []byte{0, 0, 0, 132, 0, 0, 0, 50, 0, 0, 3, 0, 0, 0, 3, 0}, true},
		{"signal", str("INT"), true},
		{"signal", str("bad name"), false},
		{"shell", nil, false},
		{"exec", str("id"), false},
		{"subsystem", str("sftp"), false},
		{"env", str("A", "B"), false},
	} {
		if ok, err := ch.SendRequest(step.kind, true, step.payload); err != nil || ok != step.ok {
			t.Errorf("%s: %v, %v", step.kind, ok, err)
		}
	}
	_, err = ch.Write([]byte("x"))
	must(t, err)
	must(t, ch.CloseWrite())
	w.until("the shell ends", func() bool { _, in := o.seen(); return string(in) == "x" })
	_ = c.Close()
	r := w.tape(0)
	r.wait(t)
	got, _ := o.seen()
	want := []string{
		"pty-req " + string(join(str("xterm"), []byte{0, 0, 0, 80, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0}, str("\x00"))),
		"shell ", "window-change " + string([]byte{0, 0, 0, 132, 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0}), "signal " + string(str("INT")),
	}
	if !slices.Equal(got, want) {
		t.Errorf("the device got %q", got)
	}
	if s := documents[session.WindowSize](t, r, session.Resize); len(s) != 1 || s[0] != (session.WindowSize{Cols: 132, Rows: 50}) {
		t.Errorf("sizes on record: %v", s)
	}
	if string(r.data(session.Signal)) != "INT" || string(r.data(session.Input)) != "x" {
		t.Error("signal or input is not on record")
	}
}

// Refused channels are counted: the tenth closes the connection.
func TestTooManyRefusals(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, _ := w.grant(all()...)
	c := w.mustConnect(signer)
	for i := range maxRejected {
		_, _, err := c.OpenChannel("direct-tcpip", nil)
		var refused *gossh.OpenChannelError
		if !errors.As(err, &refused) {
			t.Errorf("channel %d: %v", i, err)
		}
	}
	within(t, 2*time.Second, "closing the connection", func() { _ = c.Wait() })
}

// Sixteen channels at once, not more; one flood of requests is not a flood of events.
func TestChannelAndEventLimits(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, _ := w.grant(all()...)
	c := w.mustConnect(signer)
	for i := range maxChannels + 1 {
		_, reqs, err := c.OpenChannel("session", nil)
		if (err == nil) != (i < maxChannels) {
			t.Errorf("channel %d: %v", i, err)
		}
		if err == nil {
			go gossh.DiscardRequests(reqs)
		}
	}
	for range 30 {
		_, _, _ = c.SendRequest("flood", false, nil)
	}
	_, _, err := c.SendRequest("flood", true, nil)
	must(t, err)
	_ = c.Close()
	r := w.tape(0)
	r.wait(t)
	if n := len(documents[session.Refusal](t, r, session.NotAllowed)); n > 100 || n < 2 {
		t.Errorf("%d refusals on record", n)
	}
	notes := documents[session.Note](t, r, session.Marker)
	if !slices.ContainsFunc(notes, func(n session.Note) bool { return n.Text == "23 more requests were refused." }) {
		t.Errorf("the rest is not on record: %v", notes)
	}
}

// A session has at most sixteen connections.
func TestConnectionLimit(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, _ := w.grant(all()...)
	for range 16 {
		w.mustConnect(signer)
	}
	if c, err := w.connect(signer); err == nil {
		_ = c.Close()
		t.Error("one connection too many")
	}
}
