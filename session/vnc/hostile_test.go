package vnc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zlib"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

// script is a console that says what it was given and takes whatever comes.
type script struct{ io.Reader }

func (script) Write(b []byte) (int, error)      { return len(b), nil }
func (script) Close() error                     { return nil }
func (script) LocalAddr() net.Addr              { return nil }
func (script) RemoteAddr() net.Addr             { return nil }
func (script) SetDeadline(time.Time) error      { return nil }
func (script) SetReadDeadline(time.Time) error  { return nil }
func (script) SetWriteDeadline(time.Time) error { return nil }

// says runs a client against a script until it ends, and returns why.
func says(b []byte, l Login) error {
	s := screen.New(screen.Masks{}, keeper(forget))
	c, err := Connect(context.Background(), script{bytes.NewReader(b)}, s, Config{Login: l, Copied: func(string) {}})
	if err != nil {
		return err
	}
	return c.Run()
}

// opening is a console of so many pixels that asks for nothing.
func opening(w, h int) []byte {
	b := append([]byte("RFB 003.008\n"), 1, rfb.None, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(w))
	b = binary.BigEndian.AppendUint16(b, uint16(h))
	b = append(b, rfb.Native().Bytes()...)
	return append(b, 0, 0, 0, 3, 'P', 'E', 'T')
}

// rect is an update of one rectangle.
func rect(x, y, w, h int, encoding int32, data ...byte) []byte {
	b := []byte{rfb.Update, 0, 0, 1}
	for _, n := range []int{x, y, w, h} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(encoding)), data...)
}

func packed(b ...byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Flush()
	return out.Bytes()
}

