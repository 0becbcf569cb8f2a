package canvas

import (
	"image"
	"slices"
	"testing"
)

func TestEveryLetterOfGermanAndFrenchIsThere(t *testing.T) {
	fonts, err := ReadFonts()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*Font{fonts.Regular, fonts.Bold, fonts.Mono, fonts.Large} {
		for _, r := range "AZaz09 ÄÖÜäöüßẞ ÀÂÆÇÉÈÊËÎÏÔŒÙÛÜŸàâæçéèêëîïôœùûüÿ €«»–…" {
			_, ok := f.glyphs[r]
			if !ok && r != 'ẞ' { // the one capital that keyboards do not have
				t.Errorf("no %q", r)
			}
			if g := f.glyphs[r]; ok && r != ' ' && g.blank {
				t.Errorf("%q shows nothing", r)
			}
		}
		if f.Width("iii") > f.Width("MMM") || f.Width("ab") != f.Width("a")+f.Width("b") {
			t.Error("widths do not add up")
		}
	}
	if f := fonts.Regular; f.Fit("short", 100) != "short" || f.Width(f.Fit("a long name of a patient", 60)) > 60 {
		t.Error(f.Fit("a long name of a patient", 60))
	}
}

// What is drawn beside the canvas changes nothing and harms nobody.
func TestWhatIsOutsideIsLeftOut(t *testing.T) {
	fonts, err := ReadFonts()
	if err != nil {
		t.Fatal(err)
	}
	c := New(image.Pt(20, 10))
	for _, at := range []image.Point{{-200, -200}, {200, 200}, {-200, 3}, {3, 200}} {
		c.Text(at, fonts.Large, 0xffffff, "W")
		c.Fill(image.Rect(0, 0, 9, 9).Add(at), 0xffffff)
		c.Disc(at, 5, 2, 0xffffff)
		c.Frame(image.Rect(0, 0, 9, 9).Add(at), 0xffffff)
	}
	if slices.Max(c.Pix) != 0 {
		t.Error("something was drawn")
	}
	c.Text(image.Pt(-3, -3), fonts.Large, 0xffffff, "W")
	c.Shade(image.Rect(10, 5, 40, 40), 0x102030, 0x405060)
	if c.Pix[5*20+10] != 0x102030 || slices.Max(c.Pix) == 0 {
		t.Error("what is inside is not drawn")
	}
}
