package vnc

import (
	"image"
	"io"

	"github.com/sallyport/sallyport/session/screen/rfb"
)

// pixels are n colours to draw from, valid until the next call.
func (c *Client) pixels(n int) []uint32 {
	if cap(c.pix) < n {
		c.pix = make([]uint32, n)
	}
	return c.pix[:n]
}

// raw is RFC 6143 section 7.7.1, some rows at a time.
func (c *Client) raw(r image.Rectangle, in io.Reader) error {
	for y := r.Min.Y; y < r.Max.Y; y += strip {
		part := image.Rect(r.Min.X, y, r.Max.X, min(y+strip, r.Max.Y))
		n := part.Dx() * part.Dy()
		b, err := c.takeFrom(in, n*c.format.Size())
		if err != nil {
			return err
		}
		pix := c.pixels(n)
		c.colour(pix, b)
		c.screen.Draw(part, pix, part.Dx())
	}
	return nil
}

func (c *Client) takeFrom(in io.Reader, n int) ([]byte, error) {
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	b := c.buf[:n]
	_, err := io.ReadFull(in, b)
	return b, noEnd(err)
}

// colour reads pixels of the format.
func (c *Client) colour(pix []uint32, b []byte) {
	if c.format == rfb.Native() {
		for i := range pix {
			p := b[4*i : 4*i+4 : 4*i+4]
			pix[i] = uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16
		}
		return
	}
	size := c.format.Size()
	for i := range pix {
		pix[i] = c.format.Colour(c.format.Value(b[i*size:]))
	}
}

// Of hextile's tiles (RFC 6143 section 7.7.4).
const (
	hexRaw = 1 << iota
	hexBackground
	hexForeground
	hexSubrects
	hexColoured
	hexSide = 16
)

func (c *Client) hextile(r image.Rectangle) error {
	var back, fore uint32
	for y := r.Min.Y; y < r.Max.Y; y += hexSide {
		for x := r.Min.X; x < r.Max.X; x += hexSide {
			tile := image.Rect(x, y, min(x+hexSide, r.Max.X), min(y+hexSide, r.Max.Y))
			if err := c.hex(tile, &back, &fore); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Client) hex(tile image.Rectangle, back, fore *uint32) error {
	kind, err := c.in.ReadByte()
	if err != nil {
		return noEnd(err)
	}
	if kind&hexRaw != 0 {
		return c.raw(tile, c.in)
	}
	if kind&hexBackground != 0 {
		if *back, err = c.pixel(); err != nil {
			return err
		}
	}
	c.screen.Fill(tile, *back)
	if kind&hexForeground != 0 {
		if *fore, err = c.pixel(); err != nil {
			return err
		}
	}
	if kind&hexSubrects == 0 {
		return nil
	}
	n, err := c.in.ReadByte()
	if err != nil {
		return noEnd(err)
	}
	for range n {
		colour := *fore
		if kind&hexColoured != 0 {
			if colour, err = c.pixel(); err != nil {
				return err
			}
		}
		b, err := c.take(2)
		if err != nil {
			return noEnd(err)
		}
		at := tile.Min.Add(image.Pt(int(b[0]>>4), int(b[0]&15)))
		sub := image.Rectangle{Min: at, Max: at.Add(image.Pt(int(b[1]>>4)+1, int(b[1]&15)+1))}
		if !sub.In(tile) {
			return rfb.ErrWire
		}
		c.screen.Fill(sub, colour)
	}
	return nil
}

// pixel reads one of the format.
func (c *Client) pixel() (uint32, error) {
	b, err := c.take(c.format.Size())
	if err != nil {
		return 0, noEnd(err)
	}
	return c.format.Colour(c.format.Value(b)), nil
}