func counted(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// hostile are things that no console may say, each ending the connection as something that
// is not RFB.
func hostile() map[string][]byte {
	o := opening(8, 8)
	zeros := func(n int) []byte { return make([]byte, n) }
	return map[string][]byte{
		"another protocol":            []byte("SSH-2.0-x\r\n\r\n\r\n"),
		"version 2":                   []byte("RFB 002.000\n"),
		"no version":                  []byte("RFB xxx.yyy\n"),
		"too many types":              join([]byte("RFB 003.008\n"), []byte{65}, zeros(65)),
		"a long reason":               join([]byte("RFB 003.008\n"), []byte{0, 0xff, 0xff, 0xff, 0xff}),
		"a format of 24 bits":         append(join([]byte("RFB 003.008\n"), []byte{1, rfb.None, 0, 0, 0, 0, 0, 8, 0, 8, 24, 24, 0, 1}), zeros(20)...),
		"a name of 4 GB":              join(o[:len(o)-7], []byte{0xff, 0xff, 0xff, 0xff}),
		"an unknown message":          join(o, []byte{99}),
		"an unknown encoding":         join(o, rect(0, 0, 1, 1, 99)),
		"an encoding not asked for":   join(o, rect(0, 0, 1, 1, -314)),
		"outside to the right":        join(o, rect(8, 0, 1, 1, rfb.Raw)),
		"outside below":               join(o, rect(0, 7, 1, 2, rfb.Raw)),
		"far outside":                 join(o, rect(0xffff, 0xffff, 0xffff, 0xffff, rfb.Raw)),
		"moved from outside":          join(o, rect(0, 0, 4, 4, rfb.CopyRect, 0, 6, 0, 0)),
		"hextile out of its tile":     join(o, rect(0, 0, 8, 8, rfb.Hextile, hexSubrects, 1, 0x77, 0x11)),
		"zrle of 4 GB":                join(o, rect(0, 0, 8, 8, rfb.ZRLE, 0xff, 0xff, 0xff, 0xff)),
		"zrle that is no zlib":        join(o, rect(0, 0, 8, 8, rfb.ZRLE, 0, 0, 0, 4, 1, 2, 3, 4)),
		"zrle of an unused kind":      join(o, rect(0, 0, 8, 8, rfb.ZRLE, counted(packed(17))...)),
		"zrle palette of 1":           join(o, rect(0, 0, 8, 8, rfb.ZRLE, counted(packed(129))...)),
		"zrle index too large":        join(o, rect(0, 0, 8, 8, rfb.ZRLE, counted(packed(append([]byte{3}, bytes.Repeat([]byte{0xff}, 30)...)...))...)),
		"zrle run too long":           join(o, rect(0, 0, 8, 8, rfb.ZRLE, counted(packed(128, 1, 2, 3, 64))...)),
		"zrle run without end":        join(o, rect(0, 0, 8, 8, rfb.ZRLE, counted(packed(append([]byte{128, 1, 2, 3}, bytes.Repeat([]byte{255}, 100)...)...))...)),
		"zrle indexed run too long":   join(o, rect(0, 0, 8, 8, rfb.ZRLE, counted(packed(130, 1, 2, 3, 4, 5, 6, 128, 64))...)),
		"zrle indexed beyond":         join(o, rect(0, 0, 8, 8, rfb.ZRLE, counted(packed(130, 1, 2, 3, 4, 5, 6, 2))...)),
		"zrle with too much behind":   join(o, rect(0, 0, 8, 8, rfb.ZRLE, counted(join(packed(1, 2, 3, 4), zeros(maxLeft+1)))...)),
		"tight of an unused kind":     join(o, rect(0, 0, 8, 8, rfb.Tight, 0xa0)),
		"tight with another filter":   join(o, rect(0, 0, 8, 8, rfb.Tight, 0x40, 3)),
		"tight index too large":       join(o, rect(0, 0, 3, 3, rfb.Tight, append([]byte{0x40, 1, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3}, bytes.Repeat([]byte{9}, 9)...)...)),
		"tight that is no zlib":       join(o, rect(0, 0, 8, 8, rfb.Tight, 0, 4, 1, 2, 3, 4)),
		"tight JPEG that is none":     join(o, rect(0, 0, 8, 8, rfb.Tight, 0x90, 3, 1, 2, 3)),
		"a cursor of 65535":           join(o, rect(0, 0, 0xffff, 0xffff, rfb.Cursor)),
		"a clipboard of 2 GB":         join(o, []byte{rfb.ServerCutText, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff}),
		"an extended one of 2 GB":     join(o, []byte{rfb.ServerCutText, 0, 0, 0, 0x80, 0, 0, 0}),
		"an extended one too short":   join(o, []byte{rfb.ServerCutText, 0, 0, 0, 0xff, 0xff, 0xff, 0xfd, 1, 2, 3}),
		"a clipboard that is no zlib": join(o, []byte{rfb.ServerCutText, 0, 0, 0, 0xff, 0xff, 0xff, 0xf8, 0x10, 0, 0, 1, 1, 2, 3, 4}),
		"a clipboard bomb":            join(o, []byte{rfb.ServerCutText, 0, 0, 0}, negative(append([]byte{0x10, 0, 0, 1}, packed(append([]byte{0xff, 0xff, 0xff, 0xff}, zeros(1000)...)...)...))),
		"a fence of 65":               join(o, []byte{rfb.FenceMessage, 0, 0, 0, 0, 0, 0, 0, 65}, zeros(65)),
		"MS-Logon without a modulus":  join([]byte("RFB 003.008\n"), []byte{1, rfb.MSLogonII}, zeros(24)),
		"VeNCrypt 9":                  join([]byte("RFB 003.008\n"), []byte{1, rfb.VeNCrypt, 9, 9, 1, 0}),
		"VeNCrypt of 200 types":       join([]byte("RFB 003.008\n"), []byte{1, rfb.VeNCrypt, 0, 2, 0, 200}),
	}
}

func negative(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(-int32(len(b)))), b...)
}

