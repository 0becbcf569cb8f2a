package simulator

import (
	"bufio"
	"context"
	"encoding/binary"
	"image"
	"io"
	"net"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/simulator/canvas"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

// ConsoleMode is how a console misbehaves.
type ConsoleMode string

const (
	ConsoleHonest   ConsoleMode = ""
	ConsoleFlood    ConsoleMode = "flood"    // all of the screen changes, as fast as viewers take it
	ConsoleResizing ConsoleMode = "resizing" // another size with every picture, as fast
	ConsoleSilent   ConsoleMode = "silent"   // accepts connections and says nothing
	ConsoleStalled  ConsoleMode = "stalled"  // stops in the middle of its first update
	ConsoleHostile  ConsoleMode = "hostile"  // breaks the protocol, each connection in another way
)

// byHand reports whether connections are served without an RFB server.
func (m ConsoleMode) byHand() bool {
	return m == ConsoleSilent || m == ConsoleStalled || m == ConsoleHostile
}

// flood changes every pixel, and waits until somebody was sent it.
func (c *Console) flood(ctx context.Context) {
	size := c.cfg.Size
	drawn := canvas.New(size)
	for n := 0; ctx.Err() == nil; n++ {
		picture(drawn, n)
		sent := c.nextWrite()
		c.screen.Draw(drawn.Bounds(), drawn.Pix, size.X)
		if c.screen.Show() != nil || !c.await(ctx, sent) {
			return
		}
	}
}

// picture is one of a scanner: slices of something round, in greys, that are never twice
// the same, with text's hard edges around them.
func picture(c *canvas.Canvas, n int) {
	const side = 128
	for y := range c.Size.Y {
		row := c.Pix[y*c.Size.X : (y+1)*c.Size.X]
		for x := range row {
			dx, dy := x%side-side/2, y%side-side/2
			d := dx*dx + dy*dy
			grey := uint32(n*3+d/64) & 0xff
			if d > 60*60 {
				grey = uint32(n) & 0xff
			}
			row[x] = grey<<16 | grey<<8 | grey
		}
	}
}

// storm changes the size with every picture.
func (c *Console) storm(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		size := image.Pt(320+n*97%1000, 240+n*61%800)
		sent := c.nextWrite()
		if c.screen.Resize(size.X, size.Y) != nil {
			return
		}
		c.screen.Fill(c.screen.Bounds(), uint32(n*0x10305)&0xffffff)
		if c.screen.Show() != nil || !c.await(ctx, sent) {
			return
		}
	}
}

// nextWrite is closed when some viewer is sent something.
func (c *Console) nextWrite() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// await waits for a viewer, and takes what people do meanwhile.
func (c *Console) await(ctx context.Context, sent <-chan struct{}) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-sent:
			return true
		case do := <-c.did:
			do(c.board)
		}
	}
}

// misbehave is a connection that is written by hand.
func (c *Console) misbehave(ctx context.Context, conn net.Conn) {
	if c.cfg.Mode == ConsoleSilent {
		_, _ = io.Copy(io.Discard, conn) // until the other side, or ctx, has enough
		return
	}
	in := bufio.NewReader(conn)
	script := stalled()
	if c.cfg.Mode == ConsoleHostile {
		c.mu.Lock()
		scripts := lies()
		script = scripts[c.visits%len(scripts)]
		c.visits++
		c.mu.Unlock()
	}
	_ = conn.SetDeadline(time.Now().Add(greetTime))
	if script.greet != nil {
		_, _ = conn.Write(script.greet)
	} else if err := c.greet(conn, in, script.size); err == nil {
		_, _ = conn.Write(script.then)
	}
	_ = conn.SetDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, in)
}

// script is what a console says: all of it, or what follows an honest login.
type script struct {
	name  string
	greet []byte
	size  image.Point
	then  []byte
}

