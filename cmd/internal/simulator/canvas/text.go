package canvas

import (
	"bytes"
	"embed"
	"fmt"
	"image"
	"image/color"
	"image/png"
)

//go:embed font/*.png
var pictures embed.FS

// also are the letters behind ASCII and Latin-1.
const also = "ŒœŸ€–—…•"

// Fonts are the letters that a canvas has.
type Fonts struct {
	Regular, Bold, Mono, Large *Font
}

// Font is one size of letters. Height is that of a line, without space between lines.
type Font struct {
	Height int
	glyphs map[rune]glyph
}

// glyph is a letter: how much of the text's colour each pixel has, in sevenths.
type glyph struct {
	wide  int
	ink   []uint8
	blank bool
}

// ReadFonts reads the letters that this package embeds.
func ReadFonts() (f Fonts, err error) {
	for name, to := range map[string]**Font{"regular": &f.Regular, "bold": &f.Bold, "mono": &f.Mono, "large": &f.Large} {
		raw, err := pictures.ReadFile("font/" + name + ".png")
		if err != nil {
			return f, err
		}
		if *to, err = readFont(raw); err != nil {
			return f, fmt.Errorf("read the letters of %s: %w", name, err)
		}
	}
	return f, nil
}

// readFont cuts a picture into letters: the first row has a mark where each begins.
func readFont(raw []byte) (*Font, error) {
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	size := img.Bounds().Size()
	f := &Font{Height: size.Y - 1, glyphs: map[rune]glyph{}}
	shade := func(x, y int) uint8 {
		return uint8((int(color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y)*7 + 127) / 255)
	}
	x := 0
	for _, r := range letters() {
		end := x + 1
		for end < size.X && shade(end, 0) == 0 {
			end++
		}
		if x >= size.X {
			return nil, fmt.Errorf("%q is missing", r)
		}
		g := glyph{wide: end - x, blank: true}
		for y := 1; y < size.Y; y++ {
			for at := x; at < end; at++ {
				g.ink = append(g.ink, shade(at, y))
				g.blank = g.blank && shade(at, y) == 0
			}
		}
		f.glyphs[r] = g
		x = end
	}
	return f, nil
}

// letters are those of every picture, in their order.
func letters() (all []rune) {
	for r := ' '; r <= '~'; r++ {
		all = append(all, r)
	}
	for r := rune(0xa0); r <= 0xff; r++ {
		all = append(all, r)
	}
	return append(all, []rune(also)...)
}

// glyph is the letter, or a question mark where there is none.
func (f *Font) glyph(r rune) glyph {
	if g, ok := f.glyphs[r]; ok {
		return g
	}
	return f.glyphs['?']
}

// Width is how wide a text is.
func (f *Font) Width(s string) (w int) {
	for _, r := range s {
		w += f.glyph(r).wide
	}
	return w
}

// Fit is as much of a text as fits in so many pixels, with an ellipsis where some is left out.
func (f *Font) Fit(s string, wide int) string {
	if f.Width(s) <= wide {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && f.Width(string(runes)+"…") > wide {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// Text writes one line with its left top at a place, and returns where it ends.
func (c *Canvas) Text(at image.Point, f *Font, colour uint32, s string) int {
	for _, r := range s {
		g := f.glyph(r)
		if !g.blank {
			c.letter(at, f, g, colour)
		}
		at.X += g.wide
	}
	return at.X
}

func (c *Canvas) letter(at image.Point, f *Font, g glyph, colour uint32) {
	for i, ink := range g.ink {
		p := at.Add(image.Pt(i%g.wide, i/g.wide))
		if ink == 0 || !p.In(c.Bounds()) {
			continue
		}
		to := &c.Pix[p.Y*c.Size.X+p.X]
		*to = mix(*to, colour, int(ink), 7)
	}
}

// mix is a colour part/whole of the way from one to another.
func mix(from, to uint32, part, whole int) (rgb uint32) {
	for shift := 0; shift <= 16; shift += 8 {
		a, b := int(from>>shift&0xff), int(to>>shift&0xff)
		rgb |= uint32(a+(b-a)*part/whole) << shift
	}
	return rgb
}
