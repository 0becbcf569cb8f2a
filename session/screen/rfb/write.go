package rfb

import (
	"context"
	"encoding/binary"
	"image"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session/palette"
	"github.com/sallyport/sallyport/session/screen"
)

// writer is the one who writes to a viewer: what it asked for, when there is something to
// say.
type writer struct {
	conn  net.Conn
	view  *screen.View
	texts <-chan string
	wake  chan struct{}

	mu   sync.Mutex // guards wish
	wish wishes

	// of run alone
	enc     encoder
	buf     []byte // room for what is written next
	able    can
	known   image.Point     // the size that the viewer goes by
	asked   bool            // it waits for an update
	where   image.Rectangle // of this part
	cursor  *screen.Cursor  // it does not know this one
	keys    bool            // it does not know that it may send extended keys
	text    string          // what the device copied last
	refused bool            // a size that the viewer wanted
}

// wishes are what a viewer said since the writer looked.
type wishes struct {
	format   *Format
	list     []int32 // the encodings that it knows; nil as before
	asked    bool
	where    image.Rectangle
	replies  []byte
	wantText bool
	wantSize bool
}

// can is what a viewer knows beside pixels.
type can struct {
	cursor, size, extendedSize, keys, clipboard bool
}

func newWriter(conn net.Conn, view *screen.View, texts <-chan string) *writer {
	return &writer{conn: conn, view: view, texts: texts, wake: make(chan struct{}, 1),
		enc: encoder{format: Native(), encoding: Raw}, known: view.Size()}
}

// note changes the wishes and wakes the writer. It never waits for the viewer.
func (w *writer) note(f func(*wishes)) {
	w.mu.Lock()
	f(&w.wish)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer) setFormat(f Format)        { w.note(func(x *wishes) { x.format = &f }) }
func (w *writer) setEncodings(list []int32) { w.note(func(x *wishes) { x.list = list }) }
func (w *writer) provideText()              { w.note(func(x *wishes) { x.wantText = true }) }
func (w *writer) refuseSize()               { w.note(func(x *wishes) { x.wantSize = true }) }

func (w *writer) request(r image.Rectangle) {
	w.note(func(x *wishes) { x.asked, x.where = true, r })
}

// reply queues a short message; a viewer that takes none gets no more of them.
func (w *writer) reply(b []byte) {
	w.note(func(x *wishes) {
		if len(x.replies) < MaxCut {
			x.replies = append(x.replies, b...)
		}
	})
}

// run writes until something fails.
func (w *writer) run(ctx context.Context) error {
	for {
		var b []byte
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.wake:
			b = w.heed()
		case <-w.view.Changed():
		case text, more := <-w.texts:
			if !more {
				w.texts = nil
			} else {
				b = w.copied(text)
			}
		}
		if w.asked {
			var err error
			if b, err = w.update(b); err != nil {
				return err
			}
		}
		if err := w.put(b); err != nil {
			return err
		}
	}
}

func (w *writer) put(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := w.conn.Write(b)
	return err
}

// heed takes the wishes, and returns what of them needs no screen.
func (w *writer) heed() (b []byte) {
	w.mu.Lock()
	x := w.wish
	w.wish = wishes{}
	w.mu.Unlock()
	if x.format != nil {
		w.enc.format = *x.format
	}
	if x.list != nil {
		b = w.learn(x.list)
	}
	if x.asked {
		w.asked, w.where = true, x.where
	}
	w.refused = w.refused || x.wantSize
	b = append(b, x.replies...)
	if x.wantText && w.able.clipboard {
		b = append(b, cutText(Clipboard{Action: ClipboardProvide, Text: true, Content: w.text})...)
	}
	return b
}

// learn reads what a viewer knows. Of our encodings the first that it names is used.
func (w *writer) learn(list []int32) (b []byte) {
	was := w.able
	has := func(e int32) bool { return slices.Contains(list, e) }
	w.able = can{cursor: has(Cursor), size: has(DesktopSize), extendedSize: has(ExtendedDesktopSize), keys: has(ExtendedKeys), clipboard: has(ExtendedClipboard)}
	w.view.Copies(has(CopyRect))
	w.enc.encoding = Raw
	if i := slices.IndexFunc(list, func(e int32) bool { return e == Tight || e == ZRLE || e == Raw }); i >= 0 {
		w.enc.encoding = list[i]
	}
	w.keys = w.able.keys && !was.keys
	if w.able.extendedSize && !was.extendedSize {
		w.known = image.Point{} // it is told the size anew, which says that we know this encoding
	}
	if w.able.clipboard && !was.clipboard {
		b = cutText(Clipboard{Action: ClipboardCaps | ClipboardRequest | ClipboardNotify | ClipboardProvide, Text: true})
	}
	return b
}

