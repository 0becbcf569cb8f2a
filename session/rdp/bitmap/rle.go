package bitmap

import "encoding/binary"

// What an order of interleaved run lengths does (MS-RDPBCGR 2.2.9.1.1.3.1.2.4); the short,
// the long and the longest form of each are one here.
const (
	backgroundRun    = 0x0
	foregroundRun    = 0x1
	maskedImage      = 0x2
	colourRun        = 0x3
	colourImage      = 0x4
	setForegroundRun = 0xc
	setMaskedImage   = 0xd
	ditheredRun      = 0xe
	firstMask        = 0xf9
	secondMask       = 0xfa
	whitePixel       = 0xfd
	blackPixel       = 0xfe
)

// unpacker writes values in the order of the stream.
type unpacker struct {
	dst       []uint32
	at, width int
	src       []byte
	size      int // of a value, in bytes
	fore      uint32
	first     bool // no row is above
	insert    bool // a background run that follows a background run begins with the foreground
}

func unpack(dst []uint32, width, depth, size int, src []byte) error {
	white := uint32(1)<<depth - 1
	u := unpacker{dst: dst, width: width, src: src, size: size, fore: white, first: true}
	for len(u.src) > 0 && u.at < len(dst) {
		if u.first && u.at >= width {
			u.first, u.insert = false, false
		}
		code, n, ok := u.order()
		if !ok {
			return ErrPicture
		}
		if code == setForegroundRun || code == setMaskedImage {
			if u.fore, ok = u.value(); !ok {
				return ErrPicture
			}
		}
		if n > len(dst)-u.at || code == ditheredRun && 2*n > len(dst)-u.at {
			return ErrPicture
		}
		if !u.draw(code, n, white) {
			return ErrPicture
		}
		u.insert = code == backgroundRun
	}
	clear(dst[u.at:]) // servers leave out rows that a picture does not need
	return nil
}

// order reads what comes next, and how many pixels (or pairs of them) it is of.
func (u *unpacker) order() (code byte, n int, ok bool) {
	b := u.src[0]
	u.src = u.src[1:]
	more := 0 // what the length in the next byte is more than
	switch {
	case b < 0xa0:
		code, n, more = b>>5, int(b&0x1f), 32
	case b < 0xc0:
		return 0, 0, false
	case b < 0xf0:
		code, n, more = b>>4, int(b&0xf), 16
	case b == firstMask || b == secondMask:
		return b, 8, true
	case b == whitePixel || b == blackPixel:
		return b, 1, true
	case b <= 0xf8 && b != 0xf5:
		if len(u.src) < 2 {
			return 0, 0, false
		}
		n = int(binary.LittleEndian.Uint16(u.src))
		u.src = u.src[2:]
		return [...]byte{0, 1, 2, 3, 4, 0, setForegroundRun, setMaskedImage, ditheredRun}[b&0xf], n, true
	default:
		return 0, 0, false
	}
	if code == maskedImage || code == setMaskedImage {
		n, more = 8*n, 1
	}
	if n == 0 {
		if len(u.src) == 0 {
			return 0, 0, false
		}
		n = int(u.src[0]) + more
		u.src = u.src[1:]
	}
	return code, n, true
}

func (u *unpacker) value() (uint32, bool) {
	if len(u.src) < u.size {
		return 0, false
	}
	var v [1]uint32
	values(v[:], u.size, u.src)
	u.src = u.src[u.size:]
	return v[0], true
}

// draw does what an order says; its n pixels fit.
func (u *unpacker) draw(code byte, n int, white uint32) bool {
	switch code {
	case backgroundRun:
		u.background(n)
	case foregroundRun, setForegroundRun:
		u.foreground(n)
	case maskedImage, setMaskedImage:
		return u.masked(n)
	case colourRun:
		v, ok := u.value()
		u.fill(n, v)
		return ok
	case colourImage:
		if len(u.src) < n*u.size {
			return false
		}
		if n > 0 {
			values(u.dst[u.at:u.at+n], u.size, u.src)
		}
		u.src, u.at = u.src[n*u.size:], u.at+n
	case ditheredRun:
		return u.dithered(n)
	case firstMask:
		u.mask(3, 8)
	case secondMask:
		u.mask(5, 8)
	case whitePixel:
		u.fill(1, white)
	case blackPixel:
		u.fill(1, 0)
	}
	return true
}

func (u *unpacker) background(n int) {
	if u.insert && n > 0 {
		u.foreground(1)
		n--
	}
	if u.first {
		u.fill(n, 0)
		return
	}
	for n > 0 {
		k := min(n, u.width)
		copy(u.dst[u.at:u.at+k], u.dst[u.at-u.width:])
		u.at, n = u.at+k, n-k
	}
}

func (u *unpacker) foreground(n int) {
	if u.first {
		u.fill(n, u.fore)
		return
	}
	out, above := u.dst[u.at:u.at+n], u.dst[u.at-u.width:]
	above = above[:len(out)]
	for i := range out {
		out[i] = above[i] ^ u.fore
	}
	u.at += n
}

func (u *unpacker) fill(n int, v uint32) {
	out := u.dst[u.at : u.at+n]
	for i := range out {
		out[i] = v
	}
	u.at += n
}

func (u *unpacker) dithered(n int) bool {
	a, okA := u.value()
	b, okB := u.value()
	if !okA || !okB {
		return false
	}
	out := u.dst[u.at : u.at+2*n]
	for i := 0; i+1 < len(out); i += 2 {
		out[i], out[i+1] = a, b
	}
	u.at += 2 * n
	return true
}

func (u *unpacker) masked(n int) bool {
	if len(u.src) < (n+7)/8 {
		return false
	}
	for ; n > 0; n -= 8 {
		u.mask(u.src[0], min(n, 8))
		u.src = u.src[1:]
	}
	return true
}

// mask draws up to eight pixels: the row above, in the foreground where a bit is set.
func (u *unpacker) mask(bits byte, n int) {
	out := u.dst[u.at : u.at+n]
	u.at += n
	if u.first {
		for i := range out {
			out[i] = u.fore & -uint32(bits>>i&1)
		}
		return
	}
	above := u.dst[u.at-n-u.width:]
	above = above[:len(out)]
	for i := range out {
		out[i] = above[i] ^ u.fore&-uint32(bits>>i&1)
	}
}
