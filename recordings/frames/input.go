package frames

import (
	"encoding/binary"
	"image"
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/session"
)

// InputKind says what an engineer did at a console. The letter is the first byte of the
// event's data.
type InputKind byte

const (
	Key     InputKind = 'K' // went down or up
	Pointer InputKind = 'P' // moved, or its buttons changed
	Text    InputKind = 'C' // was pasted into the device, or copied out of it
	More    InputKind = 'c' // goes on with the text of the event before
)

// Input is what happened in one input event of a console. Only what its kind has is set.
type Input struct {
	Kind    InputKind
	Sym     uint32 // of a key, an X keysym
	Code    uint32 // of a key, the XT scancode; 0: unknown
	Down    bool
	At      image.Point
	Buttons uint16
	Text    string
}

var errInput = session.Errorf(session.Invalid, "an input of a console is malformed")

// KeyData is the data of an event for a key.
func KeyData(sym, code uint32, down bool) []byte {
	b := binary.BigEndian.AppendUint32([]byte{byte(Key)}, sym)
	b = binary.BigEndian.AppendUint32(b, code)
	if down {
		return append(b, 1)
	}
	return append(b, 0)
}

// PointerData is the data of an event for the pointer. Where it is beyond what can be
// written, the nearest that can stands.
func PointerData(at image.Point, buttons uint16) []byte {
	b := []byte{byte(Pointer)}
	for _, n := range []int{at.X, at.Y} {
		b = binary.BigEndian.AppendUint16(b, uint16(max(0, min(n, 0xffff))))
	}
	return binary.BigEndian.AppendUint16(b, buttons)
}

// TextData calls each with the data of one event after another that hold a text: of input
// events where it was pasted, of output events where it was copied. What is no UTF-8 is
// replaced. The data is valid until each returns.
func TextData(text string, each func([]byte) error) error {
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	b := make([]byte, 0, min(1+len(text), session.MaxEventData))
	for kind := Text; ; kind = More {
		n := min(len(text), session.MaxEventData-1)
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n--
		}
		b = append(append(b[:0], byte(kind)), text[:n]...)
		if err := each(b); err != nil {
			return err
		}
		if text = text[n:]; text == "" {
			return nil
		}
	}
}

// ParseInput reads the data of a console's input event, or of its output event.
func ParseInput(b []byte) (Input, error) {
	if len(b) == 0 {
		return Input{}, errInput
	}
	in, rest := Input{Kind: InputKind(b[0])}, b[1:]
	switch {
	case in.Kind == Key && len(rest) == 9 && rest[8] <= 1:
		in.Sym, in.Code, in.Down = binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:]), rest[8] == 1
	case in.Kind == Pointer && len(rest) == 6:
		in.At = image.Pt(int(binary.BigEndian.Uint16(rest)), int(binary.BigEndian.Uint16(rest[2:])))
		in.Buttons = binary.BigEndian.Uint16(rest[4:])
	case (in.Kind == Text || in.Kind == More) && utf8.Valid(rest) && len(b) <= session.MaxEventData:
		in.Text = string(rest)
	default:
		return Input{}, errInput
	}
	return in, nil
}
