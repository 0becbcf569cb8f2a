package vnc

import (
	"encoding/binary"
	"image"
	"io"

	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

// update is FramebufferUpdate (RFC 6143 section 7.6.1): rectangles, each drawn as it is read.
func (c *Client) update() error {
	b, err := c.take(3)
	if err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if n == 0xffff { // as many as come before LastRect
		n = maxRects
	}
	for range n {
		last, err := c.rectangle()
		if err != nil || last {
			return err
		}
	}
	return nil
}

func (c *Client) rectangle() (last bool, err error) {
	b, err := c.take(12)
	if err != nil {
		return false, err
	}
	x, y := int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))
	r := image.Rect(x, y, x+int(binary.BigEndian.Uint16(b[4:])), y+int(binary.BigEndian.Uint16(b[6:])))
	switch encoding := int32(binary.BigEndian.Uint32(b[8:])); encoding {
	case rfb.LastRect:
		return true, nil
	case rfb.DesktopSize:
		return false, c.resize(r.Dx(), r.Dy())
	case rfb.ExtendedDesktopSize:
		return false, c.extendedResize(r)
	case rfb.Cursor:
		return false, c.cursor(r)
	case rfb.ExtendedKeys:
		c.mu.Lock()
		c.keys = true
		c.mu.Unlock()
		return false, nil
	default:
		if r.Empty() {
			return false, nil
		}
		if !r.In(c.screen.Bounds()) {
			return false, rfb.ErrWire
		}
		return false, c.draw(encoding, r)
	}
}

func (c *Client) draw(encoding int32, r image.Rectangle) error {
	switch encoding {
	case rfb.Raw:
		return c.raw(r, c.in)
	case rfb.CopyRect:
		b, err := c.take(4)
		if err != nil {
			return err
		}
		from := image.Pt(int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:])))
		if c.cfg.Masked || !(image.Rectangle{Min: from, Max: from.Add(r.Size())}).In(c.screen.Bounds()) {
			return rfb.ErrWire
		}
		c.screen.Copy(r, from)
		return nil
	case rfb.Hextile:
		return c.hextile(r)
	case rfb.ZRLE:
		return c.drawZRLE(r)
	case rfb.Tight:
		return c.drawTight(r)
	}
	return rfb.ErrWire
}

// resize: the pixels come anew.
func (c *Client) resize(w, h int) error {
	if err := c.screen.Resize(w, h); err != nil {
		return tooLarge(err)
	}
	if c.always {
		if err := c.send(boxed([]byte{rfb.EnableContinuous, 1}, c.screen.Bounds().Max)); err != nil {
			return err
		}
	}
	return c.request(false)
}

// extendedResize: x says who wanted it, y whether it was done (rfbproto, ExtendedDesktopSize).
func (c *Client) extendedResize(r image.Rectangle) error {
	b, err := c.take(4)
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, c.in, 16*int64(b[0])); err != nil {
		return err
	}
	if r.Min.X == 1 && r.Min.Y != 0 || r.Size() == c.screen.Bounds().Max {
		return nil
	}
	return c.resize(r.Dx(), r.Dy())
}

// cursor is RFC 6143 section 7.8.1. One that is larger than we show is read and not shown.
func (c *Client) cursor(r image.Rectangle) error {
	size := r.Size()
	if size.X > maxShape || size.Y > maxShape {
		return rfb.ErrWire
	}
	pixels, row := 4*size.X*size.Y, (size.X+7)/8
	b, err := c.take(pixels + row*size.Y)
	if err != nil {
		return err
	}
	shape := screen.Cursor{Size: size, Hot: r.Min, Pix: make([]uint32, size.X*size.Y)}
	for i := range shape.Pix {
		if x, y := i%size.X, i/size.X; b[pixels+y*row+x/8]&(0x80>>(x%8)) != 0 {
			shape.Pix[i] = 0xff<<24 | c.format.Colour(c.format.Value(b[4*i:]))
		}
	}
	c.screen.SetCursor(shape)
	return nil
}
