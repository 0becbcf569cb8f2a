package canvas

import "image"

// Canvas is a picture that is drawn on.
type Canvas struct {
	Size image.Point
	Pix  []uint32 // 0x00RRGGBB, row by row
}

// New is a black canvas.
func New(size image.Point) *Canvas {
	return &Canvas{size, make([]uint32, size.X*size.Y)}
}

// Bounds are all of it.
func (c *Canvas) Bounds() image.Rectangle { return image.Rectangle{Max: c.Size} }

// Part are the pixels of a part that lies on the canvas, from its left top on; a row is
// Size.X pixels.
func (c *Canvas) Part(r image.Rectangle) []uint32 { return c.Pix[r.Min.Y*c.Size.X+r.Min.X:] }

// Fill paints a box.
func (c *Canvas) Fill(r image.Rectangle, colour uint32) {
	r = r.Intersect(c.Bounds())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := c.Pix[y*c.Size.X+r.Min.X : y*c.Size.X+r.Max.X]
		for x := range row {
			row[x] = colour
		}
	}
}

// Shade paints a box from one colour at the top to another at the bottom, in few steps.
func (c *Canvas) Shade(r image.Rectangle, top, bottom uint32) {
	const steps = 12
	for i := range steps {
		y := func(n int) int { return r.Min.Y + r.Dy()*n/steps }
		c.Fill(image.Rect(r.Min.X, y(i), r.Max.X, y(i+1)), mix(top, bottom, i, steps-1))
	}
}

// Frame draws the edge of a box, one pixel wide, inside it.
func (c *Canvas) Frame(r image.Rectangle, colour uint32) {
	c.Edge(r, colour, colour)
}

// Edge is Frame with one colour for top and left, and another for bottom and right.
func (c *Canvas) Edge(r image.Rectangle, lit, dark uint32) {
	c.Fill(image.Rect(r.Min.X, r.Max.Y-1, r.Max.X, r.Max.Y), dark)
	c.Fill(image.Rect(r.Max.X-1, r.Min.Y, r.Max.X, r.Max.Y), dark)
	c.Fill(image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+1), lit)
	c.Fill(image.Rect(r.Min.X, r.Min.Y, r.Min.X+1, r.Max.Y), lit)
}

// Disc paints a circle with a hole; a hole of 0 is none.
func (c *Canvas) Disc(middle image.Point, radius, hole int, colour uint32) {
	box := image.Rect(-radius, -radius, radius+1, radius+1).Add(middle).Intersect(c.Bounds())
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			dx, dy := x-middle.X, y-middle.Y
			if d := dx*dx + dy*dy; d <= radius*radius && d >= hole*hole {
				c.Pix[y*c.Size.X+x] = colour
			}
		}
	}
}
