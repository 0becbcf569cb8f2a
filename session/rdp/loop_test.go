package rdp

import (
	"bytes"
	"errors"
	"image"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
)

// shows runs a script, and returns what is on the screen at its end.
func shows(t *testing.T, b []byte) *seen {
	t.Helper()
	s := newSeen()
	if err := says(b, s, Config{}); !errors.Is(err, io.EOF) {
		t.Fatalf("ends with %v", err)
	}
	return s
}

func (s *seen) at(x, y int) uint32 { return s.pix[y*s.size.X+x] }

func TestUpdatesOfEveryKind(t *testing.T) {
	o := opening(16, 8)
	r := image.Rect(2, 1, 6, 3)
	for name, b := range map[string][]byte{
		"slow":         share(dataUpdate, drawn(bitmapOf(r, 0x112233))...),
		"fast":         quickly(updateBitmap, drawn(bitmapOf(r, 0x112233))...),
		"two in one":   quick(join(piece(updateSynchronize, single), piece(updateBitmap, single, drawn(bitmapOf(r, 0x112233))...))...),
		"two of share": on(1003, join(share(dataUpdate, 3, 0, 0, 0)[15:], share(dataUpdate, drawn(bitmapOf(r, 0x112233))...)[15:])...),
		"in pieces": join(quick(piece(updateBitmap, first, drawn(bitmapOf(r, 0x112233))[:9]...)...),
			quick(piece(updateBitmap, next, drawn(bitmapOf(r, 0x112233))[9:20]...)...),
			quick(piece(updateBitmap, last, drawn(bitmapOf(r, 0x112233))[20:]...)...)),
		"packed":           quickly(updateBitmap, drawn(rect(r, 4, 2, 24, 1|0x400, 0x68, 0x33, 0x22, 0x11))...),
		"packed, a header": quickly(updateBitmap, drawn(rect(r, 4, 2, 24, 1, 0, 0, 4, 0, 0, 0, 0, 0, 0x68, 0x33, 0x22, 0x11))...),
		"planes":           quickly(updateBitmap, drawn(rect(r, 4, 2, 32, 1, join([]byte{0x20}, bytes.Repeat([]byte{0x11}, 8), bytes.Repeat([]byte{0x22}, 8), bytes.Repeat([]byte{0x33}, 8), []byte{0})...))...),
		"wider than shown": quickly(updateBitmap, drawn(rect(r, 8, 2, 24, 0x400, bytes.Repeat([]byte{0x33, 0x22, 0x11}, 16)...))...),
		"a palette": join(quickly(updatePalette, append([]byte{2, 0, 0, 0, 0, 1, 0, 0}, bytes.Repeat([]byte{0x11, 0x22, 0x33}, 256)...)...),
			quickly(updateBitmap, drawn(rect(r, 4, 2, 8, 0, 1, 1, 1, 1, 1, 1, 1, 1))...)),
		"surface": quickly(updateSurface, join([]byte{4, 0, 0, 0, 1, 0, 0, 0}, le16([]byte{1, 0}, 2, 1, 6, 3), []byte{32, 0, 0, 0}, le16(nil, 4, 2), le32(nil, 32), bytes.Repeat([]byte{0x33, 0x22, 0x11, 0}, 8))...),
	} {
		t.Run(name, func(t *testing.T) {
			s := shows(t, join(o, b))
			for y := range 8 {
				for x := range 16 {
					want := uint32(0)
					if image.Pt(x, y).In(r) {
						want = 0x112233
					}
					if got := s.at(x, y); got != want {
						t.Fatalf("%d,%d is %06x for %06x", x, y, got, want)
					}
				}
			}
		})
	}
}

