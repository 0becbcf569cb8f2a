package screen

import (
	"bytes"
	"image"
	"image/png"

	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// Picture is a screen as it is.
func Picture(s *frames.Screen) *image.RGBA {
	out := image.NewRGBA(image.Rectangle{Max: s.Size})
	for i, p := range s.Pix {
		out.Pix[4*i], out.Pix[4*i+1], out.Pix[4*i+2], out.Pix[4*i+3] = byte(p>>16), byte(p>>8), byte(p), 0xff
	}
	return out
}

// Thumb is a screen made small: no side is longer than most, and each of its pixels is the
// mean of those that it stands for.
func Thumb(s *frames.Screen, most int) *image.RGBA {
	most = max(MinThumb, min(most, MaxThumb))
	w, h := s.Size.X, s.Size.Y
	if long := max(w, h); long > most {
		w, h = max(1, w*most/long), max(1, h*most/long)
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			r := image.Rect(x*s.Size.X/w, y*s.Size.Y/h, (x+1)*s.Size.X/w, (y+1)*s.Size.Y/h)
			mean(out.Pix[out.PixOffset(x, y):], s, r)
		}
	}
	return out
}

func mean(out []byte, s *frames.Screen, in image.Rectangle) {
	var r, g, b, n uint32
	for y := in.Min.Y; y < in.Max.Y; y++ {
		for _, p := range s.Pix[y*s.Size.X+in.Min.X : y*s.Size.X+in.Max.X] {
			r, g, b, n = r+p>>16, g+p>>8&0xff, b+p&0xff, n+1
		}
	}
	out[0], out[1], out[2], out[3] = byte(r/n), byte(g/n), byte(b/n), 0xff
}

// errNothing says that no console, and no terminal, stood.
var errNothing = &session.Error{Kind: session.Invalid, Message: "Nothing was shown at this moment.", Next: "Choose another moment."}

// PNG is a picture as bytes.
func PNG(p image.Image) ([]byte, error) {
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestSpeed}
	err := e.Encode(&b, p)
	return b.Bytes(), err
}

// ThumbAt is a small picture of what a recording showed at a moment, as a PNG: of its
// console, or of its terminal.
func ThumbAt(src Source, at int64, most int) ([]byte, error) {
	show := Open(src)
	if err := show.Jump(at); err != nil {
		return nil, err
	}
	if show.Size.X > 0 {
		return PNG(Thumb(&show.Screen, most))
	}
	rows, cols := terminal.Standing(terminal.Drawn(show.scene.Snapshots), show.scene.Events[:show.next])
	if cols == 0 {
		return nil, errNothing
	}
	return PNG(Text(rows, cols))
}
