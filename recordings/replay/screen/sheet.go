package screen

import (
	"image"
	"image/color"
	"image/draw"
)

// A contact sheet has so many pictures, so large.
const (
	sheetColumns, sheetRows = 4, 6
	sheetSide, sheetGap     = 400, 12
)

// Sheet shows a recording at a glance: pictures of moments at equal distances, row by row.
// Where nothing stood a place is empty; without any picture there is no sheet.
func Sheet(src Source, duration int64) (*image.RGBA, error) {
	show := Open(src)
	var all []*image.RGBA
	var cell image.Point
	const n = sheetColumns * sheetRows
	for i := range int64(n) {
		if err := show.Jump(duration * (2*i + 1) / (2 * n)); err != nil {
			return nil, err
		}
		var small *image.RGBA
		if show.Size.X > 0 {
			small = Thumb(&show.Screen, sheetSide)
			cell.X, cell.Y = max(cell.X, small.Bounds().Dx()), max(cell.Y, small.Bounds().Dy())
		}
		all = append(all, small)
	}
	if cell == (image.Point{}) {
		return nil, errNothing
	}
	step := cell.Add(image.Pt(sheetGap, sheetGap))
	out := image.NewRGBA(image.Rect(0, 0, sheetGap+sheetColumns*step.X, sheetGap+sheetRows*step.Y))
	draw.Draw(out, out.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	for i, small := range all {
		if small != nil {
			at := image.Pt(sheetGap+i%sheetColumns*step.X, sheetGap+i/sheetColumns*step.Y)
			draw.Draw(out, small.Bounds().Add(at), small, image.Point{}, draw.Src)
		}
	}
	return out, nil
}
