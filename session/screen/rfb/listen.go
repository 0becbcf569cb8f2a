package rfb

import (
	"encoding/binary"
	"image"
	"io"

	"github.com/sallyport/sallyport/session/screen"
)

// listen reads what the viewer sends until it ends.
func (v *Viewer) listen() error {
	for {
		kind, err := v.in.ReadByte()
		if err != nil {
			return err
		}
		if err := v.message(kind); err != nil {
			return err
		}
	}
}

func (v *Viewer) message(kind byte) error {
	switch kind {
	case SetPixelFormat:
		return v.setFormat()
	case SetEncodings:
		return v.setEncodings()
	case UpdateRequest:
		return v.request()
	case KeyEvent:
		b, err := v.take(7)
		if err != nil {
			return err
		}
		return v.press(screen.Key{Down: b[0] != 0, Sym: binary.BigEndian.Uint32(b[3:])})
	case QEMU:
		return v.extendedKey()
	case PointerEvent:
		b, err := v.take(5)
		if err != nil || v.hands == nil {
			return err
		}
		return v.hands.Point(screen.Pointer{Buttons: uint16(b[0]), At: image.Pt(int(be16(b[1:])), int(be16(b[3:])))})
	case ClientCutText:
		return v.cutText()
	case SetDesktopSize:
		return v.setSize()
	}
	return ErrWire
}

// take reads so many bytes, few.
func (v *Viewer) take(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(v.in, b)
	return b, err
}

func area(b []byte) image.Rectangle {
	x, y := int(be16(b)), int(be16(b[2:]))
	return image.Rect(x, y, x+int(be16(b[4:])), y+int(be16(b[6:])))
}

func (v *Viewer) press(k screen.Key) error {
	if v.hands == nil {
		return nil
	}
	return v.hands.Press(k)
}

func (v *Viewer) setFormat() error {
	b, err := v.take(3 + FormatSize)
	if err != nil {
		return err
	}
	f, err := ParseFormat(b[3:])
	if err != nil {
		return err
	}
	if !f.TrueColour { // no viewer of today asks for a colour map
		return ErrWire
	}
	v.out.setFormat(f)
	return nil
}

func (v *Viewer) setEncodings() error {
	b, err := v.take(3)
	if err != nil {
		return err
	}
	n := int(be16(b[1:]))
	if n > MaxEncodings {
		return ErrWire
	}
	if b, err = v.take(4 * n); err != nil {
		return err
	}
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(binary.BigEndian.Uint32(b[4*i:]))
	}
	v.out.setEncodings(list)
	return nil
}

func (v *Viewer) request() error {
	b, err := v.take(9)
	if err != nil {
		return err
	}
	r := area(b[1:])
	if b[0] == 0 {
		v.view.Repeat(r)
	}
	v.out.request(r)
	return nil
}

func (v *Viewer) extendedKey() error {
	b, err := v.take(11)
	if err != nil {
		return err
	}
	if b[0] != QEMUKey {
		return ErrWire
	}
	code := binary.BigEndian.Uint32(b[7:])
	if code > 0xff {
		code = 0
	}
	return v.press(screen.Key{Down: be16(b[1:]) != 0, Sym: binary.BigEndian.Uint32(b[3:]), Code: code})
}

// setSize is refused, in the protocol's words: a console's size is the console's.
func (v *Viewer) setSize() error {
	b, err := v.take(7)
	if err != nil {
		return err
	}
	if _, err = io.CopyN(io.Discard, v.in, 16*int64(b[5])); err == nil {
		v.out.refuseSize()
	}
	return err
}

// cutText is the viewer's clipboard: Latin-1, or the extended messages.
func (v *Viewer) cutText() error {
	b, err := v.take(7)
	if err != nil {
		return err
	}
	size := int32(binary.BigEndian.Uint32(b[3:]))
	extended := size < 0
	if extended {
		size = -size
	}
	if size < 0 || size > MaxCut || extended && size < 4 {
		return ErrWire
	}
	if b, err = v.take(int(size)); err != nil {
		return err
	}
	if v.hands == nil {
		return nil
	}
	if !extended {
		return v.paste(Latin1(b))
	}
	m, err := ParseClipboard(b)
	if err != nil {
		return err
	}
	switch {
	case m.Action == ClipboardNotify && m.Text:
		v.out.reply(cutText(Clipboard{Action: ClipboardRequest, Text: true}))
	case m.Action == ClipboardRequest && m.Text:
		v.out.provideText()
	case m.Action == ClipboardProvide && m.Text:
		return v.paste(m.Content)
	}
	return nil
}

func (v *Viewer) paste(text string) error {
	if len(text) > screen.MaxText {
		text = text[:screen.MaxText]
	}
	return v.hands.Paste(text)
}
