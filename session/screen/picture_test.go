package screen

import (
	"image"
	"image/color"
	"testing"
)

// all keeps everything.
type all struct{}

func (all) Keep(Change) error { return nil }

// A picture is what is shown, never what was only drawn, and what is hidden is not on it.
func TestAPictureIsWhatIsShown(t *testing.T) {
	s := New(Masks{Rules: []Mask{{Screen: image.Pt(64, 32), Boxes: []image.Rectangle{image.Rect(0, 0, 32, 32)}}}}, all{})
	if s.Picture(16) != nil {
		t.Error("a screen of no size has a picture")
	}
	if err := s.Resize(64, 32); err != nil {
		t.Fatal(err)
	}
	s.Fill(image.Rect(0, 0, 64, 32), 0x00804020)
	if err := s.Show(); err != nil {
		t.Fatal(err)
	}
	s.Fill(image.Rect(0, 0, 64, 32), 0x00ffffff)
	for widest, want := range map[int]image.Point{16: {16, 8}, 20: {16, 8}, 63: {32, 16}, 64: {64, 32}, 1000: {64, 32}, 1: {1, 1}} {
		if got := s.Picture(widest).Rect.Max; got != want {
			t.Errorf("at most %d wide: %v", widest, got)
		}
	}
	p := s.Picture(16)
	if got := p.RGBAAt(12, 4); got != (color.RGBA{0x80, 0x40, 0x20, 0xff}) {
		t.Errorf("%v", got)
	}
	if got := p.RGBAAt(3, 4); got == (color.RGBA{0x80, 0x40, 0x20, 0xff}) || got.R == 0xff {
		t.Errorf("what is hidden is seen: %v", got)
	}
}
