package screen

import "image"

// Key is a key that went down or up. Sym is the X keysym; Code the XT scancode (0x80 for
// the extended ones), 0 where the viewer did not say.
type Key struct {
	Sym  uint32
	Code uint32
	Down bool
}

// Pointer is where the pointer is, and which buttons are down: bit 0 left, 1 middle, 2
// right, 3 and 4 the wheel, 5 and 6 the wheel sideways, 7 and 8 the extra ones.
type Pointer struct {
	At      image.Point
	Buttons uint16
}

// Held knows what one engineer holds down, so that it can be let go of. It is of one
// goroutine at a time. The zero value holds nothing.
type Held struct {
	keys    []Key
	pointer Pointer
}

// Press takes note of a key. It reports whether the key may pass: an up without a down, and
// a key too many, may not.
func (h *Held) Press(k Key) bool {
	for i, held := range h.keys {
		if held.Sym != k.Sym || held.Code != k.Code {
			continue
		}
		if !k.Down {
			h.keys = append(h.keys[:i], h.keys[i+1:]...)
		}
		return true // down again is how a key repeats
	}
	if !k.Down || len(h.keys) >= maxHeld {
		return false
	}
	h.keys = append(h.keys, k)
	return true
}

// Point takes note of the pointer.
func (h *Held) Point(p Pointer) { h.pointer = p }

// Any reports whether something is held.
func (h *Held) Any() bool { return len(h.keys) > 0 || h.pointer.Buttons != 0 }

// Release is what lets go of all that is held, the last first: keys up, and the pointer,
// where it is, without buttons; nil where none is down. Nothing is held after it.
func (h *Held) Release() (keys []Key, pointer *Pointer) {
	for i := len(h.keys) - 1; i >= 0; i-- {
		k := h.keys[i]
		k.Down = false
		keys = append(keys, k)
	}
	h.keys = nil
	if h.pointer.Buttons != 0 {
		h.pointer.Buttons = 0
		p := h.pointer
		pointer = &p
	}
	return keys, pointer
}
