package rdp

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
)

// savedInfo is Save Session Info with these fields.
func savedInfo(present uint32, fields ...[]byte) []byte {
	b := le32(le16(le32(nil, savedExtended), 0), present)
	for _, f := range fields {
		b = append(le32(b, uint32(len(f))), f...)
	}
	return share(dataSaved, append(b, make([]byte, 570)...)...)
}

func cookieOf(id uint32, random byte) []byte {
	return append(le32(nil, cookieSize, 1, id), bytes.Repeat([]byte{random}, 16)...)
}

func TestRefusedSignInsHaveWords(t *testing.T) {
	for name, c := range map[string]struct {
		kind, data uint32
		want       string
	}{
		"a wrong password":    {0xc000006d, 0, "user or password is wrong"},
		"an expired password": {0xc0000071, 1, "has expired"},
		"locked":              {0xc0000234, 2, "locked"},
		"denied":              {0xffffffff, 2, "refused the login"},
		"ends":                {0xfffffffd, 1, "ends the sign-in"},
		"no permission":       {0xfffffffa, 1, "may not take the console over"},
		"not let in":          {0xfffffff9, 1, "did not let it"},
		"goes on":             {0xfffffffe, 2, ""},
		"asks whom to end":    {0xfffffffb, 1, ""},
		"asks which":          {0xfffffffc, 1, ""},
		"is busy":             {0xfffffff8, 1, ""},
		"warns":               {0xc0000224, 3, ""},
		"informs":             {0x40000000, 0, ""},
	} {
		err := says(join(opening(8, 8), savedInfo(hasCookie|hasErrors, cookieOf(1, 7), le32(nil, c.kind, c.data))), keeper(forget), Config{})
		var e *session.Error
		switch is := errors.As(err, &e); {
		case c.want == "" && !errors.Is(err, io.EOF):
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!is || !strings.Contains(e.Message, c.want) || e.Next == "" || e.Kind != session.Refused):
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"no number":      share(dataSaved, 3, 0),
		"a half cookie":  share(dataSaved, append(le32(le16(le32(nil, 3), 0), hasCookie, 28), 1, 2)...),
		"another cookie": savedInfo(hasCookie, append(le32(nil, cookieSize, 2, 1), make([]byte, 16)...)),
		"no error":       share(dataSaved, le32(le16(le32(nil, 3), 0), hasErrors, 8)...),
	} {
		if err := says(join(opening(8, 8), b), keeper(forget), Config{}); !errors.Is(err, ErrWire) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := says(join(opening(8, 8), share(dataSaved, append(le32(nil, 1), make([]byte, 40)...)...)), keeper(forget), Config{}); !errors.Is(err, io.EOF) {
		t.Errorf("who signed in: %v", err)
	}
}

// returning is a console that many clients come to, one after another; each is told the next
// script, and then cut off, but for the last.
type returning struct {
	at    string
	pin   [32]byte
	heard chan []byte
}

func startReturning(t *testing.T, scripts ...[]byte) *returning {
	t.Helper()
	cert, private, pin := certificate(t, t.TempDir(), newRSA(t), x509.UnknownSignatureAlgorithm)
	pair, err := tls.LoadX509KeyPair(cert, private)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &returning{at: l.Addr().String(), pin: pin, heard: make(chan []byte, len(scripts))}
	go func() {
		for i, script := range scripts {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.heard <- serveOnce(conn, pair, script, i == len(scripts)-1)
		}
	}()
	return r
}

// serveOnce says a script, and returns what it heard until it has heard what a client says at
// its start, or until the client leaves.
func serveOnce(conn net.Conn, pair tls.Certificate, script []byte, stays bool) []byte {
	defer conn.Close()
	if _, err := io.CopyN(io.Discard, conn, 19); err != nil {
		return nil
	}
	_, _ = conn.Write(tpkt([]byte{14, 0xd0, 0, 0, 0, 0, 0, 2, 0, 8, 0, 1, 0, 0, 0}))
	s := tls.Server(conn, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}})
	go func() { _, _ = s.Write(script) }()
	var heard bytes.Buffer
	b := make([]byte, 4096)
	for {
		n, err := s.Read(b)
		heard.Write(b[:n])
		if begun := len(inputs(heard.Bytes())) > 0; err != nil || begun && !stays {
			return heard.Bytes()
		}
	}
}

