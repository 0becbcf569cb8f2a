package vnc

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

// Config is how a console is used.
type Config struct {
	Login Login
	// Masked: part of the console may be hidden, so it is not asked to move what is on it.
	Masked bool
	// Copied is called with what was copied at the console; nil where that is not wanted.
	Copied func(text string)

	first int32 // the encoding that is named before all others; 0 is Raw, which comes last
}

// Client is a connection to a console, logged in. Press, Point and Paste may be called from
// anywhere; Run is of one goroutine.
type Client struct {
	cfg    Config
	screen *screen.Screen
	conn   net.Conn
	in     *bufio.Reader

	// of Run alone
	buf    []byte
	pix    []uint32
	zrle   inflater
	tight  [4]inflater
	format rfb.Format
	always bool // updates come without being asked for

	mu   sync.Mutex // guards what follows, and the order of what is written
	keys bool       // the console takes scancodes
	wide bool       // and the extended clipboard
	text string     // what was pasted last
}

// Connect logs in, and gives the screen the console's size.
func Connect(ctx context.Context, conn net.Conn, s *screen.Screen, cfg Config) (*Client, error) {
	c := &Client{cfg: cfg, screen: s, format: rfb.Native()}
	c.use(conn)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(loginTime)); err != nil {
		return nil, err
	}
	if err := c.login(ctx, cfg.Login); err != nil {
		return nil, fmt.Errorf("log in to the console: %w", err)
	}
	if err := c.begin(); err != nil {
		return nil, fmt.Errorf("begin with the console: %w", err)
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return c, conn.SetDeadline(time.Time{})
}

func (c *Client) use(conn net.Conn) {
	c.conn, c.in = conn, bufio.NewReaderSize(conn, 64<<10)
}

// buffered reads what is buffered of a connection first.
type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// begin is ClientInit, ServerInit, and what we want (RFC 6143 section 7.3).
func (c *Client) begin() error {
	if err := c.send([]byte{1}); err != nil { // shared: nobody at the console is sent away
		return err
	}
	var b [24]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return err
	}
	if _, err := rfb.ParseFormat(b[4:20]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(b[20:])
	if n > maxName {
		return rfb.ErrWire
	}
	if _, err := io.CopyN(io.Discard, c.in, int64(n)); err != nil { // the desktop's name: viewers are told the service's
		return err
	}
	if err := c.screen.Resize(int(binary.BigEndian.Uint16(b[:])), int(binary.BigEndian.Uint16(b[2:]))); err != nil {
		return err
	}
	if err := c.send(append([]byte{rfb.SetPixelFormat, 0, 0, 0}, c.format.Bytes()...)); err != nil {
		return err
	}
	if err := c.setEncodings(); err != nil {
		return err
	}
	return c.request(false)
}

// encodings are what is asked for, the best first. No quality is named: pixels come as
// they are.
func (c *Client) encodings() []int32 {
	list := []int32{c.cfg.first, rfb.Tight, rfb.ZRLE, rfb.Hextile, rfb.Raw,
		rfb.Cursor, rfb.DesktopSize, rfb.ExtendedDesktopSize, rfb.LastRect, rfb.ExtendedKeys, rfb.Fence, rfb.ContinuousUpdates}
	if !c.cfg.Masked {
		list = append(list, rfb.CopyRect)
	}
	list = append(list, rfb.ExtendedClipboard)
	if c.cfg.first == rfb.Raw {
		list = list[1:]
	}
	return list
}

func (c *Client) setEncodings() error {
	list := c.encodings()
	b := []byte{rfb.SetEncodings, 0, 0, byte(len(list))}
	for _, e := range list {
		b = binary.BigEndian.AppendUint32(b, uint32(e))
	}
	return c.send(b)
}

// request asks for what changes, or for everything.
func (c *Client) request(changes bool) error {
	size := c.screen.Bounds().Max
	b := []byte{rfb.UpdateRequest, 0}
	if changes {
		b[1] = 1
	}
	return c.send(boxed(b, size))
}

func boxed(b []byte, size image.Point) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(size.X))
	return binary.BigEndian.AppendUint16(b, uint16(size.Y))
}

// Run draws what the console sends, until it is gone; it is shown update by update.
func (c *Client) Run() error {
	for {
		kind, err := c.in.ReadByte()
		if err == nil {
			err = c.message(kind)
		}
		if err != nil {
			return err
		}
	}
}

func (c *Client) message(kind byte) error {
	switch kind {
	case rfb.Update:
		if !c.always { // the console gets the next one ready while we draw this one
			if err := c.request(true); err != nil {
				return err
			}
		}
		if err := c.update(); err != nil {
			return err
		}
		return c.screen.Show()
	case rfb.ColourMap: // we see true colours; it says nothing to us
		b, err := c.take(5)
		if err != nil {
			return err
		}
		_, err = io.CopyN(io.Discard, c.in, 6*int64(binary.BigEndian.Uint16(b[3:])))
		return err
	case rfb.Bell:
		return nil
	case rfb.ServerCutText:
		return c.cutText()
	case rfb.EndOfContinuous:
		return c.continuous()
	case rfb.FenceMessage:
		return c.fence()
	}
	return rfb.ErrWire
}

