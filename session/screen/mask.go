package screen

import (
	"fmt"
	"image"
	"slices"

	"github.com/sallyport/sallyport/session"
)

// maskColour is what stands in place of what is hidden: no console's own black or white.
const maskColour = 0x3a4450

// Unknown is what becomes of a console whose size no rule knows.
type Unknown string

const (
	Hide Unknown = "hide" // all of it is hidden; also what "" means where there are rules
	Show Unknown = "show"
)

// Mask hides boxes of consoles of one size.
type Mask struct {
	Screen image.Point
	Boxes  []image.Rectangle
}

// Masks are the rules of one asset. Without a rule nothing is hidden.
type Masks struct {
	Rules   []Mask
	Unknown Unknown
}

// Check reports what is wrong with the rules, for the configuration's reader.
func (m Masks) Check() error {
	seen := map[image.Point]bool{}
	for _, rule := range m.Rules {
		size := fmt.Sprintf("%dx%d", rule.Screen.X, rule.Screen.Y)
		switch {
		case Fits(rule.Screen.X, rule.Screen.Y) != nil:
			return session.Errorf(session.Invalid, "masks: no console has %s pixels", size).WithNext("Write screen: 1280x1024.")
		case seen[rule.Screen]:
			return session.Errorf(session.Invalid, "masks: %s has two rules", size).WithNext("Write all boxes of one size in one rule.")
		}
		seen[rule.Screen] = true
		for _, b := range rule.Boxes {
			if b.Empty() || !b.In(image.Rectangle{Max: rule.Screen}) {
				return session.Errorf(session.Invalid, "masks: the box %v is not on a screen of %s", b, size).
					WithNext("Write boxes as [x, y, width, height], in pixels.")
			}
		}
	}
	if m.Unknown != "" && m.Unknown != Hide && m.Unknown != Show {
		return session.Errorf(session.Invalid, "unknown_screen: %q is neither hide nor show", string(m.Unknown)).WithNext("Leave it out to hide.")
	}
	return nil
}

// Any reports whether something may be hidden.
func (m Masks) Any() bool { return len(m.Rules) > 0 || m.Unknown == Hide }

// HideAll reports whether nothing is seen of a console of this size.
func (m Masks) HideAll(size image.Point) bool {
	return slices.Contains(m.of(size), image.Rectangle{Max: size})
}

// of is what is hidden of a console of this size.
func (m Masks) of(size image.Point) []image.Rectangle {
	for _, rule := range m.Rules {
		if rule.Screen == size {
			return rule.Boxes
		}
	}
	if m.Any() && m.Unknown != Show {
		return []image.Rectangle{{Max: size}}
	}
	return nil
}
