package agent

import (
	"fmt"
	"image"

	"github.com/sallyport/sallyport/session/screen"
)

// TLS is how a console is known that speaks it.
type TLS struct {
	Pin string `yaml:"pin,omitempty"` // "sha256:..." of its certificate
}

// Mask hides boxes of a scanner's consoles of one size.
type Mask struct {
	Screen string   `yaml:"screen"` // "1280x1024"
	Boxes  [][4]int `yaml:"boxes"`  // x, y, width, height, in pixels
}

// hidden is what the asset's masks say. What does not say a size hides all.
func (a Asset) hidden() screen.Masks {
	masks := screen.Masks{Unknown: a.UnknownScreen}
	for _, m := range a.Masks {
		size, _ := m.size()
		rule := screen.Mask{Screen: size}
		for _, b := range m.Boxes {
			rule.Boxes = append(rule.Boxes, image.Rect(b[0], b[1], b[0]+b[2], b[1]+b[3]))
		}
		masks.Rules = append(masks.Rules, rule)
	}
	return masks
}

func (m Mask) size() (size image.Point, ok bool) {
	_, err := fmt.Sscanf(m.Screen, "%dx%d", &size.X, &size.Y)
	return size, err == nil && fmt.Sprintf("%dx%d", size.X, size.Y) == m.Screen
}

func (v *checker) masks(path string, a Asset) {
	for i, m := range a.Masks {
		at := fmt.Sprintf("%s[%d]", path, i)
		_, ok := m.size()
		v.require(at+".screen", ok, `a screen's size looks like "1280x1024"`)
		for j, b := range m.Boxes {
			v.require(fmt.Sprintf("%s.boxes[%d]", at, j), b[2] > 0 && b[3] > 0, "a box is [x, y, width, height], in pixels")
		}
	}
	if err := a.hidden().Check(); err != nil {
		v.require(path, false, err.Error())
	}
	consoles := false
	for _, e := range a.Endpoints {
		for _, s := range e.Services {
			consoles = consoles || s.Protocol.Shows()
		}
	}
	v.require(path, consoles || !a.hidden().Any() && a.UnknownScreen == "", "masks are for consoles, and this asset has none")
}