func TestHostileConsolesAreLeft(t *testing.T) {
	for name, b := range hostile() {
		l := Login{}
		if strings.Contains(name, "MS-Logon") || strings.Contains(name, "VeNCrypt") {
			l = Login{User: "x", Password: "y"}
		}
		if err := says(b, l); !errors.Is(err, rfb.ErrWire) && !errors.Is(err, errMore) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a console says, cut anywhere, ends the connection and nothing else.
func TestConsolesThatHangUpAnywhere(t *testing.T) {
	for name, b := range seeds() {
		for n := range len(b) {
			if err := says(b[:n], Login{}); err == nil {
				t.Errorf("%s: cut at %d of %d ends well", name, n, len(b))
			}
		}
	}
}

// seeds are consoles that say something in every encoding.
func seeds() map[string][]byte {
	o := opening(20, 20)
	pixels := bytes.Repeat([]byte{1, 2, 3, 0}, 400)
	all := map[string][]byte{
		"raw":       join(o, rect(0, 0, 20, 20, rfb.Raw, pixels...)),
		"moved":     join(o, rect(0, 0, 20, 20, rfb.Raw, pixels...), rect(0, 0, 4, 4, rfb.CopyRect, 0, 6, 0, 0)),
		"hextile":   join(o, rect(0, 0, 20, 4, rfb.Hextile, hexBackground|hexForeground|hexSubrects, 1, 2, 3, 0, 4, 5, 6, 0, 1, 0x11, 0x11, hexSubrects|hexColoured, 1, 7, 8, 9, 0, 0, 0)),
		"zrle":      join(o, rect(0, 0, 20, 20, rfb.ZRLE, counted(packed(1, 2, 3, 4))...)),
		"zrle runs": join(o, rect(0, 0, 20, 20, rfb.ZRLE, counted(packed(128, 1, 2, 3, 255, 144))...)),
		"zrle few":  join(o, rect(0, 0, 20, 2, rfb.ZRLE, counted(packed(3, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0x1b&0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0))...)),
		"zrle plus": join(o, rect(0, 0, 20, 20, rfb.ZRLE, counted(packed(130, 1, 1, 1, 2, 2, 2, 129, 255, 144))...)),
		"fill":      join(o, rect(0, 0, 20, 20, rfb.Tight, 0x80, 1, 2, 3)),
		"tight":     join(o, rect(0, 0, 20, 20, rfb.Tight, append([]byte{0x0f, 0x80 | byte(len(packed(make([]byte, 1200)...))&0x7f), byte(len(packed(make([]byte, 1200)...)) >> 7)}, packed(make([]byte, 1200)...)...)...)),
		"two":       join(o, rect(0, 0, 8, 4, rfb.Tight, 0x40, 1, 1, 1, 1, 1, 2, 2, 2, 0xaa, 0x55, 0xaa, 0x55)),
		"slope":     join(o, rect(0, 0, 3, 1, rfb.Tight, 0x40, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9)),
		"cursor":    join(o, rect(1, 1, 3, 2, rfb.Cursor, append(make([]byte, 24), 0xe0, 0xe0)...)),
		"size":      join(o, rect(0, 0, 30, 10, rfb.DesktopSize), rect(0, 0, 30, 10, rfb.Raw, bytes.Repeat([]byte{9, 9, 9, 0}, 300)...)),
		"sizes":     join(o, rect(0, 0, 30, 10, rfb.ExtendedDesktopSize, append([]byte{1, 0, 0, 0}, make([]byte, 16)...)...)),
		"keys":      join(o, rect(0, 0, 0, 0, rfb.ExtendedKeys)),
		"last":      join(o, []byte{rfb.Update, 0, 0xff, 0xff}, rect(0, 0, 0, 0, rfb.LastRect)[4:]),
		"texts":     join(o, []byte{rfb.ServerCutText, 0, 0, 0, 0, 0, 0, 2, 'h', 'i', rfb.Bell, rfb.ColourMap, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}),
		"clipboard": join(o, []byte{rfb.ServerCutText, 0, 0, 0}, negative(rfb.Clipboard{Action: rfb.ClipboardProvide, Text: true, Content: "hello"}.Bytes())),
		"fence":     join(o, []byte{rfb.FenceMessage, 0, 0, 0, 0x80, 0, 0, 0, 2, 1, 2, rfb.EndOfContinuous, rfb.EndOfContinuous}),
	}
	return all
}

// What every seed says is read to its end: a seed that is not understood seeds nothing.
func TestSeedsAreUnderstood(t *testing.T) {
	for name, b := range seeds() {
		if err := says(b, Login{}); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzConsole(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b[len(opening(20, 20)):])
	}
	for _, b := range hostile() {
		if bytes.HasPrefix(b, opening(8, 8)) {
			f.Add(b[len(opening(8, 8)):])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := says(append(opening(20, 20), tame(b)...), Login{}); err == nil {
			t.Error("a console that is gone ends well")
		}
	})
}

// tame keeps a console from growing: that costs time and finds nothing.
func tame(b []byte) []byte {
	for _, size := range []int32{rfb.DesktopSize, rfb.ExtendedDesktopSize} {
		for at, code := 0, binary.BigEndian.AppendUint32(nil, uint32(size)); ; {
			n := bytes.Index(b[at:], code)
			if n < 0 {
				break
			}
			if at += n; at >= 4 {
				b = bytes.Clone(b)
				b[at-4], b[at-2] = 0, 0
			}
			at += 4
		}
	}
	return b
}

func FuzzLogin(f *testing.F) {
	for _, b := range hostile() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, l := range []Login{{}, {Password: "x"}, {User: "x", Password: "y"}, {Pin: &[32]byte{}}} {
			c := &Client{screen: screen.New(screen.Masks{}, keeper(forget)), format: rfb.Native()}
			c.use(script{bytes.NewReader(b)})
			_ = c.login(context.Background(), l)
		}
	})
}

