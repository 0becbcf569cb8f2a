package rfb

import "errors"

// ErrWire is what everything is that is not RFB.
var ErrWire = errors.New("this is not RFB")

// Security types (RFC 6143 section 7.1.2 and IANA's registry).
const (
	Invalid   = 0
	None      = 1
	VNCAuth   = 2
	RA2       = 5
	RA2Plain  = 6
	Tight16   = 16
	VeNCrypt  = 19
	MSLogonII = 113
	Apple     = 30
	AppleKey  = 33
	AppleSRP  = 36
)

// Encodings (RFC 6143 section 7.7, and rfbproto for the negative ones beside Cursor and
// DesktopSize).
const (
	Raw      = 0
	CopyRect = 1
	Hextile  = 5
	Tight    = 7
	ZRLE     = 16

	Cursor              = -239
	DesktopSize         = -223
	LastRect            = -224
	ExtendedKeys        = -258
	ExtendedDesktopSize = -308
	Fence               = -312
	ContinuousUpdates   = -313
	ExtendedClipboard   = -0x3f5e1a32 // 0xc0a1e5ce
)

// Messages of the viewer, and of the server.
const (
	SetPixelFormat   = 0
	SetEncodings     = 2
	UpdateRequest    = 3
	KeyEvent         = 4
	PointerEvent     = 5
	ClientCutText    = 6
	EnableContinuous = 150
	FenceMessage     = 248
	SetDesktopSize   = 251
	QEMU             = 255
	QEMUKey          = 0

	Update           = 0
	ColourMap        = 1
	Bell             = 2
	ServerCutText    = 3
	EndOfContinuous  = 150
	FenceRequest     = 1 << 31
	FenceBlockBefore = 1 << 0
	FenceBlockAfter  = 1 << 1
	FenceSyncNext    = 1 << 2
)

// Format is how a pixel is written (RFC 6143 section 7.4).
type Format struct {
	Bits, Depth                     uint8
	BigEndian, TrueColour           bool
	RedMax, GreenMax, BlueMax       uint16
	RedShift, GreenShift, BlueShift uint8
}

// Native is the format of a Screen's pixels: 32 bits, little endian, 0x00RRGGBB.
func Native() Format {
	return Format{Bits: 32, Depth: 24, TrueColour: true, RedMax: 255, GreenMax: 255, BlueMax: 255, RedShift: 16, GreenShift: 8}
}

// FormatSize is a format on the wire.
const FormatSize = 16

// ParseFormat reads a format; one in which no pixel can be written is refused.
func ParseFormat(b []byte) (Format, error) {
	if len(b) != FormatSize {
		return Format{}, ErrWire
	}
	f := Format{
		Bits: b[0], Depth: b[1], BigEndian: b[2] != 0, TrueColour: b[3] != 0,
		RedMax: be16(b[4:]), GreenMax: be16(b[6:]), BlueMax: be16(b[8:]),
		RedShift: b[10], GreenShift: b[11], BlueShift: b[12],
	}
	if f.Bits != 8 && f.Bits != 16 && f.Bits != 32 || f.Depth == 0 || f.Depth > 32 {
		return f, ErrWire
	}
	for _, c := range f.channels() {
		if c.max&(c.max+1) != 0 || f.TrueColour && (c.max == 0 || int(c.shift)+c.bits() > int(f.Bits)) {
			return f, ErrWire
		}
	}
	return f, nil
}

// Bytes is the format on the wire.
func (f Format) Bytes() []byte {
	b := make([]byte, FormatSize)
	b[0], b[1], b[2], b[3] = f.Bits, f.Depth, one(f.BigEndian), one(f.TrueColour)
	put16(b[4:], f.RedMax)
	put16(b[6:], f.GreenMax)
	put16(b[8:], f.BlueMax)
	b[10], b[11], b[12] = f.RedShift, f.GreenShift, f.BlueShift
	return b
}

type channel struct {
	max   uint16
	shift uint8
}

func (c channel) bits() (n int) {
	for m := c.max; m > 0; m >>= 1 {
		n++
	}
	return n
}

func (f Format) channels() [3]channel {
	return [3]channel{{f.RedMax, f.RedShift}, {f.GreenMax, f.GreenShift}, {f.BlueMax, f.BlueShift}}
}

// Size is how many bytes a pixel takes.
func (f Format) Size() int { return int(f.Bits) / 8 }

// Short reports whether ZRLE and Tight write the pixels of this format in three bytes: its
// colours lie in the lower or the upper three of four (RFC 6143 section 7.7.5, CPIXEL).
func (f Format) Short() (short, upper bool) {
	if f.Bits != 32 || f.Depth > 24 || !f.TrueColour {
		return false, false
	}
	low, high := true, true
	for _, c := range f.channels() {
		low = low && int(c.shift)+c.bits() <= 24
		high = high && c.shift >= 8
	}
	return low || high, !low && high
}

// Exact reports whether Tight writes the colours of this format as red, green, blue
// (rfbproto, TPIXEL).
func (f Format) Exact() bool {
	return f.Bits == 32 && f.Depth == 24 && f.TrueColour && f.RedMax == 255 && f.GreenMax == 255 && f.BlueMax == 255
}

// Put appends a pixel.
func (f Format) Put(b []byte, rgb uint32) []byte {
	v := f.value(rgb)
	switch {
	case f.Bits == 8:
		return append(b, byte(v))
	case f.Bits == 16 && f.BigEndian:
		return append(b, byte(v>>8), byte(v))
	case f.Bits == 16:
		return append(b, byte(v), byte(v>>8))
	case f.BigEndian:
		return append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
}

// PutShort appends a pixel as ZRLE writes it.
func (f Format) PutShort(b []byte, rgb uint32) []byte {
	short, upper := f.Short()
	if !short {
		return f.Put(b, rgb)
	}
	v := f.value(rgb)
	if upper {
		v >>= 8
	}
	if f.BigEndian {
		return append(b, byte(v>>16), byte(v>>8), byte(v))
	}
	return append(b, byte(v), byte(v>>8), byte(v>>16))
}

// value is a colour in the format's bits, rounded.
func (f Format) value(rgb uint32) (v uint32) {
	for i, c := range f.channels() {
		part := rgb >> (16 - 8*i) & 0xff
		v |= (part*uint32(c.max) + 127) / 255 << c.shift
	}
	return v
}

// Colour is 0x00RRGGBB of a pixel's value.
func (f Format) Colour(v uint32) (rgb uint32) {
	for _, c := range f.channels() {
		part := v >> c.shift & uint32(c.max)
		rgb = rgb<<8 | (part*255+uint32(c.max)/2)/max(uint32(c.max), 1)
	}
	return rgb
}

// Value reads a pixel of Size bytes.
func (f Format) Value(b []byte) uint32 {
	switch {
	case f.Bits == 8:
		return uint32(b[0])
	case f.Bits == 16 && f.BigEndian:
		return uint32(be16(b))
	case f.Bits == 16:
		return uint32(b[0]) | uint32(b[1])<<8
	case f.BigEndian:
		return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	}
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func be16(b []byte) uint16     { return uint16(b[0])<<8 | uint16(b[1]) }
func put16(b []byte, v uint16) { b[0], b[1] = byte(v>>8), byte(v) }
func one(yes bool) byte {
	if yes {
		return 1
	}
	return 0
}