// A console that begins anew, larger, goes on where it begins, and is told of this client
// again.
func TestAConsoleBeginsAnew(t *testing.T) {
	s := newSeen()
	c, heard := client(join(opening(8, 8), control(deactivateAll, nil), demand(20, 10), finished(), quickly(updateBitmap, drawn(bitmapOf(image.Rect(19, 9, 20, 10), 0xabcdef))...)), s, Config{})
	if err := c.begin(protocolTLS); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if s.size != image.Pt(20, 10) || s.at(19, 9) != 0xabcdef {
		t.Errorf("shows %v", s.size)
	}
	confirmed := 0
	for _, m := range heardOn(heard.Bytes(), 1003) {
		if len(m) > 6 && m[2] == confirmActive|0x10 {
			confirmed++
		}
	}
	if confirmed != 2 {
		t.Errorf("confirmed %d times", confirmed)
	}
}

// A picture that cannot be decoded is asked for again, and only so often.
func TestBrokenPicturesAreAskedForAgain(t *testing.T) {
	bad := quickly(updateBitmap, drawn(rect(image.Rect(1, 2, 5, 4), 4, 2, 24, 0x401, 0xff))...)
	c, heard := client(join(opening(16, 8), bad), keeper(forget), Config{})
	if err := c.begin(protocolTLS); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	want := le16([]byte{1, 0, 0, 0}, 1, 2, 4, 3)
	if all := heardOn(heard.Bytes(), 1003); !bytes.HasSuffix(all[len(all)-1], want) {
		t.Errorf("says % x", all[len(all)-1])
	}
	if err := says(join(opening(16, 8), bytes.Repeat(bad, maxBroken+1)), keeper(forget), Config{}); !errors.Is(err, ErrWire) {
		t.Errorf("without end: %v", err)
	}
}

func TestPointersOfEveryKind(t *testing.T) {
	o := opening(8, 8)
	// 2 x 2 at 24 bits: red and clear above, the opposite and blue below; the lowest row first
	pix := []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0, 0, 0}
	mask := []byte{0x80, 0, 0x40, 0}
	colour := join(le16(nil, 3, 1, 0, 2, 2, len(mask), len(pix)), pix, mask, []byte{0})
	want := []uint32{0xffff0000, 0, 0xff000000, 0xff0000ff}
	fresh := join(le16(nil, 24), colour)
	large := join(le16(nil, 24, 3, 1, 0, 2, 2), le32(nil, uint32(len(mask)), uint32(len(pix))), pix, mask)
	for name, b := range map[string][]byte{
		"colour":      quickly(pointerColour, colour...),
		"new":         quickly(pointerNew, fresh...),
		"large":       quickly(pointerLarge, large...),
		"slow colour": share(dataPointer, join(le16(nil, 6, 0), colour)...),
		"slow new":    share(dataPointer, join(le16(nil, 8, 0), fresh)...),
		"cached":      join(quickly(pointerNew, fresh...), quickly(pointerNone), quickly(pointerCached, 3, 0)),
		"slow cached": join(quickly(pointerNew, fresh...), quickly(pointerDefault), share(dataPointer, 7, 0, 0, 0, 3, 0)),
		"moved":       join(quickly(pointerNew, fresh...), quickly(pointerPosition, 1, 0, 1, 0), share(dataPointer, 3, 0, 0, 0, 1, 0, 1, 0)),
	} {
		s := shows(t, join(o, b))
		if s.cursor == nil || s.cursor.Size != image.Pt(2, 2) || s.cursor.Hot != image.Pt(1, 0) || !slices.Equal(s.cursor.Pix, want) {
			t.Errorf("%s: %08x", name, s.cursor)
		}
	}
	if s := shows(t, join(o, share(dataPointer, 1, 0, 0, 0, 0, 0, 0, 0))); s.cursor == nil || s.cursor.Size != (image.Point{}) {
		t.Errorf("none: %v", s.cursor)
	}
	if s := shows(t, join(o, share(dataPointer, 1, 0, 0, 0, 0, 0x7f, 0, 0))); s.cursor == nil || s.cursor.Size.X == 0 || len(s.cursor.Pix) != s.cursor.Size.X*s.cursor.Size.Y {
		t.Errorf("default: %v", s.cursor)
	}
}

