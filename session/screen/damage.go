package screen

import (
	"image"
	"math/bits"
)

// cells are the squares of a screen that are marked.
type cells struct {
	size  image.Point // of the screen, in pixels
	words int         // of one row of cells
	bits  []uint64
}

func newCells(size image.Point) cells {
	words := (columns(size.X) + 63) / 64
	return cells{size: size, words: words, bits: make([]uint64, words*columns(size.Y))}
}

// columns are how many cells so many pixels are.
func columns(pixels int) int { return (pixels + cell - 1) / cell }

// mark marks every cell that r touches.
func (c *cells) mark(r image.Rectangle) {
	if r = r.Intersect(image.Rectangle{Max: c.size}); r.Empty() {
		return
	}
	for y := r.Min.Y / cell; y < columns(r.Max.Y); y++ {
		for x := r.Min.X / cell; x < columns(r.Max.X); x++ {
			c.bits[y*c.words+x/64] |= 1 << (x % 64)
		}
	}
}

// join marks what other has marked; both are of one size.
func (c *cells) join(other cells) {
	for i, w := range other.bits {
		c.bits[i] |= w
	}
}

func (c *cells) clear() { clear(c.bits) }

func (c *cells) empty() bool {
	for _, w := range c.bits {
		if w != 0 {
			return false
		}
	}
	return true
}

// each calls f with the pixels of every marked cell; one that f says false of loses its mark.
func (c *cells) each(f func(image.Rectangle) bool) {
	for i, w := range c.bits {
		for w != 0 {
			bit := bits.TrailingZeros64(w)
			w &^= 1 << bit
			x, y := (i%c.words*64+bit)*cell, i/c.words*cell
			r := image.Rect(x, y, min(x+cell, c.size.X), min(y+cell, c.size.Y))
			if !f(r) {
				c.bits[i] &^= 1 << bit
			}
		}
	}
}

// rects are the marked cells as rectangles that do not overlap: runs of a row, and the
// same run of the rows below it in one.
func (c *cells) rects() (out []image.Rectangle) {
	open := map[[2]int]int{} // the runs that end at the row before, in out
	for y := 0; y*cell < c.size.Y; y++ {
		next := map[[2]int]int{}
		row := c.bits[y*c.words : (y+1)*c.words]
		for _, run := range runs(row) {
			r := image.Rect(run[0]*cell, y*cell, min(run[1]*cell, c.size.X), min((y+1)*cell, c.size.Y))
			if above, ok := open[run]; ok {
				out[above].Max.Y = r.Max.Y
				next[run] = above
				continue
			}
			next[run] = len(out)
			out = append(out, r)
		}
		open = next
	}
	return out
}

// runs are where marked cells of one row begin, and where they end.
func runs(row []uint64) (out [][2]int) {
	start := -1
	for x := range len(row) * 64 {
		set := row[x/64]&(1<<(x%64)) != 0
		switch {
		case set && start < 0:
			start = x
		case !set && start >= 0:
			out = append(out, [2]int{start, x})
			start = -1
		}
	}
	if start >= 0 {
		out = append(out, [2]int{start, len(row) * 64})
	}
	return out
}

// tiles are the marked cells as the tiles that they are in, row by row, and of each tile the
// box that they are in.
func (c *cells) tiles() (out []image.Point, boxes []image.Rectangle) {
	for y := 0; y < c.size.Y; y += Tile {
		for x := 0; x < c.size.X; x += Tile {
			if box := c.box(image.Rect(x, y, x+Tile, y+Tile)); !box.Empty() {
				out, boxes = append(out, image.Pt(x/Tile, y/Tile)), append(boxes, box.Sub(image.Pt(x, y)))
			}
		}
	}
	return out, boxes
}

// box is the smallest that all marked cells in r are in; r ends where cells end.
func (c *cells) box(r image.Rectangle) (box image.Rectangle) {
	r = r.Intersect(image.Rectangle{Max: c.size})
	for y := r.Min.Y / cell; y < columns(r.Max.Y); y++ {
		for x := r.Min.X / cell; x < columns(r.Max.X); x++ {
			if c.bits[y*c.words+x/64]&(1<<(x%64)) != 0 {
				box = box.Union(image.Rect(x*cell, y*cell, min((x+1)*cell, c.size.X), min((y+1)*cell, c.size.Y)))
			}
		}
	}
	return box
}
