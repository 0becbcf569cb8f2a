package screen

import (
	"image"
	"image/color"
	"unicode"
)

// Text is a terminal's text made so small that it shows where something stands, and not
// what: a pixel is a character, and a row of characters is two pixels high.
func Text(rows []string, cols int) *image.RGBA {
	const edge = 2
	ground, letter, sign := color.RGBA{0x12, 0x18, 0x1c, 0xff}, color.RGBA{0xc8, 0xd2, 0xd6, 0xff}, color.RGBA{0x74, 0x80, 0x86, 0xff}
	cols = min(cols, MaxThumb-2*edge)
	rows = rows[max(0, len(rows)-MaxThumb/2+edge):]
	out := image.NewRGBA(image.Rect(0, 0, cols+2*edge, 2*len(rows)+2*edge))
	for i := range out.Pix {
		out.Pix[i] = [4]byte{ground.R, ground.G, ground.B, 0xff}[i%4]
	}
	for y, row := range rows {
		x := 0
		for _, r := range row {
			switch {
			case x >= cols:
			case unicode.IsLetter(r) || unicode.IsDigit(r):
				out.SetRGBA(x+edge, 2*y+edge, letter)
			case !unicode.IsSpace(r):
				out.SetRGBA(x+edge, 2*y+edge, sign)
			}
			x++
		}
	}
	return out
}