// What each hand does is what the console hears.
func TestHands(t *testing.T) {
	press := func(sym, code uint32, down bool) func(*Client) error {
		return func(c *Client) error { return c.Press(screen.Key{Sym: sym, Code: code, Down: down}) }
	}
	point := func(x, y int, buttons uint16) func(*Client) error {
		return func(c *Client) error { return c.Point(screen.Pointer{At: image.Pt(x, y), Buttons: buttons}) }
	}
	for name, c := range map[string]struct {
		do   []func(*Client) error
		hear []byte // of events
	}{
		"a key":               {[]func(*Client) error{press('a', 0x1e, true), press('a', 0x1e, false)}, []byte{0, 0x1e, 1, 0x1e}},
		"an extended one":     {[]func(*Client) error{press(0xff53, 0xcd, true), press(0xff53, 0xcd, false)}, []byte{2, 0x4d, 3, 0x4d}},
		"by its name":         {[]func(*Client) error{press(0xff0d, 0, true), press(0xff51, 0, false)}, []byte{0, 0x1c, 3, 0x4b}},
		"by its character":    {[]func(*Client) error{press('a', 0, true), press(0x010020ac, 0, false)}, []byte{0x80, 'a', 0, 0x81, 0xac, 0x20}},
		"beyond 16 bits":      {[]func(*Client) error{press(0x0101f600, 0, true)}, []byte{0x80, 0x3d, 0xd8, 0x80, 0, 0xde}},
		"as a command":        {[]func(*Client) error{press(0xffe3, 0, true), press('c', 0, true), press('c', 0, false)}, []byte{0, 0x1d, 0, 0x2e, 1, 0x2e}},
		"a capital by Shift":  {[]func(*Client) error{press(0xffe1, 0x2a, true), press('A', 0x1e, true)}, []byte{0, 0x2a, 0, 0x1e}},
		"a capital by Caps":   {[]func(*Client) error{press('A', 0x1e, true)}, []byte{0x60 | capsLock | numLock, 0, 0x1e}},
		"no capital any more": {[]func(*Client) error{press('A', 0x1e, true), press('b', 0x30, true)}, []byte{0x60 | capsLock | numLock, 0, 0x1e, 0x60 | numLock, 0, 0x1e, 0, 0x30}},
		"Caps Lock itself":    {[]func(*Client) error{press(0xffe5, 0x3a, true), press(0xffe5, 0x3a, false), press('A', 0x1e, true)}, []byte{0, 0x3a, 1, 0x3a, 0, 0x1e}},
		"the keypad, Num off": {[]func(*Client) error{press(0xff95, 0x47, true)}, []byte{0x60, 0, 0x47}},
		"the keypad, Num on":  {[]func(*Client) error{press(0xffb7, 0x47, true)}, []byte{0, 0x47}},
		"a move":              {[]func(*Client) error{point(5, 6, 0)}, []byte{0x20, 0, 8, 5, 0, 6, 0}},
		"a move outside":      {[]func(*Client) error{point(-5, 1<<20, 0)}, []byte{0x20, 0, 8, 0, 0, 0xff, 0xff}},
		"left":                {[]func(*Client) error{point(0, 0, 1), point(0, 0, 0)}, []byte{0x20, 0, 0x90, 0, 0, 0, 0, 0x20, 0, 0x10, 0, 0, 0, 0}},
		"middle and right":    {[]func(*Client) error{point(0, 0, 6)}, []byte{0x20, 0, 0xc0, 0, 0, 0, 0, 0x20, 0, 0xa0, 0, 0, 0, 0}},
		"the wheel":           {[]func(*Client) error{point(0, 0, 8), point(0, 0, 0), point(0, 0, 16)}, []byte{0x20, 0x78, 2, 0, 0, 0, 0, 0x20, 0x88, 3, 0, 0, 0, 0}},
		"the wheel sideways":  {[]func(*Client) error{point(0, 0, 32), point(0, 0, 64)}, []byte{0x20, 0x88, 5, 0, 0, 0, 0, 0x20, 0x78, 4, 0, 0, 0, 0}},
		"extra buttons":       {[]func(*Client) error{point(0, 0, 128), point(0, 0, 256)}, []byte{0x40, 1, 0x80, 0, 0, 0, 0, 0x40, 1, 0, 0, 0, 0, 0, 0x40, 2, 0x80, 0, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			cl, heard := client(opening(8, 8), keeper(forget), Config{})
			if err := cl.begin(protocolTLS); err != nil {
				t.Fatal(err)
			}
			heard.Reset()
			for _, do := range c.do {
				if err := do(cl); err != nil {
					t.Fatal(err)
				}
			}
			if got := join(inputs(heard.Bytes())...); !bytes.Equal(got, c.hear) {
				t.Errorf("hears % x for % x", got, c.hear)
			}
		})
	}
}

