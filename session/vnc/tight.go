package vnc

import (
	"bytes"
	"image"
	"image/jpeg"
	"io"

	"github.com/sallyport/sallyport/session/screen/rfb"
)

// Of Tight's control byte and filters (rfbproto, Tight Encoding).
const (
	tightFill = 8
	tightJPEG = 9

	tightFilter   = 4 // of the upper half: a filter follows
	filterCopy    = 0
	filterPalette = 1
	filterSlope   = 2

	tightPlain = 12 // data that is shorter is not packed
)

func (c *Client) drawTight(r image.Rectangle) error {
	control, err := c.in.ReadByte()
	if err != nil {
		return noEnd(err)
	}
	for i := range c.tight {
		if control>>i&1 != 0 {
			c.tight[i].reset()
		}
	}
	switch kind := control >> 4; {
	case kind == tightFill:
		var one [1]uint32
		if err := c.tightColours(one[:], c.in); err != nil {
			return err
		}
		c.screen.Fill(r, one[0])
		return nil
	case kind == tightJPEG:
		return c.jpeg(r)
	case kind > tightJPEG:
		return rfb.ErrWire
	default:
		return c.basic(r, &c.tight[kind&3], kind&tightFilter != 0)
	}
}

// tightColours reads pixels as Tight has them: ours as red, green, blue.
func (c *Client) tightColours(pix []uint32, in io.Reader) error {
	size := c.format.Size()
	if c.format.Exact() {
		size = 3
	}
	b, err := c.takeFrom(in, size*len(pix))
	if err != nil {
		return err
	}
	if c.format.Exact() {
		exact(pix, b)
	} else {
		c.colour(pix, b)
	}
	return nil
}

// compact is a length in one to three bytes.
func (c *Client) compact() (n int, err error) {
	for i := range 3 {
		b, err := c.in.ReadByte()
		if err != nil {
			return 0, noEnd(err)
		}
		if i == 2 {
			return n | int(b)<<14, nil
		}
		n |= int(b&0x7f) << (7 * i)
		if b < 0x80 {
			break
		}
	}
	return n, nil
}

// basic is a rectangle of one of the four streams, through a filter.
func (c *Client) basic(r image.Rectangle, stream *inflater, filtered bool) error {
	filter := byte(filterCopy)
	if filtered {
		var err error
		if filter, err = c.in.ReadByte(); err != nil {
			return noEnd(err)
		}
	}
	pixel := c.format.Size()
	if c.format.Exact() {
		pixel = 3
	}
	row := r.Dx() * pixel
	var palette []uint32
	switch filter {
	case filterCopy:
	case filterSlope:
		if !c.format.Exact() {
			return rfb.ErrWire // nobody sends it otherwise
		}
	case filterPalette:
		n, err := c.in.ReadByte()
		if err != nil {
			return noEnd(err)
		}
		palette = make([]uint32, int(n)+1)
		if err := c.tightColours(palette, c.in); err != nil {
			return err
		}
		if row = r.Dx(); len(palette) <= 2 {
			row = (r.Dx() + 7) / 8
		}
	default:
		return rfb.ErrWire
	}
	return c.rows(r, stream, filter, palette, row)
}

// rows reads and draws the filtered rows.
func (c *Client) rows(r image.Rectangle, stream *inflater, filter byte, palette []uint32, row int) error {
	var in io.Reader = c.in
	packed := row*r.Dy() >= tightPlain
	if packed {
		n, err := c.compact()
		if err != nil {
			return err
		}
		if in, err = stream.open(c.in, n); err != nil {
			return err
		}
	}
	before := make([]byte, 3*r.Dx()) // of the slope
	for y := r.Min.Y; y < r.Max.Y; y += strip {
		part := image.Rect(r.Min.X, y, r.Max.X, min(y+strip, r.Max.Y))
		b, err := c.takeFrom(in, row*part.Dy())
		if err != nil {
			return err
		}
		pix := c.pixels(part.Dx() * part.Dy())
		switch {
		case filter == filterPalette:
			err = indexed(pix, b, part.Dx(), row, palette)
		case filter == filterSlope:
			slope(pix, b, part.Dx(), before)
		case c.format.Exact():
			exact(pix, b)
		default:
			c.colour(pix, b)
		}
		if err != nil {
			return err
		}
		c.screen.Draw(part, pix, part.Dx())
	}
	if packed {
		return stream.shut()
	}
	return nil
}

// indexed looks colours up: of two in a bit each, of more in a byte.
func indexed(pix []uint32, b []byte, wide, row int, palette []uint32) error {
	var colours [maxColours]uint32 // so that no index leaves it; which are too large shows at the end
	known := copy(colours[:], palette)
	largest := byte(0)
	if known > 2 {
		for i, at := range b[:len(pix)] {
			pix[i] = colours[at]
			largest = max(largest, at)
		}
	} else {
		for y := 0; y*wide < len(pix); y++ {
			bits, line := b[y*row:(y+1)*row], pix[y*wide:(y+1)*wide]
			for x := range line {
				at := bits[x/8] >> (7 - x%8) & 1
				line[x] = colours[at]
				largest |= at
			}
		}
	}
	if int(largest) >= known {
		return rfb.ErrWire
	}
	return nil
}

// exact reads pixels of red, green, blue.
func exact(pix []uint32, b []byte) {
	for i := range pix {
		p := b[3*i : 3*i+3 : 3*i+3]
		pix[i] = uint32(p[0])<<16 | uint32(p[1])<<8 | uint32(p[2])
	}
}

// slope adds each pixel's difference to what the three pixels before it foretell.
func slope(pix []uint32, b []byte, wide int, before []byte) {
	for y := range len(pix) / wide {
		row := b[3*y*wide : 3*(y+1)*wide]
		for x := range wide {
			for k := range 3 {
				up, left, corner := int(before[3*x+k]), 0, 0
				if x > 0 {
					left = int(row[3*(x-1)+k])
				}
				if x > 0 {
					corner = int(before[3*(x-1)+k])
				}
				row[3*x+k] += byte(max(0, min(up+left-corner, 255)))
			}
			pix[y*wide+x] = uint32(row[3*x])<<16 | uint32(row[3*x+1])<<8 | uint32(row[3*x+2])
		}
		copy(before, row)
	}
}

// jpeg is a picture with loss. We ask for none; a console that sends one all the same is
// understood.
func (c *Client) jpeg(r image.Rectangle) error {
	n, err := c.compact()
	if err != nil {
		return err
	}
	if n > maxJPEG {
		return rfb.ErrWire
	}
	b, err := c.take(n)
	if err != nil {
		return noEnd(err)
	}
	if is, err := jpeg.DecodeConfig(bytes.NewReader(b)); err != nil || is.Width != r.Dx() || is.Height != r.Dy() {
		return rfb.ErrWire
	}
	picture, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return rfb.ErrWire
	}
	pix := c.pixels(r.Dx() * r.Dy())
	at := picture.Bounds().Min
	for i := range pix {
		red, green, blue, _ := picture.At(at.X+i%r.Dx(), at.Y+i/r.Dx()).RGBA()
		pix[i] = red>>8<<16 | green>>8<<8 | blue>>8
	}
	c.screen.Draw(r, pix, r.Dx())
	return nil
}