// copied tells of a text that the device copied: that there is one, or all of it where the
// viewer knows only the plain message.
func (w *writer) copied(text string) []byte {
	w.text = Text(text)
	if w.able.clipboard {
		return cutText(Clipboard{Action: ClipboardNotify, Text: true})
	}
	plain := ToLatin1(w.text)
	return append(binary.BigEndian.AppendUint32([]byte{ServerCutText, 0, 0, 0}, uint32(len(plain))), plain...)
}

func cutText(c Clipboard) []byte {
	content := c.Bytes()
	b := binary.BigEndian.AppendUint32([]byte{ServerCutText, 0, 0, 0}, uint32(-int32(len(content))))
	return append(b, content...)
}

// update writes what goes before it and what the viewer waits for, if there is any, and returns
// the rest, which is still to be written. A new size comes alone, and first.
func (w *writer) update(b []byte) ([]byte, error) {
	if size := w.resize(); size != nil {
		w.asked = false
		return append(b, size...), nil
	}
	u, err := w.view.Take(w.where)
	if err != nil {
		return nil, err
	}
	if u.Cursor != nil {
		w.cursor = u.Cursor
	}
	if u.Size != w.known && (w.able.size || w.able.extendedSize) {
		w.view.Repeat(image.Rectangle{Max: u.Size}) // it changed just now, and is told first
		return b, nil
	}
	if len(b) == 0 {
		b = w.buf[:0]
	}
	b, counted, count := append(b, Update, 0, 0, 0), len(b)+2, 0
	if w.keys {
		b, count, w.keys = head(b, image.Rectangle{}, ExtendedKeys), count+1, false
	}
	if w.cursor != nil && w.able.cursor {
		b, count = w.shape(b, *w.cursor), count+1
		w.cursor = nil
	}
	if u.Moved {
		b, count = head(b, u.To, CopyRect), count+1
		b = binary.BigEndian.AppendUint16(b, uint16(u.From.X))
		b = binary.BigEndian.AppendUint16(b, uint16(u.From.Y))
	}
	var parts []image.Rectangle
	for _, p := range u.Parts {
		// what a viewer that cannot be told of a new size has no place for is left out
		parts = append(parts, w.enc.parts(p.Intersect(image.Rectangle{Max: w.known}))...)
	}
	if count += len(parts); count == 0 {
		return b[:counted-2], nil
	}
	w.asked = false
	binary.BigEndian.PutUint16(b[counted:], uint16(count))
	return w.tell(b, u, parts)
}

// tell writes the parts of an update piece by piece, and returns the last. While the viewer
// takes one, no picture is held for it: what follows is told as it is then.
func (w *writer) tell(b []byte, u screen.Update, parts []image.Rectangle) ([]byte, error) {
	shown := u.Shown
	for i, part := range parts {
		b = w.enc.rectangle(b, shown, part)
		if len(b) < sentBytes || i == len(parts)-1 {
			continue
		}
		shown, u.Shown = nil, nil
		if err := w.put(b); err != nil {
			return nil, err
		}
		b = b[:0]
		if shown = w.view.Newest(u.Size); shown == nil { // a new size comes next, with all of it
			shown = palette.Black(u.Size, screen.Tile)
		}
	}
	w.buf = b
	return b, nil
}

// resize tells the size, where the viewer does not know it and can be told. A size that the
// viewer asked for is refused: a console's size is the console's own.
func (w *writer) resize() []byte {
	size := w.view.Size()
	if size == w.known && !w.refused || !w.able.size && !w.able.extendedSize {
		return nil
	}
	reason, status := 0, 0
	if w.refused {
		reason, status = 1, 1 // this viewer's wish; resize is administratively prohibited
	}
	w.known, w.refused = size, false
	b := []byte{Update, 0, 0, 1}
	if !w.able.extendedSize {
		return head(b, image.Rectangle{Max: size}, DesktopSize)
	}
	b = head(b, image.Rect(reason, status, reason+size.X, status+size.Y), ExtendedDesktopSize)
	b = append(b, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // one screen, number 0, at 0 0
	b = binary.BigEndian.AppendUint16(b, uint16(size.X))
	b = binary.BigEndian.AppendUint16(b, uint16(size.Y))
	return append(b, 0, 0, 0, 0)
}

// shape is the cursor: pixels, then a mask of those that are seen (RFC 6143 section 7.8.1).
func (w *writer) shape(b []byte, c screen.Cursor) []byte {
	b = head(b, image.Rectangle{Min: c.Hot, Max: c.Hot.Add(c.Size)}, Cursor)
	for _, p := range c.Pix {
		b = w.enc.format.Put(b, p&0xffffff)
	}
	for y := range c.Size.Y {
		row := make([]byte, (c.Size.X+7)/8)
		for x := range c.Size.X {
			if c.Pix[y*c.Size.X+x]>>31 != 0 {
				row[x/8] |= 0x80 >> (x % 8)
			}
		}
		b = append(b, row...)
	}
	return b
}