// The lamps of the console's keyboard are what is believed.
func TestLampsAreBelieved(t *testing.T) {
	c, heard := client(join(opening(8, 8), share(dataIndicators, 0, 0, capsLock, 0)), keeper(forget), Config{})
	if err := c.begin(protocolTLS); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	heard.Reset()
	if err := c.Press(screen.Key{Sym: 'A', Code: 0x1e, Down: true}); err != nil || !bytes.Equal(heard.Bytes()[3:], []byte{0, 0x1e}) {
		t.Errorf("hears % x, %v", heard.Bytes(), err)
	}
}

// Text goes both ways where it may, and there is no channel where none may.
func TestTextBothWays(t *testing.T) {
	long := strings.Repeat("long\n", 2000)
	caps := clipMessage(clipCaps, 0, join(le16(nil, 1, 0, 1, 12), le32(nil, 2, 2))...)
	list := clipMessage(clipList, 0, join(le32(nil, 49161), wide("Rich\x00"), le32(nil, clipText), []byte{0, 0})...)
	text := clipMessage(clipResponse, clipOK, append(wide(strings.ReplaceAll(long, "\n", "\r\n")), 0, 0)...)
	asks := clipMessage(clipRequest, 0, clipText, 0, 0, 0)
	var copied []string
	c, heard := client(join(clipping(8, 8), caps, clipMessage(clipReady, 0), list, text, asks), keeper(forget), Config{Copied: func(s string) { copied = append(copied, s) }, Pastes: true})
	if err := errors.Join(c.Paste("from\nthe engineer"), c.begin(protocolTLS)); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if len(copied) != 1 || copied[0] != long {
		t.Errorf("copied %q", copied)
	}
	var kinds []byte
	all := heardOn(heard.Bytes(), 1004)
	for _, m := range all {
		kinds = append(kinds, m[8])
	}
	if !bytes.Equal(kinds, []byte{clipCaps, clipList, clipListed, clipRequest, clipResponse}) {
		t.Fatalf("says % x", kinds)
	}
	if got := narrow(all[4][16:]); got != "from\r\nthe engineer" {
		t.Errorf("pasted %q", got)
	}
	// nothing is asked for that may not come, and nothing given that may not go
	c, heard = client(join(clipping(8, 8), clipMessage(clipReady, 0), list, text, asks), keeper(forget), Config{Pastes: true})
	_ = c.begin(protocolTLS)
	_ = c.Run()
	for _, m := range heardOn(heard.Bytes(), 1004) {
		if m[8] == clipRequest || m[8] == clipResponse && m[10] == clipOK {
			t.Errorf("says % x", m)
		}
	}
	c, heard = client(nil, keeper(forget), Config{})
	_ = c.begin(protocolTLS)
	if bytes.Contains(heard.Bytes(), []byte("cliprdr")) {
		t.Error("there is a clipboard")
	}
	for _, name := range []string{"rdpdr", "rdpsnd", "drdynvc", "rail", "URBDRC", "AUDIO"} {
		if bytes.Contains(heard.Bytes(), []byte(name)) {
			t.Errorf("there is %s", name)
		}
	}
	for _, m := range [][]byte{clipMessage(8, 0, 1, 2, 3, 4), clipMessage(10, 0, 0, 0, 0, 0), clipMessage(6, 0)} {
		if err := says(join(clipping(8, 8), m), keeper(forget), Config{Pastes: true}); !errors.Is(err, io.EOF) {
			t.Errorf("files: %v", err)
		}
	}
}

