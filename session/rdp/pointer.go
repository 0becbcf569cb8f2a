package rdp

import (
	"encoding/binary"
	"image"
	"strings"

	"github.com/sallyport/sallyport/session/screen"
)

// pointer is a pointer of the slow path (MS-RDPBCGR 2.2.9.1.1.4).
func (c *Client) pointer(f *fields) error {
	kind := f.u16()
	f.take(2)
	code, ok := map[int]int{3: pointerPosition, 6: pointerColour, 7: pointerCached, 8: pointerNew, 9: pointerLarge}[kind]
	if kind == 1 {
		code, ok = pointerDefault, true
		if f.u32() == 0 {
			code = pointerNone
		}
	}
	if !ok || f.bad {
		return ErrWire
	}
	return c.shape(code, f)
}

// shape gives the screen another pointer. Where the console moves it to, nobody follows: the
// hand of whoever works is where it is.
func (c *Client) shape(code int, f *fields) error {
	switch code {
	case pointerNone:
		c.screen.SetCursor(screen.Cursor{})
	case pointerDefault:
		c.screen.SetCursor(arrow())
	case pointerPosition:
		f.take(4)
	case pointerCached:
		i := f.u16()
		if f.bad || i >= maxShapes || c.drawn.shapes[i] == nil {
			return ErrWire
		}
		c.screen.SetCursor(*c.drawn.shapes[i])
	case pointerColour, pointerNew, pointerLarge:
		depth := 24
		if code != pointerColour {
			depth = f.u16()
		}
		i, shape, err := picked(f, depth, code == pointerLarge)
		if err != nil {
			return err
		}
		if shape.Size.X > screen.MaxCursor || shape.Size.Y > screen.MaxCursor {
			shape = arrow()
		}
		c.drawn.shapes[i] = &shape
		c.screen.SetCursor(shape)
	}
	return f.err()
}

// picked is a pointer's picture (MS-RDPBCGR 2.2.9.1.1.4.4), and where it is kept.
func picked(f *fields, depth int, large bool) (int, screen.Cursor, error) {
	i := f.u16()
	hot, size := image.Pt(f.u16(), f.u16()), image.Pt(f.u16(), f.u16())
	var maskSize, pixSize int
	if large {
		maskSize, pixSize = int(f.u32()&0xfffffff), int(f.u32()&0xfffffff)
	} else {
		maskSize, pixSize = f.u16(), f.u16()
	}
	s := shaper{size: size, depth: depth, pix: f.take(pixSize), mask: f.take(maskSize)}
	ok := depth == 1 || depth == 8 || depth == 16 || depth == 24 || depth == 32
	if f.bad || !ok || i >= maxShapes || size.X > maxShape || size.Y > maxShape {
		return 0, screen.Cursor{}, ErrWire
	}
	if len(s.pix) < s.line(depth)*size.Y || len(s.mask) > 0 && len(s.mask) < s.line(1)*size.Y {
		return 0, screen.Cursor{}, ErrWire
	}
	s.clear = depth == 32 && s.shows()
	out := screen.Cursor{Size: size, Hot: hot, Pix: make([]uint32, size.X*size.Y)}
	for y := range size.Y {
		for x := range size.X {
			out.Pix[y*size.X+x] = s.at(x, size.Y-1-y) // the lowest row comes first
		}
	}
	return i, out, nil
}

type shaper struct {
	size      image.Point
	depth     int
	pix, mask []byte
	clear     bool // pixels without alpha are
}

// line is a row, which is padded to two bytes.
func (s *shaper) line(depth int) int { return (s.size.X*depth + 15) / 16 * 2 }

// at is a pixel of the pointer: its colour; where the mask is set, black is what is below it,
// and white the opposite of that. No viewer can show the opposite, so it is drawn in a pattern
// of black and white.
func (s *shaper) at(x, y int) uint32 {
	colour, alpha := s.colour(x, y)
	masked := len(s.mask) > 0 && s.mask[y*s.line(1)+x/8]&(0x80>>(x%8)) != 0
	switch {
	case s.clear && alpha != 0:
		return alpha<<24 | colour
	case s.clear && !masked:
		return 0
	case !masked, colour != 0 && colour != 0xffffff:
		return 0xff<<24 | colour
	case colour == 0:
		return 0
	case (x+y)%2 == 0:
		return 0xff << 24
	}
	return 0xffffffff
}

// shows reports whether any pixel of 32 bits has an alpha: then those without are clear.
func (s *shaper) shows() bool {
	for i := 3; i < len(s.pix); i += 4 {
		if s.pix[i] != 0 {
			return true
		}
	}
	return false
}

func (s *shaper) colour(x, y int) (colour, alpha uint32) {
	row := s.pix[y*s.line(s.depth):]
	switch s.depth {
	case 1:
		return -uint32(row[x/8]>>(7-x%8)&1) & 0xffffff, 0
	case 8: // by the palette of whom nobody tells; its ends are black and white
		return 0x010101 * uint32(row[x]), 0
	case 16:
		v := uint32(binary.LittleEndian.Uint16(row[2*x:]))
		return v>>10&0x1f*0xff/0x1f<<16 | v>>5&0x1f*0xff/0x1f<<8 | v&0x1f*0xff/0x1f, 0
	case 24:
		return uint32(row[3*x]) | uint32(row[3*x+1])<<8 | uint32(row[3*x+2])<<16, 0
	}
	v := binary.LittleEndian.Uint32(row[4*x:])
	return v & 0xffffff, v >> 24
}

// arrow is the pointer of a console that only says that there is one.
func arrow() screen.Cursor {
	rows := strings.Fields(`
		#........... ##.......... #o#......... #oo#........ #ooo#....... #oooo#......
		#ooooo#..... #oooooo#.... #ooooooo#... #oooooooo#.. #ooooo#####. #oo#oo#.....
		#o#.#oo#.... ##..#oo#.... #....#oo#... .....#oo#... ......##....`)
	out := screen.Cursor{Size: image.Pt(len(rows[0]), len(rows))}
	for _, row := range rows {
		for _, p := range row {
			out.Pix = append(out.Pix, map[rune]uint32{'#': 0xff000000, 'o': 0xffffffff}[p])
		}
	}
	return out
}
