package rdp

import (
	"bytes"
	"errors"
	"image"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// hostile are things that no console may say, each ending the connection as something that
// is not RDP.
func hostile() map[string][]byte {
	all := map[string][]byte{}
	for _, of := range []map[string][]byte{hostileJoins(), hostileStarts(), hostileUpdates(), hostilePictures(), hostilePointers(), hostileClips()} {
		for name, b := range of {
			all[name] = b
		}
	}
	return all
}

func zeros(n int) []byte { return make([]byte, n) }

func hostileJoins() map[string][]byte {
	r, a := response(channels()), attached()
	cut := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	return map[string][]byte{
		"another protocol":                {'S', 'S', 'H', '-', '2', '.', '0'},
		"TPKT of version 4":               {4, 0, 0, 10, 2, 0xf0, 0x80, 0, 0, 0},
		"TPKT with something reserved":    {3, 1, 0, 10, 2, 0xf0, 0x80, 0, 0, 0},
		"TPKT of nothing":                 {3, 0, 0, 0, 2, 0xf0, 0x80},
		"TPKT of its head":                {3, 0, 0, 4, 2, 0xf0, 0x80},
		"TPKT of 6":                       {3, 0, 0, 6, 2, 0xf0, 0x80},
		"no data":                         tpkt([]byte{2, 0xe0, 0x80, 0, 0}),
		"data in pieces":                  tpkt([]byte{2, 0xf0, 0, 0, 0}),
		"fast before all else":            quickly(updateSynchronize),
		"no response":                     data([]byte{1, 2, 3, 4}),
		"a response of another tag":       cut(r, 8, 0x65),
		"a response of 64 KB":             cut(r, 9, 0x82, 0xff, 0xff),
		"a response of 16 MB":             cut(r, 9, 0x83, 0xff, 0xff),
		"a response without end":          cut(r, 9, 0x80),
		"a response with a long length":   cut(r, 9, 0xff),
		"a result that is bad":            cut(r, 14, 9),
		"a conference that is none":       bytes.Replace(r, []byte("McDn"), []byte("McDm"), 1),
		"a node of 255 bytes":             bytes.Replace(r, []byte{0x76, 0x0a, 1, 1}, []byte{0x76, 0x0a, 0xff, 1}, 1),
		"no blocks":                       response(),
		"a block of nothing":              response([]byte{1, 0x0c, 0, 0}),
		"a block of 3":                    response([]byte{1, 0x0c, 3, 0}),
		"a block of 64 KB":                response([]byte{1, 0x0c, 0xff, 0xff}),
		"half a block":                    response([]byte{1, 0x0c}),
		"no channels":                     response(block(0x0c02, zeros(8))),
		"half of the encryption":          response(block(0x0c02, zeros(5)), channels()),
		"channels of nothing":             response(block(0x0c03, nil)),
		"a main channel of 0":             response(block(0x0c03, zeros(4))),
		"channels that nobody asked for":  response(channels(1004, 1005)),
		"65535 channels":                  response(block(0x0c03, []byte{0xeb, 3, 0xff, 0xff})),
		"no user":                         join(r, data([]byte{0x2e, 0})),
		"a user that is refused":          join(r, data([]byte{0x2e, 1, 0, 6})),
		"another confirm for the user":    join(r, data([]byte{0x3e, 0, 0, 6})),
		"a join that is refused":          join(r, a, data([]byte{0x3e, 1, 0, 6, 3, 0xef, 3, 0xef})),
		"a join of another channel":       join(r, a, joins(1003)),
		"a join of half a channel":        join(r, a, data([]byte{0x3e, 0, 0, 6, 3, 0xef, 3})),
		"joins in another order":          join(r, a, joins(1007, 1007)),
		"fast instead of a join":          join(r, a, quickly(updateSynchronize)),
		"data before the joins":           join(r, a, licensed()),
		"a message of an unknown kind":    join(r, a, joins(1007, 1003), data([]byte{0x70, 0, 0, 0})),
		"a message of nothing":            join(r, a, joins(1007, 1003), data(nil)),
		"an indication cut":               join(r, a, joins(1007, 1003), data([]byte{0x68, 0, 1})),
		"an indication longer than it is": join(r, a, joins(1007, 1003), data([]byte{0x68, 0, 1, 3, 0xeb, 0x70, 0xff, 0xff})),
		"a channel nobody joined":         join(r, a, joins(1007, 1003), on(1009, 1, 2, 3, 4)),
		"channel 0":                       join(r, a, joins(1007, 1003), on(0, 1, 2, 3, 4)),
	}
}

func hostileStarts() map[string][]byte {
	o := join(response(channels()), attached(), joins(1007, 1003))
	l := join(o, licensed())
	caps := func(n int, sets ...[]byte) []byte {
		all := append(le16(nil, n, 0), join(sets...)...)
		return join(l, control(demandActive, append(append(le16(le32(nil, 1), 4, len(all)), "RDP\x00"...), all...)))
	}
	return map[string][]byte{
		"a licence of an unknown kind":         join(o, on(1003, 0x80, 0, 0, 0, 0x55, 3, 4, 0)),
		"a licence of nothing":                 join(o, on(1003, 0x80, 0, 0, 0)),
		"licences without end":                 join(o, bytes.Repeat(licensed(), maxRounds+1)),
		"questions for a licence without end":  join(o, bytes.Repeat(on(1003, 0x80, 0, 0, 0, 1, 3, 8, 0, 1, 2, 3, 4), maxRounds+1)),
		"a storm of ends and starts":           join(opening(8, 8), bytes.Repeat(join(control(deactivateAll, nil), demand(8, 8), finished()), maxStarts+1)),
		"a storm of sizes":                     join(opening(8, 8), bytes.Repeat(join(demand(8, 8), demand(9, 9)), maxStarts)),
		"a licence after the start":            join(opening(8, 8), licensed()),
		"half an error of licences":            join(o, on(1003, 0x80, 0, 0, 0, 0xff, 3, 16, 0, 7)),
		"share control cut":                    join(l, on(1003, 1)),
		"share control of nothing":             join(l, on(1003, 0, 0, 0x11, 0)),
		"share control too long":               join(l, on(1003, 0x7f, 0x7f, 0x11, 0, 1, 0)),
		"share control of an unknown kind":     join(l, control(5, zeros(20))),
		"a confirm of the console's":           join(l, control(confirmActive, zeros(20))),
		"share data before the start":          join(l, share(dataFontMap, zeros(8)...)),
		"pictures before the start":            join(l, share(dataUpdate, drawn(bitmapOf(image.Rect(0, 0, 1, 1), 1))...)),
		"fast ones before the start":           join(l, quickly(updateBitmap, drawn(bitmapOf(image.Rect(0, 0, 1, 1), 1))...)),
		"a demand of nothing":                  join(l, control(demandActive, nil)),
		"a demand whose name is 64 KB":         join(l, control(demandActive, append(le16(le32(nil, 1), 0xffff, 4), zeros(8)...))),
		"a demand whose sets are 64 KB":        join(l, control(demandActive, append(le16(le32(nil, 1), 0, 0xffff), zeros(8)...))),
		"65535 sets":                           caps(0xffff),
		"65 sets":                              caps(maxCaps+1, bytes.Repeat(block(99, nil), maxCaps+1)),
		"a set of nothing":                     caps(1, []byte{2, 0, 0, 0}),
		"a set of 64 KB":                       caps(1, []byte{2, 0, 0xff, 0xff}),
		"a set of half a picture":              caps(1, block(2, zeros(9))),
		"a set of half an input":               caps(2, block(2, le16(nil, 32, 1, 1, 1, 8, 8)), block(13, []byte{1})),
		"more sets than there are":             caps(3, block(99, nil)),
		"starts without end":                   join(o, licensed(), bytes.Repeat(demand(8, 8), maxStarts+1)),
		"packed share data":                    join(opening(8, 8), control(shareData, append(le16(le32(nil, 1), 0x100, 12), 2, 0x21, 0, 0, 3, 0, 0, 0))),
		"share data cut":                       join(opening(8, 8), control(shareData, zeros(11))),
		"half an error":                        join(opening(8, 8), share(dataErrorInfo, 1, 2)),
		"half of the lamps":                    join(opening(8, 8), share(dataIndicators, 0, 0, 1)),
		"a clipboard that nobody asked for":    join(opening(8, 8), clipMessage(clipReady, 0)),
		"sound":                                join(opening(8, 8), on(1005, 8, 0, 0, 0, 3, 0, 0, 0, 7, 0, 4, 0, 0, 0, 0, 0)),
		"a drive":                              join(opening(8, 8), on(1006, 12, 0, 0, 0, 3, 0, 0, 0, 'r', 'D', 'n', 'I', 1, 0, 12, 0, 1, 0, 0, 0)),
		"a dynamic channel":                    join(opening(8, 8), on(1007, 12, 0, 0, 0, 3, 0, 0, 0, 0x50, 0, 1, 0)),
		"messages of the wrong user's channel": join(opening(8, 8), on(1007, 1, 2, 3, 4)),
	}
}

func hostileUpdates() map[string][]byte {
	o := opening(8, 8)
	few := drawn(bitmapOf(image.Rect(0, 0, 2, 2), 1))
	return map[string][]byte{
		"fast, encrypted":                  join(o, []byte{0x80, 6, 3, 0, 0, 0}),
		"fast of nothing":                  join(o, []byte{0, 0, 0, 0, 0, 0}),
		"fast of its head":                 join(o, []byte{0, 0x80, 2, 0, 0, 0}),
		"fast, packed":                     join(o, quick(append([]byte{0x80 | updateBitmap, 0x21}, le16(nil, 0)...)...)),
		"fast, longer than it is":          join(o, quick(updateBitmap, 0xff, 0xff, 1, 0)),
		"fast, no length":                  join(o, quick(updateBitmap)),
		"fast, orders":                     join(o, quickly(updateOrders, 1, 0, 9, 9)),
		"fast, an unknown kind":            join(o, quickly(15, 1, 2, 3)),
		"fast, code 7":                     join(o, quickly(7, 1, 2, 3)),
		"slow, orders":                     join(o, share(dataUpdate, 0, 0, 0, 0, 1, 0, 0, 0)),
		"slow, an unknown kind":            join(o, share(dataUpdate, 9, 0)),
		"slow, nothing":                    join(o, share(dataUpdate)),
		"a piece without a first":          join(o, quick(piece(updateBitmap, next, few...)...)),
		"a last piece without a first":     join(o, quick(piece(updateBitmap, last, few...)...)),
		"a piece of another kind":          join(o, quick(piece(updateBitmap, first, few...)...), quick(piece(updatePalette, last, few...)...)),
		"two first pieces":                 join(o, quick(piece(updateBitmap, first, few...)...), quick(piece(updateBitmap, first, few...)...)),
		"a whole one among pieces":         join(o, quick(piece(updateBitmap, first, few...)...), quickly(updateSynchronize)),
		"pieces without end":               join(o, quick(piece(updateBitmap, first, few...)...), bytes.Repeat(quick(piece(updateBitmap, next, zeros(32000)...)...), maxFragment/32000+2)),
		"a palette of 257":                 join(o, quickly(updatePalette, append([]byte{2, 0, 0, 0, 1, 1, 0, 0}, zeros(3*257)...)...)),
		"a palette of 4 billion":           join(o, quickly(updatePalette, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)),
		"a palette cut":                    join(o, quickly(updatePalette, 2, 0, 0, 0, 1)),
		"65535 pictures":                   join(o, quickly(updateBitmap, 1, 0, 0xff, 0xff)),
		"one picture too few":              join(o, quickly(updateBitmap, append(le16(nil, 1, 2), bitmapOf(image.Rect(0, 0, 1, 1), 1)...)...)),
		"a surface of RemoteFX":            join(o, quickly(updateSurface, join(le16([]byte{1, 0}, 0, 0, 1, 1), []byte{32, 0, 0, 3}, le16(nil, 1, 1), le32(nil, 4, 0))...)),
		"a surface of NSCodec":             join(o, quickly(updateSurface, join(le16([]byte{6, 0}, 0, 0, 1, 1), []byte{32, 0, 0, 1}, le16(nil, 1, 1), le32(nil, 4, 0))...)),
		"a surface with more of a head":    join(o, quickly(updateSurface, join(le16([]byte{1, 0}, 0, 0, 1, 1), []byte{32, 1, 0, 0}, le16(nil, 1, 1), le32(nil, 4, 0))...)),
		"a surface of 4 GB":                join(o, quickly(updateSurface, join(le16([]byte{1, 0}, 0, 0, 1, 1), []byte{32, 0, 0, 0}, le16(nil, 1, 1), le32(nil, 0xffffffff))...)),
		"a surface cut":                    join(o, quickly(updateSurface, 1, 0, 0, 0, 0)),
		"a surface turned round":           join(o, quickly(updateSurface, join(le16([]byte{1, 0}, 5, 5, 1, 1), []byte{32, 0, 0, 0}, le16(nil, 1, 1), le32(nil, 4, 0))...)),
		"an unknown command for a surface": join(o, quickly(updateSurface, 9, 0)),
		"half a marker":                    join(o, quickly(updateSurface, 4, 0, 0)),
	}
}

func hostilePictures() map[string][]byte {
	o := opening(8, 8)
	one := image.Rect(0, 0, 1, 1)
	pic := func(b ...byte) []byte { return join(o, quickly(updateBitmap, drawn(b)...)) }
	broken := func(w, h, depth, flags int, b ...byte) []byte {
		return join(o, bytes.Repeat(quickly(updateBitmap, drawn(rect(one, w, h, depth, flags, b...))...), maxBroken+1))
	}
	return map[string][]byte{
		"a picture cut":                    pic(0, 0, 0, 0),
		"a picture longer than it is":      pic(le16(nil, 0, 0, 0, 0, 1, 1, 32, 0, 0xffff)...),
		"a picture turned round":           pic(le16(nil, 5, 5, 1, 1, 1, 1, 32, 0, 0)...),
		"a picture of 65535":               pic(rect(one, 0xffff, 0xffff, 32, 1, 0x30)...),
		"a picture wider than the screen":  pic(rect(one, 8+padding+1, 1, 24, 0x401, 0xf0, 1, 0)...),
		"a picture higher than the screen": pic(rect(one, 1, 8+padding+1, 24, 0x401, 0xf0, 1, 0)...),
		"a packed one without its head":    pic(rect(one, 1, 1, 24, 1, 1, 2, 3)...),
		"more pictures than anybody draws": join(o, quickly(updateBitmap, drawn(slices.Repeat([][]byte{rect(one, 8+padding, 8+padding, 24, 0x401, 0x61, 1, 2, 3)}, maxWork+1)...)...)),
		"pictures of no width":             broken(0, 1, 24, 0x401, 1),
		"pictures of 7 bits":               broken(1, 1, 7, 0x401, 1),
		"pictures with runs too long":      broken(1, 1, 24, 0x401, 0xf0, 0xff, 0xff),
		"pictures with too little":         broken(8, 8, 32, 0, 1, 2, 3),
		"pictures with half a plane":       broken(8, 8, 32, 1, 0x30, 0x10, 1),
	}
}

func hostilePointers() map[string][]byte {
	o := opening(8, 8)
	shape := func(depth, i, w, h, mask, pix int, b ...byte) []byte {
		return join(o, quickly(pointerNew, append(le16(nil, depth, i, 0, 0, w, h, mask, pix), b...)...))
	}
	return map[string][]byte{
		"a pointer cut":                        join(o, quickly(pointerNew, 24, 0)),
		"a pointer longer than it is":          shape(24, 0, 1, 1, 2, 0xffff, 1, 2, 3),
		"a mask longer than it is":             shape(24, 0, 1, 1, 0xffff, 4, 1, 2, 3, 4),
		"a pointer of 65535":                   shape(24, 0, 0xffff, 0xffff, 2, 4, 1, 2, 3, 4, 5, 6),
		"a pointer of 385":                     shape(1, 0, 385, 1, 50, 50, zeros(100)...),
		"a pointer kept beyond":                shape(24, maxShapes, 1, 1, 2, 4, 1, 2, 3, 4, 5, 6),
		"a pointer of 7 bits":                  shape(7, 0, 1, 1, 2, 4, 1, 2, 3, 4, 5, 6),
		"a pointer with too few pixels":        shape(32, 0, 8, 8, 16, 4, zeros(20)...),
		"a pointer with too little mask":       shape(32, 0, 1, 2, 2, 8, zeros(10)...),
		"a large pointer of 4 GB":              join(o, quickly(pointerLarge, join(le16(nil, 32, 0, 0, 0, 1, 1), le32(nil, 0xffffffff, 0xffffffff))...)),
		"a cached pointer that is none":        join(o, quickly(pointerCached, 0, 0)),
		"a cached pointer beyond":              join(o, quickly(pointerCached, 0xff, 0xff)),
		"a cached pointer cut":                 join(o, quickly(pointerCached, 0)),
		"half a position":                      join(o, quickly(pointerPosition, 0, 0, 1)),
		"a slow pointer of an unknown kind":    join(o, share(dataPointer, 2, 0, 0, 0, 0, 0, 0, 0)),
		"a slow pointer of nothing":            join(o, share(dataPointer)),
		"half a pointer of the console's own":  join(o, share(dataPointer, 1, 0, 0, 0, 0)),
		"a slow pointer longer than it is":     join(o, share(dataPointer, append([]byte{8, 0, 0, 0}, le16(nil, 24, 0, 0, 0, 1, 1, 2, 0xffff)...)...)),
		"a slow cached pointer that is none":   join(o, share(dataPointer, 7, 0, 0, 0, 3, 0)),
		"a slow pointer of colour without end": join(o, share(dataPointer, 6, 0, 0, 0, 0, 0, 0)),
	}
}

func hostileClips() map[string][]byte {
	o := clipping(8, 8)
	return map[string][]byte{
		"a piece of the clipboard cut":        join(o, on(1004, 1, 2, 3)),
		"a piece without a first one":         join(o, clip(16, 0, zeros(8)...)),
		"a piece that is packed":              join(o, clip(8, 3|chunkHead, zeros(8)...)),
		"a piece longer than the whole":       join(o, clip(8, 3, zeros(9)...)),
		"a last piece too early":              join(o, clip(16, 3, zeros(8)...)),
		"a whole of 4 GB":                     join(o, clip(0xffffffff, 1, zeros(8)...)),
		"a message of half a head":            join(o, clip(4, 3, zeros(4)...)),
		"a message longer than its pieces":    join(o, clip(8, 3, clipList, 0, 0, 0, 0xff, 0, 0, 0)),
		"capabilities that are none":          join(o, clipMessage(clipCaps, 0, 1, 0, 0, 0)),
		"65535 capabilities":                  join(o, clipMessage(clipCaps, 0, 0xff, 0xff, 0, 0)),
		"a capability of 64 KB":               join(o, clipMessage(clipCaps, 0, 1, 0, 0, 0, 1, 0, 0xff, 0xff)),
		"a capability of nothing":             join(o, clipMessage(clipCaps, 0, 1, 0, 0, 0, 1, 0, 0, 0)),
		"a request of half a format":          join(o, clipMessage(clipRequest, 0, 13)),
		"the clipboard in the screen's place": join(o, on(1003, clipMessage(clipReady, 0)[15:]...)),
	}
}

// bothWays is a configuration in which all that there is may come.
func bothWays(b []byte) Config {
	if bytes.Contains(b[:min(len(b), 200)], le16(nil, 1003, 1, 1004)) {
		return Config{Copied: func(string) {}, Pastes: true}
	}
	return Config{}
}

func TestHostileConsolesAreLeft(t *testing.T) {
	all := hostile()
	if len(all) < 100 {
		t.Errorf("only %d", len(all))
	}
	for name, b := range all {
		if err := says(b, keeper(forget), bothWays(b)); !errors.Is(err, ErrWire) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := says(response(channels(1004)), keeper(forget), Config{}); !errors.Is(err, ErrWire) {
		t.Errorf("a clipboard that nobody asked for: %v", err)
	}
	t.Logf("ATTACK | %d consoles that break RDP: oversize, cut, out of order, packed, redirected, in storms | each is left, at the first thing that cannot be | %d left | holds", len(all), len(all))
}

// seeds are consoles that say something of every kind.
func seeds() map[string][]byte {
	o := opening(20, 20)
	some := drawn(bitmapOf(image.Rect(0, 0, 4, 4), 0x123456))
	return map[string][]byte{
		"slow":      join(o, share(dataUpdate, some...)),
		"fast":      join(o, quickly(updateBitmap, some...)),
		"pieces":    join(o, quick(piece(updateBitmap, first, some[:20]...)...), quick(piece(updateBitmap, last, some[20:]...)...)),
		"rle":       join(o, quickly(updateBitmap, drawn(rect(image.Rect(0, 0, 4, 2), 4, 2, 24, 0x401, 0x68, 1, 2, 3), rect(image.Rect(0, 0, 4, 2), 4, 2, 16, 0x401, 0x84, 1, 2, 3, 4, 5, 6, 7, 8, 4))...)),
		"planes":    join(o, quickly(updateBitmap, drawn(rect(image.Rect(0, 0, 2, 2), 2, 2, 32, 1, 0x30, 0x20, 1, 2, 0x02, 0, 0x20, 1, 2))...)),
		"palette":   join(o, quickly(updatePalette, append([]byte{2, 0, 0, 0, 0, 1, 0, 0}, zeros(768)...)...)),
		"surface":   join(o, quickly(updateSurface, join(le16([]byte{1, 0}, 0, 0, 2, 2), []byte{32, 0, 0, 0}, le16(nil, 2, 2), le32(nil, 16), zeros(16))...)),
		"pointer":   join(o, quickly(pointerNew, append(le16(nil, 32, 1, 0, 0, 2, 2, 4, 16), zeros(20)...)...), quickly(pointerCached, 1, 0)),
		"anew":      join(o, control(deactivateAll, nil), demand(30, 10), finished()),
		"others":    join(o, share(dataIndicators, 0, 0, 4, 0), share(dataErrorInfo, 5, 0, 0, 0), share(38, zeros(40)...)),
		"clipboard": join(clipping(20, 20), clipMessage(clipCaps, 0, join(le16(nil, 1, 0, 1, 12), le32(nil, 2, 2))...), clipMessage(clipReady, 0), clipMessage(clipList, 0, 13, 0, 0, 0, 0, 0), clipMessage(clipResponse, clipOK, 'a', 0, 0, 0), clipMessage(clipRequest, 0, 13, 0, 0, 0)),
	}
}

// What every seed says is read to its end: a seed that is not understood seeds nothing.
func TestSeedsAreUnderstood(t *testing.T) {
	for name, b := range seeds() {
		if err := says(b, keeper(forget), bothWays(b)); !errors.Is(err, io.EOF) && session.KindOf(err) != session.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a console says, cut anywhere, ends the connection and nothing else.
func TestConsolesThatHangUpAnywhere(t *testing.T) {
	begun := map[int]bool{} // openings that were cut
	for name, b := range seeds() {
		o := len(opening(20, 20))
		if bothWays(b).Pastes {
			o = len(clipping(20, 20))
		}
		from := 0
		if begun[o] {
			from = o
		}
		begun[o] = true
		for n := from; n < len(b); n++ {
			if err := says(b[:n], keeper(forget), bothWays(b)); err == nil {
				t.Errorf("%s: cut at %d of %d ends well", name, n, len(b))
			}
		}
	}
}

func FuzzConsole(f *testing.F) {
	for _, all := range []map[string][]byte{seeds(), windows(), hostile()} {
		for _, b := range all {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		if err := says(b, keeper(forget), Config{Copied: func(string) {}, Pastes: true}); err == nil {
			t.Error("a console that is gone ends well")
		}
		_ = says(b, keeper(forget), Config{})
	})
}

// FuzzUpdates tries what comes after the start.
func FuzzUpdates(f *testing.F) {
	o := clipping(20, 20)
	for name, b := range seeds() {
		if start := opening(20, 20); name != "anew" && bytes.HasPrefix(b, start) {
			f.Add(b[len(start):])
		} else if bytes.HasPrefix(b, o) {
			f.Add(b[len(o):])
		}
	}
	f.Add(windowsWork())
	f.Add(windowsEnds(0xb))
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Contains(b, []byte{demandActive | 0x10, 0}) {
			return // growing costs time, and finds nothing
		}
		if err := says(append(bytes.Clone(o), b...), keeper(forget), Config{Copied: func(string) {}, Pastes: true}); err == nil {
			t.Error("a console that is gone ends well")
		}
	})
}

func FuzzNegotiation(f *testing.F) {
	for _, kind := range []byte{2, 3, 7} {
		f.Add(tpkt([]byte{14, 0xd0, 0, 0, 0, 0, 0, kind, 0, 8, 0, 1, 0, 0, 0}))
	}
	f.Add(tpkt([]byte{14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0x1f, 8, 0, 1, 0, 0, 0})) // as Windows chooses TLS,
	f.Add(tpkt([]byte{14, 0xd0, 0, 0, 0x12, 0x34, 0, 3, 0, 8, 0, 2, 0, 0, 0}))    // and refuses it
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _ := client(b, keeper(forget), Config{Login: Login{User: "doctor"}})
		if selected, err := c.negotiate(); err == nil && selected != protocolTLS && selected != protocolNLA {
			t.Errorf("agrees on %d", selected)
		}
	})
}