// A connection that breaks is taken up again by what the console gave for it, with all keys
// up; what it draws then is shown.
func TestABrokenConnectionIsTakenUpAgain(t *testing.T) {
	end := join(share(dataErrorInfo, le32(nil, 1)...), data([]byte{0x21, 0x80}))
	r := startReturning(t,
		join(opening(8, 8), savedInfo(hasCookie, cookieOf(3, 9)), quickly(updateSynchronize)),
		join(opening(16, 8), quickly(updateBitmap, drawn(bitmapOf(image.Rect(15, 7, 16, 8), 0xabcdef))...), end))
	shown := newSeen()
	s := screen.New(screen.Masks{}, shown)
	again := 0
	cfg := Config{Login: Login{Password: "s3cret!"}, TLS: TLS{Pin: &r.pin}, Again: func(context.Context) (net.Conn, error) {
		if again++; again == 1 {
			return nil, io.ErrUnexpectedEOF // nobody answers yet
		}
		return dial(t, r.at), nil
	}}
	c, err := Connect(t.Context(), dial(t, r.at), s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Press(screen.Key{Code: 0x1e, Sym: 0x61, Down: true}); err != nil {
		t.Fatal(err)
	}
	var said *session.Error
	if err := c.Run(); !errors.As(err, &said) || !strings.Contains(said.Message, "administrator") {
		t.Fatalf("ends with %v", err)
	}
	c.Close()
	if shown.size != image.Pt(16, 8) || shown.at(15, 7) != 0xabcdef || again != 2 {
		t.Errorf("shows %v after %d", shown.size, again)
	}
	mac := hmac.New(md5.New, bytes.Repeat([]byte{9}, 16))
	mac.Write(make([]byte, 32))
	proof := mac.Sum(le32(le16(nil, 28), 28, 1, 3))
	if first, then := <-r.heard, <-r.heard; bytes.Contains(first, proof) || !bytes.Contains(then, proof) {
		t.Error("the console's cookie is not shown, or before there was one")
	} else if n := len(inputs(then)); n != 1 {
		t.Errorf("%d messages of input, want the keyboard's state alone", n)
	}
}

// What ends for good: a console that will not have the login any more, one that breaks again and
// again, an agent that refuses, and a client that is closed meanwhile.
func TestWhatIsNotTakenUpAgain(t *testing.T) {
	cut := join(opening(8, 8))
	run := func(t *testing.T, again func(*Client, *returning) (net.Conn, error), scripts ...[]byte) error {
		r := startReturning(t, append(scripts, cut, cut)...)
		var c *Client
		var meets sync.WaitGroup
		meets.Add(1)
		cfg := Config{TLS: TLS{Pin: &r.pin}, Again: func(context.Context) (net.Conn, error) { meets.Wait(); return again(c, r) }}
		c, err := Connect(t.Context(), dial(t, r.at), screen.New(screen.Masks{}, keeper(forget)), cfg)
		if err != nil {
			t.Fatal(err)
		}
		meets.Done()
		defer c.Close()
		ended := make(chan error, 1)
		go func() { ended <- c.Run() }()
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			t.Fatal("it goes on")
			return nil
		}
	}
	redial := func(_ *Client, r *returning) (net.Conn, error) { return net.Dial("tcp", r.at) }
	for name, c := range map[string]struct {
		again   func(*Client, *returning) (net.Conn, error)
		scripts [][]byte
		want    string
	}{
		"refused": {redial, [][]byte{cut, join(response(channels()), attached(), joins(1007, 1003), licensed(), demand(8, 8), finished(), savedInfo(hasErrors, le32(nil, 0xc000006d, 0)))}, "password is wrong"},
		"hostile": {redial, [][]byte{cut, tpkt([]byte{6, 0x80, 0, 0, 0, 0, 0})}, ErrWire.Error()},
		"frozen": {func(*Client, *returning) (net.Conn, error) {
			return nil, session.Errorf(session.Refused, "The session is frozen.").WithNext("Wait.")
		}, nil, "frozen"},
		"closed": {func(c *Client, _ *returning) (net.Conn, error) {
			c.Close()
			return nil, io.EOF
		}, nil, "cannot be taken up"},
		"over and over": {redial, bytesOf(cut, maxAgain+1), "cannot be taken up"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t, c.again, c.scripts...); err == nil || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("ends with %v", err)
			}
		})
	}
}

func bytesOf(b []byte, n int) (out [][]byte) {
	for range n {
		out = append(out, b)
	}
	return out
}

// xrdp takes no cookie, and shows its console anew to who comes back.
func TestBackAtXrdp(t *testing.T) {
	x := startXrdp(t, "640x480")
	x.run("xsetroot", "-solid", "#204060")
	shown := newSeen()
	var mu sync.Mutex
	first := dial(t, x.at)
	again := 0
	c, err := Connect(t.Context(), first, screen.New(screen.Masks{}, shown), Config{
		Login: Login{User: "na", Password: "na"}, TLS: TLS{Pin: &x.pin}, Size: image.Pt(640, 480),
		Again: func(ctx context.Context) (net.Conn, error) {
			mu.Lock()
			again++
			mu.Unlock()
			return new(net.Dialer).DialContext(ctx, "tcp", x.at)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run() }()
	x.shown(shown, 32)
	first.Close()
	x.run("xsetroot", "-solid", "#806020")
	x.shown(shown, 32)
	mu.Lock()
	if again != 1 {
		t.Errorf("came back %d times", again)
	}
	mu.Unlock()
	c.Close()
	<-ended
}
