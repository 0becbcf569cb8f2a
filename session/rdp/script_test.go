package rdp

import (
	"bytes"
	"image"
	"io"
	"net"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session/screen"
)

// script is a console that says what it was given, and keeps what it hears.
type script struct {
	io.Reader
	heard *bytes.Buffer
}

func (s script) Write(b []byte) (int, error)    { return s.heard.Write(b) }
func (script) Close() error                     { return nil }
func (script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (script) SetDeadline(time.Time) error      { return nil }
func (script) SetReadDeadline(time.Time) error  { return nil }
func (script) SetWriteDeadline(time.Time) error { return nil }

// client is one that is inside TLS with a script.
func client(b []byte, keep screen.Keeper, cfg Config) (*Client, *bytes.Buffer) {
	cfg.TLS.First = func([32]byte) error { return nil }
	_ = cfg.complete()
	c := &Client{cfg: cfg, screen: screen.New(screen.Masks{}, keep), via: via{quit: make(chan struct{})}}
	heard := &bytes.Buffer{}
	c.use(script{bytes.NewReader(b), heard})
	return c, heard
}

// says runs a client against a script until it ends, and returns why.
func says(b []byte, keep screen.Keeper, cfg Config) error {
	c, _ := client(b, keep, cfg)
	if err := c.begin(protocolTLS); err != nil {
		return c.ended(err)
	}
	return c.Run()
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func tagged(tag []byte, b ...byte) []byte { return under(tag, b...) }

// response is MCS Connect Response with these blocks.
func response(blocks ...[]byte) []byte {
	all := join(blocks...)
	gcc := append([]byte{0, 5, 0, 0x14, 0x7c, 0, 1, 0x2a, 0x14, 0x76, 0x0a, 1, 1, 0, 1, 0xc0, 0, 'M', 'c', 'D', 'n'}, be16(nil, len(all)|0x8000)...)
	body := join([]byte{0x0a, 1, 0, 2, 1, 0}, limits(34, 3, 0, 65528), tagged([]byte{4}, append(gcc, all...)...))
	return data(tagged([]byte{0x7f, 0x66}, body...))
}

func block(kind int, b []byte) []byte { return append(le16(nil, kind, len(b)+4), b...) }

// channels are the blocks of a console with these channels.
func channels(ids ...int) []byte {
	b := le16(nil, 1003, len(ids))
	return join(block(0x0c01, le32(nil, 0x00080004)), block(0x0c02, make([]byte, 8)), block(0x0c03, le16(b, ids...)))
}

func attached() []byte { return data([]byte{0x2e, 0, 0, 6}) }

func joins(ids ...int) (out []byte) {
	for _, id := range ids {
		out = append(out, data(be16([]byte{0x3e, 0}, 6, id, id))...)
	}
	return out
}

// on is what the console says on a channel.
func on(channel int, b ...byte) []byte {
	return data(append(be16(append(be16([]byte{0x68}, 1), byte(channel>>8), byte(channel), 0x70), len(b)|0x8000), b...))
}

func licensed() []byte {
	return on(1003, 0x80, 0, 0, 0, 0xff, 3, 16, 0, 7, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0)
}

func control(kind int, b []byte) []byte {
	return on(1003, append(le16(nil, len(b)+6, kind|0x10, 1002), b...)...)
}

// share is share data of the console's.
func share(kind byte, b ...byte) []byte {
	head := append(le16(le32(nil, 0x103ea), 0x100, len(b)+4), kind, 0, 0, 0)
	return control(shareData, append(head, b...))
}

func capability(kind int, b []byte) []byte { return block(kind, b) }

// demand is Demand Active of a desktop.
func demand(w, h int, sets ...[]byte) []byte {
	all := [][]byte{capability(2, le16(nil, 32, 1, 1, 1, w, h, 0, 1, 1, 0, 1, 0)), capability(13, append(le16(nil, 0x1|0x4|0x10|fastInput2|wideWheel, 0), make([]byte, 80)...))}
	all = append(all, sets...)
	caps := append(le16(nil, len(all), 0), join(all...)...)
	b := append(le16(le32(nil, 0x103ea), 4, len(caps)), "RDP\x00"...)
	return control(demandActive, le32(append(b, caps...), 0))
}

func finished() []byte {
	return join(share(dataSynchronize, 1, 0, 0xea, 3), share(dataControl, 4, 0, 0, 0, 0, 0, 0, 0), share(dataControl, 2, 0, 1, 0, 1, 0, 1, 0), share(dataFontMap, 0, 0, 0, 0, 3, 0, 4, 0))
}

// opening is a console of so many pixels, until it takes input.
func opening(w, h int) []byte {
	return join(response(channels()), attached(), joins(1007, 1003), licensed(), demand(w, h), finished())
}

// clipping is the same with a clipboard.
func clipping(w, h int) []byte {
	return join(response(channels(1004)), attached(), joins(1007, 1003, 1004), licensed(), demand(w, h), finished())
}

// quick is a message of the fast path.
func quick(b ...byte) []byte { return append(be16([]byte{0}, len(b)+3|0x8000), b...) }

// piece is an update of one, or a part of it.
func piece(code, part int, b ...byte) []byte {
	return append(le16([]byte{byte(code | part<<4)}, len(b)), b...)
}

func quickly(code int, b ...byte) []byte { return quick(piece(code, single, b...)...) }

// rect is a rectangle of an update of pictures.
func rect(r image.Rectangle, w, h, depth, flags int, b ...byte) []byte {
	return append(le16(nil, r.Min.X, r.Min.Y, r.Max.X-1, r.Max.Y-1, w, h, depth, flags, len(b)), b...)
}

// drawn is an update of pictures.
func drawn(rects ...[]byte) []byte { return append(le16(nil, 1, len(rects)), join(rects...)...) }

// bitmapOf is a raw picture of one colour, at 32 bits.
func bitmapOf(r image.Rectangle, colour uint32) []byte {
	var b []byte
	for range r.Dx() * r.Dy() {
		b = le32(b, colour)
	}
	return rect(r, r.Dx(), r.Dy(), 32, 0, b...)
}

func clip(total int, flags uint32, b ...byte) []byte {
	return on(1004, append(le32(nil, uint32(total), flags), b...)...)
}

// clipped is a whole message of the clipboard.
func clipMessage(kind, state int, b ...byte) []byte {
	m := append(le32(le16(nil, kind, state), uint32(len(b))), b...)
	var out []byte
	for at := 0; at < len(m); at += 1600 {
		end, flags := min(at+1600, len(m)), uint32(0)
		if at == 0 {
			flags |= 1
		}
		if end == len(m) {
			flags |= 2
		}
		out = append(out, clip(len(m), flags, m[at:end]...)...)
	}
	return out
}

// heardOn are the messages that a client sent on a channel, each cut to its payload.
func heardOn(b []byte, channel int) (out [][]byte) {
	for len(b) > 4 {
		size, _, fast := length(b)
		if size == 0 || size > len(b) {
			return out
		}
		if m := b[:size]; !fast && len(m) > 15 && m[7] == 0x64 && int(m[10])<<8|int(m[11]) == channel {
			out = append(out, m[15:])
		}
		b = b[size:]
	}
	return out
}

// inputs are the events that a client sent by the fast path, as they were sent.
func inputs(b []byte) (out [][]byte) {
	for len(b) >= 4 {
		size, skip, fast := length(slices.Concat([]byte{b[0] & 3}, b[1:4]))
		if size == 0 || size > len(b) {
			return out
		}
		if fast {
			out = append(out, b[skip:size])
		}
		b = b[size:]
	}
	return out
}
