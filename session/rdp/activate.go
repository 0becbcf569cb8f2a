package rdp

import (
	"image"

	"github.com/sallyport/sallyport/session"
)

// Of share control (MS-RDPBCGR 2.2.8.1.1.1.1) and share data (2.2.8.1.1.1.2).
const (
	demandActive  = 1
	confirmActive = 3
	deactivateAll = 6
	shareData     = 7
	redirection   = 10

	dataUpdate      = 2
	dataControl     = 20
	dataPointer     = 27
	dataSynchronize = 31
	dataRefresh     = 33
	dataSaved       = 38
	dataFontList    = 39
	dataFontMap     = 40
	dataIndicators  = 41
	dataErrorInfo   = 47
	licenceFlag     = 0x80
	mcsMain         = 1002 // whom the client's messages come from and go to
	valid           = 7    // a client as it is
)

// shared is what came on the main channel: a licence at first, and then share control.
func (c *Client) shared(b []byte) error {
	if c.starts == 0 && len(b) >= 4 && b[0]&licenceFlag != 0 && int(b[0])|int(b[1])<<8 != len(b) { // a size says its own
		return c.licence(b[4:])
	}
	for len(b) > 0 {
		f := fields{b: b}
		size, kind := f.u16(), f.u16()&0xf
		if size == 0x8000 { // flow control of T.128, which nobody needs
			return nil
		}
		if size < 6 || size > len(b) {
			return ErrWire
		}
		f = fields{b: b[4:size]}
		b = b[size:]
		if len(f.b) > 1 {
			f.take(2) // who says it
		}
		if err := c.control(kind, &f); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) control(kind int, f *fields) error {
	switch kind {
	case demandActive:
		return c.demanded(f)
	case deactivateAll:
		c.mu.Lock()
		c.hands.ready = false
		c.mu.Unlock()
		return nil
	case shareData:
		return c.said(f)
	case redirection:
		return session.Errorf(session.Refused, "The console sends on to another computer, and a session is with one alone.").
			WithNext("Ask for a session with that computer, or take the console out of its farm.")
	}
	return ErrWire
}

// said is share data.
func (c *Client) said(f *fields) error {
	f.take(8) // share, padding, stream, length
	kind, packed := f.u8(), f.u8()
	f.take(2)
	if early := c.starts == 0 && kind != dataErrorInfo; f.bad || packed&0x20 != 0 || early {
		return ErrWire
	}
	switch kind {
	case dataUpdate:
		return c.update(f.u16(), f)
	case dataPointer:
		return c.pointer(f)
	case dataFontMap:
		return c.begun()
	case dataIndicators:
		f.take(2)
		c.lit(f.u16())
	case dataSaved:
		return c.saved(f)
	case dataErrorInfo:
		c.fault = f.u32()
	}
	return f.err() // the others ask for nothing
}

// licence answers a console that asks for one: there is none, and those of the client
// edition need none (MS-RDPELE 2.2.2).
func (c *Client) licence(b []byte) error {
	f := fields{b: b}
	kind := f.u8()
	f.take(3)
	switch kind {
	case 1: // it asks: a new one, by what it cannot decrypt, which tells it that there is none
		body := append(le32(nil, 1, 0xff010000), make([]byte, 32)...)
		body = append(le16(body, 2, 72), make([]byte, 72)...)
		body = append(le16(body, 15, 1, 0x1000, 0x0100), 0, 0) // no name of the user, none of the machine
		out := append([]byte{licenceFlag, 0, 0, 0}, le16([]byte{0x13, 3}, len(body)+4)...)
		return c.send(c.request(c.joined.main, append(out, body...)))
	case 3, 4: // here is one
		return nil
	case 0xff:
		switch code := f.u32(); {
		case f.bad:
			return ErrWire
		case code != valid:
			return session.Errorf(session.Refused, "The console lets nobody in without a licence of its own (%d).", code).
				WithNext("Ask who serves it for its remote desktop licences.")
		}
		return nil
	case 2:
		return session.Errorf(session.Refused, "The console wants a remote desktop licence.").
			WithNext("Let it allow administrative sessions, which need none.")
	}
	return ErrWire
}

// demanded is Demand Active: the console begins, or begins anew.
func (c *Client) demanded(f *fields) error {
	share := f.u32()
	name, size := f.u16(), f.u16()
	f.take(name)
	caps := fields{b: f.take(size)}
	if c.starts++; f.bad || c.starts > maxStarts {
		return ErrWire
	}
	n := caps.u16()
	caps.take(2)
	if n > maxCaps {
		return ErrWire
	}
	desktop, input := image.Point{}, 0
	for range n {
		kind, size := caps.u16(), caps.u16()
		set := fields{b: caps.take(size - 4)}
		switch kind {
		case 2:
			set.take(8)
			desktop = image.Pt(set.u16(), set.u16())
		case 13:
			input = set.u16()
		}
		if set.bad {
			return ErrWire
		}
	}
	if caps.bad {
		return ErrWire
	}
	if err := c.screen.Resize(desktop.X, desktop.Y); err != nil {
		return err
	}
	c.drawn.open = false
	if input&(fastInput|fastInput2) == 0 {
		return session.Errorf(session.Refused, "The console is of before Windows XP, and takes no input that Sallyport knows.").
			WithNext("Serve it by another protocol.")
	}
	c.mu.Lock()
	c.hands.share, c.hands.can = share, input
	c.mu.Unlock()
	return c.confirm(share, desktop)
}

// confirm answers with what this client can, and asks for the screen.
func (c *Client) confirm(share uint32, desktop image.Point) error {
	sets, n := c.capabilities(desktop)
	b := le16(le32(nil, share), 1002, 6, len(sets)+4)
	b = append(le16(append(b, "MSTSC\x00"...), n, 0), sets...)
	out := c.request(c.joined.main, append(le16(nil, len(b)+6, confirmActive|0x10, c.joined.user+userBase), b...))
	out = append(out, c.datum(share, dataSynchronize, le16(nil, 1, mcsMain))...)
	out = append(out, c.datum(share, dataControl, le16(nil, 4, 0, 0, 0))...)
	out = append(out, c.datum(share, dataControl, le16(nil, 1, 0, 0, 0))...)
	return c.send(append(out, c.datum(share, dataFontList, le16(nil, 0, 0, 3, 50))...))
}

// datum is share data of this client's.
func (c *Client) datum(share uint32, kind byte, body []byte) []byte {
	b := le16(nil, len(body)+18, shareData|0x10, c.joined.user+userBase)
	b = append(le16(le32(b, share), 0x100, len(body)+4), kind, 0, 0, 0)
	return c.request(c.joined.main, append(b, body...))
}

// begun: the console takes input now.
func (c *Client) begun() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hands.ready = true
	return c.synchronise()
}

