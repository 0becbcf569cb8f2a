package rfb_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

// script is a viewer that says what it was given; what it is told is kept.
type script struct {
	in   io.Reader
	mu   *sync.Mutex
	told *bytes.Buffer
}

func viewer(b []byte) script { return script{bytes.NewReader(b), &sync.Mutex{}, &bytes.Buffer{}} }

func (s script) Read(b []byte) (int, error) { return s.in.Read(b) }
func (s script) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told.Write(b)
}
func (script) Close() error                     { return nil }
func (script) LocalAddr() net.Addr              { return nil }
func (script) RemoteAddr() net.Addr             { return nil }
func (script) SetDeadline(time.Time) error      { return nil }
func (script) SetReadDeadline(time.Time) error  { return nil }
func (script) SetWriteDeadline(time.Time) error { return nil }

// hands note what a viewer did.
type hands struct {
	keys     []screen.Key
	pointers []screen.Pointer
	texts    []string
}

func (h *hands) Press(k screen.Key) error     { h.keys = append(h.keys, k); return nil }
func (h *hands) Point(p screen.Pointer) error { h.pointers = append(h.pointers, p); return nil }
func (h *hands) Paste(t string) error         { h.texts = append(h.texts, t); return nil }

func small(t testing.TB) *screen.Screen {
	s := screen.New(screen.Masks{}, forget{})
	if err := errors.Join(s.Resize(20, 20), s.Show()); err != nil {
		t.Fatal(err)
	}
	return s
}

// greeting is a viewer of 3.8 that asks nobody to leave.
func greeting() []byte { return append([]byte("RFB 003.008\n"), rfb.None, 1) }