// Every size that a console may claim is either shown, or refused in words, and costs what
// it must.
func TestSizesAreBounded(t *testing.T) {
	for _, size := range []image.Point{{0, 0}, {0, 9}, {0xffff, 0xffff}, {0xffff, 1}, {4000, 4000}} {
		if err := says(opening(size.X, size.Y), Login{}); session.KindOf(err) != session.Refused {
			t.Errorf("%v: %v", size, err)
		}
	}
	if err := says(opening(3840, 2400), Login{}); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}

// A bomb of a few kilobytes costs the memory of its rectangle at most.
func TestBombsAreBounded(t *testing.T) {
	o := opening(3840, 2400)
	bomb := packed(make([]byte, 3840*2400*4)...)
	said := join(o, rect(0, 0, 3840, 2400, rfb.ZRLE, counted(bomb)...), rect(0, 0, 3840, 2400, rfb.Tight, append([]byte{0x0f, 0xff, 0xff, 0x03}, bomb...)...))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_ = says(said, Login{})
	runtime.ReadMemStats(&after)
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 150 {
		t.Errorf("%d MB", used)
	}
}

func TestRefusalsHaveWords(t *testing.T) {
	types := func(kinds ...byte) []byte {
		return join([]byte("RFB 003.008\n"), []byte{byte(len(kinds))}, kinds)
	}
	for name, c := range map[string]struct {
		says  []byte
		login Login
		want  string
	}{
		"Apple":          {types(30, 33, 36), Login{Password: "x"}, "Apple"},
		"RealVNC":        {join([]byte("RFB 005.000\n"), types(5, 6, 13, 133)[12:]), Login{Password: "x"}, "RealVNC"},
		"UltraVNC":       {types(rfb.MSLogonII), Login{Password: "x"}, "MS-Logon"},
		"wants password": {types(rfb.VNCAuth), Login{}, "password"},
		"asks nothing":   {types(rfb.None), Login{Password: "x"}, "no password"},
		"wants TLS":      {types(rfb.VeNCrypt), Login{Password: "x"}, "TLS"},
		"something else": {types(77), Login{}, "77"},
		"its own words":  {join([]byte("RFB 003.008\n"), []byte{0}, counted([]byte("Too many\x1b[2J failures"))), Login{}, "Too many"},
		"3.3 refuses":    {join([]byte("RFB 003.003\n"), []byte{0, 0, 0, 0}, counted([]byte("No room"))), Login{}, "No room"},
		"3.3 dictates":   {join([]byte("RFB 003.003\n"), []byte{0, 0, 0, 2}), Login{}, "password"},
		"3.3 odd":        {join([]byte("RFB 003.003\n"), []byte{0xff, 0xff, 0xff, 0xfa}), Login{}, "255"},
		"wrong password": {join(types(rfb.VNCAuth), make([]byte, 16), []byte{0, 0, 0, 1}, counted([]byte("Authentication failed"))), Login{Password: "x"}, "Authentication failed"},
		"3.7 wrong":      {join([]byte("RFB 003.007\n"), []byte{1, 2}, make([]byte, 16), []byte{0, 0, 0, 1}), Login{Password: "x"}, "refused the login"},
		"too often":      {join([]byte("RFB 003.007\n"), []byte{1, 2}, make([]byte, 16), []byte{0, 0, 0, 2}), Login{Password: "x"}, "too many"},
	} {
		err := says(c.says, c.login)
		var e *session.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, c.want) || e.Next == "" || strings.ContainsRune(e.Message, 0x1b) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// MS-Logon II as the other side of it computes it.
func TestMSLogon(t *testing.T) {
	near, far := pair(t)
	l := Login{User: `HOSPITAL\service`, Password: "s3cret!"}
	got := make(chan error, 1)
	go func() {
		got <- func() error {
			in := bufio.NewReader(far)
			if _, err := far.Write(append([]byte("RFB 003.008\n"), 1, rfb.MSLogonII)); err != nil {
				return err
			}
			if _, err := io.CopyN(io.Discard, in, 13); err != nil {
				return err
			}
			return msLogonServer(far, in, l)
		}()
	}()
	c := &Client{screen: screen.New(screen.Masks{}, keeper(forget)), format: rfb.Native()}
	c.use(near)
	if err := c.login(t.Context(), l); err != nil {
		t.Error(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}
