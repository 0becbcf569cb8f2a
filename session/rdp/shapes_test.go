package rdp

import (
	"bytes"
	"errors"
	"testing"
)

// What a Windows Server says, in the shapes in which captures of one have it: the same messages
// in the same order, of the same sizes and with the same kinds of fields. Nothing in them is
// what it said: captures are not ours to publish.

// brief is what the console says on a channel, with a length of one byte as Windows writes it.
func brief(channel int, b ...byte) []byte {
	if len(b) > 0x7f {
		return on(channel, b...)
	}
	return data(append(append(be16(be16([]byte{0x68}, 1), channel), 0x70, byte(len(b))), b...))
}

func briefly(kind byte, b ...byte) []byte {
	head := append(le16(le32(nil, 0x103ea), 0x200, len(b)+12), kind, 0, 0, 0)
	body := append(head, b...)
	return brief(1003, append(le16(nil, len(body)+6, shareData|0x10, 1002), body...)...)
}

// windowsResponse has the blocks of messages on a channel of their own and of other transports.
func windowsResponse(ids ...int) []byte {
	net := le16(le16(nil, 1003, len(ids)), ids...)
	if len(ids)%2 == 1 {
		net = append(net, 0, 0)
	}
	return response(block(0x0c01, le32(nil, 0x80010, 1, 0)[:10]), block(0x0c03, net), block(0x0c02, zeros(8)), block(0x0c04, le16(nil, 1008)), block(0x0c08, zeros(4)))
}

// windowsDemand has the 17 sets of capabilities of a Windows Server, and its sizes of each.
func windowsDemand(w, h int) []byte {
	var sets []byte
	kinds := [][2]int{{9, 8}, {1, 24}, {20, 12}, {10, 8}, {8, 10}, {27, 6}, {14, 8}, {2, 28}, {29, 96}, {3, 88}, {18, 8}, {13, 88}, {23, 8}, {24, 11}, {26, 8}, {28, 12}, {30, 8}}
	for _, k := range kinds {
		body := bytes.Repeat([]byte{byte(k[0])}, k[1]-4)
		switch k[0] {
		case 2:
			body = le16(nil, 32, 1, 1, 1, w, h, 0, 1, 1, 0x1e00, 1, 0)
		case 13:
			body = append(le16(nil, 0x375, 0), zeros(80)...)
		}
		sets = append(sets, capability(k[0], body)...)
	}
	caps := append(le16(nil, len(kinds), 0), sets...)
	b := append(le16(le32(nil, 0x103ea), 4, len(caps)), "RDP\x00"...)
	return control(demandActive, le32(append(b, caps...), 0))
}

// windowsOpening is until it takes input, with the short answer about licences.
func windowsOpening(w, h int, ids ...int) []byte {
	return join(windowsResponse(ids...), attached(), joins(append([]int{1007, 1003}, ids...)...),
		brief(1003, 0x80, 0, 0, 0, 0xff, 3, 16, 0, 7, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0),
		windowsDemand(w, h),
		briefly(dataSynchronize, 1, 0, 0, 0), briefly(dataControl, 4, 0, 0, 0, 0, 0, 0, 0), briefly(dataControl, 2, 0, 0xf1, 3, 0xea, 3, 0, 0), briefly(dataFontMap, 0, 0, 0, 0, 3, 0, 4, 0))
}

// windowsPointer is a pointer of so many pixels and bits, with the mask that belongs to it.
func windowsPointer(w, h, depth int, large bool) []byte {
	mask, pix := bytes.Repeat([]byte{0x5a}, (w+15)/16*2*h), bytes.Repeat([]byte{0x10, 0x80, 0xf0, 0xff}, (w*depth/8+1)/2*2*h/4+1)
	pix = pix[:(w*depth/8+1)/2*2*h]
	b := le16(nil, 3, w/2, h/2, w, h)
	if large {
		b = le32(b, uint32(len(mask)), uint32(len(pix)))
	} else {
		b = le16(b, len(mask), len(pix))
	}
	return append(join(b, pix, mask), 0)
}