func encodings(list ...int32) []byte {
	b := binary.BigEndian.AppendUint16([]byte{rfb.SetEncodings, 0}, uint16(len(list)))
	for _, e := range list {
		b = binary.BigEndian.AppendUint32(b, uint32(e))
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestHostileViewersAreLeft(t *testing.T) {
	g := greeting()
	extended := func(size int32, content ...byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{rfb.ClientCutText, 0, 0, 0}, uint32(size)), content...)
	}
	for name, said := range map[string][]byte{
		"another protocol":           []byte("GET / HTTP/1.1\r\n\r\n"),
		"a type that was not there":  append([]byte("RFB 003.008\n"), rfb.VNCAuth),
		"an unknown message":         append(g, 99),
		"too many encodings":         join(g, []byte{rfb.SetEncodings, 0, 0xff, 0xff}),
		"24 bits":                    join(g, []byte{rfb.SetPixelFormat, 0, 0, 0, 24, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0}),
		"a colour map":               join(g, []byte{rfb.SetPixelFormat, 0, 0, 0, 8, 8, 0, 0, 0, 7, 0, 7, 0, 3, 0, 3, 6, 0, 0, 0}),
		"shifts beyond the pixel":    join(g, []byte{rfb.SetPixelFormat, 0, 0, 0, 16, 16, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0}),
		"a maximum that is no mask":  join(g, []byte{rfb.SetPixelFormat, 0, 0, 0, 32, 24, 0, 1, 0, 200, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0}),
		"a text of 2 GB":             join(g, extended(0x7fffffff)),
		"an extended one of 2 GB":    join(g, extended(-0x80000000)),
		"an extended one of nothing": join(g, extended(-3, 1, 2, 3)),
		"no zlib":                    join(g, extended(-8, 0x10, 0, 0, 1, 1, 2, 3, 4)),
		"another QEMU message":       join(g, []byte{rfb.QEMU, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
		"continuous updates":         join(g, []byte{rfb.EnableContinuous, 1, 0, 0, 0, 0, 0, 9, 0, 9}),
	} {
		if err := rfb.Serve(t.Context(), viewer(said), small(t), &hands{}, rfb.Config{}); !errors.Is(err, rfb.ErrWire) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a viewer does arrives as it was done; of who only looks nothing does.
func TestWhatViewersDo(t *testing.T) {
	said := join(greeting(),
		[]byte{rfb.KeyEvent, 1, 0, 0, 0, 0, 0, 'a'},
		[]byte{rfb.QEMU, rfb.QEMUKey, 0, 0, 0, 0, 0, 'b', 0, 0, 0, 0x9d},
		[]byte{rfb.PointerEvent, 5, 0, 7, 0, 9},
		[]byte{rfb.ClientCutText, 0, 0, 0, 0, 0, 0, 4, 'G', 'r', 0xfc, 0xdf},
		[]byte{rfb.SetDesktopSize, 0, 9, 0, 9, 0, 1, 0}, make([]byte, 16),
	)
	h := &hands{}
	if err := rfb.Serve(t.Context(), viewer(said), small(t), h, rfb.Config{}); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if want := []screen.Key{{Sym: 'a', Down: true}, {Sym: 'b', Code: 0x9d}}; !slices.Equal(h.keys, want) {
		t.Errorf("%v", h.keys)
	}
	if want := []screen.Pointer{{At: image.Pt(7, 9), Buttons: 5}}; !slices.Equal(h.pointers, want) {
		t.Errorf("%v", h.pointers)
	}
	if !slices.Equal(h.texts, []string{"Grüß"}) {
		t.Errorf("%q", h.texts)
	}
	if err := rfb.Serve(t.Context(), viewer(said), small(t), nil, rfb.Config{}); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func FuzzViewer(f *testing.F) {
	f.Add([]byte{rfb.KeyEvent, 1, 0, 0, 0, 0, 0, 'a', rfb.PointerEvent, 1, 0, 1, 0, 1})
	f.Add(join(encodings(rfb.ZRLE, rfb.CopyRect, rfb.Cursor, rfb.ExtendedDesktopSize, rfb.ExtendedKeys, rfb.ExtendedClipboard), []byte{rfb.UpdateRequest, 0, 0, 0, 0, 0, 0, 20, 0, 20}))
	f.Add(join(encodings(rfb.Tight), []byte{rfb.SetPixelFormat, 0, 0, 0, 16, 16, 1, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0, 0, 0, 0}, []byte{rfb.UpdateRequest, 1, 0, 0, 0, 0, 0, 20, 0, 20}))
	provide := rfb.Clipboard{Action: rfb.ClipboardProvide, Text: true, Content: "hello"}.Bytes()
	f.Add(append(binary.BigEndian.AppendUint32([]byte{rfb.ClientCutText, 0, 0, 0}, uint32(-int32(len(provide)))), provide...))
	f.Add([]byte{rfb.SetDesktopSize, 0, 9, 0, 9, 0, 0, 0, rfb.QEMU, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := rfb.Serve(t.Context(), viewer(append(greeting(), b...)), small(t), &hands{}, rfb.Config{Name: "x"}); err == nil {
			t.Error("a viewer that is gone ends well")
		}
	})
}

// A format is read as it was written, and every colour comes back as near as it can.
func FuzzFormat(f *testing.F) {
	f.Add(rfb.Native().Bytes(), uint32(0x123456))
	f.Add(rfb.Format{Bits: 16, Depth: 16, BigEndian: true, TrueColour: true, RedMax: 31, GreenMax: 63, BlueMax: 31, RedShift: 11, GreenShift: 5}.Bytes(), uint32(0xff8040))
	f.Add(rfb.Format{Bits: 8, Depth: 8, TrueColour: true, RedMax: 7, GreenMax: 7, BlueMax: 3, GreenShift: 3, BlueShift: 6}.Bytes(), uint32(0x808080))
	f.Fuzz(func(t *testing.T, b []byte, rgb uint32) {
		format, err := rfb.ParseFormat(b)
		if err != nil || !format.TrueColour {
			return
		}
		if again, err := rfb.ParseFormat(format.Bytes()); err != nil || again != format {
			t.Fatalf("%+v is read as %+v, %v", format, again, err)
		}
		pixel := format.Put(nil, rgb)
		if len(pixel) != format.Size() {
			t.Fatalf("%+v: a pixel of %d bytes", format, len(pixel))
		}
		back := format.Colour(format.Value(pixel))
		if again := format.Put(nil, back); !overlap(format) && !bytes.Equal(again, pixel) {
			t.Fatalf("%+v: %x, and then %x", format, pixel, again)
		}
	})
}

// overlap reports whether two colours share bits, as only a jester's format has it.
func overlap(f rfb.Format) bool {
	r, g, b := uint32(f.RedMax)<<f.RedShift, uint32(f.GreenMax)<<f.GreenShift, uint32(f.BlueMax)<<f.BlueShift
	return r&g != 0 || r&b != 0 || g&b != 0
}
