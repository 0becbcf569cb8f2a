package vnc

import (
	"encoding/binary"
	"image"
	"io"

	"github.com/sallyport/sallyport/session/screen/rfb"
)

const zrleSide = 64

// drawZRLE is RFC 6143 section 7.7.6.
func (c *Client) drawZRLE(r image.Rectangle) error {
	b, err := c.take(4)
	if err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(b)
	if n > maxPacked {
		return rfb.ErrWire
	}
	in, err := c.zrle.open(c.in, int(n))
	if err != nil {
		return err
	}
	z := zrle{c: c, in: in}
	for y := r.Min.Y; y < r.Max.Y; y += zrleSide {
		for x := r.Min.X; x < r.Max.X; x += zrleSide {
			tile := image.Rect(x, y, min(x+zrleSide, r.Max.X), min(y+zrleSide, r.Max.Y))
			if err := z.tile(tile); err != nil {
				return err
			}
		}
	}
	return c.zrle.shut()
}

// zrle reads tiles.
type zrle struct {
	c       *Client
	in      io.Reader
	palette [127]uint32
	one     [4]byte
}

func (z *zrle) tile(r image.Rectangle) error {
	kind, err := z.byte()
	if err != nil {
		return err
	}
	pix := z.c.pixels(r.Dx() * r.Dy())
	switch {
	case kind == 0:
		err = z.colours(pix)
	case kind == 1:
		var one [1]uint32
		if err = z.colours(one[:]); err == nil {
			z.c.screen.Fill(r, one[0])
		}
		return err
	case kind <= 16:
		if err = z.colours(z.palette[:kind]); err == nil {
			err = z.packed(pix, r.Dx(), int(kind))
		}
	case kind == 128:
		err = z.runs(pix)
	case kind >= 130:
		if err = z.colours(z.palette[:kind-128]); err == nil {
			err = z.indexedRuns(pix, kind-128)
		}
	default:
		err = rfb.ErrWire
	}
	if err == nil {
		z.c.screen.Draw(r, pix, r.Dx())
	}
	return err
}

func (z *zrle) byte() (byte, error) {
	_, err := io.ReadFull(z.in, z.one[:1])
	return z.one[0], noEnd(err)
}

// colours reads pixels as ZRLE has them: ours in three bytes.
func (z *zrle) colours(pix []uint32) error {
	f := z.c.format
	short, upper := f.Short()
	size := f.Size()
	if short {
		size = 3
	}
	b, err := z.c.takeFrom(z.in, size*len(pix))
	if err != nil {
		return err
	}
	if f == rfb.Native() {
		for i := range pix {
			p := b[3*i : 3*i+3 : 3*i+3]
			pix[i] = uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16
		}
		return nil
	}
	for i := range pix {
		if p := b[i*size:]; short {
			pix[i] = f.Colour(three(p, f.BigEndian, upper))
		} else {
			pix[i] = f.Colour(f.Value(p))
		}
	}
	return nil
}

// three is a pixel's value of the three bytes that are written of it.
func three(p []byte, big, upper bool) uint32 {
	v := uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16
	if big {
		v = uint32(p[0])<<16 | uint32(p[1])<<8 | uint32(p[2])
	}
	if upper {
		v <<= 8
	}
	return v
}

// packed are indexes into the palette, each row from a byte of its own.
func (z *zrle) packed(pix []uint32, wide, colours int) error {
	bits := 1
	if colours > 4 {
		bits = 4
	} else if colours > 2 {
		bits = 2
	}
	row := (wide*bits + 7) / 8
	b, err := z.c.takeFrom(z.in, row*(len(pix)/wide))
	if err != nil {
		return err
	}
	mask, largest := byte(1<<bits-1), 0
	for ; len(pix) > 0; pix, b = pix[wide:], b[row:] {
		from, shift := b, 8
		for x := range pix[:wide] {
			shift -= bits
			at := int(from[0] >> shift & mask)
			if shift == 0 {
				from, shift = from[1:], 8
			}
			pix[x], largest = z.palette[at], max(largest, at)
		}
	}
	if largest >= colours {
		return rfb.ErrWire
	}
	return nil
}

// length is one more than the sum of bytes up to the first that is not 255.
func (z *zrle) length(most int) (int, error) {
	n := 1
	for {
		b, err := z.byte()
		if err != nil {
			return 0, err
		}
		if n += int(b); n > most {
			return 0, rfb.ErrWire
		}
		if b != 255 {
			return n, nil
		}
	}
}

func (z *zrle) runs(pix []uint32) error {
	for len(pix) > 0 {
		var colour [1]uint32
		if err := z.colours(colour[:]); err != nil {
			return err
		}
		n, err := z.length(len(pix))
		if err != nil {
			return err
		}
		fill(pix[:n], colour[0])
		pix = pix[n:]
	}
	return nil
}

func (z *zrle) indexedRuns(pix []uint32, colours byte) error {
	for len(pix) > 0 {
		at, err := z.byte()
		if err != nil {
			return err
		}
		n := 1
		if at >= 128 {
			if n, err = z.length(len(pix)); err != nil {
				return err
			}
		}
		if at &= 127; at >= colours {
			return rfb.ErrWire
		}
		fill(pix[:n], z.palette[at])
		pix = pix[n:]
	}
	return nil
}

func fill(pix []uint32, colour uint32) {
	for i := range pix {
		pix[i] = colour
	}
}
