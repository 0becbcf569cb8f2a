package bitmap

import (
	"encoding/binary"
	"errors"
)

// ErrPicture is a picture that is none.
var ErrPicture = errors.New("a picture that cannot be decoded")

// Decoder keeps the palette and the room that pictures are decoded in. The zero value has a
// black palette. It is of one goroutine.
type Decoder struct {
	Palette [256]uint32 // 0x00RRGGBB, for pictures of 8 bits

	pix    []uint32
	planes []byte
}

// Decode is the picture of w x h pixels at a depth of 8, 15, 16, 24 or 32 bits, from the top:
// 0x00RRGGBB row by row, valid until the next call.
func (d *Decoder) Decode(w, h, depth int, packed bool, src []byte) ([]uint32, error) {
	if w < 1 || h < 1 || w > MaxPixels || h > MaxPixels || w*h > MaxPixels {
		return nil, ErrPicture
	}
	if cap(d.pix) < w*h {
		d.pix = make([]uint32, w*h)
	}
	pix := d.pix[:w*h]
	size, ok := map[int]int{8: 1, 15: 2, 16: 2, 24: 3, 32: 4}[depth]
	switch {
	case !ok:
		return nil, ErrPicture
	case packed && depth == 32:
		return pix, d.planar(pix, w, h, src)
	case packed:
		if err := unpack(pix, w, depth, size, src); err != nil {
			return nil, err
		}
	default:
		if err := rows(pix, w, h, size, src); err != nil {
			return nil, err
		}
	}
	turn(pix, w)
	d.colour(pix, depth)
	return pix, nil
}

// rows are pixels as they are, each row padded to four bytes.
func rows(pix []uint32, w, h, size int, src []byte) error {
	line := (w*size + 3) &^ 3
	if len(src) < line*(h-1)+w*size {
		return ErrPicture
	}
	for y := range h {
		values(pix[y*w:(y+1)*w], size, src[y*line:])
	}
	return nil
}

// values reads pixels of so many bytes; src holds them all.
func values(out []uint32, size int, src []byte) {
	src = src[:len(out)*size]
	switch size {
	case 1:
		for i := range out {
			out[i] = uint32(src[i])
		}
	case 2:
		for i := range out {
			out[i] = uint32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case 3:
		n := 0
		for ; len(src) >= 4; n, src = n+1, src[3:] {
			out[n] = binary.LittleEndian.Uint32(src) & 0xffffff
		}
		out[n] = uint32(src[0]) | uint32(src[1])<<8 | uint32(src[2])<<16
	case 4:
		for i := range out {
			out[i] = binary.LittleEndian.Uint32(src[4*i:]) & 0xffffff
		}
	}
}

// turn puts the last row first: RDP sends the lowest row first.
func turn(pix []uint32, w int) {
	var kept [256]uint32
	for a, b := 0, len(pix)-w; a < b; a, b = a+w, b-w {
		for x := 0; x < w; x += len(kept) {
			n := min(len(kept), w-x)
			copy(kept[:n], pix[a+x:])
			copy(pix[a+x:a+x+n], pix[b+x:])
			copy(pix[b+x:b+x+n], kept[:n])
		}
	}
}

// colour makes colours of values.
func (d *Decoder) colour(pix []uint32, depth int) {
	switch depth {
	case 8:
		for i, v := range pix {
			pix[i] = d.Palette[v&0xff]
		}
	case 15:
		for i, v := range pix {
			red, green, blue := v&0x7c00, v&0x3e0, v&0x1f
			pix[i] = red<<9 | red<<4&0x70000 | green<<6 | green<<1&0x700 | blue<<3 | blue>>2
		}
	case 16:
		for i, v := range pix {
			red, green, blue := v&0xf800, v&0x7e0, v&0x1f
			pix[i] = red<<8 | red<<3&0x70000 | green<<5 | green>>1&0x300 | blue<<3 | blue>>2
		}
	}
}
