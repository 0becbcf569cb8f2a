package bitmap

// Of a planar picture's first byte (MS-RDPEGDI 2.2.2.5.1).
const (
	lossLevel    = 0x07 // not 0: luma and two chromas, which lost so many bits - 1
	halfChroma   = 0x08
	planesRLE    = 0x10
	planesOpaque = 0x20
)

// planar decodes red, green and blue (or luma, orange and green), each a plane of its own.
// A plane of alpha, which a screen has no use for, is read over.
func (d *Decoder) planar(pix []uint32, w, h int, src []byte) error {
	if len(src) == 0 {
		return ErrPicture
	}
	head := src[0]
	src = src[1:]
	cw, ch := w, h
	if head&halfChroma != 0 {
		if head&lossLevel == 0 {
			return ErrPicture
		}
		cw, ch = (w+1)/2, (h+1)/2
	}
	whole, part := w*h, cw*ch
	if n := whole + 2*part; cap(d.planes) < n {
		d.planes = make([]byte, n)
	}
	room := d.planes[:whole+2*part]
	one, two, three := room[:whole], room[whole:whole+part], room[whole+part:]
	take := raw
	if head&planesRLE != 0 {
		take = plane
	}
	var err error
	if head&planesOpaque == 0 {
		if src, err = take(one, w, src); err != nil {
			return err
		}
	}
	for _, p := range []struct {
		to []byte
		w  int
	}{{one, w}, {two, cw}, {three, cw}} {
		if src, err = take(p.to, p.w, src); err != nil {
			return err
		}
	}
	if loss := head & lossLevel; loss != 0 {
		merge(pix, w, one, two, three, cw, cw != w || ch != h, loss-1)
		return nil
	}
	join(pix, w, one, two, three)
	return nil
}

func raw(dst []byte, _ int, src []byte) ([]byte, error) {
	if len(src) < len(dst) {
		return nil, ErrPicture
	}
	copy(dst, src)
	return src[len(dst):], nil
}

// plane decodes run lengths: the first row as it is, each other as the difference from the
// row before. No run passes the end of its row.
func plane(dst []byte, w int, src []byte) ([]byte, error) {
	for y := 0; y < len(dst); y += w {
		row := dst[y : y+w]
		var above []byte
		if y > 0 {
			above = dst[y-w : y]
		}
		for x, last := 0, byte(0); x < w; {
			if len(src) == 0 {
				return nil, ErrPicture
			}
			n, run := int(src[0]>>4), int(src[0]&0xf)
			switch run {
			case 1, 2:
				n, run = 0, n+16*run
			}
			src = src[1:]
			if len(src) < n || n+run > w-x || n+run == 0 {
				return nil, ErrPicture
			}
			if n > 0 {
				last = src[n-1]
			}
			if above == nil {
				copy(row[x:], src[:n])
				repeat(row[x+n:x+n+run], last)
			} else {
				differ(row[x:x+n], above[x:x+n], src[:n])
				shift(row[x+n:x+n+run], above[x+n:x+n+run], last)
			}
			src, x = src[n:], x+n+run
		}
	}
	return src, nil
}

func repeat(out []byte, v byte) {
	for i := range out {
		out[i] = v
	}
}

// difference is what a byte says of it: the lowest bit is the sign.
func difference(v byte) byte { return v>>1 ^ -(v & 1) }

func differ(out, above, by []byte) {
	above, by = above[:len(out)], by[:len(out)]
	for i := range out {
		out[i] = above[i] + difference(by[i])
	}
}

func shift(out, above []byte, by byte) {
	if by == 0 {
		copy(out, above)
		return
	}
	by = difference(by)
	above = above[:len(out)]
	for i := range out {
		out[i] = above[i] + by
	}
}

// join makes pixels of planes, the last row first.
func join(pix []uint32, w int, red, green, blue []byte) {
	for at, to := 0, len(pix)-w; to >= 0; at, to = at+w, to-w {
		out := pix[to : to+w]
		r, g, b := red[at:at+w], green[at:at+w], blue[at:at+w]
		for x := range out {
			out[x] = uint32(r[x])<<16 | uint32(g[x])<<8 | uint32(b[x])
		}
	}
}

// merge does so of luma and chroma.
func merge(pix []uint32, w int, luma, orange, green []byte, cw int, half bool, loss byte) {
	for at, y := len(pix)-w, 0; at >= 0; at, y = at-w, y+1 {
		out, l := pix[at:at+w], luma[y*w:(y+1)*w]
		row := y
		if half {
			row = y / 2
		}
		co, cg := orange[row*cw:(row+1)*cw], green[row*cw:(row+1)*cw]
		for x := range out {
			c := x
			if half {
				c = x / 2
			}
			out[x] = colourOf(int32(l[x]), int32(int8(co[c]<<loss)), int32(int8(cg[c]<<loss)))
		}
	}
}

// colourOf is MS-RDPEGDI 3.1.9.1.2, with the sign of orange that Windows sends.
func colourOf(luma, orange, green int32) uint32 {
	rest := luma - green
	return clamp(rest-orange)<<16 | clamp(luma+green)<<8 | clamp(rest+orange)
}

func clamp(v int32) uint32 { return uint32(max(0, min(v, 255))) }
