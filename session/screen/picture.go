package screen

import (
	"image"
	"slices"
)

// Picture is what the screen shows, made smaller by a whole factor until it is at most so
// wide; nil for a screen of no size.
func (s *Screen) Picture(widest int) *image.RGBA {
	s.mu.RLock()
	size, pix := s.size, slices.Clone(s.front)
	s.mu.RUnlock()
	if size.X == 0 || size.Y == 0 {
		return nil
	}
	by := max(1, (size.X+widest-1)/widest)
	small := image.NewRGBA(image.Rect(0, 0, max(1, size.X/by), max(1, size.Y/by)))
	for y := range small.Rect.Dy() {
		for x := range small.Rect.Dx() {
			copy(small.Pix[small.PixOffset(x, y):], average(pix, size, image.Pt(x*by, y*by), by))
		}
	}
	return small
}

// average is one pixel of what stands in a square.
func average(pix []uint32, size, at image.Point, by int) []byte {
	var r, g, b, n uint32
	for y := at.Y; y < min(at.Y+by, size.Y); y++ {
		for _, p := range pix[y*size.X+at.X : y*size.X+min(at.X+by, size.X)] {
			r, g, b, n = r+p>>16&0xff, g+p>>8&0xff, b+p&0xff, n+1
		}
	}
	return []byte{byte(r / n), byte(g / n), byte(b / n), 0xff}
}
