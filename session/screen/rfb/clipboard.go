package rfb

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zlib"

	"github.com/sallyport/sallyport/session/screen"
)

// Actions of the extended clipboard (rfbproto, Extended Clipboard Pseudo-Encoding).
const (
	ClipboardCaps    = 1 << 24
	ClipboardRequest = 1 << 25
	ClipboardPeek    = 1 << 26
	ClipboardNotify  = 1 << 27
	ClipboardProvide = 1 << 28

	clipboardText = 1 << 0
	actions       = ClipboardCaps | ClipboardRequest | ClipboardPeek | ClipboardNotify | ClipboardProvide
)

// Clipboard is a message of the extended clipboard. Of formats, text alone is known.
type Clipboard struct {
	Action  uint32 // one of the above; for caps, what the other side can do beside Caps itself
	Text    bool
	Content string // of provide
}

// Bytes is the message as the content of a cut text.
func (c Clipboard) Bytes() []byte {
	flags := c.Action
	if c.Text {
		flags |= clipboardText
	}
	b := binary.BigEndian.AppendUint32(nil, flags)
	switch {
	case c.Action&ClipboardCaps != 0:
		return binary.BigEndian.AppendUint32(b, screen.MaxText)
	case c.Action == ClipboardProvide && c.Text:
		var packed bytes.Buffer
		z := zlib.NewWriter(&packed)
		text := append([]byte(strings.ReplaceAll(c.Content, "\n", "\r\n")), 0)
		_, _ = z.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
		_, _ = z.Write(text)
		_ = z.Close()
		b = append(b, packed.Bytes()...)
	}
	return b
}

// ParseClipboard reads a message. Text that is no UTF-8 is mended, and what is longer than a
// clipboard may be is refused.
func ParseClipboard(b []byte) (Clipboard, error) {
	if len(b) < 4 {
		return Clipboard{}, ErrWire
	}
	flags := binary.BigEndian.Uint32(b)
	c := Clipboard{Action: flags & actions, Text: flags&clipboardText != 0}
	if c.Action&ClipboardCaps != 0 || c.Action != ClipboardProvide || !c.Text {
		return c, nil
	}
	z, err := zlib.NewReader(bytes.NewReader(b[4:]))
	if err != nil {
		return c, ErrWire
	}
	defer z.Close()
	var size [4]byte
	if _, err := io.ReadFull(z, size[:]); err != nil {
		return c, ErrWire
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 2*screen.MaxText {
		return c, ErrWire
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(z, text); err != nil {
		return c, ErrWire
	}
	c.Content = Text(strings.TrimRight(string(text), "\x00"))
	return c, nil
}

// Text is a clipboard's text with the line ends that we keep, legible, and as long as it
// may be.
func Text(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\uFFFD")
	if len(s) <= screen.MaxText {
		return s
	}
	s = s[:screen.MaxText]
	for len(s) > 0 && !utf8.ValidString(s[len(s)-min(len(s), utf8.UTFMax):]) {
		s = s[:len(s)-1]
	}
	return s
}

// Latin1 is the text of a plain cut text (RFC 6143 section 7.5.6).
func Latin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return Text(string(runes))
}

// ToLatin1 is a text as a plain cut text; what it has no letter for is a question mark.
func ToLatin1(s string) (b []byte) {
	for _, r := range s {
		if r > 0xff {
			r = '?'
		}
		b = append(b, byte(r))
	}
	return b
}
