package rfb

import (
	"bytes"
	"encoding/binary"
	"image"

	"github.com/klauspost/compress/flate"

	"github.com/sallyport/sallyport/session/palette"
	"github.com/sallyport/sallyport/session/screen"
)

// deflater is one zlib stream that lasts as long as the connection. It has no end, and so
// its checksum, which would stand there, is not made.
type deflater struct {
	out   bytes.Buffer
	flate *flate.Writer
}

// pack compresses b, so that all of it can be unpacked at once. The result is valid until
// the next call.
func (d *deflater) pack(b []byte) []byte {
	d.out.Reset()
	if d.flate == nil {
		d.flate, _ = flate.NewWriter(&d.out, flate.BestSpeed)
		d.out.Write([]byte{0x78, 0x01}) // RFC 1950 section 2.2: a window of 32 KiB, fastest
	}
	_, _ = d.flate.Write(b)
	_ = d.flate.Flush()
	return d.out.Bytes()
}

// encoder writes rectangles as one viewer wants them.
type encoder struct {
	format   Format
	encoding int32 // Tight, ZRLE or Raw
	zrle     deflater
	tight    [3]deflater // of pixels, of two colours, of indexes
	raw      []byte
	pix      []uint32
	palette  palette.Palette
}

// head appends the head of a rectangle.
func head(b []byte, r image.Rectangle, encoding int32) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(r.Min.X))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Min.Y))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Dx()))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Dy()))
	return binary.BigEndian.AppendUint32(b, uint32(encoding))
}

// parts are a part of the screen as rectangles that the encoding can have.
func (e *encoder) parts(p image.Rectangle) (out []image.Rectangle) {
	if p.Empty() {
		return nil
	}
	wide, most := p.Dx(), strip
	if e.encoding == Tight {
		wide, most = min(wide, tightSide), 64<<10
	}
	high := max(1, most/wide)
	if high > screen.Tile { // whole stills are looked at once
		high -= high % screen.Tile
	}
	for y := p.Min.Y; y < p.Max.Y; y += high {
		for x := p.Min.X; x < p.Max.X; x += wide {
			out = append(out, image.Rect(x, y, min(x+wide, p.Max.X), min(y+high, p.Max.Y)))
		}
	}
	return out
}

// rectangle appends a part of what is shown, head and all.
func (e *encoder) rectangle(b []byte, shown *palette.Sheet, r image.Rectangle) []byte {
	b = head(b, r, e.encoding)
	switch e.encoding {
	case Tight:
		return e.putTight(b, shown, r)
	case ZRLE:
		data := e.zrle.pack(e.tiles(shown, r))
		b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
		return append(b, data...)
	}
	for _, c := range e.pixels(shown, r) {
		b = e.format.Put(b, c)
	}
	return b
}

// pixels are valid until the next call.
func (e *encoder) pixels(shown *palette.Sheet, r image.Rectangle) []uint32 {
	e.pix = shown.Pixels(e.pix[:0], r)
	return e.pix
}

// tiles is a part as ZRLE's tiles, not compressed (RFC 6143 section 7.7.6): of one colour,
// of a palette, or as they are.
func (e *encoder) tiles(shown *palette.Sheet, r image.Rectangle) []byte {
	b := e.raw[:0]
	for y := r.Min.Y; y < r.Max.Y; y += 64 {
		for x := r.Min.X; x < r.Max.X; x += 64 {
			b = e.tile(b, shown, image.Rect(x, y, min(x+64, r.Max.X), min(y+64, r.Max.Y)))
		}
	}
	e.raw = b
	return b
}

func (e *encoder) tile(b []byte, shown *palette.Sheet, r image.Rectangle) []byte {
	switch n := e.palette.Part(shown, r, 16); {
	case n == 0:
		b = append(b, 0)
		for _, c := range e.pixels(shown, r) {
			b = e.format.PutShort(b, c)
		}
	case n == 1:
		b = e.format.PutShort(append(b, 1), e.palette.Colours[0])
	default:
		b = append(b, byte(n))
		for _, c := range e.palette.Colours {
			b = e.format.PutShort(b, c)
		}
		bits := 1
		if n > 4 {
			bits = 4
		} else if n > 2 {
			bits = 2
		}
		b = e.palette.Indexes(b, r.Dx(), bits)
	}
	return b
}

// putTight appends a part's content as rfbproto's Tight has it, without loss.
func (e *encoder) putTight(b []byte, shown *palette.Sheet, r image.Rectangle) []byte {
	const explicitFilter, paletteFilter, fill = 0x40, 1, 0x80
	n := e.palette.Part(shown, r, mostColours)
	if n == 1 {
		return e.tightPixel(append(b, fill), e.palette.Colours[0])
	}
	if n == 0 {
		data := e.raw[:0]
		for _, c := range e.pixels(shown, r) {
			data = e.tightPixel(data, c)
		}
		e.raw = data
		return e.stream(append(b, 0), 0, data)
	}
	stream, bits := 1, 1
	if n > 2 {
		stream, bits = 2, 8
	}
	b = append(b, explicitFilter|byte(stream)<<4, paletteFilter, byte(n-1))
	for _, c := range e.palette.Colours {
		b = e.tightPixel(b, c)
	}
	e.raw = e.palette.Indexes(e.raw[:0], r.Dx(), bits)
	return e.stream(b, stream, e.raw)
}

func (e *encoder) tightPixel(b []byte, c uint32) []byte {
	if e.format.Exact() {
		return append(b, byte(c>>16), byte(c>>8), byte(c))
	}
	return e.format.Put(b, c)
}

// stream appends data as a Tight stream has it: what is short as it is.
func (e *encoder) stream(b []byte, n int, data []byte) []byte {
	if len(data) < 12 {
		return append(b, data...)
	}
	data = e.tight[n].pack(data)
	size := len(data)
	for range 2 {
		if size < 0x80 {
			break
		}
		b = append(b, byte(size)|0x80)
		size >>= 7
	}
	return append(append(b, byte(size)), data...)
}