func (c *Client) ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hands.ready
}

// capabilities are those of this client (MS-RDPBCGR 2.2.7.1): pictures and pointers, and no
// orders, no caches, no codecs.
func (c *Client) capabilities(desktop image.Point) (sets []byte, n int) {
	add := func(kind int, body []byte) {
		sets, n = append(le16(sets, kind, len(body)+4), body...), n+1
	}
	zeros := func(size int) []byte { return make([]byte, size) }
	add(1, append(le16(nil, 1, 3, 0x200, 0, 0, 0x0405, 0, 0, 0), 1, 0)) // general: fast updates, no headers of compression
	add(2, append(le16(nil, c.cfg.depth, 1, 1, 1, desktop.X, desktop.Y, 0, 1, 1), append([]byte{0, 0x08}, le16(nil, 1, 0)...)...))
	orders := append(zeros(20), le16(nil, 1, 20, 0, 1, 0, 0x000a)...)
	add(3, append(orders, zeros(52)...))
	add(4, zeros(36))
	add(5, le16(nil, 0, 0, 2, 2))
	add(7, zeros(8))
	add(8, le16(nil, 1, maxShapes, maxShapes))
	add(9, zeros(4))
	add(10, le16(nil, 6, 0))
	add(12, zeros(4))
	keyboard := append(le32(le16(nil, 0x1|0x4|0x10|fastInput2|wideWheel, 0), c.cfg.Keyboard, 4, 0, 12), zeros(64)...)
	add(13, keyboard)
	add(14, le16(nil, 1, 0))
	add(15, zeros(4))
	add(16, zeros(48))
	add(17, zeros(8))
	add(20, le32(nil, 0, maxChunk))
	add(26, le32(nil, maxFragment))
	return sets, n
}