func TestRefusalsHaveWords(t *testing.T) {
	begun := join(response(channels()), attached(), joins(1007, 1003))
	fault := func(code uint32) []byte {
		return join(opening(8, 8), share(dataErrorInfo, le32(nil, code)...), data([]byte{0x21, 0x80}))
	}
	licence := func(kind byte, b ...byte) []byte {
		return join(begun, on(1003, join([]byte{0x80, 0, 0, 0, kind, 3, byte(len(b) + 4), 0}, b)...))
	}
	for name, c := range map[string]struct {
		says []byte
		want string
	}{
		"its own encryption":  {response(block(0x0c02, le32(nil, 2, 2)), channels()), "own encryption"},
		"a licence challenge": {licence(2, 1, 2, 3, 4), "licence"},
		"a licence error":     {licence(0xff, 3, 0, 0, 0, 1, 0, 0, 0), "licence"},
		"sent on":             {join(opening(8, 8), control(redirection, make([]byte, 40))), "another computer"},
		"sent on at once":     {join(begun, licensed(), control(redirection, make([]byte, 40))), "another computer"},
		"too large":           {join(begun, licensed(), demand(0xffff, 0xffff)), "cannot be shown"},
		"no size":             {join(begun, licensed(), demand(0, 0)), "cannot be shown"},
		"before XP":           {join(begun, licensed(), control(demandActive, append(le16(le32(nil, 1), 4, 40), join([]byte("RDP\x00"), le16(nil, 2, 0), block(2, le16(nil, 32, 1, 1, 1, 8, 8, 0, 1, 1, 0, 1, 0)), block(13, []byte{1, 0, 0, 0}))...))), "before Windows XP"},
		"ended":               {fault(1), "administrator ended"},
		"signed out by it":    {fault(2), "administrator signed"},
		"idle":                {fault(3), "Nobody worked"},
		"too long":            {fault(4), "as long as"},
		"taken over":          {fault(5), "Somebody else"},
		"memory":              {fault(6), "memory"},
		"refused":             {fault(7), "refused"},
		"no rights, early":    {join(begun, licensed(), share(dataErrorInfo, 9, 0, 0, 0)), "may not sign in"},
		"no rights":           {fault(9), "may not sign in"},
		"fresh":               {fault(0xa), "typed"},
		"left":                {fault(0xb), "Somebody at the console disconnected"},
		"signed out":          {fault(0xc), "Somebody at the console signed out"},
		"driver":              {fault(0xf), "driver"},
		"driver, later":       {fault(0x11), "driver"},
		"windows":             {fault(0x10), "draws the console's windows"},
		"sign-in":             {fault(0x17), "A part of Windows"},
		"shutting down":       {fault(0x19), "shutting down"},
		"restarting":          {fault(0x1a), "restarting"},
		"licences":            {fault(0x102), "licences"},
		"a farm":              {fault(0x401), "broker"},
		"a mistake":           {fault(0x10c9), "a mistake of the protocol (error 0x10c9)"},
		"something":           {fault(0x7777), "0x7777"},
		"asked for there":     {fault(0), "signed out there, took it over, or closed it"},
		"by itself":           {join(opening(8, 8), data([]byte{0x20, 0x80})), "does not say why"},
		"half a reason":       {join(opening(8, 8), data([]byte{0x20})), "does not say why"},
	} {
		err := says(c.says, keeper(forget), Config{})
		var e *session.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, c.want) || e.Next == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// before anything is shown there is nothing that somebody could have left
	err := says(join(begun, data([]byte{0x21, 0x80})), keeper(forget), Config{})
	if o := (over{}); session.KindOf(err) != session.Internal || !errors.As(err, &o) || o.reason != asked {
		t.Errorf("over at once: %v", err)
	}
}