// greet logs a viewer in as RFC 6143 has it, without a password where none is set.
func (c *Console) greet(conn net.Conn, in *bufio.Reader, size image.Point) error {
	if _, err := io.WriteString(conn, "RFB 003.008\n"); err != nil {
		return err
	}
	kind, asked := byte(rfb.None), 12+1
	if c.cfg.Password != "" {
		kind = rfb.VNCAuth
	}
	if _, err := conn.Write([]byte{1, kind}); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, in, int64(asked)); err != nil {
		return err
	}
	if kind == rfb.VNCAuth { // any answer will do
		if _, err := conn.Write(make([]byte, rfb.ChallengeSize)); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, in, rfb.ChallengeSize); err != nil {
			return err
		}
	}
	if _, err := conn.Write(make([]byte, 4)); err != nil {
		return err
	}
	if _, err := in.ReadByte(); err != nil {
		return err
	}
	const name = "console"
	b := wire16(nil, size.X, size.Y)
	b = append(b, rfb.Native().Bytes()...)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(name))), name...)
	_, err := conn.Write(b)
	return err
}

func wire16(b []byte, values ...int) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// rect is the head of an update with one rectangle.
func rect(r image.Rectangle, encoding int32, content ...byte) []byte {
	b := wire16([]byte{rfb.Update, 0, 0, 1}, r.Min.X, r.Min.Y, r.Dx(), r.Dy())
	return append(binary.BigEndian.AppendUint32(b, uint32(encoding)), content...)
}

func stalled() script {
	size := image.Pt(640, 480)
	return script{size: size, then: rect(image.Rectangle{Max: size}, rfb.Raw, make([]byte, 640*4*100)...)}
}

// lies are the ways in which a console breaks the protocol.
func lies() []script {
	hello, size := "RFB 003.008\n", image.Pt(640, 480)
	all := []script{
		{name: "another protocol", greet: []byte("SSH-2.0-OpenSSH_9.2\r\n")},
		{name: "a version that never was", greet: []byte("RFB 999.999\n")},
		{name: "no security type, and no reason", greet: append([]byte(hello), 0, 0xff, 0xff, 0xff, 0xff)},
		{name: "security types that never end", greet: append([]byte(hello), make([]byte, 400)...)},
		{name: "a desktop of no size", size: image.Pt(0, 0)},
		{name: "a desktop of 4 Gpx", size: image.Pt(65535, 65535)},
	}
	then := func(name string, b []byte) { all = append(all, script{name: name, size: size, then: b}) }
	then("a message that is none", []byte{99})
	then("an encoding that is none", rect(image.Rect(0, 0, 10, 10), 4711))
	then("an encoding that was not asked for", rect(image.Rect(0, 0, 10, 10), 2, 0, 0, 0, 1))
	then("a rectangle beside the screen", rect(image.Rect(600, 400, 700, 500), rfb.Raw, make([]byte, 40000)...))
	then("a copy from beside the screen", rect(image.Rect(0, 0, 100, 100), rfb.CopyRect, wire16(nil, 600, 450)...))
	then("packed bytes that are noise", rect(image.Rect(0, 0, 64, 64), rfb.ZRLE, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8))
	then("packed bytes without end", rect(image.Rect(0, 0, 64, 64), rfb.ZRLE, 0xff, 0xff, 0xff, 0xff))
	then("a tight control that is none", rect(image.Rect(0, 0, 64, 64), rfb.Tight, 0xf0))
	then("a hextile that leaves its square", rect(image.Rect(0, 0, 64, 64), rfb.Hextile, 0x0a, 1, 2, 3, 4, 1, 0xff, 0xff))
	then("a cursor as large as a wall", rect(image.Rect(0, 0, 65535, 65535), rfb.Cursor))
	then("a size of 4 Gpx", rect(image.Rect(0, 0, 65535, 65535), rfb.DesktopSize))
	then("a clipboard of 4 GB", []byte{rfb.ServerCutText, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff})
	then("a fence of 255 bytes", []byte{rfb.FenceMessage, 0, 0, 0, 0x80, 0, 0, 0, 255})
	return all
}