// windowsWork is what it says while somebody works: pointers without end, who signed in and how
// to come back, and why it ends.
func windowsWork() []byte {
	fresh := append(le16(nil, 32), windowsPointer(41, 39, 32, false)...)
	cached := quickly(pointerCached, 3, 0)
	return join(quickly(updateSynchronize), quickly(pointerNew, fresh...), cached, cached,
		savedInfo(hasErrors, le32(nil, 0xfffffffe, 3)), savedInfo(hasCookie, cookieOf(2, 0xa5)),
		quickly(pointerColour, windowsPointer(32, 32, 24, false)...), quickly(pointerNew, append(le16(nil, 32), windowsPointer(32, 41, 32, false)...)...), cached,
		share(dataSaved, append(le32(nil, 1), zeros(612)...)...))
}

func windowsEnds(code uint32) []byte {
	return join(brief(1003, join(le16(nil, 22, 0x17, 0), le32(nil, 0x103ea), le16(nil, 0x100, 22), []byte{dataErrorInfo, 0, 0, 0}, le32(nil, code))...), data([]byte{0x21, 0x80}))
}

func windows() map[string][]byte {
	large := quick(piece(pointerLarge, single, append(le16(nil, 32), windowsPointer(87, 87, 32, true)...)...)...)
	return map[string][]byte{
		"worked at":   join(windowsOpening(1024, 768), windowsWork(), windowsEnds(0xb)),
		"signed out":  join(windowsOpening(1024, 768), quickly(updateSynchronize), windowsEnds(0xc)),
		"a clipboard": join(windowsOpening(1024, 768, 1004), windowsWork(), clipMessage(clipCaps, 0, join(le16(nil, 1, 0, 1, 12), le32(nil, 2, 0x3e))...), clipMessage(clipReady, 0), windowsEnds(0xb)),
		"large":       join(windowsOpening(1024, 768), large),
	}
}

// What has the shape of Windows is read to its end, and ends in Windows' words.
func TestWindowsShapesAreUnderstood(t *testing.T) {
	for name, b := range windows() {
		cfg := Config{}
		if name == "a clipboard" {
			cfg = Config{Copied: func(string) {}, Pastes: true}
		}
		s := newSeen()
		if err := says(b, s, cfg); errors.Is(err, ErrWire) || s.size.X != 1024 || s.cursor == nil && name != "signed out" {
			t.Errorf("%s: %v, a screen of %v", name, err, s.size)
		}
	}
}

// FuzzPointer is a pointer's picture alone.
func FuzzPointer(f *testing.F) {
	for i, depth := range []int{1, 8, 16, 24, 32} {
		f.Add(uint8(i), false, windowsPointer(41, 39, depth, false))
		f.Add(uint8(i), true, windowsPointer(87, 87, depth, true))
	}
	f.Fuzz(func(t *testing.T, depth uint8, large bool, b []byte) {
		i, shape, err := picked(&fields{b: b}, []int{1, 8, 16, 24, 32}[depth%5], large)
		if err == nil && (i >= maxShapes || len(shape.Pix) != shape.Size.X*shape.Size.Y) {
			t.Errorf("%d, %d pixels of %v", i, len(shape.Pix), shape.Size)
		}
	})
}

// FuzzClipboard is a message of the clipboard alone, in pieces as it comes.
func FuzzClipboard(f *testing.F) {
	for _, b := range [][]byte{
		le32(le16(nil, clipReady, 0), 0),
		join(le32(le16(nil, clipCaps, 0), 16), le16(nil, 1, 0, 1, 12), le32(nil, 2, 0x3e)),
		join(le32(le16(nil, clipList, 0), 36), le32(nil, clipText), zeros(32)),
		join(le32(le16(nil, clipList, 0), 20), le32(nil, 0xc004), wide("Native\x00")),
		join(le32(le16(nil, clipResponse, clipOK), 8), wide("abc\x00")),
		le32(le16(nil, clipRequest, 0), 4, clipText),
	} {
		f.Add(uint16(1600), b)
		f.Add(uint16(3), b)
	}
	o := clipping(20, 20)
	f.Fuzz(func(t *testing.T, step uint16, b []byte) {
		if step == 0 || len(b) > 1<<13 {
			return
		}
		said := bytes.Clone(o)
		for at := 0; at < len(b); at += int(step) {
			end, flags := min(at+int(step), len(b)), uint32(0)
			if at == 0 {
				flags |= 1
			}
			if end == len(b) {
				flags |= 2
			}
			said = append(said, clip(len(b), flags, b[at:end]...)...)
		}
		if err := says(said, keeper(forget), Config{Copied: func(string) {}, Pastes: true}); err == nil {
			t.Error("a console that is gone ends well")
		}
	})
}