// continuous: the first of these says that the console can, a later one that it stopped.
func (c *Client) continuous() error {
	if c.always {
		c.always = false
		return c.request(true)
	}
	c.always = true
	return c.send(boxed([]byte{rfb.EnableContinuous, 1}, c.screen.Bounds().Max))
}

func (c *Client) fence() error {
	b, err := c.take(8)
	if err != nil {
		return err
	}
	flags, n := binary.BigEndian.Uint32(b[3:]), int(b[7])
	if n > rfb.MaxFence {
		return rfb.ErrWire
	}
	payload, err := c.take(n)
	if err != nil || flags&rfb.FenceRequest == 0 {
		return err
	}
	out := binary.BigEndian.AppendUint32([]byte{rfb.FenceMessage, 0, 0, 0}, flags&(rfb.FenceBlockBefore|rfb.FenceBlockAfter|rfb.FenceSyncNext))
	return c.send(append(append(out, byte(n)), payload...))
}

// cutText is what was copied at the console.
func (c *Client) cutText() error {
	b, err := c.take(7)
	if err != nil {
		return err
	}
	size := int32(binary.BigEndian.Uint32(b[3:]))
	extended := size < 0
	if extended {
		size = -size
	}
	if size < 0 || size > rfb.MaxCut {
		return rfb.ErrWire
	}
	if b, err = c.take(int(size)); err != nil {
		return err
	}
	if !extended {
		c.copied(rfb.Latin1(b))
		return nil
	}
	m, err := rfb.ParseClipboard(b)
	if err != nil {
		return err
	}
	return c.clipboard(m)
}

func (c *Client) clipboard(m rfb.Clipboard) error {
	switch {
	case m.Action&rfb.ClipboardCaps != 0:
		c.mu.Lock()
		c.wide = true
		c.mu.Unlock()
		return c.send(cut(rfb.Clipboard{Action: rfb.ClipboardCaps | rfb.ClipboardRequest | rfb.ClipboardNotify | rfb.ClipboardProvide, Text: true}))
	case m.Action == rfb.ClipboardNotify && m.Text && c.cfg.Copied != nil:
		return c.send(cut(rfb.Clipboard{Action: rfb.ClipboardRequest, Text: true}))
	case m.Action == rfb.ClipboardRequest && m.Text:
		c.mu.Lock()
		text := c.text
		c.mu.Unlock()
		return c.send(cut(rfb.Clipboard{Action: rfb.ClipboardProvide, Text: true, Content: text}))
	case m.Action == rfb.ClipboardProvide && m.Text:
		c.copied(m.Content)
	}
	return nil
}

func cut(m rfb.Clipboard) []byte {
	content := m.Bytes()
	b := binary.BigEndian.AppendUint32([]byte{rfb.ClientCutText, 0, 0, 0}, uint32(-int32(len(content))))
	return append(b, content...)
}

func (c *Client) copied(text string) {
	if c.cfg.Copied != nil && text != "" {
		c.cfg.Copied(text)
	}
}

// Press sends a key, with its scancode where viewer and console know them.
func (c *Client) Press(k screen.Key) error {
	down := byte(0)
	if k.Down {
		down = 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys && k.Code != 0 {
		b := []byte{rfb.QEMU, rfb.QEMUKey, 0, down}
		b = binary.BigEndian.AppendUint32(b, k.Sym)
		return c.write(binary.BigEndian.AppendUint32(b, k.Code))
	}
	return c.write(binary.BigEndian.AppendUint32([]byte{rfb.KeyEvent, down, 0, 0}, k.Sym))
}

// Point moves the pointer. RFB of the RFC knows eight buttons.
func (c *Client) Point(p screen.Pointer) error {
	at := image.Pt(max(0, min(p.At.X, 0xffff)), max(0, min(p.At.Y, 0xffff)))
	b := binary.BigEndian.AppendUint16([]byte{rfb.PointerEvent, byte(p.Buttons)}, uint16(at.X))
	return c.send(binary.BigEndian.AppendUint16(b, uint16(at.Y)))
}

// Paste gives the console a text.
func (c *Client) Paste(text string) error {
	text = rfb.Text(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = text
	if c.wide {
		return c.write(cut(rfb.Clipboard{Action: rfb.ClipboardNotify, Text: true}))
	}
	plain := rfb.ToLatin1(text)
	b := binary.BigEndian.AppendUint32([]byte{rfb.ClientCutText, 0, 0, 0}, uint32(len(plain)))
	return c.write(append(b, plain...))
}

// Close ends the connection. It waits for nothing.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) send(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(b)
}

// write is send for who holds mu.
func (c *Client) write(b []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// take reads so many bytes; they are valid until the next call.
func (c *Client) take(n int) ([]byte, error) {
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	b := c.buf[:n]
	_, err := io.ReadFull(c.in, b)
	return b, err
}

func (c *Client) u32() (uint32, error) {
	var b [4]byte
	_, err := io.ReadFull(c.in, b[:])
	return binary.BigEndian.Uint32(b[:]), err
}

// tooLarge is for a console that changes into what cannot be shown.
func tooLarge(err error) error {
	if session.KindOf(err) == session.Refused {
		return err
	}
	return rfb.ErrWire
}
