package rdp

import (
	"errors"
	"image"

	"github.com/sallyport/sallyport/session/rdp/bitmap"
)

// Of updates: those of the slow path (MS-RDPBCGR 2.2.9.1.1.3) are the first of the fast ones
// (2.2.9.1.2.1).
const (
	updateOrders = iota
	updateBitmap
	updatePalette
	updateSynchronize
	updateSurface
	pointerNone
	pointerDefault
	_
	pointerPosition
	pointerColour
	pointerCached
	pointerNew
	pointerLarge
)

// Of an update in pieces.
const (
	single = iota
	last
	first
	next
)

// fast is a message of updates.
func (c *Client) fast(b []byte) error {
	if c.starts == 0 {
		return ErrWire
	}
	f := fields{b: b}
	for len(f.b) > 0 {
		head := f.u8()
		if head&0xc0 != 0 { // packed, and that was not offered
			return ErrWire
		}
		b := f.take(f.u16())
		if f.bad {
			return ErrWire
		}
		whole, err := c.drawn.join(head&0xf, head>>4&3, b)
		if err != nil {
			return err
		}
		if whole == nil {
			continue
		}
		if err := c.drawFast(head&0xf, &fields{b: whole}); err != nil {
			return err
		}
	}
	return nil
}

// join puts the pieces of an update together; nil as long as some are missing.
func (d *drawing) join(code, part int, b []byte) ([]byte, error) {
	if part == single || part == first {
		if d.open {
			return nil, ErrWire
		}
		if part == single {
			return b, nil
		}
		d.part, d.code, d.open = d.part[:0], code, true
	}
	if !d.open || d.code != code || len(d.part)+len(b) > maxFragment {
		return nil, ErrWire
	}
	d.part = append(d.part, b...)
	if part != last {
		return nil, nil
	}
	d.open = false
	return d.part, nil
}

func (c *Client) drawFast(code int, f *fields) error {
	switch code {
	case updateBitmap, updatePalette:
		return c.update(f.u16(), f)
	case updateSynchronize:
		return nil
	case updateSurface:
		return c.surface(f)
	case pointerNone, pointerDefault, pointerPosition, pointerColour, pointerCached, pointerNew, pointerLarge:
		return c.shape(code, f)
	}
	return ErrWire // orders were not asked for, and others there are none
}

// update is one of the slow path, or of the fast that is like it.
func (c *Client) update(kind int, f *fields) error {
	switch kind {
	case updateBitmap:
		for range f.u16() {
			if err := c.rectangle(f); err != nil {
				return err
			}
		}
		return f.err()
	case updatePalette:
		f.take(2)
		if n := f.u32(); n > 256 {
			return ErrWire
		}
		for i := 0; len(f.b) >= 3 && i < 256; i++ {
			b := f.take(3)
			c.drawn.decoder.Palette[i] = uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
		}
		return f.err()
	case updateSynchronize:
		return nil
	}
	return ErrWire
}

// rectangle is a picture for a part of the screen (MS-RDPBCGR 2.2.9.1.1.3.1.2.2).
func (c *Client) rectangle(f *fields) error {
	left, top := f.u16(), f.u16()
	r := image.Rect(left, top, f.u16()+1, f.u16()+1)
	w, h, depth, flags := f.u16(), f.u16(), f.u16(), f.u16()
	b := f.take(f.u16())
	if f.bad || r.Min.X != left || r.Min.Y != top {
		return ErrWire
	}
	if flags&1 != 0 && flags&0x400 == 0 && depth != 32 { // a header of the packed picture
		if len(b) < 8 {
			return ErrWire
		}
		b = b[8:]
	}
	return c.picture(r, w, h, depth, flags&1 != 0, b)
}

// picture draws one. What cannot be decoded is asked for again, a number of times.
func (c *Client) picture(r image.Rectangle, w, h, depth int, packed bool, b []byte) error {
	bounds := c.screen.Bounds()
	if w > bounds.Dx()+padding || h > bounds.Dy()+padding {
		return ErrWire
	}
	if c.drawn.work += w * h; c.drawn.work > maxWork*(bounds.Dx()+padding)*(bounds.Dy()+padding) {
		return ErrWire
	}
	pix, err := c.drawn.decoder.Decode(w, h, depth, packed, b)
	if err != nil {
		if c.drawn.broken++; !errors.Is(err, bitmap.ErrPicture) || c.drawn.broken > maxBroken {
			return ErrWire
		}
		return c.again(r.Intersect(bounds))
	}
	r.Max = image.Pt(min(r.Max.X, r.Min.X+w), min(r.Max.Y, r.Min.Y+h))
	c.screen.Draw(r, pix, w)
	return nil
}

// again asks for a part of the screen (MS-RDPBCGR 2.2.11.2).
func (c *Client) again(r image.Rectangle) error {
	if r.Empty() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hands.ready {
		return nil
	}
	return c.write(c.datum(c.hands.share, dataRefresh, le16([]byte{1, 0, 0, 0}, r.Min.X, r.Min.Y, r.Max.X-1, r.Max.Y-1)))
}

// Of surface commands (MS-RDPBCGR 2.2.9.2).
const (
	surfaceBits   = 1
	surfaceMarker = 4
	surfaceStream = 6
)

// surface draws what comes without a codec; others were not offered.
func (c *Client) surface(f *fields) error {
	for len(f.b) > 0 && !f.bad {
		switch f.u16() {
		case surfaceMarker:
			f.take(6)
		case surfaceBits, surfaceStream:
			left, top := f.u16(), f.u16()
			r := image.Rect(left, top, f.u16(), f.u16())
			depth, flags := f.u8(), f.u8()
			f.take(1)
			codec, w, h, size := f.u8(), f.u16(), f.u16(), f.u32()
			if size > maxFragment {
				return ErrWire
			}
			b := f.take(int(size))
			if f.bad || codec != 0 || flags != 0 || r.Min.X != left || r.Min.Y != top {
				return ErrWire
			}
			if err := c.picture(r, w, h, depth, false, b); err != nil {
				return err
			}
		default:
			return ErrWire
		}
	}
	return f.err()
}