func TestNegotiationsThatFail(t *testing.T) {
	confirm := func(b ...byte) []byte { return tpkt(append([]byte{byte(6 + len(b)), 0xd0, 0, 0, 0, 0, 0}, b...)) }
	for name, c := range map[string]struct {
		says []byte
		want string
	}{
		"of before":        {confirm(), "without TLS"},
		"chosen none":      {confirm(2, 0, 8, 0, 0, 0, 0, 0), "without TLS"},
		"no TLS":           {confirm(3, 0, 8, 0, 2, 0, 0, 0), "without TLS"},
		"no certificate":   {confirm(3, 0, 8, 0, 3, 0, 0, 0), "certificate"},
		"NLA":              {confirm(3, 0, 8, 0, 5, 0, 0, 0), "network level"},
		"its own TLS":      {confirm(3, 0, 8, 0, 6, 0, 0, 0), "kind of TLS"},
		"another":          {confirm(3, 0, 8, 0, 99, 0, 0, 0), "99"},
		"not offered":      {confirm(2, 0, 8, 0, 8, 0, 0, 0), ""},
		"NLA, not offered": {confirm(2, 0, 8, 0, 2, 0, 0, 0), ""},
		"half":             {confirm(2, 0, 8, 0), ""},
		"another message":  {tpkt([]byte{6, 0x80, 0, 0, 0, 0, 0}), ""},
		"SSH":              {[]byte("SSH-2.0-OpenSSH_9.2\r\n"), ""},
		"fast":             {quickly(updateSynchronize), ""},
		"an odd kind":      {confirm(7, 0, 8, 0, 1, 0, 0, 0), ""},
	} {
		cl, _ := client(c.says, keeper(forget), Config{})
		_, err := cl.negotiate()
		var e *session.Error
		if c.want == "" && !errors.Is(err, ErrWire) || c.want != "" && (!errors.As(err, &e) || !strings.Contains(e.Message, c.want) || e.Next == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing is offered that is not drawn: no codecs (RemoteFX is one), no surfaces, no frames to
// acknowledge, no orders, no caches of pictures; and so a console sends pictures and pointers alone.
func TestNothingIsOfferedThatIsNotDrawn(t *testing.T) {
	c, heard := client(opening(8, 8), keeper(forget), Config{})
	if err := c.begin(protocolTLS); err != nil {
		t.Fatal(err)
	}
	confirmed := 0
	for _, m := range heardOn(heard.Bytes(), 1003) {
		if len(m) < 20 || m[2] != confirmActive|0x10 {
			continue
		}
		confirmed++
		f := fields{b: m[6:]}
		f.take(6) // share, who says it
		name, _ := f.u16(), f.u16()
		f.take(name)
		for n, _ := f.u16(), f.u16(); n > 0; n-- {
			kind, size := f.u16(), f.u16()
			body := f.take(size - 4)
			switch {
			case f.bad:
				t.Fatalf("%d is cut", kind)
			case kind == 28 || kind == 29 || kind == 30 || kind == 23 || kind == 24:
				t.Errorf("%d is offered", kind)
			case kind == 3 && !bytes.Equal(body[32:64], zeros(32)):
				t.Errorf("orders are offered: % x", body)
			case (kind == 4 || kind == 16) && !bytes.Equal(body, zeros(len(body))):
				t.Errorf("caches are offered: % x", body)
			}
		}
	}
	if confirmed != 1 {
		t.Errorf("confirmed %d times", confirmed)
	}
}