// A console that floods costs a bounded memory, whatever it says.
func TestFloodsAreBounded(t *testing.T) {
	wide := image.Rect(0, 0, 1920, 1080)
	run := bytes.Repeat([]byte{0xf3, 0xff, 0xff, 1, 2, 3}, 31)
	for name, b := range map[string][]byte{
		"the largest pictures": bytes.Repeat(quickly(updateBitmap, drawn(rect(wide, 1920, 1080, 24, 0x401, run...))...), 6),
		"open pieces":          join(quick(piece(updateBitmap, first)...), bytes.Repeat(quick(piece(updateBitmap, next, zeros(32000)...)...), 30)),
		"pointers":             bytes.Repeat(quickly(pointerNew, append(le16(nil, 1, 3, 0, 0, 96, 96, 1152, 1152), zeros(2304)...)...), 500),
		"a clipboard of 2 GB":  join(clip(1<<31-2, 1, zeros(1600)...), bytes.Repeat(clip(1<<31-2, 0, zeros(1600)...), 2000)),
		"texts":                bytes.Repeat(join(clipMessage(clipList, 0, append([]byte{13, 0, 0, 0}, zeros(32)...)...), clipMessage(clipResponse, clipOK, zeros(2000)...)), 200),
	} {
		t.Run(name, func(t *testing.T) {
			said := join(clipping(1920, 1080), b)
			c, _ := client(said, keeper(forget), Config{Copied: func(string) {}, Pastes: true})
			if err := c.begin(protocolTLS); err != nil {
				t.Fatal(err)
			}
			if err := c.Run(); err == nil {
				t.Error("it ends well")
			}
			runtime.GC()
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			held := now.HeapAlloc >> 20
			runtime.KeepAlive(c)
			runtime.KeepAlive(said)
			t.Logf("ATTACK | a flood of RDP: %s, of %d MB | 70 MB held of 1920 x 1080 | %d MB | holds", name, len(said)>>20, held)
			if held > 70 {
				t.Errorf("%d MB are held", held)
			}
		})
	}
}
