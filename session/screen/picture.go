package screen

import "image"

// Picture is what the screen shows, made smaller by a whole factor until it is at most so
// wide; nil for a screen of no size.
func (s *Screen) Picture(widest int) *image.RGBA {
	s.mu.RLock()
	shown := s.front
	s.mu.RUnlock()
	size := shown.Size
	if size.X == 0 || size.Y == 0 {
		return nil
	}
	by := max(1, (size.X+widest-1)/widest)
	small := image.NewRGBA(image.Rect(0, 0, max(1, size.X/by), max(1, size.Y/by)))
	var rows []uint32
	for y := range small.Rect.Dy() {
		rows = shown.Pixels(rows[:0], image.Rect(0, y*by, size.X, min((y+1)*by, size.Y)))
		for x := range small.Rect.Dx() {
			copy(small.Pix[small.PixOffset(x, y):], average(rows, size.X, x*by, by))
		}
	}
	return small
}

// average is one pixel of what stands in so many columns of some rows.
func average(rows []uint32, wide, x, by int) []byte {
	var r, g, b, n uint32
	for ; len(rows) > 0; rows = rows[wide:] {
		for _, p := range rows[x:min(x+by, wide)] {
			r, g, b, n = r+p>>16&0xff, g+p>>8&0xff, b+p&0xff, n+1
		}
	}
	return []byte{byte(r / n), byte(g / n), byte(b / n), 0xff}
}
