package rdp

import (
	"bytes"

	"github.com/sallyport/sallyport/session"
)

// joined are the channels of a connection.
type joined struct{ user, main, clip int }

// userBase is what MCS counts users from.
const userBase = 1001

// join is the basic settings exchange, and the channels after it (MS-RDPBCGR 1.3.1.1).
func (c *Client) join(selected uint32) error {
	if err := c.send(data(c.conference(selected))); err != nil {
		return err
	}
	b, err := c.answer()
	if err != nil {
		return err
	}
	if err := c.conferred(b); err != nil {
		return err
	}
	// erect domain, attach user
	if err := c.send(append(data([]byte{4, 1, 0, 1, 0}), data([]byte{0x28})...)); err != nil {
		return err
	}
	if b, err = c.answer(); err != nil {
		return err
	}
	if len(b) < 4 || b[0]&^3 != 0x2c || b[1] != 0 {
		return ErrWire
	}
	c.joined.user = int(b[2])<<8 | int(b[3])
	for _, channel := range []int{c.joined.user + userBase, c.joined.main, c.joined.clip} {
		if channel == 0 {
			continue
		}
		if err := c.send(data(be16([]byte{0x38}, c.joined.user, channel))); err != nil {
			return err
		}
		if b, err = c.answer(); err != nil {
			return err
		}
		if len(b) < 8 || b[0]&^3 != 0x3c || b[1] != 0 || int(b[6])<<8|int(b[7]) != channel {
			return ErrWire
		}
	}
	return nil
}

// answer is the next message of the layers above X.224.
func (c *Client) answer() ([]byte, error) {
	b, fast, err := c.packet()
	if err != nil {
		return nil, err
	}
	if fast || !bytes.HasPrefix(b, []byte{2, 0xf0, 0x80}) {
		return nil, ErrWire
	}
	if b = b[3:]; len(b) > 0 && b[0]&^3 == 0x20 {
		return nil, ultimatum(b)
	}
	return b, nil
}

// indication is what came on a channel (T.125 SendDataIndication).
func indication(b []byte) (channel int, payload []byte, err error) {
	if !bytes.HasPrefix(b, []byte{2, 0xf0, 0x80}) || len(b) < 4 {
		return 0, nil, ErrWire
	}
	f := fields{b: b[3:]}
	switch f.u8() &^ 3 {
	case 0x20:
		return 0, nil, ultimatum(b[3:])
	case 0x68:
	default:
		return 0, nil, ErrWire
	}
	f.take(2) // who sends
	channel = f.big16()
	f.take(1)
	payload = f.take(f.per())
	return channel, payload, f.err()
}

// ultimatum is T.125's DisconnectProviderUltimatum: three bits of reason over two bytes.
func ultimatum(b []byte) error {
	reason := int(b[0]&3) << 1
	if len(b) > 1 {
		reason |= int(b[1] >> 7)
	}
	return over{reason}
}

// under is what stands under a tag of the basic encoding rules.
func under(tag []byte, b ...byte) []byte {
	return append(be16(append(bytes.Clone(tag), 0x82), len(b)), b...)
}

// limits are T.125's domain parameters.
func limits(channels, users, tokens, size int) []byte {
	var b []byte
	for _, n := range []int{channels, users, tokens, 1, 0, 1, size, 2} {
		b = be16(append(b, 2, 2), n)
	}
	return append([]byte{0x30, byte(len(b))}, b...)
}

// conference is MCS Connect Initial with the GCC request in it (MS-RDPBCGR 2.2.1.3).
func (c *Client) conference(selected uint32) []byte {
	blocks := c.coreBlock(selected)
	blocks = append(blocks, 2, 0xc0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0) // security: TLS is enough
	if c.clipped() {
		blocks = append(le32(append(blocks, 3, 0xc0, 20, 0), 1), "cliprdr\x00"...)
		blocks = le32(blocks, 0x80200000)
	}
	gcc := be16([]byte{0, 5, 0, 0x14, 0x7c, 0, 1}, (len(blocks)+14)|0x8000)
	gcc = append(gcc, 0, 8, 0, 16, 0, 1, 0xc0, 0, 'D', 'u', 'c', 'a')
	gcc = append(be16(gcc, len(blocks)|0x8000), blocks...)
	body := []byte{4, 1, 1, 4, 1, 1, 1, 1, 0xff}
	body = append(body, limits(34, 2, 0, 65535)...)
	body = append(body, limits(1, 1, 1, 1056)...)
	body = append(body, limits(65535, 64535, 65535, 65535)...)
	return under([]byte{0x7f, 0x65}, append(body, under([]byte{4}, gcc...)...)...)
}

// coreBlock is CS_CORE (MS-RDPBCGR 2.2.1.3.2).
func (c *Client) coreBlock(selected uint32) []byte {
	early, depth := 1, c.cfg.depth // errors are told in words of their own
	if depth == 32 {
		early, depth = early|2, 24
	}
	b := le32([]byte{1, 0xc0, 216, 0}, 0x00080004)
	b = le16(b, c.cfg.Size.X, c.cfg.Size.Y, 0xca01, 0xaa03)
	b = le32(b, c.cfg.Keyboard, 7601)
	b = append(b, padded(wide(c.cfg.Name), 32)...)
	b = append(le32(b, 4, 0, 12), make([]byte, 64)...)
	b = le16(b, 0xca01, 1, 0, 0, depth, 0xf, early)
	b = append(b, make([]byte, 64+2)...)
	return le32(b, selected)
}

func padded(b []byte, n int) []byte {
	return append(b[:min(len(b), n-2):min(len(b), n-2)], make([]byte, max(2, n-len(b)))...)
}

// conferred is MCS Connect Response (MS-RDPBCGR 2.2.1.4).
func (c *Client) conferred(b []byte) error {
	f := fields{b: b}
	f.b = f.ber(0x7f, 0x66)
	if result := f.ber(0x0a); len(result) != 1 || result[0] != 0 {
		return ErrWire
	}
	f.ber(2)
	f.ber(0x30)
	f.b = f.ber(4)
	f.take(7)
	f.per()
	f.take(3)
	f.take(f.u8()) // a number of the node
	f.take(4)
	if !bytes.Equal(f.take(4), []byte("McDn")) {
		return ErrWire
	}
	f.b = f.take(f.per())
	for len(f.b) > 0 && !f.bad {
		kind, size := f.u16(), f.u16()
		block := fields{b: f.take(size - 4)}
		if err := c.block(kind, &block); err != nil {
			return err
		}
	}
	if f.bad || c.joined.main == 0 || c.clipped() != (c.joined.clip != 0) {
		return ErrWire
	}
	return nil
}

func (c *Client) block(kind int, f *fields) error {
	switch kind {
	case 0x0c02:
		if method, level := f.u32(), f.u32(); method|level != 0 {
			return session.Errorf(session.Refused, "The console wants RDP's own encryption inside TLS.").
				WithNext("Set its security layer to TLS (SSL) or to network level authentication.")
		}
	case 0x0c03:
		c.joined.main = f.u16()
		n := f.u16()
		if n > 1 || n == 1 && !c.clipped() {
			return ErrWire
		}
		if n == 1 {
			c.joined.clip = f.u16()
		}
		if c.joined.main == 0 || c.joined.main == c.joined.clip {
			return ErrWire
		}
	}
	return f.err()
}
