package rdp

import (
	"image"
	"slices"
	"unicode/utf16"

	"github.com/sallyport/sallyport/session/screen"
)

// Of the input capability (MS-RDPBCGR 2.2.7.1.6).
const (
	moreButtons = 0x4
	fastInput   = 0x8
	unicodeKeys = 0x10
	fastInput2  = 0x20
	wideWheel   = 0x100
)

// Of events (MS-RDPBCGR 2.2.8.1.2.2), and of the locks in one of them.
const (
	eventKey   = 0 << 5
	eventMouse = 1 << 5
	eventMore  = 2 << 5
	eventSync  = 3 << 5
	eventText  = 4 << 5
	released   = 1
	extended   = 2

	scrollLock = 1
	numLock    = 2
	capsLock   = 4
)

// hands is what the console knows of the engineer's keyboard and mouse.
type hands struct {
	ready   bool
	share   uint32
	can     int // of the console's input
	pointer screen.Pointer
	locks   int   // which are on at the console
	held    []int // scancodes
	met     bool  // the locks were set once
}

// Press sends a key by its scancode, or by its character where the viewer knows no more.
func (c *Client) Press(k screen.Key) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.hands
	if !h.ready {
		return nil
	}
	code := int(k.Code) & 0xff
	if code == 0 {
		code = scancode(k.Sym, h.commands())
	}
	if code == 0 {
		return c.events(h.characters(k)...)
	}
	var out [][]byte
	if want := h.wanted(k, code); k.Down && want != h.locks {
		h.locks = want
		out = h.sync()
	}
	h.hold(code, k.Down)
	if on := map[int]int{0x3a: capsLock, 0x45: numLock, 0x46: scrollLock}[code]; k.Down {
		h.locks ^= on
	}
	return c.events(append(out, key(code, k.Down))...)
}

func key(code int, down bool) []byte {
	head := byte(eventKey)
	if !down {
		head |= released
	}
	if code&0x80 != 0 {
		head |= extended
	}
	return []byte{head, byte(code & 0x7f)}
}

func (h *hands) hold(code int, down bool) {
	i := slices.Index(h.held, code)
	switch {
	case down && i < 0 && len(h.held) < maxHeld:
		h.held = append(h.held, code)
	case !down && i >= 0:
		h.held = slices.Delete(h.held, i, i+1)
	}
}

func (h *hands) holds(codes ...int) bool {
	return slices.ContainsFunc(codes, func(code int) bool { return slices.Contains(h.held, code) })
}

// commands reports whether what is held makes commands of letters.
func (h *hands) commands() bool { return h.holds(0x1d, 0x9d, 0x38, 0xdb, 0xdc) }

// wanted are the locks at the engineer's keyboard, as far as a key tells: a capital without
// Shift, a digit of the keypad.
func (h *hands) wanted(k screen.Key, code int) int {
	shifted := h.holds(0x2a, 0x36)
	on := func(lock int, is bool) int {
		if is {
			return h.locks | lock
		}
		return h.locks &^ lock
	}
	switch upper := k.Sym >= 'A' && k.Sym <= 'Z'; {
	case h.commands() || h.holds(0xb8):
	case upper || k.Sym >= 'a' && k.Sym <= 'z':
		return on(capsLock, upper != shifted)
	case shifted || code < 0x47 || code > 0x53 || code == 0x4a || code == 0x4e:
	case k.Sym >= 0xffb0 && k.Sym <= 0xffb9 || k.Sym == 0xffac || k.Sym == 0xffae:
		return on(numLock, true)
	case k.Sym >= 0xff95 && k.Sym <= 0xff9f:
		return on(numLock, false)
	}
	return h.locks
}

// sync sets the locks. The console lets go of all keys by it, so those that are held go down
// again.
func (h *hands) sync() [][]byte {
	out := [][]byte{{eventSync | byte(h.locks)}}
	for _, code := range h.held {
		out = append(out, key(code, true))
	}
	return out
}

// synchronise is what a console is told as it begins, for who holds mu.
func (c *Client) synchronise() error {
	if h := &c.hands; !h.met {
		h.met, h.locks = true, numLock
	}
	c.hands.held = nil // it begins with all keys up
	return c.events(c.hands.sync()...)
}

// lit are the lamps of the console's keyboard.
func (c *Client) lit(locks int) {
	c.mu.Lock()
	c.hands.locks = locks & (scrollLock | numLock | capsLock)
	c.mu.Unlock()
}

// characters sends what a key writes, where the console takes that.
func (h *hands) characters(k screen.Key) (out [][]byte) {
	r := character(k.Sym)
	if r == 0 || h.can&unicodeKeys == 0 {
		return nil
	}
	head := byte(eventText)
	if !k.Down {
		head |= released
	}
	for _, unit := range utf16.Encode([]rune{r}) {
		out = append(out, le16([]byte{head}, int(unit)))
	}
	return out
}

// Of mouse events (MS-RDPBCGR 2.2.8.1.1.3.1.1.3).
const (
	mouseMove   = 0x0800
	mouseDown   = 0x8000
	mouseForth  = 0x78
	mouseBack   = 0x188
	mouseWheel  = 0x0200
	mouseHWheel = 0x0400
)

// Point moves the pointer, and presses and lets go of its buttons.
func (c *Client) Point(p screen.Pointer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.hands
	p.At = image.Pt(max(0, min(p.At.X, 0xffff)), max(0, min(p.At.Y, 0xffff)))
	before := h.pointer
	h.pointer = p
	if !h.ready {
		return nil
	}
	var out [][]byte
	event := func(head byte, flags int) { out = append(out, le16([]byte{head}, flags, p.At.X, p.At.Y)) }
	changed := before.Buttons ^ p.Buttons
	if before.At != p.At || changed == 0 {
		event(eventMouse, mouseMove)
	}
	for bit := range 9 {
		mask := uint16(1) << bit
		if changed&mask == 0 {
			continue
		}
		down := p.Buttons&mask != 0
		if bit >= 3 && bit <= 6 { // the wheel turns once as it goes down
			if turns := [...]int{mouseWheel | mouseForth, mouseWheel | mouseBack, mouseHWheel | mouseBack, mouseHWheel | mouseForth}[bit-3]; down && (bit < 5 || h.can&wideWheel != 0) {
				event(eventMouse, turns)
			}
			continue
		}
		flags := 0
		if down {
			flags = mouseDown
		}
		switch {
		case bit < 3:
			event(eventMouse, flags|[...]int{0x1000, 0x4000, 0x2000}[bit])
		case h.can&moreButtons != 0:
			event(eventMore, flags|bit-6)
		}
	}
	return c.events(out...)
}

// events sends some, for who holds mu.
func (c *Client) events(events ...[]byte) error {
	for len(events) > 0 {
		n := min(len(events), maxInput)
		b := slices.Concat(events[:n]...)
		if err := c.write(append(be16([]byte{byte(n << 2)}, len(b)+3|0x8000), b...)); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}
